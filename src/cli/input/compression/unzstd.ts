/**
 * Undoes zstd, frame by frame (RFC 8878): by Node's own zlib if it has zstd, else by the package fzstd.
 *
 * The frames are taken apart here: Node's zstd ends after the first one, and reports neither a second one nor data that is cut short.
 */

import { Readable } from 'node:stream';
import zlib from 'node:zlib';
import type { Decompress as Fzstd } from 'fzstd';
import type { XXHash } from 'xxhash-wasm';
import type { ByteChunk } from '../../common/chunk-memory.js';
import { ByteReader } from './byte-reader.js';
import { CompressedDataError, isDamaged, optionalPackage } from './compressed-data-error.js';

const FRAME = 0xfd2fb528;
/** The lowest of 16 numbers. */
const SKIPPABLE_FRAME = 0x184d2a50;
const LARGEST_WINDOW_BYTES = 32 * 1024 * 1024;
const CHECKSUM_FLAG = 4;
const CHUNK_BYTES = 256 * 1024;
/** A block of three bytes may hold 128 KiB, and fzstd undoes at once whatever it gets. */
const FZSTD_SLICE_BYTES = 128;

type UndoFrame = (frame: AsyncGenerator<Buffer, void>) => AsyncGenerator<Buffer, void>;

export async function* unzstd(chunks: AsyncIterable<ByteChunk>): AsyncGenerator<ByteChunk, void> {
  const reader = new ByteReader(chunks, 'zstd');
  const undo = await undoFrame();
  for (;;) {
    const magic = await reader.readUpTo(4);
    if (magic.length === 0) return;
    reader.unread(magic);
    const number = (await reader.read(4)).readUInt32LE();
    if (number === FRAME) for await (const bytes of undoOne(undo, frameOf(reader))) yield { bytes };
    else if (number >>> 4 === SKIPPABLE_FRAME >>> 4) await skipFrame(reader);
    else throw isDamaged('zstd', 'something follows its end');
  }
}

async function* undoOne(undo: UndoFrame, frame: AsyncGenerator<Buffer, void>): AsyncGenerator<Buffer, void> {
  try {
    yield* undo(frame);
  } catch (error) {
    if (error instanceof CompressedDataError) throw error;
    throw isDamaged('zstd', (error as Error).message, error);
  }
}

async function skipFrame(reader: ByteReader): Promise<void> {
  const length = (await reader.read(4)).readUInt32LE();
  const slices = reader.slices(length);
  while ((await slices.next()).done !== true);
}

/**
 * Yields the bytes of one frame, with its magic number: header, blocks, checksum.
 *
 * @throws {CompressedDataError} if the input ends before
 */
async function* frameOf(reader: ByteReader): AsyncGenerator<Buffer, void> {
  const magic = Buffer.alloc(4);
  magic.writeUInt32LE(FRAME);
  const descriptor = await reader.read(1);
  const flags = descriptor[0]!;
  const isSingleSegment = (flags & 0x20) !== 0;
  const sizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][flags >> 6]!;
  const header = await reader.read((isSingleSegment ? 0 : 1) + [0, 1, 2, 4][flags & 3]! + sizeBytes);
  assertWindow(isSingleSegment ? sizeOf(header.subarray(header.length - sizeBytes)) : windowOf(header[0]!));
  yield Buffer.concat([magic, descriptor, header]);
  for (let isLast = false; !isLast;) {
    const block = await reader.read(3);
    const fields = block.readUIntLE(0, 3);
    isLast = (fields & 1) !== 0;
    yield block;
    // A run is one byte, however long.
    yield* reader.slices(((fields >> 1) & 3) === 1 ? 1 : fields >> 3);
  }
  if ((flags & CHECKSUM_FLAG) !== 0) yield await reader.read(4);
}

function windowOf(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + (base / 8) * (descriptor & 7);
}

/** The content's size, which is the window's if the frame is a single segment. */
function sizeOf(field: Buffer): number {
  if (field.length === 8) return Number(field.readBigUInt64LE());
  return field.readUIntLE(0, field.length) + (field.length === 2 ? 256 : 0);
}

function assertWindow(bytes: number): void {
  if (bytes <= LARGEST_WINDOW_BYTES) return;
  throw new CompressedDataError(
    'the zstd data needs a window of more than 32 MiB; give it to: zstd -dc --long=31 FILE | spillway load - …',
  );
}

async function undoFrame(): Promise<UndoFrame> {
  const { createZstdDecompress } = zlib as unknown as {
    createZstdDecompress?: (options: object) => NodeJS.ReadWriteStream & Readable;
  };
  if (createZstdDecompress !== undefined) {
    return (frame) => throughNode(frame, createZstdDecompress({ chunkSize: CHUNK_BYTES }));
  }
  const [{ Decompress }, { default: xxhash }] = await optionalPackage(
    () => Promise.all([import('fzstd'), import('xxhash-wasm')]),
    'zstd',
    'fzstd xxhash-wasm',
    'zstd -dc',
  );
  const hashes = await xxhash();
  return (frame) => throughFzstd(frame, Decompress, hashes.create64());
}

async function* throughNode(
  frame: AsyncGenerator<Buffer, void>,
  stream: NodeJS.ReadWriteStream & Readable,
): AsyncGenerator<Buffer, void> {
  const feed = Readable.from(frame, { objectMode: false });
  feed.on('error', (error) => stream.destroy(error));
  feed.pipe(stream);
  try {
    yield* stream as AsyncIterable<Buffer>;
  } finally {
    feed.destroy();
  }
}

/** fzstd does not look at the checksum. */
async function* throughFzstd(
  frame: AsyncGenerator<Buffer, void>,
  Decompress: typeof Fzstd,
  hash: XXHash<bigint>,
): AsyncGenerator<Buffer, void> {
  let undone: Uint8Array[] = [];
  let last: Buffer | undefined;
  let hasChecksum: boolean | undefined;
  const decompress = new Decompress((bytes) => undone.push(bytes));
  const takeUndone = (): Buffer => {
    const bytes = Buffer.concat(undone);
    undone = [];
    hash.update(bytes);
    return bytes;
  };
  for await (const piece of frame) {
    hasChecksum ??= (piece[4]! & CHECKSUM_FLAG) !== 0;
    last = piece;
    for (let start = 0; start < piece.length; start += FZSTD_SLICE_BYTES) {
      // A copy: what is incomplete is kept, and the chunk may be reused.
      decompress.push(new Uint8Array(piece.subarray(start, start + FZSTD_SLICE_BYTES)));
      if (undone.length > 0) yield takeUndone();
    }
  }
  decompress.push(new Uint8Array(0), true);
  if (undone.length > 0) yield takeUndone();
  // The frame ends with the lower half.
  const checksum = Number(hash.digest() & 0xffffffffn);
  if (hasChecksum === true && last!.readUInt32LE() !== checksum)
    throw isDamaged('zstd', 'its checksum differs');
}
