import type { BufferMetrics } from '../metrics.js';
import type { AdmissionQueue } from './admission-queue.js';

export function bufferMetrics<T>(queue: AdmissionQueue<T>, producerBlockedMs: number): BufferMetrics {
  const { ledger, settings } = queue;
  return {
    state: queue.state,
    bufferSize: ledger.queued,
    bufferUtilization: queue.utilization,
    eventsOffered: ledger.offered,
    eventsAccepted: ledger.accepted,
    eventsDropped: ledger.dropped,
    dropsByReason: { ...ledger.drops },
    eventsFlushed: ledger.flushed,
    eventsFailed: ledger.failed,
    inFlight: ledger.inFlight,
    waiting: ledger.waiting,
    oldestItemAgeMs: ledger.queued === 0 ? 0 : Math.max(0, settings.clock.now() - queue.oldestTime),
    timeInStateMs: queue.timeInStateMs(),
    producerBlockedMs,
    unrepresented: queue.unrepresented,
    ...(settings.sizeOf && { bufferBytes: ledger.queuedBytes, inFlightBytes: ledger.inFlightBytes }),
  };
}
