/** Tries again while the log or the database cannot be reached. */

import { toError } from '../../common/thrown.js';
import { LogError } from '../../log/log-error.js';
import { CopyError } from '../errors/copy-error.js';
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

/** A failure that lasts. One for each thing that is tried. */
export class Outage {
  readonly #settings: Pick<ConsumeSettings, 'clock' | 'maxOutageMs'>;
  readonly #metrics: ConsumeCounts;
  #ongoing: OngoingOutage | undefined;
  #pauseMs = FIRST_PAUSE_MS;

  constructor(settings: Pick<ConsumeSettings, 'clock' | 'maxOutageMs'>, metrics: ConsumeCounts) {
    this.#settings = settings;
    this.#metrics = metrics;
  }

  /** Resolves when it is time for another attempt. @throws `thrown`, if it does not pass, has lasted too long, or the signal has fired */
  async wait(thrown: unknown, signal: AbortSignal): Promise<void> {
    const { clock, maxOutageMs } = this.#settings;
    if (signal.aborted || !mayPass(thrown)) throw thrown;
    const since = this.#ongoing?.since ?? clock.now();
    if (clock.now() - since > maxOutageMs) throw thrown;
    this.#note({ of: thrown instanceof LogError ? 'log' : 'database', since });
    this.#metrics.retries += 1;
    this.#metrics.lastError = toError(thrown);
    const { retryAfterMs = 0 } = thrown as { retryAfterMs?: number };
    await pause(clock, Math.max(this.#pauseMs, retryAfterMs), signal);
    this.#pauseMs = Math.min(2 * this.#pauseMs, LONGEST_PAUSE_MS);
  }

  /** It has passed, or is not waited for any more. */
  end(): void {
    this.#note(undefined);
    this.#pauseMs = FIRST_PAUSE_MS;
  }

  #note(ongoing: OngoingOutage | undefined): void {
    const { outages } = this.#metrics;
    if (this.#ongoing !== undefined) outages.delete(this.#ongoing);
    if (ongoing !== undefined) outages.add(ongoing);
    this.#ongoing = ongoing;
  }

  /** Calls `work` until it succeeds. */
  async retry<Result>(signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
    try {
      for (;;) {
        try {
          return await work();
        } catch (error) {
          await this.wait(error, signal);
        }
      }
    } finally {
      this.end();
    }
  }
}
