import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { BackpressureWritable, type WritableOptions } from '../../../src/index.js';
import { ManualClock } from '../../support/manual-clock.js';
import { CollectingDestination, ManualDestination } from '../../support/destinations.js';
import { range } from '../../support/range.js';
import { closed, endOf, expectLedger, loadOf, turn } from '../../support/stream.js';

const DROPPING = ['drop_oldest', 'drop_newest', 'sample'] as const;

function create(options: WritableOptions<number> = {}) {
  const clock = new ManualClock();
  const destination = new ManualDestination<number>();
  const stream = new BackpressureWritable<number>(destination.flush, { clock, ...options });
  return { clock, destination, stream };
}

/** Writes until `write()` answers `false`; answers with the number of writes, that one included. */
function writeUntilFalse(stream: BackpressureWritable<number>): number {
  for (let count = 1; count < 100_000; count++) if (!stream.write(count)) return count;
  throw new Error('write() never answered false');
}

/** Answers flushes of one item until 'drain'; the load at that moment. */
async function loadAtDrain(stream: BackpressureWritable<number>, destination: ManualDestination<number>) {
  let load: number | undefined;
  stream.once('drain', () => {
    load = loadOf(expectLedger(stream));
    expect(stream.writableNeedDrain).toBe(false);
  });
  await turn();
  for (;;) {
    await turn();
    if (load !== undefined) return load;
    expect(stream.writableNeedDrain).toBe(true);
    expect(destination.open.length, 'a held producer, and nothing in flight').toBeGreaterThan(0);
    await destination.answer();
  }
}

