/** How much may be in flight so that nineteen of twenty flushes keep the latency target. Pure: it knows neither items nor clock. */

import { LatencyLine } from './latency-line.js';

/** This share of flushes may miss the target. A quantile is tracked by small steps after flushes that keep it and large ones after a miss. */
const MAY_MISS = 0.045;
const CORRECTION = 0.1;
const MOST_MARGIN = 0.97;
const LEAST_MARGIN = 0.3;
/** A batch is never so small that the fixed part takes a larger share of the latency: that would only ruin the throughput. */
const MOST_FIXED = 0.75;
/** A larger share than this, where the fixed part is so many times the target: full batches are spaced then, which halves throughput again. */
const MOST_FIXED_IF_HOPELESS = 0.5;
const HOPELESS = 1.25;
/** While flushes miss the target for that reason, the load is halved for a round each time after so many, to see whether it is still true. */
const PROOF_EVERY = 24;

export class LatencyCap {
  readonly line = new LatencyLine();
  readonly #targetMs: number;
  #margin = MOST_MARGIN;
  /** Flushes in a row that have missed the target because smaller batches would not help. */
  #held = 0;
  #isProving = false;

  constructor(targetMs: number) {
    this.#targetMs = targetMs;
  }

  get load(): number {
    const load = this.line.loadFor(Math.max(this.#leastMs, this.#targetMs * this.#margin));
    return this.#isProving ? load / 2 : load;
  }

  /** No batch that is worth its call keeps the target. */
  get isOutOfReach(): boolean {
    return this.#leastMs > this.#targetMs;
  }

  get #leastMs(): number {
    const { fixedMs } = this.line;
    return fixedMs / (fixedMs < HOPELESS * this.#targetMs ? MOST_FIXED : MOST_FIXED_IF_HOPELESS);
  }

  /** `isTrial`: of the number of slots. Those who try too many may miss; it is no reason for smaller batches. */
  onFlush(load: number, latencyMs: number, slots: number, isTrial: boolean): void {
    this.line.onFlush(load, latencyMs);
    if (isTrial) return;
    const misses = latencyMs > this.#targetMs;
    const isHeld = misses && this.#leastMs > this.#targetMs * this.#margin;
    this.#held = isHeld ? this.#held + 1 : 0;
    this.#isProving = this.#held % PROOF_EVERY >= PROOF_EVERY - slots;
    if (isHeld) return;
    const exponent = (CORRECTION / Math.sqrt(slots)) * (MAY_MISS - (misses ? 1 : 0));
    this.#margin = Math.min(MOST_MARGIN, Math.max(LEAST_MARGIN, this.#margin * Math.exp(exponent)));
  }
}
