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

/**
 * The 95 % confidence interval of the median, without assuming how the values are spread: between two of the sorted values, by the binomial
 * distribution of how many lie below the true median (its normal approximation; with fewer than six values, the smallest and the largest).
 *
 * @throws {RangeError} for no values.
 */
export function medianInterval(values: readonly number[]): [low: number, high: number] {
  if (values.length === 0) throw new RangeError('the interval of no values');
  const sorted = [...values].sort((a, b) => a - b);
  const rank = Math.max(0, Math.floor((sorted.length - 1.96 * Math.sqrt(sorted.length)) / 2));
  return [sorted[rank]!, sorted[sorted.length - 1 - rank]!];
}

/** Of values in ascending order: the smallest that `share` of them do not exceed. */
export function quantile(ascending: readonly number[], share: number): number {
  if (ascending.length === 0) throw new RangeError('a quantile of no values');
  return ascending[Math.max(0, Math.ceil(share * ascending.length) - 1)]!;
}
