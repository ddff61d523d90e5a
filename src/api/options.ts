/** The options that users set. `settings/` derives the values of unset ones. */

import type { Clock } from '../common/clock.js';
import type { BackpressureState, DropReason, StrategyInput } from './states.js';

/** Retries: when the flush function is called again for a batch that failed. */
export interface RetryOptions {
  /** All calls of the flush function for one batch, the first included. Default 1; `copyInto` sets 5. At least 1. */
  attempts?: number;
  /**
   * Base of the delay before a retry, drawn from `0 … min(maxDelayMs, minDelayMs × 2ⁿ)` ("full jitter"). Default 200 ms. If an error, or the
   * cause of an `ItemError`, carries `retryAfterMs` (at least 0), that is the base, and the delay is `retryAfterMs` plus what is drawn.
   */
  minDelayMs?: number;
  /** Cap of that delay. Default 30 000 ms. */
  maxDelayMs?: number;
  /**
   * The latest time, from the beginning of a batch's first call, at which another call may begin. If the delay of a retry would end later,
   * the batch fails at once. Default 300 000 ms; `Infinity` for no limit.
   */
  maxElapsedMs?: number;
  /** Which errors are worth another call. Default: all, except an error whose own `retryable` is `false`. */
  isRetryable?: (error: Error) => boolean;
  /**
   * Whether to call again after a flush that timed out and did not settle within `abortGraceMs`. Its outcome is unknown and it may still be
   * running, so set it for idempotent destinations only. Default `false`.
   */
  afterTimeout?: boolean;
}

/**
 * Checks by the cheapest means whether the destination can be reached: a new connection and `SELECT 1`, or a `HEAD` request. Resolves if
 * so, and rejects otherwise. An error whose `retryable` is `false` counts as a response. It must stop when the signal fires, which is after
 * 2 seconds at the latest.
 */
export type BreakerProbe = (context: { readonly signal: AbortSignal }) => Promise<unknown>;

/**
 * The circuit breaker. After `failures` transport failures in a row, over all slots, no call begins for a while. Then a single call, the
 * probe, decides whether the others go on. A transport failure is a call that failed as a whole and is worth a retry, or that timed out.
 * Any response of the destination, even a rejected row, ends the series of failures.
 *
 * With `retry.attempts` of at least 2, a batch that is worth another call is held until the destination is back: neither the failure that
 * opened the breaker nor a failed probe counts as an attempt, or as time towards `retry.maxElapsedMs`.
 */
export interface BreakerOptions {
  /** How many transport failures in a row open the breaker. Default 5; at least 1. */
  failures?: number;
  /**
   * Base of the time that the breaker stays open, drawn from half to all of `min(maxDelayMs, minDelayMs × 2ⁿ)`. If an error of the outage
   * carries a longer `retryAfterMs`, it stays open for that. Default 500 ms; at least 1.
   */
  minDelayMs?: number;
  /** Cap of that time, and of the time from the beginning of one probe to that of the next. Default 4 000 ms; at least 1. */
  maxDelayMs?: number;
  /**
   * How long an outage may last, from the first of the failures in a row. At this time the last probe is made, whatever `retryAfterMs` says.
   * If it fails, the sink fails with `ERR_BACKPRESSURE_OUTAGE` and returns all that is open, also if `onFailed` is given. A probe that is
   * under way at this time keeps its `flushTimeoutMs`. Time without any open item is not counted. Default 300 000 ms, `copyInto` sets
   * 600 000; at least 1; `Infinity` for no limit.
   */
  maxOutageMs?: number;
  /**
   * Called each time that the breaker is half open, before a batch is tried; it fails after 2 seconds. Default: none, the batch itself is the
   * probe; `copyInto` sets one.
   */
  probe?: BreakerProbe;
}

/** An item that failed for good, as `onFailed` and the event `failed` get it. */
export interface FailedItem<T> {
  item: T;
  error: Error;
  /** How many offered items it stands for, as `context.weights` says: 1, except under `sample`. */
  weight: number;
  /** It is not known whether this item failed: its flush timed out, or named fewer items than it counted as failed. */
  ambiguous?: true;
}

/**
 * An item's final outcome, as `onSettled` gets it. `weight` is how many offered items it stands for: 1, except under `sample`. There an item
 * that was `sampled`, `rejected` or `oversized` has the weight 0, because a kept one stands for it. So the sum of all weights and the metric
 * `unrepresented` is the number of offered items.
 */
