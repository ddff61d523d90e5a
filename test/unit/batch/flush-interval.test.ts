import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nextFlushInterval, spacingAfter } from '../../../src/batch/flush-interval.js';

const bounds = { minFlushIntervalMs: 100, maxFlushIntervalMs: 1_000, targetLatencyMs: 200 };

describe('the flush interval', () => {
  it.each([
    ['grows × 1.5 after a flush slower than 1.5 × the target', 200, 301, 300],
    ['stays after one of exactly 1.5 × the target', 200, 300, 200],
    ['stays after one of half the target', 200, 100, 200],
    ['shrinks × 0.8 after one faster than half the target', 200, 99, 160],
    ['grows to its upper bound and no further', 900, 5_000, 1_000],
    ['shrinks to its lower bound and no further', 101, 0, 100],
  ])('%s', (_case, current, latency, expected) => {
    expect(nextFlushInterval(current, latency, bounds)).toBeCloseTo(expected, 9);
  });

  it('stays within its bounds whatever the latencies', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1e6, noNaN: true })), (latencies) => {
        let interval = bounds.minFlushIntervalMs;
        for (const latency of latencies) {
          interval = nextFlushInterval(interval, latency, bounds);
          expect(interval).toBeGreaterThanOrEqual(100);
          expect(interval).toBeLessThanOrEqual(1_000);
        }
      }),
    );
  });
});

describe('the spacing of full batches', () => {
  it.each([
    ['none after a healthy flush', 300, false, 30_000, 0],
    ['after a slow one, until an interval has passed since it began', 400, false, 700, 300],
    ['after a slow one, at most as long as it took', 400, false, 5_000, 400],
    ['none after a slow one that took longer than the interval', 400, false, 300, 0],
    ['after a transport failure, as long as it took to fail', 20, true, 30_000, 20],
    ['none after a failure that took no time', 0, true, 30_000, 0],
  ])('%s', (_case, latency, failed, interval, expected) => {
    expect(spacingAfter(latency, failed, interval, 200)).toBe(expected);
  });
});
