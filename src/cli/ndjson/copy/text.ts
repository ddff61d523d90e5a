/**
 * Writes JSON values as fields of COPY's text format, byte by byte, without making JavaScript values of them.
 *
 * The bytes are those that the slow path (parse, then encode) would send. If that is not certain, a method returns `SLOW_PATH`, and the
 * caller drops what was written.
 */

import {
  BACKSLASH,
  CARRIAGE_RETURN,
  LETTER_E,
  LETTER_F,
  LETTER_N,
  LETTER_R,
  LETTER_T,
  LETTER_U,
  LINE_FEED,
  MINUS,
  NINE,
  OPENING_BRACE,
  OPENING_BRACKET,
  PLUS,
  POINT,
  QUOTE,
  SLASH,
  SPACE,
  TAB,
  ZERO,
} from '../../../common/bytes.js';
import { SLOW_PATH, startsWith } from './scans.js';
import { codePointAt, ESCAPED_BYTES, escapeLength, isHalf, writeUtf8 } from '../values/json-text.js';
import type { CopyColumn } from './column.js';
import { NestedCopy } from './nested.js';

/** Integers of so many digits are exact as JavaScript numbers. */
const EXACT_DIGITS = 15;

const NULL_LITERAL = Buffer.from('null');
const TRUE_LITERAL = Buffer.from('true');
const FALSE_LITERAL = Buffer.from('false');

export class CopyText {
  bytes = Buffer.allocUnsafeSlow(64 * 1024);
  length = 0;
  readonly #nested = new NestedCopy();

  /** Makes room for `count` more bytes. The writing methods do not check. */
  reserve(count: number): void {
    if (this.length + count <= this.bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(2 * this.bytes.length, this.length + count));
    this.bytes.copy(larger, 0, 0, this.length);
    this.bytes = larger;
  }

  endField(): void {
    this.bytes[this.length++] = TAB;
  }

  /** Ends the row: a line feed in place of the last field's tab. */
  endRow(): void {
    // Bytes written beyond the end of a buffer are lost without an error.
    if (this.length > this.bytes.length) throw new Error('more was written than there was room for');
    this.bytes[this.length - 1] = LINE_FEED;
  }

  writeByte(byte: number): void {
    this.bytes[this.length++] = byte;
  }

  copyFrom(from: Uint8Array, start: number, end: number): void {
    const { bytes } = this;
    let { length } = this;
    for (let index = start; index < end; index += 1) bytes[length++] = from[index]!;
    this.length = length;
  }

  /**
   * Writes the value that begins at `at`, without ending the field. Returns where the value ends, or `SLOW_PATH`.
   *
   * @param source ends with a line feed, at which every value ends at the latest
   */
  writeValue(source: Uint8Array, at: number, column: CopyColumn): number {
    const first = source[at]!;
    if (first === QUOTE) return this.#writeString(source, at + 1, column.keepsQuotes);
    if (first <= NINE) return this.#writeNumber(source, at, column);
    if (first === LETTER_N) return this.#writeLiteral(source, at, NULL_LITERAL, column.nullity);
    if (first === LETTER_T) return this.#writeLiteral(source, at, TRUE_LITERAL, column.truth);
    if (first === LETTER_F) return this.#writeLiteral(source, at, FALSE_LITERAL, column.falsity);
    const isNested =
      (first === OPENING_BRACE && column.takesObjects) || (first === OPENING_BRACKET && column.takesArrays);
    return isNested ? this.#nested.write(this, source, at) : SLOW_PATH;
  }

