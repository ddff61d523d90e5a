import { EventEmitter } from 'node:events';
import { expect, it } from 'vitest';
import { LogError } from '../../../../src/log/log-error.js';
import type { LaneBounds, LogBounds, LogMessage, OpenLog } from '../../../../src/log/log.js';
import { ConsumeObserver } from '../../../../src/postgres/consume/consume-observer.js';
import { LogConsumer, type ConsumerDestination } from '../../../../src/postgres/consume/log-consumer.js';
import { CONSUME_DEFAULTS } from '../../../../src/postgres/consume/consume-settings.js';
import { LaneLost } from '../../../../src/postgres/lanes/lane-ledger.js';
import { ManualClock } from '../../../support/manual-clock.js';

const LANE: LaneBounds = { lane: 0, first: 1, last: 100, oldest: 1, end: 1 };
const BOUNDS: LogBounds = { firstLane: 0, lastLane: 0, lane: () => LANE };

const CLAIM = { importRow: '1', lane: 0, first: 1, last: 100, next: 1, run: 1 };

function start(log: Pick<OpenLog, 'bounds' | 'reader'>, ledger: object, clock: ManualClock): LogConsumer {
  const open: OpenLog = { source: {}, hasOneOrder: true, find: () => Promise.resolve(undefined), ...log };
  const known = {
    state: () => Promise.resolve({ through: 0, open: [] }),
    checkLeases: () => Promise.resolve(undefined),
  };
  const destination = {
    open: () => Promise.resolve({ ...known, ...ledger }),
    copier: () => ({ copy: () => Promise.reject(new Error('nothing is to be copied')), lastDeadLetters: [] }),
  } as unknown as ConsumerDestination;
  const settings = {
    ...CONSUME_DEFAULTS,
    connections: 1,
    allowGaps: false,
    untilCaughtUp: false,
    clock,
  };
  const observer = new ConsumeObserver(new EventEmitter());
  return new LogConsumer({ open: () => Promise.resolve(open) }, destination, settings, observer);
}

it('a drain that begins while a lane is being claimed ends at once, and frees the lane', async () => {
  const released: number[] = [];
  let looks = 0;
  const log: Pick<OpenLog, 'bounds' | 'reader'> = {
    bounds: () => {
      // The second look is that for the lane which has just been claimed.
      if ((looks += 1) === 2) consumer.drain();
      return Promise.resolve(BOUNDS);
    },
    reader: () => ({ read: () => new Promise(() => undefined), close: () => undefined }),
  };
  const ledger = {
    claim: () => Promise.resolve(CLAIM),
    release: ({ lane }: { lane: number }) => Promise.resolve(void released.push(lane)),
  };
  const consumer = start(log, ledger, new ManualClock());
  await consumer.finished;
  expect(released).toEqual([0]);
});

it('a lane whose log cannot be read is freed, and claimed again once the log responds', async () => {
  const events: string[] = [];
  let isDown = false;
  const failure = new LogError('unreachable', 'out of reach');
  const log: Pick<OpenLog, 'bounds' | 'reader'> = {
    bounds: () => (isDown ? Promise.reject(failure) : Promise.resolve(BOUNDS)),
    reader: () => ({
      read: () => {
        isDown = events.length === 1;
        return Promise.reject(failure);
      },
      close: () => undefined,
    }),
  };
  const ledger = {
    // Without a pause there would be no end of claims.
    claim: () => (events.push('claim') > 99 ? new Promise(() => undefined) : Promise.resolve(CLAIM)),
    release: () => Promise.resolve(void events.push('release')),
  };
  const clock = new ManualClock();
  const consumer = start(log, ledger, clock);
  await clock.advance(20_000);
  expect(events).toEqual(['claim', 'release']);
  expect(consumer.metrics.outages.size).toBe(1);
  isDown = false;
  await clock.advance(5_900);
  expect(events.slice(0, 4)).toEqual(['claim', 'release', 'claim', 'release']);
  expect(events.length).toBeLessThanOrEqual(16);
  consumer.drain();
  await consumer.finished;
});

it('a lane that is lost before its first batch leaves nothing queued or in flight', async () => {
  const clock = new ManualClock();
  const message = { lane: 0, position: 1, bytes: new Uint8Array(7) } as LogMessage;
  const log: Pick<OpenLog, 'bounds' | 'reader'> = {
    bounds: () => Promise.resolve(BOUNDS),
    reader: () => ({
      read: () => Promise.resolve({ messages: [message], reached: LANE.last }),
      close: () => undefined,
    }),
  };
  let claims = 0;
  const ledger = {
    // The answer takes so long that the lease has to be renewed before the batch.
    claim: () =>
      new Promise((resolve) => clock.setTimeout(() => resolve(CLAIM), (claims += 1) === 1 ? 10_000 : 90_000)),
    renew: () => Promise.reject(new LaneLost(0)),
    release: () => Promise.resolve(),
  };
  const consumer = start(log, ledger, clock);
  await clock.advance(11_000);
  const { lanesLost, messagesRead, messagesQueued, messagesInFlight, bytesHeld } = consumer.metrics;
  expect([lanesLost, messagesRead]).toEqual([1, 1]);
  expect({ messagesQueued, messagesInFlight, bytesHeld }).toEqual({
    messagesQueued: 0,
    messagesInFlight: 0,
    bytesHeld: 0,
  });
  consumer.abort();
  await clock.advance(90_000);
  await consumer.finished;
});

it('progress() rejects if the database does not answer within 10 s', async () => {
  const clock = new ManualClock();
  let looks = 0;
  const log: Pick<OpenLog, 'bounds' | 'reader'> = {
    bounds: () => Promise.resolve(BOUNDS),
    reader: () => ({ read: () => new Promise(() => undefined), close: () => undefined }),
  };
  const ledger = {
    claim: () => Promise.resolve(CLAIM),
    renew: () => Promise.resolve(CLAIM.next),
    release: () => Promise.resolve(),
    // The first look is that of the start.
    state: (signal: AbortSignal) =>
      (looks += 1) === 1
        ? Promise.resolve({ through: 0, open: [] })
        : new Promise((_, reject) => {
            signal.addEventListener('abort', () => reject(new Error('given up')), { once: true });
          }),
  };
  const consumer = start(log, ledger, clock);
  await clock.advance(0);
  let failure: unknown;
  void consumer.progress().catch((error: unknown) => (failure = error));
  await clock.advance(9_999);
  expect(failure).toBeUndefined();
  await clock.advance(1);
  expect(failure).toMatchObject({ message: 'the database has not answered within 10 s', ambiguous: true });
  consumer.drain();
  await consumer.finished;
});
