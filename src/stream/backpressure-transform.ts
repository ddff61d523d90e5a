import { addAbortSignal, Duplex, finished } from 'node:stream';
import { AdmissionQueue } from '../buffer/admission-queue.js';
import { bufferMetrics } from '../buffer/buffer-metrics.js';
import type { Outcome } from '../buffer/admission.js';
import { toError } from '../common/thrown.js';
import type { BackpressureError } from '../errors.js';
import type { BufferEvents } from '../events.js';
import type { BufferMetrics } from '../metrics.js';
import type { TransformOptions } from '../options.js';
import { resolveTransform, type ResolvedTransform } from '../resolve-options.js';
import { SHUTDOWN, SinkDrain } from '../shutdown/drainable-sink.js';
import { Stopwatch } from '../stopwatch.js';
import { keepShapeOf } from './kept-shapes.js';
import { mapInOrder } from './map-in-order.js';
import { defineWritableGetters, nativeWritableLength, nativeWritableNeedDrain } from './native-length.js';
import { ProducerGate, type Gated } from './producer-gate.js';
import { ReadOut } from './read-out.js';

type WriteCallback = (error?: Error | null) => void;

// eslint-disable-next-line @typescript-eslint/no-unused-vars -- merged with the class, whose type parameters it must repeat
export interface BackpressureTransform<In, Out = In> {
  on<K extends keyof BufferEvents<In>>(event: K, listener: (...args: BufferEvents<In>[K]) => void): this;
  on(event: 'error', listener: (error: Error) => void): this;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- as in Node's own types
  on(event: string | symbol, listener: (...args: any[]) => void): this;
  once<K extends keyof BufferEvents<In>>(event: K, listener: (...args: BufferEvents<In>[K]) => void): this;
  once(event: 'error', listener: (error: Error) => void): this;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- as in Node's own types
  once(event: string | symbol, listener: (...args: any[]) => void): this;
  off<K extends keyof BufferEvents<In>>(event: K, listener: (...args: BufferEvents<In>[K]) => void): this;
  off(event: 'error', listener: (error: Error) => void): this;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- as in Node's own types
  off(event: string | symbol, listener: (...args: any[]) => void): this;
}

/**
 * A bounded buffer with a strategy between two stages of a pipeline. With `block` it smooths bursts; with a dropping strategy a slow
 * reader sees what the strategy keeps, and the producer never stalls.
 *
 * An item settles when it is handed to the reader. `'finish'` means that all input has been admitted, `'end'` that all of it has been read.
 * Emits, beside Node's events, `state` and `drop`.
 *
 * A Duplex and not a Transform: Transform ends its readable side as soon as its writable side has finished, with items still in the buffer.
 *
 * @throws InvalidOptionError for an option that is unknown, out of its range, or contradicts another.
 */
// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging -- the interface only adds overloads for typed events
export class BackpressureTransform<In = unknown, Out = In> extends Duplex {
  readonly #queue: AdmissionQueue<In>;
  readonly #settings: ResolvedTransform<In, Out>;
  readonly #gate: ProducerGate<In>;
  readonly #blocked: Stopwatch;
  /** The reader has asked for more than it was given. */
  #wanted = false;
  /** All input has been admitted. */
  #finished = false;
  #closed = false;
  #deliveryIsScheduled = false;
  /** Items that an asynchronous `map` is at work on. */
  #mapping: In[] | undefined;
  #unsettled: In[] = [];
  /** What the reader was given last: it may lie in Node's own buffer still, which holds one value at the most. */
  #lastItem: In | undefined;
  #lastItems: In[] | undefined;
  #shutdown: SinkDrain | undefined;
  /** A shutdown waits until the reader has got everything. */
  readonly #readOut = new ReadOut();
  /** A shutdown has reported what is left: the reader gets no more. */
  #halted = false;
  readonly #deliverTask = () => {
    this.#deliveryIsScheduled = false;
    this.#queue.endClearance();
    this.#deliver();
    if (this.#readOut.isAwaited) this.#readOut.check(this.#queue.decided, this.#unreadLoad);
  };

