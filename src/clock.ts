/** Time, injected: the engine asks this interface and nothing else, so that tests can turn the hands. */

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
}

/** The longest delay that Node's timers take; longer ones would fire at once. */
export const LONGEST_DELAY_MS = 2 ** 31 - 1;

// The real one: a test's stand-in that is never run would stop this clock for good.
const runAfterTurn = queueMicrotask;
let turnTime = -1;
const endTurn = () => {
  turnTime = -1;
};

/** Runs the callback once what I/O has brought by now has been dealt with. */
export function afterIO(callback: () => void): void {
  setImmediate(callback);
}

/** The process's own clock. Looks its functions up at each call, so that test tools which replace them are respected. */
export const systemClock: Clock = {
  now: () => performance.now(),
  turnNow: () => {
    // Reading the clock costs as much as admitting an item: once per turn is enough.
    if (turnTime < 0) {
      turnTime = performance.now();
      runAfterTurn(endTurn);
    }
    return turnTime;
  },
  setTimeout: (callback, delayMs) => setTimeout(callback, delayMs),
  clearTimeout: (handle) => {
    clearTimeout(handle as NodeJS.Timeout);
  },
};

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
  if (clock.turnNow !== undefined) unref.turnNow = () => clock.turnNow!();
  return unref;
}
