/**
 * The beginning of a record, as one buffer that grows: however small the pieces are in which it comes, it takes about as much memory as it has
 * bytes. What was allocated and not written yet takes none.
 */

const NOTHING = Buffer.alloc(0);
/** Doubling would leave as much garbage as the record has bytes; with this it is a third. */
const GROWTH = 4;

export class GrowingBuffer {
  readonly #most: number;
  #memory = NOTHING;
  #length = 0;

  /** @param most so many bytes are expected at the most; more only cost more copies */
  constructor(most: number) {
    this.#most = most;
  }

  /** All that was appended, as they lie here: valid after further calls, too. */
  get bytes(): Buffer {
    return this.#memory.subarray(0, this.#length);
  }

  append(bytes: Buffer): void {
    const needed = this.#length + bytes.length;
    if (needed > this.#memory.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(needed, Math.min(GROWTH * this.#length, this.#most)));
      this.#memory.copy(larger, 0, 0, this.#length);
      this.#memory = larger;
    }
    bytes.copy(this.#memory, this.#length);
    this.#length = needed;
  }
}
