/** About how many bytes a row takes on the wire, so that batches of wide rows stay bounded too. */

import { forEachInTurns } from '../common/turn-budget.js';

const SAMPLED_AT_FIRST = 32;
/** Afterwards one row in so many is looked at; the others count as the mean. A power of two. */
const SAMPLE_EVERY = 32;
/** How fast the mean follows the rows that are looked at. */
const WEIGHT = 1 / 8;
/** A batch of so many rows decides the mean alone; a smaller one in proportion. */
const TELLING_ROWS = 1_000;
/** Rows that look so many times as wide as the mean are counted as what they look like. */
const MUCH_WIDER = 2;
/** An estimate is not far off; rows that happen to be looked at may be. */
const MOST_RATIO = 4;
const NUMBER_BYTES = 8;
const DEEPEST = 8;

/**
 * A `sizeOf` that costs next to nothing: each row counts as the mean of the rows that have been encoded. Until there are any, and where
 * rows have become much wider since, the mean is that of some rows which are looked at.
 */
export class RowSizes {
  #count = 0;
  #mean = 0;
  /** What encoding makes of the estimate. Undefined: nothing has been encoded yet. */
  #ratio: number | undefined;

  /** Bytes: a whole number, at least 1. */
  readonly sizeOf = (row: unknown): number => {
    this.#count += 1;
    if (this.#count > SAMPLED_AT_FIRST && (this.#count & (SAMPLE_EVERY - 1)) !== 0) {
      return Math.ceil(this.#mean);
    }
    return this.#look(row);
  };

  #look(row: unknown): number {
    const bytes = estimateBytes(row, 0) * (this.#ratio ?? 1);
    if (this.#ratio !== undefined && bytes <= MUCH_WIDER * this.#mean) return Math.ceil(this.#mean);
    this.#mean += (bytes - this.#mean) * (this.#count <= SAMPLED_AT_FIRST ? 1 / this.#count : WEIGHT);
    return Math.ceil(bytes);
  }

  /** So many bytes these items have taken. @param valuesOf the row that an item stands for, which is what `sizeOf` is asked about */
  async learn<T>(
    items: readonly T[],
    bytes: number,
    valuesOf: (item: T) => unknown = (item) => item,
  ): Promise<void> {
    if (items.length === 0 || bytes === 0) return;
    const mean = bytes / items.length;
    const weight = this.#ratio === undefined ? 1 : Math.min(1, items.length / TELLING_ROWS);
    this.#mean += (mean - this.#mean) * weight;
    const step = Math.ceil(items.length / SAMPLED_AT_FIRST);
    const looked = Math.ceil(items.length / step);
    let looks = 0;
    await forEachInTurns(looked, (look) => {
      looks += estimateBytes(rowOf(items[look * step]!, valuesOf), 0);
    });
    this.#ratio = Math.min(MOST_RATIO, Math.max(1 / MOST_RATIO, (mean * looked) / looks));
  }
}

function rowOf<T>(item: T, valuesOf: (item: T) => unknown): unknown {
  try {
    return valuesOf(item);
  } catch {
    // It stands for none, and is told elsewhere.
    return undefined;
  }
}

export function estimateBytes(value: unknown, depth: number): number {
  if (typeof value === 'string') return value.length + 1;
  if (typeof value !== 'object' || value === null) return NUMBER_BYTES;
  if (ArrayBuffer.isView(value)) return 2 * value.byteLength + 4;
  if (value instanceof ArrayBuffer) return 2 * value.byteLength + 4;
  if (value instanceof Date) return 3 * NUMBER_BYTES;
  if (depth === DEEPEST) return NUMBER_BYTES;
  let bytes = 1;
  if (Array.isArray(value)) for (const element of value) bytes += estimateBytes(element, depth + 1);
  else for (const key in value) bytes += estimateBytes((value as Record<string, unknown>)[key], depth + 1);
  return bytes;
}
