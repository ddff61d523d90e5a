/** What a report reads of any target: of a stream or controller, and of the load of a log. */

import type { BufferMetrics, SinkMetrics } from '../../api/metrics.js';
import type { ConsumeMetrics } from '../../postgres/consume/consume-metrics.js';

/** Metrics in the words of a buffer. */
export interface Reading extends Pick<
  BufferMetrics,
  | 'eventsFlushed'
  | 'eventsFailed'
  | 'eventsDropped'
  | 'dropsByReason'
  | 'bufferUtilization'
  | 'bufferSize'
  | 'inFlight'
  | 'producerBlockedMs'
  | 'isFailed'
  | 'lastError'
> {
  /** A log has no pressure states. */
  readonly timeInStateMs: Partial<BufferMetrics['timeInStateMs']>;
  readonly state: BufferMetrics['state'] | undefined;
  readonly flushes: number | undefined;
  /** Of a log only. */
  readonly consumed: ConsumeMetrics | undefined;
}

/** What `getMetrics()` returns: of a stream or a controller, or of the load of a log. */
export type ReportMetrics = (BufferMetrics & Partial<SinkMetrics>) | ConsumeMetrics;

export function readingOf(metrics: ReportMetrics): Reading {
  if (!('messagesRead' in metrics)) return { ...metrics, flushes: metrics.flushes, consumed: undefined };
  return {
    eventsFlushed: metrics.rowsLoaded,
    eventsFailed: metrics.deadLetters,
    eventsDropped: metrics.positionsLost,
    dropsByReason: {} as BufferMetrics['dropsByReason'],
    bufferUtilization: metrics.roomUtilization,
    bufferSize: metrics.messagesQueued,
    inFlight: metrics.messagesInFlight,
    producerBlockedMs: 0,
    isFailed: metrics.isFailed,
    lastError: metrics.lastError,
    timeInStateMs: {},
    state: undefined,
    flushes: metrics.batches,
    consumed: metrics,
  };
}
