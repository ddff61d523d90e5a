import type { TakenItems } from '../../buffer/ring-buffer.js';
import { forEachInTurns, turnBudget } from '../../common/turn-budget.js';
import { toError } from '../../common/thrown.js';
import type { StageErrors } from '../../api/errors.js';
import type { FlushReport } from '../../api/events.js';
import type { FailedItem } from '../../api/options.js';
import type { ResolvedSink } from '../../settings/resolve-sink.js';
import type { FlushFunction, FlushReason } from '../../api/flush-function.js';
import type { FlushTrace } from '../../signals/flush-trace.js';
import type { CallPermits } from '../resilience/call-permits.js';
import type { Launch } from '../schedule/sink-limits.js';
import { assessOutcome, type PartialFailure, type WholeFailure } from './assess-outcome.js';
import { awaitHandler } from './await-handler.js';
import { BatchItems } from './batch-items.js';
import { flushFailed, type CallDisposition } from './call-disposition.js';
import { DeliveryAbort } from './delivery-abort.js';
import { FlushCall } from './flush-call.js';
import { RetrySchedule } from './retry-schedule.js';

/** From this many items on, it takes milliseconds to settle a batch. */
const LARGE_BATCH = 10_000;

/** What a delivery reports to the sink that started it. */
export interface DeliveryHost<T> {
  readonly errors: StageErrors;
  /** Begins to trace a call, if somebody has subscribed to that. */
  traceFlush(items: readonly T[], attempt: number, reason: FlushReason): FlushTrace | undefined;
  /** `launch`: what adaptive control noted, for the first call only. `share`: as it was given to the constructor. */
  onAttempt(report: FlushReport, endedAt: number, launch: Launch | undefined, share: number): void;
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
  /** What an abort of the sink wants called when the delivery has ended. */
  onEnd: (() => void) | undefined;
  readonly #settings: ResolvedSink<T>;
  readonly #flush: FlushFunction<T>;
  readonly #permits: CallPermits;
  readonly #host: DeliveryHost<T>;
  readonly #reason: FlushReason;
  readonly #minIntervalShare: number;
  readonly #abort = new DeliveryAbort();
  readonly #schedule: RetrySchedule;
  readonly #batch: BatchItems<T>;
  /** Of the call under way. */
  #trace: FlushTrace | undefined;
  /** The items of the batch that have not settled. */
  #open: readonly T[];
  #openBytes: number;

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
      for (;;) {
        const outcome = await this.#startCall().outcome;
        this.#abort.setPending(undefined);
        const { length } = this.#batch.items;
        const assessment = assessOutcome(outcome, length, this.#settings.retry, this.#host.errors);
        if (assessment.kind === 'succeeded') {
          this.#settleSucceeded(outcome.latencyMs);
          return;
        }
        // In a turn of its own, because it looks at each item: the result comes behind other work.
        if (assessment.kind === 'partial' && length >= LARGE_BATCH) await turnBudget.nextTurn();
        const disposition = this.#decide(assessment, outcome.latencyMs);
        if (disposition.failed.length > 0 && !(await this.#settleFailed(disposition))) return;
        if (disposition.retried.length === 0) return;
        this.#batch.narrowTo(disposition.retried);
        let isInTime = this.#abort.isAborted || (await this.#pause());
        // Read right before the call: since it was resumed, the breaker may have opened again, or the sink have been stopped.
        while (isInTime && this.#schedule.isBlocked) isInTime = await this.#schedule.waitWhileBlocked();
        this.#schedule.endParking();
        if (!isInTime || this.#abort.isAborted) {
          // The next call would begin too late, or must not begin.
          await this.#settleFailed({ failed: this.#batch.places(), countedFlushed: 0, retried: [] });
          return;
        }
      }
    } catch (thrown) {
      await this.#returnAfterFault(toError(thrown));
    }
  }

  /** Fires the signal of the call under way, or ends a wait. The delivery ends when the call returns or its grace is over. */
  abort(error: Error): void {
    this.#abort.abort(error);
  }

  /** The user's `random` or clock has thrown, or the engine has a defect. */
  async #returnAfterFault(error: Error): Promise<void> {
    this.#trace?.fail(error);
    this.#batch.setCauses({ error, isAmbiguous: true });
    const { errors } = this.#host;
    this.#host.fail(errors.owns(error) ? error : errors.handlerFailed('settling a batch', error));
    // Some items of the call may have settled before.
    const places = this.#batch.placesOf(this.#open);
    if (places.length > 0) await this.#returnToCaller(places, 0);
  }

  #startCall(): FlushCall<T> {
    this.#schedule.onCall();
    const { items, weights } = this.#batch;
    const { attempt, callAt: startedAt } = this.#schedule;
    this.#trace = this.#host.traceFlush(items, attempt, this.#reason);
    const context = { attempt, reason: this.#reason, weights, startedAt, trace: this.#trace };
    const call = new FlushCall(this.#flush, items, context, this.#settings, this.#host);
    this.#abort.setPending(call);
    // The flush function itself may have aborted everything.
    if (this.#abort.error !== undefined) call.interrupt(this.#abort.error);
    return call;
  }

  #pause(): Promise<boolean> {
    const errors = this.#batch.errors();
    return this.#schedule.pause(errors, (delayMs) => {
      if (this.launch !== undefined) this.launch.isRetried = true;
      const { length } = this.#batch.items;
      this.#host.onRetry(errors.at(-1)!, this.#schedule.attempt, delayMs, length);
    });
  }

  // ── the outcome of a call ──

