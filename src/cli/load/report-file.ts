/** The file of `--report`: checked before a load begins, and written as a whole when it has ended. */

import { systemClock } from '../../common/clock.js';
import type { LoadOptions } from '../args/options.js';
import { CliError, ExitCode, isCliError, oneLine } from '../common/errors.js';
import type { SourceFile } from '../input/source.js';
import { checkOutput, notWritable } from '../rejects/output-check.js';
import type { OutputFile } from '../rejects/output-file.js';
import type { RejectFile } from '../rejects/reject-file.js';
import { causeOfReject } from '../rejects/reject.js';
import { earlyFailureJson } from '../report/load-json.js';
import type { LoadEnding, LoadReport } from '../report/load-report.js';
import type { LoadOutcome, LoadSummary } from '../report/summary.js';
import type { LoadColumn } from '../table/table.js';
import type { LoadSink, RejectedRow } from '../write/load-sink.js';

export class ReportFile {
  readonly #file: OutputFile;
  readonly #options: LoadOptions;
  readonly #report: LoadReport;
  #isWritten = false;
  /** Counts rejects by their cause. */
  readonly onRejects = (rejected: readonly RejectedRow[]): void => {
    for (const found of rejected) {
      const { code, message } = causeOfReject(...found);
      this.#report.addReject(code, message);
    }
  };

  private constructor(file: OutputFile, options: LoadOptions, report: LoadReport) {
    this.#file = file;
    this.#options = options;
    this.#report = report;
  }

  /**
   * Returns undefined if no report is asked for.
   *
   * @throws {CliError} if the file cannot be written, or has another purpose
   */
  static async open(
    options: LoadOptions,
    inputs: readonly SourceFile[],
    rejects: RejectFile | undefined,
  ): Promise<ReportFile | undefined> {
    const { report, json } = options;
    if (report === undefined) return undefined;
    const file = await checkOutput('--report', report, inputs, json);
    if (rejects?.isSame(file) === true)
      throw new CliError(`--report ${report}: is the file of --rejects, under another name`);
    try {
      file.prepare();
    } catch (error) {
      throw notWritable('--report', report, error);
    }
    const { LoadReport } = await import('../report/load-report.js');
    return new ReportFile(file, options, new LoadReport(options, inputs, systemClock));
  }

  watch(sink: LoadSink): void {
    this.#report.watch(sink);
  }

  /** Writes the page. Returns the summary, which says so. */
  async write(
    outcome: LoadOutcome,
    summary: LoadSummary,
    columns: readonly LoadColumn[],
  ): Promise<LoadSummary> {
    const { json, exitCode, lines } = summary;
    const isDone = exitCode === ExitCode.OK || exitCode === ExitCode.INCOMPLETE;
    const text = summary.error ?? lines[0]!;
    try {
      await this.#save({
        status: {
          kind: exitCode === ExitCode.OK ? 'good' : isDone ? 'warn' : 'bad',
          text: `${isDone ? 'Done' : 'Not complete'}: ${text}`,
        },
        lines: lines.filter((line) => line !== text),
        json,
        label: outcome.label,
        columns,
        wasCommitted: outcome.committed,
      });
    } catch (error) {
      return withFailure(summary, error as CliError, isDone ? ExitCode.FAILED : exitCode);
    }
    return { ...summary, lines: [...lines, `report: ${this.#file.path}`] };
  }

  /** Writes the page of a load that has failed before its first row. Returns the error to report. */
  async writeFailure(error: unknown): Promise<unknown> {
    // A fault of ours is reported as it is, and so is what comes after the page.
    if (!isCliError(error) || this.#isWritten) return error;
    try {
      await this.#save({
        status: { kind: 'bad', text: `Failed before its first row: ${oneLine(error.message)}` },
        lines: [],
        json: earlyFailureJson(this.#options, error),
        label: undefined,
        columns: [],
        wasCommitted: true,
      });
      return error;
    } catch (second) {
      return new CliError(`${error.message}; ${(second as CliError).message}`, error.exitCode, error);
    }
  }

  /** @throws {CliError} if the file cannot be written */
  async #save(ending: LoadEnding): Promise<void> {
    this.#isWritten = true;
    try {
      const output = await this.#file.open((opened) => opened.write(this.#report.page(ending)));
      await output.close();
    } catch (error) {
      throw notWritable('--report', this.#file.path, error);
    }
  }
}

function withFailure(summary: LoadSummary, { message }: CliError, exitCode: ExitCode): LoadSummary {
  const error = summary.error === undefined ? message : `${summary.error}; ${message}`;
  return { ...summary, error, exitCode, json: { ...summary.json, error, exitCode, reportFile: null } };
}
