/** Time, injected: the engine asks this interface and nothing else, so that tests can turn the hands. */

import { AsyncResource } from 'node:async_hooks';

export type TimerHandle = unknown;

export interface Clock {
  /** Milliseconds on a clock that never goes backwards. */
  now(): number;
  /**
   * As `now()`, but may be as old as the piece of code that is running: what is admitted in one synchronous burst may share one reading.
   * Too early, never too late, so an age computed from it is never too small. Default: `now()`.
   */
  turnNow?(): number;
  setTimeout(callback: () => void, delayMs: number): TimerHandle;
  clearTimeout(handle: TimerHandle): void;
  /** Runs the callback once what I/O has brought by now has been dealt with. Default: at once, for a clock that turns without I/O. */
  afterIO?(callback: () => void): void;
}

/** The longest delay that Node's timers take; longer ones would fire at once. */
export const LONGEST_DELAY_MS = 2 ** 31 - 1;

/** Runs the callback once what I/O has brought by now has been dealt with. */
export function afterIO(callback: () => void): void {
  setImmediate(callback);
}

// The real one: a test's stand-in that is never run would stop this clock for good.
const setRealTimeout = setTimeout;
const setRealImmediate = setImmediate;
const SETTLED = Promise.resolve();
/** For timers that several callers share: nothing that one of them has in its AsyncLocalStorage is kept. */
export const ownContext = new AsyncResource('SpillwayClock');

/** Node's timers fire up to a millisecond early, because they count whole ones. */
const TIMER_PRECISION_MS = 2;
/** A timer this late is taken for lost: the function that set it may have been a stand-in that is gone. */
const LOST_AFTER_MS = 50;

/** A timer that can be set again, and a link of its clock's list. */
class ProcessTimer {
  dueAt: number;
  isListed = false;
  previous: ProcessTimer | undefined;
  next: ProcessTimer | undefined;
  readonly #clock: ProcessClock;
  readonly #callback: () => void;
  #handle: Partial<NodeJS.Timeout> | undefined;
  #isUnref = false;

  constructor(clock: ProcessClock, callback: () => void, dueAt: number) {
    this.#clock = clock;
    this.#callback = callback;
    this.dueAt = dueAt;
  }

