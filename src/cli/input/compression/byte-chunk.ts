/** Bytes of a file, before or after compression is undone. */

import type { ChunkMemory } from '../chunk-memory.js';

export interface ByteChunk {
  readonly bytes: Buffer;
  /** Set if `bytes` are reused when no holder is left. */
  readonly memory?: ChunkMemory;
}
