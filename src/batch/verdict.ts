/** What a call has made of a batch. */

import { BackpressureError } from '../errors.js';
import type { FailedItem } from '../options.js';

/** An item that failed, with its place in the call. */
export interface Failure<T> {
  place: number;
  failed: FailedItem<T>;
}

/** What is to be done after a call. */
export interface Verdict<T> {
  /** Failed for good. */
  failures: Failure<T>[];
  /** So many of `failures` did arrive, as the destination told; which ones is not known. */
  toldFlushed: number;
  /** Called once more; failed with this, should it not come to that. */
  again: Failure<T>[];
}

export const SETTLED: Verdict<never> = { failures: [], toldFlushed: 0, again: [] };

export function inBatchOrder<T>(failures: Failure<T>[]): FailedItem<T>[] {
  return failures.toSorted((a, b) => a.place - b.place).map(({ failed }) => failed);
}

/** What the stream fails with where nobody takes the items. */
export function flushFailed(failures: FailedItem<unknown>[], attempts: number): BackpressureError {
  const cause = failures[0]!.error;
  const items = failures.map((failed) => failed.item);
  // These say themselves what is wrong, and whose fault it is.
  if (cause instanceof BackpressureError && cause.code !== 'ERR_BACKPRESSURE_COPY') {
    return new BackpressureError(cause.code, cause.message, { cause: cause.cause, items });
  }
  const calls = attempts === 1 ? '' : ` after ${attempts} attempts`;
  return new BackpressureError(
    'ERR_BACKPRESSURE_FLUSH_FAILED',
    `flush of ${items.length} items failed${calls}: ${cause.message}`,
    {
      cause,
      items,
    },
  );
}
