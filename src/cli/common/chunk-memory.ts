/**
 * Buffers for the chunks of a file, reused when no reader needs a chunk any more.
 *
 * The garbage collector would leave tens of megabytes of unused chunks: it runs when its own heap is full, and there a chunk takes next to
 * nothing.
 */

export class ChunkPool {
  readonly #chunkBytes: number;
  readonly #free: ChunkMemory[] = [];

  constructor(chunkBytes: number) {
    this.#chunkBytes = chunkBytes;
  }

  /** Returns memory that the caller holds. What is never released is left to the garbage collector. */
  take(): ChunkMemory {
    const memory = this.#free.pop();
    if (memory !== undefined) {
      memory.hold();
      return memory;
    }
    return new ChunkMemory(Buffer.allocUnsafeSlow(this.#chunkBytes), (free) => this.#free.push(free));
  }
}

/** A buffer with a count of holders. Its bytes do not change while there is one. */
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
    // The bytes of another holder would change.
    if (this.#holders === 0) throw new Error('memory that nobody holds was released');
    this.#holders -= 1;
    if (this.#holders === 0) this.#onFree(this);
  }
}

/** Bytes of a file, before or after compression is undone. */
export interface ByteChunk {
  readonly bytes: Buffer;
  /** Set if `bytes` are reused when no holder is left. */
  readonly memory?: ChunkMemory;
}
