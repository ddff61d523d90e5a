/** When the controller flushes, how it deals with a destination that is slow, fails or hangs, and what it tells of it. */

import { describe, expect, it } from 'vitest';
import { BackpressureController } from '../../../src/controller/backpressure-controller.js';
import {
  ItemError,
  type BackpressureError,
  type FailedItem,
  type FlushContext,
  type FlushFunction,
  type Settlement,
} from '../../../src/index.js';
import type { Behaviour } from '../../support/destinations.js';
import { range } from '../../support/range.js';
import { startController } from '../../support/start-controller.js';
import { ManualClock, settle } from '../../support/manual-clock.js';

const slow = (ms: number): Behaviour => ({ kind: 'slow', ms });
const fails = (ms: number, retryable = true): Behaviour => ({ kind: 'rejects', ms, retryable });

describe('a flush', () => {
  it('starts in a microtask, never inside push()', async () => {
    const { controller, destination } = startController({ batchSize: 1 });
    void controller.push(1);
    controller.tryPush(2);
    expect(destination.calls).toHaveLength(0);
    await settle();
    expect(destination.calls).toHaveLength(2);
  });

  it.each([
    ['size', { batchSize: 2 }, 2],
    ['bytes', { batchBytes: 2, sizeOf: () => 1 }, 2],
    ['interval', {}, 1],
    ['manual', {}, 1],
    ['drain', {}, 1],
  ] as const)('counts and tells its reason: %s', async (reason, options, items) => {
    const { clock, controller, destination } = startController(options);
    for (const item of range(items, 1)) void controller.push(item);
    if (reason === 'manual') void controller.flush();
    if (reason === 'drain') void controller.drain();
    await clock.advance(reason === 'interval' ? 100 : 0);
    expect(destination.calls.map(({ context }) => context.reason)).toEqual([reason]);
    expect(controller.getMetrics().flushesByReason[reason]).toBe(1);
    expect(controller.getMetrics().flushes).toBe(1);
  });

  it('is told whether there is an onFailed', async () => {
    const { controller, destination } = startController({ batchSize: 1 });
    void controller.push(1);
    const handled = startController({ batchSize: 1, onFailed: () => undefined });
    void handled.controller.push(1);
    await settle();
    expect(destination.calls[0]!.context.takesFailures).toBe(false);
    expect(handled.destination.calls[0]!.context.takesFailures).toBe(true);
  });

  it('a flush of what is queued comes at once when a producer is held beside an idle slot', async () => {
    const { controller, destination } = startController({
      maxBufferSize: 3,
      batchSize: 3,
      strategy: 'block',
    });
    controller.stop();
    for (const item of range(4, 1)) void controller.push(item);
    controller.start();
    await settle();
    expect(destination.batches[0]).toEqual([1, 2, 3]);

    const bytes = startController({ maxBufferBytes: 10, batchBytes: 10, sizeOf: (item) => item });
    void bytes.controller.push(6);
    await settle();
    expect(bytes.destination.calls).toHaveLength(0);
    const held = bytes.controller.push(5);
    await settle();
    expect(bytes.destination.batches).toEqual([[6]]);
    expect(await held).toBe(true);
    expect(bytes.clock.now()).toBe(0);
  });

  it('comes one at a time at concurrency 1, and as many at a time as told', async () => {
    for (const concurrency of [1, 2, 3]) {
      const script = Array.from({ length: 9 }, () => slow(10));
      const { clock, controller, destination } = startController({ batchSize: 1, concurrency }, script);
      for (const item of range(9, 1)) void controller.push(item);
      await settle();
      expect(destination.calls).toHaveLength(concurrency);
      expect(controller.getMetrics().inFlight).toBe(concurrency);
      await clock.advance(10);
      expect(destination.calls).toHaveLength(2 * concurrency);
    }
  });

  it('keeps the order at concurrency 1, retries included', async () => {
    const { clock, controller, destination } = startController(
      { batchSize: 3, retry: { attempts: 3 }, random: () => 0.9 },
      [{ kind: 'partial', ms: 0, mask: 0b110, retryable: 0b110, unnamed: 0 }, fails(5), slow(5)],
    );
    for (const item of range(6, 1)) void controller.push(item);
    await clock.advance(10_000);
    expect(destination.batches).toEqual([
      [1, 2, 3],
      [2, 3],
      [2, 3],
      [4, 5, 6],
    ]);
  });

  it('under drop_oldest holds at most half the capacity, so that the newest always find room', async () => {
    const { controller } = startController(
      { strategy: 'drop_oldest', maxBufferSize: 10, batchSize: 10, concurrency: 4 },
      Array.from({ length: 9 }, () => slow(1_000)),
    );
    for (const item of range(10, 1)) void controller.push(item);
    await settle();
    expect(controller.getMetrics().inFlight).toBeLessThanOrEqual(5);
    for (const item of range(90, 11)) expect(await controller.push(item)).toBe(true);
    expect(controller.getMetrics().dropsByReason).toMatchObject({ rejected: 0 });
  });
});

