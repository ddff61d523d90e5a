/** When a controller flushes: by size, by time, and both at once. */

import { describe, expect, it } from 'vitest';
import { settle } from '../../support/manual-clock.js';
import { range } from '../../support/range.js';
import { startController } from '../../support/start-controller.js';

describe('the start of a flush (invariant 7)', () => {
  it('a size flush just before the timer is due: each item is flushed once, in order', async () => {
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

  it('items that keep coming do not put off the timer: the oldest waits no longer than the interval', async () => {
    const { clock, controller, destination } = startController({ batchSize: 1_000, minFlushIntervalMs: 200 });
    for (let ms = 0; ms < 1_000; ms += 50) {
      void controller.push(ms);
      await clock.advance(50);
    }
    expect(destination.calls.map(({ at }) => at)).toEqual([200, 400, 600, 800, 1000]);
    for (const { items, at } of destination.calls) expect(at - items[0]!).toBeLessThanOrEqual(200);
  });

  it('full batches are flushed at once, without time passing, until a partial one remains', async () => {
    const { clock, controller, destination } = startController({ batchSize: 10 });
    for (const item of range(1_005, 1)) void controller.push(item);
    await settle();
    expect(destination.calls).toHaveLength(100);
    expect(controller.getMetrics()).toMatchObject({ eventsFlushed: 1_000, bufferSize: 5 });
    expect(clock.now()).toBe(0);
  });

  it('items admitted during a flush are flushed by a later one', async () => {
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
});
