import type { TakenItems } from '../buffer/admission-queue.js';
import { BackpressureError, toError, type ItemError } from '../errors.js';
import type { FlushReport } from '../events.js';
import { handlerFailed } from '../handlers.js';
import type { FailedItem } from '../options.js';
import type { ResolvedSink } from '../resolve-options.js';
import type { FlushFunction, FlushReason } from '../types.js';
import { readFlushAnswer } from './flush-answer.js';
import { startFlushCall, type CallOutcome } from './flush-call.js';
import { retryDelay } from './retry.js';

/** What a flight tells the sink that started it. */
export interface FlightHost<T> {
  onAttempt(report: FlushReport): void;
  onRetry(error: Error, attempt: number, delayMs: number, items: number): void;
  onFlushed(items: T[], bytes: number): void;
  /** The items have failed for good and the user's handler has taken them. `toldFlushed` of them count as flushed all the same. */
  onFailed(failures: FailedItem<T>[], toldFlushed: number, bytes: number): void;
  /** As `onFailed`, but nobody took them: they are handed back. `first` orders them among others. */
  onHandedBack(failures: FailedItem<T>[], toldFlushed: number, bytes: number, first: number): void;
  onLateResult(): void;
  /** The sink as a whole fails. */
  fail(error: Error): void;
}

/** What is to be done after a call. */
interface Verdict<T> {
  /** Failed for good. */
  failures: FailedItem<T>[];
  /** So many of `failures` did arrive, as the destination told; which ones is not known. */
  toldFlushed: number;
  /** Places of the items that are called once more. */
  again: number[];
  error: Error | undefined;
}

/**
 * One batch on its way: calls the flush function, again where that may help, until every item has settled. Holds its slot and its
 * capacity all the while.
 */
export class Flight<T> {
  readonly first: number;
  readonly #settings: ResolvedSink<T>;
  readonly #flush: FlushFunction<T>;
  readonly #host: FlightHost<T>;
  readonly #reason: FlushReason;
  #items: T[];
  #sizes: Float64Array | undefined;
  #weights: Float64Array | undefined;
  #openBytes: number;
  #attempt = 0;
  #aborted = false;
  /** Ends whatever the flight waits for. */
  #interrupt: ((error: Error) => void) | undefined;

  constructor(
    taken: TakenItems<T>,
    reason: FlushReason,
    flush: FlushFunction<T>,
    settings: ResolvedSink<T>,
    host: FlightHost<T>,
  ) {
    this.first = taken.first;
    this.#items = taken.items;
    this.#openBytes = taken.bytes;
    this.#sizes = taken.sizes;
    this.#weights = taken.weights;
    this.#reason = reason;
    this.#flush = flush;
    this.#settings = settings;
    this.#host = host;
  }

  /** The items that have not settled. */
  get openItems(): readonly T[] {
    return this.#items;
  }