describe('the interval and the spacing', () => {
  it('grows with slow flushes and shrinks with fast ones, within its bounds', async () => {
    const { clock, controller } = startController(
      { batchSize: 1, minFlushIntervalMs: 100, maxFlushIntervalMs: 300, targetLatencyMs: 100 },
      [slow(151), slow(151), slow(151), slow(151), slow(100)],
    );
    const intervals: number[] = [];
    controller.on('flush', () => void intervals.push(controller.getMetrics().currentFlushIntervalMs));
    for (let item = 0; item < 8; item++) {
      void controller.push(item);
      await clock.advance(10_000);
    }
    expect(intervals.map((ms) => Math.round(ms))).toEqual([150, 225, 300, 300, 300, 240, 192, 154]);
    expect(controller.getMetrics().lastFlushLatencyMs).toBe(0);
  });

  it('does not take a fast failure for health', async () => {
    const { clock, controller } = startController(
      { batchSize: 1, minFlushIntervalMs: 100, targetLatencyMs: 100, onFailed: () => undefined },
      [slow(500), fails(0)],
    );
    for (const item of range(2, 1)) {
      void controller.push(item);
      await clock.advance(10_000);
    }
    expect(controller.getMetrics().currentFlushIntervalMs).toBe(150);
  });

  const rowFault: Behaviour = { kind: 'partial', ms: 60, mask: 1, retryable: 0, unnamed: 0 };
  it.each<[string, Behaviour, number]>([
    ['a healthy flush: at once', slow(60), 60],
    ['a slow one: an interval after it began', slow(400), 750],
    ['a transport failure: as long as it took to fail', fails(60), 120],
    ["a row's fault: at once", rowFault, 60],
    ['a failure that is not worth a retry: at once', fails(60, false), 60],
  ])('full batches follow %s', async (_case, behaviour, at) => {
    const { clock, controller, destination } = startController(
      { batchSize: 1, targetLatencyMs: 100, minFlushIntervalMs: 500, onFailed: () => undefined },
      [behaviour],
    );
    for (const item of range(2, 1)) void controller.push(item);
    await clock.advance(10_000);
    // The second item came of age at 500 ms; with a slow flush the interval has grown to 750 ms by then.
    expect(destination.calls.map((call) => call.at)).toEqual([0, at]);
  });

  it('a slow flush spaces by no more than its own latency', async () => {
    const { clock, controller, destination } = startController(
      { batchSize: 1, targetLatencyMs: 100, minFlushIntervalMs: 20_000 },
      [slow(200)],
    );
    for (const item of range(2, 1)) void controller.push(item);
    await clock.advance(10_000);
    expect(destination.calls.map((call) => call.at)).toEqual([0, 400]);
  });

  it.each(['drain', 'flush'] as const)('%s() knows no spacing', async (method) => {
    const { clock, controller, destination } = startController(
      { batchSize: 1, targetLatencyMs: 100, minFlushIntervalMs: 20_000 },
      [slow(200)],
    );
    for (const item of range(2, 1)) void controller.push(item);
    void controller[method]();
    await clock.advance(10_000);
    expect(destination.calls.map((call) => call.at)).toEqual([0, 200]);
  });

  it('recovers: no spiral into a slow steady state', async () => {
    const script = Array.from({ length: 10 }, () => slow(2_000));
    const { clock, controller } = startController({ batchSize: 100, maxBufferSize: 1_000 }, script);
    void (async () => {
      for (let item = 0; item < 20_000; item++) await controller.push(item);
    })();
    await clock.advance(60_000);
    expect(controller.getMetrics().eventsFlushed).toBe(20_000);
    expect(controller.getMetrics().currentFlushIntervalMs).toBe(100);
  });
});

