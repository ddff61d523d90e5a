/** Guards a stream against what its user's code does: errors that cannot be read, callbacks and listeners that throw. */

import { AsyncResource } from 'node:async_hooks';
import type { Writable } from 'node:stream';
import type { StageErrors } from '../../api/errors.js';
import { settlementOf } from '../../guards/user-callbacks.js';

/** What Node and its helpers (`pipeline`, `finished`) read of an error that ends a stream. */
const READ_BY_NODE = ['stack', 'message', 'name', 'code'] as const;

/**
 * The error that `destroy()` passes on to Node: if reading it throws (a getter, a revoked proxy), one of the stage's own whose `cause` it is.
 * Else Node would throw in the middle of its own `destroy()`, and `'close'` would never come.
 */
export function readableError(error: unknown, errors: StageErrors): unknown {
  if ((typeof error !== 'object' && typeof error !== 'function') || error === null) return error;
  try {
    for (const name of READ_BY_NODE) Reflect.get(error, name);
    return error;
  } catch {
    const message = 'destroyed with an error that cannot be read';
    return errors.create('ERR_BACKPRESSURE_ABORTED', message, { cause: error });
  }
}

/** A listener or callback of the user's has thrown, or its promise has been rejected: the stream fails. */
export function failOf(stream: Writable, errors: StageErrors, name: string, thrown: unknown): void {
  const error = errors.handlerFailed(name, thrown);
  if (!stream.destroyed) stream.destroy(error);
  // Where the stream has failed already, its error says why; one that has ended well has nobody left to tell.
  else if (stream.errored === null) process.emitWarning(error);
}

/** An argument of `write()` or `end()`: if it is a callback, one that may throw, or be asynchronous, and that runs in the caller's context. */
export function guardCallback(
  stream: Writable,
  errors: StageErrors,
  method: 'write' | 'end',
  argument: unknown,
): unknown {
  if (typeof argument !== 'function') return argument;
  const fail = (thrown: unknown) => failOf(stream, errors, `callback of ${method}()`, thrown);
  // Node calls it in the context of whatever made room.
  const caller = new AsyncResource('SPILLWAY');
  return (error?: Error | null) => {
    try {
      const answer: unknown = caller.runInAsyncScope(
        argument as (error?: Error | null) => unknown,
        undefined,
        error,
      );
      if (typeof answer === 'object' && answer !== null) void settlementOf(answer, fail);
    } catch (thrown) {
      fail(thrown);
    }
  };
}
