/** How the outcome of each item is reported. */

import { describe, expect, it } from 'vitest';
import { ItemError } from '../../../src/index.js';
import type { FailedItem, FlushReport, RetryReport, Settlement } from '../../../src/index.js';
import { settle } from '../../support/manual-clock.js';
import { range } from '../../support/range.js';
import { startController } from '../../support/start-controller.js';

describe('the outcome of a batch (invariants 2, 3 and 10)', () => {
  it('a partial failure is reported by item to onSettled and onFailed, and in total by the flush event', async () => {
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

  it('a timer flush that fails causes no unhandledRejection, and fails the controller', async () => {
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

  it('a batch is retried as often as retry.attempts allows, each time with an event', async () => {
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

  it('a batch whose flush threw is reported to onFailed and counted', async () => {
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
});
