import type { TakenItems } from '../../buffer/admission-queue.js';
import { Deadline } from '../../common/deadline.js';
import { forEachInTurns, turnBudget } from '../../common/turn-budget.js';
import { fieldOf, toError } from '../../common/thrown.js';
import { LONGEST_DELAY_MS } from '../../common/clock.js';
import type { StageErrors } from '../../api/errors.js';
import type { FlushReport } from '../../api/events.js';
import { ignoreRejections, refusePromise } from '../../guards/user-callbacks.js';
import type { FailedItem } from '../../api/options.js';
import type { ResolvedSink } from '../../settings/resolve-sink.js';
import type { FlushFunction, FlushReason } from '../../api/flush-function.js';
import type { Launch } from '../schedule/sink-limits.js';
import type { CallPermits } from '../resilience/call-permits.js';
import { interpretResult, type NamedFailure } from './flush-result.js';
import { startFlushCall, type CallOutcome } from './flush-call.js';
import { longestRetryAfter, retryDelay } from '../resilience/backoff.js';
import {
  flushFailed,
  inBatchOrder,
  isPlainSuccess,
  SETTLED,
  wholeBatch,
  type Failure,
  type CallDisposition,
  type WholeFailure,
} from './call-disposition.js';

/** From so many items on, it takes milliseconds to settle a batch. */
const LARGE_BATCH = 10_000;

/** What a delivery tells the sink that started it. */
export interface DeliveryHost<T> {
  readonly errors: StageErrors;
  /** `launch`: what adaptive control noted of the delivery, for its first call. `share`: as the delivery was told. */
  onAttempt(report: FlushReport, launch: Launch | undefined, share: number): void;
  onRetry(error: Error, attempt: number, delayMs: number, items: number): void;
  onFlushed(items: T[], bytes: number, weights: Float64Array | undefined): void;
  /** The items have failed for good and the user's handler has taken them. `countedFlushed` of them count as flushed all the same. */
  onFailed(failures: FailedItem<T>[], countedFlushed: number, bytes: number): void;
  /** As `onFailed`, but nobody took them: they are handed back. `first` orders them among others. */
  onReturned(failures: FailedItem<T>[], countedFlushed: number, bytes: number, first: number): void;
  onLateResult(): void;
  /** The sink as a whole fails. */
  fail(error: Error): void;
}

/**
 * One batch on its way: calls the flush function, again where that may help, until every item has settled. Holds its slot and its
 * capacity all the while.
 */
export class Delivery<T> {
  readonly first: number;
  /** Under adaptive control: how things stood when it was launched. */
  launch: Launch | undefined;
  readonly #settings: ResolvedSink<T>;
  readonly #flush: FlushFunction<T>;
  readonly #permits: CallPermits;
  readonly #host: DeliveryHost<T>;
  readonly #reason: FlushReason;
  /** Of its items, those that the lower bound of the flush interval would have held. */
  readonly #minIntervalShare: number;
  #items: T[];
  #sizes: Float64Array | undefined;
  #weights: Float64Array | undefined;
  #times: Float64Array | undefined;
  /** Those of `#items` that have not settled. */
  #open: readonly T[];
  #openBytes: number;
  #attempt = 0;
  /** Calls that count towards `retry.attempts`: not those that the breaker has taken upon itself. */
  #countedCalls = 0;
  /** When the first call began; later, by as much as the breaker has held the delivery. */
  #startedAt = 0;
  #callAt = 0;
  /** Since when the breaker holds the delivery. */
  #parkedSince: number | undefined;
  /** A call's outcome is unknown: it may have delivered what a later call reports as failed. */
  #hasUnknownOutcome = false;
  #abortError: Error | undefined;
  /** Ends whatever the delivery waits for. */
  #interrupt: ((error: Error) => void) | undefined;

