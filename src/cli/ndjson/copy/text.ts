/**
 * Values of JSON, as they were written, become fields of COPY's text format, byte by byte: no value is made of them. What is written is what
 * the slow path (parsed, then encoded) would send; where that is not certain, nothing is written, and the record goes that way.
 */

import {
  BACKSLASH,
  CARRIAGE_RETURN,
  LINE_FEED,
  SLOW_PATH,
  MINUS,
  NINE,
  OPENING_BRACE,
  OPENING_BRACKET,
  POINT,
  QUOTE,
  SLASH,
  SPACE,
  startsWith,
  TAB,
  ZERO,
} from './bytes.js';
import type { CopyColumn } from './column.js';
import { NestedCopy } from './nested.js';

/** Integers of so many digits are exact as JavaScript numbers. */
const EXACT_DIGITS = 15;
const LETTER_E = 0x65;
const PLUS = 0x2b;

const NULL_LITERAL = Buffer.from('null');
const TRUE_LITERAL = Buffer.from('true');
const FALSE_LITERAL = Buffer.from('false');

export class CopyText {
  bytes = Buffer.allocUnsafeSlow(64 * 1024);
  length = 0;
  readonly #nested = new NestedCopy();

  /** Nothing else checks for room. */
  reserve(count: number): void {
    if (this.length + count <= this.bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(2 * this.bytes.length, this.length + count));
    this.bytes.copy(larger, 0, 0, this.length);
    this.bytes = larger;
  }

  endField(): void {
    this.bytes[this.length++] = TAB;
  }

  /** In place of the tab after the last field. */
  endRow(): void {
    // What is written beyond the end is lost without a word.
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
   * Writes the value that begins at `at`, without an end to the field. Answers where it ends in `source`, or `LONG_WAY`. The source ends with
   * a line feed, which no value goes beyond.
   */
  writeValue(source: Uint8Array, at: number, column: CopyColumn): number {
    const first = source[at]!;
    if (first === QUOTE) return this.#writeString(source, at + 1, column.keepsQuotes);
    if (first <= NINE) return this.#writeNumber(source, at, column);
    if (first === 0x6e) return this.#writeLiteral(source, at, NULL_LITERAL, column.nullity);
    if (first === 0x74) return this.#writeLiteral(source, at, TRUE_LITERAL, column.truth);
    if (first === 0x66) return this.#writeLiteral(source, at, FALSE_LITERAL, column.falsity);
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
    // What is below a space is no JSON.
    if (byte !== QUOTE) return SLOW_PATH;
    if (keepsQuotes) bytes[this.length++] = QUOTE;
    return index + 1;
  }

  /** The rest of a string, from its first backslash on. */
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

  /** `at`: after the backslash. */
  #writeEscape(source: Uint8Array, at: number, keepsQuotes: boolean): number {
    const { bytes } = this;
    const letter = source[at]!;
    if (letter === 0x75) return this.#writeCodeUnits(source, at + 1, keepsQuotes);
    if (letter === SLASH) bytes[this.length++] = SLASH;
    else {
      const character = ESCAPED[letter]!;
      if (character === 0) return SLOW_PATH;
      if (keepsQuotes) {
        // JSON's writer escapes it in the same way; its backslash is escaped for COPY.
        bytes[this.length++] = BACKSLASH;
        bytes[this.length++] = BACKSLASH;
        if (letter === BACKSLASH) bytes[this.length++] = BACKSLASH;
        bytes[this.length++] = letter;
      } else this.#writeCharacter(character);
    }
    return at + 1;
  }

  /** `\uXXXX`, or a pair of them. `at`: after the `u`. */
  #writeCodeUnits(source: Uint8Array, at: number, keepsQuotes: boolean): number {
    let code = codeUnit(source, at);
    let end = at + 4;
    if (code >= 0xd800 && code <= 0xdfff) {
      if (code >= 0xdc00 || source[end] !== BACKSLASH || source[end + 1] !== 0x75) return SLOW_PATH;
      const low = codeUnit(source, end + 2);
      if (low < 0xdc00 || low > 0xdfff) return SLOW_PATH;
      code = 0x10000 + ((code - 0xd800) << 10) + low - 0xdc00;
      end += 6;
    }
    // No code unit, or one that PostgreSQL cannot store.
    if (code <= 0) return SLOW_PATH;
    // JSON's writer would escape it again.
    if (keepsQuotes && (code < SPACE || code === QUOTE || code === BACKSLASH)) return SLOW_PATH;
    this.#writeCharacter(code);
    return end;
  }

  #writeCharacter(code: number): void {
    const { bytes } = this;
    if (code < 0x80) {
      const letter = code === TAB ? 0x74 : code === LINE_FEED ? 0x6e : code === CARRIAGE_RETURN ? 0x72 : code;
      if (letter !== code || code === BACKSLASH) bytes[this.length++] = BACKSLASH;
      bytes[this.length++] = letter;
    } else if (code < 0x800) {
      bytes[this.length++] = 0xc0 | (code >> 6);
      bytes[this.length++] = 0x80 | (code & 0x3f);
    } else {
      if (code < 0x10000) bytes[this.length++] = 0xe0 | (code >> 12);
      else {
        bytes[this.length++] = 0xf0 | (code >> 18);
        bytes[this.length++] = 0x80 | ((code >> 12) & 0x3f);
      }
      bytes[this.length++] = 0x80 | ((code >> 6) & 0x3f);
      bytes[this.length++] = 0x80 | (code & 0x3f);
    }
  }

  /** As it is written, or as an integer's digits. */
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
    // An exponent is no end of a value, so that the record takes the slow path.
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

/** By the letter after the backslash; 0 where it is none, and for `/` and `u`. */
const ESCAPED = new Uint8Array(256);
for (const [letter, character] of ['""', '\\\\', 'b\b', 'f\f', 'n\n', 'r\r', 't\t']) {
  ESCAPED[letter!.charCodeAt(0)] = character!.charCodeAt(0);
}

/** Negative where there is none. */
function codeUnit(source: Uint8Array, at: number): number {
  let code = 0;
  for (let index = at; index < at + 4; index += 1) {
    const byte = source[index]!;
    const letter = byte | 0x20;
    if (byte >= ZERO && byte <= NINE) code = 16 * code + byte - ZERO;
    else if (letter >= 0x61 && letter <= 0x66) code = 16 * code + letter - 0x57;
    else return -1;
  }
  return code;
}

/** Whether the column takes the integer in these digits, which begin with 0 only where that is all. */
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
