/** What to do about code that is the user's. */

import { isThenable, messageOf } from '../common/thrown.js';
import { BackpressureError, type StageErrors } from '../api/errors.js';

/** A handler of the user's has thrown, where no stage is concerned. */
export function handlerFailed(name: string, thrown: unknown): BackpressureError {
  const message = `${name} failed: ${messageOf(thrown)}`;
  return new BackpressureError('ERR_BACKPRESSURE_HANDLER_FAILED', message, { cause: thrown });
}

/** @throws BackpressureError if a handler whose value is needed at once returned a promise, which is true whatever becomes of it. */
export function refusePromise(name: string, answer: unknown, errors: StageErrors): void {
  if (!isThenable(answer)) return;
  ignoreRejection(answer);
  throw errors.create(
    'ERR_BACKPRESSURE_HANDLER_FAILED',
    `${name} must return its value, not a promise: it cannot be asynchronous`,
  );
}

function ignore(): void {
  // It is told elsewhere.
}

/** A promise whose rejection is told elsewhere too, so that one who does not await it causes no unhandledRejection. */
export function handled<V>(promise: Promise<V>): Promise<V> {
  promise.catch(ignore);
  return promise;
}

/** Of anything that a user's function returned; its own `then` and `catch` may do what they like. */
export function ignoreRejection(answer: unknown): void {
  void settlementOf(answer, () => undefined);
}

/** Of promises in a list that a user's function returned by mistake. */
export function ignoreRejections(answer: unknown): void {
  if (!Array.isArray(answer)) return;
  for (const entry of answer as unknown[]) if (isThenable(entry)) ignoreRejection(entry);
}

/** Waits for anything that a user's function returned. Never rejects; a failure goes to `onThrow`. */
export async function settlementOf(answer: unknown, onThrow: (thrown: unknown) => void): Promise<void> {
  try {
    await answer;
  } catch (thrown) {
    onThrow(thrown);
  }
}
