/** The counters behind the promise that every item is accounted for. */

import { DROP_REASONS, type DropReason } from '../api/states.js';
import { assert } from '../common/assert.js';

/** Set by the tests. Read once: a check that is off costs one comparison a batch. */
const ASSERTS = Symbol.for('spillway.assert') in globalThis;

/**
 * At every instant
 *
 *     offered  = waiting + queued + inFlight + flushed + failed + dropped
 *     accepted = queued + inFlight + flushed + failed + drops.evicted
 *
 * where `dropped` is the sum of `drops`. Each is counted where it happens; none is computed from the others.
 */
export class Ledger {
  offered = 0;
  accepted = 0;
  /** Offered, not yet admitted. */
  waiting = 0;
  queued = 0;
  inFlight = 0;
  flushed = 0;
  failed = 0;
  /** Parts of `failed`: given back to the caller, and not known to have arrived or not. */
  returned = 0;
  ambiguous = 0;
  readonly drops: Record<DropReason, number> = {
    evicted: 0,
    rejected: 0,
    sampled: 0,
    shed: 0,
    timeout: 0,
    overflow: 0,
    oversized: 0,
    aborted: 0,
  };

  queuedBytes = 0;
  inFlightBytes = 0;

  get dropped(): number {
    let sum = 0;
    for (const reason of DROP_REASONS) sum += this.drops[reason];
    return sum;
  }

  /** What the bounds and the state measure. */
  get load(): number {
    return this.queued + this.inFlight;
  }

  get loadBytes(): number {
    return this.queuedBytes + this.inFlightBytes;
  }

  /** Checks both equations, in the tests only. To be called between two batches. */
  assertBalanced(): void {
    if (!ASSERTS) return;
    const settling = this.queued + this.inFlight + this.flushed + this.failed;
    const { offered, accepted, waiting, dropped, drops } = this;
    assert(offered === waiting + settling + dropped, 'offered items are not accounted for');
    assert(accepted === settling + drops.evicted, 'accepted items are not accounted for');
  }
}