export type Settlement<T> =
  | { item: T; weight: number; outcome: 'flushed' }
  | { item: T; weight: number; outcome: 'failed'; error: Error; ambiguous?: true }
  | { item: T; weight: number; outcome: 'dropped'; reason: DropReason };

/** Options of everything that buffers: both streams and the controller. */
export interface BufferOptions<T> {
  /** Most items queued plus in flight. Default 10 000; rises with a given `batchSize`. At least 1. */
  maxBufferSize?: number;
  /** Share of the capacity from which the state is CRITICAL and `write()` returns `false`. Default 0.8; above 0, at most 1. */
  highWatermark?: number;
  /** Share of the capacity from which the state is ELEVATED; a waiting producer goes on at it or below. Default 0.5; below `highWatermark`. */
  lowWatermark?: number;
  /** What happens to an item when there is no room. Default `'block'`. */
  strategy?: StrategyInput;
  /** With `sample`: one of this many items is kept while the state is above NORMAL. Default 10; at least 1. */
  sampleRate?: number;
  /** Returns `true` to drop an item before the strategy sees it. Called once per item. Default: none. */
  shed?: (item: T, state: BackpressureState) => boolean;
  /** Most bytes queued plus in flight, by `sizeOf`. Default: no bound in object mode, 16 MiB in byte mode, 64 MiB for `copyInto`. At least 1. */
  maxBufferBytes?: number;
  /** The size of an item in bytes. Needed by the byte bounds in object mode. */
  sizeOf?: (item: T) => number;
  /**
   * Most items (in byte mode: bytes) that may wait for room, beside one for each producer that is known to wait for `'drain'`: each
   * listener of `'drain'`, each pipe, and each producer that a `'drain'` has just sent on. So any number of producers may write once and
   * wait. Producers that share one listener cannot be told apart, nor can those that wait for write callbacks only: set `maxWaiting` to
   * their number. For `push()`: most pushes that wait. Default `maxBufferSize` (`maxBufferBytes`). At least 0.
   */
  maxWaiting?: number;
  /**
   * How long a producer may wait for room. After that `push()` returns `false`, and a stream fails with `ERR_BACKPRESSURE_BLOCK_TIMEOUT`.
   * Default 5 000 ms for `push()`, no limit for a stream.
   */
  maxBlockTimeMs?: number;
  /** Aborts at once, as `destroy()` does. */
  signal?: AbortSignal;
  /**
   * Lets the process exit although timers of this sink are set: flush interval, retry pauses, breaker, timeouts. The sink flushes once more
   * when the process has nothing else to do (`beforeExit`). It does not change what the destination itself keeps open. For telemetry.
   * Default `false`.
   */
  unref?: boolean;
  /** The source of time, for tests. Default: the process's own. */
  clock?: Clock;
  /** The source of chance, for tests: a number from 0 to just under 1. Default `Math.random`. */
  random?: () => number;
}

/** Options of everything that flushes: `BackpressureWritable` and `BackpressureController`. */
export interface SinkOptions<T> extends BufferOptions<T> {
  /** Most items of a batch. Default 100; falls with a given `maxBufferSize`. At least 1, at most `maxBufferSize`. */
  batchSize?: number;
  /**
   * Most bytes of a batch, by `sizeOf`; a larger item makes a batch of its own. Under `copyInto`'s own `sizeOf`: most bytes that are sent.
   * Default: no bound in object mode, 1 MiB in byte mode, 4 MiB for `copyInto`.
   */
  batchBytes?: number;
  /** Most flushes at the same time. Default 1, which keeps the order. At least 1; `copyInto` with `onConflict` lowers it to 1. */
  concurrency?: number;
  /**
   * Adapts batch size and number of concurrent flushes for the most throughput at which a flush takes at most `targetLatencyMs`. Then
   * `batchSize`, `batchBytes` and `concurrency` are upper bounds, and an unset `batchSize` is as large as the buffer allows. Default `false`.
   */
  adaptive?: boolean;
  /** The initial flush interval, and its lower bound. Default 100 ms. */
  minFlushIntervalMs?: number;
  /** The upper bound of the flush interval. Default 30 000 ms. */
  maxFlushIntervalMs?: number;
  /** How long a flush should take; the interval follows from it. Default 500 ms. */
  targetLatencyMs?: number;
  /** The time after which the `signal` of a flush fires. Default 30 000 ms; `Infinity` for never. */
  flushTimeoutMs?: number;
  /** How long a flush whose signal has fired may take to end before its slot is freed. Default 1 000 ms. */
  abortGraceMs?: number;
  retry?: RetryOptions;
  /** The circuit breaker. Default `false`, none; `copyInto` sets one. Given fields override those of the flush function's `defaults`. */
  breaker?: BreakerOptions | false;
  /**
   * Takes the items that failed for good. May be asynchronous. The items settle once its promise has settled, so it must not await `flush()`
   * or `drain()` of its own sink. Without it such a failure is fatal, and its error carries the items.
   */
  onFailed?: (failures: FailedItem<T>[]) => unknown;
  /** Gets each item's outcome, in batches, after the destination has responded. May be asynchronous; it is not awaited. */
  onSettled?: (settlements: Settlement<T>[]) => unknown;
  /**
   * Returns an item's place in an ordered source, such as the offset in a log. `committedPosition` is then the place up to which everything
   * has settled. Positions must not go down in the order of admission; items may share one. Called for the first and the last item of each
   * batch and for the oldest item in the queue, not for each item, so it must return the same each time. If one of these is lower than the
   * one before, the sink fails with `ERR_BACKPRESSURE_HANDLER_FAILED`.
   */
  positionOf?: (item: T) => number | bigint;
}

