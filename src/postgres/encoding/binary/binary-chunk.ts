/** Writes rows in COPY's binary format. As `ChunkWriter`, but each field has its length before it, and nothing is escaped. */

import { BACKSLASH } from '../../../common/bytes.js';
import { allocateChunk, NONE, TAKEN } from '../text/chunk-writer.js';

/** A value whose binary form might not mean the same as its text. The batch must be sent as text. */
export class BinaryRefusal extends Error {
  override readonly name = 'BinaryRefusal';
}

/** Stands before the first row: signature, flags, length of an extension. */
const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1');
const LENGTH_BYTES = 4;
/** In microseconds, so many are exact as numbers. */
const MOST_EXACT_SECONDS = 9_000_000_000;
/** The first character above those that can end a line. */
const FIRST_PLAIN = 14;
/** From this length on, the built-in encoder is faster than a loop. */
const LONG_TEXT = 32;
/** From this length on, the room for a text is measured. For a shorter one, the most that UTF-8 can take is reserved. */
const MEASURED_FROM = 16 * 1024;
/** The longest row that both formats take. The server's own limits for a row differ between them. */
const LARGEST_ROW_BYTES = 64 * 1024 * 1024;

export class BinaryChunk {
  readonly #columns: number;
  #bytes: Buffer = NONE;
  #view = viewOf(NONE);
  #length = 0;

