/** What happens to the items of a batch after a call. */

import { messageOf } from '../../common/thrown.js';
import type { BackpressureError, StageErrors } from '../../api/errors.js';

/** Places in the call, in order. An item that is in neither list has settled. */
export interface CallDisposition {
  /** Failed for good. */
  failed: number[];
  /** How many of `failed` did arrive, by the count of the flush function's result; which ones is not known. */
  countedFlushed: number;
  /** Called once more. */
  retried: number[];
}

/** The error that the stream fails with if no `onFailed` takes the items. `cause` is that of the first. */
export function flushFailed(
  items: unknown[],
  cause: Error,
  attempts: number,
  errors: StageErrors,
): BackpressureError {
  // The sink's own error (a timeout, a wrong result) says what is wrong. An error of another sink, into which this one flushes, is a cause.
  if (errors.owns(cause)) return cause;
  const calls = attempts === 1 ? '' : ` after ${attempts} attempts`;
  return errors.create(
    'ERR_BACKPRESSURE_FLUSH_FAILED',
    `flush of ${items.length} items failed${calls}: ${messageOf(cause)}`,
    { cause, items },
  );
}