  #writeLiteral(source: Uint8Array, at: number, word: Uint8Array, text: Uint8Array | undefined): number {
    if (text === undefined || !startsWith(source, at, word)) return SLOW_PATH;
    this.copyFrom(text, 0, text.length);
    return at + word.length;
  }

  #writeString(source: Uint8Array, at: number, keepsQuotes: boolean): number {
    const { bytes } = this;
    let { length } = this;
    let index = at;
    if (keepsQuotes) bytes[length++] = QUOTE;
    let byte = source[index]!;
    while (byte !== QUOTE && byte !== BACKSLASH && byte >= SPACE) {
      bytes[length++] = byte;
      byte = source[++index]!;
    }
    this.length = length;
    if (byte === BACKSLASH) return this.#writeEscapes(source, index, keepsQuotes);
    // A control character in a string is not JSON.
    if (byte !== QUOTE) return SLOW_PATH;
    if (keepsQuotes) bytes[this.length++] = QUOTE;
    return index + 1;
  }

  /** Writes the rest of a string, from its first backslash on. */
  #writeEscapes(source: Uint8Array, at: number, keepsQuotes: boolean): number {
    let index = at;
    for (;;) {
      const byte = source[index]!;
      if (byte === QUOTE) break;
      if (byte < SPACE) return SLOW_PATH;
      if (byte === BACKSLASH) {
        index = this.#writeEscape(source, index + 1, keepsQuotes);
        if (index === SLOW_PATH) return SLOW_PATH;
      } else {
        this.bytes[this.length++] = byte;
        index += 1;
      }
    }
    if (keepsQuotes) this.bytes[this.length++] = QUOTE;
    return index + 1;
  }

  /** @param at after the backslash */
  #writeEscape(source: Uint8Array, at: number, keepsQuotes: boolean): number {
    const { bytes } = this;
    const letter = source[at]!;
    if (letter === LETTER_U) return this.#writeCodeUnits(source, at - 1, keepsQuotes);
    if (letter === SLASH) bytes[this.length++] = SLASH;
    else {
      const character = ESCAPED_BYTES[letter]!;
      if (character === 0) return SLOW_PATH;
      if (keepsQuotes) {
        // JSON's writer makes the same escape; COPY needs its backslash doubled.
        bytes[this.length++] = BACKSLASH;
        bytes[this.length++] = BACKSLASH;
        if (letter === BACKSLASH) bytes[this.length++] = BACKSLASH;
        bytes[this.length++] = letter;
      } else this.#writeCharacter(character);
    }
    return at + 1;
  }

  /** Writes `\uXXXX`, or a surrogate pair. @param at of the backslash */
  #writeCodeUnits(source: Uint8Array, at: number, keepsQuotes: boolean): number {
    const code = codePointAt(source, at);
    // Not a code unit, or U+0000, which PostgreSQL cannot store.
    if (code <= 0 || isHalf(code)) return SLOW_PATH;
    // JSON's writer would escape it again.
    if (keepsQuotes && (code < SPACE || code === QUOTE || code === BACKSLASH)) return SLOW_PATH;
    this.#writeCharacter(code);
    return at + escapeLength(code);
  }

  #writeCharacter(code: number): void {
    const { bytes } = this;
    const letter =
      code === TAB ? LETTER_T : code === LINE_FEED ? LETTER_N : code === CARRIAGE_RETURN ? LETTER_R : code;
    if (letter !== code || code === BACKSLASH) bytes[this.length++] = BACKSLASH;
    this.length = writeUtf8(bytes, this.length, letter);
  }

  /** Writes a number as it is written, or the digits of an integer. */
  #writeNumber(source: Uint8Array, at: number, column: CopyColumn): number {
    const isNegative = source[at] === MINUS;
    const start = isNegative ? at + 1 : at;
    const end = digitsEnd(source, start);
    if (end === start || (end - start > 1 && source[start] === ZERO)) return SLOW_PATH;
    let next = end;
    if (source[next] === POINT) {
      next = digitsEnd(source, end + 1);
      if (next === end + 1) return SLOW_PATH;
    }
    if (column.takesAnyNumber) {
      if ((source[next]! | 0x20) === LETTER_E) next = exponentEnd(source, next);
      if (next === SLOW_PATH) return SLOW_PATH;
      this.copyFrom(source, at, next);
      return next;
    }
    // An exponent is left where it stands: the next step does not match it, and the record takes the slow path.
    if (!isPlainInteger(source, start, end, isNegative, column)) return SLOW_PATH;
    for (let index = end + 1; index < next; index += 1) if (source[index] !== ZERO) return SLOW_PATH;
    this.copyFrom(source, at, end);
    return next;
  }
}

function digitsEnd(source: Uint8Array, at: number): number {
  let end = at;
  while (source[end]! >= ZERO && source[end]! <= NINE) end += 1;
  return end;
}

/** @param at of the letter */
function exponentEnd(source: Uint8Array, at: number): number {
  const sign = source[at + 1]!;
  const start = sign === MINUS || sign === PLUS ? at + 2 : at + 1;
  const end = digitsEnd(source, start);
  return end === start ? SLOW_PATH : end;
}

/** Returns whether the column takes the integer in these digits. They have no leading zero. */
function isPlainInteger(
  source: Uint8Array,
  start: number,
  end: number,
  isNegative: boolean,
  column: CopyColumn,
): boolean {
  // As an integer it has no sign.
  if (isNegative && source[start] === ZERO) return false;
  const digits = end - start;
  if (digits <= (isNegative ? column.freeNegativeDigits : column.freeDigits)) return true;
  if (digits > EXACT_DIGITS) return false;
  let value = 0;
  for (let index = start; index < end; index += 1) value = 10 * value + source[index]! - ZERO;
  return isNegative ? -value >= column.lowest : value <= column.highest;
}
