/** The input: files and standard input, one after another, as chunks of plain bytes (compression already undone). */

import { open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { CARRIAGE_RETURN, LINE_FEED, NUMBER_SIGN, SPACE } from '../../common/bytes.js';
import { ChunkPool, type ChunkMemory } from '../common/chunk-memory.js';
import { InputError } from '../common/errors.js';
import { count, counted } from '../common/counted.js';
import type { ByteChunk } from '../common/chunk-memory.js';
import { containerOf, MAGIC_BYTES } from './compression/containers.js';
import { openStream } from './files/open-stream.js';
import { readingError, type SourceFile } from './files/find-files.js';
import { plainChunks } from './plain-chunks.js';

/** Large enough that the cost of a chunk does not matter, small enough that its rows do not either. */
const CHUNK_BYTES = 256 * 1024;
/** Chunks that are read ahead of the one in work. */
const CHUNKS_AHEAD = 1;
/** Of a pipe: a header, and a record. Blank lines and comments are neither. */
const SAMPLE_LINES = 2;

export type { SourceFile };

export interface SourceChunk {
  readonly file: SourceFile;
  readonly bytes: Buffer;
  /** Whether the file ends with this chunk. An empty chunk ends each file. */
  readonly last: boolean;
  /** Set if `bytes` are reused when no holder is left. Who receives the chunk holds it, and must release it. */
  readonly memory?: ChunkMemory;
}

/** Converts the bytes of one file, slice by slice. */
export interface ByteConverter {
  /** Returns the same object if nothing changes. @throws {InputError} naming the line */
  convert(bytes: Buffer, isLast: boolean): Buffer;
}

/** Reads a file in a way of its own. `onBytes` is told of the bytes that it has read. */
export type ReadContent = (
  file: SourceFile,
  onBytes: (bytes: number) => void,
) => AsyncGenerator<ByteChunk, void>;

export interface Sample {
  readonly bytes: Buffer;
  /** The file ends with the sample. */
  readonly isWhole: boolean;
}

const NOTHING = Buffer.alloc(0);
/** Of a file, besides its beginning: at even distances, the last one at its end. */
const LATER_SLICES = 8;
const LATER_SLICE_BYTES = 16 * 1024;
/** A converter may return many chunks' bytes at once. */
const MOST_CONVERTED_BYTES = 4 * CHUNK_BYTES;

/**
 * The bytes of all files in their order. Chunks can be pulled by `next()`, to look at the beginning, and the rest then read as a stream.
 */
export class Source {
  readonly files: readonly SourceFile[];
  /** Bytes read so far, as they lie in the file (compressed, if they are). */
  bytesRead = 0;
  readonly #standardInput: Readable;
  readonly #chunks: AsyncGenerator<SourceChunk, void>;
  readonly #pool = new ChunkPool(CHUNK_BYTES);
  #open: Readable | undefined;
  #stopped = false;
  /** Chunks of the sample, which `next()` returns again. */
  readonly #sampled: SourceChunk[] = [];
  #createConverter: ((file: SourceFile) => ByteConverter) | undefined;
  #readContent: ReadContent | undefined;
  #converter: ByteConverter | undefined;
  /** The rest of what the converter has returned. */
  #rest: SourceChunk | undefined;

  constructor(files: readonly SourceFile[], standardInput: Readable) {
    this.files = files;
    this.#standardInput = standardInput;
    this.#chunks = this.#readAll();
  }

  /** Bytes of all files; undefined if the size of one is unknown. */
  get totalBytes(): number | undefined {
    let total = 0;
    for (const file of this.files) {
      if (file.sizeBytes === undefined) return undefined;
      total += file.sizeBytes;
    }
    return total;
  }

  /**
   * The beginning of the first file: at least so many bytes, if it has them. Of a pipe, it is what comes first, with two whole lines
   * that may be records: more may come late, and what is there is to be loaded. To be called before `next()`.
   */
  async sample(leastBytes: number): Promise<Sample> {
    const isPipe = this.files[0]!.sizeBytes === undefined;
    let length = 0;
    const counter = new LineCounter();
    let isWhole = false;
    while (length < leastBytes && !isWhole && !(isPipe && counter.lines >= SAMPLE_LINES)) {
      const chunk = await this.#nextRaw();
      if (chunk === undefined) break;
      this.#sampled.push(chunk);
      length += chunk.bytes.length;
      if (isPipe) counter.add(chunk.bytes);
      isWhole = chunk.last;
    }
    return { bytes: Buffer.concat(this.#sampled.map(({ bytes }) => bytes)), isWhole };
  }

  /** Whole lines from the middle and the end of the first file; none if it is compressed or can be read only once. */
  async sampleLater(): Promise<Buffer> {
    const { path, sizeBytes } = this.files[0]!;
    if (path === undefined || sizeBytes === undefined) return NOTHING;
    const file = await open(path);
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(MAGIC_BYTES), 0, MAGIC_BYTES, 0);
      if (containerOf(buffer.subarray(0, bytesRead)) !== undefined) return NOTHING;
      const slices: Buffer[] = [];
      for (let number = 1; number <= LATER_SLICES; number += 1) {
        const start = Math.max(0, Math.floor((sizeBytes / LATER_SLICES) * number) - LATER_SLICE_BYTES);
        const slice = await file.read(Buffer.alloc(LATER_SLICE_BYTES), 0, LATER_SLICE_BYTES, start);
        slices.push(wholeLines(slice.buffer.subarray(0, slice.bytesRead)));
      }
      return Buffer.concat(slices);
    } finally {
      await file.close();
    }
  }

  /** Takes what `read` yields in place of the bytes of each file. To be called before `next()`. */
  readBy(read: ReadContent): void {
    this.#readContent = read;
  }

  /** Whether all of it can be read a second time. */
  get isRereadable(): boolean {
    return this.files.every(({ path, sizeBytes }) => path !== undefined && sizeBytes !== undefined);
  }

  /** The same input from its beginning, converted alike. */
  again(): Source {
    const source = new Source(this.files, this.#standardInput);
    source.#createConverter = this.#createConverter;
    source.#readContent = this.#readContent;
    return source;
  }

  /** Converts all chunks that `next()` returns from now on. */
  convertBy(createConverter: (file: SourceFile) => ByteConverter): void {
    this.#createConverter = createConverter;
  }

  /** The next chunk; undefined at the end of the last file, and after `stop()`. @throws {InputError} */
  async next(): Promise<SourceChunk | undefined> {
    if (this.#rest !== undefined) return this.#nextOfRest(this.#rest);
    const chunk = this.#sampled.shift() ?? (await this.#nextRaw());
    if (chunk === undefined || this.#createConverter === undefined) return chunk;
    const { file, bytes, last, memory } = chunk;
    this.#converter ??= this.#createConverter(file);
    const converted = this.#converter.convert(bytes, last);
    if (last) this.#converter = undefined;
    if (converted.buffer === bytes.buffer) return { ...chunk, bytes: converted };
    memory?.release();
    return this.#nextOfRest({ file, bytes: converted, last });
  }

  #nextOfRest(rest: SourceChunk): SourceChunk {
    const { file, bytes, last } = rest;
    const isMore = bytes.length > MOST_CONVERTED_BYTES;
    this.#rest = isMore ? { file, bytes: bytes.subarray(MOST_CONVERTED_BYTES), last } : undefined;
    return isMore ? { file, bytes: bytes.subarray(0, MOST_CONVERTED_BYTES), last: false } : rest;
  }

  async #nextRaw(): Promise<SourceChunk | undefined> {
    const result = await this.#chunks.next();
    return result.done === true || this.#stopped ? undefined : result.value;
  }

  /** Ends the input where it is, even while a read waits for data. The file that is open gets no last chunk. */
  stop(): void {
    this.#stopped = true;
    this.#open?.destroy();
    // Closes what is open. Its errors no longer matter.
    this.#chunks.return().catch(() => undefined);
  }

  /** A stream of `head`, which was pulled before, and of all that follows. Destroying it stops the source. */
  stream(head: readonly SourceChunk[]): Readable {
    const waiting = [...head];
    const read = async (readable: Readable): Promise<void> => {
      try {
        readable.push(waiting.shift() ?? (await this.next()) ?? null);
      } catch (error) {
        readable.destroy(error as Error);
      }
    };
    return new Readable({
      objectMode: true,
      highWaterMark: CHUNKS_AHEAD,
      read() {
        void read(this);
      },
      destroy: (error, callback) => {
        this.stop();
        callback(error);
      },
    });
  }

  async *#readAll(): AsyncGenerator<SourceChunk, void> {
    for (const file of this.files) {
      try {
        yield* this.#readFile(file);
      } catch (error) {
        if (this.#stopped) return;
        throw readingError(file.name, error);
      }
      if (this.#stopped) return;
      yield { file, bytes: NOTHING, last: true };
    }
  }

  async *#readFile(file: SourceFile): AsyncGenerator<SourceChunk, void> {
    if (this.#readContent !== undefined) {
      const onBytes = (bytes: number): void => void (this.bytesRead += bytes);
      for await (const chunk of this.#readContent(file, onBytes)) yield { file, ...chunk, last: false };
      return;
    }
    const chunks = this.#counted(this.#rawChunks(file));
    try {
      for await (const chunk of await plainChunks(file.name, chunks)) yield { file, ...chunk, last: false };
    } finally {
      // Not awaited: a pipe may be waiting for data.
      chunks.return().catch(() => undefined);
    }
  }

  #rawChunks({ name, path, sizeBytes }: SourceFile): AsyncGenerator<ByteChunk, void> {
    if (path !== undefined && sizeBytes !== undefined) return this.#readRegular(name, path, sizeBytes);
    return this.#readStream(() => (path === undefined ? this.#standardInput : openStream(path, CHUNK_BYTES)));
  }

  /** Reads a regular file, where each read fills a chunk. */
  async *#readRegular(name: string, path: string, sizeBytes: number): AsyncGenerator<ByteChunk, void> {
    const file = await open(path);
    let readBytes = 0;
    try {
      for (;;) {
        const memory = this.#pool.take();
        const { bytesRead } = await file.read(memory.bytes, 0, CHUNK_BYTES);
        readBytes += bytesRead;
        if (bytesRead === CHUNK_BYTES) yield { bytes: memory.bytes, memory };
        else {
          // A copy: many short files would each hold a whole chunk.
          const bytes = Buffer.from(memory.bytes.subarray(0, bytesRead));
          memory.release();
          if (bytesRead === 0) {
            if (readBytes < sizeBytes) assertNotShorter(name, sizeBytes, (await file.stat()).size);
            return;
          }
          yield { bytes };
        }
      }
    } finally {
      await file.close();
    }
  }

  async *#readStream(openRaw: () => Readable): AsyncGenerator<ByteChunk, void> {
    const raw = openRaw();
    this.#open = raw;
    if (this.#stopped) raw.destroy();
    for await (const bytes of raw as AsyncIterable<Buffer>) yield { bytes };
  }

  async *#counted(chunks: AsyncIterable<ByteChunk>): AsyncGenerator<ByteChunk, void> {
    for await (const chunk of chunks) {
      this.bytesRead += chunk.bytes.length;
      yield chunk;
    }
  }
}

