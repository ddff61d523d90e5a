/**
 * Decides when the next batch leaves the queue.
 *
 *     admission, producer waits, flush(), drain(), settlement, permit
 *                              │ schedule()
 *                              v
 *     idle ────────────> pump scheduled (one microtask) ────────────> pump
 *      ^                                                               │
 *      │ alarm: the oldest item has waited, or the pause ends          ├─ due, slot free, call permitted: launch, again
 *      └──────────────────── not due yet: set the alarm <──────────────┘
 *
 * The decision itself is `flushDue`, which is pure. Flushes start in a microtask, never inside an admission, so that all items of one
 * synchronous burst are seen together.
 */

import type { FlushReason } from '../../api/flush-function.js';
import type { FlushReport } from '../../api/events.js';
import type { AdmissionQueue } from '../../buffer/admission-queue.js';
import type { TakenItems } from '../../buffer/ring-buffer.js';
import { Alarm } from '../../common/alarm.js';
import { Stopwatch } from '../../common/stopwatch.js';
import type { ResolvedSink } from '../../settings/resolve-sink.js';
import { flushDue } from './flush-due.js';
import { FlushPace } from './flush-pace.js';
import type { Launch, LimitControl, SinkLimits } from './sink-limits.js';

/** Its jobs are the microtasks: `queueMicrotask` of Node makes an AsyncResource for each call. */
const SETTLED = Promise.resolve();

/** Whether the destination may be called now: the circuit breaker's part of the decision. */
interface Permits {
  readonly mayLaunch: boolean;
  readonly isTripped: boolean;
  evaluate(): void;
}

/** What the scheduler reads of the sink, and calls on it. */
export interface SchedulerHost {
  /** Batches may be launched: started, and neither stopped nor aborted. */
  readonly isRunning: boolean;
  /** A caller of `flush()` waits for the oldest queued item. */
  readonly isFlushAwaited: boolean;
  /** Runs before each scheduled pump. */
  beforePump(): void;
  /** Takes the `length` oldest items and delivers them. Returns `false` if the sink ended or stopped instead. */
  launch(reason: FlushReason, length: number, isFull: boolean): boolean;
}

export class FlushScheduler<T> {
  readonly #queue: AdmissionQueue<T>;
  readonly #settings: ResolvedSink<T>;
  readonly #permits: Permits;
  readonly #host: SchedulerHost;
  readonly #control: LimitControl | undefined;
  /** How large a batch may be, and how many may be in flight, at the moment. */
  readonly limits: Readonly<SinkLimits>;
  /** `limits.batchBytes` as `sizeOf` measures it. */
  #batchBytes = 0;
  /** How many batches are in flight. A field, because every admission reads it. */
  deliveryCount = 0;
  /** While draining, everything is flushed without delay. */
  isDraining = false;
  #isPumpScheduled = false;
  readonly #producerWait: Stopwatch;
  readonly #alarm: Alarm;
  readonly pace: FlushPace;
  // In the sink's own context, not in that of the write which made it necessary: flushes and timers start here.
  readonly #pumpTask = () => this.#queue.context.runInAsyncScope(this.#runPump, this);

  constructor(
    queue: AdmissionQueue<T>,
    settings: ResolvedSink<T>,
    control: LimitControl | undefined,
    permits: Permits,
    host: SchedulerHost,
  ) {
    this.#queue = queue;
    this.#settings = settings;
    this.#control = control;
    this.#permits = permits;
    this.#host = host;
    this.limits = control?.limits ?? settings;
    this.#updateBatchBytes();
    this.#producerWait = new Stopwatch(settings.clock);
    this.#alarm = new Alarm(settings.clock, () => this.pump());
    this.pace = new FlushPace(settings);
  }

  /** How long producers have been made to wait, in milliseconds. */
  get producerBlockedMs(): number {
    return this.#producerWait.totalMs;
  }

