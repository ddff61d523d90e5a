/** Compares what two runs of an import read, by their callers' descriptions, so that one table never mixes two sources. Pure. */

/** A part of the description that differs from an earlier run's. */
export interface SourceDifference {
  /** Where in the description: `['files', '0', 'bytes']`. Empty if only one of the runs gave a description. */
  readonly path: readonly string[];
  /** Undefined if the earlier run did not have it. */
  readonly before: unknown;
  readonly now: unknown;
}

/** Both are values of JSON, or undefined. */
export function sourceDifferences(
  before: unknown,
  now: unknown,
  path: readonly string[] = [],
): SourceDifference[] {
  if (Object.is(before, now)) return [];
  if (!isContainer(before) || !isContainer(now) || Array.isArray(before) !== Array.isArray(now)) {
    return [{ path, before, now }];
  }
  const keys = new Set([...Object.keys(before), ...Object.keys(now)]);
  return [...keys].flatMap((key) => sourceDifferences(own(before, key), own(now, key), [...path, key]));
}

function isContainer(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function own(container: Record<string, unknown>, key: string): unknown {
  return Object.hasOwn(container, key) ? container[key] : undefined;
}

const MOST_SHOWN = 3;
const LONGEST_VALUE = 80;

/** `bytes of files.0 was 10 and is 12`, for at most three of them. */
export function showDifferences(differences: readonly SourceDifference[]): string {
  const shown = differences
    .slice(0, MOST_SHOWN)
    .map(
      ({ path, before, now }) =>
        `${path.length === 0 ? 'its description' : path.join('.')} was ${showValue(before)} and is ${showValue(now)}`,
    );
  const rest = differences.length - shown.length;
  return [...shown, ...(rest > 0 ? [`${rest} more`] : [])].join('; ');
}

function showValue(value: unknown): string {
  if (value === undefined) return 'not given';
  const text = JSON.stringify(value);
  return text.length > LONGEST_VALUE ? `${text.slice(0, LONGEST_VALUE)}…` : text;
}

/**
 * JSON in ASCII: a database in another encoding lacks characters, and PostgreSQL refuses half a surrogate pair. Its type `json` keeps the
 * escapes as they are, U+0000 included.
 */
export function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
