/** The file of `consume --report`: checked before the worker begins, and written as a whole when it has ended. */

import type { LogLoad } from '../../postgres/index.js';
import type { ConsumeFlags } from '../args/options.js';
import {
  checkOutput,
  ExitCode,
  isCliError,
  notWritable,
  oneLine,
  type CliError,
  type OutputFile,
} from '../load/parts.js';
import type { ConsumeEnding, ConsumeReport } from '../report/consume-report.js';
import { earlyConsumeJson, type ConsumeSummary } from '../report/consume-json.js';

export class ConsumeReportFile {
  readonly #file: OutputFile;
  readonly #flags: ConsumeFlags;
  readonly #report: ConsumeReport;
  readonly #servers: [string, string][];
  #isWritten = false;

  private constructor(file: OutputFile, flags: ConsumeFlags, report: ConsumeReport, nats: string) {
    this.#file = file;
    this.#flags = flags;
    this.#report = report;
    this.#servers = [['NATS', nats]];
  }

  /**
   * Returns undefined if no report is asked for.
   *
   * @param nats the servers' addresses
   * @throws {CliError} if the file cannot be written, or has another purpose
   */
  static async open(flags: ConsumeFlags, nats: string): Promise<ConsumeReportFile | undefined> {
    const { report, json } = flags;
    if (report === undefined) return undefined;
    const file = await checkOutput('--report', report, [], json);
    try {
      file.prepare();
    } catch (error) {
      throw notWritable('--report', report, error);
    }
    const { ConsumeReport } = await import('../report/consume-report.js');
    return new ConsumeReportFile(file, flags, new ConsumeReport(flags), nats);
  }

  /** @param server the name of the database's server */
  watch(load: LogLoad, server: string): void {
    this.#servers.unshift(['server', server]);
    this.#report.watch(load);
  }

  /** Writes the page. Returns the summary, which says so. */
  async write(summary: ConsumeSummary): Promise<ConsumeSummary> {
    const { json, exitCode, lines, error } = summary;
    const text = error ?? lines[0]!;
    try {
      await this.#save({
        status: {
          kind: exitCode === ExitCode.OK ? 'good' : exitCode === ExitCode.INCOMPLETE ? 'warn' : 'bad',
          text: `${endOf(summary)}: ${text}`,
        },
        lines: lines.filter((line) => line !== text),
        json,
        servers: this.#servers,
      });
    } catch (thrown) {
      return withFailure(summary, thrown as CliError);
    }
    return { ...summary, lines: [...lines, `report: ${this.#file.path}`] };
  }

  /** Writes the page of a worker that has failed before it began. Returns the error to report. */
  async writeFailure(error: unknown): Promise<unknown> {
    // A fault of ours is reported as it is, and so is what comes after the page.
    if (!isCliError(error) || this.#isWritten) return error;
    try {
      await this.#save({
        status: { kind: 'bad', text: `Failed before its first message: ${oneLine(error.message)}` },
        lines: [],
        json: earlyConsumeJson(this.#flags, error),
        servers: this.#servers,
      });
      return error;
    } catch (second) {
      return Object.assign(error, { message: `${error.message}; ${(second as CliError).message}` });
    }
  }

  /** @throws {CliError} if the file cannot be written */
  async #save(ending: ConsumeEnding): Promise<void> {
    this.#isWritten = true;
    try {
      const output = await this.#file.open((opened) => opened.write(this.#report.page(ending)));
      await output.close();
    } catch (error) {
      throw notWritable('--report', this.#file.path, error);
    }
  }
}

function endOf({ json, error }: ConsumeSummary): string {
  if (error !== undefined) return 'Failed';
  return json.stoppedBy === null ? 'Caught up' : `Stopped by ${json.stoppedBy}`;
}

function withFailure(summary: ConsumeSummary, { message }: CliError): ConsumeSummary {
  const error = summary.error === undefined ? message : `${summary.error}; ${message}`;
  const isDone = summary.exitCode === ExitCode.OK || summary.exitCode === ExitCode.INCOMPLETE;
  const exitCode = isDone ? ExitCode.FAILED : summary.exitCode;
  return { ...summary, error, exitCode, json: { ...summary.json, error, exitCode, reportFile: null } };
}
