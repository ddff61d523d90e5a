/** `spillway load`: files → parser → BackpressureWritable → COPY. */

import { pipeline } from 'node:stream/promises';
import type { Readable } from 'node:stream';
import { CopyError } from '../../postgres/errors/copy-error.js';
import { AbortFault } from '../../postgres/connection/answer-deadline.js';
import type { ImportLog } from '../../postgres/imports/import-log.js';
import type { CopyPool } from '../../postgres/protocol/pool.js';
import { AtomicLoad } from '../write/atomic-load.js';
import { connect, type Connection } from '../server/connection.js';
import { resolveDestination, type Environment } from '../server/destination.js';
import { causesOf, CliError, ExitCode, UsageError } from '../common/errors.js';
import { assertInputNotShorter } from './import.js';
import { planLoad, type LoadPlan, type MadeByLoad } from './load-plan.js';
import { describeLoadFailure, type LoadSink } from '../write/load-sink.js';
import { openPipeline, type OpenPipeline } from './load-pipeline.js';
import type { LoadOptions } from '../args/options.js';
import { untilStopped } from '../server/answer-time.js';
import { startProgress, type ProgressReading } from '../report/progress.js';
import { RejectFile } from '../rejects/reject-file.js';
import { checkFiles } from '../input/check-files.js';
import { expandPaths } from '../input/expand-paths.js';
import { findFiles, Source } from '../input/source.js';
import { UnansweredCommits } from '../write/unanswered-commits.js';
import { DROPPED, summarise, type LoadOutcome, type LoadSummary } from '../report/summary.js';

/** The parts of the process that a command may use. */
export interface Terminal {
  readonly environment: Environment;
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WriteStream;
  /**
   * Calls `stop` at the first SIGINT or SIGTERM. A second SIGINT, a second or more later, ends the process, with a line that says how many
   * rows were read and have not settled. Returns a function that removes the handlers.
   */
  onStopSignal(stop: (signal: StopSignal) => void, openRows: () => number): () => void;
}

export type StopSignal = 'SIGINT' | 'SIGTERM';

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
  const paths = options.files.length === 0 ? ['-'] : expandPaths(options.files);
  if (options.files.length === 0 && terminal.stdin.isTTY === true) {
    throw new UsageError('no file is given; - reads what is typed');
  }
  const files = await findFiles(paths, options.isJsonDocument);
  await checkFiles(files);
  const rejects =
    options.rejects === undefined
      ? undefined
      : await RejectFile.check(options.rejects, files, {
          most: options.maxRejects,
          isStandardOutputTaken: options.json,
        });
  const source = new Source(files, terminal.stdin);
  const job = new LoadJob(options, source, rejects, terminal, open);
  const release = terminal.onStopSignal(
    (signal) => job.stop(signal),
    () => job.openRows,
  );
  try {
    const connections = options.atomic ? 1 : (options.connections ?? DEFAULT_CONNECTIONS);
    const connection = await job.connected(connect(destination, connections + 1, terminal.environment));
    try {
      return await job.run(connection);
    } finally {
      await connection.close();
    }
  } finally {
    release();
    source.stop();
  }
}

class LoadJob {
  readonly #options: LoadOptions;
  readonly #source: Source;
  readonly #rejects: RejectFile | undefined;
  readonly #terminal: Terminal;
  readonly #openPipeline: OpenPipeline;
  readonly #stopping = new AbortController();
  readonly #unanswered: UnansweredCommits;
  /** `--atomic`: COMMIT has been sent. */
  #isCommitting = false;
  #stoppedBy: StopSignal | undefined;
  #sink: LoadSink | undefined;
  readonly #made: MadeByLoad = {};

  constructor(
    options: LoadOptions,
    source: Source,
    rejects: RejectFile | undefined,
    terminal: Terminal,
    open: OpenPipeline,
  ) {
    this.#openPipeline = open;
    this.#options = options;
    this.#unanswered = new UnansweredCommits(options.resume !== undefined);
    this.#source = source;
    this.#rejects = rejects;
    this.#terminal = terminal;
  }

