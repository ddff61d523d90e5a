/** What a controller admits and drops when it is full. */

import { describe, expect, it } from 'vitest';
import type { DropReason, Settlement } from '../../../src/index.js';
import { settle } from '../../support/manual-clock.js';
import { range } from '../../support/range.js';
import { startController } from '../../support/start-controller.js';

describe('a full controller (invariants 1, 2 and 11)', () => {
  it('10 000 pushes at once under block, with room for 100: each is admitted and flushed', async () => {
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
    '10 000 pushes at once under %s, with room for 8: each drop is counted',
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

  it('a drop is counted by its reason, emitted as an event, and settled', async () => {
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

  it('queued, in flight and retrying together never exceed maxBufferSize', async () => {
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

  it('an item larger than maxBufferBytes is admitted alone under block', async () => {
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
    'an item larger than maxBufferBytes is dropped as oversized under %s',
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

  it('fifty waiting pushes are admitted first come, first served', async () => {
    const { clock, controller } = startController({ maxBufferSize: 2, maxWaiting: 100, batchSize: 2 }, [
      { kind: 'slow', ms: 10 },
    ]);
    const released: number[] = [];
    for (const item of range(50, 1)) void controller.push(item).then(() => released.push(item));
    await clock.advance(1_000);
    expect(released).toEqual(range(50, 1));
  });

  it('a waiting push is admitted as soon as a flush has settled', async () => {
    const { clock, controller } = startController({ maxBufferSize: 2, batchSize: 2 }, [
      { kind: 'slow', ms: 3 },
    ]);
    for (const item of range(2, 1)) void controller.push(item);
    let admittedAt = -1;
    void controller.push(3).then(() => (admittedAt = clock.now()));
    await clock.advance(100);
    expect(admittedAt).toBe(3);
  });

  it('one free place with two waiting pushes admits one of them', async () => {
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

  it('drop_oldest evicts 400 000 of 600 000 items in linear time', () => {
    // 200 000 items moved for each of 400 000 would be 8 × 10¹⁰ steps: this would never end.
    const { controller } = startController({ strategy: 'drop_oldest', maxBufferSize: 200_000 });
    controller.stop();
    for (let item = 0; item < 600_000; item++) void controller.push(item);
    expect(controller.getMetrics()).toMatchObject({ bufferSize: 200_000, eventsDropped: 400_000 });
  });

  it('sample with sampleRate 10 under steady pressure keeps one item in ten, and weights represent all', async () => {
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
});
