/** The contract between a sink and its destination. */

import type { BreakerOptions, RetryOptions } from './options.js';

/**
 * Why a batch was flushed: it was full (or the producer was made to wait, so that nothing could be added), its bytes were, its oldest item
 * came of age, the sink drains, or `flush()` was called.
 */
export type FlushReason = 'size' | 'bytes' | 'interval' | 'drain' | 'manual';

/**
 * Where the circuit breaker stands: `closed`, calls are made; `open`, no call begins for a while; `half_open`, one call is made, and
 * decides.
 */
export type BreakerState = 'closed' | 'open' | 'half_open';

/** What a flush function learns about the call. A copy has no `weights` and no `represents`, nor a `signal` where the parameter is not declared. */
export interface FlushContext {
  /** Fires when the flush times out or the sink is destroyed. A flush function should then stop and reject. */
  readonly signal: AbortSignal;
  /** 1 for the first call of a batch; counts its retries. */
  readonly attempt: number;
  readonly reason: FlushReason;
  /** How many offered items each item of the batch stands for: all 1, but under `sample`. */
  readonly weights: readonly number[];
  /** The sum of `weights`. */
  readonly represents: number;
  /**
   * Whether the user gave `onFailed`. Where not, an item that fails for good ends the sink, so that to find out which items of a batch are
   * at fault, and to deliver the others, is of little use.
   */
  readonly takesFailures: boolean;
}

/**
 * What a flush function may answer. `success + failed` must be the size of the batch. An entry of `errors` that is an `ItemError` names
 * its item; failures that name none are not retried.
 */
export interface FlushResult {
  success: number;
  failed: number;
  errors: Error[];
}

/**
 * Delivers one batch. A promise that resolves to nothing means that every item arrived; one that rejects, that none did, or that it is
 * unknown. `items` belongs to the flush function until its promise settles; it must not change it.
 */
export interface FlushFunction<T> {
  // eslint-disable-next-line @typescript-eslint/no-invalid-void-type -- `void` is the documented answer for "all succeeded"
  (items: T[], context: FlushContext): Promise<FlushResult | void>;
  /** Options that suit this destination. A stream applies them beneath the user's own. */
  readonly defaults?: FlushDefaults<T>;
}

/** The options that a flush function may carry for the stream around it. */
export interface FlushDefaults<T = unknown> {
  readonly batchSize?: number;
  readonly batchBytes?: number;
  readonly maxBufferBytes?: number;
  readonly lowWatermark?: number;
  readonly yieldEvery?: number;
  readonly sizeOf?: (item: T) => number;
  readonly concurrency?: number;
  /** The most flushes at the same time that keep the destination right. The user's own `concurrency` is lowered to it. Default: no limit. */
  readonly maxConcurrency?: number;
  readonly adaptive?: boolean;
  readonly minFlushIntervalMs?: number;
  readonly maxFlushIntervalMs?: number;
  readonly targetLatencyMs?: number;
  readonly flushTimeoutMs?: number;
  readonly retry?: RetryOptions;
  readonly breaker?: BreakerOptions | false;
}
