import { errorClassOf } from '../common/thrown.js';
import type { BufferMetrics } from '../api/metrics.js';
import type { AdmissionQueue } from './admission-queue.js';

const NONE = { count: 0, bytes: 0 };

/** What the queue does not know. */
export interface StageFacts {
  producerBlockedMs: number;
  /** When the oldest item in flight was admitted; `Infinity` if there is none. */
  oldestInFlight: number;
  failure: Error | undefined;
  lastError: Error | undefined;
  /** Items whose results wait: in flight for the queue, and in the buffer for everybody else. */
  mapped?: { count: number; bytes: number };
}

export function bufferMetrics<T>(
  queue: AdmissionQueue<T>,
  { producerBlockedMs, oldestInFlight, failure, lastError, mapped = NONE }: StageFacts,
): BufferMetrics {
  const { ledger, settings } = queue;
  const now = settings.clock.now();
  const oldestQueued = ledger.queued === 0 ? Infinity : queue.oldestTime;
  const error = failure ?? lastError;
  return {
    state: queue.state,
    bufferSize: ledger.queued + mapped.count,
    bufferUtilization: queue.utilization,
    eventsOffered: ledger.offered,
    eventsAccepted: ledger.accepted,
    eventsDropped: ledger.dropped,
    dropsByReason: { ...ledger.drops },
    eventsFlushed: ledger.flushed,
    eventsFailed: ledger.failed,
    eventsReturned: ledger.returned,
    eventsAmbiguous: ledger.ambiguous,
    inFlight: ledger.inFlight - mapped.count,
    waiting: ledger.waiting,
    oldestItemAgeMs: Math.max(0, now - Math.min(oldestQueued, oldestInFlight)),
    oldestInFlightAgeMs: Math.max(0, now - oldestInFlight),
    timeInStateMs: queue.timeInStateMs(),
    producerBlockedMs,
    unrepresented: queue.unrepresented,
    isFailed: failure !== undefined,
    lastError: error,
    lastErrorClass: error === undefined ? undefined : errorClassOf(error),
    ...(settings.sizeOf && {
      bufferBytes: ledger.queuedBytes + mapped.bytes,
      inFlightBytes: ledger.inFlightBytes - mapped.bytes,
    }),
  };
}
