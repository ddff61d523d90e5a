/** The one place where text goes to standard output and standard error. It is shown as `printable` says. */

import { escapeOf, printable, SHORT_ESCAPES, UNSAFE } from '../../guards/printable.js';

export { printable };

/** The same for text of several lines: line feeds and tabs stay. */
export function printableLines(text: string): string {
  return text.replace(UNSAFE, (character) =>
    character === '\n' || character === '\t' ? character : (SHORT_ESCAPES[character] ?? escapeOf(character)),
  );
}

/** Escapes what JSON's writer leaves as it is, in text that is JSON already: such characters stand within its strings only. */
export function safeJson(json: string): string {
  return json.replace(UNSAFE, (character) =>
    // White space between tokens.
    SHORT_ESCAPES[character] === undefined
      ? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
      : character,
  );
}

/** Writes one line. */
export function writeLine(stream: NodeJS.WritableStream, text: string): void {
  stream.write(`${printable(text)}\n`);
}

/** Writes one line of JSON. */
export function writeJson(stream: NodeJS.WritableStream, value: unknown): void {
  stream.write(`${safeJson(JSON.stringify(value))}\n`);
}
