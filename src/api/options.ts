/** What users can set. How unset values follow from set ones is in `settings/`. */

import type { Clock } from '../common/clock.js';
import type { BackpressureState, DropReason, StrategyInput } from './states.js';

/** How the flush function is called again. */
export interface RetryOptions {
  /** All calls of the flush function for one batch, the first included. Default 1; `copyInto` sets 5. At least 1. */
  attempts?: number;
  /**
   * Base of the delay before a retry, drawn from `0 … min(maxDelayMs, minDelayMs × 2ⁿ)` ("full jitter"). Default 200 ms. An error that
   * carries `retryAfterMs` (a number of at least 0; also the cause of an `ItemError`) puts that in its place, and adds it to what is drawn.
   */
  minDelayMs?: number;
  /** Cap of that delay. Default 30 000 ms. */
  maxDelayMs?: number;
  /**
   * No further call of a batch begins later than this after its first call began: a retry whose delay would end after it fails at once.
   * Default 300 000 ms; `Infinity` for no limit.
   */
  maxElapsedMs?: number;
  /** Which errors are worth another call. Default: all, except an error whose own `retryable` is `false`. */
  isRetryable?: (error: Error) => boolean;
  /**
   * Whether to call again after a flush that timed out and never answered. Its outcome is unknown and it may still be running, so this is
   * for idempotent destinations only. Default `false`.
   */
  afterTimeout?: boolean;
}

/**
 * Asks the destination, as cheaply as can be, whether it can be reached: a new connection and `SELECT 1`, a `HEAD` request. Resolves if so,
 * and rejects otherwise; an error whose `retryable` is `false` is an answer, too. Stops when the signal fires, after 2 seconds at the
 * latest.
 */
export type BreakerProbe = (context: { readonly signal: AbortSignal }) => Promise<unknown>;

/**
 * The circuit breaker. After `failures` transport failures in a row, over all slots, no call begins for a while; then one call decides
 * whether all go on. A transport failure is a call that failed as a whole and is worth another one, or that timed out; any
 * response of the destination, even a rejected row, ends the series of failures.
 *
 * With `retry.attempts` of at least 2, a batch that is worth another call is held until the destination is back: neither the failure that
 * opened the breaker nor a failed probe counts as an attempt, or as time towards `retry.maxElapsedMs`.
 */
export interface BreakerOptions {
  /** So many transport failures in a row open it. Default 5; at least 1. */
  failures?: number;
  /**
   * Base of the time that it stays open, which is drawn from half to all of `min(maxDelayMs, minDelayMs × 2ⁿ)`; longer where an error of
   * the outage carries a longer `retryAfterMs`. Default 500 ms; at least 1.
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
   * Is called before a batch is risked, each time that the breaker is half open; it is given 2 seconds. Default: none, the batch itself is
   * the probe; `copyInto` sets one.
   */
  probe?: BreakerProbe;
}

/** An item that failed for good, as `onFailed` and the event `failed` get it. */
export interface FailedItem<T> {
  item: T;
  error: Error;
  /** How many offered items it stands for, as `context.weights` says: 1, except under `sample`. */
  weight: number;
  /** Whether this very item failed is not known: its flush timed out, or named fewer items than it said had failed. */
  ambiguous?: true;
}

