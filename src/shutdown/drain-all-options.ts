/** Options of `drainOnSignals` and `drainAll`, with their defaults and checks. */

import { AsyncResource } from 'node:async_hooks';
import { constants } from 'node:os';
import {
  checkBoolean,
  checkDuration,
  checkFunction,
  checkNames,
  optional,
  refuse,
} from '../guards/validate.js';
import type { SignalDrainReport } from './drain-report.js';

export interface DrainAllOptions {
  /** How long the sinks may take together to deliver what they hold, in milliseconds, at least 0. Default 10 000. */
  timeoutMs?: number;
  /**
   * Whether one line on standard error says how many items are undelivered if the process exits first. Default `true`. It is written
   * synchronously, no matter who called `exit`; a process that is killed (SIGKILL) writes none.
   */
  exitNotice?: boolean;
}

export interface DrainOnSignalsOptions extends DrainAllOptions {
  /** Which signals. Default `['SIGTERM', 'SIGINT']`; at least one, and neither SIGKILL nor SIGSTOP, which no process can catch. */
  signals?: readonly NodeJS.Signals[];
  /**
   * Runs before the drain, while the sinks still take items: to switch readiness off and close servers. It is awaited for at most half of
   * `timeoutMs`, which the drain then has less. If it throws or takes longer, a process warning says so, and the drain begins.
   */
  beforeDrain?: (signal: NodeJS.Signals) => unknown;
  /**
   * Gets the report before the sinks are destroyed and the process ends. It may be asynchronous: it has what is left of `timeoutMs`, but at
   * least 1 000 ms. Default: a process warning if a sink failed.
   */
  onDrained?: (report: SignalDrainReport) => unknown;
}

/** The table of options in `shutdown/README.md` is compared with these by a test. */
export const SHUTDOWN_OPTIONS: ReadonlySet<string> = new Set([
  'timeoutMs',
  'signals',
  'beforeDrain',
  'onDrained',
  'exitNotice',
]);
export const SHUTDOWN_DEFAULTS: {
  timeoutMs: number;
  signals: readonly NodeJS.Signals[];
  exitNotice: boolean;
} = {
  timeoutMs: 10_000,
  signals: ['SIGTERM', 'SIGINT'],
  exitNotice: true,
};
const DRAIN_ALL_OPTIONS: ReadonlySet<string> = new Set(['timeoutMs', 'exitNotice']);

export interface SignalSettings {
  timeoutMs: number;
  exitNotice: boolean;
  signals: NodeJS.Signals[];
  beforeDrain: DrainOnSignalsOptions['beforeDrain'];
  onDrained: DrainOnSignalsOptions['onDrained'];
}

export function checkSignalOptions(options: DrainOnSignalsOptions): SignalSettings {
  const common = checkCommon(options, SHUTDOWN_OPTIONS, 'drainOnSignals()');
  return {
    ...common,
    signals: checkSignals(options.signals ?? SHUTDOWN_DEFAULTS.signals),
    beforeDrain: optional('beforeDrain', options.beforeDrain, checkAndBind),
    onDrained: optional('onDrained', options.onDrained, checkAndBind),
  };
}

/** A callback that runs in the context in which it was given. */
function checkAndBind<Args extends unknown[], R>(option: string, value: (...args: Args) => R) {
  return AsyncResource.bind(checkFunction(option, value));
}

export function checkDrainAllOptions(options: DrainAllOptions): Required<DrainAllOptions> {
  return checkCommon(options, DRAIN_ALL_OPTIONS, 'drainAll()');
}

function checkCommon(
  options: DrainAllOptions,
  names: ReadonlySet<string>,
  owner: string,
): Required<DrainAllOptions> {
  if (typeof options !== 'object' || (options as unknown) === null) refuse('options', 'an object', options);
  checkNames(options, names, owner);
  const { timeoutMs = SHUTDOWN_DEFAULTS.timeoutMs, exitNotice = SHUTDOWN_DEFAULTS.exitNotice } = options;
  return {
    timeoutMs: checkDuration('timeoutMs', timeoutMs, 0),
    exitNotice: checkBoolean('exitNotice', exitNotice),
  };
}

function checkSignals(signals: unknown): NodeJS.Signals[] {
  const expected = 'an array of at least one name of a signal that can be caught, such as SIGTERM';
  if (!Array.isArray(signals) || signals.length === 0) return refuse('signals', expected, signals);
  for (const signal of signals as unknown[]) {
    const isKnown = typeof signal === 'string' && Object.hasOwn(constants.signals, signal);
    if (!isKnown || signal === 'SIGKILL' || signal === 'SIGSTOP') refuse('signals', expected, signal);
  }
  return [...new Set(signals as NodeJS.Signals[])];
}
