import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { BackpressureError, BackpressureWritable, type WritableOptions } from '../../../src/index.js';
import { ManualClock } from '../../support/manual-clock.js';
import { ManualDestination } from '../../support/destinations.js';
import { range } from '../../support/range.js';
import { ALL_EVENTS, closed, endOf, expectLedger, record, turn, watchLedger } from '../../support/stream.js';

const GRACE_MS = 500;

function create(options: WritableOptions<number> = {}) {
  const clock = new ManualClock();
  const destination = new ManualDestination<number>();
  const stream = new BackpressureWritable<number>(destination.flush, {
    clock,
    abortGraceMs: GRACE_MS,
    random: () => 0.5,
    maxBufferSize: 10,
    batchSize: 2,
    retry: { attempts: 5, minDelayMs: 100 },
    ...options,
  });
  watchLedger(
    stream,
    ALL_EVENTS.filter((event) => event !== 'error'),
  );
  return { clock, destination, stream };
}

type Made = ReturnType<typeof create>;

/** How far a stream has come when it is destroyed; answers with the items that have not settled then. */
const STAGES: Record<string, (made: Made) => Promise<number[]>> = {
  async queued({ stream }) {
    stream.write(0);
    return [0];
  },
  async 'in flight'({ stream }) {
    for (const item of range(2)) stream.write(item);
    await turn();
    return range(2);
  },
  async 'partly flushed'({ stream, destination }) {
    for (const item of range(5)) stream.write(item);
    await turn();
    await destination.answer();
    return range(3, 2);
  },
  async held({ stream }) {
    for (const item of range(8)) stream.write(item);
    await turn();
    expect(stream.writableNeedDrain).toBe(true);
    return range(8);
  },
  async 'held, with writes that wait'({ stream }) {
    for (const item of range(14)) stream.write(item);
    await turn();
    expect(stream.getMetrics().waiting).toBeGreaterThan(0);
    return range(14);
  },
  async corked({ stream }) {
    stream.write(0);
    stream.cork();
    for (const item of range(3, 1)) stream.write(item);
    return range(4);
  },
  async 'in a retry pause'({ stream, destination }) {
    for (const item of range(3)) stream.write(item);
    await turn();
    await destination.fail(new Error('for now'));
    expect(destination.open).toHaveLength(0);
    return range(3);
  },
  async 'after end(), before finish'({ stream }) {
    for (const item of range(5)) stream.write(item);
    stream.end();
    return range(5);
  },
  async 'during final'({ stream, destination }) {
    for (const item of range(5)) stream.write(item);
    stream.end();
    await turn();
    await destination.answer();
    await destination.answer();
    return [4];
  },
  async 'during final, in a retry pause'({ stream, destination }) {
    stream.write(0);
    stream.end();
    await turn();
    await destination.fail(new Error('for now'));
    return [0];
  },
  async 'end() while writes wait'({ stream }) {
    for (const item of range(12)) stream.write(item);
    stream.end(12);
    await turn();
    return range(13);
  },
};

