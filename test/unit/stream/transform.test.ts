import { finished, pipeline } from 'node:stream/promises';
import { Readable, Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { BackpressureTransform, InvalidOptionError, type TransformOptions } from '../../../src/index.js';
import { ManualClock } from '../../support/manual-clock.js';
import { range } from '../../support/range.js';
import { ALL_EVENTS, closed, endOf, expectLedger, record, turn, watchLedger } from '../../support/stream.js';

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- some emit numbers, some arrays of them
function create(options: TransformOptions<number, any> = {}) {
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- as above
  const between = new BackpressureTransform<number, any>(options);
  watchLedger(
    between,
    ALL_EVENTS.filter((event) => event !== 'error'),
  );
  return between;
}

/** Reads everything from now on. */
function collect(between: BackpressureTransform<number, unknown>): unknown[] {
  const seen: unknown[] = [];
  between.on('data', (value) => void seen.push(value));
  return seen;
}

describe('block', () => {
  it.each([1, 2, 8, 1_000])('keeps everything, in order, within its capacity (%i)', async (maxBufferSize) => {
    const between = create({ maxBufferSize });
    const sent = pipeline(Readable.from(range(2_000)), between);
    const seen: number[] = [];
    for await (const item of between) {
      seen.push(item as number);
      const { bufferSize, inFlight } = expectLedger(between);
      if (bufferSize + inFlight > maxBufferSize) expect.fail('over the bound');
      if (seen.length % 100 === 0) await turn();
    }
    await sent;
    expect(seen).toEqual(range(2_000));
  });

  it("write() answers false from the high watermark on, and 'drain' comes at the low one", async () => {
    const between = create({ maxBufferSize: 20 });
    let writes = 1;
    while (between.write(writes)) writes++;
    expect(writes).toBe(16);
    expect([between.writableLength, between.writableHighWaterMark, between.writableNeedDrain]).toEqual([
      16,
      16,
      true,
    ]);
    let lengthAtDrain = -1;
    between.on('drain', () => (lengthAtDrain = between.writableLength));
    const seen: unknown[] = [];
    between.on('readable', () => undefined);
    while (lengthAtDrain < 0) {
      await turn(1);
      const item: unknown = between.read();
      if (item !== null) seen.push(item);
    }
    expect(lengthAtDrain).toBe(10);
    expect(between.writableNeedDrain).toBe(false);
    expect(seen).toEqual(range(seen.length, 1));
  });

  it('hands an item on at once to a reader that waits', async () => {
    const between = create();
    const seen = collect(between);
    for (const item of range(3)) {
      await turn();
      between.write(item);
      await turn();
      expect(seen).toEqual(range(item + 1));
    }
  });

  it('keeps nothing but one item in the readable side', async () => {
    const between = create({ maxBufferSize: 100 });
    between.on('readable', () => undefined);
    for (const item of range(50)) between.write(item);
    await turn();
    expect(between.readableLength).toBe(1);
    expect(expectLedger(between)).toMatchObject({ bufferSize: 49, inFlight: 1, eventsFlushed: 0 });
  });

  it('fails a producer that ignores false beyond maxWaiting, and hands everything back', async () => {
    const between = create({ maxBufferSize: 10, maxWaiting: 5 });
    const ended = endOf(between);
    // The ledger is watched inside 'drain': a listener of it may have one item waiting.
    expect(between.listenerCount('drain')).toBe(1);
    for (const item of range(15)) between.write(item);
    expect(await ended).toMatchObject({ code: 'ERR_BACKPRESSURE_OVERFLOW', items: range(15) });
    expect(between.takeUnsettled()).toEqual(range(15));
    expect(expectLedger(between)).toMatchObject({ eventsFailed: 8, eventsDropped: 7, waiting: 0 });
  });

  it('fails after maxBlockTimeMs without room', async () => {
    const clock = new ManualClock();
    const between = create({ maxBufferSize: 2, maxBlockTimeMs: 50, clock });
    const ended = endOf(between);
    for (const item of range(3)) between.write(item);
    await clock.advance(49);
    expect(between.destroyed).toBe(false);
    await clock.advance(1);
    expect(await ended).toMatchObject({ code: 'ERR_BACKPRESSURE_BLOCK_TIMEOUT' });
    expect(clock.pending).toBe(0);
  });
});

describe('drop_oldest', () => {
  it('hands out exactly the last 8 of 1 000 written at once into a capacity of 8', async () => {
    const between = create({ strategy: 'drop_oldest', maxBufferSize: 8 });
    for (const item of range(1_000)) expect(between.write(item)).toBe(true);
    between.end();
    const seen = collect(between);
    await finished(between);
    expect(seen).toEqual(range(8, 992));
    expect(expectLedger(between).dropsByReason.evicted).toBe(992);
  });

  it.each(['data', 'readable', 'for await', 'pipe'])(
    'with a reader attached (%s): the last 8, and at most two older ones',
    async (reader) => {
      const between = create({ strategy: 'drop_oldest', maxBufferSize: 8 });
      const seen: number[] = [];
      const read = async () => {
        for await (const item of between) seen.push(item as number);
      };
      const reading = reader === 'for await' ? read() : undefined;
      if (reader === 'data') between.on('data', (item: number) => void seen.push(item));
      if (reader === 'readable')
        between.on('readable', () => {
          for (let item: unknown; (item = between.read()) !== null;) seen.push(item as number);
        });
      if (reader === 'pipe')
        between.pipe(
          new Writable({
            objectMode: true,
            highWaterMark: 1,
            write(item: number, _encoding, done) {
              seen.push(item);
              setImmediate(done);
            },
          }),
        );
      await turn();
      for (const item of range(1_000)) between.write(item);
      between.end();
      await finished(between);
      await reading;
      await turn(20);
      expect(seen.slice(-8)).toEqual(range(8, 992));
      expect(seen.length).toBeLessThanOrEqual(10);
    },
  );

  it('a slow reader always sees the freshest', async () => {
    const between = create({ strategy: 'drop_oldest', maxBufferSize: 4 });
    let written = 0;
    const lags: number[] = [];
    between.on('readable', () => undefined);
    for (let round = 0; round < 50; round++) {
      for (let count = 0; count < 20; count++) between.write(written++);
      await turn();
      const item: unknown = between.read();
      if (typeof item === 'number') lags.push(written - item);
    }
    // One lies in the readable side since the last round, four in the buffer.
    expect(Math.max(...lags.slice(1))).toBeLessThanOrEqual(20 + 5);
  });
});

describe('drop_newest and sample', () => {
  it('drop_newest keeps the first 8', async () => {
    const between = create({ strategy: 'drop_newest', maxBufferSize: 8 });
    for (const item of range(1_000)) expect(between.write(item)).toBe(true);
    between.end();
    const seen = collect(between);
    await finished(between);
    expect(seen).toEqual(range(8));
  });

  it('an oversized item, which is dropped, keeps none behind it from a reader that waits', async () => {
    const between = create({ strategy: 'drop_newest', maxBufferBytes: 10, sizeOf: (item) => item });
    const seen = collect(between);
    await turn();
    between.write(11);
    between.write(1);
    await turn();
    expect(seen).toEqual([1]);
  });

  it('sample keeps about one of sampleRate above NORMAL, and what it drops is counted exactly', async () => {
    const between = create({ strategy: 'sample', maxBufferSize: 1_000, sampleRate: 10 });
    for (const item of range(3_000)) expect(between.write(item)).toBe(true);
    const { bufferSize, dropsByReason, unrepresented } = expectLedger(between);
    expect(bufferSize).toBe(500 + 250);
    expect(dropsByReason.sampled).toBe(2_250);
    expect(unrepresented).toBeLessThan(20);
    between.end();
    const seen = collect(between);
    await finished(between);
    expect(seen).toHaveLength(750);
  });
});

describe('map', () => {
  it('changes items, in order', async () => {
    const between = create({ map: (item) => `#${item}` });
    const seen = collect(between);
    for (const item of range(5)) between.write(item);
    between.end();
    await finished(between);
    expect(seen).toEqual(['#0', '#1', '#2', '#3', '#4']);
  });

  it('may be asynchronous: one at a time, in order', async () => {
    let running = 0;
    const between = create({
      maxBufferSize: 3,
      map: async (item) => {
        expect(++running).toBe(1);
        await turn(item % 3);
        running--;
        return item * 2;
      },
    });
    const seen = collect(between);
    await pipeline(Readable.from(range(30)), between);
    await finished(between);
    expect(seen).toEqual(range(30).map((item) => item * 2));
  });

  it('may be asynchronous for some items only', async () => {
    const between = create({
      batchSize: 4,
      map: (item) => (item % 2 ? Promise.resolve(item) : item),
    });
    const seen = collect(between);
    for (const item of range(10)) between.write(item);
    between.end();
    await finished(between);
    expect(seen).toEqual([range(4), range(4, 4), range(2, 8)]);
  });

  it.each([null, undefined])('emits nothing for %s, and goes on', async (nothing) => {
    const between = create({ maxBufferSize: 2, map: (item) => (item % 3 === 0 ? item : nothing) });
    const seen = collect(between);
    await pipeline(Readable.from(range(20)), between);
    await finished(between);
    expect(seen).toEqual([0, 3, 6, 9, 12, 15, 18]);
    expect(expectLedger(between)).toMatchObject({ eventsFlushed: 20 });
  });

  it('a map that emits nothing at all ends', async () => {
    const between = create({ maxBufferSize: 2, map: () => null });
    const seen = collect(between);
    await pipeline(Readable.from(range(20)), between);
    await finished(between);
    expect(seen).toEqual([]);
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('bad item');
      },
    ],
    ['rejects', () => Promise.reject(new Error('bad item'))],
    [
      'throws what is no Error',
      () => {
        throw 'bad item';
      },
    ],
  ] as [string, () => never][])(
    'that %s fails the stream, and returns the item and what is behind it',
    async (_name, fail) => {
      const between = create({ map: (item) => (item === 2 ? fail() : item) });
      const ended = endOf(between);
      const seen = collect(between);
      for (const item of range(5)) between.write(item);
      expect(await ended).toMatchObject({ message: expect.stringContaining('bad item') as string });
      await closed(between);
      expect(seen).toEqual([0, 1]);
      expect(between.takeUnsettled()).toEqual([2, 3, 4]);
      expect(expectLedger(between)).toMatchObject({ eventsFlushed: 2, eventsFailed: 3, inFlight: 0 });
    },
  );

  it('a map at work when the stream is destroyed has its item returned, and its result ignored', async () => {
    let answer: (item: number) => void = () => undefined;
    const between = create({ map: () => new Promise((resolve) => (answer = resolve)) });
    const ended = endOf(between);
    const seen = collect(between);
    for (const item of range(3)) between.write(item);
    await turn();
    expect(expectLedger(between)).toMatchObject({ inFlight: 1, bufferSize: 2 });
    const error = new Error('away');
    between.destroy(error);
    expect(await ended).toBe(error);
    answer(0);
    await turn();
    expect(seen).toEqual([]);
    expect(between.takeUnsettled()).toEqual([0, 1, 2]);
    expect(expectLedger(between)).toMatchObject({ inFlight: 0, eventsFailed: 3, eventsFlushed: 0 });
  });
});

