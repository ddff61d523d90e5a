import { describe, expect, it } from 'vitest';
import { blockBounds } from '../../../../src/jetstream/jetstream-log.js';
import type { LogBounds } from '../../../../src/log/log.js';
import { isReached } from '../../../../src/postgres/lanes/lane-ends.js';
import { lanesToMake } from '../../../../src/postgres/lanes/new-lanes.js';

const partitions: LogBounds = {
  firstLane: 0,
  lastLane: 2,
  lane: (lane) => ({ lane, first: 0, last: 1_000_000, oldest: 5, end: 20 + lane }),
};

describe('lanesToMake', () => {
  it('begins a new import at the oldest message, and later lanes at their first position', () => {
    const bounds = blockBounds(120, 350, 100);
    expect(lanesToMake(bounds, undefined, 'first', true)).toEqual([
      [1, 101, 200, 120],
      [2, 201, 300, 201],
      [3, 301, 400, 301],
    ]);
    // Lane 1 has been begun. What the log has deleted of lane 2 since then is missing.
    expect(lanesToMake(blockBounds(250, 350, 100), 1, 'first', true)).toEqual([
      [2, 201, 300, 201],
      [3, 301, 400, 301],
    ]);
    expect(lanesToMake(bounds, 3, 'first', true)).toEqual([]);
    // Another worker has seen more of the log.
    expect(lanesToMake(bounds, 9, 'first', true)).toEqual([]);
  });

  it("begins with 'last' behind the newest message", () => {
    expect(lanesToMake(blockBounds(120, 350, 100), undefined, 'last', true)).toEqual([[3, 301, 400, 351]]);
    expect(lanesToMake(partitions, undefined, 'last', false).map(([lane, , , next]) => [lane, next])).toEqual(
      [
        [0, 20],
        [1, 21],
        [2, 22],
      ],
    );
  });

  it('makes all partitions, and few of a long log at a time', () => {
    expect(
      lanesToMake(partitions, undefined, 'first', false).map(([lane, , , next]) => [lane, next]),
    ).toEqual([
      [0, 5],
      [1, 5],
      [2, 5],
    ]);
    expect(lanesToMake(partitions, 1, 'first', false)).toEqual([[2, 0, 1_000_000, 0]]);
    const long = lanesToMake(blockBounds(1, 1_000_000, 10), undefined, 'first', true);
    // As the guide says.
    expect(long).toHaveLength(64);
    expect(long.at(-1)![0]).toBe(63);
  });
});

describe('isReached', () => {
  const target = blockBounds(1, 250, 100);
  const open = (lane: number, next: number) => ({ lane, first: 0, last: 0, next, isHeld: true });

  it.each([
    ['no lane has been made', undefined, [], false],
    ['the last lane has not been made', 1, [], false],
    ['the last lane is open before the end', 2, [open(2, 250)], false],
    ['an earlier lane is open', 2, [open(1, 150), open(2, 251)], false],
    ['the last lane is at the end', 2, [open(2, 251)], true],
    ['all are finished, and a later one is open', 3, [open(3, 301)], true],
  ] as const)('if %s', (_, through, lanes, expected) => {
    expect(isReached(target, { through, open: lanes })).toBe(expected);
  });
});
