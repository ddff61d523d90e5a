import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nextFlushInterval, spacingAfter } from '../../../../src/sink/schedule/flush-interval.js';

const bounds = { minFlushIntervalMs: 100, maxFlushIntervalMs: 1_000, targetLatencyMs: 200 };

/** All of it came within the lower bound. */
const whole = (latencyMs: number) => ({ latencyMs, minIntervalShare: 1, steady: 0 });

describe('the flush interval', () => {
  it.each([
    ['grows × 1.5 after a flush slower than 1.5 × the target', 200, 301, 300],
    ['stays after one of exactly 1.5 × the target', 200, 300, 200],
    ['stays after one of half the target', 200, 100, 200],
    ['shrinks × 0.8 after one faster than half the target', 200, 99, 160],
    ['grows to its upper bound and no further', 900, 5_000, 1_000],
    ['shrinks to its lower bound and no further', 101, 0, 100],
  ])('%s', (_case, current, latency, expected) => {
    expect(nextFlushInterval(current, whole(latency), bounds)).toBeCloseTo(expected, 9);
  });

  it.each([
    ['shrinks × 0.64 after a fast one that stands for two of the lower bound', 99, 0.5, 640],
    ['shrinks × 0.8 after a fast one that stands for less', 99, 0.51, 800],
    ['shrinks after one that is neither slow nor fast', 300, 0.99, 800],
    ['grows after a slow one all the same', 301, 0.01, 1_000],
  ])(
    'of batches that hold more than the lower bound allows, %s',
    (_case, latencyMs, minIntervalShare, expected) => {
      expect(nextFlushInterval(1_000, { latencyMs, minIntervalShare, steady: 0 }, bounds)).toBeCloseTo(
        expected,
        9,
      );
    },
  );

  it.each([
    ['stays after three in a row', 2, 200, 500],
    ['shrinks × 0.8 after the fourth', 3, 200, 400],
    ['stays after any number that miss the target', 9, 201, 500],
  ])(
    'the flush interval after flushes that keep the target and are not fast, %s',
    (_case, steady, latencyMs, expected) => {
      expect(nextFlushInterval(500, { latencyMs, minIntervalShare: 1, steady }, bounds)).toBe(expected);
    },
  );

  it('stays within its bounds whatever the latencies', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1e6, noNaN: true })), (latencies) => {
        let interval = bounds.minFlushIntervalMs;
        for (const latency of latencies) {
          interval = nextFlushInterval(interval, whole(latency), bounds);
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
    expect(spacingAfter(latency, latency, failed, interval, 200)).toBe(expected);
  });

  it('none after a long one that was not slow for what it held', () => {
    expect(spacingAfter(5_000, 300, false, 30_000, 200)).toBe(0);
  });
});
