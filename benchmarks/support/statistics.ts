export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** @throws {RangeError} for no values. */
export function spreadOf(values: readonly number[]): Spread {
  if (values.length === 0) throw new RangeError('the spread of no values');
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { median, min: sorted[0]!, max: sorted.at(-1)! };
}

/** Of values in ascending order: the smallest that `share` of them do not exceed. */
export function quantile(ascending: readonly number[], share: number): number {
  if (ascending.length === 0) throw new RangeError('a quantile of no values');
  return ascending[Math.max(0, Math.ceil(share * ascending.length) - 1)]!;
}
