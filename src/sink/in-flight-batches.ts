/** The batches in flight: launches them, and passes on what becomes of each. */

import type { FlushFunction, FlushReason } from '../api/flush-function.js';
import type { FlushReport } from '../api/events.js';
import type { StageErrors } from '../api/errors.js';
import type { FailedItem } from '../api/options.js';
import type { AdmissionQueue } from '../buffer/admission-queue.js';
import type { ResolvedSink } from '../settings/resolve-sink.js';
import { Delivery, type DeliveryHost } from './delivery/delivery.js';
import type { FlushTrace } from '../signals/flush-trace.js';
import type { CallPermits } from './resilience/call-permits.js';
import type { FlushScheduler } from './schedule/flush-scheduler.js';
import type { Launch } from './schedule/sink-limits.js';
import type { Settlements } from './settlement/settlements.js';
import type { Part } from './settlement/unsettled-items.js';
import { FlushCounters } from './sink-metrics.js';
import type { SinkObserver } from './sink-observer.js';

/** The sink around them. */
export interface InFlightHost {
  readonly isRunning: boolean;
  /** The sink as a whole fails. */
  fail(error: Error): void;
  /** Items have settled, and have been reported. */
  onSettled(): void;
  /** A batch has ended: its slot is free. */
  onSlotFree(): void;
}

/** What a batch in flight needs from the rest of the sink. */
interface InFlightParts<T> {
  flush: FlushFunction<T>;
  settings: ResolvedSink<T>;
  queue: AdmissionQueue<T>;
  permits: CallPermits;
  settlements: Settlements<T>;
  scheduler: FlushScheduler<T>;
  observer: SinkObserver<T>;
}

export class InFlightBatches<T> implements DeliveryHost<T> {
  readonly counters = new FlushCounters();
  readonly #parts: InFlightParts<T>;
  readonly #host: InFlightHost;
  readonly #deliveries: Delivery<T>[] = [];

  constructor(parts: InFlightParts<T>, host: InFlightHost) {
    this.#parts = parts;
    this.#host = host;
  }

  // ── what can be read ──

  get errors(): StageErrors {
    return this.#parts.queue.errors;
  }

  /** When the oldest item in flight was admitted; `Infinity` if there is none. */
  get oldestTime(): number {
    let oldest = Infinity;
    for (const { oldestTime } of this.#deliveries) oldest = Math.min(oldest, oldestTime);
    return oldest;
  }

  /** Every admitted item below this ordinal has settled. `head` is that of the oldest queued item. */
  settledBelow(head: number): number {
    let below = head;
    for (const { first } of this.#deliveries) below = Math.min(below, first);
    return below;
  }

  /** The items that have not settled, by batch. */
  openParts(): Part<T>[] {
    return this.#deliveries.map(({ first, openItems }) => ({ first, items: openItems }));
  }

  // ── life of a batch ──

  /** Takes the `length` oldest items and delivers them. Returns `false` if `positionOf` ended or stopped the sink instead. */
  launch(reason: FlushReason, length: number, isFull: boolean): boolean {
    const { flush, settings, queue, permits, settlements, scheduler } = this.#parts;
    let beginSpan;
    try {
      beginSpan = settlements.measureBatch(queue.itemAt(0), queue.itemAt(length - 1));
    } catch (thrown) {
      this.fail(this.errors.handlerFailed('positionOf', thrown));
      return false;
    }
    // `positionOf` may itself have ended or stopped everything.
    if (!this.#host.isRunning) return false;
    const share = scheduler.minIntervalShare(length);
    const taken = queue.takeBatch(length);
    const delivery = new Delivery(taken, reason, share, flush, settings, permits, this);
    delivery.launch = scheduler.noteLaunch(taken, isFull, this.#deliveries);
    this.counters.launched[reason]++;
    beginSpan?.(delivery);
    permits.onLaunch(delivery.first);
    // Before it begins: the flush function may abort everything at once.
    this.#deliveries.push(delivery);
    scheduler.deliveryCount = this.#deliveries.length;
    // `run` never rejects: failures go to `fail`.
    void delivery.run().then(() => {
      this.#deliveries.splice(this.#deliveries.indexOf(delivery), 1);
      scheduler.deliveryCount = this.#deliveries.length;
      delivery.onEnd?.();
      this.#host.onSlotFree();
    });
    return true;
  }

  /** Fires the signals of all calls. Resolves when every batch has ended, after at most `abortGraceMs`. */
  abortAll(error: Error): Promise<unknown> {
    const ends = this.#deliveries.map(
      (delivery) => new Promise<void>((resolve) => (delivery.onEnd = resolve)),
    );
    for (const delivery of this.#deliveries) delivery.abort(error);
    return Promise.all(ends);
  }

  // ── DeliveryHost ──

  traceFlush(items: readonly T[], attempt: number, reason: FlushReason): FlushTrace | undefined {
    return this.#parts.observer.traceFlush(items, attempt, reason);
  }

  onAttempt(report: FlushReport, endedAt: number, launch: Launch | undefined, share: number): void {
    this.counters.onAttempt(report, endedAt);
    this.#parts.scheduler.onAttempt(report, endedAt, launch, share);
    this.#parts.observer.emit('flush', report);
  }

  onRetry(error: Error, attempt: number, delayMs: number, items: number): void {
    this.counters.retries++;
    this.#parts.observer.emit('retry', { error, attempt, delayMs, items });
  }

  onFlushed(items: T[], bytes: number, weights: Float64Array | undefined): void {
    this.#parts.settlements.flushed(items, bytes, weights);
    this.#afterSettlement();
  }

  onFailed(failures: FailedItem<T>[], countedFlushed: number, bytes: number): void {
    this.#parts.settlements.failed(failures, countedFlushed, bytes);
    this.#afterSettlement();
  }

  onReturned(failures: FailedItem<T>[], countedFlushed: number, bytes: number, first: number): void {
    this.#parts.settlements.returned(failures, countedFlushed, bytes, first);
    this.#afterSettlement();
  }

  onLateResult(): void {
    this.counters.lateResults++;
  }

  fail(error: Error): void {
    this.#host.fail(error);
  }

  #afterSettlement(): void {
    this.#parts.settlements.report();
    this.#host.onSettled();
  }
}
