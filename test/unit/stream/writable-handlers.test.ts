import { describe, expect, it, vi } from 'vitest';
import { BackpressureWritable, type WritableOptions } from '../../../src/index.js';
import { ManualClock } from '../../support/manual-clock.js';
import { ManualDestination } from '../../support/destinations.js';
import { range } from '../../support/range.js';
import { closed, endOf, expectLedger, turn } from '../../support/stream.js';

function create(options: WritableOptions<number> = {}) {
  const clock = new ManualClock();
  const destination = new ManualDestination<number>();
  const stream = new BackpressureWritable<number>(destination.flush, {
    clock,
    maxBufferSize: 4,
    batchSize: 1,
    abortGraceMs: 0,
    ...options,
  });
  return { clock, destination, stream };
}

const boomError = new Error('boom');
const boom = () => {
  throw new Error('boom');
};

describe('a listener that throws fails the stream, by name, and nothing is lost', () => {
  it.each([
    ['state', {}],
    ['drop', { strategy: 'drop_newest' }],
    ['flush', {}],
    ['failed', { onFailed: () => undefined }],
    ['retry', { retry: { attempts: 2 } }],
  ] as ['state' | 'drop' | 'flush' | 'failed' | 'retry', WritableOptions<number>][])(
    '%s',
    async (event, options) => {
      const { stream, destination, clock } = create(options);
      const ended = endOf(stream);
      stream.on(event, boom);
      for (const item of range(6)) stream.write(item);
      await turn();
      const fails = event === 'failed' || event === 'retry';
      if (destination.open.length > 0)
        await (fails ? destination.fail(new Error('no')) : destination.answer());
      await clock.advance(0);
      const error = await ended;
      expect(error).toMatchObject({ code: 'ERR_BACKPRESSURE_HANDLER_FAILED' });
      expect(error!.message).toContain(`listener of '${event}'`);
      expect((error!.cause as Error).message).toBe('boom');
      const metrics = expectLedger(stream);
      expect(metrics).toMatchObject({ bufferSize: 0, inFlight: 0, waiting: 0 });
      const lost = metrics.eventsOffered - metrics.eventsFlushed - stream.takeUnsettled().length;
      expect(lost).toBe(metrics.eventsDropped - metrics.dropsByReason.aborted + (event === 'failed' ? 1 : 0));
    },
  );

  it("'drain', called by a settlement", async () => {
    const { stream, destination } = create();
    const ended = endOf(stream);
    stream.on('drain', boom);
    for (const item of range(4)) stream.write(item);
    await turn();
    await destination.answer();
    await destination.answer();
    expect(await ended).toMatchObject({ code: 'ERR_BACKPRESSURE_HANDLER_FAILED' });
    expect(stream.takeUnsettled()).toEqual(range(2, 2));
    expectLedger(stream);
  });
});

describe.each(['shed', 'sizeOf'] as const)('%s that throws', (handler) => {
  const options = { [handler]: (item: number) => (item === 2 ? boom() : handler === 'sizeOf' ? 1 : false) };

  it.each([
    ['write(item)', (stream: BackpressureWritable<number>, item: number) => stream.write(item)],
    [
      'write(item, callback)',
      (stream: BackpressureWritable<number>, item: number) => stream.write(item, () => undefined),
    ],
  ])(
    'fails the stream, %s; what is written after it in the same tick is not lost either',
    async (_name, write) => {
      const { stream } = create({ maxBufferSize: 20, ...options });
      const ended = endOf(stream);
      for (const item of range(5)) write(stream, item);
      const offered = stream.getMetrics().eventsOffered;
      const error = await ended;
      expect(error).toMatchObject({ code: 'ERR_BACKPRESSURE_HANDLER_FAILED' });
      expect(error!.message).toContain(handler);
      expect(expectLedger(stream)).toMatchObject({
        waiting: 0,
        bufferSize: 0,
        inFlight: 0,
        eventsOffered: offered,
      });
      expect(stream.takeUnsettled()).toEqual(range(offered));
      expect(offered).toBeGreaterThanOrEqual(3);
    },
  );

  it('answers every write callback once: those admitted before without an error, the others with one', async () => {
    const { stream } = create({ maxBufferSize: 20, ...options });
    const ended = endOf(stream);
    const answers = range(5).map((): unknown[] => []);
    for (const item of range(5)) stream.write(item, (error) => answers[item]!.push(error ?? null));
    await ended;
    await closed(stream);
    expect(answers.slice(0, 2)).toEqual([[null], [null]]);
    for (const told of answers.slice(2)) expect(told).toEqual([expect.any(Error)]);
  });

  it('for an item that had to wait: the same', async () => {
    const { stream, destination } = create({ maxBufferSize: 2, maxWaiting: 20, ...options });
    const ended = endOf(stream);
    for (const item of range(5)) stream.write(item);
    await turn();
    await destination.answer();
    expect(await ended).toMatchObject({ code: 'ERR_BACKPRESSURE_HANDLER_FAILED' });
    expect(expectLedger(stream)).toMatchObject({
      waiting: 0,
      bufferSize: 0,
      eventsOffered: 5,
      eventsFlushed: 1,
    });
    expect(stream.takeUnsettled()).toEqual(range(4, 1));
  });

  it('in end(chunk): the same', async () => {
    const { stream } = create({ maxBufferSize: 20, ...options });
    const ended = endOf(stream);
    for (const item of range(2)) stream.write(item);
    stream.end(2);
    expect(await ended).toMatchObject({ code: 'ERR_BACKPRESSURE_HANDLER_FAILED' });
    expect(expectLedger(stream)).toMatchObject({ waiting: 0, bufferSize: 0, eventsOffered: 3 });
    expect(stream.takeUnsettled()).toEqual(range(3));
  });

  it('under a dropping strategy: the same', async () => {
    const { stream } = create({ maxBufferSize: 20, strategy: 'drop_oldest', ...options });
    const ended = endOf(stream);
    for (const item of range(3)) stream.write(item);
    expect(await ended).toMatchObject({ code: 'ERR_BACKPRESSURE_HANDLER_FAILED' });
    expect(stream.takeUnsettled()).toEqual(range(3));
    expectLedger(stream);
  });
});

