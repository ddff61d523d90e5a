import { AdmissionQueue, type TakenItems } from '../buffer/admission-queue.js';
import type { Outcome } from '../buffer/drop-strategies.js';
import { bufferMetrics } from '../buffer/buffer-metrics.js';
import { Alarm } from '../common/alarm.js';
import { timeOfDay } from '../common/clock.js';
import { beforeExit } from '../common/before-exit.js';
import { Deadline } from '../common/deadline.js';
import type { BackpressureError, StageErrors } from '../api/errors.js';
import type { FlushReport } from '../api/events.js';
import type { SinkMetrics } from '../api/metrics.js';
import type { FailedItem } from '../api/options.js';
import type { ResolvedSink } from '../settings/resolve-sink.js';
import { Stopwatch } from '../common/stopwatch.js';
import type { BreakerState, FlushFunction, FlushReason } from '../api/flush-function.js';
import type { DropReason } from '../api/states.js';
import { handled } from '../guards/user-callbacks.js';
import { FlushWaiters, type Progress } from './settlement/flush-waiters.js';
import { LoadWaiters } from './settlement/load-waiters.js';
import { AdaptiveLimits, fixedLimits, type Launch, type SinkLimits } from './adaptive/adaptive-limits.js';
import { CallPermits, type CallPermitsHost } from './resilience/call-permits.js';
import { Delivery, type DeliveryHost } from './delivery/delivery.js';
import { CommittedPosition, type Position } from './settlement/committed-position.js';
import { flushDue } from './schedule/flush-due.js';
import { FlushPace } from './schedule/flush-pace.js';
import { failuresOf, SettlementLog, type WeighedItems } from './settlement/settlement-log.js';
import { GuardedObserver, type SinkObserver } from './sink-observer.js';
import { inOrder, UnsettledItems, type Part } from './settlement/unsettled-items.js';

/** A job of a promise is a microtask, too, but Node's `queueMicrotask` also makes an AsyncResource for each. */
const SETTLED = Promise.resolve();

/**
 * From an admission queue to a flush function: batches, deliveries and settlement.
 *
 * It is `stopped`, `running` or `aborted`; an abort is final. Flushes start in a microtask, never inside an admission.
 */
export class BatchingSink<T> implements DeliveryHost<T>, CallPermitsHost {
  readonly queue: AdmissionQueue<T>;
  readonly settings: ResolvedSink<T>;
  /** What a batch may be, and how many fly, at the moment. */
  readonly #limits: SinkLimits;
  /** What `#limits.batchBytes` is by `sizeOf`, as things stand. */
  #batchBytes = 0;
  readonly #control: AdaptiveLimits | undefined;
  readonly #flush: FlushFunction<T>;
  readonly #observer: SinkObserver<T>;
  #phase: 'stopped' | 'running' | 'aborted' = 'stopped';
  #aborting: Promise<void> | undefined;
  #failure: Error | undefined;
  #draining = false;
  /** Each with who waits for its end: an abort, if there is one. */
  readonly #deliveries = new Map<Delivery<T>, (() => void) | undefined>();
  readonly #permits: CallPermits;
  readonly #flushWaiters = new FlushWaiters();
  readonly #loadWaiters = new LoadWaiters();
  readonly #blocked: Stopwatch;
  readonly #unsettled = new UnsettledItems<T>();
  readonly #settlements: SettlementLog<T>;
  /** Outcomes of large batches that are still being told after a failure. */
  #reporting: Promise<void> | undefined;
  readonly #positions: CommittedPosition<T> | undefined;
  #pumpIsScheduled = false;
  // In our own context, not in that of the write which made it necessary: flushes and timers start here.
  readonly #pumpTask = () => this.queue.context.runInAsyncScope(this.#runPump, this);

  readonly #alarm: Alarm;
  readonly #pace: FlushPace;
  #flushes: Record<FlushReason, number> = { size: 0, bytes: 0, interval: 0, drain: 0, manual: 0 };
  #retries = 0;
  #lateResults = 0;
  #lastError: Error | undefined;
  #lastSuccessAt: number | undefined;

