/** The file of rejects: one JSON object on each line, each row once. */

import { CliError } from '../common/errors.js';
import { checkOutput, notWritable } from './output-check.js';
import type { Output, OutputFile } from './output-file.js';
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
    return new RejectFile(await checkOutput('--rejects', filePath, inputs, isStandardOutputTaken), most);
  }

  isSame(file: OutputFile): boolean {
    return this.#file.isSame(file);
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
      throw notWritable('--rejects', this.path, error);
    }
  }

  /** Makes the file, with the lines of earlier runs. @throws {CliError} */
  async start(earlier?: EarlierLines): Promise<void> {
    stopTracingErrors();
    try {
      this.#output = await this.#file.open((output) => this.#writeEarlier(output, earlier));
    } catch (error) {
      throw notWritable('--rejects', this.path, error);
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
      throw notWritable('--rejects', this.path, error);
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
      throw notWritable('--rejects', this.path, error);
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
      throw notWritable('--rejects', this.path, error);
    }
    if (failure !== undefined) throw notWritable('--rejects', this.path, failure);
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
