/** A histogram whose buckets are 5 % wide: quantiles of millions of numbers in a few hundred counters. */
export class Histogram {
  count = 0;
  sum = 0;
  max = 0;
  readonly #buckets: number[] = [];

  add(value: number): void {
    this.count++;
    this.sum += value;
    if (value > this.max) this.max = value;
    const bucket = value <= 0.01 ? 0 : 1 + Math.floor(Math.log(value / 0.01) / WIDTH);
    this.#buckets[bucket] = (this.#buckets[bucket] ?? 0) + 1;
  }

  get mean(): number {
    return this.count === 0 ? 0 : this.sum / this.count;
  }

  /** The value that this share of all numbers do not exceed, by at most 5 % too large; 0 where there is none. */
  quantile(share: number): number {
    let left = share * this.count;
    for (let bucket = 0; bucket < this.#buckets.length; bucket++) {
      left -= this.#buckets[bucket] ?? 0;
      if (left <= 0 && this.count > 0) return Math.min(this.max, 0.01 * Math.exp(WIDTH * bucket));
    }
    return this.max;
  }
}

const WIDTH = Math.log(1.05);

/** What a destination has seen: throughput is `keptItems` over the time that passed. */
export class Accounts {
  calls = 0;
  askedItems = 0;
  keptItems = 0;
  keptBytes = 0;
  /** Calls under way, and their items. */
  openCalls = 0;
  openItems = 0;
  mostOpenCalls = 0;
  /** From the beginning of a call to its answer. */
  readonly latencyMs = new Histogram();
  readonly batchItems = new Histogram();
  #busySince = 0;
  #busyMs = 0;

  begin(now: number, items: number): void {
    if (this.openCalls === 0) this.#busySince = now;
    this.calls++;
    this.openCalls++;
    this.openItems += items;
    this.askedItems += items;
    this.mostOpenCalls = Math.max(this.mostOpenCalls, this.openCalls);
    this.batchItems.add(items);
  }

  end(now: number, items: number, startedAt: number): void {
    this.openCalls--;
    this.openItems -= items;
    this.latencyMs.add(now - startedAt);
    if (this.openCalls === 0) this.#busyMs += now - this.#busySince;
  }

  /** Milliseconds with at least one call under way. */
  busyMs(now: number): number {
    return this.#busyMs + (this.openCalls > 0 ? now - this.#busySince : 0);
  }
}
