import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, expect, it } from 'vitest';
import { BackpressureController, BackpressureTransform, BackpressureWritable } from '../../../src/index.js';
import type { WritableOptions } from '../../../src/index.js';
import { ManualClock } from '../../support/manual-clock.js';
import { CollectingDestination, ManualDestination } from '../../support/destinations.js';
import { range } from '../../support/range.js';
import { endOf, expectLedger, turn } from '../../support/stream.js';

function create(options: WritableOptions<number>) {
  const destination = new ManualDestination<number>();
  const stream = new BackpressureWritable<number>(destination.flush, {
    clock: new ManualClock(),
    ...options,
  });
  let drains = 0;
  stream.on('drain', () => drains++);
  return { destination, stream, drains: () => drains };
}

const writeAll = (stream: BackpressureWritable<number>, count: number) =>
  range(count).map((item) => stream.write(item));

const falseAt = (answers: boolean[]) => answers.flatMap((answer, index) => (answer ? [] : [index + 1]));

describe('a writable with yieldEvery', () => {
  it.each([
    ['items', {}],
    ['items that are measured', { sizeOf: () => 3 }],
    ['items that may be shed', { shed: (item: number) => item % 2 === 0 }],
  ])(
    'of 10 %s: the tenth write() returns false although there is room, and drain comes a turn later',
    async (_name, options) => {
      const { stream, drains } = create({ yieldEvery: 10, ...options });
      for (let round = 1; round <= 3; round++) {
        expect(falseAt(writeAll(stream, 10))).toEqual([10]);
        expect(stream.writableNeedDrain).toBe(true);
        expect(drains()).toBe(round - 1);
        await Promise.resolve();
        expect(drains()).toBe(round - 1);
        await turn();
        expect(drains()).toBe(round);
        expect(stream.writableNeedDrain).toBe(false);
      }
      expect(expectLedger(stream)).toMatchObject({ eventsOffered: 30, waiting: 0, producerBlockedMs: 0 });
    },
  );

  it('yieldEvery of 100 lets a source in memory offer at most 100 items a turn of the event loop', async () => {
    const turns: number[] = [];
    const destination = new CollectingDestination<number>();
    const stream = new BackpressureWritable<number>(destination.flush, {
      yieldEvery: 100,
      maxBufferSize: 10_000,
    });
    const countTurn = () => {
      turns.push(stream.getMetrics().eventsOffered);
      if (!stream.closed) setImmediate(countTurn);
    };
    setImmediate(countTurn);
    await pipeline(Readable.from(range(1_000)), stream);
    expect(destination.items).toEqual(range(1_000));
    // It yields earlier if the turn of the event loop has taken its time.
    expect(turns.length).toBeGreaterThanOrEqual(9);
    for (const [place, offered] of turns.entries())
      expect(offered - (turns[place - 1] ?? 0)).toBeLessThanOrEqual(100);
  });

  it('left out: 50 000 writes return true, and no drain comes', async () => {
    const { stream, drains } = create({ maxBufferSize: 100_000 });
    expect(falseAt(writeAll(stream, 50_000))).toEqual([]);
    await turn();
    expect(drains()).toBe(0);
  });

  it('admits what a producer writes after false, returns false each time, and emits one drain', async () => {
    const { stream, drains } = create({ yieldEvery: 10, maxBufferSize: 100 });
    expect(falseAt(writeAll(stream, 25))).toEqual(range(16, 10));
    expect(expectLedger(stream)).toMatchObject({ eventsAccepted: 25, waiting: 0 });
    stream.write(25, () => undefined);
    await turn();
    expect(drains()).toBe(1);
    expect(stream.writableNeedDrain).toBe(false);
    expect(falseAt(writeAll(stream, 10))).toEqual([10]);
  });

  it('counts writes with a callback', async () => {
    const { stream, drains } = create({ yieldEvery: 10 });
    for (let round = 1; round <= 3; round++) {
      expect(falseAt(range(10).map((item) => stream.write(item, () => undefined)))).toEqual([10]);
      await turn();
      // Node before 20.12 emits one of its own.
      expect(drains()).toBeGreaterThanOrEqual(round);
    }
  });

  it('returns false for a write with a callback while the producer is to yield', () => {
    const { stream } = create({ yieldEvery: 10 });
    writeAll(stream, 10);
    expect(stream.write(10, () => undefined)).toBe(false);
  });

  it('with yieldEvery and a buffer that is full by then, drain waits for room', async () => {
    const { stream, drains, destination } = create({ yieldEvery: 10, maxBufferSize: 20, batchSize: 10 });
    writeAll(stream, 30);
    await turn();
    expect(drains()).toBe(0);
    expect(stream.writableNeedDrain).toBe(true);
    await destination.answerAll();
    expect(drains()).toBe(1);
    expect(expectLedger(stream)).toMatchObject({ eventsOffered: 30, waiting: 0, eventsDropped: 0 });
  });

  it('with yieldEvery and a buffer that is full and has room again in the same turn, one drain comes', async () => {
    const { flush } = new CollectingDestination<number>();
    const stream = new BackpressureWritable<number>(flush, {
      yieldEvery: 10,
      maxBufferSize: 20,
      batchSize: 10,
    });
    let drains = 0;
    stream.on('drain', () => drains++);
    expect(falseAt(writeAll(stream, 16))).toEqual(range(7, 10));
    await turn();
    expect(drains).toBe(1);
    expect(falseAt(writeAll(stream, 10))).toEqual([10]);
  });

  it('emits no drain after end() or destroy(), as Node does', async () => {
    for (const finish of ['end', 'destroy'] as const) {
      const { stream, drains, destination } = create({ yieldEvery: 10 });
      stream.on('error', () => undefined);
      writeAll(stream, 10);
      if (finish === 'end') stream.end();
      else stream.destroy();
      expect(stream.writableNeedDrain).toBe(false);
      await turn();
      await destination.answerAll();
      expect(drains()).toBe(0);
    }
  });

  it('fails by a drain listener that throws, without an uncaught exception', async () => {
    const { stream } = create({ yieldEvery: 10 });
    const ended = endOf(stream);
    stream.once('drain', () => {
      throw new Error('listener');
    });
    writeAll(stream, 10);
    expect(await ended).toMatchObject({
      code: 'ERR_BACKPRESSURE_HANDLER_FAILED',
      cause: { message: 'listener' },
    });
  });
});

