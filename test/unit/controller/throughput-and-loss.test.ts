/** The faults of the sketch that this library began with. */

import { describe, expect, it } from 'vitest';
import { range } from '../../support/range.js';
import { startController } from '../../support/start-controller.js';
import { settle } from '../../support/manual-clock.js';

describe('the sketch', () => {
  it('made a full batch wait for the next tick: at most 1 000 items a second with default options', async () => {
    const { clock, controller } = startController();
    for (const item of range(10_000, 1)) void controller.push(item);
    await settle();
    expect(clock.now()).toBe(0);
    expect(controller.getMetrics().eventsFlushed).toBe(10_000);
  });

  it('lost a batch whose flush threw, without a count', async () => {
    const failed: number[] = [];
    const { controller } = startController(
      { batchSize: 3, onFailed: (failures) => void failed.push(...failures.map(({ item }) => item)) },
      [{ kind: 'throws' }],
    );
    for (const item of range(6, 1)) void controller.push(item);
    await controller.drain();
    expect(failed).toEqual([1, 2, 3]);
    expect(controller.getMetrics()).toMatchObject({ eventsFailed: 3, eventsFlushed: 3, eventsOffered: 6 });
  });

  it('left the state at DRAINING for ever after drain()', async () => {
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

  it('derives the state anew, not NORMAL, when drain() gives up', async () => {
    const { clock, controller } = startController({ maxBufferSize: 10, batchSize: 10 }, [
      { kind: 'slow', ms: 500 },
    ]);
    for (const item of range(9, 1)) void controller.push(item);
    controller.drain({ timeoutMs: 10 }).catch(() => undefined);
    await clock.advance(10);
    expect(controller.getMetrics().state).toBe('critical');
  });

  it('let a timer flush run while drain() flushed', async () => {
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

  it('dropped everything under SAMPLE and steady pressure: 501 of 100 000 kept where 1 in 10 was asked', async () => {
    const { clock, controller, destination } = startController(
      { strategy: 'sample', maxBufferSize: 10_000, sampleRate: 10, batchSize: 100 },
      Array.from({ length: 10_000 }, () => ({ kind: 'slow' as const, ms: 10 })),
    );
    // To ELEVATED, and from then on as much as keeps it there: 1 000 a step of which 100 are kept, and 100 flushed.
    for (const item of range(7_500, 1)) void controller.push(item);
    const before = controller.getMetrics();
    for (let step = 0; step < 100; step++) {
      for (const item of range(1_000, 1)) void controller.push(item);
      await clock.advance(10);
      expect(['elevated', 'critical']).toContain(controller.getMetrics().state);
    }
    const after = controller.getMetrics();
    const kept = after.eventsAccepted - before.eventsAccepted;
    expect(Math.abs(kept - 10_000)).toBeLessThanOrEqual(200);
    const drained = controller.drain();
    await clock.advance(1_000_000);
    await drained;
    const represented = destination.calls.reduce((sum, { context }) => sum + context.represents, 0);
    expect(represented + controller.getMetrics().unrepresented).toBe(107_500);
  });

  it('polled every 50 ms under BLOCK: room that is free at once is used at once', async () => {
    const { clock, controller } = startController({ maxBufferSize: 2, batchSize: 2 }, [
      { kind: 'slow', ms: 3 },
    ]);
    for (const item of range(2, 1)) void controller.push(item);
    let admittedAt = -1;
    void controller.push(3).then(() => (admittedAt = clock.now()));
    await clock.advance(100);
    expect(admittedAt).toBe(3);
  });

  it('let two waiters overfill under BLOCK', async () => {
    const { clock, controller } = startController({ maxBufferSize: 2, batchSize: 1 }, [
      { kind: 'slow', ms: 10 },
      { kind: 'slow', ms: 10 },
    ]);
    const admitted: number[] = [];
    for (const item of range(4, 1)) void controller.push(item).then(() => admitted.push(item));
    await settle();
    expect(admitted).toEqual([1, 2]);
    // One place is free, two wait for it.
    await clock.advance(10);
    expect(admitted).toEqual([1, 2, 3]);
    expect(controller.getMetrics()).toMatchObject({ bufferSize: 1, inFlight: 1, waiting: 1 });
  });

  it('moved the whole buffer for each eviction', () => {
    // 200 000 items moved for each of 400 000 would be 8 × 10¹⁰ steps: this would never end.
    const { controller } = startController({ strategy: 'drop_oldest', maxBufferSize: 200_000 });
    controller.stop();
    for (let item = 0; item < 600_000; item++) void controller.push(item);
    expect(controller.getMetrics()).toMatchObject({ bufferSize: 200_000, eventsDropped: 400_000 });
  });
});
