import { describe, expect, it } from 'vitest';
import { LoadWaiters } from '../../../../src/sink/settlement/load-waiters.js';

function log() {
  const lines: string[] = [];
  const wait = (waiters: LoadWaiters, name: string, below: number, load: number) => {
    const promise = waiters.reached(below, load);
    promise.then(
      () => lines.push(name),
      (error: unknown) => lines.push(`${name}: ${(error as Error).message}`),
    );
    return promise;
  };
  return { lines, wait };
}

describe('a caller of whenBelow()', () => {
  it.each([
    [3, []],
    [2, ['a']],
  ])('a caller that waits for a load below 3, at a load of %i, goes on: %j', async (load, expected) => {
    const { lines, wait } = log();
    const waiters = new LoadWaiters();
    void wait(waiters, 'a', 3, 9);
    waiters.check(load);
    await Promise.resolve();
    expect(lines).toEqual(expected);
    expect(waiters.isEmpty).toBe(expected.length > 0);
  });

  it('is answered at once if the load is low enough', async () => {
    const { lines, wait } = log();
    const waiters = new LoadWaiters();
    await wait(waiters, 'a', 1, 0);
    expect(lines).toEqual(['a']);
    expect(waiters.isEmpty).toBe(true);
  });

  it('is answered in the order of the calls when several are reached together', async () => {
    const { lines, wait } = log();
    const waiters = new LoadWaiters();
    for (const [name, below] of [['a', 2], ['b', 9], ['c', 5], ['d', 7], ['e', 1]] as const) void wait(waiters, name, below, 10); // prettier-ignore
    waiters.check(1);
    await Promise.resolve();
    expect(lines).toEqual(['a', 'b', 'c', 'd']);
  });

  it('shares the promise of those who wait for the same load', () => {
    const waiters = new LoadWaiters();
    const first = waiters.reached(2, 5);
    expect(waiters.reached(2, 4)).toBe(first);
    waiters.check(1);
    expect(waiters.reached(2, 5)).not.toBe(first);
  });

  it('is rejected with all others by a failure, in the order of the calls', async () => {
    const { lines, wait } = log();
    const waiters = new LoadWaiters();
    for (const [name, below] of [['a', 1], ['b', 3], ['c', 2]] as const) void wait(waiters, name, below, 10); // prettier-ignore
    waiters.rejectAll(new Error('over'));
    await Promise.resolve();
    expect(lines).toEqual(['a: over', 'b: over', 'c: over']);
    expect(waiters.isEmpty).toBe(true);
  });
});