  /** Resolves when every item has settled; never rejects. */
  async run(): Promise<void> {
    for (;;) {
      const outcome = await this.#call();
      const verdict = this.#judge(outcome);
      if (verdict.failures.length > 0) await this.#giveUp(verdict);
      if (verdict.again.length === 0) return;
      this.#keep(verdict.again);
      if (!this.#aborted) await this.#pause(verdict.error!);
      if (this.#aborted) {
        const failures = this.#items.map((item) => failure(item, verdict.error!, false));
        this.#handBack(failures, this.#openBytes, 0);
        return;
      }
    }
  }

  /** Fires the signal of the call under way; ends a pause. The flight ends when the call answers or its grace has run out. */
  abort(error: Error): void {
    this.#aborted = true;
    this.#interrupt?.(error);
  }

  async #call(): Promise<CallOutcome> {
    const context = { attempt: ++this.#attempt, reason: this.#reason, weights: this.#weights };
    const call = startFlushCall(this.#flush, this.#items, context, this.#settings, () =>
      this.#host.onLateResult(),
    );
    this.#interrupt = call.interrupt;
    const outcome = await call.outcome;
    this.#interrupt = undefined;
    return outcome;
  }

  #judge(outcome: CallOutcome): Verdict<T> {
    switch (outcome.kind) {
      case 'answered':
        return this.#judgeAnswer(outcome.answer, outcome.latencyMs);
      case 'rejected':
        return this.#judgeRejection(outcome.error, outcome.interrupted, outcome.latencyMs);
      case 'abandoned':
        return this.#judgeWhole(
          outcome.error,
          true,
          this.#settings.retry.afterTimeout,
          true,
          outcome.latencyMs,
        );
    }
  }

  #judgeRejection(error: Error, interrupted: boolean, latencyMs: number): Verdict<T> {
    const told = error as { retryable?: unknown; ambiguous?: unknown };
    if (interrupted) {
      // Its signal had fired: what it did until then is unknown, unless the destination knows.
      const known = told.retryable === true;
      return this.#judgeWhole(error, !known, known || this.#settings.retry.afterTimeout, true, latencyMs);
    }
    let retryable: boolean;
    try {
      retryable = this.#settings.retry.isRetryable(error);
    } catch (thrown) {
      const handlerError = handlerFailed('retry.isRetryable', thrown);
      return this.#judgeWhole(handlerError, false, false, false, latencyMs);
    }
    return this.#judgeWhole(error, told.ambiguous === true, retryable, retryable, latencyMs);
  }

  /** The batch failed as a whole. */
  #judgeWhole(
    error: Error,
    ambiguous: boolean,
    retryable: boolean,
    transportFailure: boolean,
    latencyMs: number,
  ): Verdict<T> {
    const items = this.#items;
    this.#report(0, items.length, latencyMs, transportFailure);
    if (retryable && this.#mayCallAgain())
      return { failures: [], toldFlushed: 0, again: [...items.keys()], error };
    return {
      failures: items.map((item) => failure(item, error, ambiguous)),
      toldFlushed: 0,
      again: [],
      error,
    };
  }

  #judgeAnswer(raw: unknown, latencyMs: number): Verdict<T> {
    const items = this.#items;
    const answer = readFlushAnswer(raw, items.length);
    switch (answer.kind) {
      case 'succeeded':
        this.#report(items.length, 0, latencyMs, false);
        this.#settleFlushed(items, this.#openBytes);
        return { failures: [], toldFlushed: 0, again: [], error: undefined };
      case 'invalid':
        this.#report(0, items.length, latencyMs, false);
        return {
          failures: items.map((item) => failure(item, answer.error, true)),
          toldFlushed: 0,
          again: [],
          error: answer.error,
        };
      case 'partial': {
        const failed = answer.named.size + answer.unnamed;
        this.#report(items.length - failed, failed, latencyMs, false);
        return this.#judgePartial(answer.named, answer.unnamed, answer.unnamedError);
      }
    }
  }

  #judgePartial(
    named: ReadonlyMap<number, ItemError>,
    unnamed: number,
    unnamedError: Error | undefined,
  ): Verdict<T> {
    const verdict: Verdict<T> = { failures: [], toldFlushed: 0, again: [], error: unnamedError };
    const rest: number[] = [];
    for (const [index, item] of this.#items.entries()) {
      const error = named.get(index);
      if (error === undefined) {
        rest.push(index);
      } else if (error.retryable && this.#mayCallAgain()) {
        verdict.again.push(index);
        verdict.error = error;
      } else {
        verdict.failures.push(failure(item, error, false));
      }
    }
    if (unnamed === 0) {
      this.#settleFlushed(
        rest.map((index) => this.#items[index]!),
        this.#bytesOf(rest),
      );
    } else {
      // Counts are taken as told. Which of the rest failed is not known, so all of them are reported, marked.
      for (const index of rest) verdict.failures.push(failure(this.#items[index]!, unnamedError!, true));
      verdict.toldFlushed = rest.length - unnamed;
    }
    return verdict;
  }

  /** Items that failed for good go to the handler; where there is none, or it fails, the sink fails. */
  async #giveUp(verdict: Verdict<T>): Promise<void> {
    const { failures, toldFlushed } = verdict;
    const bytes = this.#openBytes - this.#bytesOf(verdict.again);
    const { onFailed } = this.#settings;
    if (this.#aborted || onFailed === undefined) {
      // First, so that the room that these items leave lets nobody in.
      if (!this.#aborted) this.#host.fail(flushFailed(failures, this.#attempt));
      this.#handBack(failures, bytes, toldFlushed);
      return;
    }
    try {
      await this.#interruptible(onFailed(failures));
      this.#openBytes -= bytes;
      this.#host.onFailed(failures, toldFlushed, bytes);
    } catch (thrown) {
      this.#host.fail(handlerFailed('onFailed', thrown));
      this.#handBack(failures, bytes, toldFlushed);
    }
  }

  #handBack(failures: FailedItem<T>[], bytes: number, toldFlushed: number): void {
    this.#openBytes -= bytes;
    this.#host.onHandedBack(failures, toldFlushed, bytes, this.first);
  }

  #settleFlushed(items: T[], bytes: number): void {
    this.#openBytes -= bytes;
    this.#host.onFlushed(items, bytes);
  }

  /** Waits for the user's handler; after an abort no longer than the grace. */
  #interruptible(work: void | PromiseLike<void>): Promise<void> {
    const { clock, abortGraceMs } = this.#settings;
    return new Promise((resolve, reject) => {
      let timer: unknown;
      const end = (settle: () => void) => {
        clock.clearTimeout(timer);
        this.#interrupt = undefined;
        settle();
      };
      this.#interrupt = (error) => {
        this.#interrupt = undefined;
        timer = clock.setTimeout(() => end(() => reject(error)), abortGraceMs);
      };
      Promise.resolve(work).then(
        () => end(resolve),
        (error: unknown) => end(() => reject(toError(error))),
      );
    });
  }

  async #pause(error: Error): Promise<void> {
    const { clock, random, retry } = this.#settings;
    const delayMs = retryDelay(this.#attempt, retry.minDelayMs, retry.maxDelayMs, random);
    this.#host.onRetry(error, this.#attempt, delayMs, this.#items.length);
    if (this.#aborted) return;
    await new Promise<void>((resolve) => {
      const end = () => {
        clock.clearTimeout(timer);
        this.#interrupt = undefined;
        resolve();
      };
      const timer = clock.setTimeout(end, delayMs);
      this.#interrupt = end;
    });
  }

  #mayCallAgain(): boolean {
    return !this.#aborted && this.#attempt < this.#settings.retry.attempts;
  }

  /** Narrows the flight to the items that are called again. */
  #keep(places: number[]): void {
    if (places.length === this.#items.length) return;
    const pickFrom = (lane: Float64Array | undefined) =>
      lane && Float64Array.from(places, (place) => lane[place]!);
    this.#items = places.map((place) => this.#items[place]!);
    this.#sizes = pickFrom(this.#sizes);
    this.#weights = pickFrom(this.#weights);
  }

  #bytesOf(places: number[]): number {
    const sizes = this.#sizes;
    return sizes === undefined ? 0 : places.reduce((sum, place) => sum + sizes[place]!, 0);
  }

  #report(success: number, failed: number, latencyMs: number, transportFailure: boolean): void {
    const report = {
      attempt: this.#attempt,
      reason: this.#reason,
      items: success + failed,
      success,
      failed,
      latencyMs,
    };
    this.#host.onAttempt({ ...report, transportFailure });
  }
}

function failure<T>(item: T, error: Error, ambiguous: boolean): FailedItem<T> {
  return ambiguous ? { item, error, ambiguous } : { item, error };
}

function flushFailed(failures: FailedItem<unknown>[], attempts: number): BackpressureError {
  const cause = failures[0]!.error;
  const items = failures.map((failed) => failed.item);
  // These say themselves what is wrong, and whose fault it is.
  if (cause instanceof BackpressureError && cause.code !== 'ERR_BACKPRESSURE_COPY') {
    return new BackpressureError(cause.code, cause.message, { cause: cause.cause, items });
  }
  const calls = attempts === 1 ? '' : ` after ${attempts} attempts`;
  return new BackpressureError(
    'ERR_BACKPRESSURE_FLUSH_FAILED',
    `flush of ${items.length} items failed${calls}: ${cause.message}`,
    {
      cause,
      items,
    },
  );
}
