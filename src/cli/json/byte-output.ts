/** Bytes that are written one after another, into memory that grows. */

const NOTHING = Buffer.alloc(0);

export class ByteOutput {
  /** Written up to `length`. Replaced by `reserve()`. */
  bytes = NOTHING;
  length = 0;

  /** What was written, as a view. */
  get written(): Buffer {
    return this.bytes.subarray(0, this.length);
  }

  /** Makes room for so many more bytes. */
  reserve(more: number): void {
    const needed = this.length + more;
    if (needed <= this.bytes.length) return;
    // Memory that is never written is not resident.
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.length));
    this.bytes.copy(larger, 0, 0, this.length);
    this.bytes = larger;
  }

  append(bytes: Buffer): void {
    this.reserve(bytes.length);
    bytes.copy(this.bytes, this.length);
    this.length += bytes.length;
  }

  appendByte(byte: number): void {
    this.reserve(1);
    this.bytes[this.length] = byte;
    this.length += 1;
  }

  /** Forgets what was written, and keeps the memory. */
  clear(): void {
    this.length = 0;
  }
}
