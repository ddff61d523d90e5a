import { finished } from 'node:stream/promises';
import { describe, expect, it } from 'vitest';
import {
  BackpressureWritable,
  ItemError,
  type FailedItem,
  type WritableOptions,
} from '../../../src/index.js';
import { ManualClock } from '../../support/manual-clock.js';
import { CollectingDestination, ManualDestination } from '../../support/destinations.js';
import { range } from '../../support/range.js';
import { ALL_EVENTS, closed, endOf, expectLedger, record, turn, watchLedger } from '../../support/stream.js';

function create(options: WritableOptions<number> = {}) {
  const clock = new ManualClock();
  const destination = new ManualDestination<number>();
  const stream = new BackpressureWritable<number>(destination.flush, {
    clock,
    random: () => 0.5,
    ...options,
  });
  watchLedger(
    stream,
    ALL_EVENTS.filter((event) => event !== 'error'),
  );
  return { clock, destination, stream };
}

describe('the callback of write()', () => {
  it('means admitted, not flushed', async () => {
    const { stream, destination } = create({ maxBufferSize: 10 });
    const answers: unknown[] = [];
    stream.write(1, (error) => answers.push(error ?? null));
    expect(answers).toEqual([]);
    await turn();
    expect(answers).toEqual([null]);
    expect(destination.calls).toHaveLength(0);
    const ended = endOf(stream);
    stream.destroy();
    await ended;
  });

  it('the callback of a write that has to wait comes when the write is admitted, in order', async () => {
    const { stream, destination } = create({ maxBufferSize: 4, batchSize: 1 });
    const admitted: number[] = [];
    for (const item of range(8)) stream.write(item, () => void admitted.push(item));
    await turn();
    // The fourth is in, but its callback is what holds the producer back.
    expect(admitted).toEqual([0, 1, 2]);
    while (destination.open.length > 0) {
      await destination.answer();
      const { eventsAccepted } = expectLedger(stream);
      expect(admitted).toEqual(range(admitted.length));
      expect(admitted.length).toBeLessThanOrEqual(eventsAccepted);
    }
    await turn();
    expect(admitted).toEqual(range(8));
    stream.destroy();
  });

  it.each([undefined, new Error('away with it')])(
    'is called exactly once each when the stream is destroyed (%s), with an error where the item was not admitted',
    async (error) => {
      const { stream, clock } = create({ maxBufferSize: 4, batchSize: 1 });
      const answers = new Map<number, unknown[]>();
      for (const item of range(8)) {
        answers.set(item, []);
        stream.write(item, (problem) => answers.get(item)!.push(problem ?? null));
      }
      await turn();
      stream.on('error', () => undefined);
      stream.destroy(error);
      await clock.advance(1_000);
      await closed(stream);
      for (const item of range(4)) expect(answers.get(item), `item ${item}`).toEqual([null]);
      for (const item of range(4, 4)) {
        expect(answers.get(item), `item ${item}`).toHaveLength(1);
        expect(answers.get(item)![0]).toBeInstanceOf(Error);
      }
      expect(expectLedger(stream)).toMatchObject({ eventsAccepted: 4, eventsDropped: 4, eventsFailed: 4 });
    },
  );

  it('the callback of a write without room gets the error when the stream is destroyed', async () => {
    const { stream } = create({ sizeOf: (size) => size, maxBufferBytes: 100 });
    const error = new Error('away with it');
    const answers: Record<number, unknown> = {};
    stream.on('error', () => undefined);
    for (const size of [50, 70]) stream.write(size, (problem) => (answers[size] = problem ?? null));
    expect(expectLedger(stream).waiting).toBe(1);
    stream.destroy(error);
    await closed(stream);
    expect(answers).toEqual({ 50: null, 70: error });
    expect(stream.takeUnsettled()).toEqual([50, 70]);
  });
});

