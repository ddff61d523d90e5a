/** A worker of a log: the engine's own code for claims, reads and batches, before a table of lanes in memory. It can be killed or stopped. */

import { EventEmitter } from 'node:events';
import type { Clock } from '../../../src/common/clock.js';
import { blockBounds } from '../../../src/jetstream/jetstream-log.js';
import type { LaneBounds, LaneReader, LogBounds, LogMessage, OpenLog } from '../../../src/log/log.js';
import { ConsumeObserver } from '../../../src/postgres/consume/consume-observer.js';
import { LogConsumer } from '../../../src/postgres/consume/log-consumer.js';
import type { ConsumeSettings } from '../../../src/postgres/consume/consume-settings.js';
import type { LaneBatch, LaneCopy } from '../../../src/postgres/consume/lane-worker.js';
import { CopyError } from '../../../src/postgres/errors/copy-error.js';
import {
  LaneLost,
  type LaneClaim,
  type LaneLedger,
  type LaneStep,
} from '../../../src/postgres/lanes/lane-ledger.js';
import type { ClaimKey } from '../../../src/postgres/lanes/lane-statements.js';
import type { SimulatedClock } from '../../support/simulated-clock.js';
import type { SeededRandom } from '../../support/seeded-random.js';
import type { LaneTable, OpenBatch, TransactionKind } from './lane-table.js';

export interface World {
  readonly clock: SimulatedClock;
  readonly random: SeededRandom;
  readonly table: LaneTable;
  /** The last message of the log. */
  lastPosition: number;
  readonly laneSize: number;
  readonly batchRows: number;
  readonly connections: number;
  readonly leaseMs: number;
  readonly untilCaughtUp: boolean;
  /** Of a short transaction, and of a batch, its COPY included. */
  readonly transactionMs: number;
  readonly batchMs: number;
  /** When the lock on the import's row is free again. */
  importLockedUntil: number;
  longestLockWaitMs: number;
}

/** Timers of one process: they do not run while it is stopped, nor after its end. */
class ProcessClock implements Clock {
  readonly #clock: SimulatedClock;
  stoppedUntil = 0;
  isDead = false;

  constructor(clock: SimulatedClock) {
    this.#clock = clock;
  }

  now(): number {
    return this.#clock.now();
  }

  setTimeout(callback: () => void, delayMs: number): unknown {
    const handle: { inner: unknown } = { inner: undefined };
    const run = (): void => {
      if (this.isDead) return;
      const left = this.stoppedUntil - this.#clock.now();
      if (left <= 0) callback();
      else handle.inner = this.#clock.setTimeout(run, left);
    };
    handle.inner = this.#clock.setTimeout(run, delayMs);
    return handle;
  }

  clearTimeout(handle: unknown): void {
    this.#clock.clearTimeout((handle as { inner: unknown } | undefined)?.inner);
  }
}

export class SimulatedWorker {
  readonly consumer: LogConsumer;
  readonly #world: World;
  readonly #clock: ProcessClock;
  /** Its transactions that hold a lane. */
  readonly #open = new Set<OpenBatch>();

