/**
 * Rows become bytes here, in large chunks, without a string in between: for short values this is several times as fast as joining strings
 * and encoding them.
 */

import { BACKSLASH, LINE_FEED, MINUS, TAB, ZERO } from '../../../common/bytes.js';
import { ValueFault } from './value-fault.js';

/** A chunk is handed on when it holds this much. Smaller ones cost more calls of the system; larger ones delay the server's start. */
export const CHUNK_BYTES = 256 * 1024;
/** Room for the row that goes over the mark, so that a chunk seldom grows. */
const SLACK_BYTES = 8 * 1024;
/** The first chunk grows from this: many batches are small. */
const FIRST_BYTES = 8 * 1024;

/** No memory yet. */
export const NONE = Buffer.alloc(0);
/** None any more: a chunk has been taken. A count of them would change late, and V8 would throw code away that took it for constant. */
export const TAKEN = Buffer.alloc(0);

/** Memory for at least `needed` bytes, in place of `before`. */
export function allocateChunk(before: Buffer, needed: number): Buffer {
  const least = before === TAKEN ? CHUNK_BYTES + SLACK_BYTES : FIRST_BYTES;
  return Buffer.allocUnsafeSlow(Math.max(least, 2 * before.length, needed));
}

/** From this length on, the built-in encoder is faster than a loop. */
const LONG_TEXT = 48;
/** From this length on, room is measured; below, the most that UTF-8 can take is kept free. */
const MEASURED_FROM = 16 * 1024;

const NEEDS_CARE = /[\\\t\n\r\0]/;
const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' };

/** What stands after the backslash, by the byte that is escaped; 0 for all others. */
const ESCAPE_LETTERS = new Uint8Array(256);
for (const [character, escape] of Object.entries(ESCAPES))
  ESCAPE_LETTERS[character.charCodeAt(0)] = escape.charCodeAt(1);

/** More than this is escaped in pieces: `replace` keeps a list of all that it finds, and tens of millions end the process. */
const ESCAPE_PIECE_UNITS = 1024 * 1024;

/** COPY's text format: backslash, tab and line ends escaped. */
export function escapeText(text: string): string {
  if (!NEEDS_CARE.test(text)) return text;
  return text.replace(/[\\\t\n\r]/g, (character) => ESCAPES[character]!);
}

/** @throws {ValueFault} if PostgreSQL could not store the text as it is */
export function checkText(text: string): void {
  if (text.includes('\0'))
    throw new ValueFault('22021', 'holds the character U+0000, which PostgreSQL cannot store');
  // Encoded as it is, U+FFFD would be stored in its place, in silence.
  if (!text.isWellFormed())
    throw new ValueFault('22021', 'holds half of a surrogate pair, which is no character');
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}

function countEscapes(text: string): number {
  if (!NEEDS_CARE.test(text)) return 0;
  let count = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code < 256 && ESCAPE_LETTERS[code] !== 0) count += 1;
  }
  return count;
}

export class ChunkWriter {
  #bytes: Buffer = NONE;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Everything written since the last call. The caller owns it. */
  take(): Buffer {
    const taken = this.#bytes.subarray(0, this.#length);
    this.#bytes = TAKEN;
    this.#length = 0;
    return taken;
  }

  /** Forgets what was written since `length` was this. Only since the last `take()`. */
  rewind(length: number): void {
    this.#length = length;
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const larger = allocateChunk(this.#bytes, this.#length + count);
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }

  startRow(): void {
    // A line begins at the end of the one before.
  }

  endField(): void {
    if (this.#length === this.#bytes.length) this.#reserve(1);
    this.#bytes[this.#length++] = TAB;
  }

  /** In place of the tab after the last field. */
  endRow(): void {
    this.#bytes[this.#length - 1] = LINE_FEED;
  }

  end(): void {
    // The last line has its own end.
  }

  writeNull(): void {
    this.#reserve(2);
    this.#bytes[this.#length++] = BACKSLASH;
    this.#bytes[this.#length++] = 78; // N
  }

  /** The column's default. */
  writeDefault(): void {
    this.#reserve(2);
    this.#bytes[this.#length++] = BACKSLASH;
    this.#bytes[this.#length++] = 68; // D
  }

  /** Any text, escaped. @throws {ValueFault} U+0000 or half a surrogate pair */
  writeText(text: string): void {
    const count = text.length;
    if (count >= LONG_TEXT) {
      this.#writeLong(text);
      return;
    }
    this.#reserve(count);
    const bytes = this.#bytes;
    let at = this.#length;
    for (let index = 0; index < count; index += 1) {
      const code = text.charCodeAt(index);
      if (code < 14 || code === BACKSLASH || code > 127) {
        this.#writeLong(text);
        return;
      }
      bytes[at++] = code;
    }
    this.#length = at;
  }

  #writeLong(text: string): void {
    checkText(text);
    if (text.length <= ESCAPE_PIECE_UNITS) {
      this.#writeEscaped(text);
      return;
    }
    // With the end of the field: a chunk that has to grow is copied as a whole.
    this.#reserve(Buffer.byteLength(text) + countEscapes(text) + 1);
    for (let start = 0; start < text.length;) {
      let end = Math.min(start + ESCAPE_PIECE_UNITS, text.length);
      // Both halves of a surrogate pair belong into one piece.
      if (isLowSurrogate(text.charCodeAt(end))) end += 1;
      this.#writeEscapedBytes(text.slice(start, end));
      start = end;
    }
  }

  /** Byte by byte: `replace` would make a string of each character that it escapes. Room is there. */
  #writeEscapedBytes(text: string): void {
    if (!NEEDS_CARE.test(text)) {
      this.#length += this.#bytes.write(text, this.#length);
      return;
    }
    const from = Buffer.from(text);
    const bytes = this.#bytes;
    let to = this.#length;
    for (let at = 0; at < from.length; at += 1) {
      const byte = from[at]!;
      const letter = ESCAPE_LETTERS[byte]!;
      if (letter !== 0) bytes[to++] = BACKSLASH;
      bytes[to++] = letter === 0 ? byte : letter;
    }
    this.#length = to;
  }