describe('end()', () => {
  it.each([
    ['end()', (stream: BackpressureWritable<number>) => void stream.end(), 2],
    ['end(chunk)', (stream: BackpressureWritable<number>) => void stream.end(2), 3],
    ['end(chunk, encoding)', (stream: BackpressureWritable<number>) => void stream.end(2, 'utf8'), 3],
    ['end(null)', (stream: BackpressureWritable<number>) => void stream.end(null as never), 2],
  ])('%s delivers everything before finish', async (_name, end, count) => {
    const destination = new CollectingDestination<number>();
    const stream = new BackpressureWritable<number>(destination.flush, { batchSize: 2 });
    stream.write(0);
    stream.write(1);
    end(stream);
    await finished(stream);
    expect(destination.items).toEqual(range(count));
    expect(expectLedger(stream)).toMatchObject({ eventsOffered: count, eventsFlushed: count });
  });

  it.each([
    ['end(cb)', (stream: BackpressureWritable<number>, done: () => void) => void stream.end(done), 0],
    [
      'end(chunk, cb)',
      (stream: BackpressureWritable<number>, done: () => void) => void stream.end(0, done),
      1,
    ],
    [
      'end(chunk, encoding, cb)',
      (stream: BackpressureWritable<number>, done: () => void) => void stream.end(0, 'utf8', done),
      1,
    ],
  ])('%s calls back once, when all has settled', async (_name, end, count) => {
    const { stream, destination } = create();
    let calls = 0;
    end(stream, () => {
      calls++;
      expect(expectLedger(stream)).toMatchObject({ bufferSize: 0, inFlight: 0, eventsFlushed: count });
    });
    await turn();
    expect(calls).toBe(count === 0 ? 1 : 0);
    await destination.answerAll();
    await turn();
    expect(calls).toBe(1);
  });

  it.each(range(12))('settles %i items, the last partial batch included', async (count) => {
    const destination = new CollectingDestination<number>();
    const stream = new BackpressureWritable<number>(destination.flush, { batchSize: 5 });
    for (const item of range(count)) stream.write(item);
    stream.end();
    await finished(stream);
    expect(destination.items).toEqual(range(count));
    expect(destination.batches.map((batch) => batch.length)).toEqual(
      range(Math.ceil(count / 5)).map((batch) => Math.min(5, count - 5 * batch)),
    );
  });

  it('is told by DRAINING, and needs no time to pass', async () => {
    const { stream, destination } = create();
    const states: string[] = [];
    stream.on('state', (state) => states.push(state));
    stream.write(1);
    stream.end();
    await turn();
    expect(stream.getMetrics().state).toBe('draining');
    expect(destination.calls[0]!.context.reason).toBe('drain');
    await destination.answerAll();
    expect(await endOf(stream)).toBeUndefined();
    expect(states).toEqual(['draining']);
  });

  it("emits 'finish' only after retries and their pauses", async () => {
    const { stream, destination, clock } = create({ retry: { attempts: 3, minDelayMs: 100 } });
    const seen = record(stream, ['finish', 'close']);
    stream.write(1);
    stream.end();
    await turn();
    await destination.fail(new Error('once'));
    expect(seen).toEqual([]);
    await clock.advance(50);
    await destination.fail(new Error('twice'));
    await clock.advance(99);
    expect(destination.open).toHaveLength(0);
    expect(seen).toEqual([]);
    await clock.advance(1);
    expect(seen).toEqual([]);
    await destination.answer();
    await turn();
    expect(seen).toEqual(['finish', 'close']);
    expect(expectLedger(stream)).toMatchObject({ eventsFlushed: 1, retries: 2 });
  });

  it("emits 'finish' only after an asynchronous onFailed has taken the items", async () => {
    let take: () => void = () => undefined;
    const failures: FailedItem<number>[] = [];
    const { stream, destination } = create({
      onFailed: (failed) => {
        failures.push(...failed);
        return new Promise<void>((resolve) => (take = resolve));
      },
    });
    const seen = record(stream, ['finish']);
    stream.write(1);
    stream.write(2);
    stream.end();
    await turn();
    await destination.answer({ success: 1, failed: 1, errors: [new ItemError(1)] });
    expect(failures.map(({ item }) => item)).toEqual([2]);
    expect(seen).toEqual([]);
    take();
    await turn();
    expect(seen).toEqual(['finish']);
  });

  it('waits for every delivery, in whatever order they answer', async () => {
    const { stream, destination } = create({ concurrency: 3, batchSize: 1 });
    const seen = record(stream, ['finish']);
    for (const item of range(4)) stream.write(item);
    stream.end();
    await turn();
    expect(destination.open).toHaveLength(3);
    for (const place of [2, 1]) destination.calls[place]!.resolve();
    await turn();
    destination.calls[3]!.resolve();
    await turn();
    expect(seen).toEqual([]);
    destination.calls[0]!.resolve();
    await turn();
    expect(seen).toEqual(['finish']);
  });

  it('while the producer is held admits and settles what waits', async () => {
    const { stream, destination } = create({ maxBufferSize: 2, batchSize: 1 });
    for (const item of range(4)) stream.write(item);
    stream.end(4);
    await turn();
    await destination.answerAll();
    expect(await endOf(stream)).toBeUndefined();
    expect(destination.items).toEqual(range(5));
  });
});

