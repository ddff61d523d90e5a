/** Drains without a signal: for frameworks with shutdown hooks of their own, and for worker threads. */

import { systemClock, type Clock } from '../common/clock.js';
import { handled } from '../guards/user-callbacks.js';
import { checkDrainAllOptions, type DrainAllOptions } from './drain-all-options.js';
import { planDrain, type DrainableSinks } from './drain-order.js';
import { drainWithin, endAll, type DrainReport } from './drain-report.js';
import { ProcessShutdowns } from './process-shutdowns.js';
import type { SignalTarget } from './signal-target.js';
import { writeLineNow } from './standard-error.js';

/**
 * Drains all `sinks` for at most `timeoutMs`, ends them, and resolves with what was not delivered: the report that `onDrained` of
 * `drainOnSignals` gets. Never rejects.
 *
 * If a drain of one of the sinks is under way, by a signal or another call, this one joins it: the sink is drained once, both get the same
 * report of it, and the earlier of two timeouts ends it. Called again, it returns the same report again.
 *
 * @example
 * ```ts
 * import { BackpressureWritable, drainAll } from 'spillway';
 *
 * const sink = new BackpressureWritable<string>(async () => {});
 * sink.write('event');
 * const report = await drainAll([sink], { timeoutMs: 5_000 });
 * console.log(report.undelivered.length);
 * ```
 * @param sinks In the order of the pipeline: see `DrainableSinks`.
 * @throws InvalidOptionError for a sink that is none, and for an option that is unknown or out of its range.
 */
export function drainAll(sinks: DrainableSinks, options: DrainAllOptions = {}): Promise<DrainReport> {
  return drainAllOf(process, systemClock, sinks, options);
}

/** The same, for any process and clock. */
export function drainAllOf(
  target: SignalTarget,
  clock: Clock,
  sinks: DrainableSinks,
  options: DrainAllOptions,
  writeLine = writeLineNow,
): Promise<DrainReport> {
  const { timeoutMs, exitNotice } = checkDrainAllOptions(options);
  const plan = planDrain(sinks);
  const shutdowns = ProcessShutdowns.of(target, writeLine);
  const unwatch = exitNotice ? shutdowns.watch(plan.members.map(({ drain }) => drain)) : undefined;
  const drain = async (): Promise<DrainReport> => {
    const report = await drainWithin(plan, clock, { limitMs: timeoutMs, timeoutMs });
    const { signal } = shutdowns;
    endAll(plan, signal ?? 'drainAll()');
    unwatch?.();
    return { signal, ...report };
  };
  return handled(drain());
}
