/**
 * Durations, counted in buckets whose bounds grow by a tenth: a percentile is exact to about 5 %, and two histograms can be merged.
 * Few durations fill few buckets, so that hundreds of histograms are small.
 */

const GROWTH = Math.log(1.1);
/** Milliseconds. What is shorter counts as this long. */
const SHORTEST_MS = 0.01;

export class LatencyHistogram {
  count = 0;
  longestMs = 0;
  readonly #counts = new Map<number, number>();

  record(milliseconds: number): void {
    const bucket = Math.round(Math.log(Math.max(SHORTEST_MS, milliseconds) / SHORTEST_MS) / GROWTH);
    this.#add(bucket, 1);
    this.longestMs = Math.max(this.longestMs, milliseconds);
  }

  merge(other: LatencyHistogram): void {
    for (const [bucket, count] of other.#counts) this.#add(bucket, count);
    this.longestMs = Math.max(this.longestMs, other.longestMs);
  }

  /** Returns the duration that `share` of all do not exceed; undefined if there is none. */
  percentile(share: number): number | undefined {
    if (this.count === 0) return undefined;
    let left = Math.ceil(share * this.count);
    if (left === this.count) return this.longestMs;
    for (const [bucket, count] of [...this.#counts].sort(([one], [other]) => one - other)) {
      left -= count;
      if (left <= 0) return Math.min(this.longestMs, SHORTEST_MS * Math.exp(bucket * GROWTH));
    }
    return this.longestMs;
  }

  #add(bucket: number, count: number): void {
    this.#counts.set(bucket, (this.#counts.get(bucket) ?? 0) + count);
    this.count += count;
  }
}
