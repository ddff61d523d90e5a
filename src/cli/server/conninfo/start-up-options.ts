/**
 * `options` (`PGOPTIONS`) as start-up parameters of their own. Pure.
 *
 * The server would read the text itself, but a pooler such as PgBouncer refuses `options`, and takes most settings under their own names.
 */

/** Names with another meaning in a start-up packet. In `options` the server refuses them, as unknown settings. */
const RESERVED = /^(?:user|database|options|replication|_pq_\..*)$/i;

export interface StartUpOptions {
  /** In their order. A later one replaces an earlier one. */
  readonly settings: readonly (readonly [name: string, value: string])[];
  /** Whether there is anything else (`-e`, `-S 9000` …). The server must then read the whole text, for its order counts. */
  readonly hasOthers: boolean;
}

/** Reads `-c name=value`, `-cname=value` and `--name=value`. */
export function parseStartUpOptions(text: string): StartUpOptions {
  const settings: [string, string][] = [];
  let hasOthers = false;
  const words = splitWords(text);
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index]!;
    const isSeparate = word === '-c' && index + 1 < words.length;
    const assignment = isSeparate ? words[index + 1]! : /^(?:-c|--)([\s\S]+)$/.exec(word)?.[1];
    const [, name = '', value] = /^([^=]+)=([\s\S]*)$/.exec(assignment ?? '') ?? [];
    if (value === undefined || RESERVED.test(name)) {
      hasOthers = true;
      continue;
    }
    settings.push([name.replaceAll('-', '_'), value]);
    if (isSeparate) index += 1;
  }
  return { settings, hasOthers };
}

/** At spaces, those of C; a backslash takes the next character as it is. */
function splitWords(text: string): string[] {
  const words = text.match(/(?:[^\t-\r \\]|\\[\s\S]?)+/g) ?? [];
  return words.map((word) => word.replace(/\\([\s\S]?)/g, '$1'));
}
