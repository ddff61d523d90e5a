/** The file of `load --report`. */

import { systemClock } from '../../common/clock.js';
import type { LoadOptions } from '../args/options.js';
import { CliError } from '../common/errors.js';
import type { SourceFile } from '../input/source.js';
import { checkOutput } from '../rejects/output-check.js';
import type { RejectFile } from '../rejects/reject-file.js';
import { causeOfReject } from '../rejects/reject.js';
import { earlyFailureJson } from '../report/load-json.js';
import type { LoadReport } from '../report/load-report.js';
import { isDone, PageFile, textOf } from '../report/page-file.js';
import type { LoadOutcome, LoadSummary } from '../report/summary.js';
import type { LoadColumn } from '../table/table.js';
import type { LoadSink, RejectedRow } from '../write/load-sink.js';

export class ReportFile {
  readonly #file: PageFile;
  readonly #options: LoadOptions;
  readonly #report: LoadReport;
  /** Counts rejects by their cause. */
  readonly onRejects = (rejected: readonly RejectedRow[]): void => {
    for (const found of rejected) {
      const { code, message } = causeOfReject(...found);
      this.#report.addReject(code, message);
    }
  };

  private constructor(file: PageFile, options: LoadOptions, report: LoadReport) {
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
    const pageFile = new PageFile(file);
    const { LoadReport } = await import('../report/load-report.js');
    return new ReportFile(pageFile, options, new LoadReport(options, inputs, systemClock));
  }

  watch(sink: LoadSink): void {
    this.#report.watch(sink);
  }

  /** Writes the page. Returns the summary, which says so. */
  write(
    { label, committed: wasCommitted }: LoadOutcome,
    summary: LoadSummary,
    columns: readonly LoadColumn[],
  ): Promise<LoadSummary> {
    const { json } = summary;
    const status = `${isDone(summary) ? 'Done' : 'Not complete'}: ${textOf(summary)}`;
    return this.#file.write(summary, status, (head) =>
      this.#report.page({ ...head, json, label, columns, wasCommitted }),
    );
  }

  /** Writes the page of a load that has failed before its first row. Returns the error to report. */
  writeFailure(error: unknown): Promise<unknown> {
    return this.#file.writeFailure(error, 'row', (head, failure) => {
      const json = earlyFailureJson(this.#options, failure);
      return this.#report.page({ ...head, json, label: undefined, columns: [], wasCommitted: true });
    });
  }
}
