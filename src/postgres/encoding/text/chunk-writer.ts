/**
 * Writes rows as bytes into large chunks, without strings in between. For short values this is several times as fast as to join strings and
 * encode them.
 */

import { BACKSLASH, LINE_FEED, MINUS, TAB, ZERO } from '../../../common/bytes.js';
import { allocateLarge } from '../../../common/large-buffer.js';
import { ValueFault } from './value-fault.js';

/** A chunk of this size is passed on. Smaller ones cost more system calls; larger ones delay the server's start. */
export const CHUNK_BYTES = 256 * 1024;
/** Room for the row that exceeds the size, so that a chunk seldom grows. */
const SLACK_BYTES = 8 * 1024;
/** Size at which the first chunk starts to grow: many batches are small. */
const FIRST_BYTES = 8 * 1024;

/** The chunk before any memory is allocated. */
export const NONE = Buffer.alloc(0);
/**
 * The chunk after one was taken. A counter in its place would change late, and V8 would throw away code that had taken it for a constant.
 */
export const TAKEN = Buffer.alloc(0);

/** Returns memory for at least `needed` bytes, which replaces `before`. A large chunk grows by little: it is one row of 16 MB, say. */
export function allocateChunk(before: Buffer, needed: number): Buffer {
  const { length } = before;
  const least = before === TAKEN ? CHUNK_BYTES + SLACK_BYTES : FIRST_BYTES;
  const grown = length < CHUNK_BYTES ? 2 * length : length + (length >> 2);
  return allocateLarge(Math.max(least, grown, needed + SLACK_BYTES));
}

/** From this length on, the built-in encoder is faster than a loop. */
const LONG_TEXT = 48;
/** A longer text is measured before it is written. For a shorter one, the most that UTF-8 can take is reserved. */
const MEASURED_FROM = 16 * 1024;
/** A longer text is escaped in place. For a shorter one with few escapes, `replace` is up to four times as fast. */
const IN_PLACE_FROM = 1024 * 1024;

const NEEDS_CARE = /[\\\t\n\r\0]/;
const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' };

/** The letter after the backslash, by the byte that is escaped; 0 for all others. */
const ESCAPE_LETTERS = new Uint8Array(256);
for (const [character, escape] of Object.entries(ESCAPES))
  ESCAPE_LETTERS[character.charCodeAt(0)] = escape.charCodeAt(1);

/** Escapes backslash, tab and line ends, as COPY's text format needs it. */
export function escapeText(text: string): string {
  if (!NEEDS_CARE.test(text)) return text;
  return text.replace(/[\\\t\n\r]/g, (character) => ESCAPES[character]!);
}

/** @throws {ValueFault} if PostgreSQL could not store the text as it is */
export function checkText(text: string): void {
  if (text.includes('\0'))
    throw new ValueFault('22021', 'holds the character U+0000, which PostgreSQL cannot store');
  // The encoder would write U+FFFD in its place, in silence.
  if (!text.isWellFormed())
    throw new ValueFault('22021', 'holds half of a surrogate pair, which is no character');
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

  /** Returns everything that was written since the last call. The caller owns it. */
  take(): Buffer {
    const taken = this.#bytes.subarray(0, this.#length);
    this.#bytes = TAKEN;
    this.#length = 0;
    return taken;
  }

  /** Forgets what was written since `length` had this value, which must be after the last `take()`. */
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
    // Nothing stands between two lines.
  }

  endField(): void {
    if (this.#length === this.#bytes.length) this.#reserve(1);
    this.#bytes[this.#length++] = TAB;
  }

  /** Replaces the tab after the last field. */
  endRow(): void {
    this.#bytes[this.#length - 1] = LINE_FEED;
  }

  end(): void {
    // Nothing follows the last line.
  }

  writeNull(): void {
    this.#reserve(2);
    this.#bytes[this.#length++] = BACKSLASH;
    this.#bytes[this.#length++] = 78; // N
  }

  /** Writes the mark for the column's default. */
  writeDefault(): void {
    this.#reserve(2);
    this.#bytes[this.#length++] = BACKSLASH;
    this.#bytes[this.#length++] = 68; // D
  }

  /** Writes any text, escaped. @throws {ValueFault} for U+0000 or half a surrogate pair */
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
    if (text.length > IN_PLACE_FROM) return this.#writeInPlace(text);
    const escaped = escapeText(text);
    this.#reserve(escaped.length < MEASURED_FROM ? 3 * escaped.length : Buffer.byteLength(escaped));
    this.#length += this.#bytes.write(escaped, this.#length);
  }

  /** Escapes in place, because of a text of 16 MB each copy counts. The bytes are written so far behind that none is overwritten unread. */
  #writeInPlace(text: string): void {
    const escapes = countEscapes(text);
    this.#reserve(Buffer.byteLength(text) + escapes);
    const bytes = this.#bytes;
    let at = this.#length + escapes;
    const end = at + bytes.write(text, at);
    let to = this.#length;
    // From the last escape on, the bytes stand where they belong.
    while (to < at) {
      const byte = bytes[at++]!;
      const letter = ESCAPE_LETTERS[byte]!;
      if (letter !== 0) bytes[to++] = BACKSLASH;
      bytes[to++] = letter === 0 ? byte : letter;
    }
    this.#length = end;
  }

  /** Writes an integer of 32 bits. */
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

  /** Writes a text that is short ASCII and has nothing to escape. */
  writePlain(text: string): void {
    const count = text.length;
    this.#reserve(count);
    const bytes = this.#bytes;
    let at = this.#length;
    for (let index = 0; index < count; index += 1) bytes[at++] = text.charCodeAt(index);
    this.#length = at;
  }

  /** Writes bytes as `bytea` in hexadecimal: a backslash (escaped), x, two digits for each byte. */
  writeHex(data: Uint8Array): void {
    this.#reserve(3 + 2 * data.length);
    this.#length += this.#bytes.write('\\\\x', this.#length, 'latin1');
    // In slices, because a whole field may be longer than a string can be.
    const view = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    for (let start = 0; start < view.length; start += HEX_SLICE_BYTES) {
      const slice = view.toString('hex', start, Math.min(view.length, start + HEX_SLICE_BYTES));
      this.#length += this.#bytes.write(slice, this.#length, 'latin1');
    }
  }

  /** Writes `HH:MM:SS[.mmm]`, from the milliseconds since midnight. */
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

const HEX_SLICE_BYTES = 1024 * 1024;

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
