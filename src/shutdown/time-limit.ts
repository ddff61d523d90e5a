import type { Clock } from '../common/clock.js';

/**
 * Calls back when so much time is over, and the I/O that has arrived by then has been dealt with. Unlike for a `Deadline`, all time counts:
 * what ends the process in the end does not wait either. Returns a function that cancels it.
 *
 * @param limitMs 0 to `Infinity`
 */
export function startTimeLimit(clock: Clock, limitMs: number, onOver: () => void): () => void {
  if (limitMs === Infinity) return () => undefined;
  let isCancelled = false;
  const end = (): void => {
    if (!isCancelled) onOver();
  };
  const timer = clock.setTimeout(
    () => (clock.afterIO === undefined ? end() : clock.afterIO(end)),
    Math.ceil(limitMs),
  );
  return () => {
    isCancelled = true;
    clock.clearTimeout(timer);
  };
}
