/**
 * Collects the beginning of a record in one buffer that grows.
 *
 * It takes about as much memory as the record has bytes, however small the slices are in which they come. Memory that is allocated and not
 * written yet is not resident.
 */

import { allocateLarge } from '../../common/large-buffer.js';

const NOTHING = Buffer.alloc(0);
/** Factor of growth. By 2, the garbage would be as long as the record; by 4, it is a third of that. */
const GROWTH = 4;

export class GrowingBuffer {
  readonly #most: number;
  #memory = NOTHING;
  #length = 0;

  /** @param most expected length in bytes; a longer record only costs more copies */
  constructor(most: number) {
    this.#most = most;
  }

  /** A view of all bytes so far. It stays valid after further calls. */
  get bytes(): Buffer {
    return this.#memory.subarray(0, this.#length);
  }

  append(bytes: Buffer): void {
    const needed = this.#length + bytes.length;
    if (needed > this.#memory.length) {
      const larger = allocateLarge(Math.max(needed, Math.min(GROWTH * this.#length, this.#most)));
      this.#memory.copy(larger, 0, 0, this.#length);
      this.#memory = larger;
    }
    bytes.copy(this.#memory, this.#length);
    this.#length = needed;
  }
}
