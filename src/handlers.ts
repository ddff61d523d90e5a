/** What to do about code that is the user's. */

import { BackpressureError, messageOf } from './errors.js';

/** A handler or listener of the user's has thrown. */
export function handlerFailed(name: string, thrown: unknown): BackpressureError {
  if (thrown instanceof BackpressureError && thrown.code === 'ERR_BACKPRESSURE_HANDLER_FAILED') return thrown;
  const message = `${name} failed: ${messageOf(thrown)}`;
  return new BackpressureError('ERR_BACKPRESSURE_HANDLER_FAILED', message, { cause: thrown });
}

/** A promise whose rejection is told elsewhere too, so that one who does not await it causes no unhandledRejection. */
export function handled<V>(promise: Promise<V>): Promise<V> {
  promise.catch(() => undefined);
  return promise;
}