describe('batchSize', () => {
  it('counts what came in other turns, while the reader waits', async () => {
    const between = create({ batchSize: 10 });
    const seen = collect(between);
    for (const item of range(3)) between.write(item);
    await turn();
    for (const item of range(7, 3)) between.write(item);
    await turn();
    expect(seen).toEqual([range(10)]);
    between.destroy();
  });

  it('emits arrays, the last one shorter', async () => {
    const between = create({ batchSize: 4 });
    const seen = collect(between);
    for (const item of range(10)) between.write(item);
    await turn();
    expect(seen).toEqual([range(4), range(4, 4)]);
    between.end();
    await finished(between);
    expect(seen).toEqual([range(4), range(4, 4), [8, 9]]);
  });

  it('a held producer gets a short one rather than a deadlock', async () => {
    const between = create({ maxBufferSize: 10, batchSize: 10 });
    const seen = collect(between);
    for (const item of range(7)) expect(between.write(item)).toBe(true);
    await turn();
    expect(seen).toEqual([]);
    expect(between.write(7)).toBe(false);
    await turn();
    expect(seen).toEqual([range(8)]);
    expect(between.writableNeedDrain).toBe(false);
  });

  it('is bounded in a pipeline', async () => {
    const between = create({ maxBufferSize: 10, batchSize: 3 });
    const seen = collect(between);
    await pipeline(Readable.from(range(100)), between);
    await finished(between);
    expect(seen.flat()).toEqual(range(100));
    expect(Math.max(...(seen as number[][]).map((batch) => batch.length))).toBe(3);
  });
});

