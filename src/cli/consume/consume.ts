/** `spillway consume`: a stream of NATS JetStream → consumeLog → a table. */

import {
  AbortFault,
  connect,
  ExitCode,
  farewell,
  laneTables,
  oneLine,
  peakMemoryBytes,
  resolveDestination,
  untilStopped,
  withMissingRights,
  writeLine,
} from '../load/parts.js';
import type { NatsConnection } from '@nats-io/transport-node';
import { consumeLog, type LogLoad } from '../../postgres/index.js';
import type { JetStreamLogOptions } from '../../jetstream/index.js';
import type { Log } from '../../log/log.js';
import type { ConsumeFlags } from '../args/options.js';
import type { CliError } from '../common/errors.js';
import type { StopSignal } from '../common/stop-signal.js';
import type { Connection } from '../server/connection.js';
import type { Environment } from '../server/destination.js';
import type { RightsNeeded } from '../server/missing-rights.js';
import { describeConsumeFailure, withFlag } from './consume-failure.js';
import {
  earlyConsumeJson,
  outcomeJson,
  type ConsumeOutcome,
  type ConsumeSummary,
} from '../report/consume-json.js';
import { startLines, summaryLines } from './consume-lines.js';
import { progressOf, WorkerProgress } from './worker-progress.js';
import { ConsumeReportFile } from './consume-report-file.js';
import { findTarget, type ConsumeTarget } from './consume-target.js';
import { checkStream } from './find-stream.js';
import { messageRow } from './message-row.js';
import { RefusedColumns } from './refused-columns.js';
import { connectToNats, loadNats } from './nats-connection.js';
import { natsSettings, type NatsSettings } from './nats-settings.js';

export interface ConsumeTerminal {
  readonly environment: Environment;
  readonly stderr: NodeJS.WriteStream;
  /** Calls `stop` at the first SIGINT or SIGTERM, and `end` before a second SIGINT ends the process. Returns a function that removes the handlers. */
  onStopSignal(stop: (signal: StopSignal) => void, end: () => void): () => void;
}

const DEFAULT_CONNECTIONS = 2;
/** One for leases, and one for looks at how far the others are. */
const MORE_CONNECTIONS = 2;
/** A batch that is in flight at a signal has so long. It stays in the stream if it is given up. */
const DRAIN_LIMIT_MS = 20_000;

/** @throws {CliError} before the worker has begun; later failures are part of the summary */
export async function consume(flags: ConsumeFlags, terminal: ConsumeTerminal): Promise<ConsumeSummary> {
  const { environment } = terminal;
  const destination = resolveDestination(flags.to, environment);
  const settings = natsSettings(flags, environment);
  const report = await ConsumeReportFile.open(flags, settings.servers.join(', '));
  const worker = new Worker(flags, settings, terminal, report);
  const release = terminal.onStopSignal(
    (signal) => worker.stop(signal),
    () => worker.progress.stop(),
  );
  try {
    worker.progress.step(`connecting to NATS (${settings.servers.join(', ')})`);
    const nats = await loadNats();
    const name = `spillway consume ${flags.import}`;
    const connection = await worker.unlessStopped(connectToNats(nats.transport, settings, name), (late) =>
      late.close(),
    );
    try {
      worker.progress.step('looking for the stream');
      await worker.unlessStopped(checkStream(nats.jetstream, connection, flags));
      const log = nats.jetStreamLog(connection, logOptions(flags));
      const { connections = DEFAULT_CONNECTIONS } = flags;
      worker.progress.step('connecting to PostgreSQL');
      const server = await worker.unlessStopped(
        connect(destination, connections + MORE_CONNECTIONS, environment),
        (late) => late.close(),
      );
      try {
        return await worker.run(log, server, connection);
      } finally {
        worker.progress.step('closing the connections');
        await server.close();
      }
    } finally {
      await farewell(connection.close());
    }
  } catch (error) {
    return await worker.endedEarly(error);
  } finally {
    worker.progress.stop();
    release();
  }
}

function logOptions({ stream, filter, domain, laneSize }: ConsumeFlags): JetStreamLogOptions {
  return { stream, filter, domain, laneSize };
}

class Worker {
  readonly #flags: ConsumeFlags;
  readonly #settings: NatsSettings;
  readonly #terminal: ConsumeTerminal;
  readonly #report: ConsumeReportFile | undefined;
  readonly #stopping = new AbortController();
  readonly #startedAt = performance.now();
  readonly progress: WorkerProgress;
  #stoppedBy: StopSignal | undefined;
  #load: LogLoad | undefined;

  constructor(
    flags: ConsumeFlags,
    settings: NatsSettings,
    terminal: ConsumeTerminal,
    report: ConsumeReportFile | undefined,
  ) {
    this.#report = report;
    this.#flags = flags;
    this.#settings = settings;
    this.#terminal = terminal;
    this.progress = new WorkerProgress(flags, terminal, this.#stopping.signal);
  }

  /** Begins no further batch. */
  stop(signal: StopSignal): void {
    this.#stoppedBy = signal;
    this.#stopping.abort();
    const load = this.#load;
    if (load === undefined) return;
    load.drain().catch(() => undefined);
    setTimeout(() => void load.stop().catch(() => undefined), DRAIN_LIMIT_MS).unref();
  }

  /** @param undo ends what comes too late */
  async unlessStopped<Result>(
    work: Promise<Result>,
    undo: (late: Result) => Promise<unknown> = () => Promise.resolve(),
  ): Promise<Result> {
    return untilStopped(this.#stopping.signal, work).catch((error: unknown) => {
      if (error instanceof AbortFault) void work.then(undo).catch(() => undefined);
      throw error;
    });
  }

