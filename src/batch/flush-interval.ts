/** The flush interval follows the destination's health. Pure. */

export interface IntervalBounds {
  minFlushIntervalMs: number;
  maxFlushIntervalMs: number;
  targetLatencyMs: number;
}

/** A flush slower than this many times the target is slow: the interval grows, and the next full batch waits. */
export const SLOW_FACTOR = 1.5;
const FAST_FACTOR = 0.5;
const GROWTH = 1.5;
const SHRINKAGE = 0.8;

/** The interval after a flush that took `latencyMs`: ×1.5 when that was slow, ×0.8 when it was less than half the target, within bounds. */
export function nextFlushInterval(currentMs: number, latencyMs: number, bounds: IntervalBounds): number {
  const { minFlushIntervalMs, maxFlushIntervalMs, targetLatencyMs } = bounds;
  let next = currentMs;
  if (latencyMs > SLOW_FACTOR * targetLatencyMs) next = currentMs * GROWTH;
  else if (latencyMs < FAST_FACTOR * targetLatencyMs) next = currentMs * SHRINKAGE;
  return Math.min(maxFlushIntervalMs, Math.max(minFlushIntervalMs, next));
}

/**
 * How long the next full batch waits after an attempt. Nothing after a healthy one. After a slow one as long as keeps to one batch an
 * interval, but never longer than that flush took, so that a slow destination gets at least half of the time; after a transport failure,
 * as long as it took to fail.
 */
export function spacingAfter(
  latencyMs: number,
  transportFailure: boolean,
  currentIntervalMs: number,
  targetLatencyMs: number,
): number {
  if (transportFailure) return latencyMs;
  if (latencyMs <= SLOW_FACTOR * targetLatencyMs) return 0;
  return Math.min(latencyMs, Math.max(0, currentIntervalMs - latencyMs));
}
