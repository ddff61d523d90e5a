/** Reads a JSON array and writes PostgreSQL's array literal, byte by byte: strings for its elements would take several times as long. Pure. */

import {
  BACKSLASH,
  CLOSING_BRACE,
  CLOSING_BRACKET,
  COMMA,
  LETTER_U,
  MINUS,
  NINE,
  OPENING_BRACE,
  OPENING_BRACKET,
  QUOTE,
  ZERO,
} from '../../../common/bytes.js';
import { isAscii } from 'node:buffer';
import { checkText } from '../../../postgres/encoding/text/chunk-writer.js';
import { codePointAt, ESCAPED_BYTES, escapeLength, isHalf, writeUtf8 } from './json-text.js';

/** In place of the bracket that opens an array of nothing but arrays, once these are marked: JSON has no such byte. */
export const MARKED_BRACKET = 0x01;

/** In characters. A loop writes a shorter text faster than the built-in encoder. */
const SHORT_TEXT = 48;

/** Each part that is written is at most as long as what it is read from; for others, room is made. */
export class LiteralBytes {
  readonly #json: string;
  readonly #source: Buffer;
  /** Places in the string are those in its bytes. */
  readonly #isAscii: boolean;
  #at = 0;
  #bytes: Buffer;
  #length = 0;

  /** @param json without white space, with escapes as JSON's writer makes them */
  constructor(json: string) {
    this.#json = json;
    this.#source = Buffer.from(json);
    this.#isAscii = isAscii(this.#source);
    this.#bytes = Buffer.allocUnsafeSlow(this.#source.length);
  }

  get isAtEnd(): boolean {
    return this.#at === this.#source.length;
  }

  get next(): number {
    return this.#source[this.#at]!;
  }

  get literal(): string {
    return this.#bytes.toString('utf8', 0, this.#length);
  }

  /** A bracket becomes a brace. */
  writeBrace(): void {
    this.#bytes[this.#length++] = this.next + 0x20;
    this.#at += 1;
  }

  /** A comma becomes the type's delimiter. */
  writeDelimiter(delimiter: number): void {
    this.#bytes[this.#length++] = delimiter;
    this.#at += 1;
  }

  writeNull(): void {
    this.#length += this.#bytes.write('NULL', this.#length);
    this.#at += 4;
  }

  /** Copies a number. @returns `false` if it has more digits, or a point or an exponent and `mostDigits` is finite: then nothing was done */
  copyNumber(mostDigits: number): boolean {
    const source = this.#source;
    const start = this.#at;
    const first = source[start] === MINUS ? start + 1 : start;
    let end = first;
    while (source[end]! >= ZERO && source[end]! <= NINE) end += 1;
    if (end === first || end - first > mostDigits) return false;
    if (source[end] !== COMMA && source[end] !== CLOSING_BRACKET) {
      if (mostDigits !== Infinity) return false;
      end = scalarEnd(source, end);
    }
    const bytes = this.#bytes;
    let to = this.#length;
    for (let at = start; at < end; at += 1) bytes[to++] = source[at]!;
    this.#length = to;
    this.#at = end;
    return true;
  }

  /** Writes a string between quotes. @throws {ValueFault} for half of a surrogate pair */
  writeText(): void {
    const source = this.#source;
    const bytes = this.#bytes;
    let at = this.#at + 1;
    let to = this.#length;
    bytes[to++] = QUOTE;
    for (;;) {
      const byte = source[at]!;
      if (byte === QUOTE) break;
      if (byte !== BACKSLASH) {
        bytes[to++] = byte;
        at += 1;
        continue;
      }
      let code = ESCAPED_BYTES[source[at + 1]!]!;
      if (source[at + 1] === LETTER_U) {
        code = codePointAt(source, at);
        if (isHalf(code)) checkText(String.fromCharCode(code));
        at += escapeLength(code);
      } else at += 2;
      if (code === QUOTE || code === BACKSLASH) bytes[to++] = BACKSLASH;
      to = writeUtf8(bytes, to, code);
    }
    bytes[to++] = QUOTE;
    this.#length = to;
    this.#at = at + 1;
  }

  /** Returns the next value, and skips it. */
  takeValue(): string {
    const start = this.#at;
    this.#at = valueEnd(this.#source, start);
    return this.#isAscii ? this.#json.slice(start, this.#at) : this.#source.toString('utf8', start, this.#at);
  }

  /** Writes the next value between quotes, as JSON. */
  writeJson(): void {
    const end = valueEnd(this.#source, this.#at);
    this.#reserve(2 * (end - this.#at) + 2);
    this.#length = writeQuoted(this.#source, this.#at, end, this.#bytes, this.#length);
    this.#at = end;
  }

  /** Writes a text that is not part of the array. @throws {ValueFault} if it cannot be stored */
  write(text: string): void {
    this.#reserve(3 * text.length);
    if (text.length > SHORT_TEXT || !this.#writesAscii(text)) {
      checkText(text);
      this.#length += this.#bytes.write(text, this.#length);
    }
  }

  /** Returns `false`, with nothing done, if there is another character. */
  #writesAscii(text: string): boolean {
    const bytes = this.#bytes;
    const start = this.#length;
    for (let index = 0; index < text.length; index += 1) {
      const code = text.charCodeAt(index);
      if (code === 0 || code > 0x7f) return false;
      bytes[start + index] = code;
    }
    this.#length = start + text.length;
    return true;
  }

  #reserve(count: number): void {
    const needed = this.#length + count + this.#source.length - this.#at;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(2 * needed);
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}

/** Returns where a value ends that is neither a string nor an array nor an object. */
function scalarEnd(source: Uint8Array, start: number): number {
  let end = start;
  while (source[end] !== COMMA && source[end] !== CLOSING_BRACKET) end += 1;
  return end;
}

/** Returns where a JSON value ends that is part of an array. */
export function valueEnd(source: Uint8Array, start: number): number {
  if (source[start] !== QUOTE && !opens(source[start]!)) return scalarEnd(source, start);
  let levels = 0;
  let isText = false;
  let at = start;
  do {
    const byte = source[at]!;
    if (byte === QUOTE) isText = !isText;
    else if (isText) at += byte === BACKSLASH ? 1 : 0;
    else if (opens(byte)) levels += 1;
    else if (byte === CLOSING_BRACE || byte === CLOSING_BRACKET) levels -= 1;
    at += 1;
  } while (isText || levels > 0);
  return at;
}

function opens(byte: number): boolean {
  return byte === OPENING_BRACE || byte === OPENING_BRACKET || byte === MARKED_BRACKET;
}

/** Writes the JSON between two places as an element in quotes. Returns where it ends. */
export function writeQuoted(
  source: Uint8Array,
  start: number,
  end: number,
  bytes: Uint8Array,
  length: number,
): number {
  let to = length;
  bytes[to++] = QUOTE;
  for (let at = start; at < end; at += 1) {
    const byte = source[at]!;
    if (byte === QUOTE || byte === BACKSLASH) bytes[to++] = BACKSLASH;
    bytes[to++] = byte === MARKED_BRACKET ? OPENING_BRACKET : byte;
  }
  bytes[to++] = QUOTE;
  return to;
}
