/** What all shutdowns of one process share: its listeners, how many are under way, and the line that says what is lost. */

import type { SinkDrain } from './drainable-sink.js';
import type { SignalTarget } from './signal-target.js';

const SHUTDOWNS: unique symbol = Symbol.for('spillway.shutdowns');

/** The process carries them, because the ES module and the CommonJS build may both be loaded. */
interface ShutdownsHolder {
  [SHUTDOWNS]?: ProcessShutdowns;
}

type SignalListener = (signal: NodeJS.Signals) => void;

export class ProcessShutdowns {
  readonly #target: SignalTarget;
  readonly #writeLine: (line: string) => void;
  /** The sinks whose undelivered items are counted, each with the number of callers that watch it. */
  readonly #watched = new Map<SinkDrain, number>();
  /** Sinks that a line has counted: another caller may watch them afterwards. */
  readonly #printed = new WeakSet<SinkDrain>();
  readonly #onExit = () => this.printUndelivered('the process ended');
  readonly #listeners = new Map<NodeJS.Signals, Set<SignalListener>>();
  /** One listener for each signal, because Node warns of a leak above ten. */
  readonly #onSignal = (signal: NodeJS.Signals) => {
    for (const listener of [...(this.#listeners.get(signal) ?? [])]) listener(signal);
  };
  #underWay = 0;
  #signal: NodeJS.Signals | undefined;
  /** Of the drains that are over while others are under way. */
  readonly #over: { leave: () => void; reasons: readonly string[] }[] = [];

  static of(target: SignalTarget & ShutdownsHolder, writeLine: (line: string) => void): ProcessShutdowns {
    const existing = target[SHUTDOWNS];
    if (existing !== undefined) return existing;
    return (target[SHUTDOWNS] = new ProcessShutdowns(target, writeLine));
  }

  private constructor(target: SignalTarget, writeLine: (line: string) => void) {
    this.#target = target;
    this.#writeLine = writeLine;
  }

  /** The first signal that a drain began with. */
  get signal(): NodeJS.Signals | undefined {
    return this.#signal;
  }

  listen(signals: readonly NodeJS.Signals[], listener: SignalListener): void {
    for (const signal of signals) {
      const listeners = this.#listeners.get(signal) ?? new Set();
      this.#listeners.set(signal, listeners);
      // First of all listeners: what others do about the signal, such as to add listeners for a second one, comes after it.
      if (listeners.size === 0) this.#target.prependListener(signal, this.#onSignal);
      listeners.add(listener);
    }
  }

  unlisten(signals: readonly NodeJS.Signals[], listener: SignalListener): void {
    for (const signal of signals) {
      const listeners = this.#listeners.get(signal);
      if (listeners?.delete(listener) === true && listeners.size === 0)
        this.#target.off(signal, this.#onSignal);
    }
  }

  /** Listeners of the signal that are not ours. */
  othersOf(signal: NodeJS.Signals): unknown[] {
    return this.#target.listeners(signal).filter((listener) => listener !== this.#onSignal);
  }

  begin(signal: NodeJS.Signals): void {
    this.#underWay++;
    this.#signal ??= signal;
  }

  /**
   * A drain by a signal is over. `leave` removes its listeners, once no other is under way: until then they keep the process alive.
   * Returns the reasons of all if this was the last one: it raises the signal.
   */
  end(leave: () => void, reasons: readonly string[]): string[] | undefined {
    this.#over.push({ leave, reasons });
    if (--this.#underWay > 0) return undefined;
    const over = this.#over.splice(0);
    for (const one of over) one.leave();
    // Two drains of one sink have the same.
    return [...new Set(over.flatMap((one) => one.reasons))];
  }

  /** Counts what these sinks have not delivered when the process exits. Returns a function that stops it. */
  watch(all: readonly SinkDrain[]): () => void {
    const drains = all.filter((drain) => !this.#printed.has(drain));
    // First of all: a listener that throws, or calls `exit` itself, ends the others' turn.
    if (drains.length > 0 && this.#watched.size === 0) this.#target.prependListener('exit', this.#onExit);
    for (const drain of drains) this.#watched.set(drain, (this.#watched.get(drain) ?? 0) + 1);
    let isWatching = true;
    return () => {
      if (!isWatching) return;
      isWatching = false;
      for (const drain of drains) {
        const callers = this.#watched.get(drain);
        if (callers === undefined) continue;
        if (callers > 1) this.#watched.set(drain, callers - 1);
        else this.#watched.delete(drain);
      }
      this.#stopIfUnused();
    };
  }

  /** Prints one line if something is undelivered, once for each sink. `reasons` are appended. */
  printUndelivered(event: string, reasons: readonly string[] = [], onlyReported = false): void {
    let count = 0;
    for (const drain of this.#watched.keys()) {
      if (onlyReported && !drain.isReported) continue;
      count += drain.undelivered;
      this.#watched.delete(drain);
      this.#printed.add(drain);
    }
    this.#stopIfUnused();
    if (count === 0) return;
    const why = reasons.length > 0 ? `: ${reasons.join('; ')}` : '';
    this.#writeLine(`spillway: ${undeliveredItems(count)} before ${event}${why}`);
  }

  #stopIfUnused(): void {
    if (this.#watched.size === 0) this.#target.off('exit', this.#onExit);
  }
}

export function undeliveredItems(count: number): string {
  return count === 1 ? '1 item was not delivered' : `${count} items were not delivered`;
}
