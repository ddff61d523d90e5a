/** Compressed files, by their first bytes. What undoes them is loaded when it is needed. */

import type { ByteChunk } from '../../common/chunk-memory.js';
import { gunzip } from './gunzip.js';

export type Container = 'gzip' | 'zstd' | 'xz' | 'bzip2' | 'zip';

type Undo = (chunks: AsyncGenerator<ByteChunk, void>) => AsyncGenerator<ByteChunk, void>;

/** The longest magic number, of bzip2. */
export const MAGIC_BYTES = 10;
/** Latin-1. */
const MAGICS: readonly (readonly [string, Container])[] = [
  ['\x1f\x8b', 'gzip'],
  ['\x28\xb5\x2f\xfd', 'zstd'],
  // A frame to skip, which parallel compressors begin with.
  ['\x50\x2a\x4d\x18', 'zstd'],
  ['\xfd7zXZ\0', 'xz'],
  ['PK\x03\x04', 'zip'],
  // An empty one.
  ['PK\x05\x06', 'zip'],
];
/** A block, and the end of an empty file: hexadecimal digits of π, and of its square root. */
const BZIP2_MARKS = ['1AY&SY', '\x17rE8P\x90'];

export function containerOf(head: Buffer): Container | undefined {
  const bytes = head.toString('latin1', 0, MAGIC_BYTES);
  if (/^BZh[1-9]/.test(bytes) && BZIP2_MARKS.some((mark) => bytes.startsWith(mark, 4))) return 'bzip2';
  return MAGICS.find(([magic]) => bytes.startsWith(magic))?.[1];
}

const LOADERS: Readonly<Record<Exclude<Container, 'gzip'>, () => Promise<Undo>>> = {
  zstd: async () => (await import('./unzstd.js')).unzstd,
  xz: async () => (await import('./unxz.js')).unxz,
  bzip2: async () => (await import('./unbzip.js')).unbzip,
  zip: async () => (await import('./unzip.js')).unzip,
};

export async function* undo(
  container: Container,
  chunks: AsyncGenerator<ByteChunk, void>,
): AsyncGenerator<ByteChunk, void> {
  const decompress = container === 'gzip' ? gunzip : await LOADERS[container]();
  yield* decompress(chunks);
}