describe('a flush that hangs', () => {
  const timing = { batchSize: 1, flushTimeoutMs: 100, abortGraceMs: 50 };
  const deaf = (ms: number, late = false): Behaviour => ({ kind: 'deaf', ms, fails: late });

  it('has its signal fired after flushTimeoutMs, and holds slot and capacity until the grace ends', async () => {
    const failed: FailedItem<number>[] = [];
    const { clock, controller, destination } = startController(
      { ...timing, maxBufferSize: 1, onFailed: (failures) => void failed.push(...failures) },
      [deaf(Infinity)],
    );
    void controller.push(1);
    const next = controller.push(2);
    await clock.advance(99);
    const { signal } = destination.calls[0]!.context;
    expect(signal.aborted).toBe(false);
    await clock.advance(1);
    expect(signal.aborted).toBe(true);
    expect(signal.reason).toMatchObject({ code: 'ERR_BACKPRESSURE_FLUSH_TIMEOUT' });
    await clock.advance(49);
    expect(controller.getMetrics()).toMatchObject({ inFlight: 1, waiting: 1 });
    await clock.advance(1);
    expect(await next).toBe(true);
    expect(failed).toMatchObject([
      { item: 1, ambiguous: true, error: { code: 'ERR_BACKPRESSURE_FLUSH_TIMEOUT' } },
    ]);
  });

  const functions: [string, (calls: FlushContext[]) => FlushFunction<number>][] = [
    ['(items, context)', (calls) => (_items, context) => (calls.push(context), new Promise(() => undefined))],
    [
      '(...args)',
      (calls) =>
        (...args) => (calls.push(args[1]), new Promise(() => undefined)),
    ],
  ];
  it.each(functions)(
    'finds its signal fired where it asks only afterwards, each time the same one: %s',
    async (_, make) => {
      const clock = new ManualClock();
      const calls: FlushContext[] = [];
      const controller = new BackpressureController<number>(make(calls), { ...timing, clock });
      controller.start();
      void controller.push(1);
      await clock.advance(100);
      const { signal } = calls[0]!;
      expect(signal.aborted).toBe(true);
      expect(signal.reason).toMatchObject({ code: 'ERR_BACKPRESSURE_FLUSH_TIMEOUT' });
      expect(calls[0]!.signal).toBe(signal);
      await clock.advance(50);
      expect(controller.takeUnsettled()).toEqual([1]);
    },
  );

  it('a copy of the context has its signal, too', async () => {
    const clock = new ManualClock();
    const signals: AbortSignal[] = [];
    const inner = (_items: number[], { signal }: FlushContext): Promise<void> => {
      signals.push(signal);
      return new Promise(() => undefined);
    };
    const flush: FlushFunction<number> = (items, context) => inner(items, { ...context, attempt: 7 });
    const controller = new BackpressureController<number>(flush, { ...timing, clock });
    controller.start();
    void controller.push(1);
    await clock.advance(100);
    expect(signals[0]!.aborted).toBe(true);
    await clock.advance(50);
  });

  it('is not retried, for its outcome is unknown', async () => {
    const { clock, controller, destination } = startController({ ...timing, retry: { attempts: 5 } }, [
      deaf(Infinity),
    ]);
    void controller.push(1);
    await clock.advance(100_000);
    expect(destination.calls).toHaveLength(1);
    expect(controller.getMetrics()).toMatchObject({ eventsFailed: 1, retries: 0 });
    expect(controller.takeUnsettled()).toEqual([1]);
  });

  it('is retried where the user says that this is safe', async () => {
    const { clock, controller, destination } = startController(
      { ...timing, retry: { attempts: 5, afterTimeout: true } },
      [deaf(Infinity)],
    );
    void controller.push(1);
    await clock.advance(100_000);
    expect(destination.calls).toHaveLength(2);
    expect(controller.getMetrics()).toMatchObject({ eventsFlushed: 1, retries: 1 });
  });

  it.each([
    [true, 2],
    [false, 1],
    [undefined, 1],
  ])(
    'and answers within the grace that it did nothing (retryable: %s) is called %i times',
    async (retryable, calls) => {
      const clock = new ManualClock();
      let called = 0;
      const controller = new BackpressureController<number>(
        (_items, { signal }) => {
          if (++called > 1) return Promise.resolve();
          return new Promise((_resolve, reject) => {
            const error = Object.assign(
              new Error('rolled back'),
              retryable === undefined ? {} : { retryable },
            );
            signal.addEventListener('abort', () => reject(error));
          });
        },
        { ...timing, clock, retry: { attempts: 3 }, onFailed: () => undefined },
      );
      controller.start();
      void controller.push(1);
      await clock.advance(100_000);
      expect(called).toBe(calls);
    },
  );

  it('a timed-out flush that resolves within the grace counts as flushed', async () => {
    const { clock, controller } = startController(timing, [deaf(149)]);
    void controller.push(1);
    await clock.advance(1_000);
    expect(controller.getMetrics()).toMatchObject({ eventsFlushed: 1, lateResults: 0 });
  });

  it.each([false, true])('and answers later only counts in lateResults (fails: %s)', async (late) => {
    const settled: Settlement<number>[] = [];
    const { clock, controller } = startController(
      { ...timing, onFailed: () => undefined, onSettled: (settlements) => settled.push(...settlements) },
      [deaf(500, late)],
    );
    void controller.push(1);
    await clock.advance(1_000);
    expect(controller.getMetrics()).toMatchObject({ eventsFlushed: 0, eventsFailed: 1, lateResults: 1 });
    expect(settled).toMatchObject([{ item: 1, outcome: 'failed', ambiguous: true }]);
  });

  it('may hang for ever where flushTimeoutMs is Infinity', async () => {
    const { clock, controller, destination } = startController({ batchSize: 1, flushTimeoutMs: Infinity }, [
      deaf(Infinity),
    ]);
    void controller.push(1);
    await clock.advance(1e8);
    expect(controller.getMetrics().inFlight).toBe(1);
    expect(destination.calls[0]!.context.signal.aborted).toBe(false);
  });
});

