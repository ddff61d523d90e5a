import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { retryDelay } from '../../../src/batch/retry.js';

describe('the delay before a retry', () => {
  it.each([
    [1, 200],
    [2, 400],
    [3, 800],
    [8, 25_600],
    [9, 30_000],
    [60, 30_000],
    [5_000, 30_000],
  ])('after %i calls is drawn from 0 to %i ms', (attempt, cap) => {
    expect(retryDelay(attempt, 200, 30_000, () => 0)).toBe(0);
    expect(retryDelay(attempt, 200, 30_000, () => 0.5)).toBe(cap / 2);
    expect(retryDelay(attempt, 200, 30_000, () => 1 - Number.EPSILON)).toBeCloseTo(cap, 6);
  });

  it('is none where the base is 0, however often it was called', () => {
    expect(retryDelay(5_000, 0, 30_000, Math.random)).toBe(0);
  });

  it('is a time that a timer can take, for any attempt', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1e9 }), fc.nat(1e6), fc.nat(1e6), (attempt, min, more) => {
        const delay = retryDelay(attempt, min, min + more, Math.random);
        expect(delay >= 0 && delay <= min + more).toBe(true);
      }),
    );
  });
});
