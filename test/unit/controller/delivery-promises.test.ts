/** What comparable libraries get wrong, each by its number in our notes. Those of the streams are in the streams' own tests. */

import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { ItemError } from '../../../src/index.js';
import type {
  BackpressureError,
  DropReason,
  FailedItem,
  FlushReport,
  RetryReport,
  Settlement,
} from '../../../src/index.js';
import { range } from '../../support/range.js';
import { startController } from '../../support/start-controller.js';
import { settle } from '../../support/manual-clock.js';

describe('what peers get wrong', () => {
  it('1: a timer flush and a size flush that compete for one slot lose nothing', async () => {
    const { clock, controller, destination } = startController({ batchSize: 5, minFlushIntervalMs: 100 }, [
      { kind: 'slow', ms: 30 },
      { kind: 'slow', ms: 30 },
      { kind: 'slow', ms: 30 },
    ]);
    for (const item of range(3, 1)) void controller.push(item);
    await clock.advance(99);
    // The timer is due in a millisecond; the batch is full now.
    for (const item of range(3, 4)) void controller.push(item);
    await clock.advance(1);
    for (const item of range(14, 7)) void controller.push(item);
    await clock.advance(1_000);
    expect(destination.batches.flat()).toEqual(range(20, 1));
    expect(controller.getMetrics()).toMatchObject({ eventsFlushed: 20, bufferSize: 0, inFlight: 0 });
  });

  it("2: the interval bounds the oldest item's age; items that keep coming do not put it off", async () => {
    const { clock, controller, destination } = startController({ batchSize: 1_000, minFlushIntervalMs: 200 });
    for (let ms = 0; ms < 1_000; ms += 50) {
      void controller.push(ms);
      await clock.advance(50);
    }
    expect(destination.calls.map(({ at }) => at)).toEqual([200, 400, 600, 800, 1000]);
    for (const { items, at } of destination.calls) expect(at - items[0]!).toBeLessThanOrEqual(200);
  });

  it('3: a full batch flushes at once, and flushing goes on while full batches remain', async () => {
    const { clock, controller, destination } = startController({ batchSize: 10 });
    for (const item of range(1_005, 1)) void controller.push(item);
    await settle();
    expect(destination.calls).toHaveLength(100);
    expect(controller.getMetrics()).toMatchObject({ eventsFlushed: 1_000, bufferSize: 5 });
    expect(clock.now()).toBe(0);
  });

  it('4: a synchronous burst over capacity loses nothing under block', async () => {
    const { clock, controller, destination } = startController({ maxBufferSize: 100, maxWaiting: 10_000 });
    const answers = range(10_000, 1).map((item) => controller.push(item));
    await clock.advance(1_000);
    expect((await Promise.all(answers)).every((admitted) => admitted)).toBe(true);
    await controller.drain();
    expect(destination.batches.flat()).toEqual(range(10_000, 1));
  });

  it.each([
    ['drop_oldest', 'evicted', range(8, 9_993)],
    ['drop_newest', 'rejected', range(8, 1)],
    ['sample', 'rejected', range(8, 1)],
  ] as const)(
    '4: a synchronous burst over capacity is counted exactly under %s',
    async (strategy, reason, kept) => {
      const { controller, destination } = startController({ strategy, maxBufferSize: 8, sampleRate: 1 });
      for (const item of range(10_000, 1)) void controller.push(item);
      expect(controller.getMetrics()).toMatchObject({
        eventsOffered: 10_000,
        eventsDropped: 9_992,
        bufferSize: 8,
      });
      expect(controller.getMetrics().dropsByReason[reason]).toBe(9_992);
      await controller.drain();
      expect(destination.batches.flat()).toEqual(kept);
    },
  );

  it('5: every drop is counted by its reason, emitted, and settled', async () => {
    const drops: [number, DropReason][] = [];
    const settled: Settlement<number>[] = [];
    const { clock, controller } = startController({
      maxBufferSize: 2,
      maxWaiting: 1,
      maxBlockTimeMs: 50,
      shed: (item) => item === 0,
      onSettled: (settlements) => settled.push(...settlements),
    });
    controller.stop();
    controller.on('drop', (item, reason) => drops.push([item, reason]));
    void controller.push(0);
    for (const item of range(4, 1)) void controller.push(item);
    controller.tryPush(5);
    await clock.advance(50);
    expect(drops).toEqual([
      [0, 'shed'],
      [4, 'overflow'],
      [5, 'rejected'],
      [3, 'timeout'],
    ]);
    expect(settled).toMatchObject(drops.map(([item, reason]) => ({ item, outcome: 'dropped', reason })));
    const { dropsByReason, eventsDropped } = controller.getMetrics();
    expect(dropsByReason).toMatchObject({ shed: 1, overflow: 1, rejected: 1, timeout: 1 });
    expect(eventsDropped).toBe(4);
  });

  it('8: buffered, in flight and retrying together never exceed the bound', async () => {
    const { clock, controller } = startController(
      { maxBufferSize: 6, batchSize: 2, concurrency: 2, retry: { attempts: 10 }, random: () => 0.5 },
      Array.from({ length: 10 }, () => ({ kind: 'rejects' as const, ms: 10 })),
    );
    for (const item of range(6, 1)) void controller.push(item);
    const seventh = controller.push(7);
    let most = 0;
    for (let ms = 0; ms < 500; ms++) {
      await clock.advance(1);
      const { bufferSize, inFlight, waiting } = controller.getMetrics();
      most = Math.max(most, bufferSize + inFlight);
      expect(waiting).toBe(1);
    }
    expect(most).toBe(6);
    await clock.advance(100_000);
    expect(await seventh).toBe(true);
  });

  it('9: an item larger than the byte budget is admitted alone under block', async () => {
    const { clock, controller, destination } = startController(
      { maxBufferBytes: 100, sizeOf: (item) => item },
      [{ kind: 'slow', ms: 10 }],
    );
    void controller.push(60);
    const large = controller.push(250);
    const next = controller.push(70);
    await clock.advance(10);
    expect(await large).toBe(true);
    await clock.advance(10);
    expect(await next).toBe(true);
    await controller.drain();
    expect(destination.batches).toEqual([[60], [250], [70]]);
  });

  it.each(['drop_oldest', 'drop_newest', 'sample'] as const)(
    '9: an item larger than the byte budget is refused with a reason under %s',
    async (strategy) => {
      const { controller } = startController({
        strategy,
        sampleRate: 1,
        maxBufferBytes: 100,
        sizeOf: (item) => item,
      });
      controller.stop();
      void controller.push(60);
      expect(await controller.push(250)).toBe(false);
      expect(controller.getMetrics()).toMatchObject({
        bufferSize: 1,
        dropsByReason: { oversized: 1, evicted: 0 },
      });
    },
  );

  it('10: many blocked writers are all released, first come first served', async () => {
    const { clock, controller } = startController({ maxBufferSize: 2, maxWaiting: 100, batchSize: 2 }, [
      { kind: 'slow', ms: 10 },
    ]);
    const released: number[] = [];
    for (const item of range(50, 1)) void controller.push(item).then(() => released.push(item));
    await clock.advance(1_000);
    expect(released).toEqual(range(50, 1));
  });

  it.each(['flush', 'drain'] as const)(
    '11: %s() resolves only after the flushes in flight have settled',
    async (method) => {
      const { clock, controller } = startController({ batchSize: 2, concurrency: 3 }, [
        { kind: 'slow', ms: 100 },
        { kind: 'slow', ms: 50 },
        { kind: 'slow', ms: 75 },
      ]);
      for (const item of range(5, 1)) void controller.push(item);
      await settle();
      let resolved = false;
      void controller[method]().then(() => (resolved = true));
      await clock.advance(99);
      expect(resolved).toBe(false);
      await clock.advance(1);
      expect(resolved).toBe(true);
      expect(controller.getMetrics().eventsFlushed).toBe(5);
    },
  );

  it('12: flush() during a retry waits for the outcome', async () => {
    const { clock, controller } = startController(
      { batchSize: 1, retry: { attempts: 3 }, random: () => 0.5 },
      [
        { kind: 'rejects', ms: 0 },
        { kind: 'rejects', ms: 0 },
      ],
    );
    void controller.push(1);
    await settle();
    let resolved = false;
    void controller.flush().then(() => (resolved = true));
    await clock.advance(100 + 199);
    expect(resolved).toBe(false);
    await clock.advance(1);
    expect(resolved).toBe(true);
    expect(controller.getMetrics()).toMatchObject({ eventsFlushed: 1, retries: 2 });
  });

  it('13: flush() when empty resolves and calls nobody; overlapping calls all wait', async () => {
    const { clock, controller, destination } = startController({}, [{ kind: 'slow', ms: 50 }]);
    await controller.flush();
    expect(destination.calls).toHaveLength(0);
    void controller.push(1);
    const order: number[] = [];
    const calls = range(3, 1).map((n) => controller.flush().then(() => order.push(n)));
    await clock.advance(49);
    expect(order).toEqual([]);
    await clock.advance(1);
    await Promise.all(calls);
    expect(order).toEqual([1, 2, 3]);
    expect(destination.calls).toHaveLength(1);
  });

  it('14: items admitted during a flush get a flush of their own', async () => {
    const { clock, controller, destination } = startController({ batchSize: 100, minFlushIntervalMs: 100 }, [
      { kind: 'slow', ms: 40 },
    ]);
    void controller.push(1);
    void controller.flush();
    await clock.advance(20);
    void controller.push(2);
    await clock.advance(20);
    expect(destination.batches).toEqual([[1]]);
    await clock.advance(80);
    expect(destination.batches).toEqual([[1], [2]]);
  });

  it('15: a shutdown deadline is its own option; what was not delivered is reported', async () => {
    const { clock, controller } = startController({ batchSize: 2 }, [{ kind: 'slow', ms: 500 }]);
    for (const item of range(5, 1)) void controller.push(item);
    const drained = controller.drain({ timeoutMs: 100 });
    await clock.advance(100);
    const error = await drained.catch((thrown: unknown) => thrown as BackpressureError);
    expect(error).toMatchObject({ code: 'ERR_BACKPRESSURE_DRAIN_TIMEOUT', items: range(5, 1) });
    expect(Object.keys(error as object)).not.toContain('items');
    // Copies: the controller goes on.
    await clock.advance(1_000);
    expect(controller.getMetrics()).toMatchObject({ eventsFlushed: 5, state: 'normal' });
  });

  it.each([0, 1, 9, 10, 11, 20, 99])(
    '16: drain() settles %i items, the last partial batch included',
    async (count) => {
      const { controller, destination } = startController({ batchSize: 10 });
      for (const item of range(count, 1)) void controller.push(item);
      await controller.drain();
      expect(destination.batches.flat()).toEqual(range(count, 1));
      expect(controller.getMetrics()).toMatchObject({ eventsFlushed: count, bufferSize: 0, inFlight: 0 });
    },
  );

  it('18: outcomes per item both ways, and totals per flush', async () => {
    const reports: FlushReport[] = [];
    const settled: Settlement<number>[] = [];
    const failed: FailedItem<number>[] = [];
    const { controller } = startController(
      {
        batchSize: 4,
        onFailed: (failures) => void failed.push(...failures),
        onSettled: (settlements) => settled.push(...settlements),
      },
      [{ kind: 'partial', ms: 0, mask: 0b0101, retryable: 0, unnamed: 0 }],
    );
    controller.on('flush', (report) => reports.push(report));
    for (const item of range(4, 1)) void controller.push(item);
    await controller.drain();
    expect(settled.map(({ item, outcome }) => [item, outcome])).toEqual([
      [2, 'flushed'],
      [4, 'flushed'],
      [1, 'failed'],
      [3, 'failed'],
    ]);
    expect(failed.map(({ item, error }) => [item, error instanceof ItemError && error.index])).toEqual([
      [1, 0],
      [3, 2],
    ]);
    expect(reports).toMatchObject([{ attempt: 1, reason: 'size', items: 4, success: 2, failed: 2 }]);
    expect(controller.getMetrics()).toMatchObject({ eventsFlushed: 2, eventsFailed: 2, flushes: 1 });
  });

  it('19: a timer flush that fails is no unhandledRejection', async () => {
    const unhandled: unknown[] = [];
    const onUnhandled = (reason: unknown) => unhandled.push(reason);
    process.on('unhandledRejection', onUnhandled);
    const { clock, controller } = startController({ minFlushIntervalMs: 100 }, [{ kind: 'throws' }]);
    void controller.push(1);
    await clock.advance(100);
    await settle();
    process.off('unhandledRejection', onUnhandled);
    expect(unhandled).toEqual([]);
    await expect(controller.push(2)).rejects.toThrow('destination threw');
  });

  it('7, 20: the retry loop really retries, as often as told and no more, and can be seen', async () => {
    const retries: RetryReport[] = [];
    const { clock, controller, destination } = startController(
      { batchSize: 1, retry: { attempts: 5, minDelayMs: 100, maxDelayMs: 500 }, random: () => 0.5 },
      Array.from({ length: 9 }, () => ({ kind: 'rejects' as const, ms: 0 })),
    );
    controller.on('retry', (retry) => retries.push(retry));
    void controller.push(1);
    await clock.advance(100_000);
    expect(destination.calls.map(({ at, context }) => [at, context.attempt])).toEqual([
      [0, 1],
      [50, 2],
      [150, 3],
      [350, 4],
      [600, 5],
    ]);
    expect(retries.map(({ attempt, delayMs }) => [attempt, delayMs])).toEqual([
      [1, 50],
      [2, 100],
      [3, 200],
      [4, 250],
    ]);
    expect(controller.getMetrics()).toMatchObject({ retries: 4, eventsFailed: 1, flushes: 1 });
    expect(controller.takeUnsettled()).toEqual([1]);
  });

  it('23: listener counts are flat over 1 000 flushes', async () => {
    const abort = new AbortController();
    const { controller, destination } = startController({ batchSize: 1, signal: abort.signal });
    for (const item of range(1_000, 1)) {
      void controller.push(item);
      await controller.flush();
    }
    expect(destination.calls).toHaveLength(1_000);
    expect(getEventListeners(abort.signal, 'abort')).toHaveLength(1);
    controller.stop();
    expect(getEventListeners(abort.signal, 'abort')).toHaveLength(0);
  });

  it('24: no timer is left after a flush, a drain, a stop, an abort or a failure', async () => {
    const abort = new AbortController();
    const runs = [
      startController({ minFlushIntervalMs: 100 }),
      startController({ minFlushIntervalMs: 100, signal: abort.signal }),
      startController({ batchSize: 1 }, [{ kind: 'throws' }]),
      startController({ minFlushIntervalMs: 100 }),
    ] as const;
    for (const { controller } of runs) void controller.push(1);
    for (const { clock } of runs) await clock.advance(1);
    expect(runs.map(({ clock }) => clock.pending)).toEqual([1, 1, 0, 1]);
    await runs[0].controller.drain({ timeoutMs: 60_000 });
    abort.abort();
    runs[3].controller.stop();
    await settle();
    expect(runs.map(({ clock }) => clock.pending)).toEqual([0, 0, 0, 0]);
  });

  it('25: depth, in flight and state can be read at any instant, and one can await "below N"', async () => {
    const { clock, controller } = startController({ maxBufferSize: 10, batchSize: 4 }, [
      { kind: 'slow', ms: 20 },
      { kind: 'slow', ms: 20 },
    ]);
    for (const item of range(9, 1)) void controller.push(item);
    expect(controller.getMetrics()).toMatchObject({ state: 'critical', bufferSize: 9, inFlight: 0 });
    await settle();
    expect(controller.getMetrics()).toMatchObject({ bufferSize: 5, inFlight: 4, bufferUtilization: 0.9 });
    const below: number[] = [];
    for (const count of [10, 6, 2]) void controller.whenBelow(count).then(() => below.push(count));
    await settle();
    expect(below).toEqual([10]);
    await clock.advance(20);
    expect(below).toEqual([10, 6]);
    await clock.advance(20);
    expect(below).toEqual([10, 6, 2]);
  });
});
