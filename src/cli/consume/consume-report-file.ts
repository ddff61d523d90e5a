/** The file of `consume --report`. */

import type { LogLoad } from '../../postgres/index.js';
import type { ConsumeFlags } from '../args/options.js';
import { checkOutput, PageFile, textOf } from '../load/parts.js';
import { earlyConsumeJson, type ConsumeSummary } from '../report/consume-json.js';
import type { ConsumeReport } from '../report/consume-report.js';

export class ConsumeReportFile {
  readonly #file: PageFile;
  readonly #flags: ConsumeFlags;
  readonly #report: ConsumeReport;
  readonly #servers: [string, string][];

  private constructor(file: PageFile, flags: ConsumeFlags, report: ConsumeReport, nats: string) {
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
    const file = new PageFile(await checkOutput('--report', report, [], json));
    const { ConsumeReport } = await import('../report/consume-report.js');
    return new ConsumeReportFile(file, flags, new ConsumeReport(flags), nats);
  }

  /** @param server the name of the database's server */
  watch(load: LogLoad, server: string): void {
    this.#servers.unshift(['server', server]);
    this.#report.watch(load);
  }

  /** Writes the page. Returns the summary, which says so. @param status how the worker has ended */
  write(summary: ConsumeSummary, status = statusOf(summary)): Promise<ConsumeSummary> {
    const { json } = summary;
    return this.#file.write(summary, status, (head) =>
      this.#report.page({ ...head, json, servers: this.#servers }),
    );
  }

  /** Writes the page of a worker that has failed before it began. Returns the error to report. */
  writeFailure(error: unknown): Promise<unknown> {
    return this.#file.writeFailure(error, 'message', (head, failure) =>
      this.#report.page({ ...head, json: earlyConsumeJson(this.#flags, failure), servers: this.#servers }),
    );
  }
}

function statusOf(summary: ConsumeSummary): string {
  const { error, json } = summary;
  const stopped = json.stoppedBy === null ? 'Caught up' : `Stopped by ${json.stoppedBy}`;
  return `${error === undefined ? stopped : 'Failed'}: ${textOf(summary)}`;
}
