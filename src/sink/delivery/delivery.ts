import type { TakenItems } from '../../buffer/taken-items.js';
import { forEachInTurns, turnBudget } from '../../common/turn-budget.js';
import { toError } from '../../common/thrown.js';
import type { StageErrors } from '../../api/errors.js';
import type { FlushReport } from '../../api/events.js';
import type { FailedItem } from '../../api/options.js';
import type { ResolvedSink } from '../../settings/resolve-sink.js';
import type { FlushFunction, FlushReason } from '../../api/flush-function.js';
import type { CallPermits } from '../resilience/call-permits.js';
import type { Launch } from '../schedule/sink-limits.js';
import { assessOutcome, type WholeFailure } from './assess-outcome.js';
import { awaitHandler } from './await-handler.js';
import { BatchItems, type Failure } from './batch-items.js';
import {
  flushFailed,
  inBatchOrder,
  isPlainSuccess,
  SETTLED,
  wholeBatch,
  type CallDisposition,
} from './call-disposition.js';
import { DeliveryAbort } from './delivery-abort.js';
import { startFlushCall, type CallOutcome } from './flush-call.js';
import type { InterpretedResult } from './flush-result.js';
import { RetrySchedule } from './retry-schedule.js';

/** From this many items on, it takes milliseconds to settle a batch. */
const LARGE_BATCH = 10_000;

/** What a delivery reports to the sink that started it. */
export interface DeliveryHost<T> {
  readonly errors: StageErrors;
  /** `launch`: what adaptive control noted, for the first call only. `share`: as it was given to the constructor. */
  onAttempt(report: FlushReport, launch: Launch | undefined, share: number): void;
  onRetry(error: Error, attempt: number, delayMs: number, items: number): void;
  onFlushed(items: T[], bytes: number, weights: Float64Array | undefined): void;
  /** The items failed for good, and the user's handler took them. `countedFlushed` of them count as flushed all the same. */
  onFailed(failures: FailedItem<T>[], countedFlushed: number, bytes: number): void;
  /** As `onFailed`, but no handler took the items: they are returned to the caller. `first` orders them among others. */
  onReturned(failures: FailedItem<T>[], countedFlushed: number, bytes: number, first: number): void;
  onLateResult(): void;
  /** The sink as a whole fails. */
  fail(error: Error): void;
}

/**
 * One batch in flight: calls the flush function, again if that may help, until every item has settled.
 *
 *     ┌──> call ──> assess ──┬── flushed ─────────────────────────────────────────> settled
 *     │                      ├── failed for good ──> onFailed ──took them─────────> settled
 *     │                      │                          └── none, or it threw ────> returned to the caller
 *     └───── wait <── retry ─┘
 *              └── too late: as failed for good;  aborted: returned to the caller
 *
 * It holds its slot and its capacity all the while.
 */
export class Delivery<T> {
  /** Ordinal of the first item: orders batches among each other. */
  readonly first: number;
  /** What adaptive control noted when the batch was launched. */
  launch: Launch | undefined;
  readonly #settings: ResolvedSink<T>;
  readonly #flush: FlushFunction<T>;
  readonly #permits: CallPermits;
  readonly #host: DeliveryHost<T>;
  readonly #reason: FlushReason;
  readonly #minIntervalShare: number;
  readonly #abort = new DeliveryAbort();
  readonly #schedule: RetrySchedule;
  readonly #batch: BatchItems<T>;
  /** The items of the batch that have not settled. */
  #open: readonly T[];
  #openBytes: number;
  /** A call's outcome is unknown: it may have delivered what a later call reports as failed. */
  #hasUnknownOutcome = false;

  /** @param minIntervalShare of the items, the share that the lower bound of the flush interval would have held */
  constructor(
    taken: TakenItems<T>,
    reason: FlushReason,
    minIntervalShare: number,
    flush: FlushFunction<T>,
    settings: ResolvedSink<T>,
    permits: CallPermits,
    host: DeliveryHost<T>,
  ) {
    this.first = taken.first;
    this.#batch = new BatchItems(taken);
    this.#open = taken.items;
    this.#openBytes = taken.bytes;
    this.#reason = reason;
    this.#minIntervalShare = minIntervalShare;
    this.#flush = flush;
    this.#settings = settings;
    this.#permits = permits;
    this.#host = host;
    this.#schedule = new RetrySchedule(taken.first, settings, permits, this.#abort);
  }

  /** The items that have not settled. */
  get openItems(): readonly T[] {
    return this.#open;
  }

  /** When the oldest item of the last call was admitted; `Infinity` if all have settled. */
  get oldestTime(): number {
    return this.#open.length === 0 ? Infinity : this.#batch.oldestTime;
  }

