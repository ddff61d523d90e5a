import { describe, expect, it } from 'vitest';
import { roundedUp, ticks } from '../../../../src/report/page/ticks.js';

describe('the ticks of an axis', () => {
  it.each([
    [1, 5, [0, 0.2, 0.4, 0.6, 0.8, 1]],
    [10, 5, [0, 2, 4, 6, 8, 10]],
    [37, 5, [0, 10, 20, 30]],
    [5, 6, [0, 1, 2, 3, 4, 5]],
    [0.003, 5, [0, 0.001, 0.002, 0.003]],
    [2e9, 5, [0, 5e8, 1e9, 1.5e9, 2e9]],
  ])('up to %d are at most %d round steps', (top, most, expected) => {
    const found = ticks(top, most);
    expect(found).toHaveLength(expected.length);
    for (const [index, value] of found.entries()) expect(value).toBeCloseTo(expected[index]!, 9);
  });

  it.each([
    [0, 1],
    [1, 1],
    [37, 40],
    [41_000, 50_000],
    [0.0007, 0.0008],
    [99, 100],
  ])('end for a top of %d at %d', (top, expected) => {
    expect(roundedUp(top, 5)).toBeCloseTo(expected, 9);
  });
});