describe('retry', () => {
  it.each([
    ['an error whose retryable is false', fails(0, false), {}],
    ['an error that isRetryable refuses', fails(0), { isRetryable: () => false }],
  ] as const)('does not call again after %s', async (_case, behaviour, retry) => {
    const { clock, controller, destination } = startController(
      { batchSize: 1, retry: { attempts: 5, ...retry } },
      [behaviour],
    );
    void controller.push(1);
    await clock.advance(100_000);
    expect(destination.calls).toHaveLength(1);
    expect(controller.takeUnsettled()).toEqual([1]);
  });

  it('begins no call later than maxElapsedMs after the first, and does not wait for a call that it will not make', async () => {
    const retry = { attempts: 9, minDelayMs: 100, maxElapsedMs: 350 };
    const run = startController(
      { batchSize: 1, retry, random: () => 0.5, onFailed: () => undefined },
      Array.from({ length: 9 }, () => fails(10)),
    );
    const retries: number[] = [];
    run.controller.on('retry', ({ delayMs }) => void retries.push(delayMs));
    void run.controller.push(1);
    await run.clock.advance(180);
    // Called at 0, 10 + 50 and 70 + 100; the next one would be at 180 + 200.
    expect(run.destination.calls.map(({ at }) => at)).toEqual([0, 60, 170]);
    expect(retries).toEqual([50, 100]);
    expect(run.controller.getMetrics()).toMatchObject({ eventsFailed: 1, retries: 2 });

    const exact = startController(
      { batchSize: 1, retry: { ...retry, maxElapsedMs: 380 }, random: () => 0.5, onFailed: () => undefined },
      Array.from({ length: 9 }, () => fails(10)),
    );
    void exact.controller.push(1);
    await exact.clock.advance(10_000);
    expect(exact.destination.calls.map(({ at }) => at)).toEqual([0, 60, 170, 380]);
  });

  it('goes on for as long as it takes where maxElapsedMs is Infinity', async () => {
    const { clock, controller, destination } = startController(
      {
        batchSize: 1,
        retry: { attempts: 99, minDelayMs: 30_000, maxElapsedMs: Infinity },
        random: () => 0.99,
      },
      Array.from({ length: 50 }, () => fails(0)),
    );
    void controller.push(1);
    await clock.advance(50 * 30_000);
    expect(destination.calls).toHaveLength(51);
    expect(controller.getMetrics().eventsFlushed).toBe(1);
  });

  it('calls nothing that a late timer brings after maxElapsedMs, as after the process was held up', async () => {
    const { clock, controller, destination } = startController(
      {
        batchSize: 1,
        retry: { attempts: 3, maxElapsedMs: 1_000 },
        random: () => 0.5,
        onFailed: () => undefined,
      },
      [fails(0)],
    );
    void controller.push(1);
    await settle();
    const now = clock.now.bind(clock);
    clock.now = () => now() + 5_000;
    await clock.advance(100);
    expect(destination.calls).toHaveLength(1);
    expect(controller.getMetrics().eventsFailed).toBe(1);
  });

  it('counts the time that onFailed takes for other items of the batch', async () => {
    const partial: Behaviour = { kind: 'partial', ms: 0, mask: 0b11, retryable: 0b10, unnamed: 0 };
    const clock = new ManualClock();
    const failed: number[][] = [];
    const onFailed = (failures: FailedItem<number>[]) => {
      failed.push(failures.map(({ item }) => item));
      return new Promise<void>((resolve) => void clock.setTimeout(resolve, 1_000));
    };
    const { controller, destination } = startController(
      { clock, batchSize: 3, retry: { attempts: 3, maxElapsedMs: 1_000 }, random: () => 0.5, onFailed },
      [partial],
    );
    for (const item of range(3, 1)) void controller.push(item);
    await clock.advance(10_000);
    expect(destination.calls).toHaveLength(1);
    expect(failed).toEqual([[1], [2]]);
    expect(controller.getMetrics()).toMatchObject({ eventsFlushed: 1, eventsFailed: 2 });
  });

  it('waits for the delay that the error tells, and for the longest one that an item tells', async () => {
    const busy = (retryAfterMs: number) => Object.assign(new Error('busy'), { retryAfterMs });
    const clock = new ManualClock();
    const calls: number[] = [];
    const controller = new BackpressureController<number>(
      async () => {
        calls.push(clock.now());
        if (calls.length === 1) throw busy(700);
        if (calls.length > 2) return undefined;
        const errors = [50, 900].map(
          (ms, index) => new ItemError(index, { retryable: true, cause: busy(ms) }),
        );
        return { success: 1, failed: 2, errors };
      },
      { clock, batchSize: 3, retry: { attempts: 5 }, random: () => 0.5 },
    );
    controller.start();
    for (const item of range(3, 1)) void controller.push(item);
    await clock.advance(10_000);
    expect(calls).toEqual([0, 700 + 350, 1_050 + 900 + 900]);
  });

  it('calls a bare function once by default', async () => {
    const { clock, controller, destination } = startController({ batchSize: 1 }, [fails(0)]);
    void controller.push(1);
    await clock.advance(100_000);
    expect(destination.calls).toHaveLength(1);
  });

  it('fails the items with a clear cause when isRetryable throws', async () => {
    const isRetryable = () => {
      throw new Error('no idea');
    };
    const { clock, controller } = startController({ batchSize: 1, retry: { attempts: 5, isRetryable } }, [
      fails(0),
    ]);
    void controller.push(1);
    const flushed = controller.flush();
    await clock.advance(100_000);
    await expect(flushed).rejects.toMatchObject({ code: 'ERR_BACKPRESSURE_HANDLER_FAILED', items: [1] });
    await expect(flushed).rejects.toThrow('retry.isRetryable failed: no idea');
  });

  it('carries the weights of the items that are called again', async () => {
    const { clock, controller, destination } = startController(
      {
        strategy: 'sample',
        maxBufferSize: 4,
        sampleRate: 1,
        batchSize: 2,
        retry: { attempts: 2 },
        random: () => 0,
      },
      [{ kind: 'partial', ms: 10, mask: 0b10, retryable: 0b10, unnamed: 0 }],
    );
    controller.stop();
    for (const item of range(6, 1)) void controller.push(item);
    controller.start();
    await clock.advance(10);
    await controller.drain();
    for (const item of range(2, 7)) void controller.push(item);
    await controller.drain();
    expect(
      destination.calls.map(({ items, context }) => [items, context.weights, context.represents]),
    ).toEqual([
      [[1, 2], [1, 1], 2],
      [[2], [1], 1],
      [[3, 4], [1, 1], 2],
      [[7, 8], [3, 1], 4],
    ]);
  });
});