  #settleSucceeded(latencyMs: number): void {
    const { items, weights } = this.#batch;
    this.#permits.onResponse();
    this.#report(items.length, 0, latencyMs, undefined, false);
    this.#open = [];
    this.#settleFlushed(items, this.#openBytes, weights);
  }

  #decide(failure: PartialFailure | WholeFailure, latencyMs: number): CallDisposition {
    if (failure.kind === 'failed') return this.#decideWhole(failure, latencyMs);
    this.#permits.onResponse();
    return this.#decidePartial(failure, latencyMs);
  }

  #decideWhole(cause: WholeFailure, latencyMs: number): CallDisposition {
    const { error, isAmbiguous, isRetryable, isTransportFailure } = cause;
    const places = this.#batch.places();
    if (isTransportFailure) this.#permits.onTransportFailure(this.first, error, this.#schedule.callAt);
    else this.#permits.onResponse();
    this.#report(0, places.length, latencyMs, error, isTransportFailure);
    this.#batch.setCauses(cause);
    if (!isRetryable || !(this.#schedule.parkIfTripped() || this.#schedule.mayCallAgain))
      return { failed: places, countedFlushed: 0, retried: [] };
    this.#batch.hasUnknownOutcome ||= isAmbiguous;
    return { failed: [], countedFlushed: 0, retried: places };
  }

  /** What a partial failure leaves as flushed settles at once. */
  #decidePartial({ named, unnamed, unnamedError }: PartialFailure, latencyMs: number): CallDisposition {
    const { items } = this.#batch;
    const failures = named.size + unnamed;
    const [firstNamed] = named.values();
    this.#report(items.length - failures, failures, latencyMs, firstNamed?.error ?? unnamedError, false);
    // The result may count failures that it does not identify: then every remaining item is reported as failed and `ambiguous`.
    const unnamedCause = unnamedError && { error: unnamedError, isAmbiguous: true };
    const causes = items.map((_, place) => {
      const failure = named.get(place);
      return failure === undefined ? unnamedCause : { error: failure.error, isAmbiguous: false };
    });
    this.#batch.setCauses(causes);
    const disposition: CallDisposition = { failed: [], countedFlushed: 0, retried: [] };
    const { failed, retried } = disposition;
    const flushed: number[] = [];
    for (const [place, cause] of causes.entries()) {
      const isRetried = named.get(place)?.retryable === true && this.#schedule.mayCallAgain;
      (cause === undefined ? flushed : isRetried ? retried : failed).push(place);
    }
    if (unnamed > 0) disposition.countedFlushed = items.length - failures;
    else {
      this.#open = items.filter((_, place) => named.has(place));
      this.#settleFlushed(
        this.#batch.itemsAt(flushed),
        this.#batch.bytesAt(flushed),
        this.#batch.weightsAt(flushed),
      );
    }
    return disposition;
  }

  /** Makes the failures: in several turns of the event loop if they are many. */
  async #failuresAt(places: number[]): Promise<FailedItem<T>[]> {
    if (places.length < LARGE_BATCH) return places.map((place) => this.#batch.failureAt(place));
    // Each batch in a turn of its own: an abort ends all of them in the same one.
    await turnBudget.nextTurn();
    const failures: FailedItem<T>[] = [];
    await forEachInTurns(places.length, (index) => failures.push(this.#batch.failureAt(places[index]!)));
    return failures;
  }

  // ── settlement ──

  /** Settles items that failed for good. Returns `false` if no handler took them: then everything that is open is returned. */
  async #settleFailed(disposition: CallDisposition): Promise<boolean> {
    if (!this.#abort.isAborted && (await this.#passToOnFailed(disposition))) return true;
    const { failed, retried, countedFlushed } = disposition;
    await this.#returnToCaller(
      [...failed, ...retried].sort((a, b) => a - b),
      countedFlushed,
    );
    return false;
  }

  /** Passes items that failed for good to `onFailed`. Without it, or if it fails, the sink fails: returns `false` then. */
  async #passToOnFailed({ failed, countedFlushed, retried }: CallDisposition): Promise<boolean> {
    const { onFailed, clock, abortGraceMs } = this.#settings;
    const { errors } = this.#host;
    if (onFailed === undefined) {
      const { error } = this.#batch.causeAt(failed[0]!);
      this.#host.fail(flushFailed(this.#batch.itemsAt(failed), error, this.#schedule.attempt, errors));
      return false;
    }
    const failures = await this.#failuresAt(failed);
    if (this.#abort.isAborted) return false;
    try {
      await awaitHandler(clock, abortGraceMs, this.#abort, () => onFailed(failures));
    } catch (thrown) {
      this.#host.fail(errors.handlerFailed('onFailed', thrown));
      return false;
    }
    const bytes = this.#openBytes - this.#batch.bytesAt(retried);
    this.#openBytes -= bytes;
    this.#open = this.#batch.itemsAt(retried);
    this.#host.onFailed(failures, countedFlushed, bytes);
    return true;
  }

  /** Everything that is open fails and is returned. The sink has failed already, so the room that this leaves admits nobody. */
  async #returnToCaller(places: number[], countedFlushed: number): Promise<void> {
    const failures = await this.#failuresAt(places);
    this.#open = [];
    this.#host.onReturned(failures, countedFlushed, this.#openBytes, this.first);
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
    const { attempt, callAt } = this.#schedule;
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
    const launch = attempt === 1 ? this.launch : undefined;
    this.#trace?.end(report);
    this.#trace = undefined;
    this.#host.onAttempt(report, callAt + latencyMs, launch, this.#minIntervalShare);
  }
}