  get #areSlotsBusy(): boolean {
    return this.deliveryCount >= this.limits.concurrency;
  }

  // ── admission ──

  /** How many more items may be admitted until `onAdmitted` must be called again; valid until the next pump. */
  headroom(): number {
    const { queued } = this.#queue.ledger;
    if (queued === 0) return 0;
    if (this.#isPumpScheduled || this.#areSlotsBusy) return Infinity;
    return this.limits.batchSize - 1 - queued;
  }

  /** The same for bytes, if `headroom` is above 0. */
  headroomBytes(): number {
    if (this.#isPumpScheduled || this.#areSlotsBusy) return Infinity;
    return this.#batchBytes - 1 - this.#queue.ledger.queuedBytes;
  }

  /**
   * Schedules a pump if the admitted item makes a batch due, or starts its age.
   *
   * @param isFirst the queue was empty before
   */
  onAdmitted(isFirst: boolean): void {
    if (this.#isPumpScheduled || this.deliveryCount >= this.limits.concurrency) return;
    const { queued, queuedBytes } = this.#queue.ledger;
    // A drain or a caller of `flush()` was taken into account when the first of the queued items came.
    const isFull = queued >= this.limits.batchSize || queuedBytes >= this.#batchBytes;
    if (isFirst || (isFull && this.#permits.mayLaunch)) this.schedule();
  }

  /** A producer waits for room: what is queued is flushed, because nothing else will come. */
  setProducerWaiting(isWaiting: boolean): void {
    if (!isWaiting) return this.#producerWait.stop();
    this.#producerWait.start();
    this.schedule();
  }

  // ── the pump ──

  /** Runs the pump in a microtask, once however often it is scheduled before. */
  schedule(): void {
    if (this.#isPumpScheduled) return;
    this.#isPumpScheduled = true;
    void SETTLED.then(this.#pumpTask);
  }

  #runPump(): void {
    this.#isPumpScheduled = false;
    this.#host.beforePump();
    this.pump();
  }

  /** Launches every batch that is due, and sets the alarm for the next one. */
  pump(): void {
    this.#queue.fastPath.endCredit();
    this.#updateBatchBytes();
    this.#permits.evaluate();
    let due: FlushReason | number | undefined;
    while (!this.#areSlotsBusy && this.#permits.mayLaunch) {
      due = this.#nextDue();
      if (typeof due !== 'string') break;
      const isLaunched = this.#launch(due);
      due = undefined;
      if (!isLaunched) break;
    }
    // An alarm that is set for an earlier time runs the pump again.
    if (typeof due === 'number') this.#alarm.setBy(this.#settings.clock.now() + due);
    else this.#alarm.clear();
  }

  /** Stops the alarm: no batch is launched by time any more. */
  stopAlarm(): void {
    this.#alarm.clear();
  }

  #nextDue(): FlushReason | number | undefined {
    const queue = this.#queue;
    const { queued, queuedBytes } = queue.ledger;
    // Read before each batch, because the flush function may stop everything.
    if (!this.#host.isRunning || queued === 0) return undefined;
    return flushDue({
      now: this.#settings.clock.now(),
      queued,
      queuedBytes,
      batchSize: this.limits.batchSize,
      batchBytes: this.#batchBytes,
      oldestTime: queue.oldestTime,
      // A probe of the breaker does not wait for the interval.
      flushIntervalMs: this.#permits.isTripped ? 0 : this.pace.intervalMs,
      notBefore: this.pace.notBefore,
      draining: this.isDraining,
      manual: this.#host.isFlushAwaited,
      isProducerWaiting: this.#producerWait.isRunning,
    });
  }

  #launch(reason: FlushReason): boolean {
    const { batchSize } = this.limits;
    const { queued, queuedBytes } = this.#queue.ledger;
    const isFull = queued >= batchSize || queuedBytes >= this.#batchBytes;
    return this.#host.launch(reason, this.#queue.batchLength(batchSize, this.#batchBytes), isFull);
  }

  /** `sizeOf` may hold more than is sent, by a share that is learnt from batch to batch; adaptive control moves the limit. */
  #updateBatchBytes(): void {
    const { sentShare, batchHeldBytes } = this.#settings;
    const { batchBytes } = this.limits;
    this.#batchBytes =
      sentShare === undefined
        ? batchBytes
        : Math.max(1, Math.min(batchHeldBytes, Math.floor(batchBytes / sentShare())));
  }

  // ── what is learnt from batches ──

  /** Of the `length` oldest items, the share that came within the lower bound of the flush interval after the first. */
  minIntervalShare(length: number): number {
    const { queued, queuedBytes } = this.#queue.ledger;
    const isBacklogged = queued - length >= this.limits.batchSize || queuedBytes >= 2 * this.#batchBytes;
    // Adaptive control chose the size: with more than another full batch behind it, the interval had no part in it.
    if (this.#settings.adaptive && isBacklogged) return 1;
    return this.#queue.arrivedWithin(this.#settings.minFlushIntervalMs, length) / length;
  }

  /** Returns what adaptive control notes about a batch that has been taken and is not counted in `others` yet. */
  noteLaunch(
    taken: TakenItems<T>,
    isFull: boolean,
    others: readonly { launch: Launch | undefined }[],
  ): Launch | undefined {
    if (this.#control === undefined) return undefined;
    let hasRetried = false;
    for (const { launch } of others) if (launch!.isRetried) hasRetried = true;
    return this.#control.onLaunch(taken, this.#queue.ledger, isFull, this.deliveryCount + 1, hasRetried);
  }

  /** Learns from a call of the flush function. `launch` is given for the first call of a batch. */
  onAttempt(
    report: FlushReport,
    endedAt: number,
    launch: Launch | undefined,
    minIntervalShare: number,
  ): void {
    this.pace.onAttempt(report, endedAt, minIntervalShare);
    if (launch !== undefined) {
      this.#control!.onAttempt(launch, report, this.pace.isRaised);
      this.#updateBatchBytes();
    }
    // The batch may have to wait for a retry while another slot is free: what was due later may be due now.
    if (!this.#areSlotsBusy) this.schedule();
  }
}
