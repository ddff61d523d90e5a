/** How much may be in flight so that nineteen of twenty flushes keep the latency target. Pure: it knows neither items nor clock. */

/** Of the newest flush in the mean, as in Vector's adaptive request concurrency. */
const WEIGHT = 0.4;
/** This share of flushes may miss the target. A quantile is tracked by small steps after flushes that keep it and large ones after a miss. */
const MAY_MISS = 0.05;
const CORRECTION = 0.1;
const MOST_MARGIN = 0.97;
const LEAST_MARGIN = 0.3;
/** Half the load that takes more than this share of the time: the destination is slow whatever it is asked, and less makes it no better. */
const NO_FASTER = 0.87;
/** So much slower than that: it may be worth another try. */
const SLOWER_STILL = 1.25;

/** A full batch that has been answered, launched when every slot was busy. */
export interface AnsweredBatch {
  /** Logarithms of what was in flight with it, and of the throughput that this makes with its latency (Little's law). */
  logLoad: number;
  logRate: number;
  latencyMs: number;
}

export class LatencyCap {
  readonly #targetMs: number;
  #logRate = NaN;
  #margin = MOST_MARGIN;
  /** Where a row of misses began, or half the load was last seen to help. */
  #missed: { logLoad: number; latencyMs: number } | undefined;
  #isHeld = false;

  constructor(targetMs: number) {
    this.#targetMs = targetMs;
  }

  /** Logarithm of the load; NaN before the first flush. */
  get logLoad(): number {
    const logLoad = this.#logRate + Math.log(this.#targetMs * this.#margin);
    // Never a spiral: a destination that is too slow for the target at any load is not asked for ever smaller batches.
    return this.#isHeld ? Math.max(logLoad, this.#missed!.logLoad) : logLoad;
  }

  onFlush(batch: AnsweredBatch, slots: number): void {
    this.#logRate = Number.isNaN(this.#logRate)
      ? batch.logRate
      : this.#logRate + WEIGHT * (batch.logRate - this.#logRate);
    const misses = batch.latencyMs > this.#targetMs;
    if (misses) this.#noteMiss(batch);
    else {
      this.#missed = undefined;
      this.#isHeld = false;
    }
    if (this.#isHeld) return;
    const exponent = (CORRECTION / Math.sqrt(slots)) * (MAY_MISS - (misses ? 1 : 0));
    this.#margin = Math.min(MOST_MARGIN, Math.max(LEAST_MARGIN, this.#margin * Math.exp(exponent)));
  }

  #noteMiss({ logLoad, latencyMs }: AnsweredBatch): void {
    const missed = this.#missed;
    if (missed === undefined) {
      this.#missed = { logLoad, latencyMs };
    } else if (this.#isHeld) {
      if (latencyMs <= SLOWER_STILL * missed.latencyMs) return;
      this.#isHeld = false;
      this.#missed = { logLoad, latencyMs };
    } else if (logLoad <= missed.logLoad - Math.LN2) {
      if (latencyMs > NO_FASTER * missed.latencyMs) this.#isHeld = true;
      else this.#missed = { logLoad, latencyMs };
    }
  }
}
