/** The error of a log that cannot be read. */

import { BackpressureError, hasMark } from '../api/errors.js';

/**
 * What kind of failure it was:
 *
 * - `unreachable`: the log could not be reached, or did not respond. Worth another attempt.
 * - `setup`: there is no such log, it is of a kind that cannot be read, or it is another one than before.
 * - `loss`: the log has deleted messages that had not been read.
 */
export type LogFailureClass = 'unreachable' | 'setup' | 'loss';

/** Shared by the ES module and the CommonJS build: a program may load both. */
const LOG_ERROR_MARK = Symbol.for('spillway.LogError');

/** A log that could not be read, or that has lost messages. */
export class LogError extends BackpressureError {
  override readonly name = 'LogError';
  readonly failureClass: LogFailureClass;

  static {
    Object.defineProperty(this.prototype, LOG_ERROR_MARK, { value: true });
    // The build shortens the names of classes.
    Object.defineProperty(this, 'name', { value: 'LogError' });
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    return hasMark(LogError, this, LOG_ERROR_MARK, value);
  }

  constructor(failureClass: LogFailureClass, message: string, options: { cause?: unknown } = {}) {
    super('ERR_BACKPRESSURE_LOG', message, options);
    this.failureClass = failureClass;
  }
}
