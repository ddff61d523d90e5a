/** `positionOf` and `committedPosition`: how far an ordered source has settled. */

import { describe, expect, it } from 'vitest';
import { BackpressureController, BackpressureWritable, type SinkOptions } from '../../../src/index.js';
import { type Behaviour, ManualDestination } from '../../support/destinations.js';
import { range } from '../../support/range.js';
import { startController } from '../../support/start-controller.js';
import { expectLedger, turn } from '../../support/stream.js';
import { ManualClock, settle } from '../../support/manual-clock.js';

const identity = (item: number) => item;
const slow = (ms: number): Behaviour => ({ kind: 'slow', ms });
const fails = (ms: number, retryable = true): Behaviour => ({ kind: 'rejects', ms, retryable });

function start(options: SinkOptions<number>, script: readonly Behaviour[] = []) {
  const told: unknown[] = [];
  const run = startController(
    {
      batchSize: 2,
      positionOf: identity,
      onSettled: () => void told.push(run.controller.committedPosition),
      ...options,
    },
    script,
  );
  return {
    ...run,
    told,
    push: (...items: number[]) => items.forEach((item) => void run.controller.push(item)),
  };
}

describe('committedPosition', () => {
  it('is undefined without positionOf, and before anything has settled', async () => {
    const { clock, controller, push } = start({ positionOf: undefined as never }, [slow(10)]);
    push(1, 2);
    await clock.advance(100);
    expect(controller.committedPosition).toBeUndefined();
    expect(controller.getMetrics()).toMatchObject({ committedPosition: undefined, eventsFlushed: 2 });
    const other = start({}, [slow(10)]);
    other.push(1, 2);
    await other.clock.advance(9);
    expect(other.controller.committedPosition).toBeUndefined();
    await other.clock.advance(1);
    expect(other.controller.committedPosition).toBe(2);
    expect(other.controller.getMetrics().committedPosition).toBe(2);
  });

  it('is up to date when onSettled is called, batch by batch, right after the event flush', async () => {
    const { clock, controller, push, told } = start({}, [slow(5), slow(5), slow(5)]);
    const atFlush: unknown[] = [];
    controller.on('flush', () => queueMicrotask(() => atFlush.push(controller.committedPosition)));
    push(...range(6, 1));
    await clock.advance(100);
    expect(told).toEqual([2, 4, 6]);
    expect(atFlush).toEqual([2, 4, 6]);
  });

  it('waits for the first batch that is open, in whatever order batches settle', async () => {
    const { clock, controller, push, told } = start({ concurrency: 3 }, [
      slow(50),
      slow(10),
      slow(30),
      slow(5),
    ]);
    push(...range(8, 1));
    await clock.advance(49);
    expect(controller.getMetrics()).toMatchObject({ eventsFlushed: 6 });
    expect(told).toEqual([undefined, undefined, undefined]);
    await clock.advance(1);
    expect(told).toEqual([undefined, undefined, undefined, 8]);
  });

  it('passes however many batches have settled behind one that did not', async () => {
    const { clock, controller, push } = start({ concurrency: 2, batchSize: 1, flushTimeoutMs: Infinity }, [
      slow(100_000),
    ]);
    for (const item of range(1_000, 1)) {
      push(item);
      await settle();
    }
    expect(controller.getMetrics()).toMatchObject({ eventsFlushed: 999 });
    expect(controller.committedPosition).toBeUndefined();
    await clock.advance(100_000);
    expect(controller.committedPosition).toBe(1_000);
  });

  it('waits for what is left of a batch after a partial result, retries included', async () => {
    const partial: Behaviour = { kind: 'partial', ms: 5, mask: 0b10, retryable: 0b10, unnamed: 0 };
    const { clock, push, told } = start(
      { batchSize: 3, retry: { attempts: 3, minDelayMs: 10 }, random: () => 0.5 },
      [slow(5), partial, fails(5)],
    );
    push(...range(6, 1));
    await clock.advance(1_000);
    expect(told).toEqual([3, 3, 6]);
  });

  it('counts what onFailed took as settled, once it has it', async () => {
    const clock = new ManualClock();
    const { controller, push, told } = start(
      { clock, onFailed: () => new Promise<void>((resolve) => void clock.setTimeout(resolve, 20)) },
      [fails(0, false)],
    );
    push(1, 2);
    await clock.advance(19);
    expect(controller.committedPosition).toBeUndefined();
    await clock.advance(1);
    expect(told).toEqual([2]);
  });

  it('does not go beyond what is returned, at whatever batch came after it', async () => {
    const { clock, controller, push } = start({ concurrency: 3, batchSize: 1, abortGraceMs: 100 }, [
      slow(5),
      fails(10, false),
      { kind: 'deaf', ms: 20, fails: false },
    ]);
    push(...range(5, 1));
    await clock.advance(1_000);
    expect(controller.getMetrics()).toMatchObject({ eventsFlushed: 4, eventsFailed: 1 });
    expect(controller.takeUnsettled()).toEqual([2]);
    expect(controller.committedPosition).toBe(1);
  });

  it('is not held back by what is dropped', async () => {
    const { clock, controller, push } = start({ strategy: 'drop_oldest', maxBufferSize: 4 }, [slow(10)]);
    push(1, 2);
    await settle();
    push(...range(18, 3));
    await clock.advance(1_000);
    expect(controller.getMetrics()).toMatchObject({ eventsDropped: 16, eventsFlushed: 4 });
    expect(controller.committedPosition).toBe(20);
  });

  it('takes bigints too, and asks for the first and the last of a batch only', async () => {
    const asked: number[] = [];
    const controller = new BackpressureController<number>(async () => undefined, {
      batchSize: 100,
      positionOf: (item) => (asked.push(item), 2n ** 60n + BigInt(item)),
    });
    controller.start();
    for (const item of range(200, 1)) void controller.push(item);
    await controller.drain();
    expect(controller.committedPosition).toBe(2n ** 60n + 200n);
    // The second batch's first item is looked at while it is the oldest in the queue.
    expect([...new Set(asked)]).toEqual([1, 100, 101, 200]);
    expect(asked.length).toBeLessThan(10);
  });
});

