/**
 * Reads Parquet's hybrid of runs and bit-packed groups: levels, places in a dictionary, and booleans.
 *
 * ```text
 *   run          varint: length << 1       then the value, in as few bytes as its width takes
 *   bit-packed   varint: groups << 1 | 1   then 8 values for each group, the lowest bits first
 * ```
 *
 * Values come one at a time: one run may stand for all values of a file, and as an array they would take its memory.
 *
 * Source: "Run Length Encoding / Bit-Packing Hybrid" in the format's documentation.
 */

export class HybridDecoder {
  readonly #bytes: Buffer;
  readonly #end: number;
  readonly #width: number;
  #at: number;
  #runLeft = 0;
  #runValue = 0;
  #packedLeft = 0;
  /** In bits, from the beginning of the group's bytes. */
  #packedAt = 0;
  #packedStart = 0;

  /** @param width of a value, in bits */
  constructor(bytes: Buffer, start: number, end: number, width: number) {
    if (width > 32 || end > bytes.length) throw new Error('levels or places of values are damaged');
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    this.#width = width;
  }

  next(): number {
    while (this.#runLeft === 0) {
      if (this.#packedLeft > 0) return this.#nextPacked();
      this.#begin();
    }
    this.#runLeft -= 1;
    return this.#runValue;
  }

  #begin(): void {
    // All values are 0, and nothing is written.
    if (this.#width === 0) {
      this.#runLeft = Infinity;
      return;
    }
    const header = this.#varint();
    const length = Math.floor(header / 2);
    if (header % 2 === 0) {
      this.#runLeft = length;
      this.#runValue = 0;
      const bytes = (this.#width + 7) >> 3;
      for (let index = 0; index < bytes; index += 1) this.#runValue += this.#byte() * 2 ** (8 * index);
      return;
    }
    this.#packedLeft = 8 * length;
    this.#packedAt = 0;
    this.#packedStart = this.#at;
    // Writers may cut the last group short.
    this.#at += length * this.#width;
  }

  #nextPacked(): number {
    const width = this.#width;
    const at = this.#packedStart + (this.#packedAt >>> 3);
    const shift = this.#packedAt & 7;
    if (at >= this.#end) throw new Error('levels or places of values end too early');
    const bytes = this.#bytes;
    this.#packedLeft -= 1;
    this.#packedAt += width;
    if (width + shift <= 8) return (bytes[at]! >>> shift) & ((1 << width) - 1);
    if (width + shift <= 24) {
      const word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16);
      return (word >>> shift) & ((1 << width) - 1);
    }
    let value = 0;
    for (let index = 0; index < 5; index += 1) value += (bytes[at + index] ?? 0) * 2 ** (8 * index);
    return Math.floor(value / 2 ** shift) % 2 ** width;
  }

  #varint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.#byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  }

  #byte(): number {
    if (this.#at >= this.#end) throw new Error('levels or places of values end too early');
    return this.#bytes[this.#at++]!;
  }
}
