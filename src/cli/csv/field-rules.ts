/** How the fields of single columns are read: texts that mean NULL, quoted or not, and decimal commas. */

import type { CsvRow } from './csv-reader.js';

export interface FieldRule {
  /** An empty text stands for an empty field in quotes. */
  readonly nulls: readonly string[];
  /** `3,5` is the number 3.5. */
  readonly decimalComma: boolean;
}

/** By name of the column. */
export type FieldRules = Readonly<Record<string, FieldRule>>;

/** Adds the texts that `--null-for` names. */
export function withNulls(
  rules: FieldRules | undefined,
  nullsFor: Readonly<Record<string, readonly string[]>>,
): FieldRules | undefined {
  const given = Object.entries(nullsFor);
  if (given.length === 0) return rules;
  const merged = new Map(Object.entries(rules ?? {}));
  for (const [column, nulls] of given) {
    const { nulls: found = [], decimalComma = false } = merged.get(column) ?? {};
    merged.set(column, { nulls: [...new Set([...found, ...nulls])], decimalComma });
  }
  return Object.fromEntries(merged);
}

/** Returns undefined for anything but rules. */
export function rulesFromJson(json: unknown): FieldRules | undefined {
  if (typeof json !== 'object' || json === null) return undefined;
  const rules = Object.entries(json as Record<string, { nulls?: unknown; decimalComma?: unknown } | null>);
  return Object.fromEntries(
    rules.map(([column, rule]) => {
      const nulls: readonly unknown[] = Array.isArray(rule?.nulls) ? rule.nulls : [];
      return [column, { nulls: nulls.map(String), decimalComma: rule?.decimalComma === true }];
    }),
  );
}

/** What NULL is in any column, unless it is quoted: the reader applies it. */
interface NullTexts {
  readonly delimiter: string;
  /** The server's, too. */
  readonly nullText: string;
  readonly otherNulls?: readonly string[];
}

/** The rules of a load. A row's values are those of `columns`, in their order. */
export class FieldRuleSet {
  readonly #places: {
    readonly place: number;
    readonly nulls: ReadonlySet<string>;
    readonly decimalComma: boolean;
  }[] = [];
  readonly #delimiter: string;
  /** Texts that may be the first field of a block, which has nothing before it. */
  readonly #first: readonly Buffer[];
  /** Texts without which no rule applies to a block. Undefined: any block may have one. */
  readonly #signs: readonly string[] | undefined;

  constructor(
    rules: FieldRules,
    columns: readonly string[],
    { delimiter, nullText, otherNulls = [] }: NullTexts,
  ) {
    this.#delimiter = delimiter;
    for (const [place, column] of columns.entries()) {
      const rule = Object.hasOwn(rules, column) ? rules[column] : undefined;
      if (rule === undefined) continue;
      this.#places.push({ place, nulls: new Set(rule.nulls), decimalComma: rule.decimalComma });
    }
    const markers = new Set([...otherNulls, ...this.#places.flatMap(({ nulls }) => [...nulls])]);
    this.#first = [...markers].filter((marker) => marker !== '').map((marker) => Buffer.from(marker));
    const hasCommas = this.#places.some(({ decimalComma }) => decimalComma);
    // An empty field without quotes is NULL for the server only if that is its null text.
    const hasEmpty = markers.has('') && nullText !== '';
    this.#signs = hasCommas || hasEmpty ? undefined : [...markers].flatMap((each) => this.#signsOf(each));
  }

  #signsOf(marker: string): string[] {
    const quoted = `"${marker.replaceAll('"', '""')}"`;
    return marker === '' ? [quoted] : [`${this.#delimiter}${marker}`, `\n${marker}`, quoted];
  }

  /** Returns whether a field of the block may be read in another way than the server reads it. */
  mayApplyTo(block: Buffer): boolean {
    const signs = this.#signs;
    if (signs === undefined || signs.some((sign) => block.includes(sign))) return true;
    return this.#first.some((marker) => marker.equals(block.subarray(0, marker.length)));
  }

  /** Changes the values that rules are about. */
  applyTo(row: CsvRow): void {
    for (const { place, nulls, decimalComma } of this.#places) {
      const value = row[place];
      if (value === null || value === undefined) continue;
      if (nulls.has(value)) row[place] = null;
      else if (decimalComma) row[place] = value.replace(',', '.');
    }
  }
}
