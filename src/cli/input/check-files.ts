/** Looks at the beginning of each file, so that one that is no table is refused before a server is asked for anything. */

import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import type { ByteChunk } from '../common/chunk-memory.js';
import { containerOf, MAGIC_BYTES } from './compression/containers.js';
import { assertOneEntry } from './compression/zip-entries.js';
import { plainChunks } from './plain-chunks.js';
import { readingError, type SourceFile } from './files/find-files.js';

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
    await assertZipOfOne(path);
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

/** From a file, the directory names all entries before the first one is read. */
async function assertZipOfOne(path: string): Promise<void> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAGIC_BYTES), 0, MAGIC_BYTES, 0);
    if (containerOf(buffer.subarray(0, bytesRead)) !== 'zip') return;
  } finally {
    await file.close();
  }
  const { zipEntriesOf } = await import('./compression/zip-directory.js');
  assertOneEntry(zipEntriesOf(path));
}
