/** Looks at the beginning of each file, so that one that is no table is refused before a server is asked for anything. */

import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import type { ByteChunk } from './compression/byte-chunk.js';
import { plainChunks } from './plain-chunks.js';
import { readingError, type SourceFile } from './source.js';

const CHUNK_BYTES = 64 * 1024;

/**
 * Pipes are left out: they can be read only once, and are judged when they are read.
 *
 * @throws {InputError}
 */
export async function checkFiles(files: readonly SourceFile[]): Promise<void> {
  for (const file of files) {
    const { name, path, sizeBytes = 0 } = file;
    if (path !== undefined && sizeBytes > 0) await checkFile(name, path);
  }
}

async function checkFile(name: string, path: string): Promise<void> {
  const raw = createReadStream(path, { highWaterMark: CHUNK_BYTES });
  try {
    const plain = await plainChunks(name, chunksOf(raw));
    await plain.next();
    await plain.return();
  } catch (error) {
    throw readingError(name, error);
  } finally {
    raw.destroy();
  }
}

async function* chunksOf(raw: Readable): AsyncGenerator<ByteChunk, void> {
  for await (const bytes of raw as AsyncIterable<Buffer>) yield { bytes };
}
