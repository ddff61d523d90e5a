import { once } from 'node:events';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, expect, it } from 'vitest';
import { BackpressureTransform, BackpressureWritable, type StrategyInput } from '../../../src/index.js';
import { range } from '../../support/range.js';
import { closed, endOf, expectLedger, loadOf, turn } from '../../support/stream.js';

const STRATEGIES = ['block', 'drop_oldest', 'drop_newest', 'sample'] as const;
const CAPACITY = 10;

type Stream = BackpressureWritable<unknown> | BackpressureTransform<unknown>;

interface Options {
  strategy?: StrategyInput;
  maxWaiting?: number;
  objectMode?: boolean;
}

/** A stream whose destination or reader takes a turn of the event loop for each batch. */
function open(kind: 'writable' | 'transform', { objectMode = true, ...options }: Options = {}) {
  const received: unknown[] = [];
  const bound = objectMode ? { maxBufferSize: CAPACITY } : { maxBufferBytes: CAPACITY };
  let stream: Stream;
  if (kind === 'writable') {
    stream = new BackpressureWritable<unknown>(
      async (items) => {
        received.push(...items);
        await turn(1);
      },
      { ...options, ...bound, objectMode, concurrency: 1 },
    );
  } else {
    stream = new BackpressureTransform<unknown>({ ...options, ...bound, objectMode });
    const sink = new Writable({
      objectMode,
      highWaterMark: 1,
      write(chunk, _encoding, callback) {
        received.push(chunk);
        setImmediate(callback);
      },
    });
    stream.on('error', (error) => sink.destroy(error));
    stream.pipe(sink);
    sink.on('error', () => undefined);
  }
  stream.setMaxListeners(0);
  return { stream, received };
}

/** Each writes `count` items and resolves when it is through. */
type Manner = (stream: Stream, first: number, count: number) => Promise<unknown>;

const waitForDrain: Manner = async (stream, first, count) => {
  for (const item of range(count, first)) {
    if (!stream.write(item)) await once(stream, 'drain');
  }
};

const MANNERS: Record<string, Manner> = {
  "a write loop with once('drain')": waitForDrain,
  'a write loop that asks writableNeedDrain first': async (stream, first, count) => {
    for (const item of range(count, first)) {
      if (stream.writableNeedDrain) await once(stream, 'drain');
      stream.write(item);
      await Promise.resolve();
    }
  },
  'pipeline of a generator with end: false': (stream, first, count) =>
    pipeline(async function* () {
      for (const item of range(count, first)) {
        await Promise.resolve();
        yield item;
      }
    }, stream, { end: false }), // prettier-ignore
  'pipeline of a Readable with end: false': (stream, first, count) =>
    pipeline(Readable.from(range(count, first)), stream, { end: false }),
  'pipe with end: false': (stream, first, count) => {
    const source = Readable.from(range(count, first));
    source.pipe(stream, { end: false });
    return once(source, 'end');
  },
};

async function expectAllThrough(
  { stream, received }: ReturnType<typeof open>,
  producers: number,
  each: number,
  manner: Manner,
): Promise<void> {
  const ended = endOf(stream);
  const failed = ended.then((error) => Promise.reject(error ?? new Error('ended too early')));
  failed.catch(() => undefined);
  let most = 0;
  const watch = setInterval(() => (most = Math.max(most, loadOf(expectLedger(stream)))), 0);
  await Promise.race([
    Promise.all(range(producers).map((producer) => manner(stream, producer * each, each))),
    failed,
  ]);
  clearInterval(watch);
  stream.end();
  await ended.then((error) => expect(error).toBeUndefined());
  const metrics = expectLedger(stream);
  expect(metrics.eventsOffered).toBe(producers * each);
  expect(metrics.eventsFlushed + metrics.eventsDropped).toBe(producers * each);
  expect(most).toBeLessThanOrEqual(CAPACITY);
  expect(new Set(received).size).toBe(metrics.eventsFlushed);
  expect(received).toHaveLength(metrics.eventsFlushed);
}

