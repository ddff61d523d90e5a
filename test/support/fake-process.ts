import { EventEmitter } from 'node:events';
import type { SignalTarget } from '../../src/shutdown.js';

/** A process that survives the signals it sends itself, and tells what was done to it. */
export class FakeProcess extends EventEmitter implements SignalTarget {
  readonly pid = 4711;
  readonly done: string[] = [];

  kill(pid: number, signal: NodeJS.Signals): void {
    this.done.push(`kill ${pid} ${signal}`);
    this.emit(signal, signal);
  }

  exit(code: number): void {
    this.done.push(`exit ${code}`);
  }

  emitWarning(warning: Error | string): void {
    this.done.push(`warning ${String(warning)}`);
  }

  signal(name: NodeJS.Signals = 'SIGTERM'): void {
    this.emit(name, name);
  }

  get listening(): number {
    return this.eventNames().reduce((sum, name) => sum + this.listenerCount(name), 0);
  }
}
