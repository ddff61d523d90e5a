/** Waits that end early when there is something to do. */

import type { Clock } from '../../common/clock.js';

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