describe('the option yieldEvery', () => {
  const flush = () => Promise.resolve();

  it.each([0, -1, 1.5, NaN, '5', {}, null])('of %s is refused', (yieldEvery) => {
    expect(() => new BackpressureWritable(flush, { yieldEvery: yieldEvery as number })).toThrow(
      /option 'yieldEvery' must be (an integer of at least 1, or Infinity)?.*; got/,
    );
  });

  it.each([
    [{ strategy: 'drop_oldest' }, /'yieldEvery' has no use with strategy 'drop_oldest'/],
    [{ strategy: 'sample' }, /'yieldEvery' has no use with strategy 'sample'/],
    [{ objectMode: false }, /'yieldEvery' counts items, and has no use in byte mode/],
  ] as const)('is refused with %j', (options, message) => {
    expect(() => new BackpressureWritable(flush, { yieldEvery: 5, ...options })).toThrow(message);
  });

  it('is refused by a transform and a controller', () => {
    expect(() => new BackpressureTransform({ yieldEvery: 5 } as never)).toThrow(/no option 'yieldEvery'/);
    expect(() => new BackpressureController(flush, { yieldEvery: 5 } as never)).toThrow(
      /no option 'yieldEvery'/,
    );
  });

  it('among the defaults of a flush function is used under block only', () => {
    const withDefault = Object.assign(flush, { defaults: { yieldEvery: 5 } });
    expect(falseAt(writeAll(new BackpressureWritable<number>(withDefault), 9))[0]).toBe(5);
    expect(
      falseAt(writeAll(new BackpressureWritable<number>(withDefault, { yieldEvery: Infinity }), 9)),
    ).toEqual([]);
    const dropping = new BackpressureWritable<number>(withDefault, { strategy: 'drop_newest' });
    expect(falseAt(writeAll(dropping, 9))).toEqual([]);
    expect(() => new BackpressureController<number>(withDefault)).not.toThrow();
    expect(() => new BackpressureWritable(withDefault, { objectMode: false })).not.toThrow();
    const wrong = Object.assign(() => Promise.resolve(), { defaults: { yieldEvery: 0 } });
    expect(() => new BackpressureWritable(wrong)).toThrow(/'yieldEvery' must be an integer of at least 1/);
  });
});
