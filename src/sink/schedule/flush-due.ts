/** Whether a batch is due, and why. Passive: it is asked, it owns neither items nor timer. */

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
 * Answers with the reason to flush now, or with the milliseconds until there is one, or, with nothing queued, with `undefined`. To be
 * asked only while a slot is free.
 */
export function flushDue(view: FlushSituation): FlushReason | number | undefined {
  if (view.queued === 0) return undefined;
  const full = fullReason(view);
  if (view.draining) return full ?? 'drain';
  if (view.manual) return full ?? 'manual';
  // The oldest item's age is bounded in any case, and measured from its admission: this is no idle debounce.
  const untilAged = view.oldestTime + view.flushIntervalMs - view.now;
  if (untilAged <= 0) return full ?? 'interval';
  // A held producer cannot fill the batch: what is queued is all that will come.
  if (full === undefined && !view.isProducerWaiting) return untilAged;
  const spacing = view.notBefore - view.now;
  return spacing > 0 ? Math.min(spacing, untilAged) : (full ?? 'size');
}

function fullReason(view: FlushSituation): FlushReason | undefined {
  if (view.queued >= view.batchSize) return 'size';
  if (view.queuedBytes >= view.batchBytes) return 'bytes';
  return undefined;
}