describe.each(Object.keys(STAGES))('destroyed %s', (stage) => {
  const causes: [string, (stream: Made['stream']) => Error | undefined][] = [
    ['destroy()', (stream) => void stream.destroy()],
    [
      'destroy(error)',
      (stream) => {
        const error = new Error('of the user');
        stream.destroy(error);
        return error;
      },
    ],
    [
      'destroy(BackpressureError)',
      (stream) => {
        const error = new BackpressureError('ERR_BACKPRESSURE_ABORTED', 'of the user');
        stream.destroy(error);
        return error;
      },
    ],
  ];
  it.each(causes)('by %s is no success, and hands everything back in order', async (_name, destroy) => {
    const made = create();
    const { stream, destination, clock } = made;
    const ended = endOf(stream);
    const seen = record(stream, ['finish', 'close', 'error']);
    const unsettled = await STAGES[stage]!(made);
    const calls = destination.calls.length;
    const inFlight = destination.open.slice();
    const error = destroy(stream);
    for (const { context } of inFlight) expect(context.signal.aborted).toBe(true);
    expectLedger(stream);
    await turn();
    if (inFlight.length > 0) {
      // A flush that ignores its signal holds its slot, and 'close', for as long as its grace.
      expect(seen).toEqual([]);
      expect(stream.getMetrics().inFlight).toBe(inFlight.flatMap(({ items }) => items).length);
      await clock.advance(GRACE_MS - 1);
      expect(seen).toEqual([]);
      await clock.advance(1);
    }
    expect(seen).toEqual(['error', 'close']);
    const told = await ended;
    if (error === undefined) expect(told).toMatchObject({ code: 'ERR_BACKPRESSURE_ABORTED' });
    else expect(told).toBe(error);
    expect(stream.takeUnsettled()).toEqual(unsettled);
    expect(stream.takeUnsettled()).toEqual([]);
    // Only the error that the stream made itself carries the items.
    if (error === undefined) expect((told as BackpressureError).items).toEqual(unsettled);
    else if (error instanceof BackpressureError) expect(error.items).toEqual([]);
    const metrics = expectLedger(stream);
    expect(metrics).toMatchObject({ bufferSize: 0, inFlight: 0, waiting: 0 });
    expect(metrics.eventsFailed + metrics.eventsDropped).toBe(unsettled.length);
    await clock.advance(60_000);
    expect(destination.calls).toHaveLength(calls);
    expect(clock.pending).toBe(0);
  });

  it('by its signal is no success either', async () => {
    const controller = new AbortController();
    const made = create({ signal: controller.signal });
    const ended = endOf(made.stream);
    const unsettled = await STAGES[stage]!(made);
    const reason = new Error('enough');
    controller.abort(reason);
    await made.clock.advance(GRACE_MS);
    expect(await ended).toMatchObject({ name: 'AbortError', cause: reason });
    expect(made.stream.takeUnsettled()).toEqual(unsettled);
  });

  it('while something waits for pipeline(): it rejects with the original error', async () => {
    const made = create({ maxWaiting: 100 });
    const source = new Readable({ objectMode: true, read: () => undefined });
    const error = new Error('of the user');
    const piped = pipeline(source, made.stream);
    piped.catch(() => undefined);
    await STAGES[stage]!(made);
    made.stream.destroy(error);
    await made.clock.advance(GRACE_MS);
    await expect(piped).rejects.toBe(error);
    expect(made.stream.closed).toBe(true);
    expect(source.destroyed).toBe(true);
  });
});

describe('destroyed while idle', () => {
  it('closes, and is no success for one who waits for its end', async () => {
    const { stream, destination } = create();
    const ended = endOf(stream);
    const seen = record(stream, ['error', 'close']);
    stream.destroy();
    expect(await ended).toMatchObject({ code: 'ERR_STREAM_PREMATURE_CLOSE' });
    expect(seen).toEqual(['close']);
    expect(stream.takeUnsettled()).toEqual([]);
    expect(destination.calls).toHaveLength(0);
  });

  it('with an error tells that error', async () => {
    const { stream } = create();
    const error = new Error('anyway');
    const ended = endOf(stream);
    stream.destroy(error);
    expect(await ended).toBe(error);
  });

  it('by a signal that had fired before it was built', async () => {
    const { stream } = create({ signal: AbortSignal.abort() });
    const ended = endOf(stream);
    expect(stream.destroyed).toBe(true);
    expect(stream.write(1)).toBe(false);
    expect(await ended).toMatchObject({ name: 'AbortError' });
    expect(expectLedger(stream).eventsOffered).toBe(0);
  });

  it('after finish changes nothing', async () => {
    const { stream } = create();
    const ended = endOf(stream);
    stream.end();
    expect(await ended).toBeUndefined();
    stream.destroy(new Error('too late'));
    await turn();
    expect(stream.errored).toBeNull();
  });

  it("in the tick of end(): no 'finish' follows, as in Node", async () => {
    const { stream } = create();
    const seen = record(stream, ['finish', 'close']);
    stream.end();
    stream.destroy();
    await turn();
    expect(seen).toEqual(['close']);
  });
});

