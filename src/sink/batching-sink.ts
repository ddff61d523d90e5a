import { AdmissionQueue } from '../buffer/admission-queue.js';
import type { QueueObserver } from '../buffer/buffered-items.js';
import type { Outcome } from '../buffer/drop-strategies.js';
import { beforeExit } from '../common/before-exit.js';
import type { BackpressureError, StageErrors } from '../api/errors.js';
import type { ResolvedSink } from '../settings/resolve-sink.js';
import type { BreakerState, FlushFunction, FlushReason } from '../api/flush-function.js';
import type { BackpressureState, DropReason } from '../api/states.js';
import { handled } from '../guards/user-callbacks.js';
import { AdaptiveLimits } from './adaptive/adaptive-limits.js';
import { InFlightBatches, type InFlightHost } from './in-flight-batches.js';
import { BreakerPermits, type PermitsHost } from './resilience/breaker-permits.js';
import { ALL_PERMITTED, type CallPermits } from './resilience/call-permits.js';
import { FlushScheduler, type SchedulerHost } from './schedule/flush-scheduler.js';
import type { Position } from '../common/position.js';
import { Settlements } from './settlement/settlements.js';
import { SinkWaiters } from './settlement/sink-waiters.js';
import { inOrder, type Part } from './settlement/unsettled-items.js';
import type { SinkParts } from './sink-metrics.js';
import { SinkObserver, type SinkOwner } from './sink-observer.js';

/**
 * Takes items from an admission queue to a flush function.
 *
 *     AdmissionQueue ──FlushScheduler──> Delivery ──flush function──> Settlements
 *        admits        when, how much      calls,       CallPermits      counts, reports,
 *                                          retries      allow it         returns items
 *
 * The sink itself is the life around them:
 *
 *     stopped ──start──> running ──stop──> stopped
 *        └──────────┬───────┘
 *                 abort ──> aborted (final)
 */
export class BatchingSink<T> implements QueueObserver<T>, PermitsHost, SchedulerHost, InFlightHost {
  readonly queue: AdmissionQueue<T>;
  readonly settings: ResolvedSink<T>;
  readonly #owner: SinkOwner;
  readonly #observer: SinkObserver<T>;
  readonly #scheduler: FlushScheduler<T>;
  readonly #permits: CallPermits;
  readonly #settlements: Settlements<T>;
  readonly #inFlight: InFlightBatches<T>;
  readonly #waiters: SinkWaiters<T>;
  #phase: 'stopped' | 'running' | 'aborted' = 'stopped';
  #aborting: Promise<void> | undefined;
  #failure: Error | undefined;

