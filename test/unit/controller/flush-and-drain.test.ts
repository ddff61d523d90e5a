/** What `flush()` and `drain()` wait for, and the state meanwhile. */

import { describe, expect, it, vi } from 'vitest';
import { BackpressureController, type BackpressureError } from '../../../src/index.js';
import { ManualClock, settle } from '../../support/manual-clock.js';
import { range } from '../../support/range.js';
import { startController } from '../../support/start-controller.js';

const never = () => new Promise<void>(() => undefined);

describe('flush() and drain() (invariant 4)', () => {
  it.each(['flush', 'drain'] as const)(
    '%s() resolves after the flushes in flight have settled',
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

  it('flush() during a retry resolves with its outcome', async () => {
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

  it('flush() of an empty controller calls no destination; overlapping calls resolve with the same flush', async () => {
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

  it('drain() after timeoutMs rejects with copies of the undelivered items, which are delivered later', async () => {
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
    'drain() settles %i items, the last partial batch included',
    async (count) => {
      const { controller, destination } = startController({ batchSize: 10 });
      for (const item of range(count, 1)) void controller.push(item);
      await controller.drain();
      expect(destination.batches.flat()).toEqual(range(count, 1));
      expect(controller.getMetrics()).toMatchObject({ eventsFlushed: count, bufferSize: 0, inFlight: 0 });
    },
  );

  it('the state is draining during drain(), and normal afterwards', async () => {
    const states: string[] = [];
    const { clock, controller } = startController({ maxBufferSize: 10, batchSize: 10 }, [
      { kind: 'slow', ms: 5 },
    ]);
    controller.on('state', (state) => states.push(state));
    for (const item of range(6, 1)) void controller.push(item);
    const drained = controller.drain();
    expect(controller.getMetrics().state).toBe('draining');
    await clock.advance(5);
    await drained;
    expect(controller.getMetrics().state).toBe('normal');
    expect(states).toEqual(['elevated', 'draining', 'normal']);
    expect(await controller.push(7)).toBe(true);
  });

  it('the state follows the load again after drain() has timed out', async () => {
    const { clock, controller } = startController({ maxBufferSize: 10, batchSize: 10 }, [
      { kind: 'slow', ms: 500 },
    ]);
    for (const item of range(9, 1)) void controller.push(item);
    controller.drain({ timeoutMs: 10 }).catch(() => undefined);
    await clock.advance(10);
    expect(controller.getMetrics().state).toBe('critical');
  });

  it('a timer flush does not run beside a flush of drain() at concurrency 1', async () => {
    const { clock, controller, destination } = startController({ batchSize: 2, minFlushIntervalMs: 10 }, [
      { kind: 'slow', ms: 25 },
      { kind: 'slow', ms: 25 },
    ]);
    let most = 0;
    for (const item of range(3, 1)) void controller.push(item);
    const drained = controller.drain();
    for (let ms = 0; ms < 60; ms++) {
      await clock.advance(1);
      most = Math.max(most, controller.getMetrics().inFlight);
    }
    await drained;
    expect(most).toBe(2);
    expect(destination.batches).toEqual([[1, 2], [3]]);
    expect(destination.calls.map(({ at, context }) => [at, context.reason])).toEqual([
      [0, 'size'],
      [25, 'drain'],
    ]);
  });

  it('drain() and flush() after a fatal failure reject once every item has been returned', async () => {
    const clock = new ManualClock();
    let calls = 0;
    const controller = new BackpressureController<number>(
      () => (calls++ === 0 ? Promise.reject(new Error('boom')) : never()),
      { clock, batchSize: 2, concurrency: 2, maxBufferSize: 8, abortGraceMs: 200 },
    );
    controller.start();
    for (let item = 0; item < 6; item++) controller.tryPush(item);
    await settle();
    const rejection = vi.fn();
    controller.drain().catch(rejection);
    controller.flush().catch(rejection);
    await clock.advance(199);
    expect(rejection).not.toHaveBeenCalled();
    expect(controller.takeUnsettled()).toEqual([0, 1, 4, 5]);
    await clock.advance(1);
    expect(rejection).toHaveBeenCalledTimes(2);
    expect(controller.takeUnsettled()).toEqual([2, 3]);
    // Whatever was taken meanwhile, the error carries everything.
    expect((rejection.mock.calls[0]![0] as BackpressureError).items).toEqual([0, 1, 2, 3, 4, 5]);
  });
});