describe("Node's own refusals leave the ledger untouched", () => {
  it('write after end', async () => {
    const { stream, destination } = create();
    stream.write(1);
    stream.end();
    const before = expectLedger(stream);
    const ended = endOf(stream);
    const told = new Promise((resolve) => stream.write(2, resolve));
    expect(await told).toMatchObject({ code: 'ERR_STREAM_WRITE_AFTER_END' });
    await turn();
    await destination.answerAll();
    expect(await ended).toMatchObject({ code: 'ERR_STREAM_WRITE_AFTER_END' });
    expect(expectLedger(stream).eventsOffered).toBe(before.eventsOffered);
  });

  it('end(chunk) after end', async () => {
    const { stream } = create();
    stream.end();
    const ended = endOf(stream);
    stream.end(1);
    expect(await ended).toMatchObject({ code: 'ERR_STREAM_WRITE_AFTER_END' });
    expect(expectLedger(stream).eventsOffered).toBe(0);
  });

  it('write(null)', () => {
    const { stream } = create();
    expect(() => stream.write(null as never)).toThrow(
      expect.objectContaining({ code: 'ERR_STREAM_NULL_VALUES' }),
    );
    expect(() => stream.write(null as never, () => undefined)).toThrow(
      expect.objectContaining({ code: 'ERR_STREAM_NULL_VALUES' }),
    );
    expect(expectLedger(stream).eventsOffered).toBe(0);
    expect(stream.destroyed).toBe(false);
  });

  it('write after destroy', async () => {
    const { stream } = create();
    stream.destroy();
    const told = new Promise((resolve) => stream.write(2, resolve));
    expect(stream.write(1)).toBe(false);
    expect(await told).toMatchObject({ code: 'ERR_STREAM_DESTROYED' });
    stream.end(3);
    await turn();
    expect(expectLedger(stream).eventsOffered).toBe(0);
  });

  it('byte mode: a chunk that is no bytes, an encoding that is none', () => {
    const stream = new BackpressureWritable(async () => undefined, { objectMode: false });
    const refusal = (code: string): unknown => expect.objectContaining({ code });
    expect(() => stream.write(42)).toThrow(refusal('ERR_INVALID_ARG_TYPE'));
    expect(() => stream.end({})).toThrow(refusal('ERR_INVALID_ARG_TYPE'));
    expect(() => stream.write('text', 'klingon' as BufferEncoding)).toThrow(refusal('ERR_UNKNOWN_ENCODING'));
    expect(expectLedger(stream).eventsOffered).toBe(0);
    expect(stream.writable).toBe(true);
    stream.destroy();
  });
});

describe('flush()', () => {
  it('settles what was written before, and does not wait for what comes after', async () => {
    const { stream, destination } = create({ batchSize: 2 });
    stream.write(1);
    let settled = false;
    const flushed = stream.flush().then(() => (settled = true));
    stream.write(2);
    stream.write(3);
    await turn();
    expect(destination.calls[0]!.items[0]).toBe(1);
    expect(settled).toBe(false);
    await destination.answer();
    await flushed;
    expect(expectLedger(stream).bufferSize).toBe(1);
    stream.on('error', () => undefined);
    stream.destroy();
  });

  it('waits for items that wait for room, too', async () => {
    const { stream, destination } = create({ maxBufferSize: 2, maxWaiting: 10, batchSize: 1 });
    for (const item of range(5)) stream.write(item);
    let settled = false;
    void stream.flush().then(() => (settled = true));
    await turn();
    for (let answered = 0; answered < 5; answered++) {
      expect(settled).toBe(false);
      await destination.answer();
    }
    expect(settled).toBe(true);
    stream.destroy();
  });

  it('when empty resolves and calls nobody', async () => {
    const { stream, destination } = create();
    await stream.flush();
    await stream.flush();
    expect(destination.calls).toHaveLength(0);
    stream.destroy();
  });

  it('overlapping calls all wait', async () => {
    const { stream, destination } = create();
    stream.write(1);
    const settled: number[] = [];
    for (const call of range(3)) void stream.flush().then(() => settled.push(call));
    await turn();
    expect(settled).toEqual([]);
    await destination.answer();
    expect(settled).toEqual([0, 1, 2]);
    expect(destination.calls).toHaveLength(1);
    stream.destroy();
  });

  it('during a retry waits for its outcome', async () => {
    const { stream, destination, clock } = create({ retry: { attempts: 2, minDelayMs: 100 } });
    stream.write(1);
    let settled = false;
    const flushed = stream.flush().then(() => (settled = true));
    await turn();
    await destination.fail(new Error('once'));
    await clock.advance(49);
    expect(settled).toBe(false);
    await clock.advance(1);
    await destination.answer();
    await flushed;
    stream.destroy();
  });

  it('rejects with the error that destroys the stream, whatever still answers', async () => {
    const { stream, destination } = create({ batchSize: 1, concurrency: 1 });
    const error = new Error('away');
    stream.on('error', () => undefined);
    for (const item of range(3)) stream.write(item);
    const flushed = stream.flush();
    await turn();
    stream.destroy(error);
    await destination.answerAll();
    await expect(flushed).rejects.toBe(error);
    await closed(stream);
    await expect(stream.flush()).rejects.toBe(error);
    expect(stream.takeUnsettled()).toEqual([1, 2]);
  });

  it('causes no unhandledRejection where nobody awaits it', async () => {
    const { stream, destination } = create();
    stream.on('error', () => undefined);
    stream.write(1);
    void stream.flush();
    await turn();
    await destination.fail(new Error('no'));
    await closed(stream);
    await turn();
  });
});

