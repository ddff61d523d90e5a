/** What each outcome says that its item stands for. */

import { describe, expect, it } from 'vitest';
import {
  BackpressureController,
  BackpressureWritable,
  ItemError,
  type SinkOptions,
  type FailedItem,
  type FlushFunction,
  type Settlement,
} from '../../../src/index.js';
import { range } from '../../support/range.js';
import { ManualClock } from '../../support/manual-clock.js';
import { SeededRandom } from '../../support/seeded-random.js';

function start(flush: FlushFunction<number>, options: SinkOptions<number> = {}) {
  const clock = new ManualClock();
  const settlements: Settlement<number>[] = [];
  const failures: FailedItem<number>[] = [];
  const controller = new BackpressureController<number>(flush, {
    ...{ strategy: 'sample', maxBufferSize: 40, sampleRate: 4, batchSize: 7, clock },
    random: new SeededRandom(3).next,
    onFailed: (failed) => failures.push(...failed),
    onSettled: (settled) => settlements.push(...settled),
    ...options,
  });
  controller.start();
  return { clock, controller, settlements, failures };
}

const sumOf = (settled: { weight: number }[]) => settled.reduce((sum, { weight }) => sum + weight, 0);

describe('the weight of an outcome', () => {
  it('is the one that the flush function saw, whether the item arrives, fails, or fails after a retry', async () => {
    const seen = new Map<number, number>();
    const { clock, controller, settlements, failures } = start(
      (items, context) => {
        items.forEach((item, place) => seen.set(item, context.weights[place]!));
        const errors = items.flatMap((item, place) =>
          item % 3 === 0 ? [new ItemError(place, { retryable: item % 2 === 0 })] : [],
        );
        return Promise.resolve({ success: items.length - errors.length, failed: errors.length, errors });
      },
      { retry: { attempts: 2 } },
    );
    for (let round = 0; round < 20; round++) {
      for (const item of range(100, 100 * round + 1)) void controller.push(item);
      await clock.advance(1_000);
    }
    const drained = controller.drain();
    await clock.advance(10_000);
    await drained;
    expect(failures.length).toBeGreaterThan(20);
    expect(new Set(seen.values()).size).toBeGreaterThan(1);
    for (const { item, weight } of failures) expect([item, weight]).toEqual([item, seen.get(item)]);
    for (const { item, outcome, weight } of settlements)
      if (outcome !== 'dropped') expect([item, weight]).toEqual([item, seen.get(item)]);
    expect(sumOf(settlements) + controller.getMetrics().unrepresented).toBe(2_000);
  });

  it('is 1 for shed and aborted items, and 0 for those that a kept one stands for', async () => {
    const aborting = new AbortController();
    const { clock, controller, settlements } = start(() => new Promise(() => {}), {
      signal: aborting.signal,
      shed: (item) => item % 10 === 0,
      abortGraceMs: 0,
    });
    for (const item of range(300, 1)) void controller.push(item);
    aborting.abort();
    await clock.advance(100);
    const weightOf = (wanted: string) =>
      new Set(settlements.flatMap((one) => ('reason' in one && one.reason === wanted ? [one.weight] : [])));
    expect(weightOf('sampled')).toEqual(new Set([0]));
    expect(weightOf('rejected')).toEqual(new Set([0]));
    expect(weightOf('shed')).toEqual(new Set([1]));
    expect(sumOf(settlements) + controller.getMetrics().unrepresented).toBe(
      controller.getMetrics().eventsOffered,
    );
  });

  it.each(['block', 'drop_oldest', 'drop_newest'] as const)('is 1 under %s', async (strategy) => {
    const { clock, controller, settlements, failures } = start(
      (items) => Promise.reject(new Error(`no ${items[0]}`)),
      { strategy },
    );
    for (const item of range(60, 1)) void controller.push(item);
    const drained = controller.drain();
    await clock.advance(10_000);
    await drained;
    expect(settlements).toHaveLength(60);
    expect(new Set(settlements.map(({ weight }) => weight))).toEqual(new Set([1]));
    expect(new Set(failures.map(({ weight }) => weight))).toEqual(new Set([1]));
  });

  it("is in the event 'failed', too", async () => {
    const clock = new ManualClock();
    const told: number[] = [];
    const sink = new BackpressureWritable<number>(() => Promise.reject(new Error('no')), {
      ...{ strategy: 'sample', maxBufferSize: 20, sampleRate: 4, batchSize: 5, clock, random: () => 0 },
      onFailed: () => {},
    });
    sink.on('failed', (failures) => told.push(...failures.map(({ weight }) => weight)));
    for (const item of range(18, 1)) sink.write(item);
    sink.end();
    await clock.advance(1_000);
    expect(told).toEqual([...Array.from({ length: 10 }, () => 1), 4, 4]);
  });
});
