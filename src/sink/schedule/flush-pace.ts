import type { FlushReport } from '../../api/events.js';
import { FixedLatency } from './fixed-latency.js';
import {
  FAST_FACTOR,
  isSteady,
  nextFlushInterval,
  SLOW_FACTOR,
  spacingAfter,
  type IntervalBounds,
} from './flush-interval.js';

/** Learns from each call of the destination how fast batches may follow one another. */
export class FlushPace {
  readonly #bounds: IntervalBounds & { adaptive: boolean };
  readonly #fixedLatency = new FixedLatency();
  #intervalMs: number;
  #steady = 0;
  #notBefore = -Infinity;
  #lastLatencyMs = 0;

  constructor(bounds: IntervalBounds & { adaptive: boolean }) {
    this.#bounds = bounds;
    this.#intervalMs = bounds.minFlushIntervalMs;
  }

  /** How long the oldest item may wait for its batch. */
  get intervalMs(): number {
    return this.#intervalMs;
  }

  /** Whether the destination is slow, or was slow recently. */
  get isRaised(): boolean {
    return this.#intervalMs > this.#bounds.minFlushIntervalMs;
  }

  /** Full batches wait until then. */
  get notBefore(): number {
    return this.#notBefore;
  }

  /** Of the last call; 0 before there was one. */
  get lastLatencyMs(): number {
    return this.#lastLatencyMs;
  }

  /** @param minIntervalShare of the batch: what came within the lower bound of the interval after its oldest item */
  onAttempt(
    { latencyMs, transportFailure, items }: Pick<FlushReport, 'latencyMs' | 'transportFailure' | 'items'>,
    endedAt: number,
    minIntervalShare: number,
  ): void {
    const { targetLatencyMs, adaptive } = this.#bounds;
    this.#lastLatencyMs = latencyMs;
    const scaledMs = transportFailure ? latencyMs : this.#latencyOfShare(latencyMs, items, minIntervalShare);
    // A fast failure does not mean that the destination is healthy.
    if (!transportFailure || latencyMs > SLOW_FACTOR * targetLatencyMs) {
      const flush = { latencyMs: scaledMs, minIntervalShare, steady: this.#steady };
      this.#intervalMs = nextFlushInterval(this.#intervalMs, flush, this.#bounds);
      // Adaptive control makes batches that just keep the target: that they do says nothing.
      this.#steady = !adaptive && isSteady(scaledMs, targetLatencyMs) ? this.#steady + 1 : 0;
    }
    const spacing = spacingAfter(latencyMs, scaledMs, transportFailure, this.#intervalMs, targetLatencyMs);
    this.#notBefore = endedAt + spacing;
  }

  /** How long it would have taken for that share of its items. */
  #latencyOfShare(latencyMs: number, items: number, minIntervalShare: number): number {
    this.#fixedLatency.onFlush(items, latencyMs);
    if (minIntervalShare === 1 || latencyMs <= this.#bounds.targetLatencyMs * FAST_FACTOR) return latencyMs;
    const fixedMs = Math.min(latencyMs, this.#fixedLatency.estimate());
    return fixedMs + (latencyMs - fixedMs) * minIntervalShare;
  }
}
