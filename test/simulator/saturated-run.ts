/** A sink whose producer always has more, before a destination: what it delivers, and how long its flushes take. */

import { setImmediate as nextTurn } from 'node:timers/promises';
import { BackpressureController, type FlushReport, type WritableOptions } from '../../src/index.js';
import { SeededRandom } from '../support/seeded-random.js';
import { SimulatedClock } from '../support/simulated-clock.js';
import { SimulatedDestination, type DestinationModel } from './destination.js';

/** A call of the flush function that has ended, as seen from outside. */
export interface FlushSeen {
  endedAt: number;
  latencyMs: number;
  success: number;
  intervalMs: number;
  batchSize: number;
  concurrency: number;
}

export type SaturatedOptions = Omit<WritableOptions<number>, 'clock' | 'random'>;

export async function runSaturated(
  model: DestinationModel,
  options: SaturatedOptions,
  durationMs: number,
  seed: number,
  debug?: (controller: unknown, report: FlushReport, now: number) => void,
): Promise<FlushSeen[]> {
  const clock = new SimulatedClock();
  const random = new SeededRandom(seed);
  const destination = new SimulatedDestination<number>(clock, model, random.fork());
  const seen: FlushSeen[] = [];
  const fill = () => {
    while (controller.tryPush(0));
  };
  const controller = new BackpressureController<number>(
    (items, context) => {
      // What was taken has left no room yet; the microtask comes after the launch.
      queueMicrotask(fill);
      return destination.flush(items, context);
    },
    { ...options, clock, random: random.next, onFailed: () => undefined },
  );
  controller.on('flush', (report) => {
    const metrics = controller.getMetrics();
    debug?.(controller, report, clock.now());
    seen.push({
      endedAt: clock.now(),
      latencyMs: report.latencyMs,
      success: report.success,
      intervalMs: metrics.currentFlushIntervalMs,
      batchSize: metrics.currentBatchSize,
      concurrency: metrics.currentConcurrency,
    });
    queueMicrotask(fill);
  });
  controller.start();
  fill();
  await nextTurn();
  while (clock.nextAt < durationMs) {
    clock.step();
    await nextTurn();
  }
  controller.stop();
  return seen;
}

/** Items a second, and latency, of the flushes that ended between `from` and `to`. */
export function summarise(seen: readonly FlushSeen[], from: number, to: number) {
  const latencies: number[] = [];
  let items = 0;
  for (const flush of seen) {
    if (flush.endedAt < from || flush.endedAt >= to) continue;
    items += flush.success;
    latencies.push(flush.latencyMs);
  }
  latencies.sort((a, b) => a - b);
  const p95Ms = latencies[Math.floor(0.95 * latencies.length)] ?? 0;
  return { itemsPerSecond: (1000 * items) / (to - from), p95Ms, flushes: latencies.length };
}
