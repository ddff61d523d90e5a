/** Where blocks end, so that batches can be of so many records: `--batch-size`. */

export class BlockCut {
  readonly #every: number;
  #left: number;

  /** @param every without it blocks are as large as they come */
  constructor(every = Infinity) {
    this.#every = every;
    this.#left = every;
  }

  /** So many records the next block may have. */
  get most(): number {
    return this.#left;
  }

  add(records: number): void {
    this.#left -= records;
    if (this.#left <= 0) this.#left = this.#every;
  }
}
