/**
 * The one place where text goes to standard output and standard error.
 *
 * Messages of the server, values, names of files and columns are other people's text. A terminal takes control characters in them for
 * commands, and bidirectional marks change the order in which a reader sees the rest. Both are shown as escapes instead, whether a terminal
 * is there or not: a log is read on one later.
 */

/** C0, DEL and C1; marks, embeddings and isolates of bidirectional text; line and paragraph separator; halves of a surrogate pair. */
const UNSAFE = /[\p{Cc}\p{Cs}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;
const SHORT_ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** Returns the text on one line, with unsafe characters as `\n`, `\x1b` or `\u202e`. */
export function printable(text: string): string {
  return text.replace(UNSAFE, (character) => SHORT_ESCAPES[character] ?? escapeOf(character));
}

/** The same for text of several lines: line feeds and tabs stay. */
export function printableLines(text: string): string {
  return text.replace(UNSAFE, (character) =>
    character === '\n' || character === '\t' ? character : (SHORT_ESCAPES[character] ?? escapeOf(character)),
  );
}

function escapeOf(character: string): string {
  const code = character.charCodeAt(0).toString(16);
  return code.length <= 2 ? `\\x${code.padStart(2, '0')}` : `\\u${code.padStart(4, '0')}`;
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
