/** How a process ends by a signal without losing what its sinks hold. */

import { isMainThread } from 'node:worker_threads';
import { systemClock, unrefClock, type Clock } from '../common/clock.js';
import { handlerFailed } from '../guards/user-callbacks.js';
import { checkSignalOptions, type DrainOnSignalsOptions, type SignalSettings } from './drain-all-options.js';
import { planDrain, type DrainableSinks, type DrainPlan } from './drain-order.js';
import { drainWithin, endAll, type SignalDrainReport } from './drain-report.js';
import { ProcessShutdowns, undeliveredItems } from './process-shutdowns.js';
import { SignalRule } from './signal-rule.js';
import { statusOf, type SignalTarget } from './signal-target.js';
import { writeLineNow } from './standard-error.js';
import { startTimeLimit } from './time-limit.js';

const LEAST_REPORT_MS = 1_000;
/** How long listeners that were added since the first signal may take to end the process themselves. */
const OTHERS_MS = 10_000;
let hasWarnedOfWorker = false;

/**
 * At the first signal drains all `sinks`, for at most `timeoutMs`; passes what was not delivered to `onDrained`; ends the sinks, and raises
 * the signal again, so that the process ends as one that the signal has ended. What producers offer meanwhile waits and is delivered or
 * reported too, or is dropped, as with `drain()`.
 *
 * A repeated SIGTERM changes nothing. A second SIGINT ends the process at once if it comes at least a second after the first: parents such
 * as npm forward a Ctrl-C that the terminal has sent already.
 *
 * If the process has other listeners for the signal, they get it both times, and to end the process is theirs. A listener that was added
 * since the first signal waits for a second one of the user: it has another `timeoutMs`, at least 10 s, to end the process itself.
 *
 * @example
 * ```ts
 * import { BackpressureWritable, drainOnSignals } from 'spillway';
 *
 * const sink = new BackpressureWritable<string>(async () => {});
 * const stopListening = drainOnSignals([sink], { timeoutMs: 5_000, onDrained: console.log });
 * // Once the process is to end by itself:
 * stopListening();
 * sink.end();
 * ```
 * @param sinks In the order of the pipeline: see `DrainableSinks`.
 * @returns A function that removes the listeners. A shutdown that is under way goes on.
 * @throws InvalidOptionError for a sink that is none, and for an option that is unknown or out of its range.
 */
export function drainOnSignals(sinks: DrainableSinks, options: DrainOnSignalsOptions = {}): () => void {
  const unlisten = listenForSignals(process, systemClock, sinks, options);
  if (!isMainThread && !hasWarnedOfWorker) {
    hasWarnedOfWorker = true;
    const message =
      'drainOnSignals() has no effect in a worker thread, because signals reach the main thread only: call drainAll() when the main thread asks the worker to end';
    process.emitWarning(message, { type: 'BackpressureWarning' });
  }
  return unlisten;
}

/** The same, for any process and clock. */
export function listenForSignals(
  target: SignalTarget,
  clock: Clock,
  sinks: DrainableSinks,
  options: DrainOnSignalsOptions,
  writeLine = writeLineNow,
): () => void {
  const settings = checkSignalOptions(options);
  const shutdown = new Shutdown(target, clock, planDrain(sinks), settings, writeLine);
  shutdown.listen();
  return () => shutdown.unlisten();
}