  constructor(flush: FlushFunction<T>, settings: ResolvedSink<T>, owner: SinkOwner) {
    this.settings = settings;
    this.#owner = owner;
    // Not at once: the caller of the handler has not finished.
    const failSoon = (name: string, thrown: unknown) => {
      queueMicrotask(() => this.fail(this.errors.handlerFailed(name, thrown)));
    };
    this.#observer = new SinkObserver(owner.emitter, failSoon);
    const { breaker } = settings;
    this.#permits = breaker === undefined ? ALL_PERMITTED : new BreakerPermits(settings, breaker, this);
    this.queue = new AdmissionQueue<T>(settings, this);
    const control = settings.adaptive ? new AdaptiveLimits(settings) : undefined;
    this.#scheduler = new FlushScheduler(this.queue, settings, control, this.#permits, this);
    this.#settlements = new Settlements(settings, this.queue, this.#observer, failSoon);
    this.#inFlight = new InFlightBatches(
      {
        flush,
        settings,
        queue: this.queue,
        permits: this.#permits,
        settlements: this.#settlements,
        scheduler: this.#scheduler,
        observer: this.#observer,
      },
      this,
    );
    this.#waiters = new SinkWaiters(this.queue, this.#inFlight);
    if (settings.unref) beforeExit.add(this);
  }

  // ── the producer's side ──

  /** Decides on an item that has arrived in the queue; `bytes` is what `queue.judge` returned. */
  admit(item: T, bytes: number): Outcome {
    const isFirst = this.queue.ledger.queued === 0;
    const outcome = this.queue.admit(item, bytes);
    if (outcome === 'admitted') {
      if (this.#failure === undefined) this.#scheduler.onAdmitted(isFirst);
      else this.#failAdmitted(this.#failure);
    } else if (outcome === 'full' && this.#phase === 'aborted') {
      // `shed` or `sizeOf` has ended the sink: what was to wait is returned with the others.
      this.returnToCaller(item);
      return 'dropped';
    }
    return outcome;
  }

  /** A listener has ended the sink since the item arrived. */
  #failAdmitted(failure: Error): void {
    this.#scheduler.schedule();
    this.#settlements.failAdmitted(failure);
  }

  /** Returns an item that waits to the caller: the sink has ended while it was being decided on. */
  returnToCaller(item: T): void {
    this.#settlements.returnWaiting(item);
  }

  /** How many more items the queue may admit by itself, until the next pump. */
  headroom(): number {
    return this.#phase === 'aborted' ? 0 : this.#scheduler.headroom();
  }

  /** The same for bytes, if `headroom` is above 0. */
  headroomBytes(): number {
    return this.#scheduler.headroomBytes();
  }

  /** A producer is made to wait, or none is any more. */
  setHeld(held: boolean): void {
    this.#scheduler.setProducerWaiting(held);
  }

  onSkipped(): void {
    this.#scheduler.schedule();
  }

  // ── life ──

  get errors(): StageErrors {
    return this.queue.errors;
  }

  get failure(): Error | undefined {
    return this.#failure;
  }

  get isIdle(): boolean {
    const { ledger } = this.queue;
    return ledger.load === 0 && ledger.waiting === 0;
  }

  get isRunning(): boolean {
    return this.#phase === 'running';
  }

  start(): void {
    if (this.#phase !== 'stopped') return;
    this.#phase = 'running';
    this.#scheduler.schedule();
  }

  /** Starts no further flush. Batches in flight go on to their end. */
  stop(): void {
    this.haltFlushes();
    if (this.#phase === 'stopped') this.#waiters.rejectUnlaunched(() => this.#stoppedError());
  }

  /** As `stop()`, but callers that wait for a flush are not rejected, because what follows rejects them. */
  haltFlushes(): void {
    if (this.#phase !== 'running') return;
    this.#phase = 'stopped';
    this.#scheduler.stopAlarm();
    this.#permits.halt();
  }

  /** Settles everything that was offered before the call. */
  flush(): Promise<void> {
    return this.#refuseFlush() ?? this.#waiters.settled();
  }

  /** As `flush()`, but rejects with `makeError()` if that takes longer than `timeoutMs`. */
  flushWithin(timeoutMs: number, makeError: () => Error): Promise<void> {
    return this.#refuseFlush() ?? this.#waiters.settledWithin(timeoutMs, makeError);
  }

  /** Returns a rejection if nothing will be flushed any more; otherwise makes sure that the flush is not delayed. */
  #refuseFlush(): Promise<never> | undefined {
    if (this.#failure !== undefined) return this.#rejectWhenEnded(this.#failure);
    const { queued, waiting } = this.queue.ledger;
    if (this.#phase === 'stopped' && queued + waiting > 0)
      return handled(Promise.reject(this.#stoppedError()));
    this.#scheduler.schedule();
    return undefined;
  }

  whenBelow(load: number): Promise<void> {
    if (this.#failure !== undefined) return this.#rejectWhenEnded(this.#failure);
    return this.#waiters.loadBelow(load);
  }

  /** Lays the state DRAINING over the others, in which everything is flushed without delay, or lifts it. */
  setDraining(draining: boolean): void {
    const scheduler = this.#scheduler;
    // An abort does not lift it: the caller that has laid it over the state does.
    if (scheduler.isDraining === draining || (draining && this.#phase === 'aborted')) return;
    scheduler.isDraining = draining;
    this.queue.setDraining(draining);
    scheduler.schedule();
  }

  /**
   * Ends the sink at once: signals fire, what is queued settles as failed, what waits as dropped.
   *
   * Resolves when nothing is in flight any more, after at most `abortGraceMs`. `takeUnsettled()` is complete then, and `error` carries the
   * same items if this stage made it.
   */
  abort(error: Error, waiting: T[]): Promise<void> {
    if (this.#phase === 'aborted') for (const item of waiting) this.returnToCaller(item);
    else this.#aborting = this.queue.context.runInAsyncScope(this.#abort, this, error, waiting);
    // Undefined only for a listener that aborts once more from within the first abort.
    return this.#aborting ?? Promise.resolve();
  }

  async #abort(error: Error, waiting: T[]): Promise<void> {
    this.#phase = 'aborted';
    this.#failure = error;
    this.#scheduler.stopAlarm();
    this.#permits.end();
    this.#scheduler.setProducerWaiting(false);
    const ended = this.#inFlight.abortAll(error);
    this.#scheduler.schedule();
    const reported = this.#settlements.abort(waiting, error);
    await Promise.all([ended, reported]);
    await this.#settlements.reportAll();
    this.#waiters.rejectAll(error);
    this.errors.attachItems(error, () => this.#settlements.allReturned());
  }

  /** Not before the abort has ended: what is returned to the caller is complete then. */
  #rejectWhenEnded(failure: Error): Promise<never> {
    return handled((this.#aborting ?? Promise.resolve()).then(() => Promise.reject(failure)));
  }

  fail(error: Error): void {
    if (this.#phase !== 'aborted') this.#owner.onFatal(error);
  }

  // ── open items, metrics ──

  /** The items that did not arrive, in order, each returned once. Complete when the abort has ended. */
  takeUnsettled(): T[] {
    return this.#settlements.takeUnsettled();
  }

  /** Copies of everything that is open, in order: in flight, queued, then what waits. */
  openItems(waiting: T[]): T[] {
    return inOrder(this.#openParts(waiting));
  }

  /** How many items have not arrived, and were not taken by `takeUnsettled()`. */
  get openCount(): number {
    const { load, waiting } = this.queue.ledger;
    return load + waiting + this.#settlements.unsettledCount;
  }

  /** These items; what `takeUnsettled()` would return is taken with them. During an abort there are both. */
  takeUndelivered(waiting: T[]): T[] {
    return this.#settlements.takeUnsettled(this.#openParts(waiting));
  }

  #openParts(waiting: T[]): Part<T>[] {
    const queued = { first: this.queue.head, items: this.queue.queuedItems() };
    return [...this.#inFlight.openParts(), queued, { first: Infinity, items: waiting }];
  }

  /** The position up to which everything has settled, if there are positions. */
  get committedPosition(): Position | undefined {
    return this.#settlements.committedPosition;
  }

  /** What a snapshot is taken of: see `sinkMetrics` and `timeUntilRoom`. */
  parts(): SinkParts<T> {
    return {
      queue: this.queue,
      scheduler: this.#scheduler,
      permits: this.#permits,
      counters: this.#inFlight.counters,
      isRunning: this.isRunning,
      failure: this.#failure,
      oldestInFlight: this.#inFlight.oldestTime,
      committedPosition: this.committedPosition,
    };
  }

  // ── SchedulerHost: when a batch is due ──

  get isFlushAwaited(): boolean {
    return this.#waiters.isFlushAwaited;
  }

  beforePump(): void {
    this.queue.ledger.assertBalanced();
    this.#settlements.deliver();
    this.#checkWaiters();
  }

  launch(reason: FlushReason, length: number, isFull: boolean): boolean {
    return this.#inFlight.launch(reason, length, isFull);
  }

  // ── PermitsHost: whether the destination may be called ──

  onBreaker(state: BreakerState, previous: BreakerState, reason: Error | undefined): void {
    this.#observer.emit('breaker', state, previous, reason);
  }

  onMayLaunch(): void {
    this.#scheduler.schedule();
  }

  // ── InFlightHost: what became of a batch ──

  onSettled(): void {
    this.#checkWaiters();
    if (this.#phase !== 'aborted') this.#owner.onRoom();
  }

  onSlotFree(): void {
    this.#checkWaiters();
    this.#scheduler.pump();
  }

  // ── QueueObserver: what becomes of items before they are in flight ──

  onState(state: BackpressureState, previous: BackpressureState): void {
    this.queue.context.runInAsyncScope(() => this.#observer.emit('state', state, previous));
  }

  observesDrops(): boolean {
    return this.settings.onSettled !== undefined || !this.#waiters.isEmpty || this.#observer.observesDrops();
  }

  onDrop(item: T, reason: DropReason): void {
    this.#settlements.dropped(item, reason);
    // An eviction may be what a caller of `flush()` waits for. No room is offered: a newer item takes it at once.
    if (this.#settlements.hasPending || !this.#waiters.isEmpty) this.#scheduler.schedule();
    if (this.#observer.observesDrops())
      this.queue.context.runInAsyncScope(() => this.#observer.emit('drop', item, reason));
  }

  #checkWaiters(): void {
    // After a failure they are rejected instead, once the abort has ended.
    if (this.#failure === undefined) this.#waiters.check();
  }

  #stoppedError(): BackpressureError {
    const message = 'the controller is stopped, so nothing is flushed: call start() first';
    return this.errors.create('ERR_BACKPRESSURE_STOPPED', message);
  }
}
