/** What `drain()` of the stream and of the controller have in common. */

import { BackpressureError } from '../api/errors.js';
import { checkDuration, checkNames, refuse } from '../guards/validate.js';

export interface DrainOptions {
  /** How long it may take, in milliseconds, at least 0. Default: no limit. */
  timeoutMs?: number;
}

const DRAIN_OPTIONS: ReadonlySet<string> = new Set(['timeoutMs']);

/** Checks the options and returns `timeoutMs`. */
export function checkDrain(options: DrainOptions): number {
  if (typeof options !== 'object' || (options as unknown) === null) refuse('options', 'an object', options);
  checkNames(options, DRAIN_OPTIONS, 'drain()');
  const { timeoutMs = Infinity } = options;
  return checkDuration('timeoutMs', timeoutMs, 0, true);
}

export function drainTimeout(timeoutMs: number, items: unknown[]): BackpressureError {
  const open = items.length === 1 ? '1 item is' : `${items.length} items are`;
  const message = `drain took longer than timeoutMs (${timeoutMs} ms): ${open} open`;
  return new BackpressureError('ERR_BACKPRESSURE_DRAIN_TIMEOUT', message, { items });
}
