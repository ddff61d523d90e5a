import { expect, it } from 'vitest';
import type { LaneBounds, Log, LogBounds, OpenLog } from '../../../../src/log/log.js';
import { LogConsumer, type ConsumerDestination } from '../../../../src/postgres/consume/log-consumer.js';
import { CONSUME_DEFAULTS } from '../../../../src/postgres/consume/consume-settings.js';
import { ManualClock } from '../../../support/manual-clock.js';

const LANE: LaneBounds = { lane: 0, first: 1, last: 100, oldest: 1, end: 1 };
const BOUNDS: LogBounds = { firstLane: 0, lastLane: 0, lane: () => LANE };

it('a drain that begins while a lane is being claimed ends at once, and frees the lane', async () => {
  const claim = { importRow: '1', lane: 0, first: 1, last: 100, next: 1, run: 1 };
  const released: number[] = [];
  let looks = 0;
  const log: OpenLog = {
    source: {},
    hasOneOrder: true,
    bounds: () => {
      // The second look is that for the lane which has just been claimed.
      if ((looks += 1) === 2) consumer.drain();
      return Promise.resolve(BOUNDS);
    },
    find: () => Promise.resolve(undefined),
    reader: () => ({
      read: () => new Promise(() => undefined),
      close: () => undefined,
    }),
  };
  const ledger = {
    state: () => Promise.resolve({ through: 0, open: [] }),
    claim: () => Promise.resolve(claim),
    release: ({ lane }: { lane: number }) => Promise.resolve(void released.push(lane)),
  };
  const destination = {
    open: () => Promise.resolve(ledger),
    copier: () => ({ copy: () => Promise.reject(new Error('nothing is to be copied')), lastDeadLetters: 0 }),
  } as unknown as ConsumerDestination;
  const closed: Log = { open: () => Promise.resolve(log) };
  const consumer = new LogConsumer(closed, destination, {
    ...CONSUME_DEFAULTS,
    connections: 1,
    allowGaps: false,
    untilCaughtUp: false,
    clock: new ManualClock(),
  });
  await consumer.finished;
  expect(released).toEqual([0]);
});
