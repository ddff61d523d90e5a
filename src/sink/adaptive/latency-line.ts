/**
 * What latency is to be expected: a fixed part, and one that grows with the load (what is in flight), as far as flushes have shown. Pure: it
 * knows neither items nor clock.
 */

/** Of the newest flush in the means, as in Vector's adaptive request concurrency; the more they differ by chance, the less. */
const WEIGHT = 0.4;
const CALM = 0.1;
/** Latency so far from all that can be explained (as a logarithm, and as a multiple of the mean deviation): the destination has changed. */
const SURPRISE = 0.2;
const SURPRISING_DEVIATIONS = 3;
/** Loads that differ by less, relative to the load, say nothing about the fixed part; nor do those that differ less than latency by chance. */
const LEAST_SPREAD = 0.1;
const SPREAD_DEVIATIONS = 2;
const MOST_FIXED_SHARE = 0.97;

export class LatencyLine {
  /** Mean absolute difference from the expected, as a logarithm. */
  deviation = 0.05;
  /** Of the mean latency. */
  #fixedShare = 0;
  /** Means of the newest flushes, and how both vary together. */
  #load = 1;
  #latencyMs = 0;
  #variance = 0;
  #covariance = 0;
  #isFresh = true;

  get fixedMs(): number {
    return this.#fixedShare * this.#latencyMs;
  }

  /** How long a flush with so much in flight should take; 0 before the first. */
  at(load: number): number {
    return this.fixedMs + ((this.#latencyMs - this.fixedMs) * load) / this.#load;
  }

  /** With how much in flight it should take so long. */
  loadFor(latencyMs: number): number {
    return ((latencyMs - this.fixedMs) * this.#load) / (this.#latencyMs - this.fixedMs);
  }

  /** Something else than the load has changed: the next flush replaces all before it. */
  restart(): void {
    this.#isFresh = true;
  }

  /** It took long for a batch that cannot be smaller: as likely whatever its size. */
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
    // Slower in all its parts; or without what was in its way, so that smaller batches are worth another try.
    if (latencyMs < expectedMs)
      this.#fixedShare = clampShare((this.fixedMs - (expectedMs - latencyMs)) / latencyMs);
    this.#load = load;
    this.#latencyMs = latencyMs;
    this.#variance = this.#covariance = 0;
  }

  /** How far a latency is from every line between a constant and one without a fixed part, as a logarithm. */
  #unexplained(load: number, latencyMs: number): number {
    const change = Math.log(latencyMs / this.#latencyMs);
    const growth = Math.log(load / this.#load);
    return Math.max(Math.min(0, growth) - change, change - Math.max(0, growth));
  }

  #learn(load: number, latencyMs: number): void {
    const byLoad = load - this.#load;
    const byLatency = latencyMs - this.#latencyMs;
    // Never more than a flush took, but for chance.
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
