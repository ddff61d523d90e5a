import { once } from 'node:events';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, expect, it } from 'vitest';
import { BackpressureWritable, type BackpressureError, type WritableOptions } from '../../../src/index.js';
import { ManualClock } from '../../support/manual-clock.js';
import { ManualDestination } from '../../support/destinations.js';
import { range } from '../../support/range.js';
import { closed, endOf, expectLedger, turn } from '../../support/stream.js';

function create(options: WritableOptions<number> = {}) {
  const clock = new ManualClock();
  const destination = new ManualDestination<number>();
  const stream = new BackpressureWritable<number>(destination.flush, { clock, maxWaiting: 100, ...options });
  const states: string[] = [];
  stream.on('state', (state) => states.push(state));
  return { clock, destination, stream, states };
}

/** The test is over: whatever is still open does not matter. */
function discard(stream: BackpressureWritable<number>): void {
  stream.on('error', () => undefined).destroy();
}

/** How a promise stands: `open`, `resolved`, or the error it was rejected with. */
function watch(promise: Promise<void>) {
  const watched: { end: 'open' | 'resolved' | BackpressureError } = { end: 'open' };
  promise.then(
    () => (watched.end = 'resolved'),
    (error: unknown) => (watched.end = error as BackpressureError),
  );
  return watched;
}

describe('drain() settles what was written before the call', () => {
  it('queued items, without delay, in the state DRAINING; the state is that of the level when it is over', async () => {
    const { stream, destination, states, clock } = create({ maxBufferSize: 10, batchSize: 5 });
    for (const item of range(6)) stream.write(item);
    const drained = watch(stream.drain());
    expect(states).toEqual(['elevated', 'draining']);
    await turn();
    expect(destination.calls.map(({ context }) => context.reason)).toEqual(['size']);
    await destination.answer();
    expect(destination.calls[1]!.context.reason).toBe('drain');
    expect(drained.end).toBe('open');
    await destination.answer();
    expect(drained.end).toBe('resolved');
    expect(states).toEqual(['elevated', 'draining', 'normal']);
    expect(clock.pending).toBe(0);
    expect(stream.write(7)).toBe(true);
    discard(stream);
  });

  it('items that wait for room, and retries', async () => {
    const { stream, destination, clock } = create({
      maxBufferSize: 2,
      batchSize: 1,
      retry: { attempts: 2, minDelayMs: 100 },
      random: () => 0.99,
    });
    for (const item of range(5)) stream.write(item);
    const drained = watch(stream.drain());
    await turn();
    await destination.fail(new Error('once'));
    await clock.advance(98);
    expect(destination.open).toHaveLength(0);
    await clock.advance(2);
    for (let answered = 0; answered < 5; answered++) {
      expect(drained.end).toBe('open');
      await destination.answer();
    }
    expect(drained.end).toBe('resolved');
    expect(destination.items).toEqual([0, 0, 1, 2, 3, 4]);
  });

  it('with nothing to settle it is over at once, and flushes nothing', async () => {
    const { stream, destination, states } = create();
    await stream.drain();
    expect(destination.calls).toHaveLength(0);
    expect(states).toEqual(['draining', 'normal']);
    expect(stream.write(1)).toBe(true);
    discard(stream);
  });

  it('is not lifted by one that ends earlier', async () => {
    const { stream, destination, states, clock } = create({ batchSize: 1 });
    stream.write(1);
    const long = watch(stream.drain());
    const short = watch(stream.drain({ timeoutMs: 10 }));
    await clock.advance(10);
    expect(short.end).toMatchObject({ code: 'ERR_BACKPRESSURE_DRAIN_TIMEOUT', items: [1] });
    expect(stream.getMetrics().state).toBe('draining');
    expect(stream.write(2)).toBe(false);
    await destination.answer();
    expect(long.end).toBe('resolved');
    expect(states).toEqual(['draining', 'normal']);
    discard(stream);
  });
});