  #writeEscaped(text: string): void {
    const escaped = escapeText(text);
    this.#reserve(escaped.length < MEASURED_FROM ? 3 * escaped.length : Buffer.byteLength(escaped));
    this.#length += this.#bytes.write(escaped, this.#length, 'utf8');
  }

  /** An integer of 32 bits. */
  writeInt32(value: number): void {
    this.#reserve(11);
    const bytes = this.#bytes;
    let rest = value;
    if (rest < 0) {
      bytes[this.#length++] = MINUS;
      rest = -rest;
    }
    let at = this.#length + countDigits(rest);
    this.#length = at;
    do {
      const tenth = Math.floor(rest / 10);
      bytes[--at] = ZERO + rest - 10 * tenth;
      rest = tenth;
    } while (rest > 0);
  }

  /** Text known to be short ASCII without anything to escape. */
  writePlain(text: string): void {
    const count = text.length;
    this.#reserve(count);
    const bytes = this.#bytes;
    let at = this.#length;
    for (let index = 0; index < count; index += 1) bytes[at++] = text.charCodeAt(index);
    this.#length = at;
  }

  /** Bytes as `bytea` in hexadecimal: a backslash (escaped), x, two digits a byte. */
  writeHex(data: Uint8Array): void {
    this.#reserve(3 + 2 * data.length);
    this.#length += this.#bytes.write('\\\\x', this.#length, 'latin1');
    // A whole field may be longer than a string can be.
    const view = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    for (let start = 0; start < view.length; start += HEX_PIECE_BYTES) {
      const piece = view.toString('hex', start, Math.min(view.length, start + HEX_PIECE_BYTES));
      this.#length += this.#bytes.write(piece, this.#length, 'latin1');
    }
  }

  /** `HH:MM:SS[.mmm]`, from the milliseconds since midnight. */
  writeTimeOfDay(milliseconds: number): void {
    this.#reserve(12);
    const seconds = Math.floor(milliseconds / 1000);
    const minutes = Math.floor(seconds / 60);
    const hours = Math.floor(minutes / 60);
    this.#writePair(hours, 58);
    this.#writePair(minutes - 60 * hours, 58);
    const fraction = milliseconds - 1000 * seconds;
    if (fraction === 0) {
      this.#writePair(seconds - 60 * minutes, -1);
      return;
    }
    this.#writePair(seconds - 60 * minutes, 46);
    const hundreds = Math.floor(fraction / 100);
    this.#bytes[this.#length++] = ZERO + hundreds;
    this.#writePair(fraction - 100 * hundreds, -1);
  }

  #writePair(value: number, then: number): void {
    const bytes = this.#bytes;
    const tens = Math.floor(value / 10);
    bytes[this.#length++] = ZERO + tens;
    bytes[this.#length++] = ZERO + value - 10 * tens;
    if (then >= 0) bytes[this.#length++] = then;
  }
}

const HEX_PIECE_BYTES = 1024 * 1024;

function countDigits(value: number): number {
  if (value < 10) return 1;
  if (value < 100) return 2;
  if (value < 1_000) return 3;
  if (value < 10_000) return 4;
  if (value < 100_000) return 5;
  if (value < 1_000_000) return 6;
  if (value < 10_000_000) return 7;
  if (value < 100_000_000) return 8;
  return value < 1_000_000_000 ? 9 : 10;
}
