/** Tries again while the log or the database cannot be reached. */

import { toError } from '../../common/thrown.js';
import { LogError } from '../../log/log-error.js';
import { CopyError } from '../errors/copy-error.js';
import type { ConsumeMetrics } from './consume-metrics.js';
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
  readonly #metrics: ConsumeMetrics;
  #since: number | undefined;
  #pauseMs = FIRST_PAUSE_MS;

  constructor(settings: Pick<ConsumeSettings, 'clock' | 'maxOutageMs'>, metrics: ConsumeMetrics) {
    this.#settings = settings;
    this.#metrics = metrics;
  }

  /** Resolves when it is time for another attempt. @throws `thrown`, if it does not pass, has lasted too long, or the signal has fired */
  async wait(thrown: unknown, signal: AbortSignal): Promise<void> {
    const { clock, maxOutageMs } = this.#settings;
    if (signal.aborted || !mayPass(thrown)) throw thrown;
    this.#since ??= clock.now();
    if (clock.now() - this.#since > maxOutageMs) throw thrown;
    this.#metrics.retries += 1;
    this.#metrics.lastError = toError(thrown);
    const { retryAfterMs = 0 } = thrown as { retryAfterMs?: number };
    await pause(clock, Math.max(this.#pauseMs, retryAfterMs), signal);
    this.#pauseMs = Math.min(2 * this.#pauseMs, LONGEST_PAUSE_MS);
  }

  end(): void {
    this.#since = undefined;
    this.#pauseMs = FIRST_PAUSE_MS;
  }

  /** Calls `work` until it succeeds. */
  async retry<Result>(signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
    for (;;) {
      try {
        const result = await work();
        this.end();
        return result;
      } catch (error) {
        await this.wait(error, signal);
      }
    }
  }
}
