import { describe, expect, it } from 'vitest';
import { SeededRandom } from '../support/seeded-random.js';
import { SimulatedClock } from '../support/simulated-clock.js';
import { Histogram } from './accounts.js';
import { commitBound, drifting, episodes, latencyKnee, linearCost, servers } from './capacity.js';
import { SimulatedDestination } from './destination.js';
import { faultless } from './faults.js';

const cost = linearCost({ fixedMs: 10, perItemMs: 2, perKilobyteMs: 1 });
const work = (items: number, bytes = 0) => ({ items, bytes });
const idle = { calls: 0, items: 0 };

describe('the capacity of a destination', () => {
  it('costs something for each call, item and kilobyte', () => {
    expect(cost(0, work(5, 2_048))).toBe(22);
  });

  it('queues calls for its servers, first come first served', () => {
    const two = servers(cost, 2);
    expect([0, 0, 0, 5].map((now) => two.serve(now, work(5), idle))).toEqual([20, 20, 40, 35]);
  });

  it('grows with the square of the items under way beyond a knee', () => {
    const knee = latencyKnee(cost, 10);
    expect(knee.serve(0, work(5), { calls: 1, items: 5 })).toBe(20);
    expect(knee.serve(0, work(5), { calls: 3, items: 15 })).toBe(80);
  });

  it('lets commits go side by side', () => {
    const bound = commitBound(linearCost({ fixedMs: 0, perItemMs: 2 }), 100);
    expect([bound.serve(0, work(5), idle), bound.serve(0, work(5), idle)]).toEqual([110, 120]);
  });

  it('drifts to so many times as slow and back', () => {
    const slow = drifting(cost, 1_000, 3);
    expect([0, 500, 1_000].map((now) => slow(now, work(5)))).toEqual([20, 60, 20]);
  });

  it('has episodes of the lengths that were asked for', () => {
    const isLoud = episodes(new SeededRandom(1), 30, 10);
    let loudMs = 0;
    for (let now = 0; now < 100_000; now++) if (isLoud(now)) loudMs++;
    expect(loudMs / 100_000).toBeCloseTo(0.25, 1);
  });
});

describe('accounts', () => {
  it('know quantiles within 5 %', () => {
    const histogram = new Histogram();
    for (let value = 1; value <= 10_000; value++) histogram.add(value);
    for (const share of [0.1, 0.5, 0.99]) {
      expect(histogram.quantile(share)).toBeGreaterThanOrEqual(10_000 * share * 0.95);
      expect(histogram.quantile(share)).toBeLessThanOrEqual(10_000 * share * 1.05);
    }
  });

  it('tell what a destination has kept, and how long it was busy', async () => {
    const clock = new SimulatedClock();
    const model = { capacity: servers(cost, 1), faults: faultless, onSignal: 'stops' } as const;
    const destination = new SimulatedDestination<string>(
      clock,
      model,
      new SeededRandom(1),
      {},
      (item) => item.length,
    );
    const context = { signal: new AbortController().signal, attempt: 1, reason: 'size' } as never;
    const calls = [destination.flush(['abc', 'de'], context), destination.flush(['f'], context)];
    while (clock.nextAt < Infinity) clock.step();
    await Promise.all(calls);
    const { accounts } = destination;
    expect(accounts).toMatchObject({ calls: 2, keptItems: 3, keptBytes: 6, openCalls: 0, mostOpenCalls: 2 });
    expect(accounts.busyMs(clock.now())).toBeCloseTo(26, 1);
    expect(accounts.latencyMs.max).toBeCloseTo(26, 1);
  });
});

describe('the simulated clock', () => {
  it('runs timers in the order of time, then of creation, and forgets what is cleared', () => {
    const clock = new SimulatedClock();
    const seen: string[] = [];
    const timer = (name: string, delayMs: number) =>
      clock.setTimeout(() => seen.push(`${name} ${clock.now()}`), delayMs);
    timer('c', 5);
    const cleared = timer('x', 1);
    timer('a', 2);
    timer('b', 2);
    clock.after(3, () => seen.push('world'));
    clock.clearTimeout(cleared);
    clock.clearTimeout(cleared);
    expect(clock.pending).toBe(3);
    while (clock.nextAt < Infinity) clock.step();
    expect(seen).toEqual(['a 2', 'b 2', 'world', 'c 5']);
    expect(clock.pending).toBe(0);
  });
});
