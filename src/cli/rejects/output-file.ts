/**
 * Opens the file of `--rejects`: the only place where the command line opens a file for writing.
 *
 * | what the path names | what happens |
 * |---|---|
 * | nothing, or a regular file | a new file (0600) is written beside it and renamed to it, so that no other name of the old file changes |
 * | `/dev/stdout`, `/dev/stderr`, `/dev/fd/N` | the descriptor that the process was started with is written to |
 * | a named pipe | it is written to; without a reader it is refused, and not waited for |
 * | a character device, such as `/dev/null` | it is written to |
 * | a symbolic link, a folder, a socket, a block device | it is refused |
 *
 * A symbolic link is never followed in the last part of a path: somebody else may have put it there.
 */

import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  createWriteStream,
  fstatSync,
  openSync,
  readFileSync,
  type Stats,
} from 'node:fs';
import { access, lstat, open, realpath, rename, rm, type FileHandle } from 'node:fs/promises';
import { Socket } from 'node:net';
import path from 'node:path';
import type { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { isatty, WriteStream as TtyStream } from 'node:tty';

/** For the owner only: rejects hold data of the input. */
const MODE = 0o600;
const NEW_FILE =
  constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
/** Without O_NONBLOCK, a named pipe would hold the process until somebody reads from it. */
const EXISTING =
  constants.O_WRONLY | constants.O_APPEND | constants.O_NONBLOCK | constants.O_NOFOLLOW | constants.O_NOCTTY;

/** An open output. Calls must not overlap. */
export interface Output {
  write(text: string): Promise<void>;
  /** Takes back what was written. Undefined if that has left the process. */
  readonly clear?: () => Promise<void>;
  /** Resolves when everything is on the disk, or has left the process. */
  close(): Promise<void>;
}

type Target =
  | { readonly kind: 'file'; readonly folder: string; readonly name: string }
  | { readonly kind: 'descriptor'; readonly fd: number }
  | { readonly kind: 'device' };

/** Why something cannot be written to, as a message for the user. */
export class OutputError extends Error {}

export class OutputFile {
  readonly path: string;
  /** What is there; undefined if there is nothing. */
  readonly found: Stats | undefined;
  readonly #target: Target;
  #opened: Output | undefined;

  private constructor(filePath: string, found: Stats | undefined, target: Target) {
    this.path = filePath;
    this.found = found;
    this.#target = target;
  }

  /**
   * Looks at what is there without touching it.
   *
   * @throws {OutputError} for a kind that is never written to; otherwise the error of the system
   */
  static async check(filePath: string): Promise<OutputFile> {
    const fd = descriptorOf(filePath);
    if (fd !== undefined) {
      const found = fstatSync(fd);
      // A descriptor may be a socket: the parent process connected it.
      if (!found.isSocket()) assertWritableKind(found);
      if (isReadOnly(fd))
        throw new OutputError('is open for reading only; open it for writing, as in 3>file');
      return new OutputFile(filePath, found, { kind: 'descriptor', fd });
    }
    const found = await lstatOf(filePath);
    if (found !== undefined) {
      assertWritableKind(found);
      await access(filePath, constants.W_OK);
      if (!found.isFile()) return new OutputFile(filePath, found, { kind: 'device' });
    }
    if (/[\\/]$/.test(filePath)) throw new OutputError('names a folder, not a file');
    const folder = await realpath(path.dirname(filePath));
    // As a folder, which a file of that name is not.
    await access(`${folder}/.`, constants.W_OK | constants.X_OK);
    return new OutputFile(filePath, found, { kind: 'file', folder, name: path.basename(filePath) });
  }

  /** Whether both would write to the same file or pipe. */
  isSame(other: OutputFile): boolean {
    const [own, others] = [this.#target, other.#target];
    if (own.kind === 'file' && others.kind === 'file')
      return own.folder === others.folder && own.name === others.name;
    const { found } = this;
    if (found === undefined || found.isCharacterDevice()) return false;
    return found.dev === other.found?.dev && found.ino === other.found.ino;
  }

  /** The descriptor that the path stands for, if it is one. */
  get descriptor(): number | undefined {
    return this.#target.kind === 'descriptor' ? this.#target.fd : undefined;
  }

  /**
   * Opens a pipe or device already, so that it is known whether that can be done. A file is opened by `open` only.
   *
   * @throws {OutputError} for a pipe without a reader
   */
  prepare(): void {
    if (this.#target.kind === 'device')
      this.#opened ??= deviceOutput(this.path, this.found?.isFIFO() === true);
  }

  /**
   * Opens the output and writes its beginning. A regular file replaces the old one only after that.
   *
   * @throws {OutputError} if the path has become something else meanwhile, or is a pipe without a reader
   */
  async open(begin: (output: Pick<Output, 'write'>) => Promise<void>): Promise<Output> {
    const target = this.#target;
    if (target.kind === 'file') return replaceFile(target.folder, target.name, begin);
    this.prepare();
    const output = target.kind === 'descriptor' ? descriptorOutput(target.fd) : this.#opened!;
    try {
      await begin(output);
    } catch (error) {
      await output.close().catch(() => undefined);
      throw error;
    }
    return output;
  }
}

/** Names of the process's own descriptors. They are links, but to nothing that anybody else can put there. */
function descriptorOf(filePath: string): number | undefined {
  const name = path.resolve(filePath);
  const standard = ['/dev/stdin', '/dev/stdout', '/dev/stderr'].indexOf(name);
  if (standard !== -1) return standard;
  const digits = /^\/(?:dev|proc\/self|proc\/thread-self)\/fd\/(\d{1,9})$/.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** As far as the system says so, without anything being written. */
function isReadOnly(fd: number): boolean {
  try {
    const flags = /^flags:\s+([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1];
    const access = constants.O_RDONLY | constants.O_WRONLY | constants.O_RDWR;
    return flags !== undefined && (Number.parseInt(flags, 8) & access) === constants.O_RDONLY;
  } catch {
    return false;
  }
}

/** Undefined if nothing is there; whatever else prevents a look is an error. */
async function lstatOf(filePath: string): Promise<Stats | undefined> {
  try {
    return await lstat(filePath);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function assertWritableKind(found: Stats): void {
  if (found.isSymbolicLink())
    throw new OutputError('is a symbolic link, and links are not followed; name the file itself');
  if (found.isDirectory()) throw new OutputError('is a directory, not a file');
  if (found.isSocket()) throw new OutputError('is a socket, not a file');
  if (found.isBlockDevice()) throw new OutputError('is a block device, not a file');
}

async function replaceFile(
  folder: string,
  name: string,
  begin: (output: Pick<Output, 'write'>) => Promise<void>,
): Promise<Output> {
  // Without the target's name, which may already have the greatest length.
  const next = path.join(folder, `.spillway-${randomBytes(8).toString('hex')}.tmp`);
  const handle = await open(next, NEW_FILE, MODE);
  const output = fileOutput(handle);
  try {
    await begin(output);
    await handle.sync();
    await rename(next, path.join(folder, name));
    return output;
  } catch (error) {
    await handle.close();
    await rm(next, { force: true });
    throw error;
  }
}

function fileOutput(handle: FileHandle): Output {
  return {
    write: (text) => handle.appendFile(text),
    clear: () => handle.truncate(),
    close: async () => {
      try {
        await handle.sync();
        const { nlink, size } = await handle.stat();
        if (nlink === 0 && size > 0)
          throw new OutputError('was removed while it was written, and what was in it is lost');
      } finally {
        await handle.close();
      }
    },
  };
}

function deviceOutput(filePath: string, isPipe: boolean): Output {
  const fd = openDevice(filePath, isPipe);
  const found = fstatSync(fd);
  if (found.isFIFO() || found.isCharacterDevice()) return streamOutput(streamFor(fd, found, true), true);
  closeSync(fd);
  throw new OutputError('has become something else');
}

function openDevice(filePath: string, isPipe: boolean): number {
  try {
    // O_NONBLOCK: does not wait for a reader.
    return openSync(filePath, EXISTING);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENXIO' && isPipe)
      throw new OutputError('is a named pipe that nobody reads; start its reader first');
    if (code === 'ELOOP') throw new OutputError('has become a symbolic link');
    throw error;
  }
}

/** Through the same descriptor, not one opened again: of a file, that would begin at its first byte. */
function descriptorOutput(fd: number): Output {
  if (fd === 1) return streamOutput(process.stdout, false);
  if (fd === 2) return streamOutput(process.stderr, false);
  return streamOutput(streamFor(fd, fstatSync(fd), false), false);
}

/** A pipe, a socket or a terminal is written to without holding a thread for as long as its reader is slow. */
function streamFor(fd: number, found: Stats, isOwn: boolean): Writable {
  if (found.isFIFO() || found.isSocket()) return new Socket({ fd, readable: false, writable: true });
  return isatty(fd) ? new TtyStream(fd) : createWriteStream('', { fd, autoClose: isOwn });
}

function streamOutput(stream: Writable, isOwn: boolean): Output {
  // Each write reports its own failure.
  stream.on('error', () => undefined);
  return {
    write: (text) =>
      new Promise((resolve, reject) => {
        stream.write(text, (error) => (error ? reject(error) : resolve()));
      }),
    close: async () => {
      if (!isOwn || stream.destroyed) return;
      stream.end();
      await finished(stream, { readable: false });
    },
  };
}
