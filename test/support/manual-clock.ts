import type { Clock } from '../../src/common/clock.js';

interface Timer {
  at: number;
  order: number;
  callback: () => void;
}

/** A clock whose hands the test turns. Timers run in order of time, then of creation; microtasks run in between. */
export class ManualClock implements Clock {
  #now = 0;
  #order = 0;
  readonly #timers = new Map<number, Timer>();

  now(): number {
    return this.#now;
  }

  setTimeout(callback: () => void, delayMs: number): number {
    const order = ++this.#order;
    this.#timers.set(order, { at: this.#now + Math.max(0, delayMs), order, callback });
    return order;
  }

  clearTimeout(handle: unknown): void {
    this.#timers.delete(handle as number);
  }

  /** Timers that are set. */
  get pending(): number {
    return this.#timers.size;
  }

  /** When the next timer is due; Infinity where none is set. */
  get nextAt(): number {
    let next = Infinity;
    for (const { at } of this.#timers.values()) next = Math.min(next, at);
    return next;
  }

  /** Turns the hands by `ms`, runs what falls due on the way, and lets promises settle after each. */
  async advance(ms: number): Promise<void> {
    const until = this.#now + ms;
    await settle();
    for (;;) {
      const due = this.#next(until);
      if (due === undefined) break;
      this.#timers.delete(due.order);
      this.#now = due.at;
      due.callback();
      await settle();
    }
    this.#now = until;
    await settle();
  }

  #next(until: number): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers.values()) {
      if (timer.at > until) continue;
      if (next === undefined || timer.at < next.at || (timer.at === next.at && timer.order < next.order))
        next = timer;
    }
    return next;
  }
}

/** Lets every promise job and tick that is under way run to its end, without real time passing. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
}
