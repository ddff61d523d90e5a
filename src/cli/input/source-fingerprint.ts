/** What makes a source the same in another run: its contents, and the flags that say what its records are. Neither names nor speed. */

import { createHash, type Hash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { InputError } from '../common/errors.js';
import type { LoadOptions } from '../args/options.js';
import { readingError, type Source, type SourceChunk, type SourceFile } from './source.js';

const BLOCK_BYTES = 1024 * 1024;
/** A file up to this size is read as a whole. */
const WHOLE_BYTES = 256 * 1024 * 1024;
/** Of a larger one its beginning, its end, and this many blocks between. */
const BLOCKS_BETWEEN = 256;
/** Of what can be read only once, as much as it must not have to be longer than. */
const BEGINNING_BYTES = 64 * 1024;

export interface Fingerprint {
  /** In values of JSON. */
  readonly source: object;
  /** The chunks of the source that were given, and those that were pulled beside. */
  readonly head: readonly SourceChunk[];
}

/**
 * @param head what was pulled of the source so far
 * @throws {InputError} for a file that cannot be read, or only once and is not the first
 */
export async function fingerprintOf(
  source: Source,
  options: LoadOptions,
  head: readonly SourceChunk[],
): Promise<Fingerprint> {
  const chunks = [...head];
  const files: object[] = [];
  for (const [index, file] of source.files.entries()) {
    if (file.path !== undefined && file.sizeBytes !== undefined) files.push(await hashFile(file, file.path));
    else if (index === 0) files.push({ beginning: await hashBeginning(source, chunks) });
    else {
      throw new InputError(
        file.name,
        undefined,
        'can be read only once, and so must be the first with --resume: its beginning is looked at before any file is loaded',
      );
    }
  }
  return { source: { files, ...readingFlags(options) }, head: chunks };
}

function readingFlags({ format, columns, maxRecordBytes, header, delimiter, nullText }: LoadOptions): object {
  const common = { format, columns: columns ?? null, maxRecordBytes };
  return format === 'csv' ? { ...common, header, delimiter, null: nullText } : common;
}

/** Plain, if it is compressed: the bytes of the first file that `chunks` begin with, as far as needed. */
async function hashBeginning(source: Source, chunks: SourceChunk[]): Promise<string> {
  const file = source.files[0]!;
  const hash = createHash('sha256');
  let missing = BEGINNING_BYTES;
  for (let index = 0; missing > 0; index += 1) {
    if (index === chunks.length) {
      const next = await source.next();
      if (next === undefined) break;
      chunks.push(next);
    }
    const chunk = chunks[index]!;
    if (chunk.file !== file) break;
    const bytes = chunk.bytes.subarray(0, missing);
    hash.update(bytes);
    missing -= bytes.length;
    if (chunk.last) break;
  }
  return hash.digest('hex');
}

async function hashFile(file: SourceFile, path: string): Promise<object> {
  const hash = createHash('sha256');
  try {
    const handle = await open(path);
    try {
      const { size } = await handle.stat();
      const read = (start: number, length: number) => addBlock(hash, handle, start, length);
      if (size <= WHOLE_BYTES) {
        for (let start = 0; start < size; start += BLOCK_BYTES) await read(start, BLOCK_BYTES);
      } else for (const start of sampleStarts(size)) await read(start, BLOCK_BYTES);
      return { bytes: size, sha256: hash.digest('hex') };
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw readingError(file.name, error);
  }
}

/** Where the blocks of a large file begin: the first at its beginning, the last at its end less one block. */
export function sampleStarts(sizeBytes: number): number[] {
  const last = BLOCKS_BETWEEN + 1;
  return Array.from({ length: last + 1 }, (_, index) =>
    Math.floor(((sizeBytes - BLOCK_BYTES) * index) / last),
  );
}

interface Readable {
  read(buffer: Buffer, offset: number, length: number, position: number): Promise<{ bytesRead: number }>;
}

async function addBlock(hash: Hash, file: Readable, start: number, length: number): Promise<void> {
  const block = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(block, filled, length - filled, start + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  hash.update(block.subarray(0, filled));
}
