/** Undoes gzip, of one member or several, by Node's zlib. */

import { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import type { ByteChunk } from '../../common/chunk-memory.js';

const CHUNK_BYTES = 256 * 1024;

export async function* gunzip(compressed: AsyncIterable<ByteChunk>): AsyncGenerator<ByteChunk, void> {
  const { createGunzip } = await import('node:zlib');
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
