/**
 * Undoes a zip archive of one entry, in the order of its bytes, so that it may come from a pipe.
 *
 * ```text
 * [local header · data · (descriptor)] …  directory of the entries
 * ```
 *
 * The bytes are those of APPNOTE.TXT, 4.3. Node's zlib inflates the data.
 */

import { Readable } from 'node:stream';
import { createInflateRaw, type InflateRaw } from 'node:zlib';
import type { ByteChunk } from '../../common/chunk-memory.js';
import { ByteReader } from './byte-reader.js';
import { CompressedDataError, endsInTheMiddle, isDamaged } from './compressed-data-error.js';
import { crc32 } from './crc.js';
import { assertNoDocument, assertOneEntry, isTableEntry } from './zip-entries.js';

const LOCAL_HEADER = 0x04034b50;
const DESCRIPTOR = 0x08074b50;
const DIRECTORY = 0x02014b50;
const END_OF_DIRECTORY = 0x06054b50;
const ZIP64_END_OF_DIRECTORY = 0x06064b50;
const ENDS: readonly number[] = [DIRECTORY, END_OF_DIRECTORY, ZIP64_END_OF_DIRECTORY];

const STORED = 0;
const DEFLATED = 8;
const HAS_DESCRIPTOR = 8;
const IS_ENCRYPTED = 1;
const ZIP64_SIZE = 0xffffffff;
const ZIP64_EXTRA = 1;
const CHUNK_BYTES = 256 * 1024;
const SLICE_BYTES = 64 * 1024;

interface Entry {
  readonly name: string;
  readonly flags: number;
  readonly method: number;
  readonly crc: number;
  readonly compressedBytes: number;
  readonly isZip64: boolean;
}

export async function* unzip(chunks: AsyncIterable<ByteChunk>): AsyncGenerator<ByteChunk, void> {
  const reader = new ByteReader(chunks, 'zip');
  const names: string[] = [];
  for (let entry = await nextEntry(reader); entry !== undefined; entry = await nextEntry(reader)) {
    const isTable = isTableEntry(entry.name);
    if (isTable) names.push(entry.name);
    // The second entry of a pipe is known only after the first.
    if (names.length > 1) assertOneEntry(names);
    else assertNoDocument(names);
    for await (const bytes of undoEntry(reader, entry)) if (isTable) yield { bytes };
  }
  assertOneEntry(names);
}

/** Returns undefined where the directory begins, which is read to its end. */
async function nextEntry(reader: ByteReader): Promise<Entry | undefined> {
  const signature = (await reader.read(4)).readUInt32LE();
  if (ENDS.includes(signature)) {
    await assertHasEnd(reader, signature);
    return undefined;
  }
  if (signature !== LOCAL_HEADER) throw isDamaged('zip', 'no entry where one must begin');
  const header = await reader.read(26);
  const name = (await reader.read(header.readUInt16LE(22))).toString();
  const extra = await reader.read(header.readUInt16LE(24));
  const flags = header.readUInt16LE(2);
  if ((flags & IS_ENCRYPTED) !== 0) {
    throw new CompressedDataError(`its entry "${name}" is encrypted: unpack it first, with: unzip FILE`);
  }
  const short = header.readUInt32LE(14);
  const zip64 = zip64Of(extra);
  const isZip64 = zip64 !== undefined;
  const compressedBytes =
    short === ZIP64_SIZE && isZip64 && zip64.length >= 16 ? Number(zip64.readBigUInt64LE(8)) : short;
  return {
    name,
    flags,
    method: header.readUInt16LE(4),
    crc: header.readUInt32LE(10),
    compressedBytes,
    isZip64,
  };
}

function zip64Of(extra: Buffer): Buffer | undefined {
  for (let at = 0; at + 4 <= extra.length; at += 4 + extra.readUInt16LE(at + 2)) {
    if (extra.readUInt16LE(at) === ZIP64_EXTRA)
      return extra.subarray(at + 4, at + 4 + extra.readUInt16LE(at + 2));
  }
  return undefined;
}