describe('what is written while it drains, under block', () => {
  it("waits, with write() answering false, and goes on with 'drain' when it is over", async () => {
    const { stream, destination } = create({ batchSize: 10 });
    const acknowledged: number[] = [];
    stream.write(1);
    const drained = watch(stream.drain());
    expect(stream.write(2, () => acknowledged.push(2))).toBe(false);
    expect(stream.write(3, () => acknowledged.push(3))).toBe(false);
    expect(stream.writableNeedDrain).toBe(true);
    expect(stream.writableLength).toBe(3);
    await turn();
    expect(expectLedger(stream)).toMatchObject({ waiting: 2, inFlight: 1 });
    expect(acknowledged).toEqual([]);
    let mayGoOn = false;
    stream.on('drain', () => (mayGoOn = true));
    await destination.answer();
    expect(drained.end).toBe('resolved');
    await turn();
    expect(mayGoOn).toBe(true);
    expect(acknowledged).toEqual([2, 3]);
    expect(expectLedger(stream)).toMatchObject({ waiting: 0, state: 'normal' });
    expect(destination.items).toEqual([1]);
    stream.end();
    await turn();
    await destination.answerAll();
    expect(destination.calls.map(({ items }) => items)).toEqual([[1], [2, 3]]);
    expect(await endOf(stream)).toBeUndefined();
  });

  it('comes after what waited before, which still finds its way in', async () => {
    const { stream, destination } = create({ maxBufferSize: 2, batchSize: 1 });
    for (const item of range(4)) stream.write(item);
    const drained = watch(stream.drain());
    for (const item of range(3, 4)) stream.write(item);
    await turn();
    for (let answered = 0; answered < 4; answered++) {
      expect(drained.end).toBe('open');
      await destination.answer();
    }
    expect(drained.end).toBe('resolved');
    await destination.answerAll();
    expect(destination.items).toEqual(range(7));
    expectLedger(stream);
  });

  it.each([4, 5])(
    '%i items: a held producer is not invited to write more before it is over',
    async (count) => {
      const { stream, destination } = create({ maxBufferSize: 4, batchSize: 1 });
      const told: unknown[] = [];
      stream.on('drain', () => told.push({ ...stream.getMetrics() }));
      for (const item of range(count)) stream.write(item);
      void stream.drain();
      await turn();
      await destination.answerAll();
      expect(told).toEqual([expect.objectContaining({ state: 'normal', bufferSize: 0, inFlight: 0 })]);
    },
  );

  it('is bounded by maxWaiting', async () => {
    const { stream } = create({ maxWaiting: 2 });
    const ended = endOf(stream);
    void stream.drain();
    stream.write(0);
    void stream.drain();
    for (const item of range(2, 1)) expect(stream.write(item)).toBe(false);
    expect(stream.destroyed).toBe(false);
    stream.write(3);
    expect(await ended).toMatchObject({ code: 'ERR_BACKPRESSURE_OVERFLOW' });
    expect(expectLedger(stream)).toMatchObject({ eventsOffered: 4, dropsByReason: { aborted: 4 } });
    expect(stream.takeUnsettled()).toEqual([0, 1, 2, 3]);
  });

  it('is shed by the state that follows, asked once', async () => {
    const asked: [number, string][] = [];
    const { stream, destination } = create({ shed: (item, state) => asked.push([item, state]) < 0 });
    stream.write(1);
    const drained = stream.drain();
    stream.write(2);
    await turn();
    await destination.answer();
    await drained;
    expect(asked).toEqual([
      [1, 'normal'],
      [2, 'normal'],
    ]);
    discard(stream);
  });

  it.each([true, false])(
    'is returned where shed destroys the stream, whatever it answers: %s',
    async (answer) => {
      const { stream, destination } = create({
        shed: (item) => item === 2 && (stream.destroy(new Error('boom')), answer),
      });
      const ended = endOf(stream);
      stream.write(1);
      void stream.drain();
      for (const item of [2, 3]) stream.write(item);
      await turn();
      await destination.answer();
      expect(await ended).toMatchObject({ message: 'boom' });
      expect(expectLedger(stream)).toMatchObject({
        waiting: 0,
        eventsFlushed: 1,
        dropsByReason: { aborted: 2 },
      });
      expect(stream.takeUnsettled()).toEqual([2, 3]);
    },
  );

  it('is not failed by maxBlockTimeMs, whose time begins when it is over; what finds no room is', async () => {
    const { stream, destination, clock } = create({ batchSize: 1, maxBlockTimeMs: 100, maxBufferSize: 1 });
    stream.write(1);
    const drained = watch(stream.drain());
    stream.write(2);
    await clock.advance(500);
    expect(stream.destroyed).toBe(false);
    await destination.answer();
    expect(drained.end).toBe('resolved');
    expect(clock.pending).toBeGreaterThan(0);
    await clock.advance(99);
    expect(stream.destroyed).toBe(false);
    const ended = endOf(stream);
    await clock.advance(1);
    await destination.answerAll();
    expect(await ended).toMatchObject({ code: 'ERR_BACKPRESSURE_BLOCK_TIMEOUT' });
    await closed(stream);
    expect(clock.pending).toBe(0);
  });

  it('maxBlockTimeMs begins again after a drain that has not made room', async () => {
    const { stream, clock } = create({
      batchSize: 1,
      maxBlockTimeMs: 100,
      maxBufferSize: 1,
      abortGraceMs: 0,
    });
    const ended = endOf(stream);
    stream.write(1);
    const drained = watch(stream.drain({ timeoutMs: 300 }));
    await clock.advance(300);
    expect(drained.end).toMatchObject({ code: 'ERR_BACKPRESSURE_DRAIN_TIMEOUT', items: [1] });
    await clock.advance(99);
    expect(stream.destroyed).toBe(false);
    await clock.advance(1);
    expect(await ended).toMatchObject({ code: 'ERR_BACKPRESSURE_BLOCK_TIMEOUT' });
  });

  it('an item that waited for room before the drain still runs out of maxBlockTimeMs', async () => {
    const { stream, clock } = create({
      batchSize: 1,
      maxBlockTimeMs: 100,
      maxBufferSize: 1,
      abortGraceMs: 0,
    });
    const ended = endOf(stream);
    stream.write(1);
    stream.write(2);
    const drained = watch(stream.drain());
    await clock.advance(100);
    expect(await ended).toMatchObject({ code: 'ERR_BACKPRESSURE_BLOCK_TIMEOUT', items: [1, 2] });
    expect(drained.end).toMatchObject({ code: 'ERR_BACKPRESSURE_BLOCK_TIMEOUT' });
  });

  it('a listener of the state DRAINING that writes is no part of it', async () => {
    const { stream, destination } = create();
    stream.on('state', (state) => {
      if (state === 'draining' && stream.getMetrics().eventsOffered < 3) stream.write(2);
    });
    stream.write(1);
    const drained = watch(stream.drain());
    await turn();
    expect(expectLedger(stream)).toMatchObject({ waiting: 1, inFlight: 1 });
    await destination.answer();
    expect(drained.end).toBe('resolved');
    discard(stream);
  });

  it('pipeline() goes on afterwards, with nothing lost and in order', async () => {
    const { stream, destination } = create({ maxBufferSize: 4, batchSize: 2 });
    const done = pipeline(Readable.from(range(50)), stream);
    for (const round of range(100)) {
      if (round % 5 === 0) void stream.drain();
      if (destination.open.length > 0) await destination.answer();
      else await turn();
      expectLedger(stream);
    }
    await done;
    expect(destination.items).toEqual(range(50));
  });
});

