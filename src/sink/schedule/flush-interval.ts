/**
 * Adapts the flush interval to the destination's health. Pure.
 *
 * ```
 * interval × 1.5   after a flush slower than 1.5 × the target
 * interval × 0.8   after one faster than half of it
 * ```
 *
 * A long interval makes large batches, and those take long although nothing is wrong. So a flush is judged by the batch that the lower
 * bound of the interval would have made of the same items: as if it had held only what came within that time of its oldest item. If that
 * is all of it, its latency counts as it is. Such a batch that is neither slow nor fast changes nothing, unless several in a row keep the
 * target. One that holds more and is not slow shrinks the interval.
 */

export interface IntervalBounds {
  minFlushIntervalMs: number;
  maxFlushIntervalMs: number;
  targetLatencyMs: number;
}

/** What is known of a flush. */
export interface MeasuredFlush {
  /** How long it would have taken for the part of its items that the lower bound of the interval allows. */
  latencyMs: number;
  /** That part: 1 for all of them. */
  minIntervalShare: number;
  /** How many flushes in a row before it were neither slow nor fast and kept the target. */
  steady: number;
}

/** A flush slower than this many times the target is slow: the interval grows, and the next full batch waits. */
export const SLOW_FACTOR = 1.5;
export const FAST_FACTOR = 0.5;
const GROWTH = 1.5;
const SHRINKAGE = 0.8;
/** A batch that stands for two of the lower bound or more says as much as two flushes. */
const DOUBLE_SHRINKAGE = SHRINKAGE ** 2;
const MOST_SHARE_COUNTED_TWICE = 0.5;
/** After this many flushes in a row that keep the target, the interval need not be longer. */
const STEADY = 3;

/** Returns the interval after a flush, within its bounds. */
export function nextFlushInterval(currentMs: number, flush: MeasuredFlush, bounds: IntervalBounds): number {
  const { minFlushIntervalMs, maxFlushIntervalMs } = bounds;
  return Math.min(maxFlushIntervalMs, Math.max(minFlushIntervalMs, currentMs * factorAfter(flush, bounds)));
}

function factorAfter(
  { latencyMs, minIntervalShare, steady }: MeasuredFlush,
  { targetLatencyMs }: IntervalBounds,
): number {
  if (latencyMs > SLOW_FACTOR * targetLatencyMs) return GROWTH;
  if (latencyMs < FAST_FACTOR * targetLatencyMs)
    return minIntervalShare <= MOST_SHARE_COUNTED_TWICE ? DOUBLE_SHRINKAGE : SHRINKAGE;
  return minIntervalShare < 1 || (steady >= STEADY && isSteady(latencyMs, targetLatencyMs)) ? SHRINKAGE : 1;
}

/** Neither slow nor fast, and within the target. */
export function isSteady(latencyMs: number, targetLatencyMs: number): boolean {
  return latencyMs >= FAST_FACTOR * targetLatencyMs && latencyMs <= targetLatencyMs;
}

/**
 * Returns how long the next full batch waits after an attempt, in milliseconds: 0 after a healthy one. After a slow one the wait keeps to one
 * batch an interval, but is never longer than that flush took, so that a slow destination works at least half of the time. After a transport
 * failure it is as long as the call took to fail.
 *
 * @param scaledMs how long it took, judged for what it held
 */
export function spacingAfter(
  latencyMs: number,
  scaledMs: number,
  transportFailure: boolean,
  currentIntervalMs: number,
  targetLatencyMs: number,
): number {
  if (transportFailure) return latencyMs;
  if (scaledMs <= SLOW_FACTOR * targetLatencyMs) return 0;
  return Math.min(latencyMs, Math.max(0, currentIntervalMs - latencyMs));
}
