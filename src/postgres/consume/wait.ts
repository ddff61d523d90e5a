/** Waits that end early when there is something to do. */

import type { Clock } from '../../common/clock.js';
import { LogError } from '../../log/log-error.js';
import { CopyError } from '../errors/copy-error.js';

/** Resolves after `delayMs`, or when the signal fires. Never rejects. */
export function pause(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = (): void => {
      clock.clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = clock.setTimeout(end, delayMs);
    signal.addEventListener('abort', end, { once: true });
  });
}

/** Time is out for one attempt. */
class AttemptTimedOut extends CopyError {
  constructor(limitMs: number) {
    super(`the database has not answered within ${limitMs / 1_000} s`, {
      failureClass: 'transport',
      ambiguous: true,
    });
  }
}

/**
 * Gives up `work` after a limit: a peer that has gone silent would be waited for until the end of the connection.
 *
 * @throws {AttemptTimedOut} or what `work` has failed with
 */
export async function limited<Result>(
  clock: Clock,
  limitMs: number,
  parent: AbortSignal,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const controller = new AbortController();
  const onAbort = (): void => controller.abort(parent.reason);
  if (parent.aborted) onAbort();
  parent.addEventListener('abort', onAbort, { once: true });
  const timer = clock.setTimeout(() => controller.abort(), limitMs);
  try {
    return await work(controller.signal);
  } catch (error) {
    // A log says itself what it has waited for.
    if (!controller.signal.aborted || parent.aborted || error instanceof LogError) throw error;
    throw new AttemptTimedOut(limitMs);
  } finally {
    clock.clearTimeout(timer);
    parent.removeEventListener('abort', onAbort);
  }
}

/** Wakes one waiter. A wake that nobody waits for is kept. */
export class Wakeup {
  readonly #clock: Clock;
  #isPending = false;
  #wake: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  wake(): void {
    this.#isPending = true;
    this.#wake?.();
  }

  /** Resolves at the next wake, or after `limitMs`. */
  wait(limitMs: number): Promise<void> {
    if (this.#isPending) {
      this.#isPending = false;
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      const end = (): void => {
        this.#clock.clearTimeout(timer);
        this.#wake = undefined;
        this.#isPending = false;
        resolve();
      };
      const timer = this.#clock.setTimeout(end, limitMs);
      this.#wake = end;
    });
  }
}
