/**
 * Predicts the latency of a flush from the load, which is what is in flight. Learns from each flush. Pure: it knows neither items nor clock.
 *
 *     latency(load) = fixed part + slope × load
 *
 * The line is fitted by exponentially weighted means, variance and covariance of load and latency.
 */

/** Weight of the newest flush in the means, as in Vector's adaptive request concurrency. It is lower if latencies vary by chance. */
const WEIGHT = 0.4;
const CALM = 0.1;
/**
 * A latency that differs by more from every line that is possible means that the destination has changed. As a logarithm, and as a multiple
 * of the mean deviation.
 */
const SURPRISE = 0.2;
const SURPRISING_DEVIATIONS = 3;
/** Loads must differ by this much, relative to the load and to the deviation, to say something about the fixed part. */
const LEAST_SPREAD = 0.1;
const SPREAD_DEVIATIONS = 2;
const MOST_FIXED_SHARE = 0.97;

export class LatencyLine {
  /** Mean absolute difference from the expected, as a logarithm. */
  deviation = 0.05;
  /** The fixed part, as a share of the mean latency. */
  #fixedShare = 0;
  /** Weighted means of the newest flushes, their variance in load, and their covariance. */
  #load = 1;
  #latencyMs = 0;
  #variance = 0;
  #covariance = 0;
  #isFresh = true;

  get fixedMs(): number {
    return this.#fixedShare * this.#latencyMs;
  }

  /** Returns the expected latency at a load; 0 before the first flush. */
  at(load: number): number {
    return this.fixedMs + ((this.#latencyMs - this.fixedMs) * load) / this.#load;
  }

  /** Returns the load at which that latency is expected. */
  loadFor(latencyMs: number): number {
    return ((latencyMs - this.fixedMs) * this.#load) / (this.#latencyMs - this.fixedMs);
  }

  /** Lets the next flush replace all before it, because something else than the load has changed. */
  restart(): void {
    this.#isFresh = true;
  }

  /** A batch took long that cannot be smaller: moves the expected fixed part towards all of the latency. */
  suspectFixed(): void {
    this.#fixedShare += WEIGHT * (MOST_FIXED_SHARE - this.#fixedShare);
  }

  onFlush(load: number, latencyMs: number): void {
    const expectedMs = this.at(load);
    if (!this.#isFresh) {
      const surprising = Math.max(SURPRISE, SURPRISING_DEVIATIONS * this.deviation);
      this.deviation += 0.1 * (Math.min(Math.abs(Math.log(latencyMs / expectedMs)), 0.5) - this.deviation);
      if (this.#unexplained(load, latencyMs) <= surprising) return this.#learn(load, latencyMs);
    }
    this.#isFresh = false;
    // If it is slower, both parts are. If it is faster, the fixed part alone shrinks, so that smaller batches are tried again.
    if (latencyMs < expectedMs)
      this.#fixedShare = clampShare((this.fixedMs - (expectedMs - latencyMs)) / latencyMs);
    this.#load = load;
    this.#latencyMs = latencyMs;
    this.#variance = this.#covariance = 0;
  }

  /** Returns how far a latency is from every possible line, as a logarithm. These lie between a constant and one without a fixed part. */
  #unexplained(load: number, latencyMs: number): number {
    const change = Math.log(latencyMs / this.#latencyMs);
    const growth = Math.log(load / this.#load);
    return Math.max(Math.min(0, growth) - change, change - Math.max(0, growth));
  }

  #learn(load: number, latencyMs: number): void {
    const byLoad = load - this.#load;
    const byLatency = latencyMs - this.#latencyMs;
    // The fixed part is at most what a flush took, apart from chance.
    const fixedMs = Math.min(this.fixedMs, latencyMs * Math.exp(SURPRISING_DEVIATIONS * this.deviation));
    const weight = (WEIGHT * CALM) / (CALM + this.deviation);
    this.#load += weight * byLoad;
    this.#latencyMs += weight * byLatency;
    this.#variance = (1 - weight) * (this.#variance + weight * byLoad * byLoad);
    this.#covariance = (1 - weight) * (this.#covariance + weight * byLoad * byLatency);
    this.#fixedShare = clampShare(fixedMs / this.#latencyMs);
    if (this.#variance === 0) return;
    const perLoad = this.#covariance / this.#variance;
    const share = clampShare(1 - (perLoad * this.#load) / this.#latencyMs);
    const blur = (SPREAD_DEVIATIONS * this.deviation) ** 2 + LEAST_SPREAD ** 2;
    const certainty = this.#variance / (this.#variance + blur * this.#load * this.#load);
    this.#fixedShare += certainty * (share - this.#fixedShare);
  }
}

function clampShare(share: number): number {
  return Math.min(MOST_FIXED_SHARE, Math.max(0, share));
}