describe('items that fail for good', () => {
  it('wait for an asynchronous onFailed before they settle and free their capacity', async () => {
    const clock = new ManualClock();
    const taken: number[] = [];
    const { controller } = startController(
      {
        clock,
        maxBufferSize: 2,
        batchSize: 2,
        onFailed: async (failures) => {
          await new Promise<void>((resolve) => void clock.setTimeout(resolve, 50));
          taken.push(...failures.map(({ item }) => item));
        },
      },
      [{ kind: 'throws' }],
    );
    for (const item of range(3, 1)) void controller.push(item);
    await clock.advance(49);
    expect(taken).toEqual([]);
    expect(controller.getMetrics()).toMatchObject({ inFlight: 2, eventsFailed: 0, waiting: 1 });
    await clock.advance(1);
    expect(taken).toEqual([1, 2]);
    expect(controller.getMetrics()).toMatchObject({ eventsFailed: 2, waiting: 0 });
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('reject file full');
      },
    ],
    ['rejects', () => Promise.reject(new Error('reject file full'))],
  ])('are returned when onFailed %s, and that is fatal', async (_case, onFailed) => {
    const { controller } = startController({ batchSize: 2, onFailed }, [{ kind: 'throws' }]);
    for (const item of range(3, 1)) void controller.push(item);
    await expect(controller.drain()).rejects.toMatchObject({
      code: 'ERR_BACKPRESSURE_HANDLER_FAILED',
      message: 'onFailed failed: reject file full',
      items: [1, 2, 3],
    });
    expect(controller.takeUnsettled()).toEqual([1, 2, 3]);
  });

  it('without onFailed end the controller with an error that carries all items, out of sight of a log', async () => {
    const { controller } = startController({ batchSize: 2, retry: { attempts: 1 } }, [{ kind: 'throws' }]);
    for (const item of range(5, 1)) void controller.push(item);
    const error = await controller.drain().catch((thrown: unknown) => thrown as BackpressureError);
    expect(error).toMatchObject({
      code: 'ERR_BACKPRESSURE_FLUSH_FAILED',
      message: 'flush of 2 items failed: destination threw',
      cause: { message: 'destination threw' },
      items: range(5, 1),
    });
    expect(JSON.stringify(error)).not.toContain('items');
    await expect(controller.push(6)).rejects.toBe(error);
    await expect(controller.flush()).rejects.toBe(error);
    await expect(controller.whenBelow(1)).rejects.toBe(error);
    expect(() => controller.tryPush(7)).toThrow(error);
    expect(controller.getMetrics()).toMatchObject({
      eventsOffered: 7,
      eventsFailed: 5,
      dropsByReason: { aborted: 2 },
    });
  });

  it('failed items that the result does not name are all reported as ambiguous, and counted as it says', async () => {
    const failed: FailedItem<number>[] = [];
    const { controller } = startController(
      { batchSize: 4, retry: { attempts: 5 }, onFailed: (failures) => void failed.push(...failures) },
      [{ kind: 'partial', ms: 0, mask: 0b0001, retryable: 0, unnamed: 2 }],
    );
    for (const item of range(4, 1)) void controller.push(item);
    await controller.drain();
    expect(failed.map(({ item, ambiguous }) => [item, ambiguous])).toEqual([
      [1, undefined],
      [2, true],
      [3, true],
      [4, true],
    ]);
    expect(controller.getMetrics()).toMatchObject({ eventsFailed: 3, eventsFlushed: 1, retries: 0 });
  });

  it('by an answer that does not add up are reported as the caller’s error', async () => {
    const { controller } = startController({ batchSize: 2 }, [{ kind: 'invalid', variant: 'sum' }]);
    for (const item of range(2, 1)) void controller.push(item);
    await expect(controller.drain()).rejects.toMatchObject({
      code: 'ERR_BACKPRESSURE_INVALID_RESULT',
      message: "the flush function's result is wrong: success (3) + failed (0) is not the batch's 2 items",
      items: [1, 2],
    });
  });

  it('free their bytes exactly, whatever part of a batch they are', async () => {
    const { clock, controller } = startController(
      {
        maxBufferBytes: 100,
        batchBytes: 100,
        batchSize: 4,
        sizeOf: (item) => item,
        retry: { attempts: 2 },
        onFailed: () => undefined,
      },
      [{ kind: 'partial', ms: 0, mask: 0b0111, retryable: 0b0010, unnamed: 0 }, slow(10)],
    );
    for (const item of [10, 20, 30, 40]) void controller.push(item);
    await settle();
    expect(controller.getMetrics()).toMatchObject({ inFlight: 1, inFlightBytes: 20 });
    await clock.advance(1_000);
    expect(controller.getMetrics()).toMatchObject({ inFlight: 0, inFlightBytes: 0, bufferBytes: 0 });
  });
});

