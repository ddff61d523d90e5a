/**
 * How much of a flush's latency is fixed, whatever the batch holds (round trip, parsing, commit), by the last flushes. Pure.
 *
 * A line through them, `latency = fixed + perItem × items`, by least squares of the relative error (weights of 1 / latency²), both parts at
 * least 0. Batches of one size say nothing about the fixed part: it counts as 0 then, so that smaller batches are tried, which show it.
 */

/** The number of flushes that are looked at. */
const WINDOW = 8;
/** Sizes that differ by less say nothing. */
const LEAST_SPREAD = 1.2;
/** What no line between a constant and one without a fixed part explains, as a logarithm: the destination has changed. */
const CHANGED_LOG_RATIO = Math.log(1.5);
/** So much faster than the line: it has changed for the better. */
const FASTER_RATIO = 0.75;
/** Faster than a clock can tell. */
const LEAST_LATENCY_MS = 0.01;

export class FixedLatency {
  readonly #items: number[] = [];
  readonly #latenciesMs: number[] = [];
  #count = 0;
  #last = -1;
  #fixedMs = 0;
  #perItemMs = 0;
  /** Whether the line was known at the last `estimate()`. */
  #isKnown = false;

  onFlush(items: number, latencyMs: number): void {
    const tookMs = Math.max(LEAST_LATENCY_MS, latencyMs);
    if (this.#hasChanged(items, tookMs)) {
      this.#count = 0;
      this.#isKnown = false;
    }
    this.#last = (this.#last + 1) % WINDOW;
    this.#items[this.#last] = items;
    this.#latenciesMs[this.#last] = tookMs;
    this.#count = Math.min(WINDOW, this.#count + 1);
  }

  #hasChanged(items: number, latencyMs: number): boolean {
    if (this.#count === 0) return false;
    if (this.#isKnown && latencyMs < FASTER_RATIO * (this.#fixedMs + this.#perItemMs * items)) return true;
    const change = Math.log(latencyMs / this.#latenciesMs[this.#last]!);
    const growth = Math.log(items / this.#items[this.#last]!);
    return Math.max(Math.min(0, growth) - change, change - Math.max(0, growth)) > CHANGED_LOG_RATIO;
  }

  /** Milliseconds, at most those of the shortest flush; 0 as long as it is not known. */
  estimate(): number {
    let least = Infinity;
    let most = 0;
    let shortestMs = Infinity;
    let weights = 0;
    let meanItems = 0;
    let meanMs = 0;
    this.#each((items, latencyMs, weight) => {
      least = Math.min(least, items);
      most = Math.max(most, items);
      shortestMs = Math.min(shortestMs, latencyMs);
      weights += weight;
      meanItems += weight * items;
      meanMs += weight * latencyMs;
    });
    this.#isKnown = most >= LEAST_SPREAD * least;
    if (!this.#isKnown) return 0;
    meanItems /= weights;
    meanMs /= weights;
    let covariance = 0;
    let variance = 0;
    this.#each((items, latencyMs, weight) => {
      covariance += weight * (items - meanItems) * (latencyMs - meanMs);
      variance += weight * (items - meanItems) ** 2;
    });
    this.#perItemMs = Math.max(0, covariance / variance);
    this.#fixedMs = Math.min(shortestMs, Math.max(0, meanMs - this.#perItemMs * meanItems));
    return this.#fixedMs;
  }

  #each(visit: (items: number, latencyMs: number, weight: number) => void): void {
    for (let back = 0; back < this.#count; back++) {
      const place = (this.#last - back + WINDOW) % WINDOW;
      const latencyMs = this.#latenciesMs[place]!;
      visit(this.#items[place]!, latencyMs, 1 / latencyMs ** 2);
    }
  }
}
