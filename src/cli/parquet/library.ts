/** Loads the package that knows the format, and what undoes the compression of pages. */

import zlib from 'node:zlib';
import type { CompressionCodec } from 'hyparquet';
import { isMissingModule } from '../input/compression/compressed-data-error.js';
import { InputError } from '../common/errors.js';

export type Library = Awaited<ReturnType<typeof importLibrary>>;
export type Decompress = (bytes: Buffer, length: number) => Uint8Array;

async function importLibrary() {
  const [{ parquetMetadataAsync, snappyUncompress }, { parquetHeader }] = await Promise.all([
    import('hyparquet'),
    import('hyparquet/src/column.js'),
  ]);
  return { parquetMetadataAsync, snappyUncompress, parquetHeader };
}

/** @throws {InputError} naming the package, if it is missing */
export function loadLibrary(file: string): Promise<Library> {
  return optional(file, importLibrary, 'is a Parquet file', 'hyparquet');
}

const NODE_ZSTD = (zlib as { zstdDecompressSync?: (bytes: Buffer, options: object) => Buffer })
  .zstdDecompressSync;

/** @throws {InputError} for a codec that is not supported, or whose package is missing */
export async function loadCodec(
  file: string,
  codec: CompressionCodec,
  { snappyUncompress }: Library,
): Promise<Decompress> {
  switch (codec) {
    case 'UNCOMPRESSED':
      return (bytes) => bytes;
    case 'SNAPPY':
      return (bytes, length) => {
        const plain = Buffer.allocUnsafeSlow(length);
        snappyUncompress(bytes, plain);
        return plain;
      };
    case 'GZIP':
      return (bytes, length) => zlib.gunzipSync(bytes, { maxOutputLength: length });
    case 'BROTLI':
      return (bytes, length) => zlib.brotliDecompressSync(bytes, { maxOutputLength: length });
    case 'ZSTD':
      if (NODE_ZSTD !== undefined) return (bytes, length) => NODE_ZSTD(bytes, { maxOutputLength: length });
      return fromPackage(file, codec);
    case 'LZ4':
    case 'LZ4_RAW':
      return fromPackage(file, codec);
    case 'LZO':
      throw new InputError(file, undefined, `its pages are compressed by ${codec}, which is not supported`);
  }
}

async function fromPackage(file: string, codec: 'ZSTD' | 'LZ4' | 'LZ4_RAW'): Promise<Decompress> {
  const what = `has pages compressed by ${codec.replace('_RAW', '').toLowerCase()}`;
  const { compressors } = await optional(
    file,
    () => import('hyparquet-compressors'),
    what,
    'hyparquet-compressors',
  );
  return compressors[codec]!;
}

async function optional<T>(file: string, load: () => Promise<T>, what: string, name: string): Promise<T> {
  try {
    return await load();
  } catch (error) {
    if (!isMissingModule(error)) throw error;
    throw new InputError(file, undefined, `${what}, which needs a package: npm install ${name}`, error);
  }
}
