/**
 * Other people's text, as it may be shown: messages of the server, values, names of files and columns.
 *
 * A terminal takes control characters in them for commands, and bidirectional marks change the order in which a reader sees the rest. Both are
 * shown as escapes instead, whether a terminal is there or not: a log is read on one later.
 */

/** C0, DEL and C1; marks, embeddings and isolates of bidirectional text; line and paragraph separator; halves of a surrogate pair. */
export const UNSAFE = /[\p{Cc}\p{Cs}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;
export const SHORT_ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** Returns the text on one line, with unsafe characters as `\n`, `\x1b` or `\u202e`. */
export function printable(text: string): string {
  return text.replace(UNSAFE, (character) => SHORT_ESCAPES[character] ?? escapeOf(character));
}

export function escapeOf(character: string): string {
  const code = character.charCodeAt(0).toString(16);
  return code.length <= 2 ? `\\x${code.padStart(2, '0')}` : `\\u${code.padStart(4, '0')}`;
}
