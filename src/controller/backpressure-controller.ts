import { captureRejectionSymbol, EventEmitter } from 'node:events';
import { SHED } from '../buffer/item-judge.js';
import { BatchingSink } from '../sink/batching-sink.js';
import { DEFAULTS } from '../settings/defaults.js';
import { checkDrain, drainTimeout, type DrainOptions } from '../settings/drain-options.js';
import type { AnyListener, SinkEventName, SinkEvents, SinkListener } from '../api/events.js';
import { abortError } from './abort-error.js';
import { handled } from '../guards/user-callbacks.js';
import type { SinkMetrics } from '../api/metrics.js';
import type { SinkOptions } from '../api/options.js';
import { resolveSink } from '../settings/resolve-sink.js';
import { SHUTDOWN, SinkDrain } from '../shutdown/drainable-sink.js';
import { sinkMetrics } from '../sink/sink-metrics.js';
import { sinkTimeUntilRoom } from '../sink/time-until-room.js';
import type { FlushFunction } from '../api/flush-function.js';
import { checkInteger } from '../guards/validate.js';
import { PushQueue } from './push-queue.js';

const ADMITTED = Promise.resolve(true);
const DROPPED = Promise.resolve(false);

export interface BackpressureController<T> {
  addListener<N extends SinkEventName>(event: N, listener: SinkListener<T, N>): this;
  addListener(event: symbol, listener: AnyListener): this;
  on<N extends SinkEventName>(event: N, listener: SinkListener<T, N>): this;
  on(event: symbol, listener: AnyListener): this;
  once<N extends SinkEventName>(event: N, listener: SinkListener<T, N>): this;
  once(event: symbol, listener: AnyListener): this;
  prependListener<N extends SinkEventName>(event: N, listener: SinkListener<T, N>): this;
  prependListener(event: symbol, listener: AnyListener): this;
  prependOnceListener<N extends SinkEventName>(event: N, listener: SinkListener<T, N>): this;
  prependOnceListener(event: symbol, listener: AnyListener): this;
  off<N extends SinkEventName>(event: N, listener: SinkListener<T, N>): this;
  off(event: symbol, listener: AnyListener): this;
  removeListener<N extends SinkEventName>(event: N, listener: SinkListener<T, N>): this;
  removeListener(event: symbol, listener: AnyListener): this;
}

/**
 * The engine without a stream around it: items are pushed, batches go to `flush`.
 *
 * Flushing begins with `start()`; `await drain(); stop()` is the way to end. When a flush fails for good and no `onFailed` takes its
 * items, every pending and later call rejects with that error. Emits `state`, `drop`, `flush`, `retry`, `breaker` and `failed`;
 * never `error`.
 *
 * @throws InvalidOptionError for an option that is unknown, out of its range, or contradicts another.
 */
// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging -- the interface only adds the types of events
export class BackpressureController<T = unknown> extends EventEmitter<SinkEvents<T>> {
  readonly #sink: BatchingSink<T>;
  readonly #pushes: PushQueue<T>;
  #drains = 0;
  #isAdmitting = false;
  #stopped = false;
  /** It hears of an abort by `signal`: as long as it may flush or something is open. */
  #listening = false;
  /** A shutdown has reported what is left. */
  #isReported = false;
  #shutdown: SinkDrain | undefined;
  readonly #onSignal = () => {
    this.#abort(abortError(this.#sink.settings.signal!));
  };

  constructor(flush: FlushFunction<T>, options?: SinkOptions<T>) {
    super({ captureRejections: true });
    const settings = resolveSink(flush, options, 'BackpressureController');
    this.#sink = new BatchingSink<T>(flush, settings, {
      emitter: this,
      onRoom: () => {
        this.#admitWaiting();
        this.#releaseSignalIfIdle();
      },
      onFatal: (error) => this.#abort(error),
    });
    const maxBlockTimeMs = settings.maxBlockTimeMs ?? DEFAULTS.maxBlockTimeMs;
    this.#pushes = new PushQueue<T>(settings.clock, maxBlockTimeMs, (item) => {
      this.#sink.queue.dropWaiting(item, 'timeout');
      if (this.#pushes.length === 0) this.#sink.setHeld(false);
      // There may be room for the next one: it may be smaller.
      else this.#admitWaiting();
    });
    this.#listenToSignal();
  }

  /** An asynchronous listener was rejected: as one that throws. */
  override [captureRejectionSymbol](thrown: unknown, ...[event]: unknown[]): void {
    this.#sink.fail(this.#sink.errors.handlerFailed(`listener of '${String(event)}'`, thrown));
  }

  /** Begins, or goes on, flushing. Does nothing once `drainOnSignals` has reported what is left. */
  start(): void {
    if (this.#isReported) return;
    this.#stopped = false;
    this.#listenToSignal();
    this.#sink.start();
  }

  /**
   * Starts no further flush and keeps what is queued. A `flush()` or `drain()` that still waits for one rejects. With nothing open it also
   * lets go of `signal`, until the next `start()` or the next item.
   */
  stop(): void {
    this.#stopped = true;
    this.#sink.stop();
    this.#releaseSignalIfIdle();
  }

  /**
   * Offers an item. Resolves to `true` once it is admitted (not: flushed), to `false` when it was dropped: by the strategy, while the
   * controller drains, or, under `block`, after it has waited for `maxBlockTimeMs`.
   *
   * Rejects with the error that ended the controller, and with `ERR_BACKPRESSURE_OVERFLOW` when `maxWaiting` pushes wait already.
   */
  push(item: T): Promise<boolean> {
    try {
      const admitted = this.#offer(item, true);
      if (admitted === true) return ADMITTED;
      return admitted === false ? DROPPED : admitted;
    } catch (thrown) {
      return handled(Promise.reject(thrown as Error));
    }
  }

  /**
   * Offers an item without waiting for room: `false` means that it was dropped, and counted as such.
   *
   * @throws the error that ended the controller.
   */
  tryPush(item: T): boolean {
    return this.#offer(item, false) as boolean;
  }

  /** Returns whether the item is admitted, or a promise of that if it waits, which needs `mayWait`. Throws the error that ended the controller. */
  #offer(item: T, mayWait: boolean): boolean | Promise<boolean> {
    const { queue, failure } = this.#sink;
    if (failure !== undefined) {
      queue.dropOnArrival(item, 'aborted');
      throw failure;
    }
    // Those who wait came first. Looked at before the user is asked, who may send them away.
    const isBehind = this.#pushes.length > 0;
    if (this.#drains > 0 || (isBehind && !mayWait)) {
      queue.dropOnArrival(item, 'rejected');
      return false;
    }
    // The signal may have aborted while nobody listened.
    if (!this.#listening && !this.#listenToSignal()) return this.#offer(item, mayWait);
    queue.countArrival();
    let bytes: number;
    try {
      bytes = queue.judge(item);
      const outcome = isBehind ? 'full' : this.#sink.admit(item, bytes);
      if (outcome === 'admitted') return true;
      if (outcome === 'full' && !mayWait) queue.dropWaiting(item, 'rejected');
      if (outcome === 'dropped' || !mayWait) {
        this.#releaseSignalIfIdle();
        return false;
      }
    } catch (thrown) {
      throw this.#handlerThrew(item, thrown);
    }
    queue.retractArrival();
    if (bytes === SHED) {
      // An item that is shed need not wait.
      queue.dropOnArrival(item, 'shed');
      return false;
    }
    // The user's own `shed` or `sizeOf` may have ended the controller.
    return this.#sink.failure === undefined ? this.#enqueue(item, bytes) : this.#offer(item, true);
  }

  /**
   * Flushes without delay what was pushed before the call. Resolves when all of it has settled, retries included; resolves at once where
   * there is nothing. Do not await it in the flush function or in `onFailed`: it waits for what they return. Does not promise that every item arrived: see `onFailed`. Rejects with the error that ended the controller, or with
   * `ERR_BACKPRESSURE_STOPPED`.
   */
  flush(): Promise<void> {
    return this.#sink.flush();
  }

  /**
   * As `flush()`, in the state DRAINING: pushes are refused until it is over.
   *
   * @param options.timeoutMs How long it may take, in milliseconds; unlimited by default. Then it rejects with
   *   `ERR_BACKPRESSURE_DRAIN_TIMEOUT`, whose `items` are copies of what is still open; the controller goes on.
   * @throws InvalidOptionError for a wrong option.
   */
  drain(options: DrainOptions = {}): Promise<void> {
    return handled(this.#drain(checkDrain(options)));
  }

  async #drain(timeoutMs: number): Promise<void> {
    this.#drains++;
    this.#sink.setDraining(true);
    try {
      await this.#sink.flushWithin(timeoutMs, () =>
        drainTimeout(timeoutMs, this.#sink.openItems(this.#pushes.items())),
      );
    } finally {
      if (--this.#drains === 0) this.#sink.setDraining(false);
    }
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
    return sinkTimeUntilRoom(this.#sink.parts(), count, bytes);
  }

  /** Resolves when fewer than `count` items are queued plus in flight. */
  whenBelow(count: number): Promise<void> {
    return this.#sink.whenBelow(checkInteger('count', count, 1));
  }

  /** A snapshot of counters and state; synchronous, and right at any instant. */
  getMetrics(): SinkMetrics {
    return sinkMetrics(this.#sink.parts());
  }

  /**
   * Where `positionOf` is given: everything that was offered up to and including this position has settled: it arrived,
   * `onFailed` took it, or it was dropped. A source may be acknowledged up to it, and reading resumed after it. It moves on by whole
   * batches, and is up to date when `onSettled` is called. It never passes items that were returned to the caller. `undefined` before there is one.
   */
  get committedPosition(): number | bigint | undefined {
    return this.#sink.committedPosition;
  }

  /** After a fatal failure or an abort by `signal`: the items that did not arrive, in order, each returned once. */
  takeUnsettled(): T[] {
    return this.#sink.takeUnsettled();
  }

  /** Drains and stops. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain();
    this.stop();
  }

  /** @internal */
  [SHUTDOWN](): SinkDrain {
    const sink = this.#sink;
    return (this.#shutdown ??= new SinkDrain({
      passesOn: false,
      isClosed: () => false,
      countOpen: () => sink.openCount,
      prepare: () => undefined,
      settle: () => this.flush(),
      drain: () => {
        // Never lifted: whatever is pushed from now on is refused.
        this.#drains++;
        return this.drain();
      },
      drainMore: () => Promise.resolve(),
      halt: () => {
        this.#isReported = true;
        sink.haltFlushes();
        return sink.takeUndelivered(this.#pushes.items());
      },
      end: () => this.stop(),
    }));
  }

  #enqueue(item: T, bytes: number): Promise<boolean> {
    const { queue, settings } = this.#sink;
    if (this.#pushes.length >= settings.maxWaiting) {
      queue.dropOnArrival(item, 'overflow');
      const message = `maxWaiting (${settings.maxWaiting}) pushes wait already`;
      return handled(
        Promise.reject(queue.errors.create('ERR_BACKPRESSURE_OVERFLOW', message, { items: [item] })),
      );
    }
    queue.countArrival();
    // The timer of those that wait must not keep the caller's context.
    const promise = handled(queue.context.runInAsyncScope(() => this.#pushes.enqueue(item, bytes)));
    this.#sink.setHeld(true);
    return promise;
  }

  #admitWaiting(): void {
    if (this.#isAdmitting || this.#pushes.length === 0) return;
    // A listener of what an admission changes may bring us back here.
    this.#isAdmitting = true;
    try {
      this.#pushes.admitWaiting((item, bytes) => this.#sink.admit(item, bytes) === 'admitted');
    } catch (thrown) {
      this.#abort(this.#sink.errors.handlerFailed('admission', thrown));
    } finally {
      this.#isAdmitting = false;
    }
    if (this.#pushes.length === 0) this.#sink.setHeld(false);
  }

  /** `sizeOf` or `shed` threw: the item cannot be judged, and so nothing can go on. */
  #handlerThrew(item: T, thrown: unknown): Error {
    const error = this.#sink.errors.handlerFailed('admission', thrown);
    this.#sink.queue.dropWaiting(item, 'aborted');
    this.#abort(error);
    return error;
  }

  #abort(error: Error): void {
    this.#stopListening();
    void this.#sink.abort(error, this.#pushes.rejectAll(error));
  }

  /** A signal may outlive many controllers: one that is stopped, with nothing open, does not keep it. */
  #releaseSignalIfIdle(): void {
    if (this.#stopped && this.#sink.isIdle) this.#stopListening();
  }

  #stopListening(): void {
    this.#listening = false;
    this.#sink.settings.signal?.removeEventListener('abort', this.#onSignal);
  }

  /** Returns `false` if the controller has ended, also if it ends by this call. */
  #listenToSignal(): boolean {
    if (this.#sink.failure !== undefined) return false;
    const { signal } = this.#sink.settings;
    if (signal?.aborted) {
      this.#onSignal();
      return false;
    }
    this.#listening = true;
    signal?.addEventListener('abort', this.#onSignal, { once: true });
    return true;
  }
}
