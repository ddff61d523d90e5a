import type { Clock } from '../clock.js';
import type { FlushReport } from '../events.js';
import { nextFlushInterval, SLOW_FACTOR, spacingAfter, type IntervalBounds } from './flush-interval.js';

/** How fast batches may follow one another: learnt from every call of the destination. */
export class FlushPace {
  readonly #clock: Clock;
  readonly #bounds: IntervalBounds;
  #intervalMs: number;
  #notBefore = -Infinity;
  #lastLatencyMs = 0;

  constructor(clock: Clock, bounds: IntervalBounds) {
    this.#clock = clock;
    this.#bounds = bounds;
    this.#intervalMs = bounds.minFlushIntervalMs;
  }

  /** How long the oldest item may wait for its batch. */
  get intervalMs(): number {
    return this.#intervalMs;
  }

  /** The destination is slow, or has been not long ago. */
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

  onAttempt({ latencyMs, transportFailure }: Pick<FlushReport, 'latencyMs' | 'transportFailure'>): void {
    const { targetLatencyMs } = this.#bounds;
    this.#lastLatencyMs = latencyMs;
    // To fail fast is no sign of health.
    if (!transportFailure || latencyMs > SLOW_FACTOR * targetLatencyMs) {
      this.#intervalMs = nextFlushInterval(this.#intervalMs, latencyMs, this.#bounds);
    }
    const spacing = spacingAfter(latencyMs, transportFailure, this.#intervalMs, targetLatencyMs);
    this.#notBefore = this.#clock.now() + spacing;
  }
}
