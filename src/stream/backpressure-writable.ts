import { captureRejectionSymbol } from 'node:events';
import { addAbortSignal, Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { BatchingSink } from '../sink/batching-sink.js';
import { checkDrain, drainTimeout, type DrainOptions } from '../settings/drain-options.js';
import type { AnyListener, NodeEventName, WritableEventName, WritableListener } from '../api/events.js';
import { handled } from '../guards/user-callbacks.js';
import type { SinkMetrics } from '../api/metrics.js';
import type { BytesFor, WritableOptions } from '../api/options.js';
import { resolveSink } from '../settings/resolve-sink.js';
import { SHUTDOWN, type SinkDrain } from '../shutdown/drainable-sink.js';
import { sinkMetrics } from '../sink/sink-metrics.js';
import { sinkTimeUntilRoom } from '../sink/time-until-room.js';
import type { FlushFunction } from '../api/flush-function.js';
import { checkInteger } from '../guards/validate.js';
import { failOf, readableError } from './node/user-code.js';
import { defineWritableGetters, nativeWritableNeedDrain } from './node/native-length.js';
import { streamDrain } from './stream-drain.js';
import type { FastWrites } from './write/fast-writes.js';
import { WriteSide } from './write/write-side.js';
import { NodeWrites } from './write/node-writes.js';
import type { WriteCallback } from './write/write-callbacks.js';

export interface BackpressureWritable<T> {
  addListener<N extends WritableEventName>(event: N, listener: WritableListener<T, N>): this;
  addListener(event: NodeEventName | symbol, listener: AnyListener): this;
  on<N extends WritableEventName>(event: N, listener: WritableListener<T, N>): this;
  on(event: NodeEventName | symbol, listener: AnyListener): this;
  once<N extends WritableEventName>(event: N, listener: WritableListener<T, N>): this;
  once(event: NodeEventName | symbol, listener: AnyListener): this;
  prependListener<N extends WritableEventName>(event: N, listener: WritableListener<T, N>): this;
  prependListener(event: NodeEventName | symbol, listener: AnyListener): this;
  prependOnceListener<N extends WritableEventName>(event: N, listener: WritableListener<T, N>): this;
  prependOnceListener(event: NodeEventName | symbol, listener: AnyListener): this;
  off<N extends WritableEventName>(event: N, listener: WritableListener<T, N>): this;
  off(event: NodeEventName | symbol, listener: AnyListener): this;
  removeListener<N extends WritableEventName>(event: N, listener: WritableListener<T, N>): this;
  removeListener(event: NodeEventName | symbol, listener: AnyListener): this;
}

/**
 * A `Writable` in front of a slow destination: a bounded buffer with a strategy, pressure states, and batches that go to `flush`.
 *
 * The callback of `write()` means *admitted*, not flushed; `'finish'` means that every item has settled. `await stream.flush()` waits for
 * what was written before. Emits, beside Node's events, `state`, `drop`, `flush`, `retry`, `breaker` and `failed`.
 *
 * @example
 * ```ts
 * import { Readable } from 'node:stream';
 * import { pipeline } from 'node:stream/promises';
 * import { BackpressureWritable } from 'spillway';
 *
 * const stored: number[] = [];
 * const sink = new BackpressureWritable<number>(
 *   async (batch) => {
 *     stored.push(...batch);
 *   },
 *   { batchSize: 500, concurrency: 2 },
 * );
 * await pipeline(Readable.from([1, 2, 3]), sink);
 * console.log(sink.getMetrics().eventsFlushed); // 3
 * ```
 * @throws InvalidOptionError for an option that is unknown, out of its range, or contradicts another.
 */
// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging -- the interface only adds overloads for typed events
export class BackpressureWritable<T = unknown> extends Writable {
  readonly #sink: BatchingSink<T>;
  readonly #writeSide: WriteSide<T>;
  #drains = 0;
  #shutdown: SinkDrain | undefined;
  readonly #nodeWrites: NodeWrites<T>;
  readonly #fast: FastWrites<T>;

  constructor(flush: FlushFunction<T>, options?: WritableOptions<T>) {
    const settings = resolveSink(flush, options, 'BackpressureWritable');
    const blocks = settings.strategy === 'block';
    // Node's types do not know `captureRejections` here.
    const native = {
      objectMode: settings.objectMode,
      captureRejections: true,
      // Under `block` the held callback of `_write` says when to wait; a dropping strategy never says it.
      highWaterMark: blocks ? 1 : Number.MAX_SAFE_INTEGER,
    };
    super(native);
    this.#sink = new BatchingSink<T>(flush, settings, {
      emitter: this,
      onRoom: () => this.#writeSide.onRoom(),
      onFatal: (error) => this.destroy(error),
    });
    this.#writeSide = new WriteSide<T>(this, this.#sink, settings, BackpressureWritable.prototype);
    this.#fast = this.#writeSide.fast;
    this.#nodeWrites = new NodeWrites<T>(this, this.#writeSide, this.#sink.errors);
    this.#sink.start();
    if (settings.signal !== undefined) addAbortSignal(settings.signal, this);
  }

  // ── what is ours ──

  /** A snapshot of counters and state; synchronous, and right at any instant. */
  getMetrics(): SinkMetrics {
    return sinkMetrics(this.#sink.parts());
  }

  /**
   * With `positionOf`: everything that was offered up to and including this position has settled: it arrived, `onFailed` took
   * it, or it was dropped. A source may be acknowledged up to it, and reading resumed after it. It moves on by whole batches, and is up to
   * date when `onSettled` is called. It never passes items that were returned. `undefined` before there is one.
   */
  get committedPosition(): number | bigint | undefined {
    return this.#sink.committedPosition;
  }

  /**
   * Flushes without delay what was written before the call. Resolves when all of it has settled, retries included, which does not promise
   * that every item arrived: see `onFailed` and the strategy. Rejects with the error that destroys the stream. Do not await it in the flush
   * function or in `onFailed`: it waits for what they return.
   */
  flush(): Promise<void> {
    return this.#sink.flush();
  }

  /**
   * Settles without delay what was written before the call, retries included, in the state DRAINING; resolves when that is done, at once
   * where there is nothing. What is written meanwhile waits under `block` (`write()` returns `false`; `maxWaiting` bounds it, and
   * `maxBlockTimeMs` does not run), and is dropped as `rejected` under the other strategies. Then the stream goes on. Does not promise
   * that every item arrived: see `onFailed`. Rejects with the error that destroys the stream.
   *
   * @param options.timeoutMs How long it may take, in milliseconds; unlimited by default. Then it rejects with
   *   `ERR_BACKPRESSURE_DRAIN_TIMEOUT`, whose `items` are copies of what is still open of that; the stream goes on.
   * @throws InvalidOptionError for a wrong option.
   */
  drain(options: DrainOptions = {}): Promise<void> {
    const timeoutMs = checkDrain(options);
    return handled(this.#drain(timeoutMs));
  }

  async #drain(timeoutMs: number): Promise<void> {
    let mark = Infinity;
    const settled = this.#sink.flushWithin(timeoutMs, () =>
      drainTimeout(timeoutMs, this.#sink.openItems(this.#writeSide.waitingItems(mark))),
    );
    // Nothing more can come, so nobody is to be kept out.
    if (this.destroyed || this.writableEnded) return settled;
    mark = this.#writeSide.beginDrain();
    this.#drains++;
    this.#deriveDraining();
    try {
      await settled;
    } finally {
      this.#drains--;
      this.#deriveDraining();
      this.#writeSide.endDrain(mark);
    }
  }

  #deriveDraining(): void {
    this.#sink.setDraining(this.#drains > 0 || this.writableEnded);
  }

  /**
   * Whether `count` more items, of `bytes` together, would be admitted now: none would wait or be dropped for lack of room. Nothing is
   * reserved, so offer them in the same turn of the event loop. Throws InvalidOptionError for what is not a whole number.
   * @example `if (!events.canAccept(10)) reply.code(429).header('retry-after', Math.ceil(events.retryAfterMs(10) / 1000));`
   */
  canAccept(count = 1, bytes = 0): boolean {
    return this.retryAfterMs(count, bytes) === 0;
  }

  /**
   * Estimates in how many milliseconds `canAccept` will be true, by the time of the last flush, the time without a success, and the circuit
   * breaker: 0 if it is true now, `Infinity` if it never will be, as for a sink that has ended or is stopped.
   */
  retryAfterMs(count = 1, bytes = 0): number {
    const time = sinkTimeUntilRoom(this.#sink.parts(), count, bytes);
    return this.destroyed || this.writableEnded ? Infinity : time;
  }

  /** Resolves when fewer than `count` items are queued plus in flight. */
  whenBelow(count: number): Promise<void> {
    return this.#sink.whenBelow(checkInteger('count', count, 1));
  }

  /**
   * After `'close'`: the items that did not arrive, in order, each returned once. Those of a flush that did not end may have arrived
   * all the same.
   */
  takeUnsettled(): T[] {
    return this.#sink.takeUnsettled();
  }

  /** Ends the stream and waits until everything has settled. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.writableEnded && !this.destroyed) this.end();
    await finished(this);
  }

  /** @internal */
  [SHUTDOWN](): SinkDrain {
    const sink = this.#sink;
    return (this.#shutdown ??= streamDrain(this, this.#writeSide, {
      passesOn: false,
      countOpen: () => sink.openCount,
      // A failure has left nothing open, and is to be reported.
      isIdle: () => sink.isIdle && sink.failure === undefined,
      settle: (isDraining) => (isDraining ? this.#drain(Infinity) : this.flush()),
      onDrain: () => this.#drains++,
      halt: () => {
        sink.haltFlushes();
        return sink.takeUndelivered(this.#writeSide.waitingItems());
      },
    }));
  }

  // ── what Node's Writable is told ──

  static {
    defineWritableGetters<BackpressureWritable>(this.prototype, {
      // While Node's own constructor runs, there is no write side yet.
      writableLength: (stream) => (#writeSide in stream ? stream.#writeSide.length : 0),
      writableHighWaterMark: (stream) => stream.#sink.settings.marks.highWaterMark,
      writableNeedDrain: (stream) => nativeWritableNeedDrain(stream) || stream.#writeSide.owesDrain,
    });
  }

  // The rules are Node's own; only the count is ours. Nothing can be passed as `never`: that overload makes the type fit `pipeline`.
  override write(chunk: never, encoding?: BufferEncoding | WriteCallback, callback?: WriteCallback): boolean;
  override write(chunk: T | BytesFor<T>, callback?: WriteCallback): boolean;
  override write(chunk: T | BytesFor<T>, encoding: BufferEncoding, callback?: WriteCallback): boolean;
  override write(chunk: unknown, encoding?: unknown, callback?: unknown): boolean {
    if (
      encoding === undefined &&
      callback === undefined &&
      this._write === ownWrite &&
      this.#fast.tryWrite(chunk as T)
    )
      return !this.#writeSide.isYielding;
    return this.#nodeWrites.write(chunk, encoding, callback);
  }

  override end(callback?: () => void): this;
  override end(chunk: never, encoding?: BufferEncoding | (() => void), callback?: () => void): this;
  override end(chunk: T | BytesFor<T>, callback?: () => void): this;
  override end(chunk: T | BytesFor<T>, encoding: BufferEncoding, callback?: () => void): this;
  override end(chunk?: unknown, encoding?: unknown, callback?: unknown): this {
    this.#nodeWrites.end(chunk, encoding, callback);
    if (!this.destroyed) this.#sink.setDraining(true);
    return this;
  }

  // Node's own code passes a callback, too, which its types do not have.
  override destroy(error?: Error | null, ...rest: []): this {
    return super.destroy(readableError(error, this.#sink.errors) as Error, ...rest);
  }

  /** An asynchronous listener was rejected: as one that throws. */
  override [captureRejectionSymbol](thrown: unknown, event: string | symbol): void {
    failOf(this, this.#sink.errors, `listener of '${String(event)}'`, thrown);
  }

  /**
   * Does nothing. Corked writes would lie in Node's own queue, beyond the reach of the bound and of a dropping strategy; and to gather
   * small writes is what this stream does in any case.
   */
  override cork(): void {
    // See above: there is nothing to hold back.
  }

  override _write(chunk: T, _encoding: BufferEncoding, callback: WriteCallback): void {
    this.#writeSide.writeSlowPath(chunk, callback);
  }

  override _final(callback: WriteCallback): void {
    this.#writeSide.skipLeftOut();
    const finish = (error?: unknown) => {
      try {
        this.#sink.queue.context.runInAsyncScope(callback, undefined, error);
      } catch (thrown) {
        failOf(this, this.#sink.errors, "listener of 'prefinish'", thrown);
      }
    };
    this.#sink.flush().then(() => finish(), finish);
  }

  override _destroy(error: Error | null, callback: WriteCallback): void {
    this.#sink.queue.context.runInAsyncScope(this.#close, this, error, callback);
  }

  #close(error: Error | null, callback: WriteCallback): void {
    if (error === null && this.#sink.isIdle) {
      this.#writeSide.close(null);
      this.#sink.stop();
      callback(null);
      return;
    }
    // To end with items unsettled is never a success, whatever end-of-stream makes of it.
    const reason =
      error ?? this.#sink.errors.create('ERR_BACKPRESSURE_ABORTED', 'destroyed with items unsettled');
    const waiting = this.#writeSide.close(reason);
    void this.#sink.abort(reason, waiting).then(() => callback(reason));
  }
}

// Taken once: a `_write` that is put on an instance, or on the prototype, shows at each write.
const ownWrite = (BackpressureWritable.prototype as { _write: unknown })._write;
