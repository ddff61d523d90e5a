/** Reads what user code threw, without trusting it: nothing here throws, and nothing changes what it reads. */

import { types } from 'node:util';

const UNREADABLE = 'something that is no error';

/** What says more than a message; kept when the object itself cannot pass as an error. */
const TELLING_FIELDS = ['code', 'retryable', 'retryAfterMs', 'ambiguous'] as const;

/** A property of anything; `undefined` if there is none, or if it cannot be read (a getter that throws, a revoked proxy). */
export function fieldOf(value: unknown, name: string): unknown {
  if (!isObject(value)) return undefined;
  try {
    return (value as Record<string, unknown>)[name];
  } catch {
    return undefined;
  }
}

/**
 * Whether this can stand where an `Error` is expected: it has a text. Errors of another realm (a `vm` context, Jest) are no instances of
 * this realm's `Error`, and a plain `{ message, code }` says as much as one.
 */
export function isErrorLike(thrown: unknown): thrown is Error {
  return typeof fieldOf(thrown, 'message') === 'string';
}

/** The text of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  for (const name of ['message', 'code']) {
    const text = fieldOf(thrown, name);
    if (typeof text === 'string' && text !== '') return text;
  }
  try {
    return String(thrown);
  } catch {
    return UNREADABLE;
  }
}

/** Anything that was thrown, as an `Error`: itself if it can be read as one, else an `Error` whose `cause` it is. */
export function toError(thrown: unknown): Error {
  if (isErrorLike(thrown)) return thrown;
  const error = new Error(messageOf(thrown), { cause: thrown });
  for (const name of TELLING_FIELDS) {
    const value = fieldOf(thrown, name);
    if (value !== undefined) Object.assign(error, { [name]: value });
  }
  return error;
}

/** The first of several: a host with several addresses fails with an error that holds one for each. Else the error itself. */
export function firstOf(error: unknown): unknown {
  const errors = fieldOf(error, 'errors');
  return Array.isArray(errors) && errors.length > 0 ? (errors[0] as unknown) : error;
}

/** Whether it is an object whose `then` is a function. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof fieldOf(value, 'then') === 'function';
}

/** An error made by the engine itself, of whatever realm. */
export function isNativeError(value: unknown): value is Error {
  return types.isNativeError(value);
}

function isObject(value: unknown): boolean {
  return (typeof value === 'object' && value !== null) || typeof value === 'function';
}

/** What an error is, for a label: its `code`, or its name. */
export function errorClassOf(error: Error): string {
  const code = fieldOf(error, 'code');
  if (typeof code === 'string' || typeof code === 'number') return String(code);
  const name = fieldOf(error, 'name');
  return typeof name === 'string' && name !== '' ? name : 'Error';
}