describe('the end', () => {
  it("'finish' means all input admitted, 'end' that all has been read", async () => {
    const between = create({ maxBufferSize: 10 });
    const seen = record(between, ['finish', 'end', 'close']);
    for (const item of range(3)) between.write(item);
    between.end();
    await turn();
    expect(seen).toEqual(['finish']);
    expect(between.getMetrics()).toMatchObject({ state: 'draining', bufferSize: 3 });
    collect(between);
    await finished(between);
    await turn();
    expect(seen).toEqual(['finish', 'end', 'close']);
  });

  it.each([0, 1, 2, 9])('comes for %i items, with and without a waiting reader', async (count) => {
    for (const early of [true, false]) {
      const between = create({ maxBufferSize: 4, maxWaiting: 100 });
      const before = early ? collect(between) : undefined;
      for (const item of range(count)) between.write(item);
      between.end();
      if (!early) await turn();
      const seen = before ?? collect(between);
      await finished(between);
      expect(seen).toEqual(range(count));
    }
  });

  it("does not come before items that wait, nor 'finish'", async () => {
    const between = create({ maxBufferSize: 2 });
    const seen = record(between, ['finish']);
    for (const item of range(4)) between.write(item);
    between.end();
    await turn();
    expect(seen).toEqual([]);
    expect(expectLedger(between).waiting).toBe(2);
    const items = collect(between);
    await finished(between);
    expect(items).toEqual(range(4));
  });

  it('Symbol.asyncDispose where nobody reads does not hang: an empty one ends', async () => {
    const between = create();
    await between[Symbol.asyncDispose]();
    expect(between.readableEnded).toBe(true);
  });

  it('Symbol.asyncDispose where nobody reads does not hang: items are returned with an error', async () => {
    const between = create();
    between.on('error', () => undefined);
    for (const item of range(3)) between.write(item);
    await expect(between[Symbol.asyncDispose]()).rejects.toMatchObject({
      code: 'ERR_BACKPRESSURE_ABORTED',
      items: range(3),
    });
    expect(between.takeUnsettled()).toEqual(range(3));
  });

  it('Symbol.asyncDispose waits until the reader has got everything', async () => {
    const between = create();
    for (const item of range(5)) between.write(item);
    const seen = collect(between);
    await between[Symbol.asyncDispose]();
    expect(seen).toEqual(range(5));
  });
});

