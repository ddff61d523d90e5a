/** Lanes whose lease is over, while all slots of a worker are busy with others: on the manual clock, before a ledger in memory. */

import { EventEmitter } from 'node:events';
import { describe, expect, it, test } from 'vitest';
import type { FailedItem } from '../../../../src/api/options.js';
import type { LogBounds, LogMessage, OpenLog } from '../../../../src/log/log.js';
import { ConsumeObserver } from '../../../../src/postgres/consume/consume-observer.js';
import { CONSUME_DEFAULTS } from '../../../../src/postgres/consume/consume-settings.js';
import type { LaneBatch } from '../../../../src/postgres/consume/lane-worker.js';
import { LogConsumer, type ConsumerDestination } from '../../../../src/postgres/consume/log-consumer.js';
import { lookAgainInMs, mayTakeOver } from '../../../../src/postgres/consume/takeover.js';
import type { LaneClaim } from '../../../../src/postgres/lanes/lane-ledger.js';
import { ManualClock } from '../../../support/manual-clock.js';

const LEASE_MS = 2_000;
const LANE_SIZE = 100_000;

const laneOf = (lane: number) => {
  const first = lane * LANE_SIZE + 1;
  const last = first + LANE_SIZE - 1;
  return { lane, first, last, oldest: 1, end: last + 1 };
};
const BOUNDS: LogBounds = { firstLane: 0, lastLane: 99, lane: laneOf };

/** How long a batch takes, until its position is recorded and then until it is committed. */
interface BatchTimes {
  readonly copyMs: number;
  readonly commitMs: number;
}

/** A worker with one slot or several, and a log whose messages come faster than it loads them. */
class BusyWorker {
  readonly clock = new ManualClock();
  readonly events: string[] = [];
  readonly extras: number[] = [];
  /** How often it has looked at leases. */
  looks = 0;
  /** When the leases of lanes of others are over, by lane. */
  readonly over = new Map<number, number>();
  times: BatchTimes = { copyMs: 100, commitMs: 0 };
  readonly consumer: LogConsumer;
  #nextFree = 50;
  /** Of each lane: the first position that is not loaded. */
  readonly #next = new Map<number, number>();