describe('items that share a position', () => {
  const tens = { positionOf: (item: number) => Math.floor(item / 10) };

  it('are passed when the last of them has settled: in flight', async () => {
    const { clock, told, push } = start({ ...tens, concurrency: 2 }, [slow(5), slow(5), slow(20)]);
    push(11, 12, 21, 22, 23, 24, 31, 32);
    await clock.advance(1_000);
    expect(told).toEqual([1, 1, 1, 3]);
  });

  it('in the queue', async () => {
    const { clock, controller, told, push } = start({ ...tens }, [slow(5), slow(5), slow(5)]);
    push(11, 12, 21, 22, 23, 24, 31);
    await clock.advance(12);
    expect(told).toEqual([1, 1]);
    await clock.advance(1_000);
    expect(told).toEqual([1, 1, 2, 3]);
    expect(controller.committedPosition).toBe(3);
  });

  it('waiting for room', async () => {
    const { clock, controller, told, push } = start({ ...tens, maxBufferSize: 2, batchSize: 2 }, [
      slow(5),
      slow(5),
    ]);
    push(11, 21, 22);
    await clock.advance(5);
    expect(told).toEqual([undefined]);
    expect(controller.committedPosition).toBeUndefined();
    await clock.advance(1_000);
    expect(controller.committedPosition).toBe(2);
  });

  it.each(['queued', 'waiting'] as const)('and returned: %s', async (where) => {
    const abort = new AbortController();
    const seen: unknown[] = [];
    const { clock, controller, push } = start(
      {
        ...tens,
        batchSize: 3,
        maxBufferSize: where === 'queued' ? 6 : 3,
        signal: abort.signal,
        abortGraceMs: 10,
      },
      [{ kind: 'deaf', ms: 5, fails: false }],
    );
    controller.on('state', () => void seen.push(controller.committedPosition));
    push(11, 21, 22, 23);
    await clock.advance(2);
    abort.abort();
    await clock.advance(1_000);
    expect(controller.getMetrics()).toMatchObject({ eventsFlushed: 3 });
    expect(controller.takeUnsettled()).toEqual([23]);
    expect(controller.committedPosition).toBeUndefined();
    expect(new Set(seen)).toEqual(new Set([undefined]));
  });
});