describe("block: write() answers false from the high watermark on, and 'drain' comes at the low one", () => {
  const cases: [string, WritableOptions<number>, number, number][] = [
    ['default options', { batchSize: 1 }, 8_000, 5_000],
    ['maxBufferSize 100', { maxBufferSize: 100, batchSize: 1 }, 80, 50],
    ['own ratios', { maxBufferSize: 100, highWatermark: 0.6, lowWatermark: 0.1, batchSize: 1 }, 60, 10],
    ['highWatermark 1', { maxBufferSize: 10, highWatermark: 1, batchSize: 1 }, 10, 5],
    ['highWaterMark 16', { highWaterMark: 16, batchSize: 1, maxBufferSize: 20 }, 16, 10],
    ['maxBufferSize 1', { maxBufferSize: 1 }, 1, 0],
    ['maxBufferSize 2', { maxBufferSize: 2, batchSize: 1 }, 2, 1],
  ];
  it.each(cases)('%s', async (_name, options, high, low) => {
    const { stream, destination } = create(options);
    for (let round = 0; round < 2; round++) {
      const before = loadOf(stream.getMetrics());
      expect(before + writeUntilFalse(stream)).toBe(high);
      expect(stream.writableLength).toBe(high);
      expect(await loadAtDrain(stream, destination)).toBe(low);
      expect(stream.writableLength).toBe(low);
    }
    stream.end();
    await turn();
    await destination.answerAll();
    expect(await endOf(stream)).toBeUndefined();
    expect(destination.items.length).toBe(expectLedger(stream).eventsFlushed);
  });

  it.each([
    [16, 16, 10],
    [1, 1, 0],
    [0, 1, 0],
  ])('highWaterMark %i alone means what it means in Node', async (highWaterMark, high, low) => {
    const { stream, destination } = create({ highWaterMark });
    expect(stream.writableHighWaterMark).toBe(highWaterMark);
    expect(writeUntilFalse(stream)).toBe(high);
    expect(stream.writableNeedDrain).toBe(true);
    const drained = once(stream, 'drain').then(() => loadOf(stream.getMetrics()));
    await turn();
    while (stream.writableNeedDrain) await destination.answer();
    // Batches are larger than one item here: the load at 'drain' is the low mark or what the last batch left below it.
    expect(await drained).toBeLessThanOrEqual(low);
  });

  it("goes on answering false until 'drain', though there is room again", async () => {
    const { stream, destination } = create({ maxBufferSize: 10, batchSize: 1 });
    expect(writeUntilFalse(stream)).toBe(8);
    await turn();
    await destination.answer();
    await destination.answer();
    expect(expectLedger(stream)).toMatchObject({ inFlight: 1, bufferSize: 5 });
    expect(stream.write(9)).toBe(false);
    expect(stream.writableNeedDrain).toBe(true);
    expect(expectLedger(stream).waiting).toBe(1);
  });

  it('measures bytes by the same rule, where items have a size', () => {
    for (const [sizes, answers] of [
      [
        [79, 1],
        [true, false],
      ],
      [[80], [false]],
      [[81], [false]],
      [
        [40, 41],
        [true, false],
      ],
    ] as const) {
      const { stream } = create({ sizeOf: (size) => size, maxBufferBytes: 100 });
      expect(sizes.map((size) => stream.write(size))).toEqual(answers);
      expect(stream.writableNeedDrain).toBe(true);
      stream.on('error', () => undefined).destroy();
    }
  });

  it('lets nothing overtake what waits, not even what a listener writes while that is admitted', async () => {
    const { stream, destination } = create({ maxBufferSize: 10, batchSize: 5 });
    for (const item of range(14)) stream.write(item);
    await turn();
    const answers: boolean[] = [];
    stream.on('state', (state) => {
      if (state === 'elevated' && answers.length === 0) answers.push(stream.write(14));
    });
    while (answers.length === 0) await destination.answer();
    expect(answers).toEqual([false]);
    stream.end();
    await turn();
    await destination.answerAll();
    expect(destination.items).toEqual(range(15));
  });

  it('counts items in flight as load', async () => {
    const { stream, destination } = create({ maxBufferSize: 10, batchSize: 5 });
    for (const item of range(5)) expect(stream.write(item)).toBe(true);
    await turn();
    expect(stream.getMetrics()).toMatchObject({ inFlight: 5, bufferSize: 0 });
    expect(range(3).map((item) => stream.write(item))).toEqual([true, true, false]);
    expect(stream.getMetrics()).toMatchObject({ inFlight: 5, bufferSize: 3 });
    await destination.answer();
    expect(stream.writableNeedDrain).toBe(false);
  });

  it("never emits 'drain' inside write(), whatever the destination does", async () => {
    let writing = false;
    let drains = 0;
    const stream = new BackpressureWritable<number>(() => Promise.resolve(), { highWaterMark: 1 });
    stream.on('drain', () => {
      expect(writing).toBe(false);
      drains++;
    });
    for (const item of range(50)) {
      writing = true;
      const mayGoOn = stream.write(item);
      writing = false;
      expect(mayGoOn).toBe(false);
      await once(stream, 'drain');
    }
    expect(drains).toBe(50);
  });

  it('calls flush in a microtask, never inside write()', async () => {
    const { stream, destination } = create({ maxBufferSize: 10, batchSize: 1 });
    stream.write(1);
    expect(destination.calls).toHaveLength(0);
    await Promise.resolve();
    expect(destination.calls).toHaveLength(1);
  });
});

describe('block: cork()', () => {
  it('changes nothing: writes answer by the same mark, are admitted at once, in order, and within the bound', async () => {
    const { stream, destination } = create({ maxBufferSize: 20, batchSize: 1 });
    stream.cork();
    for (const item of range(15)) expect(stream.write(item)).toBe(true);
    expect(stream.writableNeedDrain).toBe(false);
    expect(stream.write(15)).toBe(false);
    expect(stream.writableNeedDrain).toBe(true);
    expect(expectLedger(stream)).toMatchObject({ waiting: 0, bufferSize: 16 });
    stream.uncork();
    stream.end();
    await turn();
    await destination.answerAll();
    expect(await endOf(stream)).toBeUndefined();
    expect(destination.items).toEqual(range(16));
  });

  it('leaves the bound on ignored refusals where it is', async () => {
    const { stream } = create({ maxBufferSize: 10, maxWaiting: 4 });
    const ended = endOf(stream);
    stream.cork();
    for (const item of range(12)) stream.write(item);
    expect(stream.destroyed).toBe(false);
    stream.write(12);
    expect(await ended).toMatchObject({ code: 'ERR_BACKPRESSURE_OVERFLOW' });
    await closed(stream);
    expect(stream.takeUnsettled()).toEqual(range(13));
    expect(expectLedger(stream)).toMatchObject({ eventsFailed: 8, eventsDropped: 5 });
  });
});

