import { captureRejectionSymbol } from 'node:events';
import { addAbortSignal, Duplex } from 'node:stream';
import { finished } from 'node:stream/promises';
import { AdmissionQueue } from '../buffer/admission-queue.js';
import { bufferMetrics } from '../buffer/buffer-metrics.js';
import type { Outcome } from '../buffer/drop-strategies.js';
import type { AnyListener, NodeEventName, TransformEventName, TransformListener } from '../api/events.js';
import type { BufferMetrics } from '../api/metrics.js';
import type { BytesFor, TransformOptions } from '../api/options.js';
import { resolveTransform, type ResolvedTransform } from '../settings/resolve-transform.js';
import { SHUTDOWN, type SinkDrain } from '../shutdown/drainable-sink.js';
import { emitSignal, observesDrops } from '../signals/signals.js';
import { Stopwatch } from '../common/stopwatch.js';
import { failOf, readableError } from './node/user-code.js';
import {
  defineGetter,
  defineWritableGetters,
  failQuietly,
  nativeWritableNeedDrain,
  watchReadable,
} from './node/native-length.js';
import { streamDrain } from './stream-drain.js';
import type { FastWrites } from './write/fast-writes.js';
import { WriteSide } from './write/write-side.js';
import type { WriteTarget } from './write/write-target.js';
import { readableMark, ReadSide, type OnlyIfErased } from './read/read-side.js';
import { NodeWrites } from './write/node-writes.js';
import type { WriteCallback } from './write/write-callbacks.js';

export interface BackpressureTransform<In, Out = In> {
  addListener<N extends TransformEventName>(event: N, listener: TransformListener<In, Out, N>): this;
  addListener(event: NodeEventName | symbol, listener: AnyListener): this;
  on<N extends TransformEventName>(event: N, listener: TransformListener<In, Out, N>): this;
  on(event: NodeEventName | symbol, listener: AnyListener): this;
  once<N extends TransformEventName>(event: N, listener: TransformListener<In, Out, N>): this;
  once(event: NodeEventName | symbol, listener: AnyListener): this;
  prependListener<N extends TransformEventName>(event: N, listener: TransformListener<In, Out, N>): this;
  prependListener(event: NodeEventName | symbol, listener: AnyListener): this;
  prependOnceListener<N extends TransformEventName>(event: N, listener: TransformListener<In, Out, N>): this;
  prependOnceListener(event: NodeEventName | symbol, listener: AnyListener): this;
  off<N extends TransformEventName>(event: N, listener: TransformListener<In, Out, N>): this;
  off(event: NodeEventName | symbol, listener: AnyListener): this;
  removeListener<N extends TransformEventName>(event: N, listener: TransformListener<In, Out, N>): this;
  removeListener(event: NodeEventName | symbol, listener: AnyListener): this;
  // The first one is never called. It makes the type fit `NodeJS.ReadableStream`, which `pipeline` takes, and which gives text or bytes.
  [Symbol.asyncIterator]<Erased>(unused: OnlyIfErased<Erased>): NodeJS.AsyncIterator<never>;
  [Symbol.asyncIterator](): NodeJS.AsyncIterator<Out, undefined>;
  iterator(options?: { destroyOnReturn?: boolean }): NodeJS.AsyncIterator<Out, undefined>;
  toArray(options?: { signal?: AbortSignal }): Promise<Out[]>;
}

/**
 * A bounded buffer with a strategy between two stages of a pipeline. With `block` it smooths bursts; with a dropping strategy a slow
 * reader sees what the strategy keeps, and the producer never stalls.
 *
 * An item settles when the reader has got it; a chunk of bytes, when its last byte was read. `'finish'` means that all input has been
 * admitted, and mapped if there is a `map`; `'end'` means that all of it has been read. Emits, beside Node's events, `state` and `drop`.
 *
 * For a reader to stop early is normal: `destroy()` without an error emits `'close'` only, and `takeUnsettled()` returns the items.
 *
 * A Duplex and not a Transform: Transform ends its readable side as soon as its writable side has finished, with items still in the buffer.
 *
 * @example
 * ```ts
 * import { Readable } from 'node:stream';
 * import { BackpressureTransform } from 'spillway';
 *
 * const source = Readable.from([1, 2, 3]);
 * const pairs = source.pipe(new BackpressureTransform<number, number[]>({ batchSize: 2 }));
 * for await (const pair of pairs) console.log(pair); // [1, 2], then [3]
 * ```
 * @throws InvalidOptionError for an option that is unknown, out of its range, or contradicts another.
 */
// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging -- the interface only adds overloads for typed events
export class BackpressureTransform<In = unknown, Out = In> extends Duplex {
  readonly #queue: AdmissionQueue<In>;
  readonly #settings: ResolvedTransform<In>;
  readonly #writeSide: WriteSide<In>;
  readonly #blocked: Stopwatch;
  readonly #readSide: ReadSide<In>;
  #closed = false;
  #unsettled: In[] = [];
  #shutdown: SinkDrain | undefined;
  readonly #nodeWrites: NodeWrites<In>;
  readonly #fast: FastWrites<In>;

  constructor(options: TransformOptions<In, Out> = {}) {
    const settings = resolveTransform(options);
    // Node's types do not know `captureRejections` here.
    const native = {
      objectMode: settings.objectMode,
      captureRejections: true,
      writableHighWaterMark: settings.strategy === 'block' ? 1 : Number.MAX_SAFE_INTEGER,
      // Whatever the readable side held would be out of reach of drop_oldest, and older than what it keeps.
      readableHighWaterMark: 0,
    };
    super(native);
    this.#settings = settings;
    this.#queue = new AdmissionQueue<In>(settings, {
      onState: (state, previous) => this.#emitSafely('state', state, previous),
      onDrop: (item, reason) => {
        if (observesDrops(this)) this.#emitSafely('drop', item, reason);
      },
      observesDrops: () => observesDrops(this),
    });
    this.#blocked = new Stopwatch(settings.clock);
    const target: WriteTarget<In> = {
      queue: this.#queue,
      // The first of them has scheduled the delivery, unless it was dropped; or `_read` will.
      headroom: () => (this.#readSide.isScheduled || !this.#readSide.isWaiting ? Infinity : 0),
      headroomBytes: () => Infinity,
      admit: (item, bytes) => this.#onAdmission(item, this.#queue.admit(item, bytes)),
      returnToCaller: (item) => this.#returnToCaller(item),
      setHeld: (held) => {
        if (!held) return this.#blocked.stop();
        this.#blocked.start();
        this.#readSide.schedule();
      },
      onSkipped: () => this.#readSide.schedule(),
    };
    this.#writeSide = new WriteSide<In>(this, target, settings, BackpressureTransform.prototype);
    this.#fast = this.#writeSide.fast;
    this.#nodeWrites = new NodeWrites<In>(this, this.#writeSide, this.#queue.errors);
    this.#readSide = new ReadSide<In>(this, this.#queue, settings, {
      isHeld: () => this.#writeSide.isHeld,
      onRoom: () => this.#writeSide.onRoom(),
    });
    if (settings.signal !== undefined) addAbortSignal(settings.signal, this);
  }

  /** A snapshot of counters and state; synchronous, and right at any instant. */
  getMetrics(): BufferMetrics {
    this.#readSide.settleRead();
    return bufferMetrics(this.#queue, {
      producerBlockedMs: this.#blocked.totalMs,
      oldestInFlight: this.#readSide.oldestTime,
      failure: this.errored ?? undefined,
      lastError: undefined,
      mapped: this.#readSide.mapped,
    });
  }

  /**
   * After `'close'`: the items that the reader did not get, in order, each returned once. In byte mode what `read(n)` has read of a
   * chunk is cut off: what was read and what is returned are together what was written.
   */
  takeUnsettled(): In[] {
    const items = this.#unsettled;
    this.#unsettled = [];
    return items;
  }

  /** Ends the writable side and waits until the reader has got everything. Where nobody reads, it rejects if there is something to read. */
  override async [Symbol.asyncDispose](): Promise<void> {
    if (!this.writableEnded && !this.destroyed) this.end();
    // No reader has ever come: to wait for one would be to wait for ever.
    if (this.readableFlowing === null) {
      if (this.#isIdle) this.resume();
      else this.destroy(this.#abortedError());
    }
    await finished(this);
  }

  get #isIdle(): boolean {
    this.#readSide.settleRead();
    return this.#queue.ledger.waiting === 0 && this.#queue.ledger.load === 0;
  }

  /** @internal */
  [SHUTDOWN](): SinkDrain {
    return (this.#shutdown ??= streamDrain(this, this.#writeSide, {
      passesOn: true,
      countOpen: () => this.#queue.ledger.load + this.#queue.ledger.waiting + this.#unsettled.length,
      isIdle: () => this.#isIdle,
      settle: () => this.#readArrived(),
      onDrain: () => this.#queue.setDraining(true),
      halt: () => {
        this.#readSide.halt();
        if (this.#closed) return this.takeUnsettled();
        this.#readSide.settleRead();
        const queued = this.#queue.queuedItems();
        return [...this.#readSide.inFlightItems(), ...queued, ...this.#writeSide.waitingItems()];
      },
    }));
  }

  /** Resolves when the reader has got everything that has arrived so far. */
  #readArrived(): Promise<void> {
    if (this.destroyed) return Promise.reject(this.errored ?? this.#abortedError());
    return this.#readSide.readUpTo(this.#queue.arrivedSeq);
  }

  #returnToCaller(item: In): void {
    this.#unsettled.push(item);
    this.#queue.dropWaiting(item, 'aborted');
  }

  #onAdmission(item: In, outcome: Outcome): Outcome {
    if (!this.#closed) {
      if (outcome === 'admitted' && this.#readSide.isWaiting) this.#readSide.schedule();
      return outcome;
    }
    // A listener or `shed` destroyed the stream while the item was being decided on.
    if (outcome === 'admitted') this.#unsettled.push(...this.#queue.failQueued().items);
    if (outcome !== 'full') return outcome;
    this.#returnToCaller(item);
    return 'dropped';
  }

  // ── what Node's Duplex is told ──

  static {
    defineWritableGetters<BackpressureTransform>(this.prototype, {
      // While Node's own constructor runs, there is no write side yet.
      writableLength: (stream) => (#readSide in stream ? stream.#measure() : 0),
      writableHighWaterMark: (stream) => stream.#queue.marks.highWaterMark,
      writableNeedDrain: (stream) => nativeWritableNeedDrain(stream) || stream.#writeSide.owesDrain,
    });
    defineGetter<BackpressureTransform>(this.prototype, 'readableHighWaterMark', (stream) =>
      readableMark(stream.#settings),
    );
    watchReadable<BackpressureTransform>(this.prototype, (stream) => {
      if (#readSide in stream) stream.#readSide.schedule();
    });
  }

  #measure(): number {
    this.#readSide.settleRead();
    return this.#writeSide.length;
  }

  // The rules are Node's own; only the count is ours. Nothing can be passed as `never`: that overload makes the type fit `pipeline`.
  override write(chunk: never, encoding?: BufferEncoding | WriteCallback, callback?: WriteCallback): boolean;
  override write(chunk: In | BytesFor<In>, callback?: WriteCallback): boolean;
  override write(chunk: In | BytesFor<In>, encoding: BufferEncoding, callback?: WriteCallback): boolean;
  override write(chunk: unknown, encoding?: unknown, callback?: unknown): boolean {
    if (
      encoding === undefined &&
      callback === undefined &&
      this._write === ownWrite &&
      this.#fast.tryWrite(chunk as In)
    )
      return true;
    return this.#nodeWrites.write(chunk, encoding, callback);
  }

  override end(callback?: () => void): this;
  override end(chunk: never, encoding?: BufferEncoding | (() => void), callback?: () => void): this;
  override end(chunk: In | BytesFor<In>, callback?: () => void): this;
  override end(chunk: In | BytesFor<In>, encoding: BufferEncoding, callback?: () => void): this;
  override end(chunk?: unknown, encoding?: unknown, callback?: unknown): this {
    this.#nodeWrites.end(chunk, encoding, callback);
    if (!this.destroyed) this.#queue.setDraining(true);
    return this;
  }

  // Node's own code passes a callback, too, which its types do not have.
  override destroy(error?: Error | null, ...rest: []): this {
    return super.destroy(readableError(error, this.#queue.errors) as Error, ...rest);
  }

  /** An asynchronous listener was rejected: as one that throws. */
  override [captureRejectionSymbol](thrown: unknown, event: string | symbol): void {
    failOf(this, this.#queue.errors, `listener of '${String(event)}'`, thrown);
  }

  /**
   * Does nothing. Corked writes would lie in Node's own queue, beyond the reach of the bound and of a dropping strategy; and to gather
   * small writes is what this stream does in any case.
   */
  override cork(): void {
    // See above: there is nothing to hold back.
  }

  override _write(chunk: In, _encoding: BufferEncoding, callback: WriteCallback): void {
    this.#writeSide.writeSlowPath(chunk, callback);
  }

  override _final(callback: WriteCallback): void {
    this.#writeSide.skipLeftOut();
    // Not at once: 'finish' must not follow a destroy() that comes in the same tick.
    process.nextTick(() => {
      this.#queue.context.runInAsyncScope(() => this.#readSide.endInput(callback));
    });
  }

  /**
   * In object mode one value, whatever the size. A value or byte counts as flushed when it has been returned; what `read(n)` makes Node
   * read ahead is in flight.
   */
  override read(size?: number): Out | null;
  // Nothing can be passed as `never`: that overload makes the type fit `pipeline`, whose readable streams give text or bytes.
  override read(size: never): never;
  override read(size?: number): unknown {
    return this.#readSide.read(size);
  }

  /** What the reader puts back is in flight again. It may lie beyond the bound: the writer may have used the room. */
  override unshift(chunk: unknown, encoding?: BufferEncoding): boolean {
    return this.#readSide.unshift(chunk, encoding);
  }

  override setEncoding(encoding: BufferEncoding): this {
    this.#readSide.setEncoding(encoding);
    return this;
  }

  override _read(): void {
    this.#readSide.request();
  }

  override _destroy(error: Error | null, callback: WriteCallback): void {
    this.#queue.context.runInAsyncScope(this.#close, this, error, callback);
  }

  #close(error: Error | null, callback: WriteCallback): void {
    const queue = this.#queue;
    const inFlight = this.#readSide.close();
    const reason = error ?? (inFlight.length === 0 && this.#isIdle ? null : this.#abortedError());
    const waiting = this.#writeSide.close(reason);
    this.#closed = true;
    this.#blocked.stop();
    this.#unsettled = [...inFlight, ...queue.failQueued().items, ...waiting];
    for (const item of waiting) queue.dropWaiting(item, 'aborted');
    queue.errors.attachItems(reason, () => this.#unsettled);
    this.#readSide.rejectReadWaiter(() => reason ?? this.#abortedError());
    // For a reader to stop early is normal. But what 'finish' promises has not come true.
    if (error === null && reason !== null && this.writableEnded && !this.writableFinished)
      failQuietly(this, reason);
    callback(error);
  }

  #emitSafely(event: 'state' | 'drop', ...args: unknown[]): void {
    try {
      this.#queue.context.runInAsyncScope(emitSignal, undefined, this, event, args);
    } catch (thrown) {
      // Later, because the code that caused the event has not finished.
      const error = this.#queue.errors.handlerFailed(`listener of '${event}'`, thrown);
      process.nextTick(() => this.destroy(error));
    }
  }

  #abortedError() {
    return this.#queue.errors.create('ERR_BACKPRESSURE_ABORTED', 'destroyed with items unsettled');
  }
}

// Taken once: a `_write` that is put on an instance, or on the prototype, shows at each write.
const ownWrite = (BackpressureTransform.prototype as { _write: unknown })._write;
