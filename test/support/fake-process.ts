import { EventEmitter } from 'node:events';
import type { SignalTarget } from '../../src/shutdown/signal-target.js';

/** A process that survives the signals it sends itself, and records what was done to it. */
export class FakeProcess extends EventEmitter implements SignalTarget {
  readonly pid = 4711;
  readonly done: string[] = [];
  /** Lines on standard error. */
  readonly lines: string[] = [];
  /** `'exit'` is emitted once. */
  #hasExited = false;

  readonly writeLine = (line: string): void => void this.lines.push(line);

  kill(pid: number, signal: NodeJS.Signals): void {
    this.done.push(`kill ${pid} ${signal}`);
    this.emit(signal, signal);
  }

  exit(code: number): void {
    this.done.push(`exit ${code}`);
    if (this.#hasExited) return;
    this.#hasExited = true;
    this.emit('exit', code);
  }

  emitWarning(warning: Error | string): void {
    this.done.push(`warning ${String(warning)}`);
  }

  signal(name: NodeJS.Signals = 'SIGTERM'): void {
    this.emit(name, name);
  }

  /** Listeners of any signal. */
  get listening(): number {
    return this.eventNames().reduce((sum, name) => sum + (name === 'exit' ? 0 : this.listenerCount(name)), 0);
  }
}
