/**
 * The calls of one batch: how many there were, and when the next one begins.
 *
 *     call ──failed──> own delay (full jitter) ──────────────────> call permitted? ──yes──> call
 *       │                  │  └ may be ended early by the breaker, for its probe │
 *       │                  └ too late for `maxElapsedMs`: give up                no
 *       └──failed, breaker not closed──> parked <────────────────────────────────┘
 *                                           └── resumed by the breaker ──> call permitted?
 *
 * A parked batch waits for the breaker, which costs it neither an attempt nor time towards `retry.maxElapsedMs`.
 */

import type { ResolvedSink } from '../../settings/resolve-sink.js';
import { longestRetryAfter, retryDelay } from '../resilience/backoff.js';
import type { CallPermits } from '../resilience/call-permits.js';
import type { DeliveryAbort } from './delivery-abort.js';

type RetrySettings = Pick<ResolvedSink<never>, 'clock' | 'random' | 'retry'>;

export class RetrySchedule {
  /** Calls made so far. */
  attempt = 0;
  /** When the last call began. */
  callAt = 0;
  readonly #first: number;
  readonly #settings: RetrySettings;
  readonly #permits: CallPermits;
  readonly #abort: DeliveryAbort;
  /** Calls that count towards `retry.attempts`: not those that failed while the breaker was not closed. */
  #countedCalls = 0;
  /** When the first call began, plus the time that the batch was parked. */
  #startedAt = 0;
  #parkedSince: number | undefined;

  /** @param first orders the batch among others: the older, the smaller */
  constructor(first: number, settings: RetrySettings, permits: CallPermits, abort: DeliveryAbort) {
    this.#first = first;
    this.#settings = settings;
    this.#permits = permits;
    this.#abort = abort;
  }

  /** A call begins. */
  onCall(): void {
    const now = this.#settings.clock.now();
    if (this.attempt === 0) this.#startedAt = now;
    this.callAt = now;
    this.#countedCalls++;
    this.#permits.onCall(this.#first);
    this.attempt++;
  }

  get mayCallAgain(): boolean {
    return !this.#abort.isAborted && this.#countedCalls < this.#settings.retry.attempts;
  }

  /** Parks the batch if the breaker is not closed: the failure says nothing about the batch, and the call does not count. */
  parkIfTripped(): boolean {
    if (this.#abort.isAborted || !this.#permits.isTripped || this.#settings.retry.attempts < 2) return false;
    this.#countedCalls--;
    this.#parkedSince = this.callAt;
    return true;
  }

  /**
   * Waits until it is time for the next call. Resolves to `false` if that would be too late: at once, not after the wait.
   *
   * @param onWait called with the delay before the wait begins
   */
  async pause(errors: Error[], onWait: (delayMs: number) => void): Promise<boolean> {
    const isParked = this.#parkedSince !== undefined;
    const delayMs = isParked ? this.#permits.blockedForMs : this.#ownDelay(errors);
    if (!isParked && this.#elapsedMs + delayMs > this.#settings.retry.maxElapsedMs) return false;
    onWait(delayMs);
    return this.#abort.isAborted || this.#waitForPermit(isParked ? undefined : delayMs);
  }

  /** The breaker has not permitted the call, or has withdrawn the permit. Read right before each call. */
  get isBlocked(): boolean {
    return !this.#abort.isAborted && !this.#permits.mayCall(this.#first);
  }

  /** Parks the batch until the breaker resumes it. */
  waitWhileBlocked(): Promise<boolean> {
    this.#parkedSince ??= this.#settings.clock.now();
    return this.#waitForPermit(undefined);
  }

  endParking(): void {
    if (this.#parkedSince !== undefined) this.#startedAt += this.#settings.clock.now() - this.#parkedSince;
    this.#parkedSince = undefined;
  }

  get #elapsedMs(): number {
    return this.#settings.clock.now() - this.#startedAt;
  }

  #ownDelay(errors: Error[]): number {
    const { random, retry } = this.#settings;
    const retryAfterMs = longestRetryAfter(errors);
    return retryDelay(this.#countedCalls, retry.minDelayMs, retry.maxDelayMs, random, retryAfterMs);
  }

  /** Waits for the delay, if there is one, and then for the breaker, which may end both. Resolves to `false` if it is too late then. */
  #waitForPermit(delayMs: number | undefined): Promise<boolean> {
    const { clock, retry } = this.#settings;
    return new Promise<boolean>((resolve) => {
      let timer: unknown;
      const end = (isInTime: boolean) => {
        clock.clearTimeout(timer);
        this.#abort.setPending(undefined);
        this.#permits.unpark(parked);
        resolve(isInTime);
      };
      const parked = { first: this.#first, isReady: delayMs === undefined, resume: () => end(true) };
      if (delayMs !== undefined) {
        timer = clock.setTimeout(() => {
          // The timer may be late, if the process was blocked or asleep.
          if (this.#elapsedMs > retry.maxElapsedMs) return end(false);
          if (!this.#permits.isTripped) return end(true);
          parked.isReady = true;
          this.#parkedSince = clock.now();
        }, delayMs);
      }
      this.#abort.setPending({ interrupt: () => end(true) });
      this.#permits.park(parked);
      // The breaker may have closed since the batch was to be parked: then nothing will resume it.
      if (parked.isReady && !this.#permits.isTripped) end(true);
    });
  }
}
