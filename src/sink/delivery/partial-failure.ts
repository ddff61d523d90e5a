/**
 * Finds signs of failure in a destination's own result, which a flush function returned as it came. Pure.
 *
 * Clients that do not throw report failures in their result: `fetch` by `ok: false`, `Promise.allSettled` by rejected entries, AWS batch calls
 * by `Failed`, `FailedRecordCount` or `UnprocessedItems`, a Redis pipeline by errors within an array, Supabase by `error`. Such a result must
 * never count as success.
 */

import { isNativeError, isThenable } from '../../common/thrown.js';

/** Names of properties that hold failures, in lower case and without `_`. */
const FAILURE_NAME =
  /^(?:has)?(?:write|validation|insert|row|item|partial)?(?:failed|failures?|errors?|rejected|rejections?|unprocessed)(?:put|log)?(?:items?|records?|entry|entries|rows?|keys|messages?|events?|documents?)?(?:ids|counts?|total)?$/;

/** Names of properties that hold a status code of HTTP. */
const STATUS_NAMES = ['status', 'statusCode'] as const;

/** Returns what in `result` looks like a failure, as a phrase; `undefined` if nothing does. */
export function findPartialFailure(result: unknown): string | undefined {
  if (result === false) return 'false';
  if (isError(result)) return 'an Error that was returned instead of thrown';
  if (Array.isArray(result)) return findInList(result);
  return isObject(result) ? findInObject(result) : undefined;
}

/**
 * The entries of a list may be rows that the database returned, with columns of any name. So only forms that no row has count:
 * outcomes of `Promise.allSettled`, promises, errors, responses of `fetch`, and AWS results.
 */
function findInList(list: readonly unknown[]): string | undefined {
  for (const [place, entry] of list.entries()) {
    const sign = findInEntry(entry);
    if (sign !== undefined) return `${sign} (entry ${place} of the array)`;
  }
  return undefined;
}

function findInEntry(entry: unknown): string | undefined {
  if (!isObject(entry)) return undefined;
  if (isError(entry)) return 'an Error';
  if (Array.isArray(entry)) return entry.some((part) => isError(part)) ? 'an Error' : undefined;
  if (isThenable(entry)) return 'a promise that nobody waits for; use Promise.all';
  if (entry['status'] === 'rejected' && 'reason' in entry) return "an entry with status 'rejected'";
  if (entry['status'] === 'fulfilled' && 'value' in entry) return findInEntry(entry['value']);
  if (entry['ok'] === false && typeof entry['status'] === 'number') return 'ok: false';
  for (const name of [
    'FailedRecordCount',
    'FailedEntryCount',
    'FailedPutCount',
    'Failed',
    'UnprocessedItems',
  ]) {
    if (name in entry && !isEmpty(entry[name])) return name;
  }
  if (entry['errors'] === true && Array.isArray(entry['items'])) return 'errors: true';
  return undefined;
}

function findInObject(result: Record<string, unknown>): string | undefined {
  if (result['ok'] === false) return 'ok: false';
  for (const name of STATUS_NAMES) {
    const status = result[name];
    if (typeof status === 'number' && status >= 400 && status <= 599) return `${name}: ${status}`;
  }
  for (const name in result) {
    if (FAILURE_NAME.test(name.replaceAll('_', '').toLowerCase()) && !isEmpty(result[name]))
      return `'${name}'`;
  }
  return undefined;
}

/** Whether a property that could hold failures holds none. Methods say nothing. */
function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === false || value === 0 || value === 0n || value === '')
    return true;
  if (typeof value === 'function') return true;
  if (value instanceof Map || value instanceof Set) return value.size === 0;
  if (isError(value)) return false;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

/** Errors of another realm, as a test runner makes them, and `DOMException`, which is no native error. */
function isError(value: unknown): boolean {
  return isNativeError(value) || value instanceof Error;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
