/** What a call has made of a batch. */

import { messageOf } from '../../common/thrown.js';
import type { BackpressureError, StageErrors } from '../../api/errors.js';
import type { FailedItem } from '../../api/options.js';
import type { CallOutcome } from './flush-call.js';

/** An item that failed, with its place in the call. */
export interface Failure<T> {
  place: number;
  failed: FailedItem<T>;
}

/** What is to be done after a call. */
export interface CallDisposition<T> {
  /** Failed for good. */
  failures: Failure<T>[];
  /** So many of `failures` did arrive, as the destination told; which ones is not known. */
  countedFlushed: number;
  /** Called once more; failed with this, should it not come to that. */
  retried: Failure<T>[];
}

/** A call has failed for all items alike. */
export interface WholeFailure {
  error: Error;
  ambiguous: boolean;
  isRetried: boolean;
}

export const SETTLED: CallDisposition<never> = { failures: [], countedFlushed: 0, retried: [] };

/** Nothing is to be done for single items. */
export function isPlainSuccess(outcome: CallOutcome): boolean {
  return outcome.kind === 'answered' && outcome.answer === undefined;
}

export function wholeBatch<T>(failures: Failure<T>[], isRetried: boolean): CallDisposition<T> {
  return isRetried
    ? { failures: [], countedFlushed: 0, retried: failures }
    : { failures, countedFlushed: 0, retried: [] };
}

export function inBatchOrder<T>(failures: Failure<T>[]): FailedItem<T>[] {
  const isOrdered = failures.every(({ place }, index) => index === 0 || failures[index - 1]!.place < place);
  const ordered = isOrdered ? failures : failures.toSorted((a, b) => a.place - b.place);
  return ordered.map(({ failed }) => failed);
}

/** What the stream fails with where nobody takes the items. */
export function flushFailed(
  failures: FailedItem<unknown>[],
  attempts: number,
  errors: StageErrors,
): BackpressureError {
  const cause = failures[0]!.error;
  // The sink's own (a timeout, an answer that does not add up) say what is wrong. Another sink's, into which this one flushes, is a cause.
  if (errors.owns(cause)) return cause;
  const items = failures.map((failed) => failed.item);
  const calls = attempts === 1 ? '' : ` after ${attempts} attempts`;
  return errors.create(
    'ERR_BACKPRESSURE_FLUSH_FAILED',
    `flush of ${items.length} items failed${calls}: ${messageOf(cause)}`,
    { cause, items },
  );
}
