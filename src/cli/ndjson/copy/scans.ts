/** Scans that all parts of the fast path use. */

import { CARRIAGE_RETURN, SPACE, TAB } from '../../../common/bytes.js';

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
