/** Tries again while the log or the database cannot be reached. */

import { toError } from '../../common/thrown.js';
import { LogError } from '../../log/log-error.js';
import { CopyError } from '../errors/copy-error.js';
import type { ConsumeObserver } from './consume-observer.js';
import type { ConsumeCounts, OngoingOutage } from './consume-metrics.js';
import type { ConsumeSettings } from './consume-settings.js';
import { pause } from './wait.js';

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;

/** True for a failure that may pass by itself. */
export function mayPass(error: unknown): boolean {
  if (error instanceof LogError) return error.failureClass === 'unreachable';
  return error instanceof CopyError && (error.retryable || error.ambiguous);
}

/** What the parts of one consumer share. */
export interface ConsumeParts {
  readonly settings: ConsumeSettings;
  readonly metrics: ConsumeCounts;
  readonly observer: ConsumeObserver;
}

type OutageSettings = Pick<ConsumeSettings, 'clock' | 'maxOutageMs'>;

/**
 * A failure that lasts. One for each thing that is tried.
 *
 * When one has passed, the others that wait for the same server try again at once: they would still be reported for up to 5 s.
 */
export class Outage {
  readonly #settings: OutageSettings;
  readonly #metrics: ConsumeCounts;
  readonly #observer: ConsumeObserver;
  #ongoing: OngoingOutage | undefined;
  #pauseMs = FIRST_PAUSE_MS;
  #attempts = 0;

  constructor({
    settings,
    metrics,
    observer,
  }: Omit<ConsumeParts, 'settings'> & { settings: OutageSettings }) {
    this.#observer = observer;
    this.#settings = settings;
    this.#metrics = metrics;
  }

  /**
   * Resolves when it is time for another attempt.
   *
   * @param items of the batch, if it is one that has failed
   * @throws `thrown`, if it does not pass, has lasted too long, or the signal has fired
   */
  async wait(thrown: unknown, signal: AbortSignal, items = 0): Promise<void> {
    const { clock, maxOutageMs } = this.#settings;
    if (signal.aborted || !mayPass(thrown)) throw thrown;
    const since = this.#ongoing?.since ?? clock.now();
    if (clock.now() - since > maxOutageMs) throw thrown;
    const error = toError(thrown);
    const { retryAfterMs = 0 } = thrown as { retryAfterMs?: number };
    const early = new AbortController();
    const retryNow = (): void => early.abort();
    const of = thrown instanceof LogError ? 'log' : 'database';
    // What the server asks for is kept.
    this.#note({ of, since, retryNow: retryAfterMs > 0 ? () => undefined : retryNow }, error);
    this.#metrics.retries += 1;
    this.#metrics.lastError = error;
    const delayMs = Math.max(this.#pauseMs, retryAfterMs);
    this.#attempts += 1;
    this.#observer.onRetry({ error, attempt: this.#attempts, delayMs, items });
    signal.addEventListener('abort', retryNow, { once: true });
    await pause(clock, delayMs, early.signal);
    signal.removeEventListener('abort', retryNow);
    this.#pauseMs = Math.min(2 * this.#pauseMs, LONGEST_PAUSE_MS);
  }

  /** It has passed. */
  pass(): void {
    const passed = this.#ongoing;
    this.end();
    if (passed === undefined) return;
    for (const { of, retryNow } of this.#metrics.outages) if (of === passed.of) retryNow();
  }

  /** It is not waited for any more. */
  end(): void {
    this.#note(undefined);
    this.#pauseMs = FIRST_PAUSE_MS;
    this.#attempts = 0;
  }

  /** @param reason of one that goes on */
  #note(ongoing: OngoingOutage | undefined, reason?: Error): void {
    const { outages } = this.#metrics;
    const wasOpen = outages.size > 0;
    if (this.#ongoing !== undefined) outages.delete(this.#ongoing);
    if (ongoing !== undefined) outages.add(ongoing);
    this.#ongoing = ongoing;
    const isOpen = outages.size > 0;
    if (wasOpen === isOpen) return;
    if (isOpen) this.#observer.onBreaker('open', 'closed', reason);
    else this.#observer.onBreaker('closed', 'open', undefined);
  }

  /** Calls `work` until it succeeds. */
  async retry<Result>(signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
    try {
      for (;;) {
        try {
          const result = await work();
          this.pass();
          return result;
        } catch (error) {
          await this.wait(error, signal);
        }
      }
    } finally {
      this.end();
    }
  }
}
