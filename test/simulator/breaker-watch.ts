import type { BreakerOptions, BreakerState, FlushReport, SinkMetrics } from '../../src/index.js';
import type { DestinationCall } from './destination.js';
import type { Item } from './item.js';
import type { Journal } from './journal.js';

const NEXT: Record<BreakerState, readonly BreakerState[]> = {
  closed: ['open'],
  open: ['half_open', 'closed'],
  half_open: ['open', 'closed'],
};

/** Holds the circuit breaker to its word: when it opens, that it is quiet meanwhile, one probe, and an outage's limit. */
export class BreakerWatch {
  state: BreakerState = 'closed';
  /** Calls since it was half open: more than the probe there may not be. */
  callsSince = 0;
  readonly #options: Required<Omit<BreakerOptions, 'probe'>> | undefined;
  readonly #journal: Journal;
  readonly #earlyMs: number;
  readonly #lateMs: number;
  #openings = 0;
  #changedAt = 0;
  /** When the probe began whose failure opened it again, or the failure that opened it came. */
  #probedAt = 0;
  /** Transport failures in a row, by the reports. */
  #failures = 0;
  #failingSince = 0;
  /** Nothing was open at some time in this outage: that time does not count, so the limit is not known from here. */
  #wasIdle = false;
  /** An answer has come that did not close the breaker, for the outage had ended everything before. */
  #isOver = false;
  /** By what the refusals of this outage told, there is no use in a call before then. */
  #toldUntil = 0;

  constructor(
    options: BreakerOptions | false | undefined,
    journal: Journal,
    earlyMs: number,
    lateMs: number,
  ) {
    this.#journal = journal;
    this.#earlyMs = earlyMs;
    this.#lateMs = lateMs;
    if (!options) return;
    const { failures = 5, minDelayMs = 500, maxDelayMs = 4_000, maxOutageMs = 300_000 } = options;
    this.#options = { failures, minDelayMs, maxDelayMs: Math.max(minDelayMs, maxDelayMs), maxOutageMs };
  }

  onState(state: BreakerState, previous: BreakerState, now: number): void {
    this.#journal.note('breaker', this.#openings, () => `${previous} → ${state}`);
    const options = this.#options;
    if (options === undefined) return this.#journal.violated(`a breaker that was not asked for is ${state}`);
    this.#check(previous === this.state, () => `the breaker was ${this.state}, not ${previous}`);
    this.#check(NEXT[previous].includes(state), () => `the breaker went from ${previous} to ${state}`);
    if (state === 'open') {
      // The failure that opens it is reported a moment later.
      if (previous === 'closed')
        this.#check(this.#failures + 1 >= options.failures, () => `opened after ${this.#failures} failures`);
      this.#openings = previous === 'closed' ? 1 : this.#openings + 1;
      if (previous === 'closed') this.#probedAt = now;
    }
    if (state === 'half_open') {
      this.callsSince = 0;
      const openMs = now - this.#changedAt;
      this.#check(
        now >= this.#toldUntil - this.#earlyMs || this.#isAtLimit(now),
        () => `half open, though the destination had told to wait until ${this.#toldUntil}`,
      );
      this.#check(
        openMs >= this.#shortestMs - this.#earlyMs || this.#isAtLimit(now),
        () => `open for ${openMs} ms only, the ${this.#openings}th time`,
      );
    }
    if (state === 'closed') this.#toldUntil = 0;
    this.state = state;
    this.#changedAt = now;
  }

  onAnswer({ fate, signalledAt }: DestinationCall<Item>, now: number): void {
    // Once its signal has fired, the answer may come too late to be heard.
    if (fate.kind !== 'refused' || signalledAt < Infinity) return;
    this.#toldUntil = Math.max(this.#toldUntil, now + (fate.retryAfterMs ?? 0));
  }

  onReport({ transportFailure }: FlushReport, now: number): void {
    if (!transportFailure) {
      this.#isOver ||= this.state !== 'closed' && this.#isOverLimit(now);
      this.#failures = 0;
      if (this.state === 'closed') this.#toldUntil = 0;
    } else if (this.#failures++ === 0) {
      this.#failingSince = now;
      this.#wasIdle = false;
    }
  }

  onCall(call: DestinationCall<Item>): void {
    this.callsSince++;
    if (this.state === 'half_open') this.#probedAt = call.at;
    this.#check(this.state !== 'open', () => `call ${call.number} while the breaker is open`);
    this.#check(
      this.state === 'closed' || this.callsSince === 1,
      () => `a second probe: call ${call.number}`,
    );
  }

  /** Whether batches that are due may have their first call. */
  get mayLaunch(): boolean {
    return this.state === 'closed' || (this.state === 'half_open' && this.callsSince === 0);
  }

  /** The latest time at which something must happen by itself. */
  deadline(metrics: SinkMetrics): number {
    this.#check(
      metrics.breaker === this.state || (metrics.isFailed && metrics.breaker === 'closed'),
      () => `breaker ${metrics.breaker}, but told was ${this.state}`,
    );
    if (metrics.bufferSize + metrics.inFlight + metrics.waiting === 0) {
      this.#wasIdle = true;
      return Infinity;
    }
    if (this.state === 'closed' || this.#options === undefined) return Infinity;
    // The probe is under way, or may begin.
    if (this.state === 'half_open') return Infinity;
    const limitAt = this.#wasIdle ? Infinity : this.#failingSince + this.#options.maxOutageMs;
    const halfOpenBy = Math.max(this.#toldUntil, this.#changedAt + this.#longestMs);
    // The last probe, at once if a call has failed that began before.
    return Math.max(this.#changedAt, Math.min(halfOpenBy, limitAt)) + this.#lateMs;
  }

  /** Whether an end by `ERR_BACKPRESSURE_OUTAGE` is what it should be. */
  isOutage(now: number): boolean {
    return this.state !== 'closed' && (this.#isOver || this.#isOverLimit(now));
  }

  #isOverLimit(now: number): boolean {
    return this.#failures >= this.#options!.failures && this.#isAtLimit(now);
  }

  /** The last probe is due, as far as can be told: idle time would not count. */
  #isAtLimit(now: number): boolean {
    return now - this.#failingSince >= this.#options!.maxOutageMs - this.#earlyMs;
  }

  /** Probes begin at most the longest delay apart, so one that took long shortens the time until the next one. */
  get #shortestMs(): number {
    const { minDelayMs, maxDelayMs } = this.#options!;
    const leftMs = this.#probedAt + maxDelayMs - this.#changedAt;
    return Math.min(this.#longestMs / 2, Math.max(minDelayMs / 2, leftMs));
  }

  get #longestMs(): number {
    const { minDelayMs, maxDelayMs } = this.#options!;
    return Math.min(maxDelayMs, minDelayMs * 2 ** (this.#openings - 1));
  }

  #check(holds: boolean, tell: () => string): void {
    this.#journal.check(holds, tell);
  }
}