  constructor(options: TransformOptions<In, Out> = {}) {
    keepShapeOf(BackpressureTransform, () => new BackpressureTransform({ strategy: 'sample' }));
    const settings = resolveTransform(options);
    super({
      objectMode: settings.objectMode,
      writableHighWaterMark: settings.strategy === 'block' ? 1 : Number.MAX_SAFE_INTEGER,
      // Whatever the readable side held would be out of reach of drop_oldest, and older than what it keeps.
      readableHighWaterMark: 0,
    });
    this.#settings = settings;
    this.#queue = new AdmissionQueue<In>(settings, {
      onState: (state, previous) => this.#tell('state', state, previous),
      onDrop: (item, reason) => {
        if (this.listenerCount('drop') > 0) this.#tell('drop', item, reason);
      },
      heedsDrops: () => this.listenerCount('drop') > 0,
    });
    this.#blocked = new Stopwatch(settings.clock);
    const gated: Gated<In> = {
      queue: this.#queue,
      // The first of them has scheduled the delivery, unless it was dropped; or `_read` will.
      unheeded: () => (this.#deliveryIsScheduled || !this.#wanted ? Infinity : 0),
      unheededBytes: () => Infinity,
      admit: (item, bytes) => this.#onAdmission(item, this.#queue.admit(item, bytes)),
      admitAsked: (item, bytes) => this.#onAdmission(item, this.#queue.admitAsked(item, bytes)),
      setHeld: (held) => this.#setHeld(held),
    };
    this.#gate = new ProducerGate<In>(this, gated, settings, () => nativeWritableLength(this));
    if (settings.signal !== undefined) addAbortSignal(settings.signal, this);
  }

  /** A snapshot of counters and state; synchronous, and right at any instant. */
  getMetrics(): BufferMetrics {
    return bufferMetrics(this.#queue, this.#blocked.totalMs);
  }

  /** After `'close'`: the items that the reader did not get, in order, each handed out once. */
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
      else this.destroy();
    }
    await new Promise<void>((resolve, reject) => {
      finished(this, (error) => {
        if (error) reject(error);
        else resolve();
      });
    });
  }

  get #isIdle(): boolean {
    return this.#queue.ledger.waiting === 0 && this.#unreadLoad === 0;
  }

  /** Admitted, and not read. */
  get #unreadLoad(): number {
    return this.#queue.ledger.load + this.#unread.length;
  }

  /** What lies in Node's own buffer. */
  get #unread(): In[] {
    return this.readableLength === 0 ? [] : (this.#lastItems ?? [this.#lastItem as In]);
  }

  /** @internal */
  [SHUTDOWN](): SinkDrain {
    return (this.#shutdown ??= this.#createShutdown());
  }

  #createShutdown(): SinkDrain {
    let mark = 0;
    return new SinkDrain({
      passesOn: true,
      isClosed: () => this.closed,
      countOpen: () => this.#unreadLoad + this.#queue.ledger.waiting + this.#unsettled.length,
      prepare: () => void this.on('error', () => undefined),
      settle: () => this.#readUpTo(this.#queue.lined),
      drain: () => {
        mark = this.#gate.beginDrain();
        this.#queue.setDraining(true);
        return this.#readUpTo(mark);
      },
      drainMore: () => {
        if (this.#isIdle) return Promise.resolve();
        const previous = mark;
        mark = this.#gate.beginDrain();
        this.#gate.endDrain(previous);
        return this.#readUpTo(mark);
      },
      halt: () => {
        this.#halted = true;
        const { ledger } = this.#queue;
        if (this.#closed) return this.takeUnsettled();
        if (ledger.load + ledger.waiting === 0) return [...this.#unread];
        return [
          ...this.#unread,
          ...(this.#mapping ?? []),
          ...this.#queue.queuedItems(),
          ...this.#gate.waitingItems(),
        ];
      },
      end: (reason) => this.#endFor(reason),
    });
  }

  #readUpTo(mark: number): Promise<void> {
    if (this.destroyed) return Promise.reject(this.errored ?? this.#abortedError());
    const read = this.#readOut.upTo(mark);
    // A short batch waits for the drain; and there may be nothing to read.
    this.#scheduleDelivery();
    return read;
  }

  #endFor(reason: string): void {
    if (this.destroyed) return;
    if (!this.#isIdle) this.destroy(this.#abortedError(`${reason}: ended with items unsettled`));
    else if (!this.writableEnded) this.destroy();
  }

  #setHeld(held: boolean): void {
    if (!held) return this.#blocked.stop();
    this.#blocked.start();
    this.#scheduleDelivery();
  }

  #onAdmission(item: In, outcome: Outcome): Outcome {
    if (this.#closed && outcome !== 'dropped') {
      // A listener or `shed` destroyed the stream while the item was being decided on.
      if (outcome === 'admitted') this.#unsettled.push(...this.#queue.failQueued());
      else this.#unsettled.push(item);
      return outcome === 'admitted' ? outcome : this.#queue.drop(item, 'aborted');
    }
    if (outcome === 'admitted' && this.#wanted) this.#scheduleDelivery();
    return outcome;
  }

  // ── what Node's Duplex is told ──

  static {
    defineWritableGetters<BackpressureTransform>(this.prototype, {
      // While Node's own constructor runs, there is no gate yet.
      writableLength: (stream) => (#gate in stream ? stream.#gate.length : 0),
      writableHighWaterMark: (stream) => stream.#settings.marks.highWaterMark,
      writableNeedDrain: (stream) => nativeWritableNeedDrain(stream) || stream.#gate.owesDrain,
    });
  }

  // Overloads and rules are Node's own; only the count is ours.
  override write(chunk: unknown, callback?: WriteCallback): boolean;
  override write(chunk: unknown, encoding: BufferEncoding, callback?: WriteCallback): boolean;
  override write(chunk: unknown, encoding?: unknown, callback?: unknown): boolean {
    if (encoding === undefined && callback === undefined && this.#gate.take(chunk as In)) return true;
    const offered = this.#gate.onOffer(chunk);
    try {
      return this.#gate.answer(super.write(chunk, encoding as BufferEncoding, callback as WriteCallback));
    } catch (thrown) {
      if (offered) this.#queue.retract();
      throw thrown;
    }
  }

  // `end(chunk)` does not pass through `write`.
  override end(callback?: () => void): this;
  override end(chunk: unknown, callback?: () => void): this;
  override end(chunk: unknown, encoding: BufferEncoding, callback?: () => void): this;
  override end(chunk?: unknown, encoding?: unknown, callback?: unknown): this {
    const offered = chunk !== undefined && typeof chunk !== 'function' && this.#gate.onOffer(chunk);
    try {
      super.end(chunk, encoding as BufferEncoding, callback as () => void);
    } catch (thrown) {
      if (offered) this.#queue.retract();
      throw thrown;
    }
    this.#gate.onEnd();
    if (!this.destroyed) this.#queue.setDraining(true);
    return this;
  }

  /**
   * Does nothing. Corked writes would lie in Node's own queue, beyond the reach of the bound and of a dropping strategy; and to gather
   * small writes is what this stream does in any case.
   */
  override cork(): void {
    // See above: there is nothing to hold back.
  }

  override _write(chunk: In, _encoding: BufferEncoding, callback: WriteCallback): void {
    this.#gate.admit(chunk, callback);
  }

  override _final(callback: WriteCallback): void {
    // Not at once: 'finish' must not follow a destroy() that comes in the same tick.
    process.nextTick(() => {
      this.#finished = true;
      this.#scheduleDelivery();
      callback();
    });
  }

  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- as in Node’s own types
  override read(size?: number): any {
    // What still lies in Node's own buffer is handed back by `takeUnsettled()`, or was reported.
    if (this.destroyed || this.#halted) return null;
    const chunk: unknown = super.read(size);
    if (this.#readOut.isAwaited) this.#scheduleDelivery();
    return chunk;
  }

  override _read(): void {
    // Node does not ask again before it has been given something.
    this.#wanted = true;
    this.#scheduleDelivery();
  }

  override _destroy(error: Error | null, callback: WriteCallback): void {
    const queue = this.#queue;
    const reason = error ?? (this.#isIdle ? null : this.#abortedError());
    const waiting = this.#gate.close(reason);
    this.#closed = true;
    this.#blocked.stop();
    const mapping = this.#mapping ?? [];
    this.#mapping = undefined;
    queue.settle(0, mapping.length, queue.ledger.inFlightBytes);
    const unread = this.#unread;
    queue.unsettle(unread.length);
    this.#unsettled = [...unread, ...mapping, ...queue.failQueued(), ...waiting];
    for (const item of waiting) queue.drop(item, 'aborted');
    queue.errors.attachItems(reason, () => this.#unsettled);
    if (this.#readOut.isAwaited) this.#readOut.fail(reason ?? this.#abortedError());
    callback(reason);
  }

  // ── from the buffer to the reader ──

  /** From one loop outside `_read`: a push from within it would cost a tick each. */
  #scheduleDelivery(): void {
    if (this.#deliveryIsScheduled) return;
    this.#deliveryIsScheduled = true;
    process.nextTick(this.#deliverTask);
  }

  #deliver(): void {
    const queue = this.#queue;
    const { batchSize } = this.#settings;
    while (this.#wanted && this.#mapping === undefined && !this.destroyed && !this.#halted) {
      const { queued } = queue.ledger;
      if (queued === 0) break;
      if (batchSize === undefined) this.#handOverOne();
      // A short array where nothing more will come: at the end, in a shutdown, or because the producer waits for room.
      else if (queued >= batchSize || this.#finished || this.#gate.isHeld || this.#readOut.isAwaited)
        this.#handOver(Math.min(batchSize, queued));
      else break;
    }
    if (this.#finished && queue.ledger.load === 0 && !this.destroyed) this.push(null);
  }

  #handOverOne(): void {
    const queue = this.#queue;
    const { map } = this.#settings;
    if (map !== undefined) return this.#handOver(1);
    const bytes = queue.ledger.queuedBytes;
    const item = queue.takeOne();
    queue.settle(1, 0, bytes - queue.ledger.queuedBytes);
    this.#lastItem = item;
    this.#lastItems = undefined;
    this.#give(item);
  }

  #handOver(count: number): void {
    const { items, bytes } = this.#queue.take(count);
    const { map } = this.#settings;
    if (map === undefined) {
      this.#lastItems = items;
      return this.#giveAll(items as unknown as Out[], count, bytes);
    }
    this.#mapping = items;
    this.#lastItems = undefined;
    const done = (results: Out[]) => {
      if (this.#mapping !== items || this.#halted) return;
      this.#mapping = undefined;
      this.#lastItems = items;
      this.#giveAll(results, count, bytes);
    };
    try {
      const results = mapInOrder(items, map);
      if (results instanceof Promise) {
        results.then(
          (mapped) => {
            done(mapped);
            this.#scheduleDelivery();
          },
          (thrown: unknown) => this.destroy(toError(thrown)),
        );
      } else {
        done(results);
      }
    } catch (thrown) {
      this.destroy(toError(thrown));
    }
  }

  #giveAll(results: Out[], count: number, bytes: number): void {
    this.#queue.settle(count, 0, bytes);
    // As in Node's Transform, null and undefined emit nothing; a pushed null would end the stream.
    const kept =
      this.#settings.map === undefined
        ? results
        : results.filter((result) => result !== null && result !== undefined);
    if (kept.length === 0) this.#gate.onRoom();
    else this.#give(this.#settings.batchSize === undefined ? kept[0] : kept);
  }

  #give(value: unknown): void {
    this.#wanted = this.push(value);
    if (this.#gate.isHeld) this.#gate.onRoom();
  }

  #tell(event: string, ...args: unknown[]): void {
    try {
      this.emit(event, ...args);
    } catch (thrown) {
      // Not at once: whoever caused the event is in the middle of something.
      process.nextTick(() =>
        this.destroy(this.#queue.errors.handlerFailed(`listener of '${event}'`, thrown)),
      );
    }
  }

  #abortedError(message = 'destroyed with items unsettled'): BackpressureError {
    return this.#queue.errors.create('ERR_BACKPRESSURE_ABORTED', message);
  }
}
