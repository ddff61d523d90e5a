import type { BufferMetrics } from '../metrics.js';
import type { AdmissionQueue } from './admission-queue.js';

const NONE = { count: 0, bytes: 0 };

/** @param mapped items whose results wait: in flight for the queue, and in the buffer for everybody else */
export function bufferMetrics<T>(
  queue: AdmissionQueue<T>,
  producerBlockedMs: number,
  mapped: { count: number; bytes: number } = NONE,
): BufferMetrics {
  const { ledger, settings } = queue;
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
    inFlight: ledger.inFlight - mapped.count,
    waiting: ledger.waiting,
    oldestItemAgeMs: ledger.queued === 0 ? 0 : Math.max(0, settings.clock.now() - queue.oldestTime),
    timeInStateMs: queue.timeInStateMs(),
    producerBlockedMs,
    unrepresented: queue.unrepresented,
    ...(settings.sizeOf && {
      bufferBytes: ledger.queuedBytes + mapped.bytes,
      inFlightBytes: ledger.inFlightBytes - mapped.bytes,
    }),
  };
}
