import type { Clock } from '../../src/common/clock.js';

/** A clock of a process that may be held up: what falls due meanwhile runs when that is over, and reads the time of then. */
export class HeldClock implements Clock {
  readonly afterIO: (callback: () => void) => void;
  #now = 0;
  readonly #timers = new Map<number, { at: number; callback: () => void }>();
  #immediates: (() => void)[] = [];
  #handle = 0;

  /** @param hasTurns `afterIO` waits for `turn()` */
  constructor(hasTurns = false) {
    this.afterIO = hasTurns ? (callback) => void this.#immediates.push(callback) : (callback) => callback();
  }

  now(): number {
    return this.#now;
  }

  setTimeout(callback: () => void, delayMs: number): number {
    this.#timers.set(++this.#handle, { at: this.#now + delayMs, callback });
    return this.#handle;
  }

  clearTimeout(handle: unknown): void {
    this.#timers.delete(handle as number);
  }

  get pending(): number {
    return this.#timers.size;
  }

  /** Mocked timers that are taken away never run. */
  dropTimers(): void {
    this.#timers.clear();
  }

  /** So long no timer can run; those that are due by then do, at the end of it. */
  hold(ms: number): void {
    this.#now += ms;
    const due = [...this.#timers]
      .filter(([, { at }]) => at <= this.#now)
      .toSorted(([, a], [, b]) => a.at - b.at);
    for (const [handle, { callback }] of due) if (this.#timers.delete(handle)) callback();
  }

  /** Time passes, and timers run when they fall due. */
  pass(ms: number): void {
    const until = this.#now + ms;
    for (;;) {
      const at = Math.min(...[...this.#timers.values()].map((timer) => timer.at));
      if (at > until) break;
      this.hold(Math.max(0, at - this.#now));
    }
    this.#now = until;
  }

  /** The I/O that had arrived has been dealt with. */
  turn(): void {
    const due = this.#immediates;
    this.#immediates = [];
    for (const callback of due) callback();
  }
}