  /** @param columns fields in each row */
  constructor(columns: number) {
    this.#columns = columns;
    this.#reserve(SIGNATURE.length);
    this.#length = SIGNATURE.copy(this.#bytes);
  }

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
    const needed = this.#length + count;
    if (needed <= this.#bytes.length) return;
    if (needed > LARGEST_ROW_BYTES) throw new BinaryRefusal('a row of more than 64 MiB');
    const larger = allocateChunk(this.#bytes, needed);
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
    this.#view = viewOf(larger);
  }

  startRow(): void {
    this.#reserve(2);
    this.#view.setInt16(this.#length, this.#columns);
    this.#length += 2;
  }

  endField(): void {
    // The field's length was written before it.
  }

  endRow(): void {
    // The next row begins with its number of fields.
  }

  /** Writes the end of the data. To be called once, after the last row. */
  end(): void {
    this.#reserve(2);
    this.#view.setInt16(this.#length, -1);
    this.#length += 2;
  }

  writeNull(): void {
    this.#reserve(LENGTH_BYTES);
    this.#view.setInt32(this.#length, -1);
    this.#length += LENGTH_BYTES;
  }

  /** @throws {BinaryRefusal} always: the binary format cannot name the column's default */
  writeDefault(): void {
    throw new BinaryRefusal('a column that is left to its default');
  }

  writePlain(text: string): void {
    this.writeText(text);
  }

  writeByte(value: number): void {
    const at = this.#field(1);
    this.#bytes[at] = value;
  }

  writeInt16(value: number): void {
    const at = this.#field(2);
    this.#view.setInt16(at, value);
  }

  /** Writes several integers as one field. */
  writeInt16s(values: Int16Array, count: number): void {
    const at = this.#field(2 * count);
    for (let index = 0; index < count; index += 1) this.#view.setInt16(at + 2 * index, values[index]!);
  }

  /** Writes an integer from −2³¹ to 2³² − 1. */
  writeInt32(value: number): void {
    const at = this.#field(4);
    this.#view.setInt32(at, value);
  }

  /** Writes an integer that is exact as a number. */
  writeInt64(value: number): void {
    const at = this.#field(8);
    const high = Math.floor(value / 2 ** 32);
    this.#view.setInt32(at, high);
    this.#view.setUint32(at + 4, value - high * 2 ** 32);
  }

  /** Microseconds of a moment. All are small integers, which cost no object. */
  writeMoment(day: number, secondOfDay: number, microsecond: number): void {
    const at = this.#field(8);
    const seconds = 86_400 * day + secondOfDay;
    if (seconds > MOST_EXACT_SECONDS || seconds < -MOST_EXACT_SECONDS) {
      this.#view.setBigInt64(at, BigInt(seconds) * 1_000_000n + BigInt(microsecond));
      return;
    }
    const value = 1_000_000 * seconds + microsecond;
    const high = Math.floor(value / 2 ** 32);
    this.#view.setInt32(at, high);
    this.#view.setUint32(at + 4, value - high * 2 ** 32);
  }

  writeBigInt64(value: bigint): void {
    const at = this.#field(8);
    this.#view.setBigInt64(at, value);
  }

  writeFloat32(value: number): void {
    const at = this.#field(4);
    // There are many NaNs, and the engine may write any of them. The server has one.
    if (Number.isNaN(value)) this.#view.setUint32(at, 0x7fc0_0000);
    else this.#view.setFloat32(at, value);
  }

  writeFloat64(value: number): void {
    const at = this.#field(8);
    if (Number.isNaN(value)) this.#view.setBigUint64(at, 0x7ff8_0000_0000_0000n);
    else this.#view.setFloat64(at, value);
  }

  writeBytes(data: Uint8Array): void {
    const at = this.#field(data.length);
    this.#bytes.set(data, at);
  }

  /** UTF-8. @param version a byte that the type wants before it @throws {BinaryRefusal} U+0000 or half a surrogate pair */
  writeText(text: string, version?: number): void {
    const count = text.length;
    const before = LENGTH_BYTES + (version === undefined ? 0 : 1);
    if (count >= LONG_TEXT) {
      this.#writeLong(text, before, version);
      return;
    }
    this.#reserve(before + count);
    const bytes = this.#bytes;
    const start = this.#length + before;
    for (let index = 0; index < count; index += 1) {
      const code = text.charCodeAt(index);
      if (code === 0 || code > 127) {
        this.#writeLong(text, before, version);
        return;
      }
      bytes[start + index] = code;
    }
    this.#endText(count, before, version);
  }

  /**
   * Copies a field from a line. Returns where the field ends, or where a byte stands that would be escaped.
   *
   * @param version as of `writeText`
   */
  copyText(line: Uint8Array, start: number, delimiter: number, version?: number): number {
    const before = LENGTH_BYTES + (version === undefined ? 0 : 1);
    this.#reserve(before + LONG_TEXT);
    const bytes = this.#bytes;
    const to = this.#length + before;
    let end = start;
    // Without this check, a text without an end would be read for ever.
    const soon = Math.min(start + LONG_TEXT, line.length);
    for (; end < soon && !endsText(line[end]!, delimiter); end += 1) bytes[to + end - start] = line[end]!;
    if (end === soon) {
      while (end < line.length && !endsText(line[end]!, delimiter)) end += 1;
      this.#reserve(before + end - start);
      this.#bytes.set(line.subarray(start, end), this.#length + before);
    }
    this.#endText(end - start, before, version);
    return end;
  }

  #writeLong(text: string, before: number, version: number | undefined): void {
    if (text.includes('\0') || !text.isWellFormed()) throw new BinaryRefusal('text that cannot be stored');
    this.#reserve(before + (text.length < MEASURED_FROM ? 3 * text.length : Buffer.byteLength(text)));
    this.#endText(this.#bytes.write(text, this.#length + before, 'utf8'), before, version);
  }

  #endText(count: number, before: number, version: number | undefined): void {
    this.#view.setInt32(this.#length, before + count - LENGTH_BYTES);
    if (version !== undefined) this.#bytes[this.#length + LENGTH_BYTES] = version;
    this.#length += before + count;
  }

  /** Returns where the field's bytes belong. */
  #field(count: number): number {
    this.#reserve(LENGTH_BYTES + count);
    const start = this.#length;
    this.#view.setInt32(start, count);
    this.#length = start + LENGTH_BYTES + count;
    return start + LENGTH_BYTES;
  }
}

/** Control characters are among them, because they are rare and include line ends. */
function endsText(byte: number, delimiter: number): boolean {
  return byte === delimiter || byte < FIRST_PLAIN || byte === BACKSLASH;
}

function viewOf({ buffer, byteOffset, length }: Buffer): DataView {
  return new DataView(buffer, byteOffset, length);
}