describe('destroyed mid-way', () => {
  it.each([
    ['destroy()', undefined],
    ['destroy(error)', new Error('of the user')],
  ])('%s returns what the reader did not get, in order, and is no success', async (_name, error) => {
    for (const ending of [false, true]) {
      const between = create({ maxBufferSize: 4, maxWaiting: 100 });
      const ended = endOf(between);
      for (const item of range(9)) between.write(item);
      if (ending) between.end();
      await turn();
      between.destroy(error);
      const told = await ended;
      if (error !== undefined) expect(told).toBe(error);
      // It has no items where Node itself knows that the end is missing.
      else expect(told).toHaveProperty('code', expect.stringMatching(/PREMATURE_CLOSE|ABORTED/));
      expect(between.takeUnsettled()).toEqual(range(9));
      expect(between.takeUnsettled()).toEqual([]);
      expect(expectLedger(between)).toMatchObject({ waiting: 0, bufferSize: 0, inFlight: 0 });
    }
  });

  it('by its signal', async () => {
    const controller = new AbortController();
    const between = create({ signal: controller.signal });
    const ended = endOf(between);
    between.write(1);
    controller.abort();
    expect(await ended).toMatchObject({ name: 'AbortError' });
    expect(between.takeUnsettled()).toEqual([1]);
  });

  it('a transform destroyed with items in its readable side returns them, and read() has them no more', async () => {
    const between = create();
    between.on('readable', () => undefined);
    between.on('error', () => undefined);
    for (const item of range(4)) between.write(item);
    await turn();
    between.destroy();
    await closed(between);
    expect(between.read()).toBeNull();
    expect(between.takeUnsettled()).toEqual(range(4));
    expect(expectLedger(between)).toMatchObject({ eventsFlushed: 0, eventsFailed: 4 });
  });

  it.each(['drop_oldest', 'drop_newest', 'sample', 'block'] as const)(
    "by a listener of 'drop' or 'state', under %s",
    async (strategy) => {
      const between = create({ strategy, maxBufferSize: 4, maxWaiting: 100 });
      between.on('error', () => undefined);
      between.once(strategy === 'block' ? 'state' : 'drop', () =>
        between.destroy(new Error('in a listener')),
      );
      for (const item of range(12)) between.write(item);
      await closed(between);
      const metrics = expectLedger(between);
      expect(metrics).toMatchObject({ waiting: 0, bufferSize: 0, inFlight: 0 });
      expect(between.takeUnsettled()).toHaveLength(metrics.eventsFailed + metrics.dropsByReason.aborted);
    },
  );

  it('by shed that throws: the item and what is behind it come back', async () => {
    const between = create({
      shed: (item) => {
        if (item === 2) throw new Error('boom');
        return false;
      },
    });
    const ended = endOf(between);
    for (const item of range(2)) between.write(item);
    between.write(2, () => undefined);
    between.write(3);
    expect(await ended).toMatchObject({ code: 'ERR_BACKPRESSURE_HANDLER_FAILED' });
    const offered = expectLedger(between).eventsOffered;
    expect(between.takeUnsettled()).toEqual(range(offered));
  });

  it('by shed, asked about a chunk: it comes back before what is behind it', async () => {
    // eslint-disable-next-line @typescript-eslint/no-explicit-any -- as that of create()
    const between: BackpressureTransform<number, any> = create({
      maxBufferSize: 2,
      maxWaiting: 20,
      shed: (item) => (item === 2 && between.destroy(new Error('boom')), false),
    });
    const ended = endOf(between);
    for (const item of range(5)) between.write(item);
    between.resume();
    expect(await ended).toMatchObject({ message: 'boom' });
    expect(expectLedger(between)).toMatchObject({
      eventsFlushed: 1,
      waiting: 0,
      dropsByReason: { aborted: 3 },
    });
    expect(between.takeUnsettled()).toEqual(range(4, 1));
  });

  it.each(['state', 'drop'] as const)("by a listener of '%s' that throws", async (event) => {
    const between = create({ strategy: 'drop_newest', maxBufferSize: 4 });
    const ended = endOf(between);
    between.on(event, () => {
      throw new Error('boom');
    });
    for (const item of range(6)) between.write(item);
    const error = await ended;
    expect(error).toMatchObject({ code: 'ERR_BACKPRESSURE_HANDLER_FAILED' });
    expect(error!.message).toContain(`'${event}'`);
    expect(between.takeUnsettled()).toEqual(range(4));
  });
});

describe('options that only a sink has are refused by name', () => {
  it.each([
    'batchBytes',
    'concurrency',
    'minFlushIntervalMs',
    'maxFlushIntervalMs',
    'targetLatencyMs',
    'flushTimeoutMs',
    'abortGraceMs',
    'retry',
    'onFailed',
    'onSettled',
  ])('%s', (name) => {
    // prettier-ignore
    let thrown: unknown;
    try {
      new BackpressureTransform({ [name]: 1 });
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(InvalidOptionError);
    expect(thrown).toMatchObject({ option: name, code: 'ERR_BACKPRESSURE_INVALID_OPTION' });
    expect((thrown as Error).message).toContain('BackpressureWritable');
  });

  it('batchSize in byte mode, which cannot emit arrays', () => {
    expect(() => new BackpressureTransform({ objectMode: false, batchSize: 2 })).toThrow(/'batchSize'/);
  });
});
