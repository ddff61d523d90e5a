/** The limits that a sink works with, and the interface of a control that moves them. */

import type { FlushReport } from '../../api/events.js';
import type { TakenItems } from '../../buffer/ring-buffer.js';
import type { Ledger } from '../../buffer/ledger.js';

/** How large a batch may be, and how many may be in flight at the same time. */
export interface SinkLimits {
  batchSize: number;
  batchBytes: number;
  concurrency: number;
}

/** What a control notes about a batch when it is launched. */
export interface Launch {
  readonly setting: number;
  readonly isFull: boolean;
  /** Every slot was busy with a call under way. */
  readonly isSaturated: boolean;
  /** What was in flight, this batch included, in batches of the largest size. */
  readonly load: number;
  /** This batch alone, in the same unit. */
  readonly share: number;
  /** The batch waits for another call, or has had one. */
  isRetried: boolean;
}

/** A control that moves the limits between their bounds. Without one they stay as the options set them. */
export interface LimitControl {
  readonly limits: Readonly<SinkLimits>;
  /** @param hasRetried a batch is held for another call, so that not all that is in flight is work of the destination */
  onLaunch(
    taken: TakenItems<unknown>,
    ledger: Ledger,
    isFull: boolean,
    deliveries: number,
    hasRetried: boolean,
  ): Launch;
  /** How the first call of a batch went. `isIntervalRaised`: the flush interval is above its lower bound. */
  onAttempt(launch: Launch, report: FlushReport, isIntervalRaised: boolean): void;
}

export function fixedLimits({ batchSize, batchBytes, concurrency }: SinkLimits): SinkLimits {
  return { batchSize, batchBytes, concurrency };
}
