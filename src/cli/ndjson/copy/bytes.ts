/** Byte values of JSON, and scans that all parts of the fast path use. */

export const TAB = 0x09;
export const LINE_FEED = 0x0a;
export const CARRIAGE_RETURN = 0x0d;
export const SPACE = 0x20;
export const QUOTE = 0x22;
export const COMMA = 0x2c;
export const MINUS = 0x2d;
export const POINT = 0x2e;
export const SLASH = 0x2f;
export const ZERO = 0x30;
export const NINE = 0x39;
export const COLON = 0x3a;
export const OPENING_BRACKET = 0x5b;
export const BACKSLASH = 0x5c;
export const CLOSING_BRACKET = 0x5d;
export const OPENING_BRACE = 0x7b;
export const CLOSING_BRACE = 0x7d;

/** Returned in place of an offset: the record has to take the slow path. */
export const SLOW_PATH = -1;

/** Returns the offset after JSON's white space. A line feed is not skipped: it ends the line. */
export function skipSpace(source: Uint8Array, at: number): number {
  let index = at;
  for (;;) {
    const byte = source[index];
    if (byte !== SPACE && byte !== TAB && byte !== CARRIAGE_RETURN) return index;
    index += 1;
  }
}

/** Needs no check of the length: the source ends with a line feed, and `word` has one at its end at most. */
export function startsWith(source: Uint8Array, at: number, word: Uint8Array): boolean {
  for (let index = 0; index < word.length; index += 1) {
    if (source[at + index] !== word[index]) return false;
  }
  return true;
}
