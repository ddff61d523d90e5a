/** Undoes xz, of one stream or several, by the package xz-decompress: xz-embedded as WebAssembly. */

import { ReadableStream } from 'node:stream/web';
import type { ByteChunk } from '../../common/chunk-memory.js';
import { ByteReader } from './byte-reader.js';
import { CompressedDataError, endsInTheMiddle, isDamaged, optionalPackage } from './compressed-data-error.js';

const SLICE_BYTES = 64 * 1024;
/** Numbers of xz-embedded, which are in the messages of the package. */
const CUT_SHORT = /code 8$/;
/** The kind of check, a dictionary of more than 64 MiB, a filter. */
const NOT_SUPPORTED = /code [246]$/;

type Xz = new (compressed: ReadableStream<Uint8Array>) => ReadableStream<Uint8Array>;

export async function* unxz(chunks: AsyncIterable<ByteChunk>): AsyncGenerator<ByteChunk, void> {
  const reader = new ByteReader(chunks, 'xz');
  const module = await optionalPackage(() => import('xz-decompress'), 'xz', 'xz-decompress', 'xz -dc');
  const { XzReadableStream } = ('default' in module ? module.default : module) as { XzReadableStream: Xz };
  const compressed = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const slice = await reader.readSome(SLICE_BYTES);
        if (slice === undefined) controller.close();
        else controller.enqueue(slice);
      },
    },
    { highWaterMark: 0 },
  );
  try {
    for await (const bytes of new XzReadableStream(compressed)) {
      if (bytes.length > 0) yield { bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length) };
    }
  } catch (error) {
    throw xzError(error);
  }
}

function xzError(error: unknown): unknown {
  const { message } = error as Error;
  if (CUT_SHORT.test(message)) return endsInTheMiddle('xz');
  if (NOT_SUPPORTED.test(message)) {
    return new CompressedDataError(
      'the xz data needs more than the package xz-decompress can do; give it to: xz -dc FILE | spillway load - …',
      { cause: error },
    );
  }
  // Errors of the file, and of who reads, pass.
  return message.startsWith('get_next_output') ? isDamaged('xz', 'it cannot be decoded', error) : error;
}
