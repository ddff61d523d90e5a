/** What happens to the items of a batch after a call. */

import { messageOf } from '../../common/thrown.js';
import type { BackpressureError, StageErrors } from '../../api/errors.js';
import type { FailedItem } from '../../api/options.js';
import type { Failure } from './batch-items.js';
import type { CallOutcome } from './flush-call.js';

export interface CallDisposition<T> {
  /** Failed for good. */
  failures: Failure<T>[];
  /** How many of `failures` did arrive, by the count of the flush function's result; which ones is not known. */
  countedFlushed: number;
  /** Called once more. Each holds the failure that it settles with if no call follows. */
  retried: Failure<T>[];
}

export const SETTLED: CallDisposition<never> = { failures: [], countedFlushed: 0, retried: [] };

/** No item needs to be looked at. */
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

/** The error that the stream fails with if no `onFailed` takes the items. */
export function flushFailed(
  failures: FailedItem<unknown>[],
  attempts: number,
  errors: StageErrors,
): BackpressureError {
  const cause = failures[0]!.error;
  // The sink's own error (a timeout, a wrong result) says what is wrong. An error of another sink, into which this one flushes, is a cause.
  if (errors.owns(cause)) return cause;
  const items = failures.map((failed) => failed.item);
  const calls = attempts === 1 ? '' : ` after ${attempts} attempts`;
  return errors.create(
    'ERR_BACKPRESSURE_FLUSH_FAILED',
    `flush of ${items.length} items failed${calls}: ${messageOf(cause)}`,
    { cause, items },
  );
}
