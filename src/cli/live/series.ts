/** Values over time, for charts and estimates. */

/** Cells that are kept: when they are full, each two become one, and those to come hold twice as many samples. */
const MOST_CELLS = 160;

type Merge = 'mean' | 'most';

/** A value at each tick since the beginning, in bounded memory. */
export class TimeSeries {
  readonly #merge: Merge;
  #cells: number[] = [];
  #samplesPerCell = 1;
  #open: number[] = [];

  constructor(merge: Merge) {
    this.#merge = merge;
  }

  add(value: number): void {
    this.#open.push(value);
    if (this.#open.length < this.#samplesPerCell) return;
    if (this.#cells.length === MOST_CELLS) {
      this.#cells = this.#inPairs(this.#cells);
      this.#samplesPerCell *= 2;
      // The open cell holds twice as many now.
      if (this.#open.length < this.#samplesPerCell) return;
    }
    this.#cells.push(this.#merged(this.#open));
    this.#open = [];
  }

  /** The whole time in at most `most` cells of one length. The last one may not be full yet. */
  cells(most: number): readonly number[] {
    let cells = this.#open.length === 0 ? this.#cells : [...this.#cells, this.#merged(this.#open)];
    while (cells.length > most) cells = this.#inPairs(cells);
    return cells;
  }

  #inPairs(cells: readonly number[]): number[] {
    return Array.from({ length: Math.ceil(cells.length / 2) }, (_, index) =>
      this.#merged(cells.slice(2 * index, 2 * index + 2)),
    );
  }

  #merged(values: readonly number[]): number {
    if (this.#merge === 'most') return Math.max(...values);
    return values.reduce((sum, value) => sum + value, 0) / values.length;
  }
}

/** Over so long, a rate is that of now. */
const RECENT_MS = 2_000;

/** How fast a count grows at the moment, by the second. A count that falls begins again. */
export class RecentRate {
  #samples: { readonly at: number; readonly count: number }[] = [];

  sample(at: number, count: number): number {
    if (count < (this.#samples.at(-1)?.count ?? 0)) this.#samples = [];
    this.#samples.push({ at, count });
    // One sample that is older stays, as the beginning.
    while (this.#samples.length > 2 && this.#samples[1]!.at <= at - RECENT_MS) this.#samples.shift();
    const first = this.#samples[0]!;
    return at === first.at ? 0 : (1_000 * (count - first.count)) / (at - first.at);
  }
}

/** The past counts less by a factor of e after so long. */
const MEMORY_MS = 10_000;
/** Before, too little is known. */
const LEAST_MS = 1_000;

/**
 * Estimates how long the rest takes: what is left, by the mean rate with weights that fall off exponentially.
 *
 * ```text
 *   rate = Σ growth · w / Σ time · w,   w = exp(-age / 10 s)
 * ```
 *
 * In the first seconds it is the plain mean. A stall makes it longer bit by bit.
 */
export class Estimate {
  #growth = 0;
  #weight = 0;
  #last: { readonly at: number; readonly done: number } | undefined;

  /** Returns milliseconds; undefined if it is not known. */
  sample(at: number, done: number, total: number | undefined): number | undefined {
    const last = this.#last;
    this.#last = { at, done };
    if (last === undefined || done < last.done) {
      this.#growth = 0;
      this.#weight = 0;
      return undefined;
    }
    const factor = Math.exp((last.at - at) / MEMORY_MS);
    this.#growth = this.#growth * factor + done - last.done;
    this.#weight = this.#weight * factor + at - last.at;
    if (total === undefined || this.#weight < LEAST_MS || this.#growth <= 0) return undefined;
    return (Math.max(0, total - done) * this.#weight) / this.#growth;
  }
}