  constructor(
    taken: TakenItems<T>,
    reason: FlushReason,
    share: number,
    flush: FlushFunction<T>,
    settings: ResolvedSink<T>,
    permits: CallPermits,
    host: DeliveryHost<T>,
  ) {
    this.first = taken.first;
    this.#items = taken.items;
    this.#open = taken.items;
    this.#openBytes = taken.bytes;
    this.#sizes = taken.sizes;
    this.#weights = taken.weights;
    this.#times = taken.times;
    this.#reason = reason;
    this.#minIntervalShare = share;
    this.#flush = flush;
    this.#settings = settings;
    this.#permits = permits;
    this.#host = host;
  }

  /** The items that have not settled. */
  get openItems(): readonly T[] {
    return this.#open;
  }

  /** When the oldest of the items was admitted that the last call had. */
  get oldestTime(): number {
    return this.#open.length === 0 ? Infinity : this.#times![0]!;
  }

  /** Resolves when every item has settled. Never rejects, whatever the user's code does: what is open is handed back then. */
  async run(): Promise<void> {
    try {
      await this.#settleAll();
    } catch (thrown) {
      this.#breakDown(toError(thrown));
    }
  }

  /** `random` or the clock, which the user may give, has thrown, or the engine is wrong. */
  #breakDown(error: Error): void {
    // Some items of the call may have settled before.
    const failures = this.#open.map((item) => this.#failure(item, this.#items.indexOf(item), error, true));
    const { errors } = this.#host;
    this.#host.fail(errors.owns(error) ? error : errors.handlerFailed('settling a batch', error));
    if (failures.length > 0) this.#returnToCaller(failures, 0);
  }

  async #settleAll(): Promise<void> {
    for (;;) {
      const outcome = await this.#call();
      const isLarge = this.#items.length >= LARGE_BATCH;
      // In a turn of the event loop of its own: an abort ends all batches at once, and an answer comes behind other work.
      if (isLarge && !isPlainSuccess(outcome)) await turnBudget.nextTurn();
      let disposition = this.#settleOutcome(outcome);
      if ('isRetried' in disposition)
        disposition = isLarge ? await this.#failAllInTurns(disposition) : this.#failAll(disposition);
      const { failures, retried } = disposition;
      if (failures.length > 0 && !(await this.#passToOnFailed(disposition))) {
        this.#returnToCaller([...failures, ...retried], disposition.countedFlushed);
        return;
      }
      if (retried.length === 0) return;
      this.#narrowTo(retried.map(({ place }) => place));
      let inTime = this.#aborted || (await this.#pause(retried));
      // Asked right before the call: since it was let go, the breaker may have opened again, or the sink been stopped.
      while (inTime && this.#isParked()) {
        this.#parkedSince ??= this.#settings.clock.now();
        inTime = await this.#waitForPermit(undefined);
      }
      this.#endParking();
      if (!inTime) {
        await this.#giveUpRetrying(retried);
        return;
      }
      if (this.#aborted) {
        this.#returnToCaller(retried, 0);
        return;
      }
    }
  }

  /** What was to be called again would be too late. */
  async #giveUpRetrying(failures: Failure<T>[]): Promise<void> {
    if (!(await this.#passToOnFailed({ failures, countedFlushed: 0, retried: [] })))
      this.#returnToCaller(failures, 0);
  }

  /** Fires the signal of the call under way; ends a pause. The delivery ends when the call answers or its grace has run out. */
  abort(error: Error): void {
    this.#abortError = error;
    this.#interrupt?.(error);
  }

  get #aborted(): boolean {
    return this.#abortError !== undefined;
  }

  async #call(): Promise<CallOutcome> {
    const now = this.#settings.clock.now();
    if (this.#attempt === 0) this.#startedAt = now;
    this.#callAt = now;
    this.#countedCalls++;
    this.#permits.onCall(this.first);
    const context = { attempt: ++this.#attempt, reason: this.#reason, weights: this.#weights };
    const host = this.#host;
    const call = startFlushCall(this.#flush, this.#items, context, this.#settings, host.errors, () =>
      host.onLateResult(),
    );
    this.#interrupt = call.interrupt;
    // The flush function itself may have aborted everything.
    if (this.#abortError !== undefined) call.interrupt(this.#abortError);
    const outcome = await call.outcome;
    this.#interrupt = undefined;
    return outcome;
  }

  #settleOutcome(outcome: CallOutcome): CallDisposition<T> | WholeFailure {
    switch (outcome.kind) {
      case 'answered':
        return this.#settleResult(outcome.answer, outcome.latencyMs);
      case 'rejected':
        return this.#settleRejection(outcome.error, outcome.interrupted, outcome.latencyMs);
      case 'abandoned':
        return this.#failWhole(
          outcome.error,
          true,
          this.#settings.retry.afterTimeout,
          true,
          outcome.latencyMs,
        );
    }
  }

  #settleRejection(error: Error, interrupted: boolean, latencyMs: number): WholeFailure {
    if (interrupted) {
      // Its signal had fired: what it did until then is unknown, unless the destination knows.
      const known = fieldOf(error, 'retryable') === true;
      return this.#failWhole(error, !known, known || this.#settings.retry.afterTimeout, true, latencyMs);
    }
    let retryable: boolean;
    try {
      const answer: unknown = this.#settings.retry.isRetryable(error);
      refusePromise('retry.isRetryable', answer, this.#host.errors);
      retryable = Boolean(answer);
    } catch (thrown) {
      const handlerError = this.#host.errors.handlerFailed('retry.isRetryable', thrown);
      return this.#failWhole(handlerError, false, false, false, latencyMs);
    }
    const ambiguous = fieldOf(error, 'ambiguous') === true;
    return this.#failWhole(error, ambiguous, retryable, retryable, latencyMs);
  }

  /** The batch failed as a whole. */
  #failWhole(
    error: Error,
    ambiguous: boolean,
    retryable: boolean,
    transportFailure: boolean,
    latencyMs: number,
  ): WholeFailure {
    if (transportFailure) this.#permits.onTransportFailure(this.first, error, this.#callAt);
    else this.#permits.onResponse();
    this.#report(0, this.#items.length, latencyMs, error, transportFailure);
    const isRetried = retryable && (this.#parkIfTripped() || this.#mayCallAgain());
    if (isRetried) this.#hasUnknownOutcome ||= ambiguous;
    return { error, ambiguous, isRetried };
  }

  #failAll({ error, ambiguous, isRetried }: WholeFailure): CallDisposition<T> {
    const failures = this.#items.map((item, place) => this.#failure(item, place, error, ambiguous));
    return wholeBatch(failures, isRetried);
  }

  async #failAllInTurns({ error, ambiguous, isRetried }: WholeFailure): Promise<CallDisposition<T>> {
    const items = this.#items;
    const failures: Failure<T>[] = [];
    await forEachInTurns(items.length, (place) => {
      failures.push(this.#failure(items[place]!, place, error, ambiguous));
    });
    return wholeBatch(failures, isRetried);
  }

  #settleResult(raw: unknown, latencyMs: number): CallDisposition<T> | WholeFailure {
    this.#permits.onResponse();
    const items = this.#items;
    const answer = interpretResult(raw, items.length, this.#host.errors);
    switch (answer.kind) {
      case 'succeeded':
        this.#report(items.length, 0, latencyMs, undefined, false);
        this.#open = [];
        this.#settleFlushed(items, this.#openBytes, this.#weights);
        return SETTLED;
      case 'invalid':
        ignoreRejections(raw);
        this.#report(0, items.length, latencyMs, answer.error, false);
        return { error: answer.error, ambiguous: true, isRetried: false };
      case 'partial': {
        const failed = answer.named.size + answer.unnamed;
        const [first] = answer.named.values();
        const error = first?.error ?? answer.unnamedError;
        this.#report(items.length - failed, failed, latencyMs, error, false);
        return this.#settlePartial(answer.named, answer.unnamed, answer.unnamedError);
      }
    }
  }

  #settlePartial(
    named: ReadonlyMap<number, NamedFailure>,
    unnamed: number,
    unnamedError: Error | undefined,
  ): CallDisposition<T> {
    const disposition: CallDisposition<T> = { failures: [], countedFlushed: 0, retried: [] };
    const rest: number[] = [];
    for (const [place, item] of this.#items.entries()) {
      const failure = named.get(place);
      if (failure === undefined) rest.push(place);
      else {
        const retried = failure.retryable && this.#mayCallAgain();
        const failed = this.#failure(item, place, failure.error, false);
        (retried ? disposition.retried : disposition.failures).push(failed);
      }
    }
    if (unnamed === 0) {
      this.#open = this.#items.filter((_, place) => named.has(place));
      this.#settleFlushed(
        rest.map((place) => this.#items[place]!),
        this.#bytesOf(rest),
        this.#pickFrom(this.#weights, rest),
      );
    } else {
      // Counts are taken as told. Which of the rest failed is not known, so all of them are reported, marked.
      for (const place of rest)
        disposition.failures.push(this.#failure(this.#items[place]!, place, unnamedError!, true));
      disposition.countedFlushed = rest.length - unnamed;
    }
    return disposition;
  }

  #failure(item: T, place: number, error: Error, ambiguous: boolean): Failure<T> {
    const weight = this.#weights?.[place] ?? 1;
    const isAmbiguous = ambiguous || this.#hasUnknownOutcome;
    return {
      place,
      failed: isAmbiguous ? { item, error, weight, ambiguous: true } : { item, error, weight },
    };
  }

  /** Items that failed for good go to the handler. Where there is none, or it fails, the sink fails: then the answer is `false`. */
  async #passToOnFailed({ failures, countedFlushed, retried }: CallDisposition<T>): Promise<boolean> {
    const { onFailed } = this.#settings;
    if (this.#aborted) return false;
    const failed = inBatchOrder(failures);
    if (onFailed === undefined) {
      this.#host.fail(flushFailed(failed, this.#attempt, this.#host.errors));
      return false;
    }
    try {
      await this.#interruptible(() => onFailed(failed));
    } catch (thrown) {
      this.#host.fail(this.#host.errors.handlerFailed('onFailed', thrown));
      return false;
    }
    const bytes = this.#openBytes - this.#bytesOf(retried.map(({ place }) => place));
    this.#openBytes -= bytes;
    this.#open = retried.map(({ failed: { item } }) => item);
    this.#host.onFailed(failed, countedFlushed, bytes);
    return true;
  }

  /** Everything that is open fails, and goes back to the user. The sink has failed already, so the room that it leaves lets nobody in. */
  #returnToCaller(failures: Failure<T>[], countedFlushed: number): void {
    this.#open = [];
    this.#host.onReturned(inBatchOrder(failures), countedFlushed, this.#openBytes, this.first);
  }

  #settleFlushed(items: T[], bytes: number, weights: Float64Array | undefined): void {
    this.#openBytes -= bytes;
    this.#host.onFlushed(items, bytes, weights);
  }

  /** Waits for the user's handler; after an abort no longer than the grace. */
  #interruptible(work: () => unknown): Promise<void> {
    const { clock, abortGraceMs } = this.#settings;
    return new Promise((resolve, reject) => {
      // Fires in some weeks, for nothing; but it holds the process while items are unsettled.
      const hold = clock.setTimeout(() => undefined, LONGEST_DELAY_MS);
      let grace: Deadline | undefined;
      const end = (settle: () => void) => {
        grace?.clear();
        clock.clearTimeout(hold);
        this.#interrupt = undefined;
        settle();
      };
      const interrupt = (error: Error) => {
        this.#interrupt = undefined;
        grace = new Deadline(clock, abortGraceMs, () => end(() => reject(error)));
        grace.start();
      };
      this.#interrupt = interrupt;
      // Called only now: the handler itself may abort everything.
      new Promise((settle) => settle(work())).then(
        () => end(resolve),
        (error: unknown) => end(() => reject(toError(error))),
      );
    });
  }

  /** Waits until it is time for the next call. Answers `false` when that would be too late: at once, not after the wait. */
  async #pause(again: Failure<T>[]): Promise<boolean> {
    const { retry } = this.#settings;
    const held = this.#parkedSince !== undefined;
    const delayMs = held ? this.#permits.blockedForMs : this.#ownDelay(again);
    if (!held && this.#elapsedMs + delayMs > retry.maxElapsedMs) return false;
    if (this.launch !== undefined) this.launch.isRetried = true;
    this.#host.onRetry(again.at(-1)!.failed.error, this.#attempt, delayMs, this.#items.length);
    return this.#aborted || this.#waitForPermit(held ? undefined : delayMs);
  }

  /** What the breaker has held it for does not count. */
  #endParking(): void {
    if (this.#parkedSince !== undefined) this.#startedAt += this.#settings.clock.now() - this.#parkedSince;
    this.#parkedSince = undefined;
  }

  /** The breaker has not let it go, or takes that back. */
  #isParked(): boolean {
    return !this.#aborted && !this.#permits.mayCall(this.first);
  }

  #ownDelay(again: Failure<T>[]): number {
    const { random, retry } = this.#settings;
    const retryAfterMs = longestRetryAfter(again.map(({ failed }) => failed.error));
    return retryDelay(this.#countedCalls, retry.minDelayMs, retry.maxDelayMs, random, retryAfterMs);
  }

  /** The delay, if there is one, and then until the breaker lets it go, which may be sooner. Answers `false` when it has become too late. */
  #waitForPermit(delayMs: number | undefined): Promise<boolean> {
    const { clock, retry } = this.#settings;
    return new Promise<boolean>((resolve) => {
      let timer: unknown;
      const end = (inTime: boolean) => {
        clock.clearTimeout(timer);
        this.#interrupt = undefined;
        this.#permits.unpark(waiting);
        resolve(inTime);
      };
      const waiting = { first: this.first, isReady: delayMs === undefined, resume: () => end(true) };
      if (delayMs !== undefined) {
        timer = clock.setTimeout(() => {
          // The timer may have come late: where the process was held up, or asleep.
          if (this.#elapsedMs > retry.maxElapsedMs) return end(false);
          if (!this.#permits.isTripped) return end(true);
          waiting.isReady = true;
          this.#parkedSince = clock.now();
        }, delayMs);
      }
      const interrupt = () => end(true);
      this.#interrupt = interrupt;
      this.#permits.park(waiting);
    });
  }

  get #elapsedMs(): number {
    return this.#settings.clock.now() - this.#startedAt;
  }

  #mayCallAgain(): boolean {
    return !this.#aborted && this.#countedCalls < this.#settings.retry.attempts;
  }

  /** While the breaker is not closed, a failure says nothing about the batch: it is held, and the call does not count. */
  #parkIfTripped(): boolean {
    if (this.#aborted || !this.#permits.isTripped || this.#settings.retry.attempts < 2) return false;
    this.#countedCalls--;
    this.#parkedSince = this.#callAt;
    return true;
  }

  /** Narrows the delivery to the items that are called again. */
  #narrowTo(places: number[]): void {
    if (places.length === this.#items.length) return;
    this.#items = places.map((place) => this.#items[place]!);
    this.#sizes = this.#pickFrom(this.#sizes, places);
    this.#weights = this.#pickFrom(this.#weights, places);
    this.#times = this.#pickFrom(this.#times, places);
  }

  #pickFrom(lane: Float64Array | undefined, places: number[]): Float64Array | undefined {
    return lane && Float64Array.from(places, (place) => lane[place]!);
  }

  #bytesOf(places: number[]): number {
    const sizes = this.#sizes;
    return sizes === undefined ? 0 : places.reduce((sum, place) => sum + sizes[place]!, 0);
  }

  #report(
    success: number,
    failed: number,
    latencyMs: number,
    error: Error | undefined,
    transportFailure: boolean,
  ): void {
    const report = {
      attempt: this.#attempt,
      reason: this.#reason,
      items: success + failed,
      success,
      failed,
      latencyMs,
      transportFailure,
      error,
    };
    this.#host.onAttempt(report, this.#attempt === 1 ? this.launch : undefined, this.#minIntervalShare);
  }
}