/** The lines between the first line break and the last one, of either kind. */
function wholeLines(bytes: Buffer): Buffer {
  const lineEnd = bytes.includes(LINE_FEED) ? LINE_FEED : CARRIAGE_RETURN;
  return bytes.subarray(bytes.indexOf(lineEnd) + 1, bytes.lastIndexOf(lineEnd) + 1);
}

/** Counts lines that may be records, with line breaks of any kind, at most as many as the sample needs. */
class LineCounter {
  lines = 0;
  /** The first byte of the line that is no white space. */
  #first: number | undefined;

  add(bytes: Buffer): void {
    for (let at = 0; at < bytes.length && this.lines < SAMPLE_LINES; at += 1) {
      const byte = bytes[at]!;
      if (byte === LINE_FEED || byte === CARRIAGE_RETURN) {
        if (this.#first !== undefined && this.#first !== NUMBER_SIGN) this.lines += 1;
        this.#first = undefined;
      } else if (byte > SPACE) this.#first ??= byte;
    }
  }
}

/** @throws {InputError} if the file has shrunk. An unchanged size is not checked: files such as Linux's /proc report one that is wrong. */
function assertNotShorter(name: string, before: number, now: number): void {
  if (now >= before) return;
  throw new InputError(
    name,
    undefined,
    `became shorter while it was read: it had ${counted(before, 'byte')} and has ${count(now)}`,
  );
}