/** Without its end, the archive is cut short: entries may be missing. */
async function assertHasEnd(reader: ByteReader, signature: number): Promise<void> {
  if (signature === END_OF_DIRECTORY) {
    await reader.read(18);
    return;
  }
  let last = Buffer.alloc(0);
  const end = Buffer.alloc(4);
  end.writeUInt32LE(END_OF_DIRECTORY);
  for (
    let slice = await reader.readSome(SLICE_BYTES);
    slice !== undefined;
    slice = await reader.readSome(SLICE_BYTES)
  ) {
    last = Buffer.concat([last, slice]).subarray(-(22 + 0xffff));
  }
  const at = last.lastIndexOf(end);
  reader.unread(at === -1 ? Buffer.alloc(0) : last.subarray(at));
  await reader.read(22);
}

async function* undoEntry(reader: ByteReader, entry: Entry): AsyncGenerator<Buffer, void> {
  const { method, flags } = entry;
  const hasDescriptor = (flags & HAS_DESCRIPTOR) !== 0;
  if (method !== DEFLATED && (method !== STORED || (hasDescriptor && entry.compressedBytes === 0))) {
    throw new CompressedDataError(
      `its entry "${entry.name}" is compressed in a way that is not supported (method ${method}); give it to: unzip -p FILE | spillway load - …`,
    );
  }
  let crc = 0;
  for await (const bytes of method === STORED
    ? reader.slices(entry.compressedBytes)
    : inflate(reader, entry, hasDescriptor)) {
    crc = crc32(bytes, crc);
    yield bytes;
  }
  const expected = hasDescriptor ? await readDescriptor(reader, entry.isZip64) : entry.crc;
  if (crc !== expected) throw isDamaged('zip', `the checksum of "${entry.name}" differs`);
}

/** Returns the CRC. Its signature may be missing. */
async function readDescriptor(reader: ByteReader, isZip64: boolean): Promise<number> {
  let crc = (await reader.read(4)).readUInt32LE();
  if (crc === DESCRIPTOR) crc = (await reader.read(4)).readUInt32LE();
  await reader.read(isZip64 ? 16 : 8);
  return crc;
}

/** Inflates data to its own end, and puts back what follows. */
async function* inflate(
  reader: ByteReader,
  entry: Entry,
  hasDescriptor: boolean,
): AsyncGenerator<Buffer, void> {
  const inflater = createInflateRaw({ chunkSize: CHUNK_BYTES });
  const given = new Given(inflater);
  const slices = given.through(hasDescriptor ? slicesToEnd(reader) : reader.slices(entry.compressedBytes));
  const feed = Readable.from(slices, { objectMode: false, highWaterMark: SLICE_BYTES });
  feed.on('error', (error) => inflater.destroy(error));
  feed.pipe(inflater);
  try {
    yield* inflater as AsyncIterable<Buffer>;
  } catch (error) {
    if (error instanceof CompressedDataError) throw error;
    if ((error as NodeJS.ErrnoException).code === 'Z_BUF_ERROR') throw endsInTheMiddle('zip');
    throw isDamaged('zip', (error as Error).message, error);
  } finally {
    feed.unpipe(inflater);
    feed.destroy();
    // A slice that is on its way belongs to what follows.
    await slices.return();
  }
  const rest = given.rest();
  if (!hasDescriptor && rest.length > 0) throw isDamaged('zip', `"${entry.name}" ends before its data does`);
  reader.unread(rest);
}

async function* slicesToEnd(reader: ByteReader): AsyncGenerator<Buffer, void> {
  for (;;) {
    const slice = await reader.readSome(SLICE_BYTES);
    if (slice === undefined) return;
    yield slice;
  }
}

/** Slices that an inflater was given and has not used yet. */
class Given {
  readonly #inflater: InflateRaw;
  #slices: Buffer[] = [];
  #bytes = 0;

  constructor(inflater: InflateRaw) {
    this.#inflater = inflater;
  }

  async *through(slices: AsyncGenerator<Buffer, void>): AsyncGenerator<Buffer, void> {
    for await (const slice of slices) {
      this.#slices.push(slice);
      this.#bytes += slice.length;
      this.#dropUsed();
      yield slice;
    }
  }

  rest(): Buffer {
    this.#dropUsed();
    const unused = this.#bytes - this.#inflater.bytesWritten;
    const kept = Buffer.concat(this.#slices);
    return kept.subarray(kept.length - unused);
  }

  #dropUsed(): void {
    let kept = this.#slices.reduce((sum, { length }) => sum + length, 0);
    while (
      this.#slices.length > 0 &&
      kept - this.#slices[0]!.length >= this.#bytes - this.#inflater.bytesWritten
    ) {
      kept -= this.#slices.shift()!.length;
    }
  }
}
