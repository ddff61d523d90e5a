import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  nextLevel,
  PressureGauge,
  pressureThresholds,
  shareOf,
} from '../../../src/buffer/pressure-levels.js';
import { PressureModel } from '../../support/model.js';

describe('thresholds', () => {
  it.each([
    [10, [5, 8, 10], [4, 7, 9]],
    [100, [50, 80, 100], [45, 75, 95]],
    [10_000, [5_000, 8_000, 10_000], [4_500, 7_500, 9_500]],
    [3, [2, 3, 3], [1, 2, 2]],
    [1, [1, 1, 1], [1, 1, 1]],
  ])('thresholds of a capacity of %i: up at %j, down below %j', (capacity, up, down) => {
    expect(pressureThresholds(capacity, 0.5, 0.8)).toEqual({ up, down });
  });

  it.each([
    [100, 0.07, 7],
    [100, 0.29, 29],
    [10, 0.55, 6],
    [1_000_000, 0.1, 100_000],
    [3, 0.5, 2],
  ])('are ceil(ratio × capacity), rounding errors aside: %i × %d is %i', (capacity, ratio, expected) => {
    expect(shareOf(capacity, ratio)).toBe(expected);
  });
});

describe('the level', () => {
  const thresholds = pressureThresholds(100, 0.5, 0.8);
  it.each([
    ['rises at its threshold', 0, 50, 1],
    ['rises not before', 0, 49, 0],
    ['may rise by several at once', 0, 100, 3],
    ['stays within the margin', 1, 45, 1],
    ['falls below it', 1, 44, 0],
    ['may fall by several at once', 3, 10, 0],
    ['falls to the level of its load', 3, 94, 2],
    ['stays full within the margin of full', 3, 95, 3],
  ] as const)('%s', (_case, current, load, expected) => {
    expect(nextLevel(current, load, thresholds)).toBe(expected);
  });

  it('does not flap when the load trembles at a threshold', () => {
    const gauge = new PressureGauge(thresholds);
    let changes = 0;
    for (let n = 0; n < 1_000; n++) if (gauge.update(n % 2 === 0 ? 50 : 49)) changes++;
    expect(changes).toBe(1);
  });

  it('follows the model, load after load, for any capacity and watermarks', () => {
    const watermarks = fc
      .tuple(fc.integer({ min: 1, max: 99 }), fc.integer({ min: 1, max: 100 }))
      .filter(([low, high]) => low < high);
    const loads = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 100 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), watermarks, loads, (capacity, [low, high], shares) => {
        const gauge = new PressureGauge(pressureThresholds(capacity, low / 100, high / 100));
        const model = new PressureModel(capacity, low / 100, high / 100);
        for (const share of shares) {
          const load = Math.round(share * capacity);
          const before = gauge.level;
          const changed = gauge.update(load);
          expect(gauge.level).toBe(model.next(load));
          expect(changed).toBe(gauge.level !== before);
        }
      }),
      { numRuns: 500 },
    );
  });
});