describe('Symbol.asyncDispose', () => {
  it('ends the stream and waits until everything has settled', async () => {
    const destination = new CollectingDestination<number>();
    const stream = new BackpressureWritable<number>(destination.flush);
    stream.write(1);
    await stream[Symbol.asyncDispose]();
    expect(destination.items).toEqual([1]);
    expect(stream.writableFinished).toBe(true);
    await stream[Symbol.asyncDispose]();
  });

  it('rejects with what the destination fails with', async () => {
    const stream = new BackpressureWritable<number>(() => Promise.reject(new Error('no room on the shelf')));
    stream.on('error', () => undefined);
    stream.write(1);
    await expect(stream[Symbol.asyncDispose]()).rejects.toMatchObject({
      code: 'ERR_BACKPRESSURE_FLUSH_FAILED',
      message: expect.stringContaining('no room on the shelf') as string,
    });
  });
});

describe('what a flush function may answer', () => {
  it.each([
    ['nothing, without a promise', () => undefined],
    ['a thenable', () => ({ then: (resolve: (value: undefined) => void) => resolve(undefined) })],
    [
      'a FlushResult, without a promise',
      (items: number[]) => ({ success: items.length, failed: 0, errors: [] }),
    ],
    ['a number', () => 42],
    ['null', () => null],
    ["a client's own result", () => Promise.resolve({ command: 'INSERT', rowCount: 1, rows: [] })],
  ])('%s: all succeeded', async (_name, flush) => {
    const stream = new BackpressureWritable<number>(flush as never);
    stream.write(1);
    stream.end();
    await finished(stream);
    expect(expectLedger(stream).eventsFlushed).toBe(1);
  });

  it.each([
    ["a client's own result that looks like a failure", () => Promise.resolve({ ok: false, status: 500 })],
    ['counts that do not add up', () => ({ success: 5, failed: 0, errors: [] })],
  ])('%s: reported as the caller’s error, with the items', async (_name, flush) => {
    const stream = new BackpressureWritable<number>(flush as never);
    const ended = endOf(stream);
    stream.write(1);
    stream.end();
    expect(await ended).toMatchObject({ code: 'ERR_BACKPRESSURE_INVALID_RESULT', items: [1] });
    expect(stream.takeUnsettled()).toEqual([1]);
  });

  it.each([
    ['an Error', new Error('thrown at once')],
    ['a string', 'thrown at once'],
    ['undefined', undefined],
  ])('throwing %s at once is a failed flush', async (_name, thrown) => {
    const stream = new BackpressureWritable<number>(() => {
      throw thrown;
    });
    const ended = endOf(stream);
    stream.write(1);
    expect(await new Promise((resolve) => stream.on('error', resolve))).toMatchObject({
      code: 'ERR_BACKPRESSURE_FLUSH_FAILED',
    });
    await ended;
    expect(stream.takeUnsettled()).toEqual([1]);
    expect(expectLedger(stream)).toMatchObject({ eventsFailed: 1 });
  });
});
