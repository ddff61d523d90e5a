import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Position } from '../../../../src/common/position.js';
import { PositionRanges, toPosition } from '../../../../src/postgres/imports/import-positions.js';

function rangesOf(ranges: PositionRanges): [Position, Position][] {
  const found: [Position, Position][] = [];
  ranges.forEach((first, last) => found.push([first, last]));
  return found;
}

describe('PositionRanges', () => {
  it('joins what overlaps or touches, and nothing else', () => {
    const ranges = new PositionRanges();
    ranges.add(10, 19);
    ranges.add(30, 39);
    expect(rangesOf(ranges)).toEqual([
      [10, 19],
      [30, 39],
    ]);
    ranges.add(20, 20);
    expect(rangesOf(ranges)).toEqual([
      [10, 20],
      [30, 39],
    ]);
    ranges.add(22, 28);
    ranges.add(0, 50);
    expect(rangesOf(ranges)).toEqual([[0, 50]]);
    ranges.add(3, 4);
    expect(rangesOf(ranges)).toEqual([[0, 50]]);
  });

  it('goes on beyond what a number can hold', () => {
    const ranges = new PositionRanges();
    const largest = Number.MAX_SAFE_INTEGER;
    ranges.add(largest - 1, largest);
    ranges.add(BigInt(largest) + 1n, BigInt(largest) + 5n);
    expect(ranges.length).toBe(1);
    expect(ranges.has(BigInt(largest) + 5n)).toBe(true);
    expect(ranges.has(BigInt(largest) + 6n)).toBe(false);
    ranges.add(2n ** 63n - 1n, 2n ** 63n - 1n);
    expect(ranges.has(2n ** 63n - 1n)).toBe(true);
    expect(ranges.has(2n ** 63n - 2n)).toBe(false);
  });

  it('holds what a set of all positions would hold', () => {
    const start = fc.integer({ min: -50, max: 50 });
    const pair = fc.tuple(start, fc.nat(12), fc.boolean());
    fc.assert(
      fc.property(fc.array(pair, { maxLength: 40 }), (pairs) => {
        const ranges = new PositionRanges();
        const model = new Set<number>();
        for (const [first, length, asBigint] of pairs) {
          const last = first + length;
          ranges.add(
            asBigint ? toPosition(BigInt(first)) : first,
            asBigint ? toPosition(BigInt(last)) : last,
          );
          for (let position = first; position <= last; position += 1) model.add(position);
        }
        for (let position = -60; position <= 70; position += 1) {
          expect(ranges.has(position)).toBe(model.has(position));
          expect(ranges.has(BigInt(position))).toBe(model.has(position));
        }
        const islands = [...model].filter((position) => !model.has(position - 1)).length;
        expect(ranges.length).toBe(islands);
      }),
    );
  });
});

describe('toPosition', () => {
  it('takes safe integers and bigints of 63 bits, and makes numbers where they hold them', () => {
    expect(toPosition(0)).toBe(0);
    expect(toPosition(-5n)).toBe(-5);
    expect(toPosition(2n ** 60n)).toBe(2n ** 60n);
    expect(toPosition(2n ** 63n - 1n)).toBe(2n ** 63n - 1n);
  });

  it.each([1.5, NaN, Infinity, 2 ** 53, '1', null, undefined, 2n ** 63n, -(2n ** 63n), {}])(
    'refuses %s',
    (value) => {
      expect(() => toPosition(value)).toThrow(/positionOf must return a safe integer/);
    },
  );
});
