/**
 * Estimates when a sink has room for more, for an HTTP service that answers 429 or 503 with `Retry-After`.
 *
 * By Little's law, items leave at `batchSize * concurrency` for each time that a call takes. How long that is nobody knows while the
 * destination is silent. Then it is at least as long as the silence has lasted.
 */

import { checkInteger } from '../guards/validate.js';
import type { SinkParts } from './sink-metrics.js';

interface RoomFacts {
  /** What the producer asks for: items, and their bytes if it knows them. */
  readonly count: number;
  readonly bytes: number;
  readonly capacity: number;
  readonly capacityBytes: number;
  /** Items queued, in flight, and those that wait for room. */
  readonly load: number;
  readonly loadBytes: number;
  /** Batches are flushed: it is neither stopped nor at its end. */
  readonly isRunning: boolean;
  /** No item is admitted before all of these have left. */
  readonly isDraining: boolean;
  readonly batchSize: number;
  readonly concurrency: number;
  /** How long the last call took, or the longest wait for a first one. */
  readonly latencyMs: number;
  /** Time since the last success or, if it was later, since the oldest item in flight was admitted; below 0 if none is. */
  readonly silentMs: number;
  /** How long the breaker lets no call begin. */
  readonly blockedForMs: number;
}

/** Returns milliseconds: 0 if there is room now, `Infinity` if there can never be so much. */
function timeUntilRoom(facts: RoomFacts): number {
  const { count, bytes, capacity, capacityBytes, load, loadBytes } = facts;
  if (count > capacity) return Infinity;
  // An item that is larger than the budget is admitted alone.
  const missingBytes = loadBytes + Math.min(bytes, capacityBytes) - capacityBytes;
  const missingForBytes = missingBytes > 0 ? Math.ceil((missingBytes / loadBytes) * load) : 0;
  const missing = facts.isDraining ? load : Math.max(load + count - capacity, missingForBytes);
  if (missing <= 0 && !facts.isDraining) return 0;
  if (!facts.isRunning) return Infinity;
  const rounds = Math.max(1, Math.ceil(missing / (facts.batchSize * facts.concurrency)));
  return facts.blockedForMs + rounds * Math.max(1, facts.latencyMs, facts.silentMs);
}

/** The same of a sink. Throws InvalidOptionError for what is not a whole number. */
export function sinkTimeUntilRoom<T>(parts: SinkParts<T>, count: number, bytes: number): number {
  const { queue, scheduler, permits, counters, isRunning, failure, oldestInFlight } = parts;
  const { ledger, settings } = queue;
  const { lastSuccessAt = -Infinity } = counters;
  const time = timeUntilRoom({
    count: checkInteger('count', count, 1),
    bytes: checkInteger('bytes', bytes, 0),
    isRunning,
    capacity: settings.capacity,
    capacityBytes: settings.capacityBytes,
    load: ledger.load + ledger.waiting,
    loadBytes: ledger.loadBytes,
    isDraining: scheduler.isDraining,
    batchSize: scheduler.limits.batchSize,
    concurrency: scheduler.limits.concurrency,
    latencyMs: scheduler.pace.lastLatencyMs || scheduler.pace.intervalMs,
    // Not by the last success alone: before a burst, nothing may have been sent for hours.
    silentMs: settings.clock.now() - Math.max(lastSuccessAt, oldestInFlight),
    blockedForMs: permits.blockedForMs,
  });
  return failure === undefined ? time : Infinity;
}