  /** Resolves when every item has settled. Never rejects, whatever the user's code does: what is open is returned then. */
  async run(): Promise<void> {
    try {
      await this.#settleAll();
    } catch (thrown) {
      this.#returnAfterFault(toError(thrown));
    }
  }

  /** Fires the signal of the call under way, or ends a wait. The delivery ends when the call returns or its grace is over. */
  abort(error: Error): void {
    this.#abort.abort(error);
  }

  /** The user's `random` or clock has thrown, or the engine has a defect. */
  #returnAfterFault(error: Error): void {
    const { items } = this.#batch;
    // Some items of the call may have settled before. Those that are open are in its order.
    let place = -1;
    const failures = this.#open.map((item) => {
      place = items.findIndex((candidate, index) => index > place && Object.is(candidate, item));
      return this.#batch.failureAt(place, error, true);
    });
    const { errors } = this.#host;
    this.#host.fail(errors.owns(error) ? error : errors.handlerFailed('settling a batch', error));
    if (failures.length > 0) this.#returnToCaller(failures, 0);
  }

  async #settleAll(): Promise<void> {
    for (;;) {
      const outcome = await this.#call();
      const isLarge = this.#batch.items.length >= LARGE_BATCH;
      // In a turn of the event loop of its own: an abort ends all batches at once, and a result comes behind other work.
      if (isLarge && !isPlainSuccess(outcome)) await turnBudget.nextTurn();
      const settled = this.#settleOutcome(outcome, isLarge);
      const disposition = settled instanceof Promise ? await settled : settled;
      const { failures, retried } = disposition;
      if (failures.length > 0 && !(await this.#passToOnFailed(disposition))) {
        this.#returnToCaller([...failures, ...retried], disposition.countedFlushed);
        return;
      }
      if (retried.length === 0) return;
      this.#batch.narrowTo(retried.map(({ place }) => place));
      let isInTime = this.#abort.isAborted || (await this.#pause(retried));
      // Read right before the call: since it was resumed, the breaker may have opened again, or the sink have been stopped.
      while (isInTime && this.#schedule.isBlocked) isInTime = await this.#schedule.waitWhileBlocked();
      this.#schedule.endParking();
      if (!isInTime) return this.#giveUpRetrying(retried);
      if (this.#abort.isAborted) {
        this.#returnToCaller(retried, 0);
        return;
      }
    }
  }

  async #call(): Promise<CallOutcome> {
    this.#schedule.onCall();
    const { items, weights } = this.#batch;
    const context = { attempt: this.#schedule.attempt, reason: this.#reason, weights };
    const host = this.#host;
    const call = startFlushCall(this.#flush, items, context, this.#settings, host.errors, () =>
      host.onLateResult(),
    );
    this.#abort.setInterrupt(call.interrupt);
    // The flush function itself may have aborted everything.
    if (this.#abort.error !== undefined) call.interrupt(this.#abort.error);
    const outcome = await call.outcome;
    this.#abort.setInterrupt(undefined);
    return outcome;
  }

  #pause(retried: Failure<T>[]): Promise<boolean> {
    const errors = retried.map(({ failed }) => failed.error);
    return this.#schedule.pause(errors, (delayMs) => {
      if (this.launch !== undefined) this.launch.isRetried = true;
      const { length } = this.#batch.items;
      this.#host.onRetry(errors.at(-1)!, this.#schedule.attempt, delayMs, length);
    });
  }

  /** The next call would begin too late. */
  async #giveUpRetrying(failures: Failure<T>[]): Promise<void> {
    if (!(await this.#passToOnFailed({ failures, countedFlushed: 0, retried: [] })))
      this.#returnToCaller(failures, 0);
  }

  // ── the outcome of a call ──

  /** Returns a promise for a large batch that failed as a whole, whose failures are made in several turns of the event loop. */
  #settleOutcome(outcome: CallOutcome, isLarge: boolean): CallDisposition<T> | Promise<CallDisposition<T>> {
    const { length } = this.#batch.items;
    const assessment = assessOutcome(outcome, length, this.#settings.retry, this.#host.errors);
    switch (assessment.kind) {
      case 'succeeded':
        this.#permits.onResponse();
        this.#report(length, 0, outcome.latencyMs, undefined, false);
        this.#open = [];
        this.#settleFlushed(this.#batch.items, this.#openBytes, this.#batch.weights);
        return SETTLED;
      case 'partial':
        this.#permits.onResponse();
        return this.#settlePartial(assessment, outcome.latencyMs);
      case 'failed':
        return this.#settleWhole(assessment, outcome.latencyMs, isLarge);
    }
  }

  #settleWhole(
    { error, isAmbiguous, isRetryable, isTransportFailure }: WholeFailure,
    latencyMs: number,
    isLarge: boolean,
  ): CallDisposition<T> | Promise<CallDisposition<T>> {
    const { length } = this.#batch.items;
    if (isTransportFailure) this.#permits.onTransportFailure(this.first, error, this.#schedule.callAt);
    else this.#permits.onResponse();
    this.#report(0, length, latencyMs, error, isTransportFailure);
    const isRetried = isRetryable && (this.#schedule.parkIfTripped() || this.#schedule.mayCallAgain);
    if (isRetried) this.#hasUnknownOutcome ||= isAmbiguous;
    const failures: Failure<T>[] = [];
    const fail = (place: number) => void failures.push(this.#failureAt(place, error, isAmbiguous));
    if (isLarge) return forEachInTurns(length, fail).then(() => wholeBatch(failures, isRetried));
    for (let place = 0; place < length; place++) fail(place);
    return wholeBatch(failures, isRetried);
  }

  #settlePartial(
    { named, unnamed, unnamedError }: Extract<InterpretedResult, { kind: 'partial' }>,
    latencyMs: number,
  ): CallDisposition<T> {
    const { items } = this.#batch;
    const failed = named.size + unnamed;
    const [firstNamed] = named.values();
    this.#report(items.length - failed, failed, latencyMs, firstNamed?.error ?? unnamedError, false);
    const disposition: CallDisposition<T> = { failures: [], countedFlushed: 0, retried: [] };
    const rest: number[] = [];
    for (const place of items.keys()) {
      const failure = named.get(place);
      if (failure === undefined) rest.push(place);
      else {
        const isRetried = failure.retryable && this.#schedule.mayCallAgain;
        const { retried, failures } = disposition;
        (isRetried ? retried : failures).push(this.#failureAt(place, failure.error, false));
      }
    }
    if (unnamed === 0) {
      this.#open = items.filter((_, place) => named.has(place));
      this.#settleFlushed(this.#batch.itemsAt(rest), this.#batch.bytesAt(rest), this.#batch.weightsAt(rest));
    } else {
      // The result counts failures that it does not identify: every remaining item is reported as failed and `ambiguous`.
      for (const place of rest) disposition.failures.push(this.#failureAt(place, unnamedError!, true));
      disposition.countedFlushed = rest.length - unnamed;
    }
    return disposition;
  }

  #failureAt(place: number, error: Error, isAmbiguous: boolean): Failure<T> {
    return this.#batch.failureAt(place, error, isAmbiguous || this.#hasUnknownOutcome);
  }

  // ── settlement ──

  /** Passes items that failed for good to `onFailed`. Without it, or if it fails, the sink fails: returns `false` then. */
  async #passToOnFailed({ failures, countedFlushed, retried }: CallDisposition<T>): Promise<boolean> {
    const { onFailed, clock, abortGraceMs } = this.#settings;
    if (this.#abort.isAborted) return false;
    const failed = inBatchOrder(failures);
    if (onFailed === undefined) {
      this.#host.fail(flushFailed(failed, this.#schedule.attempt, this.#host.errors));
      return false;
    }
    try {
      await awaitHandler(clock, abortGraceMs, this.#abort, () => onFailed(failed));
    } catch (thrown) {
      this.#host.fail(this.#host.errors.handlerFailed('onFailed', thrown));
      return false;
    }
    const bytes = this.#openBytes - this.#batch.bytesAt(retried.map(({ place }) => place));
    this.#openBytes -= bytes;
    this.#open = retried.map(({ failed: { item } }) => item);
    this.#host.onFailed(failed, countedFlushed, bytes);
    return true;
  }

  /** Everything that is open fails and is returned. The sink has failed already, so the room that this leaves admits nobody. */
  #returnToCaller(failures: Failure<T>[], countedFlushed: number): void {
    this.#open = [];
    this.#host.onReturned(inBatchOrder(failures), countedFlushed, this.#openBytes, this.first);
  }

  #settleFlushed(items: T[], bytes: number, weights: Float64Array | undefined): void {
    this.#openBytes -= bytes;
    this.#host.onFlushed(items, bytes, weights);
  }

  #report(
    success: number,
    failed: number,
    latencyMs: number,
    error: Error | undefined,
    transportFailure: boolean,
  ): void {
    const { attempt } = this.#schedule;
    const report = {
      attempt,
      reason: this.#reason,
      items: success + failed,
      success,
      failed,
      latencyMs,
      transportFailure,
      error,
    };
    this.#host.onAttempt(report, attempt === 1 ? this.launch : undefined, this.#minIntervalShare);
  }
}
