/** Identifies the input of an import: by contents and by the flags that say how to read it, not by names or speed. */

import { createHash, type Hash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { InputError } from '../common/errors.js';
import { valueFlagsToJson } from '../values/value-flags.js';
import type { LoadOptions } from '../args/options.js';
import { readingError } from './files/find-files.js';
import type { Source, SourceChunk, SourceFile } from './source.js';

const BLOCK_BYTES = 1024 * 1024;
/** Files up to this size are hashed whole. */
const WHOLE_BYTES = 256 * 1024 * 1024;
/** Blocks of a larger file that are hashed between its first and its last one. */
const BLOCKS_BETWEEN = 256;
/** Bytes that are hashed of input that can be read only once. */
const BEGINNING_BYTES = 64 * 1024;

export interface Fingerprint {
  /** A JSON value. */
  readonly source: object;
  /** The chunks that were given, and those that were pulled for the hash. */
  readonly head: readonly SourceChunk[];
}

/**
 * @param head what was pulled of the source so far
 * @param reading how the input is read, if that was detected: values of JSON
 * @throws {InputError} for a file that cannot be read, or only once and is not the first
 */
export async function fingerprintOf(
  source: Source,
  options: LoadOptions,
  head: readonly SourceChunk[],
  reading?: object,
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
        'can be read only once, and so must be the first with --import: its beginning is compared before any file is loaded',
      );
    }
  }
  const detected = reading === undefined ? undefined : { reading };
  return { source: { files, ...readingFlags(options), ...detected }, head: chunks };
}

function readingFlags(options: LoadOptions): object {
  const {
    format,
    columns,
    maxRecordBytes,
    header,
    delimiter,
    nullText,
    otherNulls,
    nullsFor,
    flags,
    valueFlags,
  } = options;
  const types = Object.entries(options.types).map(([column, { text }]) => [column, text] as const);
  const common = {
    format,
    columns: columns ?? null,
    maxRecordBytes,
    ...(options.nul !== undefined && { nul: options.nul }),
    ...(types.length > 0 && { types: Object.fromEntries(types) }),
    ...(options.normalizeNames && { normalizeNames: true }),
    // CSV has it in its reading.
    ...(format === 'ndjson' && flags.encoding !== undefined && { encoding: flags.encoding }),
  };
  if (format === 'ndjson') return common;
  // Absent as in imports of versions without these flags.
  const others = {
    ...(flags.comment !== undefined && { comment: flags.comment }),
    ...(otherNulls.length > 0 && { otherNulls }),
    ...(Object.keys(nullsFor).length > 0 && { nullsFor }),
    ...(options.trim && { trim: true }),
    ...valueFlagsToJson(valueFlags),
  };
  return { ...common, header, delimiter, null: nullText, ...others };
}

/** Hashes the beginning of the first file, uncompressed. Pulls chunks from the source if `chunks` are too few. */
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

/** Returns where the blocks of a large file begin: spread evenly, the first at its beginning and the last at its end. */
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
