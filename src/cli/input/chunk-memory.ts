/**
 * Memory for the chunks of a file, used again once nothing of a chunk is needed any more. Left to the garbage collector, tens of megabytes
 * of chunks that nobody holds would lie about: it runs when its own heap is full, and of that a chunk of bytes takes next to nothing.
 */

export class ChunkPool {
  readonly #chunkBytes: number;
  readonly #free: ChunkMemory[] = [];

  constructor(chunkBytes: number) {
    this.#chunkBytes = chunkBytes;
  }

  /** Held by whoever takes it. What is never released is left to the garbage collector. */
  take(): ChunkMemory {
    const memory = this.#free.pop();
    if (memory !== undefined) {
      memory.hold();
      return memory;
    }
    return new ChunkMemory(Buffer.allocUnsafeSlow(this.#chunkBytes), (free) => this.#free.push(free));
  }
}

/** Its bytes stay as they are for as long as somebody holds it. */
export class ChunkMemory {
  readonly bytes: Buffer;
  readonly #onFree: (memory: ChunkMemory) => void;
  #holders = 1;

  constructor(bytes: Buffer, onFree: (memory: ChunkMemory) => void) {
    this.bytes = bytes;
    this.#onFree = onFree;
  }

  hold(): void {
    this.#holders += 1;
  }

  release(): void {
    // Somebody else's bytes would change.
    if (this.#holders === 0) throw new Error('memory that nobody holds was released');
    this.#holders -= 1;
    if (this.#holders === 0) this.#onFree(this);
  }
}
