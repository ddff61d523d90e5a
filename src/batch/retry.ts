/** When a batch is called again. Pure but for the injected chance. */

/**
 * The delay before the next call after `attempt` calls: "full jitter", `random() × min(cap, base × 2ⁿ)`, which spreads clients that failed
 * together better than a jitter around the exponential (Brooker, "Exponential Backoff And Jitter", 2015).
 */
export function retryDelay(
  attempt: number,
  minDelayMs: number,
  maxDelayMs: number,
  random: () => number,
): number {
  // The exponent is bounded: 0 × Infinity is no number.
  return random() * Math.min(maxDelayMs, minDelayMs * 2 ** Math.min(attempt - 1, 64));
}
