/** The file of rejects: one JSON object on each line, each row once. */

import { randomBytes } from 'node:crypto';
import { constants, fstatSync, type Stats } from 'node:fs';
import { access, open, realpath, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { CliError, ExitCode } from './errors.js';
import type { SourceFile } from './source.js';

/** Rows may be anybody's: for the owner only. */
const MODE = 0o600;
/** Lines of earlier runs are written in pieces of about this many characters. */
const PIECE_LENGTH = 256 * 1024;

/** Passes on the lines that earlier runs of the import have left. */
export type EarlierLines = (use: (line: string) => Promise<void> | void) => Promise<void>;

export class RejectFile {
  readonly path: string;
  readonly #isPlain: boolean;
  readonly #most: number;
  #count = 0;
  #handle: FileHandle | undefined;
  #writing: Promise<void> = Promise.resolve();

  private constructor(filePath: string, isPlain: boolean, most: number) {
    this.path = filePath;
    this.#isPlain = isPlain;
    this.#most = most;
  }

  /**
   * Makes sure that it can be written, without touching it.
   *
   * @param most more lines than this end the load
   * @throws {CliError} naming it: it cannot be written, or is one of the files that are read, or standard output.
   */
  static async check(filePath: string, inputs: readonly SourceFile[], most = Infinity): Promise<RejectFile> {
    const found = await statOf(filePath);
    try {
      if (found?.isDirectory() === true)
        throw new CliError(`--rejects ${filePath}: is a directory, not a file`);
      if (found !== undefined) await refuseShared(filePath, found, inputs);
      const isPlain = found?.isFile() !== false;
      if (found !== undefined) await access(filePath, constants.W_OK);
      // A new file takes the place of the old one, so that it is never half a list.
      if (isPlain) {
        const target = found === undefined ? filePath : await realpath(filePath);
        // As a folder, which a file of that name is not.
        await access(`${path.dirname(target)}/.`, constants.W_OK | constants.X_OK);
      }
      return new RejectFile(filePath, isPlain, most);
    } catch (error) {
      throw notWritable(filePath, error);
    }
  }

  /** Lines so far, those of earlier runs included. */
  get count(): number {
    return this.#count;
  }

  /** Makes the file, with the lines of earlier runs. @throws {CliError} */
  async start(earlier?: EarlierLines): Promise<void> {
    try {
      this.#handle = this.#isPlain ? await this.#replace(earlier) : await open(this.path, 'a', MODE);
      if (!this.#isPlain) await this.#writeEarlier(this.#handle, earlier);
    } catch (error) {
      throw notWritable(this.path, error);
    }
    this.refuseTooMany();
  }

  /** Resolves when they are written. @throws {CliError} */
  async add(lines: readonly string[]): Promise<void> {
    const text = lines.map((line) => `${line}\n`).join('');
    const handle = this.#handle!;
    // One after another; after a failure nothing more, for the last line may be cut off.
    this.#writing = this.#writing.then(() => handle.appendFile(text));
    this.#writing.catch(() => undefined);
    try {
      await this.#writing;
    } catch (error) {
      throw notWritable(this.path, error);
    }
    this.#count += lines.length;
  }

  /** @throws {CliError} when there are more lines than are bearable */
  refuseTooMany(): void {
    if (this.#count <= this.#most) return;
    throw new CliError(
      `more than --max-rejects ${this.#most} rows were rejected (${this.#count}); see ${this.path}`,
    );
  }

  /** Everything has reached the disk. @throws {CliError} */
  async close(): Promise<void> {
    const handle = this.#handle;
    if (handle === undefined) return;
    this.#handle = undefined;
    try {
      await this.#writing.catch(() => undefined);
      if (this.#isPlain) await handle.sync();
    } catch (error) {
      throw notWritable(this.path, error);
    } finally {
      await handle.close();
    }
  }

  async #replace(earlier: EarlierLines | undefined): Promise<FileHandle> {
    const target = await realpath(this.path).catch(() => this.path);
    const next = `${target}.${randomBytes(6).toString('hex')}.tmp`;
    const handle = await open(next, 'wx', MODE);
    try {
      await this.#writeEarlier(handle, earlier);
      await rename(next, target);
      return handle;
    } catch (error) {
      await handle.close();
      await rm(next, { force: true });
      throw error;
    }
  }

  async #writeEarlier(handle: FileHandle, earlier: EarlierLines | undefined): Promise<void> {
    let text = '';
    await earlier?.(async (line) => {
      text += `${line}\n`;
      this.#count += 1;
      if (text.length < PIECE_LENGTH) return;
      await handle.appendFile(text);
      text = '';
    });
    if (text !== '') await handle.appendFile(text);
  }
}

/** Standard output, and each file that is read, by what they are and not by their names. */
async function refuseShared(filePath: string, found: Stats, inputs: readonly SourceFile[]): Promise<void> {
  const isSame = (other: Stats | undefined): boolean => other?.dev === found.dev && other.ino === found.ino;
  // That swallows everything may be said twice.
  if (isSame(await statOf('/dev/null'))) return;
  for (const input of inputs) {
    if (!isSame(await statOf(input.path ?? 0))) continue;
    throw new CliError(`--rejects ${filePath}: is ${input.name}, which is to be loaded`);
  }
  if (isSame(await statOf(1))) throw new CliError(`--rejects ${filePath}: is standard output`);
}

/** Undefined where there is none; why is found out by whoever needs it. */
async function statOf(file: string | number): Promise<Stats | undefined> {
  try {
    return typeof file === 'string' ? await stat(file) : fstatSync(file);
  } catch {
    return undefined;
  }
}

const WRITING_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: 'its folder does not exist',
  ENOTDIR: 'a part of its path is not a folder',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  EROFS: 'the file system is read-only',
  ENOSPC: 'no space is left on the device',
  EDQUOT: 'the quota is used up',
  EPIPE: 'its reader has gone',
};

function notWritable(filePath: string, error: unknown): CliError {
  if (error instanceof CliError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  const reason = WRITING_ERRORS[code ?? ''] ?? message;
  return new CliError(`--rejects ${filePath}: cannot be written: ${reason}`, ExitCode.FAILED, error);
}
