/** `consumeLog`: loads a durable log into a table, each message exactly once, with as many workers as there are calls. */

import { EventEmitter } from 'node:events';
import { systemClock } from '../common/clock.js';
import { toError } from '../common/thrown.js';
import { handled } from '../guards/user-callbacks.js';
import { refuse } from '../guards/validate.js';
import type { Log, OpenLog } from '../log/log.js';
import { SHUTDOWN, SinkDrain, type DrainableSink } from '../shutdown/drainable-sink.js';
import { checkPool } from './connection/check-pool.js';
import { ClientLease } from './connection/client-lease.js';
import { OutageNotice } from './connection/outage-notice.js';
import { unlessAborted } from './connection/answer-deadline.js';
import { checkConsumeOptions, type CheckedConsumeOptions, type ConsumeOptions } from './consume-options.js';
import { snapshot, type ConsumeMetrics } from './consume/consume-metrics.js';
import { ConsumeObserver, type ConsumeEvents } from './consume/consume-observer.js';
import type { ConsumeProgress } from './consume/consume-progress.js';
import type { LaneCopy } from './consume/lane-worker.js';
import { LogConsumer, type ConsumerDestination } from './consume/log-consumer.js';
import { describeSetupFailure } from './copy/copy-failure.js';
import { TableLaneCopy } from './lane-copy.js';
import { LaneLedger } from './lanes/lane-ledger.js';
import type { CopyClient, CopyPool } from './protocol/pool.js';
import { describeTable } from './table/catalogue.js';

/** A worker that loads a log. It can be given to `drainOnSignals` and `drainAll`. */
export interface LogLoad extends DrainableSink {
  on<Name extends keyof ConsumeEvents>(event: Name, listener: (...args: ConsumeEvents[Name]) => void): this;
  once<Name extends keyof ConsumeEvents>(event: Name, listener: (...args: ConsumeEvents[Name]) => void): this;
  off<Name extends keyof ConsumeEvents>(event: Name, listener: (...args: ConsumeEvents[Name]) => void): this;
  /**
   * Resolves when the worker has ended: it was drained, or, with `untilCaughtUp`, everything is loaded. Rejects with a `CopyError` or a `LogError` that
   * neither passes by itself nor concerns single messages.
   */
  readonly finished: Promise<void>;
  /** Begins no further batch, commits those in flight and frees the lanes for other workers. Settles as `finished` does. */
  drain(): Promise<void>;
  /** Gives up the batches in flight, too: nothing of them is stored, or all. */
  stop(): Promise<void>;
  /** A snapshot of what this worker has done. */
  getMetrics(): ConsumeMetrics;
  /**
   * Looks up how far the import is, over all of its workers, and how far it is behind the log. Calls within a second share one look; without a
   * call nothing is looked up. At the start it waits until log and database have been reached. It works after the end, too, as long as both are open.
   *
   * @throws {CopyError | LogError} one of them could not be asked
   */
  progress(): Promise<ConsumeProgress>;
}

/**
 * Loads the messages of a log into a table: each becomes a row exactly once, however many workers there are, and whichever of them dies. The
 * workers are calls with the same `importId`, in as many processes and on as many machines as you like.
 *
 * The database keeps how far each lane of the log has been loaded, in the transaction that inserts its rows. A message that `row` throws for, or
 * that the table refuses, is stored in the table of dead letters in the same transaction.
 *
 * The order of the log is kept within a lane. With `onConflict` the lanes are read one after another, so that the latest row of a key wins.
 *
 * @param log such as `jetStreamLog` of `spillway/jetstream` returns
 * @param pool a `pg.Pool`. It stays the caller's, and so does its 'error' event.
 * @throws {InvalidOptionError} a wrong option, or a pool that cannot be used
 */
export function consumeLog<Client extends CopyClient = CopyClient>(
  log: Log,
  pool: CopyPool<Client>,
  options: ConsumeOptions<Client>,
): LogLoad {
  if (typeof (log as Partial<Log> | null | undefined)?.open !== 'function') {
    refuse('log', 'a log, such as jetStreamLog() returns', log);
  }
  checkPool(pool);
  const checked = checkConsumeOptions(pool, options);
  OutageNotice.watch(pool);
  const destination = destinationOf(pool, checked);
  return new WorkerHandle(
    (handle) => new LogConsumer(log, destination, checked.settings, new ConsumeObserver(handle)),
  );
}

function destinationOf<Client extends CopyClient>(
  pool: CopyPool<Client>,
  { copy, importId, deadLetters, maxRejects, from, isOrdered, settings }: CheckedConsumeOptions<Client>,
): ConsumerDestination {
  return {
    async open(log: OpenLog, signal: AbortSignal): Promise<LaneLedger> {
      const { schema, table } = await findTable(pool, copy.schema, copy.table, signal);
      const { leaseMs, deadLetterSubject } = settings;
      const common = {
        importId,
        schema,
        table,
        deadLetters,
        deadLetterSubject,
        maxRejects,
        leaseMs,
        from,
        source: log.source,
      };
      return LaneLedger.open(pool, { ...common, isOrdered: isOrdered && log.hasOneOrder }, signal);
    },
    copier: (ledger: LaneLedger): LaneCopy => new TableLaneCopy<Client>(pool, copy, ledger),
  };
}

/** @throws {CopyError} */
async function findTable(
  pool: CopyPool,
  schema: string | undefined,
  table: string,
  signal: AbortSignal,
): Promise<{ schema: string; table: string }> {
  let lease: ClientLease<CopyClient> | undefined;
  try {
    lease = await ClientLease.take(pool, signal);
    const found = await unlessAborted(signal, describeTable(lease.client, schema, table));
    lease.release();
    return found;
  } catch (thrown) {
    const error = lease?.reasonOf(toError(thrown)) ?? toError(thrown);
    lease?.discard(error);
    throw describeSetupFailure(error, table);
  }
}

class WorkerHandle extends EventEmitter implements LogLoad {
  readonly #consumer: LogConsumer;
  #shutdown: SinkDrain | undefined;

  constructor(consumerOf: (handle: EventEmitter) => LogConsumer) {
    super();
    this.#consumer = consumerOf(this);
  }

  get finished(): Promise<void> {
    return this.#consumer.finished;
  }

  drain(): Promise<void> {
    this.#consumer.drain();
    return this.#consumer.finished;
  }

  stop(): Promise<void> {
    this.#consumer.abort();
    return this.#consumer.finished;
  }

  getMetrics(): ConsumeMetrics {
    return snapshot(this.#consumer.metrics, systemClock);
  }

  progress(): Promise<ConsumeProgress> {
    return this.#consumer.progress();
  }

  /** @internal What is not committed is still in the log: nothing is ever undelivered. */
  [SHUTDOWN](): SinkDrain {
    const consumer = this.#consumer;
    return (this.#shutdown ??= new SinkDrain({
      passesOn: false,
      isClosed: () => consumer.isOver,
      countOpen: () => 0,
      prepare: () => void handled(consumer.finished),
      settle: () => Promise.resolve(),
      drain: () => this.drain(),
      drainMore: () => Promise.resolve(),
      halt: () => {
        consumer.abort();
        return [];
      },
      end: () => consumer.abort(),
    }));
  }
}