it('sizeOf that answers with no size fails the stream', async () => {
  const { stream } = create({ sizeOf: () => Number.NaN });
  const ended = endOf(stream);
  stream.write(1);
  expect(await ended).toMatchObject({ code: 'ERR_BACKPRESSURE_HANDLER_FAILED' });
  expect(stream.takeUnsettled()).toEqual([1]);
});

it('sizeOf is asked once about an item that waits for room', async () => {
  const asked: number[] = [];
  const { stream, destination } = create({
    maxBufferBytes: 10,
    maxWaiting: 100,
    sizeOf: (item) => {
      asked.push(item);
      return 6;
    },
  });
  for (const item of range(5)) stream.write(item);
  stream.end();
  await turn();
  await destination.answerAll();
  expect(await endOf(stream)).toBeUndefined();
  expect(asked).toEqual(range(5));
  expect(destination.items).toEqual(range(5));
});

describe('shed', () => {
  it('drops by state, once per item, and is never asked again for one that waits', async () => {
    const asked: number[] = [];
    const { stream, destination } = create({
      maxBufferSize: 4,
      maxWaiting: 100,
      shed: (item, state) => {
        asked.push(item);
        return state !== 'normal' && item % 2 === 1;
      },
    });
    for (const item of range(10)) stream.write(item);
    stream.end();
    await turn();
    await destination.answerAll();
    expect(await endOf(stream)).toBeUndefined();
    expect(asked).toEqual(range(10));
    const metrics = expectLedger(stream);
    expect(metrics.dropsByReason.shed).toBe(metrics.eventsDropped);
    expect(metrics.eventsDropped).toBeGreaterThan(0);
    expect(destination.items).toEqual(destination.items.toSorted((a, b) => a - b));
  });

  it('onSettled that throws fails the stream', async () => {
    const { stream, destination } = create({ onSettled: boom });
    const ended = endOf(stream);
    stream.write(1);
    await turn();
    await destination.answer();
    expect(await ended).toMatchObject({ code: 'ERR_BACKPRESSURE_HANDLER_FAILED' });
    await closed(stream);
  });
});

it('whenBelow refuses a count that nothing can be below', async () => {
  const { stream } = create();
  expect(() => stream.whenBelow(0)).toThrow(/'count' must be an integer of at least 1/);
  stream.destroy();
});

describe('shed that destroys the stream', () => {
  it.each([
    ['while there is room', 100],
    ['while there is none', 10],
  ])('returns the very item that it was asked about, %s', async (_name, maxBufferBytes) => {
    const { stream, clock } = create({
      maxBufferBytes,
      sizeOf: () => 6,
      shed: (item) => {
        if (item === 1) stream.destroy(boomError);
        return false;
      },
    });
    const ended = endOf(stream);
    stream.write(0);
    // In flight, and so out of the way of an abort.
    await turn();
    stream.write(1);
    // After the destruction: Node refuses it.
    stream.write(2);
    await clock.advance(0);
    expect(await ended).toBe(boomError);
    expect(expectLedger(stream)).toMatchObject({ waiting: 0, bufferSize: 0, inFlight: 0 });
    expect(stream.takeUnsettled()).toEqual([0, 1]);
  });
});