  constructor(world: World) {
    this.#world = world;
    this.#clock = new ProcessClock(world.clock);
    const { connections, leaseMs, untilCaughtUp } = world;
    const settings: ConsumeSettings = {
      connections,
      // One message stands for all of a batch.
      batchSize: 1,
      batchBytes: 1_000,
      maxFlushIntervalMs: 500,
      leaseMs,
      maxOutageMs: Infinity,
      allowGaps: false,
      untilCaughtUp,
      clock: this.#clock,
    };
    const ledger = this.#ledger() as unknown as LaneLedger;
    this.consumer = new LogConsumer(
      { open: () => Promise.resolve(this.#log()) },
      { open: () => Promise.resolve(ledger), copier: () => this.#copy() },
      settings,
      new ConsumeObserver(new EventEmitter()),
    );
  }

  /** SIGKILL: its connections end, and the server rolls back what was open. */
  kill(): void {
    const { table, clock } = this.#world;
    this.#clock.isDead = true;
    table.takeovers.begin(this, 'kill', clock.now());
    for (const batch of this.#open) table.unlock(batch);
    this.#open.clear();
  }

  /** SIGSTOP for so long, and SIGCONT. Its sessions wait for it, until another worker ends them. */
  stop(forMs: number): void {
    const { clock, table } = this.#world;
    const now = clock.now();
    if (this.#clock.stoppedUntil > now) return;
    this.#clock.stoppedUntil = now + forMs;
    table.takeovers.begin(this, 'stop', now);
    for (const batch of this.#open) batch.stalledSince = now;
    clock.after(forMs, () => {
      if (this.#clock.isDead) return;
      table.takeovers.end(this, table.overdueOf(this, clock.now()), clock.now());
      for (const batch of this.#open) batch.stalledSince = undefined;
    });
  }

  #delay(ms: number): Promise<void> {
    return new Promise((resolve) => this.#clock.setTimeout(resolve, ms));
  }

  #log(): OpenLog {
    const { laneSize } = this.#world;
    return {
      source: { log: 'simulated' },
      hasOneOrder: true,
      bounds: async () => {
        await this.#delay(1);
        return blockBounds(1, this.#world.lastPosition, laneSize);
      },
      find: () => Promise.resolve(undefined),
      reader: (lane, from) => this.#reader(lane, from),
    };
  }

  #reader({ lane, last }: LaneBounds, from: number): LaneReader {
    let next = from;
    let isClosed = false;
    return {
      read: async (_, waitMs) => {
        await this.#delay(2);
        let end = Math.min(this.#world.lastPosition, last);
        if (next > end && !isClosed) await this.#delay(waitMs);
        end = Math.min(this.#world.lastPosition, last);
        if (next > end || isClosed) return { messages: [], reached: next - 1 };
        const position = Math.min(next + this.#world.batchRows - 1, end);
        next = position + 1;
        return { messages: [messageAt(lane, position)], reached: position };
      },
      close: () => {
        isClosed = true;
      },
    };
  }

  /** A short transaction. */
  async #transaction<Result>(kind: TransactionKind, work: () => Result): Promise<Result> {
    const { table, transactionMs, random } = this.#world;
    await this.#delay(transactionMs * random.between(0.7, 1.5));
    table.transactions[kind] += 1;
    return work();
  }

  #ledger() {
    const world = this.#world;
    const { table, clock } = world;
    const owned = (claim: LaneClaim, next: number | undefined): number => {
      if (next === undefined) throw new LaneLost(claim.lane);
      return next;
    };
    const ledger = {
      start: 'first',
      lastLane: undefined as number | undefined,
      claim: (_: AbortSignal, which: { isOver: boolean }) =>
        this.#transaction('claim', () => table.claim(clock.now(), this, which)),
      // One after another: each locks the import.
      extend: async (bounds: LogBounds) => {
        const waitMs = Math.max(0, world.importLockedUntil - clock.now());
        world.longestLockWaitMs = Math.max(world.longestLockWaitMs, waitMs);
        world.importLockedUntil = clock.now() + waitMs + world.transactionMs;
        await this.#delay(waitMs);
        return this.#transaction('extend', () => {
          const free = table.extend(bounds);
          ledger.lastLane = table.through;
          return free;
        });
      },
      checkLeases: () => this.#transaction('check leases', () => table.checkLeases(clock.now())),
      state: () => this.#transaction('state', () => table.state(clock.now())),
      renew: async (key: ClaimKey, extraMs: number) => {
        const claim = key as LaneClaim;
        while (!table.canLock(claim, undefined)) await this.#delay(100);
        return this.#transaction('renew', () => owned(claim, table.renew(claim, clock.now(), extraMs)));
      },
      advance: (key: ClaimKey, step: LaneStep) => {
        const claim = key as LaneClaim;
        return this.#transaction('renew', () => {
          table.record(claim, step, clock.now(), 0);
          return owned(claim, table.renew(claim, clock.now(), 0));
        });
      },
      release: (key: ClaimKey, isLeaving: boolean) =>
        this.#transaction('release', () => table.release(key as LaneClaim, isLeaving, clock.now())),
    };
    return ledger;
  }

  #copy(): LaneCopy {
    const { table, clock, random, batchMs } = this.#world;
    return {
      lastDeadLetters: [],
      copy: async ({ claim, from, next, extraMs, onRecording }: LaneBatch) => {
        const batch: OpenBatch = { stalledSince: undefined, isEnded: false };
        await this.#delay(1);
        table.lock(claim, batch);
        this.#open.add(batch);
        await this.#delay(batchMs * random.logNormal(0.3));
        this.#open.delete(batch);
        if (batch.isEnded) {
          throw new CopyError('Connection terminated', { failureClass: 'transport', retryable: true });
        }
        table.transactions.batch += 1;
        onRecording();
        table.unlock(batch);
        if (!table.record(claim, { from, next }, clock.now(), extraMs)) throw new LaneLost(claim.lane);
        return [];
      },
    };
  }
}

function messageAt(lane: number, position: number): LogMessage {
  return {
    lane,
    position,
    bytes: EMPTY,
    subject: 's',
    headers: undefined,
    timestamp: new Date(0),
    json: () => ({}),
  };
}

const EMPTY = new Uint8Array(1);
