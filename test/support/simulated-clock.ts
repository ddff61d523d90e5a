import type { Clock } from '../../src/index.js';

interface Timer {
  at: number;
  order: number;
  callback: () => void;
  /** Its place in the list; -1 once it has run or was cleared. */
  place: number;
  isEngines: boolean;
}

/**
 * A clock for millions of events: `step()` turns the hands to the next timer and runs it. There are a few dozen timers at most, so a list
 * is faster than a heap. What the engine sets through the `Clock` interface is counted apart from what the world around it sets by `after`.
 */
export class SimulatedClock implements Clock {
  #now = 0;
  #order = 0;
  #engines = 0;
  readonly #timers: Timer[] = [];
  readonly #jitter: () => number;

  /** `jitter` answers with the milliseconds by which a timer of the engine's comes too late, or below 0 too early. */
  constructor(jitter: () => number = () => 0) {
    this.#jitter = jitter;
  }

  now(): number {
    return this.#now;
  }

  setTimeout(callback: () => void, delayMs: number): unknown {
    this.#engines++;
    return this.#add(callback, Math.max(0, delayMs + this.#jitter()), true);
  }

  clearTimeout(handle: unknown): void {
    if (handle !== undefined && (handle as Timer).place >= 0) this.#remove(handle as Timer);
  }

  /** Runs `callback` so many milliseconds from now, exactly. */
  after(delayMs: number, callback: () => void): void {
    this.#add(callback, Math.max(0, delayMs), false);
  }

  /** Timers that the engine has set. */
  get pending(): number {
    return this.#engines;
  }

  /** When the next timer is due; Infinity where none is set. */
  get nextAt(): number {
    return this.#next()?.at ?? Infinity;
  }

  /** Turns the hands to the next timer and runs it. Promises do not settle here: that is for the caller to see to. */
  step(): void {
    const timer = this.#next()!;
    this.#remove(timer);
    this.#now = timer.at;
    timer.callback();
  }

  #add(callback: () => void, delayMs: number, isEngines: boolean): Timer {
    const timer = {
      at: this.#now + delayMs,
      order: this.#order++,
      callback,
      place: this.#timers.length,
      isEngines,
    };
    this.#timers.push(timer);
    return timer;
  }

  #remove(timer: Timer): void {
    const last = this.#timers.pop()!;
    if (last !== timer) {
      this.#timers[timer.place] = last;
      last.place = timer.place;
    }
    timer.place = -1;
    if (timer.isEngines) this.#engines--;
  }

  #next(): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers)
      if (next === undefined || timer.at < next.at || (timer.at === next.at && timer.order < next.order))
        next = timer;
    return next;
  }
}
