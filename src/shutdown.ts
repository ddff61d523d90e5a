/** How a process ends by a signal without losing what its sinks hold. */

import { constants } from 'node:os';
import { systemClock, type Clock, type TimerHandle } from './clock.js';
import { toError } from './errors.js';
import { handlerFailed } from './handlers.js';
import { SHUTDOWN, type DrainableSink, type SinkShutdown } from './sink-shutdown.js';
import { checkDuration, checkFunction, checkNames, optional, refuse } from './validate.js';

export interface DrainOnSignalsOptions {
  /** How long the sinks may take together to deliver what they hold, in milliseconds, at least 0. Default 10 000. */
  timeoutMs?: number;
  /** Which signals. Default `['SIGTERM', 'SIGINT']`; at least one, and neither SIGKILL nor SIGSTOP, which no process can catch. */
  signals?: readonly NodeJS.Signals[];
  /**
   * Learns what became of the sinks, before they are destroyed and the process ends. May be asynchronous: it has what is left of
   * `timeoutMs`, but at least 1 000 ms. Default: a process warning that counts the items, where some are undelivered or a sink failed.
   */
  onDrained?: (report: DrainReport) => unknown;
}

/** What became of the sinks. */
export interface DrainReport {
  signal: NodeJS.Signals;
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

/** What is used of `process`. */
export interface SignalTarget {
  readonly pid: number;
  on(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown;
  off(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown;
  listenerCount(signal: NodeJS.Signals): number;
  kill(pid: number, signal: NodeJS.Signals): unknown;
  exit(code: number): unknown;
  emitWarning(warning: Error | string, options: { type: string }): void;
  /** Shutdowns under way. On the process, for ES module and CommonJS build may both be at it. */
  [UNDER_WAY]?: number;
}

const UNDER_WAY: unique symbol = Symbol.for('spillway.shutdownsUnderWay');
/** The table of options in the README is compared with these by a test. */
export const SHUTDOWN_OPTIONS: ReadonlySet<string> = new Set(['timeoutMs', 'signals', 'onDrained']);
export const SHUTDOWN_DEFAULTS: { timeoutMs: number; signals: readonly NodeJS.Signals[] } = {
  timeoutMs: 10_000,
  signals: ['SIGTERM', 'SIGINT'],
};
const LEAST_REPORT_MS = 1_000;

/**
 * At the first signal drains all `sinks` at the same time, for at most `timeoutMs`; tells `onDrained` what was not delivered; destroys the
 * streams, stops the controllers, and raises the signal again, so that the process ends as one that the signal has ended. A second signal
 * meanwhile ends it at once. What producers offer meanwhile waits and is delivered or reported too, or is dropped, as with `drain()`.
 *
 * Where the process has other listeners for the signal, they get it both times, and to end the process is theirs.
 *
 * @returns A function that takes the listeners away again. A shutdown that is under way goes on.
 * @throws InvalidOptionError for a sink that is none, and for an option that is unknown or out of its range.
 */
export function drainOnSignals(
  sinks: Iterable<DrainableSink>,
  options: DrainOnSignalsOptions = {},
): () => void {
  return listenForSignals(process, systemClock, sinks, options);
}

/** The same, for any process and clock. */
export function listenForSignals(
  target: SignalTarget,
  clock: Clock,
  sinks: Iterable<DrainableSink>,
  options: DrainOnSignalsOptions,
): () => void {
  if (typeof options !== 'object' || (options as unknown) === null) refuse('options', 'an object', options);
  checkNames(options, SHUTDOWN_OPTIONS, 'drainOnSignals()');
  const { timeoutMs = SHUTDOWN_DEFAULTS.timeoutMs, signals = SHUTDOWN_DEFAULTS.signals, onDrained } = options;
  const shutdown = new Shutdown(target, clock, checkSinks(sinks), {
    timeoutMs: checkDuration('timeoutMs', timeoutMs, 0),
    signals: checkSignals(signals),
    onDrained: optional(onDrained, (value) => checkFunction('onDrained', value)),
  });
  shutdown.listen();
  return () => shutdown.unlisten();
}

interface Settings {
  timeoutMs: number;
  signals: NodeJS.Signals[];
  onDrained: DrainOnSignalsOptions['onDrained'];
}

/** It listens, is under way, or over. */
class Shutdown {
  readonly #target: SignalTarget;
  readonly #clock: Clock;
  readonly #sinks: DrainableSink[];
  readonly #settings: Settings;
  #isUnderWay = false;
  readonly #onSignal = (signal: NodeJS.Signals) => {
    if (this.#isUnderWay) this.#raise(signal);
    else void this.#run(signal);
  };

  constructor(target: SignalTarget, clock: Clock, sinks: DrainableSink[], settings: Settings) {
    this.#target = target;
    this.#clock = clock;
    this.#sinks = sinks;
    this.#settings = settings;
  }

  listen(): void {
    for (const signal of this.#settings.signals) this.#target.on(signal, this.#onSignal);
  }

  unlisten(): void {
    for (const signal of this.#settings.signals) this.#target.off(signal, this.#onSignal);
  }

  async #run(signal: NodeJS.Signals): Promise<void> {
    const target = this.#target;
    this.#isUnderWay = true;
    target[UNDER_WAY] = (target[UNDER_WAY] ?? 0) + 1;
    const deadline = this.#clock.now() + this.#settings.timeoutMs;
    const restMs = () => Math.max(0, Math.ceil(deadline - this.#clock.now()));

    const shutdowns = this.#sinks.map((sink) => ({ sink, shutdown: sink[SHUTDOWN]() }));
    const sinks = await Promise.all(
      shutdowns.map(async ({ sink, shutdown }) => ({ sink, ...(await drainOne(shutdown, restMs)) })),
    );
    const undelivered = sinks.flatMap((one) => one.undelivered);
    const errors = sinks.flatMap(({ error }) => error ?? []);
    await this.#tell({ signal, undelivered, errors, sinks }, Math.max(restMs(), LEAST_REPORT_MS));

    for (const { shutdown } of shutdowns) shutdown?.end(signal);
    this.unlisten();
    // Another call's shutdown would take the signal for the second one, and be cut short: the last to end raises it.
    if (--target[UNDER_WAY] === 0) this.#raise(signal);
  }

  /** Waits for `onDrained`, within limits: it must not hold the process for ever, and no failure of its own either. */
  async #tell(report: DrainReport, limitMs: number): Promise<void> {
    const { onDrained } = this.#settings;
    if (onDrained === undefined) {
      if (report.errors.length > 0 || report.undelivered.length > 0) await this.#warn(summaryOf(report));
      return;
    }
    let timer: TimerHandle;
    const late = new Promise<string>((resolve) => {
      const message = `onDrained has not answered within ${Math.ceil(limitMs)} ms`;
      timer = this.#clock.setTimeout(() => resolve(message), limitMs);
    });
    try {
      const answered = Promise.resolve(onDrained(report)).then(() => undefined);
      const complaint = await Promise.race([answered, late]);
      if (complaint !== undefined) await this.#warn(complaint);
    } catch (thrown) {
      await this.#warn(handlerFailed('onDrained', thrown));
    } finally {
      this.#clock.clearTimeout(timer);
    }
  }

  async #warn(warning: Error | string): Promise<void> {
    this.#target.emitWarning(warning, { type: 'BackpressureWarning' });
    // It is printed a tick later, and the process is about to end.
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** With nobody else listening, this ends the process. */
  #raise(signal: NodeJS.Signals): void {
    const target = this.#target;
    this.unlisten();
    target.kill(target.pid, signal);
    // The first process of a container survives it: the kernel spares it what it does not listen to.
    if (target.listenerCount(signal) === 0) target.exit(128 + constants.signals[signal]);
  }
}

async function drainOne(
  shutdown: SinkShutdown | undefined,
  restMs: () => number,
): Promise<{ undelivered: unknown[]; error: Error | undefined }> {
  let error: Error | undefined;
  try {
    await shutdown?.drain(restMs);
  } catch (thrown) {
    error = toError(thrown);
  }
  return { undelivered: shutdown?.halt() ?? [], error };
}

function summaryOf({ signal, undelivered, errors }: DrainReport): string {
  const reasons = errors.map(({ message }) => message).join('; ');
  return `${undelivered.length} items were not delivered before ${signal} ended the process${reasons && `: ${reasons}`}`;
}

function checkSinks(sinks: unknown): DrainableSink[] {
  const expected = 'an iterable of BackpressureWritable and BackpressureController';
  if (typeof (sinks as Iterable<unknown> | undefined)?.[Symbol.iterator] !== 'function')
    return refuse('sinks', expected, sinks);
  const all = [...new Set(sinks as Iterable<unknown>)];
  for (const sink of all)
    if (typeof (sink as DrainableSink | undefined)?.[SHUTDOWN] !== 'function')
      refuse('sinks', expected, sink);
  return all as DrainableSink[];
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