describe.each(['writable', 'transform'] as const)('many polite producers of one %s', (kind) => {
  describe.each(STRATEGIES)('under %s', (strategy) => {
    it.each(Object.entries(MANNERS))('all get through: %s', async (_name, manner) => {
      await expectAllThrough(open(kind, { strategy, maxWaiting: 0 }), 40, 5, manner);
      await expectAllThrough(open(kind, { strategy }), 300, 2, manner);
    });
  });

  it('all get through where they come in all manners at once', async () => {
    let next = 0;
    const manners = Object.values(MANNERS);
    await expectAllThrough(open(kind), 200, 3, (...args) => manners[next++ % manners.length]!(...args));
  });

  it.each(STRATEGIES)("1 000 with once('drain') all get through under %s", async (strategy) => {
    await expectAllThrough(open(kind, { strategy }), 1_000, 3, waitForDrain);
  });

  it('all get through, 1 000 of them, in turn', async () => {
    const opened = open(kind);
    await expectAllThrough(opened, 1_000, 12, waitForDrain);
    const through = new Array<number>(1_000).fill(0);
    for (const [place, item] of opened.received.entries()) {
      through[Math.floor((item as number) / 12)]!++;
      // One that finds room may write up to the pause mark in one go.
      if (place % 500 === 0)
        expect(Math.max(...through) - Math.min(...through)).toBeLessThanOrEqual(CAPACITY);
    }
  });

  it('writers of a web stream all get through', async () => {
    const opened = open(kind);
    const writer = Writable.toWeb(opened.stream).getWriter();
    await expectAllThrough(opened, 100, 5, (_stream, first, count) =>
      Promise.all(range(count, first).map((item) => writer.write(item))),
    );
  });

  it('all get through in byte mode, whatever the size of their chunks', async () => {
    const { stream } = open(kind, { objectMode: false, maxWaiting: 5 });
    const ended = endOf(stream);
    await Promise.all(
      range(100).map(async (producer) => {
        for (const size of [producer, 0, 2 * producer]) {
          if (!stream.write(Buffer.alloc(size))) await once(stream, 'drain');
        }
      }),
    );
    stream.end();
    expect(await ended).toBeUndefined();
    expect(expectLedger(stream)).toMatchObject({ eventsFlushed: 300 });
  });
});

describe.each(['writable', 'transform'] as const)('a producer of a %s that ignores false', (kind) => {
  it.each([0, 1, 25])(
    'fails it one write beyond maxWaiting %i, however many pipe into it',
    async (listeners) => {
      const { stream } = open(kind, { maxWaiting: 3 });
      for (let count = 0; count < listeners; count++) stream.on('drain', () => undefined);
      const ended = endOf(stream);
      // The last that is admitted is the one that makes the producers wait.
      for (const item of range(8 + listeners + 3)) stream.write(item);
      expect(stream.destroyed).toBe(false);
      stream.write(99);
      expect(stream.destroyed).toBe(true);
      expect(await ended).toMatchObject({ code: 'ERR_BACKPRESSURE_OVERFLOW' });
      await closed(stream);
      expectLedger(stream);
    },
  );

  it('fails it beside polite ones, in bounded memory', async () => {
    const { stream } = open(kind, { maxWaiting: 3 });
    const ended = endOf(stream);
    const polite = range(20).map((producer) => waitForDrain(stream, producer * 1_000, 1_000));
    for (const one of polite) one.catch(() => undefined);
    let most = 0;
    for (let item = 0; item < 1_000_000 && !stream.destroyed; item++) {
      stream.write(-item);
      most = Math.max(most, stream.getMetrics().waiting);
      if (item % 5 === 0) await turn(1);
    }
    expect(await ended).toMatchObject({ code: 'ERR_BACKPRESSURE_OVERFLOW' });
    // Those that listen, those that the last 'drain' has woken, the allowance, and the one too many.
    expect(most).toBeLessThanOrEqual(20 + 20 + 3 + 1);
    await closed(stream);
  });
});
