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

/** What a flush function learns about the call. `{ ...context }` lacks `weights` and `represents`, and `signal` if the function does not declare the parameter. */
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
 * What a flush function returns if it knows of failures. `success + failed` must be the size of the batch. An entry of `errors` that is an
 * `ItemError` names its item; failures that name none are not retried.
 *
 * @example
 * ```ts
 * import { BackpressureWritable, ItemError, type FlushResult } from 'spillway';
 *
 * const check = async (words: string[]): Promise<FlushResult> => {
 *   const errors = words.flatMap((word, index) => (word === '' ? [new ItemError(index)] : []));
 *   return { success: words.length - errors.length, failed: errors.length, errors };
 * };
 * const sink = new BackpressureWritable<string>(check, {
 *   onFailed: (failures) => console.log(`${failures.length} words are empty`),
 * });
 * sink.write('');
 * sink.end('word');
 * ```
 */
export interface FlushResult {
  success: number;
  failed: number;
  errors: Error[];
}

/**
 * A destination's own result, returned as it came: node-postgres' `Result`, Prisma's `{ count }`, a number, a list of rows. It means that all
 * items arrived. It has none of the fields of `FlushResult`; an object that has one of them must be a whole `FlushResult`.
 *
 * A result that looks like a partial failure fails the batch with `ERR_BACKPRESSURE_INVALID_RESULT`, each item `ambiguous`: `false`, an
 * `Error`, `ok: false` and an HTTP status from 400 on, a rejected entry of `Promise.allSettled`, an array of promises, `Failed`,
 * `FailedRecordCount`, `UnprocessedItems`, `error` and the like unless empty.
 */
export type DestinationResult =
  string | number | bigint | boolean | null | (object & { success?: never; failed?: never; errors?: never });

/**
 * Delivers one batch. A promise that resolves means that every item arrived, unless its result is a `FlushResult` with failures or looks
 * like a failure (see `DestinationResult`). A promise that rejects means that no item arrived, or that it is unknown. `items` belongs to the
 * flush function until its promise settles; the array is a copy.
 *
 * @example
 * ```ts
 * import { BackpressureWritable } from 'spillway';
 *
 * const stored: string[] = [];
 * const sink = new BackpressureWritable<string>(async (words) => {
 *   stored.push(...words);
 * });
 * sink.end('word');
 * ```
 */
export interface FlushFunction<T> {
  // eslint-disable-next-line @typescript-eslint/no-invalid-void-type -- a flush function that returns nothing is the usual case
  (items: T[], context: FlushContext): PromiseLike<FlushResult | DestinationResult | void>;
  /** Options that suit this destination. A stream applies them beneath the user's own. */
  readonly defaults?: FlushDefaults<T>;
}

/**
 * Returns the bytes of an item: what it holds in memory.
 *
 * A destination that sends fewer bytes than its items hold gives `sentShare`, too. `batchBytes` then bounds what is sent.
 *
 * @example
 * ```ts
 * import { BackpressureWritable } from 'spillway';
 *
 * const bytesOf = (row: { text: string }) => 100 + 2 * row.text.length;
 * const sizeOf = Object.assign(bytesOf, { sentShare: () => 0.4 });
 * const sink = new BackpressureWritable(async () => {}, { maxBufferBytes: 16_000_000, sizeOf });
 * sink.end({ text: 'first' });
 * ```
 */
export interface SizeOf<T> {
  (item: T): number;
  /** How much of a byte by this function is sent, above 0. Asked whenever a batch may be due, so that it may be learnt. Default: all of it. */
  readonly sentShare?: () => number;
}

/** The options that a flush function may carry for the stream around it. */
export interface FlushDefaults<T = unknown> {
  readonly batchSize?: number;
  readonly batchBytes?: number;
  readonly maxBufferBytes?: number;
  readonly lowWatermark?: number;
  readonly yieldEvery?: number;
  readonly sizeOf?: SizeOf<T>;
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