  constructor(flush: FlushFunction<T>, settings: ResolvedSink<T>, observer: SinkObserver<T>) {
    this.#flush = flush;
    this.settings = settings;
    this.#control = settings.adaptive ? new AdaptiveLimits(settings) : undefined;
    this.#limits = this.#control?.limits ?? fixedLimits(settings);
    this.#updateBatchBytes();
    // Not at once: the caller of the handler has not finished.
    const failSoon = (name: string, thrown: unknown) => {
      queueMicrotask(() => this.fail(this.errors.handlerFailed(name, thrown)));
    };
    this.#observer = new GuardedObserver(observer, failSoon);
    this.#settlements = new SettlementLog<T>(settings.onSettled, failSoon, (deliver) =>
      this.queue.context.runInAsyncScope(deliver),
    );
    this.#alarm = new Alarm(settings.clock, () => this.#pump());
    this.#pace = new FlushPace(settings.clock, settings);
    this.#blocked = new Stopwatch(settings.clock);
    this.#permits = new CallPermits(settings, this);
    this.queue = new AdmissionQueue<T>(settings, {
      onState: (state, previous) =>
        this.queue.context.runInAsyncScope(() => this.#observer.onState(state, previous)),
      onDrop: (item, reason) => this.#onDrop(item, reason),
      observesDrops: () =>
        settings.onSettled !== undefined || this.#hasWaiters || this.#observer.observesDrops(),
    });
    if (settings.unref) beforeExit.add(this);
    const { positionOf } = settings;
    this.#positions = positionOf && new CommittedPosition(positionOf, this.queue, failSoon);
  }

  // ── the producer's side ──

  /** Decides on an item that has arrived in the queue. Throws what the user's `sizeOf` and `shed` throw. */
  askAndAdmit(item: T, bytes?: number): Outcome {
    const isFirst = this.queue.ledger.queued === 0;
    const outcome = this.queue.askAndAdmit(item, bytes);
    if (outcome === 'admitted') this.#wake(isFirst);
    else if (outcome === 'full' && this.#phase === 'aborted') {
      // `shed` has ended us meanwhile: what was to wait is handed back with the others.
      this.returnToCaller(item);
      return 'dropped';
    }
    return outcome;
  }

  /** As `askAndAdmit`, if the user's `sizeOf` and `shed` have been asked already. */
  admit(item: T, bytes: number): Outcome {
    const isFirst = this.queue.ledger.queued === 0;
    const outcome = this.queue.admit(item, bytes);
    if (outcome === 'admitted') this.#wake(isFirst);
    return outcome;
  }

  /** The sink has ended while the item, which waits, was being decided on. */
  returnToCaller(item: T): void {
    this.#positions?.stopBefore(item);
    this.#unsettled.addPart(Infinity, [item]);
    this.queue.dropWaiting(item, 'aborted');
  }

