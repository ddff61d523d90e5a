import { once } from 'node:events';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, expect, it } from 'vitest';
import { BackpressureTransform, BackpressureWritable } from '../../../src/index.js';
import { ManualClock } from '../../support/manual-clock.js';
import { CollectingDestination, ManualDestination } from '../../support/destinations.js';
import { range } from '../../support/range.js';
import { closed, endOf, expectLedger, loadOf, turn } from '../../support/stream.js';

// The numbers are those of the collection of faults that others' users reported, kept with the project's design.
const STRATEGIES = ['block', 'drop_oldest', 'drop_newest', 'sample'] as const;
const DROPPING = STRATEGIES.filter((strategy) => strategy !== 'block');

describe('4. a synchronous burst over capacity: lossless under block, exactly counted otherwise', () => {
  it.each(STRATEGIES)('%s', async (strategy) => {
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

describe('6. write() answers true for a dropped item only where the strategy says so', () => {
  it.each(DROPPING)('%s: it does, and the drop is told', (strategy) => {
    const stream = new BackpressureWritable<number>(async () => undefined, { strategy, maxBufferSize: 4 });
    let drops = 0;
    stream.on('drop', () => drops++);
    for (const item of range(100)) expect(stream.write(item)).toBe(true);
    expect(drops).toBe(stream.getMetrics().eventsDropped);
    expect(drops).toBeGreaterThanOrEqual(96);
    stream.on('error', () => undefined).destroy();
  });

  it('block: whoever is told true has its item in the buffer, and nothing is ever dropped', () => {
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

describe('8. buffered, in flight and retrying never exceed the bound together', () => {
  it.each(STRATEGIES)('%s', async (strategy) => {
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

describe('10. many blocked writers are all released, first come first served', () => {
  it('by their callbacks', async () => {
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

describe('16. end() settles for any item count', () => {
  it.each([0, 1, 99, 100, 101, 250])('%i', async (count) => {
    const destination = new CollectingDestination<number>();
    const stream = new BackpressureWritable<number>(destination.flush);
    await pipeline(Readable.from(range(count)), new BackpressureTransform<number>(), stream);
    expect(destination.items).toEqual(range(count));
  });
});

describe('17. dropping strategies never drop end or error', () => {
  it.each(DROPPING)('%s: the end of a sink that drops everything comes', async (strategy) => {
    const destination = new ManualDestination<number>();
    const stream = new BackpressureWritable<number>(destination.flush, { strategy, maxBufferSize: 1 });
    stream.write(0);
    await turn();
    await turn();
    for (const item of range(1_000)) stream.write(item);
    stream.end(1_000);
    await turn();
    while (destination.open.length > 0) await destination.answer();
    expect(await endOf(stream)).toBeUndefined();
  });

  it.each(DROPPING)('%s: an error in front of it comes through, with its buffer full', async (strategy) => {
    const failure = new Error('in front');
    const between = new BackpressureTransform<number>({ strategy, maxBufferSize: 2 });
    const source = new Transform({
      objectMode: true,
      transform: (item: number, _encoding, done) => (item === 500 ? done(failure) : done(null, item)),
    });
    const destination = new ManualDestination<number>();
    const stream = new BackpressureWritable<number>(destination.flush, {
      strategy,
      maxBufferSize: 2,
      abortGraceMs: 0,
    });
    await expect(pipeline(Readable.from(range(1_000)), source, between, stream)).rejects.toBe(failure);
  });

  it.each(DROPPING)("%s: a transform's end comes after what it kept", async (strategy) => {
    const between = new BackpressureTransform<number>({ strategy, maxBufferSize: 2 });
    for (const item of range(100)) between.write(item);
    between.end();
    expect(await between.toArray()).toHaveLength(2);
  });
});

describe('21. a destination that fails while the source is idle fails the pipeline promptly', () => {
  it('without another write, without end()', async () => {
    const clock = new ManualClock();
    const destination = new ManualDestination<number>();
    const stream = new BackpressureWritable<number>(destination.flush, { clock });
    const source = new Readable({ objectMode: true, read: () => undefined });
    const outcome = pipeline(source, stream).catch((error: unknown) => error);
    source.push(1);
    await clock.advance(100);
    await destination.fail(new Error('gone'));
    expect(await outcome).toMatchObject({ code: 'ERR_BACKPRESSURE_FLUSH_FAILED', items: [1] });
    expect(source.destroyed).toBe(true);
    expect(clock.pending).toBe(0);
  });
});

describe('22. pipeline() rejects with the original error, and nothing is written after close', () => {
  it('when a stage in front fails while flushes are under way', async () => {
    const failure = new Error('the original');
    const clock = new ManualClock();
    const destination = new ManualDestination<number>();
    const stream = new BackpressureWritable<number>(destination.flush, {
      clock,
      batchSize: 2,
      concurrency: 2,
    });
    const source = new Readable({ objectMode: true, read: () => undefined });
    for (const item of range(9)) source.push(item);
    const outcome = pipeline(source, stream).catch((error: unknown) => error);
    await turn();
    expect(destination.open).toHaveLength(2);
    source.destroy(failure);
    await turn();
    expect(destination.open.map(({ context }) => context.signal.aborted)).toEqual([true, true]);
    expect(stream.closed).toBe(false);
    await clock.advance(1_000);
    expect(await outcome).toBe(failure);
    expect(stream.closed).toBe(true);
    const calls = destination.calls.length;
    await clock.advance(100_000);
    expect(destination.calls).toHaveLength(calls);
    expect(stream.takeUnsettled()).toEqual(range(9));
  });
});

describe('23. listener counts are flat over 1 000 flushes', () => {
  it('of the stream, of its signal, and of the process', async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => void warnings.push(warning);
    process.on('warning', onWarning);
    const { signal } = new AbortController();
    const destination = new CollectingDestination<number>();
    const stream = new BackpressureWritable<number>(destination.flush, { signal, highWaterMark: 1 });
    const counts = () => ({
      stream: stream.eventNames().map((name) => [name, stream.listenerCount(name)]),
      process: process.eventNames().map((name) => [name, process.listenerCount(name as string)]),
    });
    const before = counts();
    for (const item of range(1_000)) {
      if (!stream.write(item)) await once(stream, 'drain');
      if (item % 10 === 0) await stream.flush();
    }
    expect(destination.batches.length).toBeGreaterThanOrEqual(1_000);
    expect(counts()).toEqual(before);
    await stream[Symbol.asyncDispose]();
    process.off('warning', onWarning);
    expect(warnings).toEqual([]);
  });
});

describe('24. timers are cleared on flush, close and destroy', () => {
  it('on flush, and on close', async () => {
    const clock = new ManualClock();
    const destination = new CollectingDestination<number>();
    const stream = new BackpressureWritable<number>(destination.flush, { clock });
    expect(clock.pending).toBe(0);
    for (const item of range(50)) {
      stream.write(item);
      await turn();
      expect(clock.pending).toBe(1);
      await stream.flush();
      expect(clock.pending).toBe(0);
    }
    stream.write(50);
    await stream[Symbol.asyncDispose]();
    expect(clock.pending).toBe(0);
  });

  it.each(['queued', 'in flight', 'retrying', 'held'])('on destroy, %s', async (stage) => {
    const clock = new ManualClock();
    const destination = new ManualDestination<number>();
    const stream = new BackpressureWritable<number>(destination.flush, {
      clock,
      maxBufferSize: 4,
      batchSize: 2,
      maxBlockTimeMs: 10_000,
      retry: { attempts: 9, minDelayMs: 1_000 },
    });
    stream.on('error', () => undefined);
    for (const item of range(stage === 'queued' ? 1 : stage === 'held' ? 6 : 2)) stream.write(item);
    await turn();
    if (stage === 'retrying') await destination.fail(new Error('no'));
    expect(clock.pending).toBeGreaterThan(0);
    stream.destroy();
    await turn();
    if (stage === 'in flight' || stage === 'held') await destination.answer();
    await closed(stream);
    expect(clock.pending).toBe(0);
  });
});
