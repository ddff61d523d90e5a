/**
 * Undoes bzip2, block by block, by the decoder of the package unbzip2-stream.
 *
 * Its stream is not used: it undoes all blocks that it has been given, and a chunk may hold thousands, of up to 46 MB each.
 */

import type { Decoder } from 'unbzip2-stream/lib/bzip2.js';
import type { ByteChunk } from '../../common/chunk-memory.js';
import { ByteReader } from './byte-reader.js';
import { endsInTheMiddle, isDamaged, optionalPackage } from './compressed-data-error.js';

const CHUNK_BYTES = 256 * 1024;
const LEVEL_BYTES = 100_000;
/** What a compressed block may have beside its bytes: tables, and the end of the stream. */
const OVERHEAD_BYTES = 64 * 1024;

class EndOfBytes extends Error {}

export async function* unbzip(chunks: AsyncIterable<ByteChunk>): AsyncGenerator<ByteChunk, void> {
  const reader = new ByteReader(chunks, 'bzip2');
  const bits = new BitReader();
  const { default: decoder } = await optionalPackage(
    () => import('unbzip2-stream/lib/bzip2.js'),
    'bzip2',
    'unbzip2-stream',
    'bzip2 -dc',
  );
  for (let isFirst = true; ; isFirst = false) {
    await fill(bits, reader, 4);
    if (!isFirst && bits.isAtEnd) return;
    if (!isFirst && !bits.startsWith('BZh')) throw isDamaged('bzip2', 'something follows its end');
    yield* undoStream(decoder, bits, reader);
  }
}

async function* undoStream(
  decoder: Decoder,
  bits: BitReader,
  reader: ByteReader,
): AsyncGenerator<ByteChunk, void> {
  const blockBytes = LEVEL_BYTES * undoing(() => decoder.header(bits.read));
  const block = new Int32Array(blockBytes);
  for (let crc: number | null = 0; ;) {
    await fill(bits, reader, blockBytes + OVERHEAD_BYTES);
    const undone = new Undone();
    const before: number = crc;
    crc = undoing(() => decoder.decompress(bits.read, undone.push, block, blockBytes, before));
    if (crc === null) return;
    for (const bytes of undone.chunks()) yield { bytes };
  }
}

async function fill(bits: BitReader, reader: ByteReader, length: number): Promise<void> {
  const missing = length - bits.leftBytes;
  if (missing > 0) bits.append(await reader.readUpTo(missing));
}

function undoing<T>(decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    if (error instanceof EndOfBytes) throw endsInTheMiddle('bzip2');
    // The decoder's own messages are jokes.
    throw isDamaged(
      'bzip2',
      /crc/.test((error as Error).message) ? 'its checksum differs' : 'it cannot be decoded',
      error,
    );
  }
}

/** Bits, the highest of each byte first. */
class BitReader {
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  /** The last `#held` bits are not read yet. */
  #bits = 0;
  #held = 0;

  get leftBytes(): number {
    return this.#bytes.length - this.#at;
  }

  get isAtEnd(): boolean {
    return this.leftBytes === 0;
  }

  startsWith(text: string): boolean {
    return this.#bytes.toString('latin1', this.#at, this.#at + text.length) === text;
  }

  append(bytes: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes.subarray(this.#at), bytes]);
    this.#at = 0;
  }

  /** Reads up to 32 bits; `null` passes over the rest of a byte. */
  readonly read = (count: number | null): number => {
    if (count === null) {
      // Whole bytes are never held.
      this.#held = 0;
      return 0;
    }
    if (count > 16) return ((this.read(count - 16) << 16) | this.read(16)) >>> 0;
    while (this.#held < count) {
      const byte = this.#bytes[this.#at];
      if (byte === undefined) throw new EndOfBytes();
      this.#at += 1;
      this.#bits = ((this.#bits << 8) | byte) & 0xffffff;
      this.#held += 8;
    }
    this.#held -= count;
    return (this.#bits >>> this.#held) & ((1 << count) - 1);
  };
}

/** What one block has held: bytes that come one by one. */
class Undone {
  readonly #full: Buffer[] = [];
  #chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  #length = 0;

  readonly push = (byte: number): void => {
    if (this.#length === CHUNK_BYTES) {
      this.#full.push(this.#chunk);
      this.#chunk = Buffer.allocUnsafe(CHUNK_BYTES);
      this.#length = 0;
    }
    this.#chunk[this.#length] = byte;
    this.#length += 1;
  };

  *chunks(): Generator<Buffer, void> {
    for (let chunk = this.#full.shift(); chunk !== undefined; chunk = this.#full.shift()) yield chunk;
    yield this.#chunk.subarray(0, this.#length);
  }
}
