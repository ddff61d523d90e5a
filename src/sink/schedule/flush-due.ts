/** Decides whether a batch is due, and why. Pure: it owns neither items nor timer. */

import type { FlushReason } from '../../api/flush-function.js';

/** What the decision is made from. */
export interface FlushSituation {
  now: number;
  queued: number;
  queuedBytes: number;
  batchSize: number;
  batchBytes: number;
  /** When the oldest queued item was admitted. */
  oldestTime: number;
  flushIntervalMs: number;
  /** Full batches wait until then: a slow or failing destination is given a pause. */
  notBefore: number;
  draining: boolean;
  /** `flush()` was called for an item that is queued. */
  manual: boolean;
  /** The producer waits for room. */
  isProducerWaiting: boolean;
}

/**
 * Returns the reason to flush now, or the milliseconds until there is one; `undefined` if nothing is queued. Call it only while a slot is
 * free.
 */
export function flushDue(situation: FlushSituation): FlushReason | number | undefined {
  if (situation.queued === 0) return undefined;
  const full = fullReason(situation);
  if (situation.draining) return full ?? 'drain';
  if (situation.manual) return full ?? 'manual';
  // The oldest item's age is always bounded, and counts from its admission: this is not an idle debounce.
  const untilAged = situation.oldestTime + situation.flushIntervalMs - situation.now;
  if (untilAged <= 0) return full ?? 'interval';
  // A producer that waits cannot fill the batch: nothing more will come.
  if (full === undefined && !situation.isProducerWaiting) return untilAged;
  const spacing = situation.notBefore - situation.now;
  return spacing > 0 ? Math.min(spacing, untilAged) : (full ?? 'size');
}

function fullReason(situation: FlushSituation): FlushReason | undefined {
  if (situation.queued >= situation.batchSize) return 'size';
  if (situation.queuedBytes >= situation.batchBytes) return 'bytes';
  return undefined;
}