describe('positions that are refused', () => {
  it.each([
    ['between batches', [1, 2, 1, 3], 'a lower position than the one before: 1 follows 2'],
    ['within a batch', [1, 2, 4, 3], 'a lower position than the one before: 3 follows 4'],
  ])('a lower position %s fails the sink, which returns the rest', async (_case, items, message) => {
    const { clock, controller, push, destination } = start({}, []);
    push(...items);
    await clock.advance(10);
    const flushed = controller.flush();
    await expect(flushed).rejects.toMatchObject({
      code: 'ERR_BACKPRESSURE_HANDLER_FAILED',
      items: items.slice(2),
    });
    await expect(flushed).rejects.toThrow(message);
    expect(destination.batches).toEqual([[1, 2]]);
    expect(controller.takeUnsettled()).toEqual(items.slice(2));
    expect(clock.pending).toBe(0);
  });

  it.each([
    ['throws', () => expect.fail('no offset'), 'positionOf failed: no offset'],
    ['is no number', () => NaN, 'got NaN'],
    ['is a text', () => '5' as never, 'got "5"'],
  ])('%s', async (_case, positionOf: () => number, message) => {
    const { clock, controller, push } = start({ positionOf });
    push(1, 2, 3);
    await clock.advance(10);
    await expect(controller.flush()).rejects.toMatchObject({ code: 'ERR_BACKPRESSURE_HANDLER_FAILED' });
    await expect(controller.flush()).rejects.toThrow(message);
    expect(controller.takeUnsettled()).toEqual([1, 2, 3]);
  });

  it('a position that cannot be read of the oldest queued item fails the sink', async () => {
    const { clock, controller, push } = start({
      positionOf: (item) => (item === 3 ? expect.fail('no offset') : item),
    });
    push(1, 2, 3);
    await clock.advance(10);
    await expect(controller.flush()).rejects.toThrow('no offset');
    expect(controller.committedPosition).toBeUndefined();
    expect(controller.takeUnsettled()).toEqual([3]);
  });

  it('destroy a stream', async () => {
    const destination = new ManualDestination<number>();
    const stream = new BackpressureWritable<number>(destination.flush, {
      batchSize: 1,
      positionOf: identity,
    });
    const error = new Promise((resolve) => void stream.once('error', resolve));
    const closed = new Promise<void>((resolve) => void stream.once('close', resolve));
    stream.write(5);
    stream.write(4);
    await turn();
    await destination.answer();
    expect(await error).toMatchObject({ code: 'ERR_BACKPRESSURE_HANDLER_FAILED' });
    await closed;
    expect(stream.takeUnsettled()).toEqual([4]);
    expect(stream.committedPosition).toBe(stream.getMetrics().committedPosition);
  });
});

it('a queued item that is returned holds its position back, also with a later one that waits', async () => {
  const abort = new AbortController();
  const { clock, controller, push } = start(
    {
      batchSize: 1,
      maxBufferSize: 2,
      signal: abort.signal,
      positionOf: (item) => Math.floor(item / 10),
    },
    [slow(10)],
  );
  push(51, 52, 60);
  await clock.advance(5);
  abort.abort();
  await clock.advance(1_000);
  expect(controller.takeUnsettled()).toEqual([52, 60]);
  expect(controller.committedPosition).toBeUndefined();
});

describe('a positionOf that ends everything itself', () => {
  it('by destroying the stream: nothing is flushed, every item is returned once', async () => {
    const destination = new ManualDestination<number>();
    const stream = new BackpressureWritable<number>(destination.flush, {
      batchSize: 2,
      positionOf: (item) => {
        stream.destroy();
        return item;
      },
    });
    const closed = new Promise<void>((resolve) => void stream.once('close', resolve));
    stream.on('error', () => undefined);
    for (const item of [1, 2, 3]) stream.write(item);
    await closed;
    expect(destination.calls).toEqual([]);
    expect(stream.takeUnsettled()).toEqual([1, 2, 3]);
    expect(expectLedger(stream)).toMatchObject({ bufferSize: 0, inFlight: 0, eventsFailed: 3, flushes: 0 });
  });

  it('by stopping the controller: no flush starts, and the queue is kept', async () => {
    const { clock, controller, destination, push } = start({
      batchSize: 2,
      positionOf: (item) => {
        controller.stop();
        return item;
      },
    });
    push(1, 2, 3);
    await clock.advance(10);
    expect(destination.calls).toEqual([]);
    expect(expectLedger(controller)).toMatchObject({ bufferSize: 3, flushes: 0 });
  });
});
