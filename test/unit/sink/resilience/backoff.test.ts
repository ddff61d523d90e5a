import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { longestRetryAfter, retryAfterOf, retryDelay } from '../../../../src/sink/resilience/backoff.js';
import { ItemError } from '../../../../src/api/errors.js';

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

  it.each([
    [1, 1_000, 1_000, 2_000],
    [2, 1_000, 1_000, 3_000],
    [3, 1_000, 1_000, 5_000],
    [4, 1_000, 1_000, 6_000],
    [1, 0, 0, 0],
    [1, 60_000, 60_000, 65_000],
    [5_000, 1e12, 2 ** 31 - 1, 2 ** 31 - 1],
    [1, Infinity, 2 ** 31 - 1, 2 ** 31 - 1],
  ])('after %i calls and an error that told %d ms is from %d to %d ms', (attempt, own, least, most) => {
    expect(retryDelay(attempt, 200, 5_000, () => 0, own)).toBe(least);
    expect(retryDelay(attempt, 200, 5_000, () => 1 - Number.EPSILON, own)).toBeCloseTo(most, 6);
  });
});

describe('the delay that an error tells', () => {
  const told = (retryAfterMs: unknown) => Object.assign(new Error('busy'), { retryAfterMs });

  it('is its retryAfterMs, or that of the cause of an ItemError', () => {
    expect(retryAfterOf(told(7))).toBe(7);
    expect(retryAfterOf(told(0))).toBe(0);
    expect(retryAfterOf(new ItemError(0, { cause: told(7) }))).toBe(7);
    expect(retryAfterOf(Object.assign(new ItemError(0, { cause: told(7) }), { retryAfterMs: 5 }))).toBe(5);
    expect(retryAfterOf(new Error('busy', { cause: told(7) }))).toBeUndefined();
  });

  it.each([[-1], [NaN], ['7'], [null], [undefined], [{}]])('is none where it is %s', (value) => {
    expect(retryAfterOf(told(value))).toBeUndefined();
  });

  it('is the longest of several', () => {
    expect(longestRetryAfter([told(3), new Error('plain'), told(9), told(4)])).toBe(9);
    expect(longestRetryAfter([new Error('plain')])).toBeUndefined();
  });
});