describe('what is written while it drains, under a strategy that drops', () => {
  it.each(['drop_oldest', 'drop_newest', 'sample'] as const)('%s: is rejected', async (strategy) => {
    const { stream, destination } = create({ strategy });
    const drops: [number, string][] = [];
    stream.on('drop', (item, reason) => drops.push([item, reason]));
    stream.write(1);
    const drained = stream.drain();
    expect(stream.write(2)).toBe(true);
    let told = false;
    expect(stream.write(3, () => (told = true))).toBe(true);
    expect(drops).toEqual([
      [2, 'rejected'],
      [3, 'rejected'],
    ]);
    await turn();
    expect(told).toBe(true);
    expect(expectLedger(stream)).toMatchObject({
      waiting: 0,
      dropsByReason: { rejected: 2 },
      unrepresented: strategy === 'sample' ? 2 : 0,
    });
    await destination.answer();
    await drained;
    stream.write(4);
    expect(expectLedger(stream).bufferSize).toBe(1);
    stream.end();
    await turn();
    await destination.answerAll();
    expect(destination.items).toEqual([1, 4]);
    expect(destination.calls[1]!.context.represents).toBe(strategy === 'sample' ? 3 : 1);
  });
});

describe('drain({ timeoutMs })', () => {
  it('rejects with copies of what is open of that: in flight, queued, waiting; the stream goes on', async () => {
    const { stream, destination, clock } = create({ maxBufferSize: 4, batchSize: 2 });
    for (const item of range(7)) stream.write(item);
    const drained = watch(stream.drain({ timeoutMs: 50 }));
    stream.write(7);
    stream.write(8);
    await turn();
    await clock.advance(49);
    expect(drained.end).toBe('open');
    await clock.advance(1);
    expect(drained.end).toMatchObject({
      name: 'BackpressureError',
      code: 'ERR_BACKPRESSURE_DRAIN_TIMEOUT',
      items: range(7),
      message: 'drain took longer than timeoutMs (50 ms): 7 items are open',
    });
    expect(Object.keys(drained.end)).not.toContain('items');
    expect(stream.getMetrics().state).not.toBe('draining');
    stream.end();
    await turn();
    await destination.answerAll();
    expect(await endOf(stream)).toBeUndefined();
    expect(destination.items).toEqual(range(9));
    expect(clock.pending).toBe(0);
  });

  it('each of several reports its own items', async () => {
    const { stream, clock } = create({ batchSize: 1 });
    stream.write(1);
    const first = watch(stream.drain({ timeoutMs: 100 }));
    stream.write(2);
    const second = watch(stream.drain({ timeoutMs: 50 }));
    stream.write(3);
    const third = watch(stream.drain({ timeoutMs: 70 }));
    stream.write(4);
    await clock.advance(100);
    expect(first.end).toMatchObject({ items: [1] });
    expect(second.end).toMatchObject({ items: [1, 2] });
    expect(third.end).toMatchObject({ items: [1, 2, 3] });
    await turn();
    expect(expectLedger(stream)).toMatchObject({ waiting: 0, inFlight: 1, bufferSize: 3, state: 'normal' });
    discard(stream);
  });

  it('a later drain settles what the earlier one kept waiting', async () => {
    const { stream, destination } = create({ batchSize: 1 });
    stream.write(1);
    const first = watch(stream.drain());
    stream.write(2);
    const second = watch(stream.drain());
    stream.write(3);
    await turn();
    await destination.answer();
    expect([first.end, second.end]).toEqual(['resolved', 'open']);
    expect(stream.getMetrics()).toMatchObject({ state: 'draining', waiting: 1, inFlight: 1 });
    await destination.answer();
    expect(second.end).toBe('resolved');
    expect(stream.getMetrics().waiting).toBe(0);
    discard(stream);
  });

  it('chunks of bytes count as chunks', async () => {
    const clock = new ManualClock();
    const destination = new ManualDestination<Buffer>();
    const stream = new BackpressureWritable<Buffer>(destination.flush, {
      clock,
      objectMode: false,
      maxBufferBytes: 10,
      batchBytes: 5,
      maxWaiting: 100,
    });
    for (const text of ['aaaa', 'bbbb', 'cccc', '', 'dd']) stream.write(text);
    const drained = watch(stream.drain({ timeoutMs: 50 }));
    stream.write('later');
    await clock.advance(50);
    expect((drained.end as BackpressureError).items.map(String)).toEqual(['aaaa', 'bbbb', 'cccc', '', 'dd']);
    stream.end();
    await turn();
    await destination.answerAll();
    expect(destination.items.map(String).join('')).toBe('aaaabbbbccccddlater');
  });

  it.each([-1, NaN, '5', null, 2 ** 31])('refuses timeoutMs %s', (timeoutMs) => {
    const { stream } = create();
    expect(() => void stream.drain({ timeoutMs: timeoutMs as number })).toThrow(
      expect.objectContaining({ code: 'ERR_BACKPRESSURE_INVALID_OPTION', option: 'timeoutMs' }),
    );
    expect(stream.getMetrics().state).toBe('normal');
    expect(stream.write(1)).toBe(true);
    discard(stream);
  });

  it('refuses names that are no options', () => {
    const { stream } = create();
    expect(() => void stream.drain({ timeoutMS: 5 } as never)).toThrow("did you mean 'timeoutMs'?");
    expect(() => void stream.drain(null as never)).toThrow("option 'options' must be an object; got null");
    stream.destroy();
  });
});

