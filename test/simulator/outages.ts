/** One outage, drawn by chance, that ends before the breaker's limit: the sink must live, and flush soon after. */

import { once } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { BackpressureController, type SinkOptions } from '../../src/index.js';
import { SeededRandom } from '../support/seeded-random.js';
import { SimulatedClock } from '../support/simulated-clock.js';

export interface OutageResult {
  /** What the sink ended with; `undefined` if it is alive. */
  failure: Error | undefined;
  /** Milliseconds from the return (or from when the breaker opened, if that was later) to the first call that succeeded. */
  firstFlushMs: number;
  /** An error has told to wait for longer. */
  hasTold: boolean;
  /** How far the return was from the limit. */
  leftMs: number;
}

export async function surviveOutage(seed: number): Promise<OutageResult> {
  const random = new SeededRandom(seed);
  const clock = new SimulatedClock(random.chance(0.3) ? () => random.between(0, 3) : undefined);
  const maxOutageMs = random.logBetween(2_000, 600_000);
  const share = random.chance(0.3) ? 1 - random.logBetween(0.0001, 0.1) : random.between(0.02, 0.99);
  const hangs = random.chance(0.3);
  const refusalMs = random.chance(0.5) ? 0 : random.logBetween(1, 400);
  const healthyMs = random.logBetween(0.5, 800);
  const told = !hangs && random.chance(0.1) ? random.logBetween(1, 60_000) : undefined;
  const downAt = random.between(0, 3_000);
  let upAt = Infinity;
  let firstFlushAt = Infinity;
  const after = (ms: number) => new Promise<void>((resolve) => clock.after(ms, resolve));
  const isDown = () => clock.now() >= downAt && clock.now() < upAt;
  const fail = (): never => {
    if (upAt === Infinity) upAt = clock.now() + share * maxOutageMs;
    throw Object.assign(new Error('down'), {
      retryable: true,
      ...(told !== undefined && { retryAfterMs: told }),
    });
  };
  /** Until the signal fires, whether or not the destination comes back meanwhile. */
  const hang = (signal: AbortSignal) => once(signal, 'abort');
  const probe = async ({ signal }: { signal: AbortSignal }) => {
    if (!isDown()) return after(random.between(0, 200));
    if (!hangs) await after(refusalMs);
    else await hang(signal);
    throw new Error('down');
  };
  const attempts = random.chance(0.3) ? 1 : random.int(2, 6);
  const failures = hangs ? 1 : random.int(1, 5);
  const options: SinkOptions<number> = {
    clock,
    random: random.next,
    strategy: random.pick(['block', 'drop_oldest', 'drop_newest'] as const),
    batchSize: random.int(1, 50),
    concurrency: random.int(1, 4),
    flushTimeoutMs: hangs ? random.logBetween(200, 5_000) : 30_000,
    retry: { attempts },
    breaker: {
      failures,
      maxOutageMs,
      ...((hangs || random.chance(0.5)) && { probe }),
      ...(random.chance(0.3) && { minDelayMs: random.logInt(1, 2_000) }),
    },
    onFailed: () => undefined,
  };
  const controller = new BackpressureController<number>(async (_items, { signal }) => {
    const startedAt = clock.now();
    if (isDown()) {
      if (hangs) await hang(signal);
      else await after(refusalMs);
      return fail();
    }
    await after(healthyMs);
    if (startedAt >= upAt) firstFlushAt = Math.min(firstFlushAt, startedAt);
  }, options);
  let firstOpenedAt = 0;
  controller.once('breaker', () => (firstOpenedAt = clock.now()));
  controller.start();
  let failure: Error | undefined;
  const everyMs = 1000 / random.logBetween(5, 100);
  const produce = () => {
    try {
      controller.tryPush(0);
    } catch (error) {
      failure ??= error as Error;
    }
    clock.after(everyMs, produce);
  };
  produce();
  const lastsMs = () => Math.min(upAt, 700_000) + 110_000;
  while (failure === undefined && firstFlushAt === Infinity && clock.nextAt < lastsMs()) {
    clock.step();
    await nextTurn();
  }
  return {
    failure,
    firstFlushMs: firstFlushAt - Math.max(upAt, firstOpenedAt),
    hasTold: told !== undefined,
    leftMs: (1 - share) * maxOutageMs,
  };
}
