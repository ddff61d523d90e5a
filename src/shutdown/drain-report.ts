/** What became of sinks that were drained together. */

import type { Clock } from '../common/clock.js';
import { drainInOrder, type DrainPlan } from './drain-order.js';
import type { DrainableSink } from './drainable-sink.js';
import { startTimeLimit } from './time-limit.js';

/** What became of the sinks. */
export interface DrainReport {
  /** The signal that the process is about to end by; `undefined` if there was none. */
  signal: NodeJS.Signals | undefined;
  /**
   * Every item that did not arrive, sink by sink, in order. Those that were in flight when time ran out may have arrived, or arrive yet; of
   * the others none is flushed any more.
   */
  undelivered: unknown[];
  /** Why: `ERR_BACKPRESSURE_DRAIN_TIMEOUT`, or what a sink failed with. */
  errors: Error[];
  /** The same, for each sink, in the order in which they were given. */
  sinks: { sink: DrainableSink; undelivered: unknown[]; error: Error | undefined }[];
}

/** The report of a drain that a signal began. */
export interface SignalDrainReport extends DrainReport {
  signal: NodeJS.Signals;
}

/** Drains the sinks for at most `limitMs`; then all that is open is reported. Keeps the process alive meanwhile. */
export async function drainWithin(
  plan: DrainPlan,
  clock: Clock,
  { limitMs, timeoutMs }: { limitMs: number; timeoutMs: number },
): Promise<Omit<DrainReport, 'signal'>> {
  const expire = () => {
    // All at once: an item cannot pass from one to the next and be reported by both.
    for (const { drain } of plan.members) drain.expire(timeoutMs);
  };
  const cancel = startTimeLimit(clock, limitMs, expire);
  await drainInOrder(plan);
  cancel();
  // At the same instant, so that what a producer offers to one of them while others drain is reported, too.
  const sinks = plan.members.map(({ sink, drain }) => ({ sink, ...drain.finish() }));
  return {
    undelivered: sinks.flatMap(({ undelivered }) => undelivered),
    errors: sinks.flatMap(({ error }) => error ?? []),
    sinks,
  };
}

/** Ends the sinks, the last of a pipeline first, so that each error names the reason and not its neighbour. */
export function endAll({ members }: DrainPlan, reason: string): void {
  for (const { drain } of members.toReversed()) drain.end(reason);
}