describe('a producer that ignores false', () => {
  it('loses nothing, and keeps its order, within maxWaiting', async () => {
    const { stream, destination } = create({ maxBufferSize: 8, maxWaiting: 100, batchSize: 3 });
    let most = 0;
    for (const item of range(100)) {
      stream.write(item);
      most = Math.max(most, loadOf(expectLedger(stream)));
    }
    stream.end();
    await turn();
    while (destination.open.length > 0) {
      most = Math.max(most, loadOf(expectLedger(stream)));
      await destination.answer();
    }
    expect(await endOf(stream)).toBeUndefined();
    expect(destination.items).toEqual(range(100));
    expect(most).toBeLessThanOrEqual(8);
  });

  it.each([0, 1, 5])('meets ERR_BACKPRESSURE_OVERFLOW one write beyond maxWaiting %i', async (maxWaiting) => {
    const { stream } = create({ maxBufferSize: 10, maxWaiting });
    const ended = endOf(stream);
    for (const item of range(8 + maxWaiting)) stream.write(item);
    expect(stream.destroyed).toBe(false);
    expect(stream.write(99)).toBe(false);
    expect(stream.destroyed).toBe(true);
    const error = await ended;
    expect(error).toMatchObject({ code: 'ERR_BACKPRESSURE_OVERFLOW' });
    expect(error?.message).toContain(`maxWaiting (${maxWaiting})`);
  });

  it('keeps memory bounded: 20 000 writes leave no more than the bound behind', async () => {
    const { stream } = create({ maxBufferSize: 10, maxWaiting: 10 });
    const ended = endOf(stream);
    let most = 0;
    for (let item = 0; item < 20_000; item++) {
      stream.write(item);
      if (item < 100) most = Math.max(most, stream.writableLength);
    }
    expect(most).toBeLessThanOrEqual(21);
    await ended;
    await closed(stream);
    expect(stream.takeUnsettled().length).toBeLessThanOrEqual(21);
    expectLedger(stream);
  });

  it('a producer that ignores false and writes with callbacks is bounded', async () => {
    const { stream } = create({ maxBufferSize: 10, maxWaiting: 10 });
    const answers: (Error | null | undefined)[] = [];
    const ended = endOf(stream);
    for (const item of range(50)) stream.write(item, (error) => void answers.push(error));
    await ended;
    await closed(stream);
    await turn();
    expect(answers).toHaveLength(50);
    expect(expectLedger(stream).eventsOffered).toBeLessThanOrEqual(21);
  });
});

describe.each(DROPPING)('%s never asks to wait', (strategy) => {
  it.each([false, true])('10 000 writes in one go into a capacity of 8 (corked: %s)', async (corked) => {
    const { stream, destination } = create({ strategy, maxBufferSize: 8 });
    let drops = 0;
    stream.on('drop', () => {
      drops++;
      expectLedger(stream);
    });
    stream.on('drain', () => expect.fail('nobody was asked to wait'));
    if (corked) stream.cork();
    for (const item of range(10_000)) {
      if (!stream.write(item)) expect.fail(`write(${item}) asked to wait`);
      if (stream.writableLength > 8) expect.fail('more than the capacity is held');
      if (stream.writableNeedDrain) expect.fail('asked to wait for drain');
    }
    const metrics = expectLedger(stream);
    expect(metrics).toMatchObject({ eventsOffered: 10_000, waiting: 0, eventsDropped: drops });
    expect(metrics.eventsDropped + loadOf(metrics)).toBe(10_000);
    if (corked) stream.uncork();
    stream.end();
    await turn();
    await destination.answerAll();
    expect(await endOf(stream)).toBeUndefined();
    expect(expectLedger(stream)).toMatchObject({ eventsFailed: 0, bufferSize: 0, inFlight: 0 });
    if (strategy === 'drop_oldest') expect(destination.items).toEqual(range(8, 9_992));
    if (strategy === 'drop_newest') expect(destination.items).toEqual(range(8));
  });

  it('with write callbacks: each is called once, without an error', async () => {
    const { stream } = create({ strategy, maxBufferSize: 4 });
    const answers: unknown[] = [];
    for (const item of range(100))
      expect(stream.write(item, (error) => answers.push(error ?? null))).toBe(true);
    await turn();
    expect(answers).toEqual(new Array(100).fill(null));
  });
});

