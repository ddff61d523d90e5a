/** What a sink counts beside its ledger, and the snapshot that `getMetrics()` returns. */

import type { FlushReason } from '../api/flush-function.js';
import type { FlushReport } from '../api/events.js';
import type { SinkMetrics } from '../api/metrics.js';
import type { AdmissionQueue } from '../buffer/admission-queue.js';
import { bufferMetrics } from '../buffer/buffer-metrics.js';
import { timeOfDay } from '../common/clock.js';
import type { CallPermits } from './resilience/call-permits.js';
import type { FlushScheduler } from './schedule/flush-scheduler.js';
import type { Position } from '../common/position.js';

export class FlushCounters {
  readonly launched: Record<FlushReason, number> = { size: 0, bytes: 0, interval: 0, drain: 0, manual: 0 };
  retries = 0;
  lateResults = 0;
  lastError: Error | undefined;
  lastSuccessAt: number | undefined;

  onAttempt({ error, success }: FlushReport, endedAt: number): void {
    if (error !== undefined) this.lastError = error;
    if (success > 0) this.lastSuccessAt = endedAt;
  }
}

/** What a snapshot is taken of. */
export interface SinkParts<T> {
  queue: AdmissionQueue<T>;
  scheduler: FlushScheduler<T>;
  permits: CallPermits;
  counters: FlushCounters;
  /** Batches are flushed: it is neither stopped nor at its end. */
  isRunning: boolean;
  failure: Error | undefined;
  /** When the oldest item in flight was admitted; `Infinity` if there is none. */
  oldestInFlight: number;
  committedPosition: Position | undefined;
}

export function sinkMetrics<T>(parts: SinkParts<T>): SinkMetrics {
  const { queue, scheduler, permits, counters, failure, oldestInFlight, committedPosition } = parts;
  const { clock } = queue.settings;
  const flushesByReason = { ...counters.launched };
  const { size, bytes, interval, drain, manual } = flushesByReason;
  const { producerBlockedMs } = scheduler;
  const { lastError, lastSuccessAt } = counters;
  const probeAt = failure === undefined ? permits.nextProbeAt : undefined;
  // Not `{ ...bufferMetrics(…), … }`: V8 of Node 20 takes 15 µs for a spread that so many properties follow.
  return Object.assign(bufferMetrics(queue, { producerBlockedMs, oldestInFlight, failure, lastError }), {
    lastFlushLatencyMs: scheduler.pace.lastLatencyMs,
    currentFlushIntervalMs: scheduler.pace.intervalMs,
    currentBatchSize: scheduler.limits.batchSize,
    currentConcurrency: scheduler.limits.concurrency,
    flushes: size + bytes + interval + drain + manual,
    flushesByReason,
    retries: counters.retries,
    lateResults: counters.lateResults,
    breaker: permits.state,
    nextProbeTime: probeAt === undefined ? undefined : timeOfDay(clock, probeAt),
    lastSuccessTime: lastSuccessAt === undefined ? undefined : timeOfDay(clock, lastSuccessAt),
    committedPosition,
  });
}