  /** A signal that comes before the worker has begun is no failure. @throws anything else, also a failure to close what it has used */
  async endedEarly(error: unknown): Promise<ConsumeSummary> {
    const failure = withFlag(error);
    if (this.#stoppedBy === undefined || this.#load !== undefined)
      throw (await this.#report?.writeFailure(failure)) ?? failure;
    const how = `by ${this.#stoppedBy} before anything was loaded`;
    const stopped = { error: null, stoppedBy: this.#stoppedBy, exitCode: ExitCode.OK };
    const summary: ConsumeSummary = {
      exitCode: ExitCode.OK,
      lines: [`stopped ${how}`],
      error: undefined,
      json: { ...earlyConsumeJson(this.#flags, error), ...stopped },
    };
    return (await this.#report?.write(summary, `Stopped ${how}`)) ?? summary;
  }

  async run(log: Log, server: Connection, nats: NatsConnection): Promise<ConsumeSummary> {
    this.progress.connected(server);
    this.progress.step('looking at the stream and the table');
    const find = findTarget(server.pool, log, this.#flags, this.#stopping.signal);
    const target = await this.unlessStopped(find).catch(async (error: unknown) => {
      throw await withMissingRights(error, server.pool, rightsNeeded(this.#flags));
    });
    const load = consumeLog(log, server.pool, this.#options(target));
    const { created, notes } = target;
    if (!this.#flags.quiet) {
      const servers = this.#settings.servers.join(', ');
      for (const line of startLines(this.#flags, servers, server.label, notes))
        writeLine(this.#terminal.stderr, oneLine(line));
    }
    this.#load = load;
    const refused = this.#watchRefusals(load, target);
    this.#report?.watch(load, server.label);
    if (this.#stopping.signal.aborted) load.drain().catch(() => undefined);
    this.progress.watch(load);
    let failure: CliError | undefined;
    try {
      await load.finished;
    } catch (error) {
      const described = await describeConsumeFailure(error, nats, this.#settings);
      failure = await withMissingRights(described, server.pool, rightsNeeded(this.#flags, target));
    }
    const caughtUp = this.#flags.untilCaughtUp && this.#stoppedBy === undefined && failure === undefined;
    const progress = failure === undefined ? await progressOf(load) : undefined;
    const all = [...notes, ...refused.lines];
    const done = { created, notes: all, metrics: load.getMetrics(), progress, caughtUp };
    const outcome = this.#outcome(done, failure);
    const summary: ConsumeSummary = {
      exitCode: outcome.exitCode,
      lines: summaryLines(outcome, server.label, peakMemoryBytes()),
      error: outcome.error,
      json: outcomeJson(outcome),
    };
    return (await this.#report?.write(summary)) ?? summary;
  }

  /** Says at once what makes room for values that inferred types have refused: a worker may run for months. */
  #watchRefusals(load: LogLoad, target: ConsumeTarget): RefusedColumns {
    const refused = new RefusedColumns(target);
    if (!this.#flags.create) return refused;
    load.on('failed', (failures) => {
      for (const line of refused.add(failures))
        if (!this.#flags.quiet) writeLine(this.#terminal.stderr, oneLine(line));
    });
    return refused;
  }

  #options({ table, columns, key }: ConsumeTarget): Parameters<typeof consumeLog>[2] {
    const {
      import: importId,
      onConflict,
      deadLetter,
      from,
      untilCaughtUp,
      allowGaps,
      ...flags
    } = this.#flags;
    const conflict = key === undefined ? { onConflict } : { onConflict, key };
    return {
      table: table.table,
      schema: table.schema,
      columns: columns.map(({ columnName }) => columnName),
      importId,
      row: messageRow({ columns, ignoresOtherKeys: flags.columns !== undefined }),
      ...(conflict as { onConflict: 'ignore' }),
      ...{ deadLetters: deadLetter, from, untilCaughtUp, allowGaps },
      deadLetterSubject: flags.deadLetterSubject,
      maxRejects: flags.maxRejects,
      connections: flags.connections ?? DEFAULT_CONNECTIONS,
      batchSize: flags.batchSize,
      maxFlushIntervalMs: flags.flushInterval,
      leaseMs: flags.lease,
      maxOutageMs: flags.maxOutage,
    };
  }

  #outcome(
    done: Pick<ConsumeOutcome, 'created' | 'notes' | 'metrics' | 'progress' | 'caughtUp'>,
    failure: CliError | undefined,
  ): ConsumeOutcome {
    return {
      ...done,
      flags: this.#flags,
      seconds: (performance.now() - this.#startedAt) / 1_000,
      stoppedBy: this.#stoppedBy,
      error: failure?.message,
      exitCode: exitCodeFor(done, failure),
    };
  }
}

function rightsNeeded(flags: ConsumeFlags, target?: ConsumeTarget): RightsNeeded {
  return {
    table: target?.table ?? flags.table,
    columns: target?.columns.map(({ columnName }) => columnName),
    onConflict: flags.onConflict,
    truncates: false,
    bookkeeping: [...laneTables(flags.deadLetter).keys()],
  };
}

/** Dead letters of a service that is stopped are no failure of its stop. */
function exitCodeFor(
  { caughtUp, metrics }: Pick<ConsumeOutcome, 'caughtUp' | 'metrics'>,
  failure: CliError | undefined,
): ExitCode {
  if (failure !== undefined) return failure.exitCode;
  return caughtUp && metrics.deadLetters > 0 ? ExitCode.INCOMPLETE : ExitCode.OK;
}
