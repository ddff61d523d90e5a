/** What a writable admits, drops and delivers when more comes than it has room for. */

import { describe, expect, it } from 'vitest';
import { BackpressureWritable } from '../../../src/index.js';
import { CollectingDestination, ManualDestination } from '../../support/destinations.js';
import { ManualClock } from '../../support/manual-clock.js';
import { range } from '../../support/range.js';
import { endOf, expectLedger, loadOf, turn } from '../../support/stream.js';

const STRATEGIES = ['block', 'drop_oldest', 'drop_newest', 'sample'] as const;
const DROPPING = STRATEGIES.filter((strategy) => strategy !== 'block');

describe('10 000 writes at once, with room for 100', () => {
  it.each(STRATEGIES)('under %s: delivered or dropped, and each drop is counted', async (strategy) => {
    const destination = new CollectingDestination<number>();
    const stream = new BackpressureWritable<number>(destination.flush, {
      strategy,
      maxBufferSize: 100,
      maxWaiting: 10_000,
    });
    const dropped: number[] = [];
    stream.on('drop', (item) => dropped.push(item));
    for (const item of range(10_000)) stream.write(item);
    stream.end();
    expect(await endOf(stream)).toBeUndefined();
    expect([...destination.items, ...dropped].toSorted((a, b) => a - b)).toEqual(range(10_000));
    expect(dropped.length > 0).toBe(strategy !== 'block');
    expect(expectLedger(stream).eventsDropped).toBe(dropped.length);
  });
});

describe('the return value of write()', () => {
  it.each(DROPPING)(
    'under %s it is true also for an item that is dropped, and the drop is emitted',
    (strategy) => {
      const stream = new BackpressureWritable<number>(async () => undefined, { strategy, maxBufferSize: 4 });
      let drops = 0;
      stream.on('drop', () => drops++);
      for (const item of range(100)) expect(stream.write(item)).toBe(true);
      expect(drops).toBe(stream.getMetrics().eventsDropped);
      expect(drops).toBeGreaterThanOrEqual(96);
      stream.on('error', () => undefined).destroy();
    },
  );

  it('under block it is true only for an item that is in the buffer, and nothing is dropped', () => {
    const stream = new BackpressureWritable<number>(async () => undefined, { maxBufferSize: 10 });
    for (const item of range(8)) {
      const mayGoOn = stream.write(item);
      expect(mayGoOn).toBe(item < 7);
      expect(expectLedger(stream)).toMatchObject({ bufferSize: item + 1, waiting: 0, eventsDropped: 0 });
    }
    expect(stream.write(8)).toBe(false);
    expect(expectLedger(stream)).toMatchObject({ bufferSize: 8, waiting: 1, eventsDropped: 0 });
    stream.on('error', () => undefined).destroy();
  });
});

describe('queued, in flight and retrying together (invariant 1)', () => {
  it.each(STRATEGIES)('never exceed maxBufferSize under %s', async (strategy) => {
    const clock = new ManualClock();
    const destination = new ManualDestination<number>();
    const stream = new BackpressureWritable<number>(destination.flush, {
      clock,
      strategy,
      maxBufferSize: 10,
      maxWaiting: 1_000,
      concurrency: 2,
      retry: { attempts: 3, minDelayMs: 50 },
      onFailed: () => undefined,
    });
    let most = 0;
    stream.on('flush', () => (most = Math.max(most, loadOf(expectLedger(stream)))));
    for (let round = 0; round < 60; round++) {
      for (const item of range(5)) stream.write(item);
      await clock.advance(30);
      most = Math.max(most, loadOf(expectLedger(stream)));
      if (destination.open.length > 0)
        await (round % 3 ? destination.fail(new Error('stuck')) : destination.answer());
    }
    expect(stream.getMetrics().retries).toBeGreaterThan(5);
    expect(most).toBeGreaterThan(4);
    expect(most).toBeLessThanOrEqual(10);
    stream.on('error', () => undefined).destroy();
    await clock.advance(2_000);
  });
});

describe('300 writes that wait for room', () => {
  it('have their callbacks called in order, and are delivered in order', async () => {
    const destination = new ManualDestination<number>();
    const stream = new BackpressureWritable<number>(destination.flush, { maxBufferSize: 3, maxWaiting: 500 });
    const released: number[] = [];
    const writers = range(300).map(
      (item) => new Promise<void>((resolve) => stream.write(item, () => resolve(void released.push(item)))),
    );
    const all = Promise.all(writers);
    while (released.length < 300) {
      await turn();
      await destination.answerAll();
    }
    await all;
    expect(released).toEqual(range(300));
    await stream[Symbol.asyncDispose]();
    expect(destination.items).toEqual(range(300));
  });
});
