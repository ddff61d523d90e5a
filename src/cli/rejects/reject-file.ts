/** The file of rejects: one JSON object on each line, each row once. */

import { fstatSync, type Stats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { CliError, ExitCode } from '../common/errors.js';
import { OutputFile, OutputError, type Output } from './output-file.js';
import { counted } from '../common/counted.js';
import type { SourceFile } from '../input/source.js';

/** Characters of earlier runs' lines that are written at a time. */
const WRITE_LENGTH = 256 * 1024;

/** Passes on the lines that earlier runs of the import have left. */
export type EarlierLines = (use: (line: string) => Promise<void> | void) => Promise<void>;

export interface RejectFileOptions {
  /** More lines than this end the load. Default: no limit. */
  readonly most?: number | undefined;
  /** Standard output is for `--json`. Default `false`. */
  readonly isStandardOutputTaken?: boolean;
}

export class RejectFile {
  readonly path: string;
  readonly #file: OutputFile;
  readonly #most: number;
  #count = 0;
  #output: Output | undefined;
  #writing: Promise<void> = Promise.resolve();

  private constructor(file: OutputFile, most: number) {
    this.path = file.path;
    this.#file = file;
    this.#most = most;
  }

  /**
   * Checks that the file can be written, without touching it.
   *
   * @throws {CliError} naming the file if it cannot be written, is an input, or is standard output or standard error
   */
  static async check(
    filePath: string,
    inputs: readonly SourceFile[],
    { most = Infinity, isStandardOutputTaken = false }: RejectFileOptions = {},
  ): Promise<RejectFile> {
    try {
      // First, as the name of an input may be a link.
      await assertNotInput(filePath, inputs);
      const file = await OutputFile.check(filePath);
      await assertNotOwnOutput(file, isStandardOutputTaken);
      return new RejectFile(file, most);
    } catch (error) {
      throw notWritable(filePath, error);
    }
  }

  /** Lines so far, those of earlier runs included. */
  get count(): number {
    return this.#count;
  }

  /** Opens a pipe or a device, before anything is changed in the database. @throws {CliError} */
  prepare(): void {
    try {
      this.#file.prepare();
    } catch (error) {
      throw notWritable(this.path, error);
    }
  }

  /** Makes the file, with the lines of earlier runs. @throws {CliError} */
  async start(earlier?: EarlierLines): Promise<void> {
    stopTracingErrors();
    try {
      this.#output = await this.#file.open((output) => this.#writeEarlier(output, earlier));
    } catch (error) {
      throw notWritable(this.path, error);
    }
    this.assertWithinLimit();
  }

  /** Whether the lines that were written can be taken back, if there are any. */
  get canStartOver(): boolean {
    return this.#count === 0 || this.#output?.clear !== undefined;
  }

  /** Takes back all lines, those of earlier runs included. @throws {CliError} */
  async startOver(): Promise<void> {
    await this.written();
    if (this.#count === 0) return;
    this.#count = 0;
    try {
      await this.#output?.clear?.();
    } catch (error) {
      throw notWritable(this.path, error);
    }
  }

  /** Resolves when they are written. @throws {CliError} */
  async add(lines: readonly string[]): Promise<void> {
    this.queue(lines);
    await this.written();
  }

  /** Counts the lines, and writes them after those before. */
  queue(lines: readonly string[]): void {
    const text = lines.map((line) => `${line}\n`).join('');
    const output = this.#output!;
    this.#count += lines.length;
    // After a failure nothing more is written, for the last line may be cut off.
    this.#writing = this.#writing.then(() => output.write(text));
    this.#writing.catch(() => undefined);
  }

  /** Resolves when all lines up to here are written. @throws {CliError} */
  async written(): Promise<void> {
    try {
      await this.#writing;
    } catch (error) {
      throw notWritable(this.path, error);
    }
  }

  /** @throws {CliError} if there are more lines than `--max-rejects` */
  assertWithinLimit(): void {
    if (this.#count <= this.#most) return;
    throw new CliError(
      `${counted(this.#count, 'row')} ${this.#count === 1 ? 'was' : 'were'} rejected, more than --max-rejects ${this.#most}; see ${this.path}`,
    );
  }

  /** Resolves when everything has reached the disk. @throws {CliError} */
  async close(): Promise<void> {
    const output = this.#output;
    if (output === undefined) return;
    this.#output = undefined;
    const failure = await this.#writing.then(
      () => undefined,
      (error: unknown) => error,
    );
    try {
      await output.close();
    } catch (error) {
      throw notWritable(this.path, error);
    }
    if (failure !== undefined) throw notWritable(this.path, failure);
  }

  async #writeEarlier(output: Pick<Output, 'write'>, earlier: EarlierLines | undefined): Promise<void> {
    let text = '';
    await earlier?.(async (line) => {
      text += `${line}\n`;
      this.#count += 1;
      if (text.length < WRITE_LENGTH) return;
      await output.write(text);
      text = '';
    });
    if (text !== '') await output.write(text);
  }
}

/**
 * Turns off stack traces. Each rejected row makes several errors: without traces, a load of which every row is bad is five times as fast
 * and takes half the memory.
 */
export function stopTracingErrors(): void {
  Error.stackTraceLimit = 0;
}

/** Compares files by device and inode, not by name. */
const isSame = (one: Stats | undefined, other: Stats | undefined): boolean =>
  one !== undefined && one.dev === other?.dev && one.ino === other.ino;

async function assertNotInput(filePath: string, inputs: readonly SourceFile[]): Promise<void> {
  const found = await statOf(filePath);
  // A terminal may be both, and so may /dev/null.
  if (found === undefined || found.isCharacterDevice()) return;
  for (const input of inputs) {
    if (!isSame(found, await statOf(input.path ?? 0))) continue;
    throw new CliError(`--rejects ${filePath}: is ${input.name}, which is to be loaded`);
  }
}

/** A file that our own output goes to would be replaced by another, and what is printed would be lost. */
async function assertNotOwnOutput(
  { path, found, descriptor }: OutputFile,
  isStandardOutputTaken: boolean,
): Promise<void> {
  const isPlain = descriptor === undefined && found?.isFile() === true;
  if (descriptor === 0) throw new CliError(`--rejects ${path}: is standard input`);
  if (descriptor === 1 && isStandardOutputTaken)
    throw new CliError(`--rejects ${path}: is standard output, which is for --json`);
  if (isPlain && isSame(found, await statOf(1)))
    throw new CliError(`--rejects ${path}: is standard output; give /dev/stdout`);
  if (isPlain && isSame(found, await statOf(2)))
    throw new CliError(`--rejects ${path}: is standard error; give /dev/stderr`);
}

/** Returns undefined if there is no such file; opening it will report why. */
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
  ENAMETOOLONG: 'its name is too long',
  ELOOP: 'its path has too many symbolic links',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  EROFS: 'the file system is read-only',
  ENOSPC: 'no space is left on the device',
  EDQUOT: 'the quota is used up',
  EPIPE: 'its reader has gone',
  ENXIO: 'no such device is there',
  EBADF: 'no such descriptor is open for writing',
};

function notWritable(filePath: string, error: unknown): CliError {
  if (error instanceof CliError) return error;
  if (error instanceof OutputError)
    return new CliError(`--rejects ${filePath}: ${error.message}`, ExitCode.FAILED, error);
  const { code, message } = error as NodeJS.ErrnoException;
  const reason = WRITING_ERRORS[code ?? ''] ?? message;
  return new CliError(`--rejects ${filePath}: cannot be written: ${reason}`, ExitCode.FAILED, error);
}