  set(delayMs: number): void {
    // Whole milliseconds, rounded up: Node would round down.
    this.#handle = setTimeout(() => this.#clock.onTimer(this, this.#callback), Math.ceil(delayMs));
    if (this.#isUnref) this.#handle.unref?.();
  }

  clear(): void {
    clearTimeout(this.#handle as NodeJS.Timeout | undefined);
  }

  unref(): void {
    this.#isUnref = true;
    this.#handle?.unref?.();
  }
}

/**
 * The process's own clock. It looks its functions up at each call, so that test tools which replace them are respected. Such tools may
 * replace `setTimeout` without `performance.now()`, and take their timers with them when they go. Therefore:
 *
 * - time never goes backwards: a reading below the last one goes on from there;
 * - a timer that fires early moves the clock on: its delay has passed, whatever `performance.now()` says;
 * - a timer that is long overdue, and has not fired by the end of the turn, is set again: after a blocked turn all are overdue, and about to
 *   fire in their order. A guard, one timer for all that does not hold the process, looks for such.
 */
export class ProcessClock implements Clock {
  /**
   * The timers that are set, as a linked list. A `Set` that comes and goes leaves its outgrown tables in V8's old space, each of which keeps
   * the next one alive, and with it all that the timers' callbacks hold, until a full collection.
   */
  #firstTimer: ProcessTimer | undefined;
  /** No timer can be overdue before this time. */
  #nextCheckAt = Infinity;
  /** When the guard looks next. */
  #guardAt = Infinity;
  #lastReadMs = -Infinity;
  #shiftMs = 0;
  #turnTime = -1;
  readonly #endTurn = () => {
    this.#turnTime = -1;
  };

  now(): number {
    const readMs = performance.now();
    if (readMs < this.#lastReadMs) this.#shiftMs += this.#lastReadMs - readMs;
    this.#lastReadMs = readMs;
    const now = readMs + this.#shiftMs;
    if (now >= this.#nextCheckAt) this.#checkAfterTurn();
    return now;
  }

  turnNow(): number {
    // Reading the clock costs as much as admitting an item: once per turn is enough.
    if (this.#turnTime < 0) {
      this.#turnTime = this.now();
      // Not by `queueMicrotask`, which makes an AsyncResource for each, and which test tools replace.
      void SETTLED.then(this.#endTurn);
    }
    return this.#turnTime;
  }

  setTimeout(callback: () => void, delayMs: number): ProcessTimer {
    const timer = new ProcessTimer(this, callback, this.now() + delayMs);
    this.#list(timer);
    this.#nextCheckAt = Math.min(this.#nextCheckAt, timer.dueAt + LOST_AFTER_MS);
    timer.set(delayMs);
    if (this.#guardAt > this.#nextCheckAt) this.#setGuard(delayMs + LOST_AFTER_MS);
    return timer;
  }

  afterIO(callback: () => void): void {
    afterIO(callback);
  }

  clearTimeout(handle: TimerHandle): void {
    if (!(handle instanceof ProcessTimer)) return;
    this.#unlist(handle);
    handle.clear();
  }

  #list(timer: ProcessTimer): void {
    timer.isListed = true;
    timer.next = this.#firstTimer;
    if (timer.next !== undefined) timer.next.previous = timer;
    this.#firstTimer = timer;
  }

  /** Returns whether it was set. */
  #unlist(timer: ProcessTimer): boolean {
    if (!timer.isListed) return false;
    timer.isListed = false;
    const { previous, next } = timer;
    if (previous === undefined) this.#firstTimer = next;
    else previous.next = next;
    if (next !== undefined) next.previous = previous;
    timer.previous = undefined;
    timer.next = undefined;
    return true;
  }

  /** @internal */
  onTimer(timer: ProcessTimer, callback: () => void): void {
    // A lost timer that was set again, and fires twice.
    if (!this.#unlist(timer)) return;
    const earlyMs = timer.dueAt - this.now();
    if (earlyMs > TIMER_PRECISION_MS) {
      this.#shiftMs += earlyMs;
      this.#turnTime = -1;
    }
    callback();
  }

  #setGuard(delayMs: number): void {
    this.#guardAt = this.#nextCheckAt;
    const guardAt = this.#guardAt;
    const look = () => {
      // Another one was set for an earlier time.
      if (this.#guardAt !== guardAt) return;
      this.#guardAt = Infinity;
      if (this.#firstTimer !== undefined) this.#checkAfterTurn();
    };
    ownContext.runInAsyncScope(() => {
      (setRealTimeout(look, Math.min(LONGEST_DELAY_MS, delayMs)) as Partial<NodeJS.Timeout>).unref?.();
    });
  }

  #checkAfterTurn(): void {
    this.#nextCheckAt = Infinity;
    ownContext.runInAsyncScope(() => {
      const check = () => {
        const now = this.now();
        this.#resetLostTimers(now);
        if (this.#firstTimer !== undefined && this.#guardAt > this.#nextCheckAt) {
          this.#setGuard(this.#nextCheckAt - now);
        }
      };
      setRealImmediate(check);
    });
  }

  #resetLostTimers(now: number): void {
    // At most once in this time, however many timers there are.
    this.#nextCheckAt = now + LOST_AFTER_MS;
    let firstDueAt = Infinity;
    for (let timer = this.#firstTimer; timer !== undefined; timer = timer.next) {
      if (timer.dueAt + LOST_AFTER_MS <= now) {
        timer.clear();
        timer.dueAt = now;
        timer.set(1);
      }
      firstDueAt = Math.min(firstDueAt, timer.dueAt);
    }
    this.#nextCheckAt = Math.max(this.#nextCheckAt, firstDueAt + LOST_AFTER_MS);
  }
}

export const systemClock: Clock = new ProcessClock();

/** An instant of the clock as `Date.now()` counts; an injected clock has a time of its own. */
export function timeOfDay(clock: Clock, at: number): number {
  return clock === systemClock ? Date.now() - (clock.now() - at) : at;
}

/** The same clock, with timers that do not keep the process alive (where its handles have `unref()`, as Node's have). */
export function unrefClock(clock: Clock): Clock {
  const unref: Clock = {
    now: () => clock.now(),
    setTimeout: (callback, delayMs) => {
      const handle = clock.setTimeout(callback, delayMs);
      (handle as Partial<NodeJS.Timeout> | undefined)?.unref?.();
      return handle;
    },
    clearTimeout: (handle) => clock.clearTimeout(handle),
  };
  const turnNow = () => clock.turnNow!();
  const runAfterIO = (callback: () => void) => clock.afterIO!(callback);
  if (clock.turnNow !== undefined) unref.turnNow = turnNow;
  if (clock.afterIO !== undefined) unref.afterIO = runAfterIO;
  return unref;
}