/**
 * An item's final outcome, as `onSettled` gets it. `weight` is how many offered items it stands for: 1, except under `sample`. There an item
 * that was `sampled`, `rejected` or `oversized` has the weight 0, for a kept one stands for it; so all weights together, plus the metric
 * `unrepresented`, are what was offered.
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
  /** Share of the capacity from which the state is ELEVATED, and down to which a waiting producer waits. Default 0.5; below `highWatermark`. */
  lowWatermark?: number;
  /** What happens to an item when there is no room. Default `'block'`. */
  strategy?: StrategyInput;
  /** Under `sample`: above NORMAL one of this many items is kept. Default 10; at least 1. */
  sampleRate?: number;
  /** Drops an item before the strategy sees it, when it returns `true`. Called once per item. */
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
   * How long a producer may be made to wait for room. `push()` returns `false` then, a stream fails with `ERR_BACKPRESSURE_BLOCK_TIMEOUT`.
   * Default 5 000 ms for `push()`, no limit for a stream.
   */
  maxBlockTimeMs?: number;
  /** Aborts at once, as `destroy()` does. */
  signal?: AbortSignal;
  /**
   * The timers of this sink do not keep the process alive: flush interval, retry pauses, breaker, timeouts. A sink that flushes does so once
   * more when the process has nothing else to do (`beforeExit`); what its destination holds open is the destination's affair. For telemetry.
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
  /** Flushes at the same time. Default 1, which keeps the order. At least 1; `copyInto` with `onConflict` lowers it to 1. */
  concurrency?: number;
  /**
   * Finds batch size and number of flushes at the same time by itself: as much throughput as the destination gives while a flush takes at
   * most `targetLatencyMs`. `batchSize`, `batchBytes` and `concurrency` are upper bounds then, and an unset `batchSize` is as large as the
   * buffer allows. Default `false`.
   */
  adaptive?: boolean;
  /** Where the flush interval starts, and its lower bound. Default 100 ms. */
  minFlushIntervalMs?: number;
  /** The upper bound of the flush interval. Default 30 000 ms. */
  maxFlushIntervalMs?: number;
  /** How long a flush should take; the interval follows from it. Default 500 ms. */
  targetLatencyMs?: number;
  /** After this long the flush's `signal` fires. Default 30 000 ms; `Infinity` for never. */
  flushTimeoutMs?: number;
  /** How long a flush whose signal has fired may take to end before its slot is freed. Default 1 000 ms. */
  abortGraceMs?: number;
  retry?: RetryOptions;
  /** Default `false`, none; `copyInto` sets one. Fields that are given lie over those of the flush function's `defaults`. */
  breaker?: BreakerOptions | false;
  /**
   * Takes the items that failed for good. May be asynchronous; the items settle once what it returns has settled, so it must not await `flush()` or
   * `drain()` of its own sink. Without it such a failure is fatal and its error carries the items.
   */
  onFailed?: (failures: FailedItem<T>[]) => unknown;
  /** Learns each item's outcome, in batches, after the destination has answered. May be asynchronous; it is not waited for. */
  onSettled?: (settlements: Settlement<T>[]) => unknown;
  /**
   * An item's place in an ordered source, a log's offset, say: `committedPosition` then tells how far everything has settled. Must not go
   * down in the order of admission; items may share one. Called for the first and the last item of each batch, and for the oldest item in
   * the queue, not for each item: it must return the same each time. One that goes down ends the sink with
   * `ERR_BACKPRESSURE_HANDLER_FAILED`, as far as it is seen there.
   */
  positionOf?: (item: T) => number | bigint;
}

/** What `write()` takes beside the items of a stream of bytes. Node makes a `Buffer` of it. */
export type BytesFor<T> = [T] extends [Uint8Array] ? string | Uint8Array : never;

/** Options of `BackpressureWritable`. */
export interface WritableOptions<T> extends SinkOptions<T> {
  /** Node's own option: from this many items on (in byte mode: bytes) `write()` returns `false`. `maxBufferSize` follows from it unless given. */
  highWaterMark?: number;
  /** `false`: items are chunks of bytes, bounded by `maxBufferBytes` instead of `maxBufferSize`. Default `true`. */
  objectMode?: boolean;
  /**
   * Under `block`: after this many items `write()` returns `false` although there is room, and `'drain'` comes with a later turn of the
   * event loop; also after fewer, if the turn has taken 4 ms by then. A producer that needs no I/O of its own (an array, a generator) would keep that of the flushes waiting until the buffer is
   * full. An item that is written nevertheless is admitted. Not in byte mode, where chunks come by I/O. Default `Infinity`, never;
   * `copyInto` sets 10 000. At least 1.
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
   * What becomes of an item on its way out; may be asynchronous, one at a time, in order. `null` and `undefined` emit nothing. Items are
   * mapped as they come, without a reader, and their results count in the buffer. Under `drop_oldest` they are mapped when the reader
   * asks, and after `end()`. What it throws destroys the stream.
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
