/** The plain bytes of a file: undoes compression, which is recognised by its first bytes, and refuses what is no table. */

import { InputError } from '../common/errors.js';
import type { ByteChunk } from '../common/chunk-memory.js';
import { containerOf, undo } from './compression/containers.js';
import { describeNotData, isEnoughToTell, notDataOf } from './not-data.js';

const NOTHING = Buffer.alloc(0);

/**
 * Returns the chunks as they are, or what they have compressed.
 *
 * @param name of the file, for errors
 * @throws {InputError} for a file that is no table, by what it is
 */
export async function plainChunks(
  name: string,
  chunks: AsyncGenerator<ByteChunk, void>,
): Promise<AsyncGenerator<ByteChunk, void>> {
  const { head, joined } = await peek(chunks);
  const container = containerOf(head);
  if (container !== undefined) return tableOf(name, undo(container, joined));
  assertTable(name, head);
  return joined;
}

/** The decompressed chunks, if they are a table. */
async function* tableOf(
  name: string,
  chunks: AsyncGenerator<ByteChunk, void>,
): AsyncGenerator<ByteChunk, void> {
  const { head, joined } = await peek(chunks);
  assertTable(name, head);
  yield* joined;
}

function assertTable(name: string, head: Buffer): void {
  const notData = notDataOf(head);
  if (notData !== undefined) throw new InputError(name, undefined, describeNotData(notData));
}

/** Returns enough of the first bytes to tell what they are, and all chunks. */
async function peek(
  chunks: AsyncGenerator<ByteChunk, void>,
): Promise<{ head: Buffer; joined: AsyncGenerator<ByteChunk, void> }> {
  let head: ByteChunk = { bytes: NOTHING };
  while (containerOf(head.bytes) === undefined && !isEnoughToTell(head.bytes)) {
    const { done, value: chunk } = await chunks.next();
    if (done === true) break;
    // A first chunk goes on as it is, with its memory.
    if (head.bytes.length === 0) head = chunk;
    else {
      head.memory?.release();
      chunk.memory?.release();
      head = { bytes: Buffer.concat([head.bytes, chunk.bytes]) };
    }
  }
  return { head: head.bytes, joined: rejoin(head, chunks) };
}

async function* rejoin(
  head: ByteChunk,
  rest: AsyncGenerator<ByteChunk, void>,
): AsyncGenerator<ByteChunk, void> {
  try {
    if (head.bytes.length > 0) yield head;
    yield* rest;
  } finally {
    // Also if only the head was wanted: the package for xz lets nobody else begin until then.
    await rest.return();
  }
}