describe('block, 10 000 writes in one go into a capacity of 8', () => {
  it('within maxWaiting: every one arrives, in order', async () => {
    const destination = new CollectingDestination<number>();
    const stream = new BackpressureWritable<number>(destination.flush, {
      maxBufferSize: 8,
      maxWaiting: 10_000,
    });
    for (const item of range(10_000)) stream.write(item);
    stream.end();
    expect(await endOf(stream)).toBeUndefined();
    expect(destination.items).toEqual(range(10_000));
    expectLedger(stream);
  });
});

describe('an item for which there is no room in bytes', () => {
  it.each([0, 1, 1_000])(
    'waits; a producer that listens never meets an overflow, maxWaiting %i',
    async (maxWaiting) => {
      const { stream, destination } = create({
        sizeOf: (size) => size,
        maxBufferBytes: 100,
        maxWaiting,
        batchSize: 1,
      });
      const sizes = [10, 500, 20, 99, 99, 1];
      for (const size of sizes) {
        if (stream.write(size)) continue;
        const drained = once(stream, 'drain');
        await turn();
        await destination.answerAll();
        await drained;
      }
      stream.end();
      await turn();
      await destination.answerAll();
      expect(await endOf(stream)).toBeUndefined();
      expect(destination.items).toEqual(sizes);
    },
  );

  it('is admitted alone when it is larger than the whole budget, and refused with a reason where nobody waits', async () => {
    const { stream, destination } = create({ sizeOf: (size) => size, maxBufferBytes: 100, batchSize: 1 });
    stream.write(60);
    stream.write(500);
    expect(stream.getMetrics()).toMatchObject({ waiting: 1, bufferBytes: 60 });
    await turn();
    await destination.answer();
    expect(expectLedger(stream)).toMatchObject({ waiting: 0, inFlight: 1, inFlightBytes: 500 });
    await destination.answerAll();
    stream.end();
    expect(await endOf(stream)).toBeUndefined();
    for (const strategy of DROPPING) {
      const dropping = create({ strategy, sizeOf: (size) => size, maxBufferBytes: 100 }).stream;
      expect(dropping.write(500)).toBe(true);
      expect(expectLedger(dropping).dropsByReason.oversized).toBe(1);
      dropping.destroy();
    }
  });
});