describe('a flush under way when the stream is destroyed', () => {
  it('a flush that returns within its grace settles its items by its result', async () => {
    const { stream, destination, clock } = create();
    const ended = endOf(stream);
    for (const item of range(5)) stream.write(item);
    await turn();
    stream.destroy();
    await clock.advance(GRACE_MS - 1);
    await destination.answer();
    expect(await ended).toMatchObject({ code: 'ERR_BACKPRESSURE_ABORTED', items: [2, 3, 4] });
    expect(stream.takeUnsettled()).toEqual([2, 3, 4]);
    expect(expectLedger(stream)).toMatchObject({ eventsFlushed: 2, eventsFailed: 3, lateResults: 0 });
    expect(clock.pending).toBe(0);
  });

  it('a flush that rejects because of its signal has its items returned, without a retry', async () => {
    const { stream, destination } = create();
    const ended = endOf(stream);
    for (const item of range(3)) stream.write(item);
    await turn();
    const { signal } = destination.open[0]!.context;
    signal.addEventListener('abort', () => destination.open[0]!.reject(signal.reason));
    const error = new Error('original');
    stream.destroy(error);
    expect(await ended).toBe(error);
    expect(stream.takeUnsettled()).toEqual(range(3));
    expect(destination.calls).toHaveLength(1);
  });

  it('a flush that returns after its grace counts in lateResults alone', async () => {
    const { stream, destination, clock } = create();
    const ended = endOf(stream);
    stream.write(0);
    stream.write(1);
    await turn();
    stream.destroy();
    await clock.advance(GRACE_MS);
    await ended;
    await destination.answer();
    expect(expectLedger(stream)).toMatchObject({ eventsFlushed: 0, eventsFailed: 2, lateResults: 1 });
    expect(stream.takeUnsettled()).toEqual([0, 1]);
  });

  it('several: what they held comes back in the order of admission', async () => {
    const { stream, destination, clock } = create({ concurrency: 3 });
    for (const item of range(7)) stream.write(item);
    await turn();
    expect(destination.open).toHaveLength(3);
    stream.on('error', () => undefined);
    stream.destroy();
    destination.calls[2]!.reject(new Error('c'));
    await turn();
    destination.calls[0]!.reject(new Error('a'));
    await clock.advance(GRACE_MS);
    await closed(stream);
    expect(stream.takeUnsettled()).toEqual(range(7));
  });

  it('a flush that destroys the stream itself, at once, is awaited by close', async () => {
    const clock = new ManualClock();
    let answer: () => void = () => undefined;
    const stream: BackpressureWritable<number> = new BackpressureWritable<number>(
      () => {
        stream.destroy(new Error('from within'));
        return new Promise((resolve) => (answer = resolve));
      },
      { clock },
    );
    const ended = endOf(stream);
    const seen = record(stream, ['close']);
    stream.write(1);
    void stream.flush();
    await turn();
    expect(seen).toEqual([]);
    answer();
    expect(await ended).toMatchObject({ message: 'from within' });
    expect(stream.takeUnsettled()).toEqual([]);
    expect(expectLedger(stream)).toMatchObject({ eventsFlushed: 1, lateResults: 0 });
  });
});

