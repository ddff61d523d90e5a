/** `spillway load`: files → parser → BackpressureWritable → COPY. */

import { pipeline } from 'node:stream/promises';
import type { Readable } from 'node:stream';
import { AbortFault } from '../../postgres/connection/answer-deadline.js';
import type { ImportLog } from '../../postgres/imports/import-log.js';
import type { CopyPool } from '../../postgres/protocol/pool.js';
import { AtomicLoad } from '../write/atomic-load.js';
import { connect, type Connection } from '../server/connection.js';
import { resolveDestination, type Environment } from '../server/destination.js';
import { CliError } from '../common/errors.js';
import { assertInputNotShorter } from './import.js';
import { namingRights, withRightsAndHelp } from './failure-help.js';
import type { LoadPlan } from './load-plan.js';
import { Preparation } from './preparation.js';
import { exitCodeOf, type StopSignal } from '../common/stop-signal.js';
import { ColumnWidener, MisfitError } from '../write/column-widener.js';
import { describeLoadFailure } from '../write/load-failure.js';
import type { LoadSink } from '../write/load-sink.js';
import { Widenings } from '../report/widenings.js';
import { LoadProgress } from './load-progress.js';
import { startOver } from './start-over.js';
import { ReportFile } from './report-file.js';
import { openPipeline, type OpenPipeline } from './load-pipeline.js';
import type { LoadOptions } from '../args/options.js';
import { untilStopped } from '../server/answer-time.js';
import { RejectFile } from '../rejects/reject-file.js';
import type { Source } from '../input/source.js';
import { openInput } from './reading/open-input.js';
import { UnansweredCommits } from '../write/unanswered-commits.js';
import { summarise, type LoadOutcome, type LoadSummary } from '../report/summary.js';

/** The parts of the process that a command may use. */
export interface Terminal {
  readonly environment: Environment;
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WriteStream;
  /**
   * Calls `stop` at the first SIGINT or SIGTERM. A second SIGINT, a second or more later, ends the process: `end` is called before, and
   * returns how many rows were read and have not settled. Returns a function that removes the handlers.
   */
  onStopSignal(stop: (signal: StopSignal) => void, end: () => number): () => void;
}

/** `copyInto`'s own default, made of a pool of one more. */
const DEFAULT_CONNECTIONS = 3;

/**
 * @param open opens the pipeline; tests pass another one
 * @throws {CliError} before anything was loaded; later failures are part of the summary.
 */
export async function load(
  options: LoadOptions,
  terminal: Terminal,
  open: OpenPipeline = openPipeline,
): Promise<LoadSummary> {
  const destination = resolveDestination(options.to, terminal.environment);
  const source = await openInput(options, terminal);
  const rejects =
    options.rejects === undefined
      ? undefined
      : await RejectFile.check(options.rejects, source.files, {
          most: options.maxRejects,
          isStandardOutputTaken: options.json,
        });
  const report = await ReportFile.open(options, source.files, rejects);
  const job = new LoadJob(options, source, rejects, terminal, open, report);
  const release = terminal.onStopSignal(
    (signal) => job.stop(signal),
    () => job.end(),
  );
  try {
    const connections = options.atomic ? 1 : (options.connections ?? DEFAULT_CONNECTIONS);
    job.progress.connects(destination);
    const connection = await job.connected(connect(destination, connections + 1, terminal.environment));
    try {
      return await job.run(connection);
    } catch (error) {
      throw await namingRights(error, connection.pool, options);
    } finally {
      job.progress.disconnects(destination);
      await connection.close();
    }
  } catch (error) {
    throw (await report?.writeFailure(error)) ?? error;
  } finally {
    job.progress.stop();
    release();
    source.stop();
  }
}

const STOPPED_EARLY = 'stopped before anything was loaded';

type Loaded = Pick<LoadOutcome, 'metrics' | 'lastRow' | 'failure'>;

class LoadJob {
  readonly #options: LoadOptions;
  #source: Source;
  readonly #rejects: RejectFile | undefined;
  readonly #openPipeline: OpenPipeline;
  readonly #report: ReportFile | undefined;
  readonly #stopping = new AbortController();
  readonly #unanswered: UnansweredCommits;
  readonly progress: LoadProgress;
  #stoppedBy: StopSignal | undefined;
  #sink: LoadSink | undefined;
  readonly #widenings = new Widenings();
  readonly #preparation: Preparation;