  /** So many further items need no `#wake`, until the next pump. */
  headroom(): number {
    const { queued } = this.queue.ledger;
    if (this.#phase === 'aborted' || queued === 0) return 0;
    if (this.#pumpIsScheduled || this.#deliveries.size >= this.#limits.concurrency) return Infinity;
    return this.#limits.batchSize - 1 - queued;
  }

  /** The same of bytes, while `headroom` is above 0. */
  headroomBytes(): number {
    if (this.#pumpIsScheduled || this.#deliveries.size >= this.#limits.concurrency) return Infinity;
    return this.#batchBytes - 1 - this.queue.ledger.queuedBytes;
  }

  /** A producer is made to wait: what is queued is flushed, for nothing else will come. */
  setHeld(held: boolean): void {
    if (!held) return this.#blocked.stop();
    this.#blocked.start();
    this.#schedulePump();
  }

  onSkipped(): void {
    this.#schedulePump();
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
    this.#schedulePump();
  }

  /** Starts no further flush. Deliveries under way end as they would. */
  stop(): void {
    this.haltFlushes();
    if (this.#phase === 'stopped') this.#flushWaiters.rejectFrom(this.queue.head, () => this.#stoppedError());
  }

  /** As `stop()`, but who waits for a flush is not told: something is about to follow that tells. */
  haltFlushes(): void {
    if (this.#phase !== 'running') return;
    this.#phase = 'stopped';
    this.#alarm.clear();
    this.#permits.halt();
  }

  /** Settles everything that was offered before the call. */
  flush(): Promise<void> {
    return this.#refuseFlush() ?? this.#flushWaiters.settled(this.#progress());
  }

  /** As `flush()`, but rejects with `late()` when that takes longer than `timeoutMs`. */
  flushWithin(timeoutMs: number, late: () => Error): Promise<void> {
    if (timeoutMs === Infinity) return this.flush();
    return this.#refuseFlush() ?? handled(this.#settledWithin(timeoutMs, late));
  }

  #settledWithin(timeoutMs: number, late: () => Error): Promise<void> {
    return new Promise((resolve, reject) => {
      const deadline = new Deadline(this.settings.clock, timeoutMs, () => {
        // Else those that give up, one after the other, would pile up for as long as an outage lasts.
        this.#flushWaiters.withdraw(waiter);
        reject(late());
      });
      deadline.start();
      const waiter = this.#flushWaiters.addWaiter(
        this.#progress(),
        () => {
          deadline.clear();
          resolve();
        },
        (error) => {
          deadline.clear();
          reject(error);
        },
      );
    });
  }

  /** Returns a rejection if nothing will be flushed any more; else makes sure that the flush is not delayed. */
  #refuseFlush(): Promise<never> | undefined {
    if (this.#failure !== undefined) return this.#rejectWhenEnded(this.#failure);
    const { queued, waiting } = this.queue.ledger;
    if (this.#phase === 'stopped' && queued + waiting > 0)
      return handled(Promise.reject(this.#stoppedError()));
    this.#schedulePump();
    return undefined;
  }

  whenBelow(load: number): Promise<void> {
    if (this.#failure !== undefined) return this.#rejectWhenEnded(this.#failure);
    return this.#loadWaiters.reached(load, this.queue.ledger.load);
  }

  /** DRAINING: everything is flushed without delay, as long as it is on. */
  setDraining(draining: boolean): void {
    // An abort lifts nothing by itself: who laid DRAINING over the state takes it away.
    if (this.#draining === draining || (draining && this.#phase === 'aborted')) return;
    this.#draining = draining;
    this.queue.setDraining(draining);
    this.#schedulePump();
  }

  /**
   * Ends at once: signals fire, what is queued settles as failed, what waits as dropped. Resolves when nothing is in flight any more,
   * which takes `abortGraceMs` at the most; `takeUnsettled()` is complete then, and `error`, if this stage made it, carries the same items.
   */
  abort(error: Error, waiting: T[]): Promise<void> {
    if (this.#phase === 'aborted') {
      for (const item of waiting) this.#settlements.dropped(item, 1, 'aborted');
      this.#dropWaiting(waiting);
    } else this.#aborting = this.queue.context.runInAsyncScope(this.#abort, this, error, waiting);
    // Not there yet only for a listener that aborts once more, from within the first abort.
    return this.#aborting ?? Promise.resolve();
  }

  async #abort(error: Error, waiting: T[]): Promise<void> {
    this.#phase = 'aborted';
    this.#failure = error;
    this.#alarm.clear();
    this.#permits.end();
    this.#blocked.stop();
    const ends = [...this.#deliveries.keys()].map(
      (delivery) => new Promise<void>((resolve) => this.#deliveries.set(delivery, resolve)),
    );
    for (const delivery of this.#deliveries.keys()) delivery.abort(error);
    const reported = this.#settlements.failQueue(this.#failQueued(), waiting, error);
    this.#dropWaiting(waiting);
    await Promise.all([...ends, reported]);
    if (this.#reporting !== undefined) await this.#reporting;
    this.#settlements.deliver();
    this.#flushWaiters.rejectAll(error);
    this.#loadWaiters.rejectAll(error);
    this.errors.attachItems(error, () => this.#unsettled.everything());
  }

  /** Not before the abort has ended: what is to be handed back is complete then. */
  #rejectWhenEnded(failure: Error): Promise<never> {
    return handled((this.#aborting ?? Promise.resolve()).then(() => Promise.reject(failure)));
  }

  /** The settlement log is told by the caller. */
  #dropWaiting(waiting: T[]): void {
    if (waiting.length === 0) return;
    this.#positions?.stopBefore(waiting[0]!);
    this.#unsettled.addPart(Infinity, waiting);
    this.queue.countDropped(waiting.length, 'aborted');
    if (!this.#observer.observesDrops()) return;
    for (const item of waiting)
      this.queue.context.runInAsyncScope(() => this.#observer.onDrop(item, 'aborted'));
  }

  /** Returns the items, whose outcome is to be told. */
  #failQueued(): WeighedItems<T> {
    const first = this.queue.head;
    // Before they leave: a listener may ask for the committed position.
    if (this.queue.ledger.queued > 0) this.#positions?.stopBefore(this.queue.itemAt(0));
    const taken = this.queue.failQueued();
    this.#unsettled.addPart(first, taken.items);
    this.#schedulePump();
    return taken;
  }

  /** The items that did not arrive, in order, each handed out once. Complete when the abort has ended. */
  takeUnsettled(): T[] {
    return this.#unsettled.takeAll();
  }

  /** Copies of everything that is open, in order: in flight, queued, then what waits. */
  openItems(waiting: T[]): T[] {
    return inOrder(this.#openParts(waiting));
  }

  /** How many items have not arrived, and were not taken by `takeUnsettled()`. */
  get openCount(): number {
    const { load, waiting } = this.queue.ledger;
    return load + waiting + this.#unsettled.count;
  }

  /** The same, and among it what `takeUnsettled()` hands out: an abort that is under way has both. */
  takeUndelivered(waiting: T[]): T[] {
    return this.#unsettled.takeAll(this.#openParts(waiting));
  }

  #openParts(waiting: T[]): Part<T>[] {
    const deliveries = [...this.#deliveries.keys()].map(({ first, openItems }) => ({
      first,
      items: openItems,
    }));
    const queued = { first: this.queue.head, items: this.queue.queuedItems() };
    return [...deliveries, queued, { first: Infinity, items: waiting }];
  }

  /** The position up to which everything has settled, where there are positions. */
  get committedPosition(): Position | undefined {
    return this.#positions?.current;
  }

  metrics(): SinkMetrics {
    const flushesByReason = { ...this.#flushes };
    const { size, bytes, interval, drain, manual } = flushesByReason;
    let oldestInFlight = Infinity;
    for (const { oldestTime } of this.#deliveries.keys())
      if (oldestTime < oldestInFlight) oldestInFlight = oldestTime;
    // Not `{ ...bufferMetrics(…), … }`: V8 of Node 20 takes 15 µs for a spread that so many properties follow.
    const facts = {
      producerBlockedMs: this.#blocked.totalMs,
      oldestInFlight,
      failure: this.#failure,
      lastError: this.#lastError,
    };
    const { clock } = this.settings;
    const probeAt = this.#failure === undefined ? this.#permits.nextProbeAt : undefined;
    return Object.assign(bufferMetrics(this.queue, facts), {
      lastFlushLatencyMs: this.#pace.lastLatencyMs,
      currentFlushIntervalMs: this.#pace.intervalMs,
      currentBatchSize: this.#limits.batchSize,
      currentConcurrency: this.#limits.concurrency,
      flushes: size + bytes + interval + drain + manual,
      flushesByReason,
      retries: this.#retries,
      lateResults: this.#lateResults,
      breaker: this.#permits.state,
      nextProbeTime: probeAt === undefined ? undefined : timeOfDay(clock, probeAt),
      lastSuccessTime: this.#lastSuccessAt === undefined ? undefined : timeOfDay(clock, this.#lastSuccessAt),
      committedPosition: this.committedPosition,
    });
  }

  // ── when to flush ──

  /** After each admission: is this the item that makes a flush due, or starts its age? A listener may have let others in meanwhile. */
  #wake(isFirst: boolean): void {
    if (this.#phase === 'aborted') {
      this.#settlements.failed(failuresOf(this.#failQueued(), this.#failure!));
      return;
    }
    if (this.#pumpIsScheduled || this.#deliveries.size >= this.#limits.concurrency) return;
    const { queued, queuedBytes } = this.queue.ledger;
    // What drains, or is waited for, was seen to when the first of the queued items came.
    const isFull = queued >= this.#limits.batchSize || queuedBytes >= this.#batchBytes;
    if (isFirst || (isFull && this.#permits.mayLaunch)) this.#schedulePump();
  }

  #runPump(): void {
    this.#pumpIsScheduled = false;
    this.#settlements.deliver();
    this.#checkWaiters();
    this.#pump();
  }

  #schedulePump(): void {
    if (this.#pumpIsScheduled) return;
    this.#pumpIsScheduled = true;
    void SETTLED.then(this.#pumpTask);
  }

  /** The share that is sent is learnt from batch to batch; adaptive control moves the limit. */
  #updateBatchBytes(): void {
    const { sentShare, batchHeldBytes } = this.settings;
    const { batchBytes } = this.#limits;
    this.#batchBytes =
      sentShare === undefined
        ? batchBytes
        : Math.max(1, Math.min(batchHeldBytes, Math.floor(batchBytes / sentShare())));
  }

  #pump(): void {
    this.queue.endCredit();
    this.#updateBatchBytes();
    this.#permits.evaluate();
    let due: FlushReason | number | undefined;
    while (this.#deliveries.size < this.#limits.concurrency && this.#permits.mayLaunch) {
      due = this.#decide();
      if (typeof due !== 'string') break;
      const launched = this.#launch(due);
      due = undefined;
      if (!launched) break;
    }
    // One that goes off earlier will see to it.
    if (typeof due === 'number') this.#alarm.setBy(this.settings.clock.now() + due);
    else this.#alarm.clear();
  }

  #decide(): FlushReason | number | undefined {
    const { queue, settings } = this;
    const { queued, queuedBytes } = queue.ledger;
    // Asked before each batch: the flush function may stop everything.
    if (this.#phase !== 'running' || queued === 0) return undefined;
    return flushDue({
      now: settings.clock.now(),
      queued,
      queuedBytes,
      batchSize: this.#limits.batchSize,
      batchBytes: this.#batchBytes,
      oldestTime: queue.oldestTime,
      // The probe waits for nothing.
      flushIntervalMs: this.#permits.isTripped ? 0 : this.#pace.intervalMs,
      notBefore: this.#pace.notBefore,
      draining: this.#draining,
      manual: this.#flushWaiters.covers(queue.head),
      isProducerWaiting: this.#blocked.isRunning,
    });
  }

  /** Answers `false` where `positionOf` ends or stops the sink: the batch is not taken then. */
  #launch(reason: FlushReason): boolean {
    const { queue, settings } = this;
    const { batchSize } = this.#limits;
    const batchBytes = this.#batchBytes;
    const { queued, queuedBytes } = queue.ledger;
    const isFull = queued >= batchSize || queuedBytes >= batchBytes;
    const length = queue.batchLength(batchSize, batchBytes);
    let span;
    try {
      span = this.#positions?.measure(queue.itemAt(0), queue.itemAt(length - 1));
    } catch (thrown) {
      this.fail(this.errors.handlerFailed('positionOf', thrown));
      return false;
    }
    // Or it has ended, or stopped, everything itself.
    if (this.#phase !== 'running') return false;
    const share = this.#minIntervalShare(length);
    const taken = queue.takeBatch(length);
    const delivery = new Delivery(taken, reason, share, this.#flush, settings, this.#permits, this);
    if (this.#control !== undefined) delivery.launch = this.#noteLaunch(this.#control, taken, isFull);
    this.#flushes[reason]++;
    if (span !== undefined) this.#positions!.begin(delivery, span);
    this.#permits.onLaunch(delivery.first);
    // Before it begins: the flush function may abort everything at once.
    this.#deliveries.set(delivery, undefined);
    // `run` never rejects: what fails is told to `fail`.
    void delivery.run().then(() => {
      const ended = this.#deliveries.get(delivery);
      this.#deliveries.delete(delivery);
      ended?.();
      this.#checkWaiters();
      this.#pump();
    });
    return true;
  }

  /** Of the oldest items, those that the lower bound of the flush interval would have made a batch of. */
  #minIntervalShare(length: number): number {
    const { queue, settings } = this;
    const { queued, queuedBytes } = queue.ledger;
    const isBacklogged = queued - length >= this.#limits.batchSize || queuedBytes >= 2 * this.#batchBytes;
    // Adaptive control has made its size: with more than another full batch behind it, it has nothing to do with the interval.
    if (settings.adaptive && isBacklogged) return 1;
    return queue.arrivedWithin(settings.minFlushIntervalMs, length) / length;
  }

  #noteLaunch(control: AdaptiveLimits, taken: TakenItems<T>, isFull: boolean): Launch {
    let hasRetried = false;
    for (const { launch } of this.#deliveries.keys()) if (launch!.isRetried) hasRetried = true;
    return control.onLaunch(taken, this.queue.ledger, isFull, this.#deliveries.size + 1, hasRetried);
  }

  // ── CallGateHost: whether the destination may be called ──

  onBreaker(state: BreakerState, previous: BreakerState, reason: Error | undefined): void {
    this.#observer.onBreaker(state, previous, reason);
  }

  onMayLaunch(): void {
    this.#schedulePump();
  }

  onOutage(error: BackpressureError): void {
    this.fail(error);
  }

  // ── FlightHost: what became of a batch ──

  onAttempt(report: FlushReport, launch: Launch | undefined, share: number): void {
    this.#pace.onAttempt(report, share);
    if (report.error !== undefined) this.#lastError = report.error;
    if (report.success > 0) this.#lastSuccessAt = this.settings.clock.now();
    if (launch !== undefined) {
      this.#control!.onAttempt(launch, report, this.#pace.isRaised);
      this.#updateBatchBytes();
    }
    // The batch may have to wait for a retry, and another slot be free: what was due later may be due now.
    if (this.#deliveries.size < this.#limits.concurrency) this.#schedulePump();
    this.#observer.onFlush(report);
  }

  onRetry(error: Error, attempt: number, delayMs: number, items: number): void {
    this.#retries++;
    this.#observer.onRetry({ error, attempt, delayMs, items });
  }

  onFlushed(items: T[], bytes: number, weights: Float64Array | undefined): void {
    this.queue.settle(items.length, 0, bytes);
    this.#settlements.flushed(items, weights);
    this.#afterSettlement();
  }

  onFailed(failures: FailedItem<T>[], countedFlushed: number, bytes: number): void {
    this.#countFailed(failures, countedFlushed, bytes);
    this.#settlements.failed(failures);
    this.#observer.onFailed(failures);
    this.#afterSettlement();
  }

  #countFailed(failures: FailedItem<T>[], countedFlushed: number, bytes: number): void {
    this.queue.settle(countedFlushed, failures.length - countedFlushed, bytes);
    // Those that did arrive, as the result says, are among the ambiguous ones.
    let ambiguous = -countedFlushed;
    for (const failure of failures) if (failure.ambiguous) ambiguous++;
    this.queue.ledger.ambiguous += ambiguous;
  }

  onReturned(failures: FailedItem<T>[], countedFlushed: number, bytes: number, first: number): void {
    this.#positions?.neverSettles(first);
    this.#unsettled.addPart(
      first,
      failures.map(({ item }) => item),
    );
    this.queue.ledger.returned += failures.length - countedFlushed;
    if (!this.#settlements.isLong(failures.length)) return this.onFailed(failures, countedFlushed, bytes);
    this.#countFailed(failures, countedFlushed, bytes);
    const before = this.#reporting;
    this.#reporting = this.#settlements.failInTurns(failures, before);
    this.#observer.onFailed(failures);
    this.#afterSettlement();
  }

  onLateResult(): void {
    this.#lateResults++;
  }

  fail(error: Error): void {
    if (this.#phase !== 'aborted') this.#observer.onFatal(error);
  }

  #afterSettlement(): void {
    this.#positions?.advance();
    this.#settlements.deliver();
    this.#checkWaiters();
    if (this.#phase !== 'aborted') this.#observer.onRoom();
  }

  #onDrop(item: T, reason: DropReason): void {
    this.#settlements.dropped(item, this.queue.weightOfDropped(reason), reason);
    // An eviction may be what a flush() was waiting for; but the room that it leaves will be gone in a moment.
    if (!this.#settlements.isEmpty || this.#hasWaiters) this.#schedulePump();
    if (this.#observer.observesDrops())
      this.queue.context.runInAsyncScope(() => this.#observer.onDrop(item, reason));
  }

  get #hasWaiters(): boolean {
    return !this.#flushWaiters.isEmpty || !this.#loadWaiters.isEmpty;
  }

  #checkWaiters(): void {
    // After a failure they are rejected instead, once the abort has ended.
    if (this.#failure !== undefined) return;
    if (!this.#flushWaiters.isEmpty) this.#flushWaiters.check(this.#progress());
    this.#loadWaiters.check(this.queue.ledger.load);
  }

  #progress(): Progress {
    const { queue } = this;
    let settledBelow = queue.head;
    for (const delivery of this.#deliveries.keys()) settledBelow = Math.min(settledBelow, delivery.first);
    return {
      arrived: queue.arrivedSeq,
      decided: queue.decidedSeq,
      admitted: queue.ledger.accepted,
      settledBelow,
    };
  }

  #stoppedError(): BackpressureError {
    return this.errors.create(
      'ERR_BACKPRESSURE_STOPPED',
      'the controller is stopped, so nothing is flushed: call start() first',
    );
  }
}