describe.each(['shed', 'sizeOf'] as const)(
  'while %s is asked about a chunk for the first time',
  (handler) => {
    const asking = (act: (item: number) => void) => ({
      [handler]: (item: number) => (act(item), handler === 'sizeOf' ? 4 : false),
    });

    it('a destroyed stream hands it back before those behind it, and commits no position of theirs', async () => {
      const { stream, destination } = create({
        maxBufferSize: 1,
        maxWaiting: 20,
        positionOf: (item) => Math.floor(item / 2),
        ...asking((item) => item === 3 && stream.destroy(boomError)),
      });
      const ended = endOf(stream);
      const answers: unknown[] = [];
      for (const item of range(6)) stream.write(item, (error) => answers.push(error ?? null));
      await turn();
      await destination.answerAll();
      expect(await ended).toBe(boomError);
      // 2 and 3 share one.
      expect(stream.committedPosition).toBe(0);
      expect(expectLedger(stream)).toMatchObject({
        waiting: 0,
        eventsFlushed: 3,
        dropsByReason: { aborted: 3 },
      });
      expect(stream.takeUnsettled()).toEqual(range(3, 3));
      expect(answers).toEqual([null, null, null, boomError, expect.any(Error), expect.any(Error)]);
    });

    it('writes that fill the buffer leave it in line', async () => {
      const { stream, destination } = create({
        maxBufferSize: 3,
        highWatermark: 1,
        ...asking((item) => {
          if (item === 0) for (const inner of range(4, 1)) stream.write(inner);
        }),
      });
      expect(stream.write(0)).toBe(false);
      stream.end();
      const ended = endOf(stream);
      await turn();
      await destination.answerAll();
      expect(await ended).toBeUndefined();
      expect(destination.items.toSorted()).toEqual(range(5));
      expectLedger(stream);
    });

    it('a write finds as much room in line as before', async () => {
      const { stream, destination } = create({
        maxBufferSize: 10,
        maxWaiting: 1,
        ...asking((item) => item === 1 && stream.write(2, () => undefined)),
      });
      for (const item of range(2)) stream.write(item, () => undefined);
      expect(stream.destroyed).toBe(false);
      stream.end();
      const ended = endOf(stream);
      await turn();
      await destination.answerAll();
      expect(await ended).toBeUndefined();
      expect(destination.items).toEqual(range(3));
    });
  },
);

it('what sizeOf has said of an item is not taken for the size of those that it has written meanwhile', async () => {
  const sizes = { outer: 50, a: 90, b: 1, c: 1 };
  type Name = keyof typeof sizes;
  let isInside = false;
  const destination = new ManualDestination<Name>();
  const stream: BackpressureWritable<Name> = new BackpressureWritable<Name>(destination.flush, {
    clock: new ManualClock(),
    maxBufferBytes: 100,
    sizeOf: (item) => {
      if (item === 'outer' && !isInside) {
        isInside = true;
        for (const other of ['a', 'b', 'c'] as const) stream.write(other);
      }
      return sizes[item];
    },
  });
  stream.write('outer');
  await turn();
  expect(destination.calls.map(({ items }) => items)).toEqual([['a']]);
  await destination.answer();
  const { waiting, bufferBytes, inFlightBytes } = expectLedger(stream);
  expect({ waiting, bytes: bufferBytes! + inFlightBytes! }).toEqual({ waiting: 0, bytes: 52 });
  stream.on('error', () => undefined).destroy();
  await destination.answerAll();
});

it('an onSettled whose promise rejects fails the stream, without an unhandled rejection', async () => {
  const stream = new BackpressureWritable<number>(async () => undefined, {
    onSettled: () => Promise.reject(new Error('not acknowledged')),
  });
  const failed = new Promise((resolve) => stream.on('error', resolve));
  stream.write(1);
  await expect(failed).resolves.toMatchObject({ code: 'ERR_BACKPRESSURE_HANDLER_FAILED' });
});

it.each(['block', 'drop_oldest'] as const)(
  'a clock that throws at a write of a loop fails the stream, under %s, and the item is returned',
  async (strategy) => {
    const clock = new ManualClock();
    const { stream } = create({ clock, maxBufferSize: 100, batchSize: 50, strategy });
    const ended = endOf(stream);
    for (const item of range(10)) stream.write(item);
    const now = vi.spyOn(clock, 'now').mockImplementationOnce(boom).mockImplementationOnce(boom);
    expect(() => stream.write(10)).not.toThrow();
    now.mockRestore();
    await clock.advance(0);
    expect(await ended).toMatchObject({ code: 'ERR_BACKPRESSURE_HANDLER_FAILED' });
    expect(expectLedger(stream)).toMatchObject({ eventsOffered: 11, waiting: 0, bufferSize: 0, inFlight: 0 });
    expect(stream.takeUnsettled()).toEqual(range(11));
  },
);
