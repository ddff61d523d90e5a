/** The input: files and standard input, one after another, as chunks of plain bytes (gzip already undone). */

import { constants, createReadStream, fstatSync, openSync, statSync } from 'node:fs';
import { access, open, stat } from 'node:fs/promises';
import { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { ChunkPool, type ChunkMemory } from './chunk-memory.js';
import { CliError, ExitCode, InputError } from '../common/errors.js';
import { count, counted } from '../common/counted.js';

/** Large enough that the cost of a chunk does not matter, small enough that its rows do not either. */
const CHUNK_BYTES = 256 * 1024;
/** Chunks that are read ahead of the one in work. */
const CHUNKS_AHEAD = 1;

export interface SourceFile {
  /** The path as it was given; `standard input` for `-`. */
  readonly name: string;
  readonly path: string | undefined;
  /** Undefined if it cannot be known: standard input and pipes. */
  readonly sizeBytes: number | undefined;
}

export interface SourceChunk {
  readonly file: SourceFile;
  readonly bytes: Buffer;
  /** Whether the file ends with this chunk. An empty chunk ends each file. */
  readonly last: boolean;
  /** Set if `bytes` are reused when no holder is left. Who receives the chunk holds it, and must release it. */
  readonly memory?: ChunkMemory;
}

/** Bytes of a file, before or after gzip is undone. */
type ByteChunk = Pick<SourceChunk, 'bytes' | 'memory'>;

const NOTHING = Buffer.alloc(0);

/**
 * Finds every file before the first is read, so that a wrong name does not stop a load half way.
 *
 * @throws {InputError} naming the file that is missing, a directory or not readable.
 */
export async function findFiles(paths: readonly string[]): Promise<SourceFile[]> {
  const files: SourceFile[] = [];
  for (const path of paths) files.push(path === '-' ? standardInput() : await findFile(path));
  return files;
}

const STANDARD_INPUT = 'standard input';

function standardInput(): SourceFile {
  // `< events.csv` is a file, whose size is known; a pipe's is not.
  const found = fstatSync(0);
  if (found.isDirectory()) throw new InputError(STANDARD_INPUT, undefined, READING_ERRORS['EISDIR']!);
  const sizeBytes = found.isFile() ? found.size : undefined;
  return { name: STANDARD_INPUT, path: undefined, sizeBytes };
}

async function findFile(path: string): Promise<SourceFile> {
  try {
    const found = await stat(path);
    if (found.isDirectory()) throw new InputError(path, undefined, READING_ERRORS['EISDIR']!);
    await access(path, constants.R_OK);
    return { name: path, path, sizeBytes: found.isFile() ? found.size : undefined };
  } catch (error) {
    throw readingError(path, error);
  }
}

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

  /** The next chunk; undefined at the end of the last file, and after `stop()`. */
  async next(): Promise<SourceChunk | undefined> {
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
    const chunks = this.#counted(this.#rawChunks(file));
    try {
      const head = await headOf(chunks);
      const joined = rejoin(head, chunks);
      const plain = isGzip(head.bytes) ? gunzip(joined) : joined;
      for await (const chunk of plain) yield { file, ...chunk, last: false };
    } finally {
      // Not awaited: a pipe may be waiting for data.
      chunks.return().catch(() => undefined);
    }
  }

  #rawChunks({ name, path, sizeBytes }: SourceFile): AsyncGenerator<ByteChunk, void> {
    if (path !== undefined && sizeBytes !== undefined) return this.#readRegular(name, path, sizeBytes);
    return this.#readStream(() => (path === undefined ? this.#standardInput : openStream(path)));
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

/**
 * Opens what is not a regular file. A named pipe is read through a socket: read as a file, a silent pipe holds a thread, and no signal ends
 * the process.
 */
function openStream(path: string): Readable {
  // Other systems report the end of a pipe that has no writer yet, if it is opened without waiting.
  if (process.platform !== 'linux' || !statSync(path).isFIFO()) {
    return createReadStream(path, { highWaterMark: CHUNK_BYTES });
  }
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  return new Socket({ fd, readable: true, writable: false });
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

/** Returns at least the first two bytes, if there are two: a pipe may deliver one at a time. */
async function headOf(chunks: AsyncGenerator<ByteChunk, void>): Promise<ByteChunk> {
  let head: ByteChunk = { bytes: NOTHING };
  while (head.bytes.length < 2) {
    const { done, value: chunk } = await chunks.next();
    if (done === true) break;
    head = head.bytes.length === 0 ? chunk : { bytes: Buffer.concat([head.bytes, chunk.bytes]) };
  }
  return head;
}

async function* rejoin(head: ByteChunk, rest: AsyncIterable<ByteChunk>): AsyncGenerator<ByteChunk, void> {
  if (head.bytes.length > 0) yield head;
  yield* rest;
}

function isGzip(head: Buffer): boolean {
  return head[0] === 0x1f && head[1] === 0x8b;
}

async function* gunzip(compressed: AsyncIterable<ByteChunk>): AsyncGenerator<ByteChunk, void> {
  const unzipped = createGunzip({ chunkSize: CHUNK_BYTES });
  /** Where the last byte that is not zero was read, counted from 1. */
  let contentBytes = 0;
  async function* measured(): AsyncGenerator<Buffer, void> {
    let readBytes = 0;
    for await (const { bytes } of compressed) {
      let end = bytes.length;
      while (end > 0 && bytes[end - 1] === 0) end -= 1;
      if (end > 0) contentBytes = readBytes + end;
      readBytes += bytes.length;
      yield bytes;
    }
  }
  const feed = Readable.from(measured(), { objectMode: false });
  feed.on('error', (error) => unzipped.destroy(error));
  feed.pipe(unzipped);
  try {
    for await (const bytes of unzipped as AsyncIterable<Buffer>) yield { bytes };
    // Zeros may pad the end. Node's gunzip ends with them and passes over whatever comes after, which may be rows.
    feed.unpipe(unzipped);
    await finished(feed.resume());
    if (contentBytes > unzipped.bytesWritten) throw new TrailingDataError();
  } finally {
    feed.destroy();
  }
}

class TrailingDataError extends Error {
  readonly code = 'Z_DATA_ERROR';

  constructor() {
    super('something follows the zeros after its end');
  }
}

const READING_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  EISDIR: 'is a directory, not a file',
  EACCES: 'may not be read (permission denied)',
  EPERM: 'may not be read (operation not permitted)',
  ENOTDIR: 'no such file (a part of its path is not a directory)',
  EMFILE: 'cannot be opened (too many open files)',
  Z_BUF_ERROR: 'the gzip data ends in the middle (truncated file?)',
  Z_DATA_ERROR: 'the gzip data is damaged',
};

export function readingError(name: string, error: unknown): CliError {
  if (error instanceof CliError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  const reason = READING_ERRORS[code ?? ''];
  const detail =
    code === 'Z_DATA_ERROR' ? `${reason} (${message})` : (reason ?? `cannot be read: ${message}`);
  return code === undefined
    ? new CliError(`${name}: ${detail}`, ExitCode.FAILED, error)
    : new InputError(name, undefined, detail, error);
}
