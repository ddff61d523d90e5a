/** What the view of a long command shows, at one instant. Each kind of command has a reading of its own. */

import type { FlushReport } from '../../api/events.js';
import type { SinkMetrics } from '../../api/metrics.js';
import type { ConsumeMetrics } from '../../postgres/consume/consume-metrics.js';
import type { ConsumeProgress } from '../../postgres/consume/consume-progress.js';
import { duration } from '../common/counted.js';
import { causesOf, oneLine } from '../common/errors.js';

interface AnyReading {
  /** What goes where. */
  readonly title: string;
  /** What is done at the moment, if it is not the usual work: connecting, creating a table, the answer to COMMIT. */
  readonly doing?: string | undefined;
  readonly isStopping: boolean;
  /** The lock that the server waits for, and who holds it, if that is known. */
  readonly lock?: string | undefined;
}

/** A sink whose flushes are measured. */
export interface WatchedSink {
  getMetrics(): SinkMetrics;
  on(event: 'flush', listener: (report: FlushReport) => void): unknown;
}

export interface LoadReading extends AnyReading {
  readonly kind: 'load';
  /** How much of the input was read, in the unit of `total`, which is undefined if unknown. */
  readonly done: number;
  readonly total: number | undefined;
  readonly unit: 'bytes' | 'rows';
  /** Undefined before rows are loaded. It is another one after the load has started over. */
  readonly sink: WatchedSink | undefined;
  readonly connections?: { readonly busy: number; readonly most: number } | undefined;
  /** Undefined without a file of rejects. */
  readonly rejects?: number | undefined;
  /** What the last call failed for, if it is to be made again. */
  readonly waitingFor?: string | undefined;
  /** When that is, on the clock of `performance.now()`. */
  readonly nextAttemptAt?: number | undefined;
}

export interface ConsumeReading extends AnyReading {
  readonly kind: 'consume';
  /** Undefined before the worker has begun. */
  readonly metrics: ConsumeMetrics | undefined;
  /** Over all workers, as it was found last; undefined if it never was. */
  readonly progress: ConsumeProgress | undefined;
  readonly now: Date;
}

const WAITED_FOR = { log: 'NATS', database: 'PostgreSQL' };

/** Says what a worker waits for, since when and why. Undefined: for nothing. */
export function outageOf({ metrics, now }: Pick<ConsumeReading, 'metrics' | 'now'>): string | undefined {
  if (metrics?.waitingFor === undefined) return undefined;
  const { waitingFor, waitingSince, lastError } = metrics;
  const since = duration(Math.max(0, now.getTime() - waitingSince!.getTime()));
  const messages = causesOf(lastError).map(({ message }) => message);
  // Of the database, the last cause is what the network or the server said. What was tried changes, and would hide it.
  const reason = messages.filter((text) => text !== '').at(waitingFor === 'database' ? -1 : 0);
  return `waiting for ${WAITED_FOR[waitingFor]} for ${since}${reason === undefined ? '' : ` (${oneLine(reason)})`}`;
}

/** A command that only waits. */
interface TaskReading extends AnyReading {
  readonly kind: 'task';
}

export type Reading = LoadReading | ConsumeReading | TaskReading;
