import { describe, expect, it } from 'vitest';
import { LoadWaiters } from '../../../../src/sink/settlement/load-waiters.js';

function log() {
  const lines: string[] = [];
  const wait = (waiters: LoadWaiters, name: string, below: number, load: number) => {
    waiters.add(
      below,
      load,
      () => lines.push(name),
      (error) => lines.push(`${name}: ${error.message}`),
    );
  };
  return { lines, wait };
}

describe('a caller of whenBelow()', () => {
  it.each([
    [3, []],
    [2, ['a']],
  ])('that asks for less than 3, at a load of %i, is answered: %j', (load, expected) => {
    const { lines, wait } = log();
    const waiters = new LoadWaiters();
    wait(waiters, 'a', 3, 9);
    waiters.check(load);
    expect(lines).toEqual(expected);
    expect(waiters.isEmpty).toBe(expected.length > 0);
  });

  it('is answered at once if the load is low enough', () => {
    const { lines, wait } = log();
    const waiters = new LoadWaiters();
    wait(waiters, 'a', 1, 0);
    expect(lines).toEqual(['a']);
    expect(waiters.isEmpty).toBe(true);
  });

  it('is answered in the order of the calls when several are reached together', () => {
    const { lines, wait } = log();
    const waiters = new LoadWaiters();
    for (const [name, below] of [['a', 2], ['b', 9], ['c', 5], ['d', 5], ['e', 1]] as const) wait(waiters, name, below, 10); // prettier-ignore
    waiters.check(1);
    expect(lines).toEqual(['a', 'b', 'c', 'd']);
  });

  it('is rejected with all others by a failure, in the order of the calls', () => {
    const { lines, wait } = log();
    const waiters = new LoadWaiters();
    for (const [name, below] of [['a', 1], ['b', 3], ['c', 2]] as const) wait(waiters, name, below, 10); // prettier-ignore
    waiters.rejectAll(new Error('over'));
    expect(lines).toEqual(['a: over', 'b: over', 'c: over']);
    expect(waiters.isEmpty).toBe(true);
  });
});