describe('maxBlockTimeMs', () => {
  it('fails a stream whose producer waited for longer, and returns everything', async () => {
    const { stream, clock } = create({ maxBufferSize: 2, maxBlockTimeMs: 1_000, abortGraceMs: 10 });
    const ended = endOf(stream);
    for (const item of range(4)) stream.write(item);
    await clock.advance(999);
    expect(stream.destroyed).toBe(false);
    await clock.advance(1);
    expect(stream.destroyed).toBe(true);
    await clock.advance(10);
    expect(await ended).toMatchObject({ code: 'ERR_BACKPRESSURE_BLOCK_TIMEOUT' });
    await closed(stream);
    expect(stream.takeUnsettled()).toEqual(range(4));
  });

  it('starts again with each wait', async () => {
    const { stream, clock, destination } = create({ maxBufferSize: 2, maxBlockTimeMs: 1_000 });
    for (const item of range(6)) {
      if (!stream.write(item)) {
        await clock.advance(900);
        await destination.answer();
      }
    }
    expect(stream.destroyed).toBe(false);
    stream.end();
    await turn();
    await destination.answerAll();
    expect(await endOf(stream)).toBeUndefined();
    expect(clock.pending).toBe(0);
  });

  it('counts what was waited, and nothing else, in producerBlockedMs', async () => {
    const { stream, clock, destination } = create({ maxBufferSize: 4, batchSize: 2 });
    for (const item of range(4)) stream.write(item);
    await clock.advance(70);
    await destination.answer();
    expect(stream.writableNeedDrain).toBe(false);
    await clock.advance(1_000);
    expect(stream.getMetrics().producerBlockedMs).toBe(70);
    stream.on('error', () => undefined).destroy();
  });

  it('is without limit where it is not set', async () => {
    const { stream, clock } = create({ maxBufferSize: 2, flushTimeoutMs: Infinity });
    for (const item of range(4)) stream.write(item);
    await clock.advance(86_400_000);
    expect(stream.destroyed).toBe(false);
    expect(stream.getMetrics().producerBlockedMs).toBe(86_400_000);
  });
});

describe('whenBelow', () => {
  it('resolves as soon as fewer items are queued plus in flight, and rejects when the stream fails', async () => {
    const { stream, destination } = create({ maxBufferSize: 10, batchSize: 2 });
    for (const item of range(6)) stream.write(item);
    let below = false;
    const waited = stream.whenBelow(4).then(() => (below = true));
    await turn();
    await destination.answer();
    expect(below).toBe(false);
    await destination.answer();
    expect(below).toBe(true);
    await waited;
    const never = stream.whenBelow(1);
    stream.on('error', () => undefined);
    stream.destroy(new Error('gone'));
    await destination.answerAll();
    await expect(never).rejects.toThrow('gone');
  });
});

it('starts a flush with the item that fills the batch, whether the others came in the same turn or before', async () => {
  const { stream, destination } = create({ batchSize: 10 });
  for (const count of [1, 2, 6]) {
    for (const item of range(count)) stream.write(item);
    await turn();
    expect(destination.open).toHaveLength(0);
  }
  stream.write(10);
  await turn();
  expect(destination.open).toHaveLength(1);
  await destination.answer();
  for (const item of range(10)) stream.write(item);
  await turn();
  expect(destination.open).toHaveLength(1);
  await destination.answer();
  stream.destroy();
});

it('starts a flush with the item whose bytes fill the batch, whether the others came in the same turn or before', async () => {
  const { stream, destination } = create({ batchBytes: 1_000, sizeOf: () => 100 });
  for (const count of [1, 2, 6]) {
    for (const item of range(count)) stream.write(item);
    await turn();
    expect(destination.open).toHaveLength(0);
  }
  stream.write(10);
  await turn();
  expect(destination.open).toHaveLength(1);
  expect(destination.calls[0]!.context.reason).toBe('bytes');
  stream.on('error', () => undefined).destroy();
  await destination.answerAll();
});

it('write() answers false with the item whose bytes reach the high watermark, as large as it may be', async () => {
  const { stream, destination } = create({ maxBufferBytes: 1_000, sizeOf: (item) => item });
  for (const size of range(30, 5)) expect(stream.write(size), `${size}`).toBe(true);
  expect(stream.getMetrics().bufferBytes).toBe(585);
  expect(stream.write(214)).toBe(true);
  expect(stream.write(1)).toBe(false);
  expect(expectLedger(stream)).toMatchObject({ bufferBytes: 800, waiting: 0, state: 'critical' });
  stream.on('error', () => undefined).destroy();
  await destination.answerAll();
});

it('takes nothing after destroy(), not even where it had room for more', async () => {
  const { stream } = create({ strategy: 'drop_newest' });
  stream.on('error', () => undefined);
  for (const item of range(3)) stream.write(item);
  stream.destroy();
  stream.write(3);
  await closed(stream);
  expect(stream.takeUnsettled()).toEqual(range(3));
  expect(expectLedger(stream)).toMatchObject({ eventsOffered: 3 });
});