  constructor(
    options: LoadOptions,
    source: Source,
    rejects: RejectFile | undefined,
    terminal: Terminal,
    open: OpenPipeline,
    report: ReportFile | undefined,
  ) {
    this.#openPipeline = open;
    this.#report = report;
    this.#options = options;
    this.#unanswered = new UnansweredCommits(options.resume !== undefined);
    this.#preparation = new Preparation(options, this.#unanswered);
    this.#source = source;
    this.#rejects = rejects;
    this.progress = new LoadProgress(options, terminal, source, rejects, () => this.#stoppedBy !== undefined);
  }

  /** Leaves the terminal, as the process ends at once. Returns how many rows were read and have not settled. */
  end(): number {
    this.progress.stop();
    if (this.#sink === undefined) return 0;
    const { eventsOffered, eventsFlushed, eventsFailed, eventsDropped } = this.#sink.metrics();
    return eventsOffered - eventsFlushed - eventsFailed - eventsDropped;
  }

  /** Stops reading. What was read is still loaded. */
  stop(signal: StopSignal): void {
    this.#stoppedBy = signal;
    this.#source.stop();
    this.#stopping.abort();
  }

  /** @throws {CliError} if a stop signal comes before the server has answered */
  async connected(connecting: Promise<Connection>): Promise<Connection> {
    return untilStopped(this.#stopping.signal, connecting).catch((error: unknown) => {
      if (!(error instanceof AbortFault)) throw error;
      void connecting.then((connection) => connection.close()).catch(() => undefined);
      throw this.#stopped(STOPPED_EARLY, error);
    });
  }

  #stopped(message: string, error: unknown): CliError {
    return new CliError(message, exitCodeOf(this.#stoppedBy!), error);
  }

  async run(connection: Connection): Promise<LoadSummary> {
    const { pool } = connection;
    this.progress.connected(connection);
    const startedAt = performance.now();
    const atomic = this.#options.atomic ? await this.#begin(pool) : undefined;
    try {
      const first = await this.#preparation.plan(
        { load: atomic?.pool ?? pool, own: pool },
        {
          source: this.#source,
          rejects: this.#rejects,
          signal: this.#stopping.signal,
          onStep: this.progress.step,
        },
        () => this.#stoppedBy,
      );
      const wasFinished = first.importLog?.isFinished ?? false;
      const { plan, loaded } = await this.#loadUntilFit(first, atomic);
      const { importLog } = plan;
      const failure = loaded.failure && (await withRightsAndHelp(loaded.failure, pool, plan));
      const isWhole = failure === undefined && this.#stoppedBy === undefined;
      const dropped = !isWhole && (await this.#preparation.dropCreated(pool));
      const outcome: LoadOutcome = {
        ...loaded,
        failure,
        options: this.#options,
        label: connection.label,
        created: plan.created && !dropped,
        dropped,
        notes: plan.notes,
        widenings: this.#widenings,
        reading: plan.reading,
        truncated: plan.truncated,
        seconds: (performance.now() - startedAt) / 1000,
        bytesRead: this.#source.bytesRead,
        stoppedBy: this.#stoppedBy,
        committed: atomic?.isCommitted ?? true,
        rowsUnknown: atomic?.isCommitOpen === true ? loaded.metrics.eventsFlushed : this.#unanswered.rows,
        isUnconfirmed: atomic?.isUnconfirmed ?? false,
        rejects: this.#rejects?.count ?? importLog?.rejectedBefore ?? 0,
        import: importLog && {
          importId: importLog.importId,
          rowsBefore: importLog.rowsBefore,
          rejectedBefore: importLog.rejectedBefore,
          isFinished: importLog.isFinished,
          wasFinished,
        },
      };
      const summary = summarise(outcome);
      return (await this.#report?.write(outcome, summary, plan.columns)) ?? summary;
    } finally {
      await this.#rejects?.close();
      await atomic?.end();
    }
  }

  async #begin(pool: CopyPool): Promise<AtomicLoad> {
    return untilStopped(this.#stopping.signal, AtomicLoad.begin(pool)).catch((error: unknown) => {
      throw error instanceof AbortFault ? this.#stopped(STOPPED_EARLY, error) : error;
    });
  }

  /** Loads, and starts over with wider types as long as a value does not fit. */
  async #loadUntilFit(
    first: LoadPlan,
    atomic: AtomicLoad | undefined,
  ): Promise<{ plan: LoadPlan; loaded: Loaded }> {
    let plan = first;
    let loaded = await this.#load(plan, atomic);
    try {
      while (loaded.failure instanceof MisfitError && this.#source.isRereadable) {
        plan = await this.#startOver(plan, loaded.failure);
        loaded = await this.#load(plan, atomic);
      }
    } catch (error) {
      loaded = { ...loaded, failure: describeLoadFailure(error) };
    }
    if (this.#stoppedBy !== undefined && loaded.failure instanceof MisfitError) {
      const { message } = describeLoadFailure(loaded.failure.cause);
      const again = this.#options.resume === undefined ? '' : '; run the same command again to go on';
      const stopped = `stopped by ${this.#stoppedBy} before it started over with other types: ${message}${again}`;
      loaded = { ...loaded, failure: this.#stopped(stopped, loaded.failure) };
    }
    try {
      await this.#rejects?.close();
    } catch (error) {
      loaded = { ...loaded, failure: loaded.failure ?? (error as CliError) };
    }
    return { plan, loaded };
  }

  /** @throws {MisfitError} if a signal stops the load before it has begun again */
  async #startOver(plan: LoadPlan, misfit: MisfitError): Promise<LoadPlan> {
    if (this.#stoppedBy !== undefined) throw misfit;
    const own = plan.own!;
    this.#source = this.#source.again();
    const { signal } = this.#stopping;
    const onStep = this.progress.step;
    const request = { plan, own, misfit, source: this.#source, rejects: this.#rejects, signal, onStep };
    this.progress.reads(this.#source);
    const started = await startOver(request).catch((error: unknown) => {
      throw error instanceof AbortFault ? misfit : error;
    });
    this.#source.stop();
    this.#source = this.#source.again();
    this.progress.reads(this.#source);
    if (signal.aborted) this.#source.stop();
    this.#preparation.startedOver(started.plan);
    this.#unanswered.clear();
    this.#widenings.startOver(started.changes);
    return started.plan;
  }

  async #load(plan: LoadPlan, atomic: AtomicLoad | undefined): Promise<Loaded> {
    const { head, importLog } = plan;
    const failures: CliError[] = [];
    const onFailure = (error: CliError): void => {
      failures.push(error);
      this.#source.stop();
    };
    const { records, sink } = this.#openPipeline({
      target: {
        ...plan,
        rejects: this.#rejects,
        onRejects: this.#report?.onRejects,
        unanswered: this.#unanswered,
        widener: this.#widenerFor(plan),
      },
      options: plan.options,
      onFailure,
      skips: importLog?.isFirstRun === false ? (ordinal) => importLog.has(ordinal) : undefined,
    });
    this.#sink = sink;
    this.#report?.watch(sink);
    this.progress.watch(sink);
    try {
      if (importLog?.isFinished !== true) {
        await pipeline(this.#source.stream(head), records, sink.stream);
        await sink.ended();
        if (failures.length === 0 && this.#stoppedBy === undefined) {
          if (importLog !== undefined) {
            assertInputNotShorter(importLog, records.lastOrdinal);
            await this.#finish(importLog);
          }
          await this.#commit(atomic);
        }
      }
    } catch (error) {
      failures.unshift(describeLoadFailure(error));
      await sink.ended();
    }
    return { metrics: sink.metrics(), lastRow: records.lastRow, failure: failures[0] };
  }

  #widenerFor(plan: LoadPlan): ColumnWidener | undefined {
    const { pool, own: table, columns, options, rules, importLog } = plan;
    if (table === undefined) return undefined;
    const { format, atomic: isAtomic, delimiter, nullText } = options;
    // NDJSON becomes COPY's text format.
    const fields = format === 'csv' ? { delimiter, nullText } : { delimiter: '\t', nullText: '\\N' };
    return new ColumnWidener({
      ...{ pool, table, columns, rules, format, fields, isAtomic },
      hasMarkers: !options.strict,
      isOnce: !this.#source.isRereadable,
      isFirstRun: importLog?.isFirstRun !== false,
      widenings: this.#widenings,
    });
  }

  async #finish(importLog: ImportLog): Promise<void> {
    try {
      this.progress.step('noting that the import is complete');
      await importLog.finish(this.#stopping.signal);
    } catch (error) {
      if (this.#stoppedBy === undefined) throw error;
      throw this.#stopped(`stopped by ${this.#stoppedBy}: ${describeLoadFailure(error).message}`, error);
    }
  }

  async #commit(atomic: AtomicLoad | undefined): Promise<void> {
    if (atomic === undefined) return;
    try {
      this.progress.step('waiting for the answer to COMMIT');
      await atomic.commit(this.#stopping.signal);
    } catch (error) {
      if (this.#stoppedBy === undefined || !(error instanceof CliError)) throw error;
      throw this.#stopped(`stopped by ${this.#stoppedBy}: ${error.message}`, error);
    }
  }
}