describe('a listener that destroys the stream', () => {
  it("a listener of 'state' that destroys the stream while waiting writes are admitted leaves each item accounted for once", async () => {
    const { stream, destination, clock } = create({ batchSize: 5, maxBufferSize: 10 });
    const ended = endOf(stream);
    for (const item of range(14)) stream.write(item);
    await turn();
    expect(stream.getMetrics()).toMatchObject({ waiting: 6, inFlight: 5, bufferSize: 3 });
    let told = 0;
    stream.on('state', (state) => {
      if (state === 'elevated' && ++told === 1) stream.destroy(new Error('in state'));
    });
    await destination.answer();
    await clock.advance(GRACE_MS);
    expect(await ended).toMatchObject({ message: 'in state' });
    expect(told).toBe(1);
    expect(stream.takeUnsettled()).toEqual(range(9, 5));
    expect(expectLedger(stream)).toMatchObject({ eventsFlushed: 5, eventsFailed: 5, eventsDropped: 4 });
  });

  it("a listener of 'state' that destroys the stream while a waiting item is admitted leaves it accounted for once", async () => {
    const { stream, destination, clock } = create({
      maxBufferSize: 10,
      sizeOf: (size) => size,
      maxBufferBytes: 100,
      batchSize: 1,
    });
    stream.on('error', () => undefined);
    stream.write(10);
    stream.write(95);
    expect(stream.getMetrics()).toMatchObject({ waiting: 1, bufferSize: 1 });
    await turn();
    stream.on('state', (state) => {
      if (state === 'critical') stream.destroy(new Error('in state'));
    });
    await destination.answer();
    await clock.advance(GRACE_MS);
    await closed(stream);
    expect(stream.errored).toMatchObject({ message: 'in state' });
    expect(stream.takeUnsettled()).toEqual([95]);
    expect(expectLedger(stream)).toMatchObject({
      waiting: 0,
      eventsFlushed: 1,
      eventsFailed: 1,
      eventsDropped: 0,
    });
  });

  it.each(['drop_oldest', 'drop_newest'] as const)("of 'drop', under %s", async (strategy) => {
    const { stream, clock } = create({ strategy, maxBufferSize: 4 });
    stream.on('error', () => undefined);
    stream.once('drop', () => stream.destroy(new Error('in drop')));
    for (const item of range(6)) stream.write(item);
    await clock.advance(GRACE_MS);
    await closed(stream);
    expectLedger(stream);
    expect(stream.takeUnsettled()).toEqual(strategy === 'drop_oldest' ? range(4, 1) : range(4));
  });
});

describe('a handler that destroys the stream', () => {
  it('as onFailed does, at once, and waits for its end: it is waited for no longer than the grace', async () => {
    const clock = new ManualClock();
    const destination = new ManualDestination<number>();
    const stream = new BackpressureWritable<number>(destination.flush, {
      clock,
      batchSize: 1,
      abortGraceMs: 100,
      onFailed: async () => {
        stream.destroy();
        await closed(stream);
      },
    });
    const ended = endOf(stream);
    stream.write(1);
    await turn();
    await destination.fail(new Error('no'));
    await clock.advance(99);
    expect(stream.closed).toBe(false);
    await clock.advance(1);
    expect(await ended).toMatchObject({ code: 'ERR_BACKPRESSURE_ABORTED', items: [1] });
    expectLedger(stream);
  });
});

describe('the items of an error', () => {
  it('are not enumerable, so that no log shows rows by accident', async () => {
    const clock = new ManualClock();
    const secret = 'row-4711';
    const stream = new BackpressureWritable<{ secret: string }>(() => Promise.reject(new Error('no')), {
      clock,
    });
    const ended = endOf(stream);
    stream.write({ secret });
    await clock.advance(100);
    const error = (await ended) as BackpressureError;
    expect(error.items).toEqual([{ secret }]);
    expect(Object.keys(error)).not.toContain('items');
    expect(JSON.stringify(error)).not.toContain(secret);
    expect(JSON.stringify(Object.assign({}, error))).not.toContain(secret);
    expect(inspect(error, { depth: 10 })).not.toContain(secret);
    expect(inspect({ nested: error }, { depth: 10 })).not.toContain(secret);
    expect(String(error.stack)).not.toContain(secret);
    expect(stream.takeUnsettled()).toEqual([{ secret }]);
  });

  it('the error of a failed flush carries all items that were open, not that batch alone', async () => {
    const { stream, destination } = create({ retry: { attempts: 1 } });
    const ended = endOf(stream);
    for (const item of range(5)) stream.write(item);
    await turn();
    await destination.fail(new Error('no'));
    const error = (await ended) as BackpressureError;
    expect(error).toMatchObject({ code: 'ERR_BACKPRESSURE_FLUSH_FAILED', items: range(5) });
    expect((error.cause as Error).message).toBe('no');
  });
});
