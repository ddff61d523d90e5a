import { describe, expect, it } from 'vitest';
import { BackpressureController, type FlushFunction, type WritableOptions } from '../../../src/index.js';
import { ManualClock } from '../../support/manual-clock.js';

type Options = Omit<WritableOptions<number>, 'clock'>;

/** A destination that takes `latencyOf(items)` milliseconds, and fails as told. */
function open(latencyOf: (items: number) => number, options: Options, answer?: FlushFunction<number>) {
  const clock = new ManualClock();
  const flush: FlushFunction<number> = async (items, context) => {
    await new Promise<void>((resolve) => clock.setTimeout(() => resolve(), latencyOf(items.length)));
    return answer?.(items, context);
  };
  const controller = new BackpressureController<number>(flush, {
    adaptive: true,
    onFailed: () => undefined,
    ...options,
    clock,
  });
  controller.start();
  const fill = () => {
    while (controller.tryPush(0));
  };
  /** Runs on, with a producer that always has more. */
  const saturate = async (ms: number) => {
    for (const until = clock.now() + ms; clock.now() < until;) {
      fill();
      await clock.advance(5);
    }
  };
  return { clock, controller, saturate };
}

const limits = ({ controller }: ReturnType<typeof open>) => {
  const { currentBatchSize, currentConcurrency } = controller.getMetrics();
  return { batchSize: currentBatchSize, concurrency: currentConcurrency };
};

describe('adaptive control of a sink', () => {
  it('is off unless asked for: the limits are those that were set', () => {
    const sink = open(() => 1, { adaptive: false, batchSize: 7, concurrency: 2 });
    expect(limits(sink)).toEqual({ batchSize: 7, concurrency: 2 });
  });

  it('starts with a moderate size, and takes an unset one as large as the buffer allows', () => {
    expect(limits(open(() => 1, { concurrency: 8 }))).toEqual({ batchSize: 100, concurrency: 3 });
    expect(limits(open(() => 1, { batchSize: 40 }))).toEqual({ batchSize: 40, concurrency: 1 });
  });

  it('grows the batches until a flush takes about the target, never beyond the bound', async () => {
    const sink = open((items) => 20 + items, { batchSize: 1_000, targetLatencyMs: 500 });
    await sink.saturate(20_000);
    expect(limits(sink).batchSize).toBeGreaterThan(420);
    expect(limits(sink).batchSize).toBeLessThanOrEqual(480);
    const bounded = open((items) => 20 + items, { batchSize: 200, targetLatencyMs: 500 });
    await bounded.saturate(20_000);
    expect(limits(bounded).batchSize).toBe(200);
  });

  it('shrinks them where a flush takes longer than the target', async () => {
    const sink = open((items) => 20 + 20 * items, { batchSize: 1_000, targetLatencyMs: 500 });
    await sink.saturate(30_000);
    expect(limits(sink).batchSize).toBeLessThanOrEqual(24);
    expect(limits(sink).batchSize).toBeGreaterThan(15);
  });

  it('learns nothing from a trickle, quick or slow', async () => {
    const sink = open(() => 2_000, { batchSize: 1_000 });
    for (let n = 0; n < 20; n++) {
      sink.controller.tryPush(n);
      await sink.clock.advance(5_000);
      expect(limits(sink).batchSize).toBe(100);
    }
  });

  it("learns nothing from a row's fault or a failed call", async () => {
    const fault = open(
      () => 5_000,
      { batchSize: 1_000 },
      (items) => Promise.resolve({ success: items.length - 1, failed: 1, errors: [] }),
    );
    await fault.saturate(12_000);
    expect(limits(fault).batchSize).toBe(100);
    const failed = open(
      () => 5_000,
      { batchSize: 1_000 },
      () => Promise.reject(new Error('down')),
    );
    await failed.saturate(60_000);
    expect(limits(failed).batchSize).toBe(100);
  });

  it('does not spiral before a destination that is too slow for any batch', async () => {
    const sink = open(() => 2_000, { batchSize: 1_000, targetLatencyMs: 500 });
    await sink.saturate(200_000);
    expect(limits(sink).batchSize).toBeGreaterThan(20);
  });

  it('lets the flush interval come back while full batches take about the target', async () => {
    let stall = 2_000;
    const sink = open((items) => stall + items, { batchSize: 1_000, targetLatencyMs: 500 });
    await sink.saturate(60_000);
    expect(sink.controller.getMetrics().currentFlushIntervalMs).toBeGreaterThan(5_000);
    stall = 20;
    await sink.saturate(30_000);
    expect(sink.controller.getMetrics().currentFlushIntervalMs).toBe(100);
  });
});
