import { describe, expect, it } from 'vitest';
import { FixedLatency } from '../../../../src/sink/schedule/fixed-latency.js';
import { SeededRandom } from '../../../support/seeded-random.js';

function estimate(...flushes: [items: number, latencyMs: number][]): number {
  const part = new FixedLatency();
  let ms = NaN;
  for (const [items, latencyMs] of flushes) {
    part.onFlush(items, latencyMs);
    ms = part.estimate();
  }
  return ms;
}

describe('the fixed part of the latency', () => {
  it.each<[string, [number, number][], number]>([
    ['nothing is known of it after one flush', [[10, 500]], 0],
    [
      'nor after flushes of one size',
      [
        [10, 500],
        [10, 510],
        [11, 490],
      ],
      0,
    ],
    [
      'all of it, if larger batches take no longer',
      [
        [10, 500],
        [100, 500],
        [1_000, 500],
      ],
      500,
    ],
    [
      'none, if they take longer by as much as they are larger',
      [
        [10, 50],
        [20, 100],
        [40, 200],
      ],
      0,
    ],
    [
      'a part, if they take somewhat longer',
      [
        [10, 120],
        [20, 140],
        [40, 180],
      ],
      100,
    ],
    [
      'no more than the shortest took, if larger ones are faster',
      [
        [10, 500],
        [20, 450],
      ],
      450,
    ],
  ])('%s', (_case, flushes, expected) => {
    expect(estimate(...flushes)).toBeCloseTo(expected, 6);
  });

  it.each<[string, [number, number], number]>([
    ['is slower, whatever the size', [20, 2_000], 0],
    ['is faster than the line tells', [20, 100], 0],
    ['is as the line tells', [30, 160], 100],
  ])('forgets what was before a flush that %s', (_case, last, expected) => {
    expect(estimate([10, 120], [20, 140], [40, 180], last)).toBeCloseTo(expected, 6);
  });

  it('looks at the last eight flushes only', () => {
    const earlier = [100, 110, 120].map((items): [number, number] => [items, 500]);
    const later = Array.from({ length: 8 }, (_, n): [number, number] => [100 + 10 * n, 3 * (100 + 10 * n)]);
    expect(estimate(...earlier, ...later)).toBeCloseTo(0, 6);
  });

  it('is found within a third where each call is by chance slower or faster', () => {
    const random = new SeededRandom(1);
    for (let round = 0; round < 50; round++) {
      const sizes = Array.from({ length: 8 }, () => random.logBetween(10, 1_000));
      const ms = estimate(
        ...sizes.map((items): [number, number] => [items, (200 + items) * random.logNormal(0.05)]),
      );
      expect(Math.abs(ms - 200)).toBeLessThan(70);
    }
  });
});
