/** A sink whose destination is away for a while: how full its buffer gets, and how long it takes to catch up. */

import { setImmediate as nextTurn } from 'node:timers/promises';
import { BackpressureController } from '../../src/index.js';
import { SeededRandom } from '../support/seeded-random.js';
import { SimulatedClock } from '../support/simulated-clock.js';

export interface SizedService {
  /** Items a second. */
  rate: number;
  outageMs: number;
  batchSize: number;
  concurrency: number;
  /** How long one call takes. */
  callMs: number;
}

export interface SizingResult {
  /** On average, while all is well. */
  inFlight: number;
  /** The most items queued and in flight. */
  peak: number;
  /** From the first flush after the outage until no more is open than before it. */
  catchUpMs: number;
}

const TICK_MS = 10;
const HEALTHY_MS = 20_000;

export async function sizeBuffer(service: SizedService, seed: number): Promise<SizingResult> {
  const { rate, outageMs, batchSize, concurrency, callMs } = service;
  const clock = new SimulatedClock();
  const after = (ms: number) => new Promise<void>((resolve) => clock.after(ms, resolve));
  const isDown = () => clock.now() >= HEALTHY_MS && clock.now() < HEALTHY_MS + outageMs;
  let firstFlushAt = Infinity;
  const controller = new BackpressureController<number>(
    async () => {
      if (isDown()) throw Object.assign(new Error('down'), { retryable: true });
      const startedAt = clock.now();
      await after(callMs);
      if (startedAt >= HEALTHY_MS + outageMs) firstFlushAt = Math.min(firstFlushAt, startedAt);
    },
    {
      clock,
      random: new SeededRandom(seed).next,
      maxBufferSize: Math.ceil(2 * rate * (outageMs / 1000)),
      batchSize,
      concurrency,
      maxFlushIntervalMs: 500,
      retry: { attempts: 5 },
      breaker: { maxOutageMs: Infinity },
    },
  );
  controller.start();
  const result = { inFlight: 0, peak: 0, catchUpMs: Infinity };
  let ticks = 0;
  let sumInFlight = 0;
  let usual = 0;
  const produce = () => {
    for (let i = 0; i < (rate * TICK_MS) / 1000; i++) if (!controller.tryPush(0)) throw new Error('no room');
    const { inFlight, bufferSize } = controller.getMetrics();
    if (clock.now() < HEALTHY_MS) {
      ticks++;
      sumInFlight += inFlight;
      usual = Math.max(usual, inFlight + bufferSize);
    }
    result.peak = Math.max(result.peak, inFlight + bufferSize);
    if (clock.now() > firstFlushAt && inFlight + bufferSize <= usual)
      result.catchUpMs = Math.min(result.catchUpMs, clock.now() - firstFlushAt);
    clock.after(TICK_MS, produce);
  };
  produce();
  while (result.catchUpMs === Infinity && clock.now() < 10 * (HEALTHY_MS + outageMs)) {
    clock.step();
    await nextTurn();
  }
  return { ...result, inFlight: sumInFlight / ticks };
}