describe('drain() and the end of the stream', () => {
  it('after end() waits for all to settle, and leaves the state DRAINING', async () => {
    const { stream, destination, states } = create({ maxBufferSize: 2, batchSize: 1 });
    for (const item of range(4)) stream.write(item);
    stream.end(4);
    const drained = watch(stream.drain());
    await turn();
    for (let answered = 0; answered < 5; answered++) {
      expect(drained.end).toBe('open');
      await destination.answer();
    }
    expect(drained.end).toBe('resolved');
    expect(await endOf(stream)).toBeUndefined();
    expect(states.at(-1)).toBe('draining');
    await stream.drain();
  });

  it('end() meanwhile: what came after is let in when it is over, and DRAINING stays', async () => {
    const { stream, destination, states } = create();
    stream.write(1);
    const drained = watch(stream.drain());
    stream.write(2);
    stream.end(3);
    await turn();
    await destination.answer();
    expect(drained.end).toBe('resolved');
    await destination.answer();
    expect(await endOf(stream)).toBeUndefined();
    expect(destination.calls.map(({ items }) => items)).toEqual([[1], [2, 3]]);
    expect(states).toEqual(['draining']);
  });

  it('destroy() meanwhile rejects it, with everything returned', async () => {
    const { stream, destination } = create({ batchSize: 1, abortGraceMs: 0 });
    stream.on('error', () => undefined);
    const error = new Error('away');
    for (const item of range(2)) stream.write(item);
    const drained = watch(stream.drain());
    stream.write(2);
    await turn();
    stream.destroy(error);
    await destination.answer();
    await closed(stream);
    expect(drained.end).toBe(error);
    expect(stream.takeUnsettled()).toEqual([1, 2]);
    expectLedger(stream);
    await expect(stream.drain()).rejects.toBe(error);
  });

  it('a flush that fails for good rejects it', async () => {
    const { stream, destination } = create();
    stream.on('error', () => undefined);
    stream.write(1);
    const drained = watch(stream.drain());
    await turn();
    await destination.fail(new Error('no'));
    await closed(stream);
    expect(drained.end).toMatchObject({ code: 'ERR_BACKPRESSURE_FLUSH_FAILED', items: [1] });
  });

  it('after a destroy() with nothing open it resolves, and tells no state', async () => {
    const { stream, states } = create();
    stream.destroy();
    await stream.drain();
    expect(states).toEqual([]);
  });

  it('Symbol.asyncDispose waits for it, and for what it kept waiting', async () => {
    const { stream, destination } = create();
    stream.write(1);
    void stream.drain();
    stream.write(2);
    const disposed = stream[Symbol.asyncDispose]();
    await turn();
    await destination.answerAll();
    await disposed;
    expect(destination.items).toEqual([1, 2]);
  });

  it('leaves no listener behind, and causes no unhandledRejection where nobody awaits it', async () => {
    const { stream, destination, clock } = create({ batchSize: 1 });
    const listeners = () => stream.eventNames().reduce((sum, name) => sum + stream.listenerCount(name), 0);
    const before = listeners();
    for (const round of range(100)) {
      stream.write(round);
      void stream.drain({ timeoutMs: 1 });
      await clock.advance(1);
      const drained = stream.drain({ timeoutMs: 1e6 });
      await destination.answer();
      await drained;
    }
    expect(listeners()).toBe(before);
    expect(clock.pending).toBe(0);
    stream.destroy();
    await once(stream, 'close');
  });
});