describe('signal', () => {
  it('ends everything at once: signals fire, nothing is called any more, all items are returned in order', async () => {
    const abort = new AbortController();
    const settled: Settlement<number>[] = [];
    const { clock, controller, destination } = startController(
      {
        maxBufferSize: 5,
        batchSize: 2,
        signal: abort.signal,
        abortGraceMs: 50,
        onSettled: (settlements) => settled.push(...settlements),
      },
      [{ kind: 'stops-on-signal' }],
    );
    const pushes = range(7, 1).map((item) => controller.push(item));
    await settle();
    const drained = controller.drain();
    abort.abort(new Error('shutting down'));
    await expect(drained).rejects.toMatchObject({
      name: 'AbortError',
      code: 'ABORT_ERR',
      cause: { message: 'shutting down' },
    });
    await expect(pushes[6]).rejects.toMatchObject({ name: 'AbortError' });
    expect(controller.takeUnsettled()).toEqual(range(7, 1));
    expect(controller.takeUnsettled()).toEqual([]);
    expect(
      settled.map(({ item, outcome }) => [item, outcome]).toSorted((a, b) => Number(a[0]) - Number(b[0])),
    ).toEqual([
      ...range(5, 1).map((item) => [item, 'failed']),
      ...range(2, 6).map((item) => [item, 'dropped']),
    ]);
    await clock.advance(100_000);
    expect(destination.calls).toHaveLength(1);
    expect(clock.pending).toBe(0);
  });

  it('waits for a flush that ignores it no longer than abortGraceMs', async () => {
    const abort = new AbortController();
    const { clock, controller } = startController({ batchSize: 1, signal: abort.signal, abortGraceMs: 50 }, [
      { kind: 'deaf', ms: Infinity, fails: false },
    ]);
    void controller.push(1);
    const flushed = controller.flush();
    let open = true;
    flushed.catch(() => (open = false));
    await settle();
    abort.abort();
    await clock.advance(49);
    expect(open).toBe(true);
    await clock.advance(1);
    expect(open).toBe(false);
    expect(controller.takeUnsettled()).toEqual([1]);
  });

  it('counts what a flush still delivered within the grace', async () => {
    const abort = new AbortController();
    const { clock, controller } = startController({ batchSize: 1, signal: abort.signal }, [
      { kind: 'deaf', ms: 20, fails: false },
    ]);
    for (const item of range(2, 1)) void controller.push(item);
    await settle();
    abort.abort();
    await clock.advance(20);
    expect(controller.getMetrics()).toMatchObject({ eventsFlushed: 1, eventsFailed: 1 });
    expect(controller.takeUnsettled()).toEqual([2]);
  });

  it('ends a pause before a retry', async () => {
    const abort = new AbortController();
    const { clock, controller, destination } = startController(
      { batchSize: 1, signal: abort.signal, retry: { attempts: 9, minDelayMs: 1_000 }, random: () => 0.9 },
      [fails(0)],
    );
    void controller.push(1);
    await clock.advance(10);
    abort.abort();
    await settle();
    expect(controller.takeUnsettled()).toEqual([1]);
    expect(clock.pending).toBe(0);
    await clock.advance(100_000);
    expect(destination.calls).toHaveLength(1);
  });

  it('a signal that had fired before refuses every item', async () => {
    const { controller } = startController({ signal: AbortSignal.abort() });
    await expect(controller.push(1)).rejects.toMatchObject({ name: 'AbortError' });
    await expect(controller.drain()).rejects.toMatchObject({ name: 'AbortError' });
    expect(controller.getMetrics()).toMatchObject({ eventsOffered: 1, dropsByReason: { aborted: 1 } });
  });
});

