/** Ends blocks so that batches have exactly `--batch-size` records. */

/** Default with `--rejects`: each record of a batch may become several errors. */
export const MOST_RECORDS_WITH_REJECTS = 8192;

export class BlockSizer {
  readonly #every: number;
  #left: number;

  /** @param every records of a batch; without it, blocks are as large as they come */
  constructor(every = Infinity) {
    this.#every = every;
    this.#left = every;
  }

  /** How many records the next block may have. */
  get remaining(): number {
    return this.#left;
  }

  countRecords(records: number): void {
    this.#left -= records;
    if (this.#left <= 0) this.#left = this.#every;
  }
}
