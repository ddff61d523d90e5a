/** When a batch is called again. Pure but for the injected chance. */

import { LONGEST_DELAY_MS } from '../../common/clock.js';
import { fieldOf } from '../../common/thrown.js';
import { ItemError } from '../../api/errors.js';

/**
 * The delay before the next call after `attempt` calls: "full jitter", `random() × min(cap, base × 2ⁿ)`, which spreads clients that failed
 * together better than a jitter around the exponential (Brooker, "Exponential Backoff And Jitter", 2015).
 *
 * If the error asks for a delay (`retryAfterMs`), that is the base, and nothing is called before it has passed.
 */
export function retryDelay(
  attempt: number,
  minDelayMs: number,
  maxDelayMs: number,
  random: () => number,
  retryAfterMs?: number,
): number {
  const baseMs = retryAfterMs ?? minDelayMs;
  // The exponent is bounded: 0 × Infinity is no number.
  const jitterMs = random() * Math.min(maxDelayMs, baseMs * 2 ** Math.min(attempt - 1, 64));
  return Math.min(LONGEST_DELAY_MS, (retryAfterMs ?? 0) + jitterMs);
}

/** The delay that an error asks for, or the cause of an `ItemError`, in milliseconds of at least 0. Anything else is ignored. */
export function retryAfterOf(error: unknown): number | undefined {
  const own = fieldOf(error, 'retryAfterMs');
  if (typeof own === 'number' && own >= 0) return own;
  if (!(error instanceof ItemError)) return undefined;
  const ofCause = fieldOf(fieldOf(error, 'cause'), 'retryAfterMs');
  return typeof ofCause === 'number' && ofCause >= 0 ? ofCause : undefined;
}

/** The longest of the delays that these errors ask for. */
export function longestRetryAfter(errors: Iterable<Error>): number | undefined {
  let longest: number | undefined;
  for (const error of errors) {
    const own = retryAfterOf(error);
    if (own !== undefined && !(longest !== undefined && longest >= own)) longest = own;
  }
  return longest;
}