/** What `write()` takes beside the items of a stream of bytes. Node makes a `Buffer` of it. */
export type BytesFor<T> = [T] extends [Uint8Array] ? string | Uint8Array : never;

/** Options of `BackpressureWritable`. */
export interface WritableOptions<T> extends SinkOptions<T> {
  /** Node's own option: `write()` returns `false` from this many items (in byte mode: bytes). An unset `maxBufferSize` follows from it. */
  highWaterMark?: number;
  /** `false`: items are chunks of bytes, bounded by `maxBufferBytes` instead of `maxBufferSize`. Default `true`. */
  objectMode?: boolean;
  /**
   * With `block`: after this many items `write()` returns `false` although there is room, and `'drain'` comes with a later turn of the event
   * loop; also after fewer items if the turn has taken 4 ms by then. Otherwise a producer without I/O of its own (an array, a generator)
   * would hold up the I/O of the flushes until the buffer is full. An item that is written nevertheless is admitted. Not in byte mode, in
   * which chunks come by I/O. Default `Infinity`, never; `copyInto` sets 10 000. At least 1.
   */
  yieldEvery?: number;
}

/**
 * Options of `BackpressureTransform<In, Out>`. `Out` is what the reader gets: the results of `map` (or the items), or arrays of them if
 * `batchSize` is given.
 *
 * @example
 * ```ts
 * import { BackpressureTransform } from 'spillway';
 *
 * interface Row {
 *   name: string;
 * }
 * new BackpressureTransform<Row>();
 * new BackpressureTransform<Row, string>({ map: (row) => row.name });
 * new BackpressureTransform<Row, Row[]>({ batchSize: 100 });
 * ```
 */
export type TransformOptions<In, Out = In> = TransformBufferOptions<In> &
  (SingleOutput<In, Out> | BatchedOutput<In, Out>);

export interface TransformBufferOptions<In> extends BufferOptions<In> {
  /** As for `BackpressureWritable`, for the writable side. */
  highWaterMark?: number;
  /** `false`: items are chunks of bytes on both sides. Default `true`. */
  objectMode?: boolean;
}

export interface SingleOutput<In, Out> {
  /**
   * Maps an item on its way out. May be asynchronous: one at a time, in order. `null` and `undefined` emit nothing. Items are mapped as they
   * come, also without a reader, and their results count in the buffer. With `drop_oldest` they are mapped when the reader asks, and after
   * `end()`. If it throws, the stream is destroyed with that error. Default: items as they are.
   */
  map?: MapFunction<In, Out>;
  /** Emit arrays of this many items (the last may be shorter). Default: items one by one. At least 1. `Out` must be an array then. */
  batchSize?: undefined;
}

export interface BatchedOutput<In, Out> {
  map?: MapFunction<In, Out extends readonly (infer Element)[] ? Element : unknown>;
  batchSize: Out extends readonly unknown[] ? number : unknown extends Out ? number : never;
}

/** The option `map`. */
export type MapFunction<In, Out> = (item: In) => Mapped<Out> | PromiseLike<Mapped<Out>>;

// eslint-disable-next-line @typescript-eslint/no-invalid-void-type -- a `map` without a result emits nothing
export type Mapped<Out> = Out | null | undefined | void;
