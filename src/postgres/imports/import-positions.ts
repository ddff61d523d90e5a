/** Holds the committed positions of a source, in as few ranges as possible. Pure. */

import type { Position } from '../../common/position.js';
import { CopyError } from '../errors/copy-error.js';
import { show } from '../../guards/validate.js';

/** As the bookkeeping table has them. */
const LARGEST = 2n ** 63n - 1n;

/**
 * Bigints that a number can hold become numbers, which cost no allocation.
 *
 * @throws {CopyError} `setup`, for anything else than a position
 */
export function toPosition(value: unknown): Position {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
  if (typeof value === 'bigint' && value <= LARGEST && value >= -LARGEST) {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }
  throw new CopyError(
    `positionOf must return a safe integer, or a bigint of at most 63 bits; got ${show(value)}`,
    { failureClass: 'setup' },
  );
}

function after(position: Position): Position {
  return typeof position === 'number' && position < Number.MAX_SAFE_INTEGER
    ? position + 1
    : BigInt(position) + 1n;
}

export class PositionRanges {
  /** Ascending, with at least one position missing between two ranges. */
  #firsts: Position[] = [];
  #lasts: Position[] = [];

  get length(): number {
    return this.#firsts.length;
  }

  /** The highest. */
  get last(): Position | undefined {
    return this.#lasts.at(-1);
  }

  forEach(use: (first: Position, last: Position) => void): void {
    this.#firsts.forEach((first, index) => use(first, this.#lasts[index]!));
  }

  /** Logarithmic in the number of ranges. */
  has(position: Position): boolean {
    const index = this.#countUpTo(position) - 1;
    return index >= 0 && position <= this.#lasts[index]!;
  }

  /** Joins what overlaps or touches. */
  add(first: Position, last: Position): void {
    let from = this.#countUpTo(first);
    if (from > 0 && first <= after(this.#lasts[from - 1]!)) from -= 1;
    const to = this.#countUpTo(after(last));
    if (from >= to) {
      this.#firsts.splice(from, 0, first);
      this.#lasts.splice(from, 0, last);
      return;
    }
    const joinedFirst = this.#firsts[from]!;
    const joinedLast = this.#lasts[to - 1]!;
    this.#firsts.splice(from, to - from, joinedFirst < first ? joinedFirst : first);
    this.#lasts.splice(from, to - from, joinedLast > last ? joinedLast : last);
  }

  /** Returns how many ranges begin at or before a position. */
  #countUpTo(position: Position): number {
    let low = 0;
    let high = this.#firsts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#firsts[middle]! <= position) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