describe('metrics', () => {
  it('tell the age of the oldest item, the time in each state and the time producers waited', async () => {
    const { clock, controller } = startController(
      { maxBufferSize: 4, batchSize: 4, minFlushIntervalMs: 1_000 },
      [slow(30)],
    );
    void controller.push(1);
    await clock.advance(20);
    void controller.push(2);
    await clock.advance(5);
    expect(controller.getMetrics()).toMatchObject({
      oldestItemAgeMs: 25,
      timeInStateMs: { normal: 20, elevated: 5 },
    });
    for (const item of range(3, 3)) void controller.push(item);
    await clock.advance(10);
    expect(controller.getMetrics()).toMatchObject({
      oldestItemAgeMs: 35,
      oldestInFlightAgeMs: 35,
      producerBlockedMs: 10,
      waiting: 1,
    });
    await clock.advance(100);
    expect(controller.getMetrics()).toMatchObject({ producerBlockedMs: 30, timeInStateMs: { blocked: 30 } });
  });

  it('are a snapshot', async () => {
    const { controller } = startController();
    const before = controller.getMetrics();
    void controller.push(1);
    expect(before.bufferSize).toBe(0);
    before.dropsByReason.shed = 99;
    expect(controller.getMetrics().dropsByReason.shed).toBe(0);
  });
});

describe('Symbol.asyncDispose', () => {
  it('drains and stops', async () => {
    const { clock, controller, destination } = startController();
    void controller.push(1);
    await controller[Symbol.asyncDispose]();
    expect(destination.batches).toEqual([[1]]);
    void controller.push(2);
    await clock.advance(10_000);
    expect(destination.batches).toEqual([[1]]);
  });
});

describe('a batch that fills up turn by turn', () => {
  it.each([
    ['size', { batchSize: 3 }],
    ['bytes', { batchBytes: 3, sizeOf: () => 1 }],
  ] as const)('flushes at once when it is full: %s', async (reason, options) => {
    const { clock, controller, destination } = startController(options);
    for (const item of range(3, 1)) {
      expect(destination.calls).toHaveLength(0);
      void controller.push(item);
      await settle();
    }
    expect(destination.calls.map(({ items, context }) => [items, context.reason])).toEqual([
      [[1, 2, 3], reason],
    ]);
    expect(clock.now()).toBe(0);
  });
});