  constructor(connections = 1) {
    const log: OpenLog = {
      source: {},
      hasOneOrder: true,
      find: () => Promise.resolve(undefined),
      bounds: () => Promise.resolve(BOUNDS),
      reader: ({ lane }, from) => {
        let position = from;
        return {
          read: () => Promise.resolve({ messages: [messageAt(lane, position)], reached: position++ }),
          close: () => undefined,
        };
      },
    };
    const destination = {
      open: () => Promise.resolve(this.#ledger()),
      copier: () => ({ copy: (batch: LaneBatch) => this.#copy(batch), lastDeadLetters: [] }),
    } as unknown as ConsumerDestination;
    const settings = {
      ...CONSUME_DEFAULTS,
      connections,
      batchSize: 1,
      leaseMs: LEASE_MS,
      allowGaps: false,
      untilCaughtUp: false,
      clock: this.clock,
    };
    const observer = new ConsumeObserver(new EventEmitter());
    this.consumer = new LogConsumer({ open: () => Promise.resolve(log) }, destination, settings, observer);
  }

  #ledger() {
    return {
      state: () => Promise.resolve({ through: 99, open: [] }),
      checkLeases: () => {
        this.looks += 1;
        const ends = [...this.over.values()];
        return Promise.resolve(ends.length === 0 ? undefined : Math.min(...ends) - this.clock.now());
      },
      claim: (_: AbortSignal, { isOver }: { isOver: boolean }): Promise<LaneClaim | undefined> => {
        const [over] = [...this.over].find(([, endsAt]) => endsAt < this.clock.now()) ?? [];
        if (over === undefined && isOver) return Promise.resolve(undefined);
        const lane = over ?? (this.#nextFree += 1);
        this.over.delete(lane);
        this.#note(`claim ${lane}`);
        const { first, last } = laneOf(lane);
        return Promise.resolve({ importRow: '1', lane, first, last, next: first, run: 1 });
      },
      renew: ({ lane }: LaneClaim) => Promise.resolve(this.#next.get(lane) ?? laneOf(lane).first),
      release: ({ lane }: LaneClaim, isLeaving: boolean) => {
        this.#note(`${isLeaving ? 'leave' : 'release'} ${lane}`);
        return Promise.resolve();
      },
    };
  }

  async #copy({ claim, next, extraMs, onRecording }: LaneBatch): Promise<FailedItem<LogMessage>[]> {
    this.extras.push(extraMs);
    await this.#delay(this.times.copyMs);
    onRecording();
    await this.#delay(this.times.commitMs);
    this.#next.set(claim.lane, next);
    this.#note(`batch of ${claim.lane}`);
    return [];
  }

  #delay(ms: number): Promise<void> {
    return new Promise((resolve) => this.clock.setTimeout(resolve, ms));
  }

  /** The same event is noted once in succession. */
  #note(event: string): void {
    if (this.events.at(-1) !== event) this.events.push(event);
  }

  async end(): Promise<void> {
    this.consumer.drain();
    await this.clock.advance(60_000);
    await this.consumer.finished;
  }
}

function messageAt(lane: number, position: number): LogMessage {
  const bytes = new Uint8Array(1);
  const fields = { subject: 's', headers: undefined, timestamp: new Date(0), json: () => ({}) };
  return { lane, position, bytes, ...fields };
}

describe('a worker whose only slot is busy with a long lane', () => {
  it('lays it down for one whose lease is over, within a second', async () => {
    const worker = new BusyWorker();
    await worker.clock.advance(700);
    worker.over.set(3, 3_000);
    await worker.clock.advance(2_300);
    expect(worker.events).toEqual(['claim 51', 'batch of 51']);
    await worker.clock.advance(1_000);
    expect(worker.events.slice(2)).toEqual(['claim 3', 'batch of 51', 'release 51', 'batch of 3']);
    await worker.end();
  });

  it('takes over lanes one after another, and loads some of each before it lays it down', async () => {
    const worker = new BusyWorker(2);
    worker.times = { copyMs: 400, commitMs: 0 };
    const lanes = [3, 4, 5, 6, 7, 8];
    for (const lane of lanes) worker.over.set(lane, 1_000);
    await worker.clock.advance(6_000);
    for (const lane of lanes) expect(worker.events).toContain(`batch of ${lane}`);
    const laidDown = lanes.filter((lane) => worker.events.includes(`release ${lane}`));
    expect(laidDown).toEqual([3, 4, 5, 6]);
    for (const lane of laidDown) {
      const before = worker.events.slice(0, worker.events.indexOf(`release ${lane}`));
      expect(before).toContain(`batch of ${lane}`);
    }
    await worker.end();
  });

  it('lets a lane go that has waited for a lease, and lays no lane down for it', async () => {
    const worker = new BusyWorker(2);
    worker.times = { copyMs: 5_000, commitMs: 0 };
    worker.over.set(3, 1_000);
    await worker.clock.advance(2_000);
    expect(worker.events).toEqual(['claim 51', 'claim 52', 'claim 3']);
    // The lease of its claim is over before a slot is free.
    worker.over.set(3, 1_200 + LEASE_MS);
    await worker.clock.advance(4_000);
    expect(worker.over.size).toBe(0);
    expect(worker.events.filter((event) => event.startsWith('release'))).toEqual(['release 51']);
    await worker.end();
  });

  it('does not look at leases all the time while a lane waits for each of its slots', async () => {
    const worker = new BusyWorker();
    worker.times = { copyMs: 20_000, commitMs: 0 };
    for (const lane of [3, 4]) worker.over.set(lane, 1_000);
    await worker.clock.advance(2_000);
    const before = worker.looks;
    await worker.clock.advance(LEASE_MS / 2);
    expect(worker.looks - before).toBe(1);
    await worker.end();
  });

  it('that drains leaves its lanes to workers without a free slot, also the lane that waits', async () => {
    const worker = new BusyWorker();
    worker.times = { copyMs: 10_000, commitMs: 0 };
    worker.over.set(3, 1_000);
    await worker.clock.advance(2_000);
    expect(worker.events).toEqual(['claim 51', 'claim 3']);
    worker.consumer.drain();
    await worker.clock.advance(0);
    expect(worker.events.slice(2)).toEqual(['leave 3']);
    await worker.end();
    expect(worker.events.slice(3)).toEqual(['batch of 51', 'leave 51']);
  });

  it('asks for a longer lease only if COMMIT takes long, not if COPY does', async () => {
    const worker = new BusyWorker();
    worker.times = { copyMs: 3 * LEASE_MS, commitMs: 100 };
    await worker.clock.advance(14 * LEASE_MS);
    expect(worker.extras.length).toBeGreaterThan(3);
    expect(Math.max(...worker.extras)).toBe(0);
    worker.times = { copyMs: 100, commitMs: 3 * LEASE_MS };
    await worker.clock.advance(14 * LEASE_MS);
    expect(worker.extras.at(-1)).toBe(3 * LEASE_MS);
    await worker.end();
  });
});

test.each([
  ['no lane is held', undefined, true, false, 1_000],
  ['the next lease to end lasts for longer than half a lease', 1_500, true, false, 1_000],
  ['the next lease to end lasts for less', 300, true, false, 301],
  ['the next lease to end lasts for less, and all slots are busy', 300, false, false, 501],
  ['a lease is over, and a slot is free', -1, true, true, 250],
  ['a lease has just ended, and all slots are busy', -50, false, false, 151],
  ['a lease is over since a while, and all slots are busy', -201, false, true, 250],
])('%s: what is done, and when leases are looked at again', (_, nextEndInMs, hasFreeSlot, takes, ms) => {
  const look = { nextEndInMs, hasFreeSlot, leaseMs: LEASE_MS };
  expect(mayTakeOver(look)).toBe(takes);
  expect(lookAgainInMs(look)).toBe(ms);
});
