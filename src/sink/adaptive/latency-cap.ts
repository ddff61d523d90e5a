/** Limits the load so that 19 of 20 flushes keep the latency target. Pure: it knows neither items nor clock. */

import { LatencyLine } from './latency-line.js';

/**
 * Share of flushes that may miss the target. The margin follows this quantile: it grows a little after each flush that keeps the target, and
 * shrinks by much more after a miss.
 */
const MAY_MISS = 0.045;
const CORRECTION = 0.1;
const MOST_MARGIN = 0.97;
const LEAST_MARGIN = 0.3;
/** Largest share of the latency that the fixed part may take. Smaller batches would only ruin the throughput. */
const MOST_FIXED = 0.75;
/**
 * The same if the fixed part is at least `HOPELESS` times the target. Full batches are spaced out then, which halves the throughput once more.
 */
const MOST_FIXED_IF_HOPELESS = 0.5;
const HOPELESS = 1.25;
/** After this many such misses in a row, the load is halved for one round, to check whether smaller batches help by now. */
const PROOF_EVERY = 24;

export class LatencyCap {
  readonly line = new LatencyLine();
  readonly #targetMs: number;
  #margin = MOST_MARGIN;
  /** Flushes in a row that missed the target although the load is as small as is worth a call. */
  #held = 0;
  #isProving = false;

  constructor(targetMs: number) {
    this.#targetMs = targetMs;
  }

  get load(): number {
    const load = this.line.loadFor(Math.max(this.#leastMs, this.#targetMs * this.#margin));
    return this.#isProving ? load / 2 : load;
  }

  /** True if no batch that is worth its call keeps the target. */
  get isOutOfReach(): boolean {
    return this.#leastMs > this.#targetMs;
  }

  get #leastMs(): number {
    const { fixedMs } = this.line;
    return fixedMs / (fixedMs < HOPELESS * this.#targetMs ? MOST_FIXED : MOST_FIXED_IF_HOPELESS);
  }

  /** @param isTrial another number of slots is being tried. A miss is then no reason for smaller batches. */
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
