/** What a shutdown uses of `process`. */

import { constants } from 'node:os';

export interface SignalTarget {
  readonly pid: number;
  prependListener(event: NodeJS.Signals | 'exit', listener: (signal: NodeJS.Signals) => void): unknown;
  off(event: NodeJS.Signals | 'exit', listener: (signal: NodeJS.Signals) => void): unknown;
  listeners(signal: NodeJS.Signals): readonly unknown[];
  kill(pid: number, signal: NodeJS.Signals): unknown;
  exit(code: number): unknown;
  emitWarning(warning: Error | string, options: { type: string }): void;
}

/** The status of a process that a signal ended, as a shell shows it. */
export function statusOf(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal];
}