/** It listens, is under way, or over. */
class Shutdown {
  readonly #target: SignalTarget;
  readonly #clock: Clock;
  readonly #plan: DrainPlan;
  readonly #settings: SignalSettings;
  readonly #rule: SignalRule;
  readonly #shutdowns: ProcessShutdowns;
  #unwatch: (() => void) | undefined;
  #isUnderWay = false;
  readonly #onSignal = (signal: NodeJS.Signals) => {
    const action = this.#rule.decide(signal);
    if (action === 'drain') void this.#run(signal);
    else if (action === 'end') this.#endNow(signal);
  };

  constructor(
    target: SignalTarget,
    clock: Clock,
    plan: DrainPlan,
    settings: SignalSettings,
    writeLine: (line: string) => void,
  ) {
    this.#target = target;
    this.#clock = clock;
    this.#plan = plan;
    this.#settings = settings;
    this.#rule = new SignalRule(clock);
    this.#shutdowns = ProcessShutdowns.of(target, writeLine);
  }

  listen(): void {
    this.#shutdowns.listen(this.#settings.signals, this.#onSignal);
    if (this.#settings.exitNotice)
      this.#unwatch = this.#shutdowns.watch(this.#plan.members.map(({ drain }) => drain));
  }

  /** A drain under way keeps its listeners: others may raise the signal again, and it must not end the process. */
  unlisten(): void {
    if (!this.#isUnderWay) this.#leave();
  }

  #leave(): void {
    this.#stopListening();
    this.#unwatch?.();
  }

  #stopListening(): void {
    this.#shutdowns.unlisten(this.#settings.signals, this.#onSignal);
    this.#rule.close();
  }

  async #run(signal: NodeJS.Signals): Promise<void> {
    this.#isUnderWay = true;
    this.#shutdowns.begin(signal);
    const listeners = new Set(this.#shutdowns.othersOf(signal));
    const { timeoutMs } = this.#settings;
    const deadline = this.#clock.now() + timeoutMs;
    const restMs = () => Math.max(0, Math.ceil(deadline - this.#clock.now()));

    if (this.#settings.beforeDrain !== undefined) await this.#prepare(signal, timeoutMs / 2);
    const drained = await drainWithin(this.#plan, this.#clock, { limitMs: restMs(), timeoutMs });
    const report = { signal, ...drained };
    await this.#report(report, Math.max(restMs(), LEAST_REPORT_MS));
    endAll(this.#plan, signal);

    // The signal that the last of several calls raises must not end the process while others are under way.
    const reasons = report.errors.map(({ message }) => message);
    const allReasons = this.#shutdowns.end(() => this.#stopListening(), reasons);
    if (allReasons !== undefined) this.#raise(signal, listeners, allReasons);
  }

  /** Runs `beforeDrain`, within limits. */
  async #prepare(signal: NodeJS.Signals, limitMs: number): Promise<void> {
    const complaint = await this.#within('beforeDrain', limitMs, () => this.#settings.beforeDrain!(signal));
    if (complaint !== undefined) await this.#warn(complaint);
  }

  /** Waits for `onDrained`, within limits. */
  async #report(report: SignalDrainReport, limitMs: number): Promise<void> {
    const { onDrained, exitNotice } = this.#settings;
    let complaint: Error | string | undefined;
    if (onDrained !== undefined) {
      complaint = await this.#within('onDrained', limitMs, () => onDrained(report));
      if (complaint === undefined) for (const { drain } of this.#plan.members) drain.acknowledge();
    } else if (report.undelivered.length > 0 ? !exitNotice : report.errors.length > 0) {
      complaint = summaryOf(report);
    }
    if (complaint !== undefined) await this.#warn(complaint);
  }

  /** Awaits a callback of the user for at most `limitMs`. Returns what is to be said about it. */
  async #within(name: string, limitMs: number, call: () => unknown): Promise<Error | string | undefined> {
    let cancel!: () => void;
    const late = new Promise<string>((resolve) => {
      const message = `${name} has not answered within ${Math.ceil(limitMs)} ms`;
      cancel = startTimeLimit(this.#clock, limitMs, () => resolve(message));
    });
    try {
      return await Promise.race([Promise.resolve(call()).then(() => undefined), late]);
    } catch (thrown) {
      return handlerFailed(name, thrown);
    } finally {
      cancel();
    }
  }

  async #warn(warning: Error | string): Promise<void> {
    this.#target.emitWarning(warning, { type: 'BackpressureWarning' });
    // It is printed a tick later, and the process may be about to end.
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** The user insists. Other listeners of the same signal run first. */
  #endNow(signal: NodeJS.Signals): void {
    this.#stopListening();
    process.nextTick(() => {
      this.#shutdowns.printUndelivered(`a second ${signal} ended the process`);
      if (this.#target.listeners(signal).length === 0) this.#target.kill(this.#target.pid, signal);
      this.#target.exit(statusOf(signal));
    });
  }

  /** With nobody else listening, this ends the process. */
  #raise(signal: NodeJS.Signals, atFirst: ReadonlySet<unknown>, reasons: readonly string[]): void {
    const others = this.#shutdowns.othersOf(signal);
    const goesOn = this.#target.listeners(signal).length > 0;
    this.#shutdowns.printUndelivered(`${signal} ended the process`, reasons, goesOn);
    // Some end the process when they are done (close-with-grace), and some only if the signal comes again (signal-exit). Sinks that were
    // given to another call since the first signal begin their drain at this one.
    if (others.every((listener) => atFirst.has(listener))) this.#kill(signal);
    else
      unrefClock(this.#clock).setTimeout(
        () => this.#kill(signal),
        Math.max(OTHERS_MS, this.#settings.timeoutMs),
      );
  }

  #kill(signal: NodeJS.Signals): void {
    const target = this.#target;
    target.kill(target.pid, signal);
    // The first process of a container survives it: the kernel spares it what it does not listen to.
    if (target.listeners(signal).length === 0) target.exit(statusOf(signal));
  }
}

function summaryOf({ signal, undelivered, errors }: SignalDrainReport): string {
  const reasons = errors.map(({ message }) => message).join('; ');
  return `${undeliveredItems(undelivered.length)} before ${signal} ended the process${reasons && `: ${reasons}`}`;
}
