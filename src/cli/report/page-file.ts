/** The file of `--report`, of each command: checked before it begins, and written as a whole when it has ended. */

import type { PageContents } from '../../report/page/page.js';
import { ExitCode, isCliError, oneLine, type CliError } from '../common/errors.js';
import { notWritable } from '../rejects/output-check.js';
import type { OutputFile } from '../rejects/output-file.js';

type Head = Pick<PageContents, 'status' | 'lines'>;

/** What a command prints at its end. */
interface Summary {
  readonly exitCode: ExitCode;
  readonly lines: readonly string[];
  readonly error: string | undefined;
  readonly json: object;
}

export class PageFile {
  readonly #file: OutputFile;
  #isWritten = false;

  /**
   * @param file is checked already
   * @throws {CliError} if it cannot be written
   */
  constructor(file: OutputFile) {
    this.#file = file;
    try {
      file.prepare();
    } catch (error) {
      throw notWritable('--report', file.path, error);
    }
  }

  /**
   * Writes the page of a command that has ended. Returns the summary, which says so.
   *
   * @param status how it has ended
   * @param page returns the page below its head
   */
  async write<Ended extends Summary>(
    summary: Ended,
    status: string,
    page: (head: Head) => string,
  ): Promise<Ended> {
    const { exitCode, lines } = summary;
    const text = textOf(summary);
    const kind = exitCode === ExitCode.OK ? 'good' : isDone(summary) ? 'warn' : 'bad';
    try {
      await this.#save(() =>
        page({ status: { kind, text: status }, lines: lines.filter((line) => line !== text) }),
      );
    } catch (error) {
      return withFailure(summary, error as CliError);
    }
    return { ...summary, lines: [...lines, `report: ${this.#file.path}`] };
  }

  /** Writes the page of a command that has failed before its first row or message. Returns the error to report. */
  async writeFailure(
    error: unknown,
    first: 'row' | 'message',
    page: (head: Head, failure: CliError) => string,
  ): Promise<unknown> {
    // A fault of ours is reported as it is, and so is what comes after the page.
    if (!isCliError(error) || this.#isWritten) return error;
    const text = `Failed before its first ${first}: ${oneLine(error.message)}`;
    try {
      await this.#save(() => page({ status: { kind: 'bad', text }, lines: [] }, error));
      return error;
    } catch (second) {
      // The same error, which also says whether the table was emptied.
      return Object.assign(error, { message: `${error.message}; ${(second as CliError).message}` });
    }
  }

  /** @throws {CliError} if the file cannot be written */
  async #save(page: () => string): Promise<void> {
    this.#isWritten = true;
    try {
      const output = await this.#file.open((opened) => opened.write(page()));
      await output.close();
    } catch (error) {
      throw notWritable('--report', this.#file.path, error);
    }
  }
}

/** Returns whether everything was done, rejected rows and dead letters aside. */
export function isDone({ exitCode }: Pick<Summary, 'exitCode'>): boolean {
  return exitCode === ExitCode.OK || exitCode === ExitCode.INCOMPLETE;
}

/** Returns what a summary says first. */
export function textOf({ error, lines }: Pick<Summary, 'error' | 'lines'>): string {
  return error ?? lines[0]!;
}

function withFailure<Ended extends Summary>(summary: Ended, { message }: CliError): Ended {
  const error = summary.error === undefined ? message : `${summary.error}; ${message}`;
  const exitCode = isDone(summary) ? ExitCode.FAILED : summary.exitCode;
  return { ...summary, error, exitCode, json: { ...summary.json, error, exitCode, reportFile: null } };
}
