/** Whether the destination may be called now. */

import type { BreakerState } from '../../api/flush-function.js';

/** A delivery that waits for its next call. */
export interface ParkedDelivery {
  /** Its number. Older deliveries have smaller ones. */
  readonly first: number;
  /** Its own delay is over: only the breaker holds it. */
  isReady: boolean;
  resume: () => void;
}

/** Permits calls of the destination, and parks the deliveries that wait for another call. */
export interface CallPermits {
  /** What holds calls now. */
  readonly state: BreakerState;
  /** Whether the breaker is open or half open. Then a failed call says nothing new about its batch. */
  readonly isTripped: boolean;
  /** Whether a batch may have its first call. */
  readonly mayLaunch: boolean;
  /** When the next probe begins; `undefined` unless the breaker is open. */
  readonly nextProbeAt: number | undefined;
  /** How long no call will begin, in milliseconds. */
  readonly blockedForMs: number;
  /**
   * Returns whether a delivery that has been resumed, or whose own delay is over, may still have its call. The breaker may have opened again
   * in between.
   */
  mayCall(delivery: number): boolean;
  /** A batch has its first call: while the breaker is half open, that is the probe. */
  onLaunch(delivery: number): void;
  /** A delivery's call begins. */
  onCall(delivery: number): void;
  /** The destination has responded, even if it refused the items. */
  onResponse(): void;
  /** A call that began at `startedAt` has failed without a response. */
  onTransportFailure(delivery: number, error: Error, startedAt: number): void;
  /** Parks a delivery until `resume` is called, or it is unparked. */
  park(delivery: ParkedDelivery): void;
  unpark(delivery: ParkedDelivery): void;
  /** Does what is due, and sets the timer for what will be. Called whenever an item has come or settled, or the sink was started. */
  evaluate(): void;
  /** The sink is stopped: a probe that was released, and has not begun, waits for the next start. */
  halt(): void;
  /** The sink has ended: nothing changes any more. */
  end(): void;
}

function nothing(): void {
  // There is nothing to keep or to count.
}

/** Without a breaker: every call may be made. Most sinks share it. */
export const ALL_PERMITTED: CallPermits = Object.freeze({
  state: 'closed',
  isTripped: false,
  mayLaunch: true,
  nextProbeAt: undefined,
  blockedForMs: 0,
  mayCall: () => true,
  onLaunch: nothing,
  onCall: nothing,
  onResponse: nothing,
  onTransportFailure: nothing,
  park: nothing,
  unpark: nothing,
  evaluate: nothing,
  halt: nothing,
  end: nothing,
});
