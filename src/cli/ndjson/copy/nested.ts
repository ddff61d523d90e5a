/** Writes objects and arrays within a record as JSON without white space: the text that JSON's writer makes of the parsed value. */

import {
  BACKSLASH,
  CLOSING_BRACE,
  CLOSING_BRACKET,
  COLON,
  COMMA,
  NINE,
  OPENING_BRACE,
  OPENING_BRACKET,
  QUOTE,
  SPACE,
  ZERO,
} from '../../../common/bytes.js';
import { SLOW_PATH, skipSpace } from './scans.js';
import { JSON_VALUE } from './column.js';
import type { CopyColumn } from './column.js';

/** The text to write to. `writeValue` writes values that are neither objects nor arrays. */
export interface NestedText {
  writeByte(byte: number): void;
  copyFrom(source: Uint8Array, start: number, end: number): void;
  writeValue(source: Uint8Array, at: number, column: CopyColumn): number;
}

const DEEPEST = 64;
/** Most keys of an object and of the objects around it, together. */
const MOST_KEYS = 256;

export class NestedCopy {
  /** Offsets of the keys of all objects that have not ended. */
  readonly #starts = new Int32Array(MOST_KEYS);
  readonly #ends = new Int32Array(MOST_KEYS);
  #keys = 0;

  /** Writes the object or array that begins at `at`. Returns where it ends, or `SLOW_PATH`. */
  write(text: NestedText, source: Uint8Array, at: number): number {
    this.#keys = 0;
    return this.#writeValue(text, source, at, 0);
  }

  #writeValue(text: NestedText, source: Uint8Array, at: number, depth: number): number {
    const first = source[at];
    if (first === OPENING_BRACE) return this.#writeMembers(text, source, at, CLOSING_BRACE, depth + 1);
    if (first === OPENING_BRACKET) return this.#writeMembers(text, source, at, CLOSING_BRACKET, depth + 1);
    return text.writeValue(source, at, JSON_VALUE);
  }

  #writeMembers(text: NestedText, source: Uint8Array, at: number, closing: number, depth: number): number {
    if (depth > DEEPEST) return SLOW_PATH;
    const keysOutside = this.#keys;
    text.writeByte(source[at]!);
    let index = skipSpace(source, at + 1);
    while (source[index] !== closing) {
      if (closing === CLOSING_BRACE) {
        index = this.#writeKey(text, source, index, keysOutside);
        if (index === SLOW_PATH) return SLOW_PATH;
        index = skipSpace(source, index);
        if (source[index] !== COLON) return SLOW_PATH;
        text.writeByte(COLON);
        index = skipSpace(source, index + 1);
      }
      index = this.#writeValue(text, source, index, depth);
      if (index === SLOW_PATH) return SLOW_PATH;
      index = skipSpace(source, index);
      if (source[index] === closing) break;
      if (source[index] !== COMMA) return SLOW_PATH;
      text.writeByte(COMMA);
      index = skipSpace(source, index + 1);
      // A trailing comma is not JSON.
      if (source[index] === closing) return SLOW_PATH;
    }
    text.writeByte(closing);
    this.#keys = keysOutside;
    return index + 1;
  }

  #writeKey(text: NestedText, source: Uint8Array, at: number, keysOutside: number): number {
    const first = source[at + 1]!;
    // A parsed object has its integer keys first, so that their order would differ.
    if (source[at] !== QUOTE || (first >= ZERO && first <= NINE)) return SLOW_PATH;
    let end = at + 1;
    for (;;) {
      const byte = source[end]!;
      end += 1;
      if (byte === QUOTE) break;
      if (byte === BACKSLASH || byte < SPACE) return SLOW_PATH;
    }
    if (this.#keys === MOST_KEYS) return SLOW_PATH;
    for (let key = keysOutside; key < this.#keys; key += 1) {
      // Of equal keys a parsed object has the last value, at the place of the first.
      if (this.#ends[key]! - this.#starts[key]! === end - at && isSame(source, this.#starts[key]!, at, end))
        return SLOW_PATH;
    }
    this.#starts[this.#keys] = at;
    this.#ends[this.#keys] = end;
    this.#keys += 1;
    text.copyFrom(source, at, end);
    return end;
  }
}

/** Returns whether the bytes from `first` on equal those from `start` to `end`. */
function isSame(source: Uint8Array, first: number, start: number, end: number): boolean {
  for (let index = start; index < end; index += 1) {
    if (source[first + index - start] !== source[index]) return false;
  }
  return true;
}
