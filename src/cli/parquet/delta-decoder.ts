/**
 * Reads integers of Parquet's delta encoding, one at a time.
 *
 * ```text
 *   header       values in a block · miniblocks in it · number of values · first value
 *   block        least delta · a bit width for each miniblock · the miniblocks: each delta less the least one, the lowest bits first
 * ```
 *
 * Sums wrap at the type's own width. Some writers give the first value of an unsigned type as it is, beyond the range of the signed type.
 *
 * Source: "Delta Encoding" in the format's documentation.
 */

import type { RawNumber } from './value-text.js';

const SAFE = Number.MAX_SAFE_INTEGER;
/** Deltas of so many bits are added as numbers, which are faster. */
const MOST_NUMBER_BITS = 48;

export class DeltaDecoder {
  readonly count: number;
  readonly #bytes: Buffer;
  /** Of the type: 32 or 64. */
  readonly #bits: 32 | 64;
  readonly #perMiniblock: number;
  readonly #miniblocks: number;
  #at: number;
  #value: RawNumber;
  #taken = 0;
  #leastDelta: RawNumber = 0;
  #widths: Buffer = Buffer.alloc(0);
  #miniblock = 0;
  /** Of the miniblock. */
  #left = 0;
  #width = 0;
  /** In bits, from the beginning of the miniblock. */
  #bitAt = 0;

  /** @param most values that the page has */
  constructor(bytes: Buffer, start: number, bits: 32 | 64, most: number) {
    this.#bytes = bytes;
    this.#bits = bits;
    this.#at = start;
    const perBlock = Number(this.#varint());
    this.#miniblocks = Number(this.#varint());
    this.count = Number(this.#varint());
    this.#value = this.#wrapped(this.#zigzag());
    this.#perMiniblock = perBlock / this.#miniblocks;
    this.#miniblock = this.#miniblocks;
    const isAllowed = this.#perMiniblock > 0 && this.#perMiniblock % 8 === 0;
    if (this.count > 1 && !isAllowed) throw new Error('blocks of deltas have a length that is not allowed');
    // Values that are all alike take no bytes: nothing else would end them.
    if (this.count > most) throw new Error('deltas have more values than their page');
  }

  next(): RawNumber {
    if (this.#taken === this.count) throw new Error('the values of a page end too early');
    this.#taken += 1;
    if (this.#taken === 1) return this.#value;
    if (this.#left === 0) this.#beginMiniblock();
    this.#left -= 1;
    const width = this.#width;
    const rest = width === 0 ? 0 : this.#bitsOf(width);
    this.#bitAt += width;
    this.#value = this.#sum(this.#value, rest);
    return this.#value;
  }

  /** Passes all values that are left. Returns where the bytes behind them begin. */
  end(): number {
    while (this.#taken < this.count) this.next();
    return this.#at;
  }

  #beginMiniblock(): void {
    if (this.#miniblock === this.#miniblocks) {
      this.#leastDelta = this.#zigzag();
      this.#widths = this.#bytes.subarray(this.#at, this.#at + this.#miniblocks);
      this.#at += this.#miniblocks;
      this.#miniblock = 0;
    }
    this.#width = this.#widths.readUInt8(this.#miniblock);
    this.#miniblock += 1;
    this.#left = this.#perMiniblock;
    this.#bitAt = 8 * this.#at;
    // The last one may be cut short, but not before the values that it has.
    this.#at += (this.#width * this.#perMiniblock) / 8;
  }

  #sum(value: RawNumber, rest: RawNumber): RawNumber {
    const least = this.#leastDelta;
    if (typeof value === 'number' && typeof least === 'number' && typeof rest === 'number') {
      const sum = value + least + rest;
      if (this.#bits === 32)
        return Math.abs(sum) <= SAFE ? sum | 0 : this.#wrapped(BigInt(value) + BigInt(least) + BigInt(rest));
      if (Math.abs(sum) <= SAFE && Math.abs(value + least) <= SAFE) return sum;
    }
    return this.#wrapped(BigInt(value) + BigInt(least) + BigInt(rest));
  }

  #wrapped(value: RawNumber): RawNumber {
    if (typeof value === 'number' && this.#bits === 64) return value;
    const wrapped = BigInt.asIntN(this.#bits, BigInt(value));
    const number = Number(wrapped);
    return Number.isSafeInteger(number) ? number : wrapped;
  }

  #bitsOf(width: number): RawNumber {
    const at = this.#bitAt >>> 3;
    const shift = this.#bitAt & 7;
    const bytes = this.#bytes;
    const last = at + ((shift + width + 7) >> 3);
    if (last > bytes.length) throw new Error('the values of a page end too early');
    if (width + shift <= 24) {
      const word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16);
      return (word >>> shift) & ((1 << width) - 1);
    }
    if (width + shift <= MOST_NUMBER_BITS)
      return Math.floor(bytes.readUIntLE(at, last - at) / 2 ** shift) % 2 ** width;
    let value = 0n;
    for (let index = last - 1; index >= at; index -= 1) value = (value << 8n) | BigInt(bytes[index]!);
    return BigInt.asUintN(width, value >> BigInt(shift));
  }

  #varint(): RawNumber {
    let value = 0;
    for (let shift = 0; shift < 49; shift += 7) {
      const byte = this.#bytes.readUInt8(this.#at++);
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    let large = BigInt(value);
    for (let shift = 49n; shift < 70n; shift += 7n) {
      const byte = this.#bytes.readUInt8(this.#at++);
      large |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, large);
    }
    throw new Error('a number in a page has no end');
  }

  #zigzag(): RawNumber {
    const value = this.#varint();
    if (typeof value === 'number') return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
    return (value >> 1n) ^ -(value & 1n);
  }
}

/** Returns a function for the texts of a page that gives their lengths, and then all of them. */
export function deltaLengths(bytes: Buffer, start: number, most: number): () => Buffer {
  const lengths = new DeltaDecoder(bytes, start, 32, most);
  let at = new DeltaDecoder(bytes, start, 32, most).end();
  return () => {
    const from = at;
    at += Number(lengths.next());
    if (at > bytes.length || at < from) throw new Error('the values of a page end too early');
    return bytes.subarray(from, at);
  };
}

/** The same for texts that begin as the one before: with the lengths of what they share with it. */
export function deltaBytes(bytes: Buffer, start: number, most: number): () => Buffer {
  const shared = new DeltaDecoder(bytes, start, 32, most);
  const suffix = deltaLengths(bytes, new DeltaDecoder(bytes, start, 32, most).end(), most);
  let before: Buffer = Buffer.alloc(0);
  return () => {
    const length = Number(shared.next());
    if (length > before.length || length < 0) throw new Error('a value begins as one that is shorter');
    const rest = suffix();
    before = length === 0 ? rest : Buffer.concat([before.subarray(0, length), rest]);
    return before;
  };
}
