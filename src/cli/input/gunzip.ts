/** Undoes gzip, which is recognised by its first bytes. */

import { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import type { ChunkMemory } from './chunk-memory.js';

/** Bytes of a file, before or after gzip is undone. */
export interface ByteChunk {
  readonly bytes: Buffer;
  /** Set if `bytes` are reused when no holder is left. */
  readonly memory?: ChunkMemory;
}

const NOTHING = Buffer.alloc(0);
const CHUNK_BYTES = 256 * 1024;

/** Returns the chunks as they are, or what they have compressed. */
export async function plainChunks(
  chunks: AsyncGenerator<ByteChunk, void>,
): Promise<AsyncIterable<ByteChunk>> {
  const head = await headOf(chunks);
  const joined = rejoin(head, chunks);
  return isGzip(head.bytes) ? gunzip(joined) : joined;
}

/** Returns at least the first two bytes, if there are two: a pipe may deliver one at a time. */
async function headOf(chunks: AsyncGenerator<ByteChunk, void>): Promise<ByteChunk> {
  let head: ByteChunk = { bytes: NOTHING };
  while (head.bytes.length < 2) {
    const { done, value: chunk } = await chunks.next();
    if (done === true) break;
    head = head.bytes.length === 0 ? chunk : { bytes: Buffer.concat([head.bytes, chunk.bytes]) };
  }
  return head;
}

async function* rejoin(head: ByteChunk, rest: AsyncIterable<ByteChunk>): AsyncGenerator<ByteChunk, void> {
  if (head.bytes.length > 0) yield head;
  yield* rest;
}

function isGzip(head: Buffer): boolean {
  return head[0] === 0x1f && head[1] === 0x8b;
}

async function* gunzip(compressed: AsyncIterable<ByteChunk>): AsyncGenerator<ByteChunk, void> {
  const unzipped = createGunzip({ chunkSize: CHUNK_BYTES });
  /** Where the last byte that is not zero was read, counted from 1. */
  let contentBytes = 0;
  async function* measured(): AsyncGenerator<Buffer, void> {
    let readBytes = 0;
    for await (const { bytes } of compressed) {
      let end = bytes.length;
      while (end > 0 && bytes[end - 1] === 0) end -= 1;
      if (end > 0) contentBytes = readBytes + end;
      readBytes += bytes.length;
      yield bytes;
    }
  }
  const feed = Readable.from(measured(), { objectMode: false });
  feed.on('error', (error) => unzipped.destroy(error));
  feed.pipe(unzipped);
  try {
    for await (const bytes of unzipped as AsyncIterable<Buffer>) yield { bytes };
    // Zeros may pad the end. Node's gunzip ends with them and passes over whatever comes after, which may be rows.
    feed.unpipe(unzipped);
    await finished(feed.resume());
    if (contentBytes > unzipped.bytesWritten) throw new TrailingDataError();
  } finally {
    feed.destroy();
  }
}

class TrailingDataError extends Error {
  readonly code = 'Z_DATA_ERROR';

  constructor() {
    super('something follows the zeros after its end');
  }
}
