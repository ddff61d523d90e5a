/** Counts the rows of batches whose COMMIT was not answered: they may be in the table, or not. */

import type { Position } from '../../common/position.js';
import { CopyError } from '../../postgres/errors/copy-error.js';
import { causesOf } from '../common/errors.js';

export class UnansweredCommits {
  /** Rows by the ordinal of the batch's first row. */
  readonly #rows = new Map<Position, number>();
  readonly #findsOut: boolean;

  /** @param findsOut whether a retry finds out if the rows are there, and loads them only if not (`--import`) */
  constructor(findsOut: boolean) {
    this.#findsOut = findsOut;
  }

  /** Upper bound of rows that may be in the table beside those that count as loaded. */
  get rows(): number {
    let sum = 0;
    for (const rows of this.#rows.values()) sum += rows;
    return sum;
  }

  /** All of them are gone: the table was emptied behind them. */
  clear(): void {
    this.#rows.clear();
  }

  /** Records that the outcome of a batch's last attempt is known. */
  foundOut(first: Position, rows: number): void {
    const others = (this.#rows.get(first) ?? 0) - rows;
    if (others > 0) this.#rows.set(first, others);
    else this.#rows.delete(first);
  }

  /**
   * Watches an attempt to insert a batch.
   *
   * @param first ordinal of the batch's first row
   * @param rows in the batch
   */
  async watch<Result>(first: Position, rows: number, attempt: Promise<Result>): Promise<Result> {
    try {
      const result = await attempt;
      if (this.#findsOut) this.#rows.delete(first);
      return result;
    } catch (error) {
      const isOpen = causesOf(error).some((cause) => cause instanceof CopyError && cause.ambiguous);
      if (isOpen) this.#rows.set(first, rows + (this.#findsOut ? 0 : (this.#rows.get(first) ?? 0)));
      throw error;
    }
  }
}