  /** Rows that were read and have not settled. */
  get openRows(): number {
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
      throw this.#stopped(error);
    });
  }

  #stopped(error: unknown): CliError {
    return new CliError('stopped before anything was loaded', exitCodeOf(this.#stoppedBy!), error);
  }

  async run(connection: Connection): Promise<LoadSummary> {
    const { pool } = connection;
    const startedAt = performance.now();
    const atomic = this.#options.atomic ? await this.#begin(pool) : undefined;
    try {
      const plan = await this.#plan(atomic?.pool ?? pool, pool);
      const { importLog } = plan;
      const wasFinished = importLog?.isFinished ?? false;
      const loaded = await this.#load(plan, atomic);
      const isWhole = loaded.failure === undefined && this.#stoppedBy === undefined;
      const dropped = !isWhole && (await this.#dropCreated(pool));
      return summarise({
        ...loaded,
        options: this.#options,
        label: connection.label,
        created: plan.created && !dropped,
        dropped,
        notes: plan.notes,
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
      });
    } finally {
      await this.#rejects?.close();
      await atomic?.end();
    }
  }

  async #begin(pool: CopyPool): Promise<AtomicLoad> {
    return untilStopped(this.#stopping.signal, AtomicLoad.begin(pool)).catch((error: unknown) => {
      throw error instanceof AbortFault ? this.#stopped(error) : error;
    });
  }

  /** @param pool for the load @param ownPool outside of the load's transaction, if it has one */
  async #plan(pool: CopyPool, ownPool: CopyPool): Promise<LoadPlan> {
    try {
      const planning = planLoad(pool, {
        options: this.#options,
        source: this.#source,
        rejects: this.#rejects,
        signal: this.#stopping.signal,
        made: this.#made,
      });
      return await untilStopped(this.#stopping.signal, planning);
    } catch (error) {
      throw Object.assign(await this.#planFailure(error, ownPool), { truncated: this.#truncated(error) });
    }
  }

  /** Returns whether the table is empty now. `null`: it is not known. */
  #truncated(error: unknown): boolean | null {
    const { truncate, atomic } = this.#options;
    // With --atomic, the rollback undoes it.
    if (!truncate || atomic) return false;
    if (this.#made.isTruncated !== undefined) return this.#made.isTruncated;
    return this.#openWork(error) === undefined ? false : null;
  }

  /** Describes what was sent to the server, and may or may not have been done. */
  #openWork(error: unknown): string | undefined {
    return this.#options.atomic ? undefined : (this.#made.open ?? openOutcome(error));
  }

  /** @param ownPool outside of the load's transaction, if it has one */
  async #planFailure(error: unknown, ownPool: CopyPool): Promise<Error> {
    const open = this.#openWork(error);
    const wasDropped = open === undefined && (await this.#dropCreated(ownPool));
    const left = wasDropped ? DROPPED : this.#truncated(error) === true ? 'the table was emptied' : open;
    const done = left === undefined ? '' : `; ${left}`;
    if (this.#stoppedBy !== undefined) {
      const exitCode = exitCodeOf(this.#stoppedBy);
      return new CliError(`stopped before anything was loaded${done}`, exitCode, error);
    }
    if (done === '' || !(error instanceof CliError)) return error as Error;
    return new CliError(`${error.message}${done}`, error.exitCode, error);
  }

  /**
   * Drops the table that this run has made if it has no row: it would be used as it is by the corrected command. A failure to drop it is
   * ignored, as the failure that ended the load matters more.
   */
  async #dropCreated(pool: CopyPool): Promise<boolean> {
    const { table, importLog } = this.#made;
    // With --atomic, the rollback drops it.
    if (this.#options.atomic || this.#unanswered.rows > 0) return false;
    return (await table?.dropIfEmpty(pool, importLog).catch(() => false)) ?? false;
  }

  async #load(
    plan: LoadPlan,
    atomic: AtomicLoad | undefined,
  ): Promise<Pick<LoadOutcome, 'metrics' | 'lastRow' | 'failure'>> {
    const { head, importLog } = plan;
    const failures: CliError[] = [];
    const onFailure = (error: CliError): void => {
      failures.push(error);
      this.#source.stop();
    };
    const { records, sink } = this.#openPipeline({
      target: { ...plan, rejects: this.#rejects, unanswered: this.#unanswered },
      options: plan.options,
      onFailure,
      skips: importLog?.isFirstRun === false ? (ordinal) => importLog.has(ordinal) : undefined,
    });
    this.#sink = sink;
    const progress = startProgress(this.#options, this.#terminal.stderr, () => this.#reading(sink));
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
      failures.unshift(this.#withHint(describeLoadFailure(error)));
      await sink.ended();
    } finally {
      progress.stop();
    }
    await this.#rejects?.close().catch((error: unknown) => failures.push(error as CliError));
    return { metrics: sink.metrics(), lastRow: records.lastRow, failure: failures[0] };
  }

  async #finish(importLog: ImportLog): Promise<void> {
    try {
      await importLog.finish(this.#stopping.signal);
    } catch (error) {
      if (this.#stoppedBy === undefined) throw error;
      const message = `stopped by ${this.#stoppedBy}: ${describeLoadFailure(error).message}`;
      throw new CliError(message, exitCodeOf(this.#stoppedBy), error);
    }
  }

  async #commit(atomic: AtomicLoad | undefined): Promise<void> {
    this.#isCommitting = atomic !== undefined;
    try {
      await atomic?.commit(this.#stopping.signal);
    } catch (error) {
      if (this.#stoppedBy === undefined || !(error instanceof CliError)) throw error;
      throw new CliError(
        `stopped by ${this.#stoppedBy}: ${error.message}`,
        exitCodeOf(this.#stoppedBy),
        error,
      );
    }
  }

  /** Adds a hint to a failure that another run may not meet. */
  #withHint(failure: CliError): CliError {
    const passes = causesOf(failure).some((cause) => cause instanceof CopyError && cause.retryable);
    if (this.#options.resume === undefined || !passes) return failure;
    return new CliError(`${failure.message}; run the same command again to go on`, failure.exitCode, failure);
  }

  #reading(sink: LoadSink): ProgressReading {
    return {
      done: this.#source.bytesRead,
      total: this.#source.totalBytes,
      metrics: sink.metrics(),
      isStopping: this.#stoppedBy !== undefined,
      waitingFor: this.#isCommitting ? 'the answer to COMMIT' : sink.waitingFor.trouble,
    };
  }
}

/** Returns the message of a COMMIT without an answer. */
function openOutcome(error: unknown): string | undefined {
  return causesOf(error).find((cause) => cause instanceof CopyError && cause.ambiguous)?.message;
}

function exitCodeOf(signal: StopSignal): ExitCode {
  return signal === 'SIGINT' ? ExitCode.INTERRUPTED : ExitCode.TERMINATED;
}
