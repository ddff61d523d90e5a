/**
 * Estimates the two sizes of a row: what it holds in memory, and what is sent of it.
 *
 * `maxBufferBytes` bounds the first, `batchBytes` the second. A row is measured rarely; each other row counts as the mean of those that were.
 * How rarely follows from how much the sizes vary:
 *
 *     dispersion   D = sum of (bytes − mean)² / sum of bytes        (the index of dispersion, in bytes)
 *     stride       ROUGHEST / D rows for each that is measured, on average; at most LONGEST_STRIDE
 *
 * The error of n rows is about √(n × mean × D × stride). So many small rows that differ much are estimated as well as few large ones that
 * differ little. A row of a megabyte among small ones makes D large: from then on each row is measured. Which rows are measured is drawn at
 * random, so that no period in the data can coincide with it.
 */

import { MIB } from '../../common/bytes.js';
import { forEachInTurns } from '../../common/turn-budget.js';
import type { SizeOf } from '../../api/flush-function.js';
import { heldBytes, likelySentBytes } from './held-bytes.js';
import { isHashTable } from './slow-objects.js';

/** The first rows are all measured. */
const MEASURED_FIRST = 32;
/**
 * The longest stride grows with the rows measured, so that rare large rows are found while it is short. To measure a row costs about 600 ns,
 * twice what it costs to send it: a stride of 24 throughout took 21 ns a row, this takes 8.
 */
const LONGEST_STRIDE = { atFirst: 24, atLast: 128 };
const MEASURED_PER_STRIDE = 8;
const ROUGHEST_BYTES = 16 * 1024;
/** After each so many bytes, what was learnt of the dispersion before counts half. */
const HORIZON_BYTES = 256 * MIB;
/** How fast the mean follows the rows that are measured. */
const WEIGHT = 1 / 8;
/** One measurement in eight scans text for wide characters, which costs more than all the rest. */
const SCAN_EVERY = 8;
/** One measurement in so many finds out how V8 keeps the rows: see `isHashTable`. */
const CHECK_LAYOUT_EVERY = 256;
/** Slots in the queue for the row, its time and its bytes. Half of the slots may be free. */
const QUEUED_BYTES = 32;
/** Rows of a sent batch that are measured. */
const MEASURED_OF_BATCH = 64;
/** How much a batch changes the share that is sent. A batch of fewer rows than `FULL_WEIGHT_ROWS` weighs less, in proportion. */
const BATCH_WEIGHT = 1 / 2;
const FULL_WEIGHT_ROWS = 1_000;
/** The share before any row is known: between five integers and a long text. */
const USUAL_SHARE = 1 / 3;
const LEAST_SHARE = 1 / 64;

export class RowSizes {
  #measured = 0;
  /** Rows until the next one is measured. */
  #untilNext = 1;
  /** A whole number, for the rows that are not measured. */
  #mean = 0;
  #exactMean = 0;
  #squares = 0;
  #bytes = 0;
  /** Bytes with wide characters, for each byte without. */
  #wideness = 1;
  /** How V8 keeps the rows. */
  #areHashTables = false;
  #seed = 1;
  /** Bytes sent for each byte held, as batches have shown. Undefined before the first batch. */
  #share: number | undefined;
  /** Before the first batch: what the measured rows hold, and what they are likely to be sent as. */
  readonly #likely = { counted: 0, sent: 0 };

  /** Returns the bytes that a row holds in memory: a whole number, at least 1. */
  readonly sizeOf: SizeOf<unknown> = Object.assign(
    (row: unknown): number => {
      this.#untilNext -= 1;
      return this.#untilNext > 0 ? this.#mean : this.#measureAndLearn(row);
    },
    { sentShare: () => this.#share ?? this.#likelyShare() },
  );

  #measureAndLearn(row: unknown): number {
    const bytes = this.#measure(row);
    this.#measured += 1;
    if (this.#measured === 1) this.#exactMean = bytes;
    const stride = this.#stride();
    const difference = bytes - this.#exactMean;
    this.#squares += difference * difference * stride;
    this.#bytes += bytes * stride;
    if (this.#bytes > HORIZON_BYTES) {
      this.#squares /= 2;
      this.#bytes /= 2;
    }
    this.#exactMean += difference * Math.max(WEIGHT, 1 / this.#measured);
    this.#mean = Math.ceil(this.#exactMean);
    this.#untilNext = 1 + (this.#draw() % (2 * this.#stride() - 1));
    return bytes;
  }

  /** Returns how many rows a measured one stands for. */
  #stride(): number {
    if (this.#measured <= MEASURED_FIRST) return 1;
    const { atFirst, atLast } = LONGEST_STRIDE;
    const longest = Math.min(atLast, Math.max(atFirst, Math.floor(this.#measured / MEASURED_PER_STRIDE)));
    const rough = (ROUGHEST_BYTES * this.#bytes) / this.#squares;
    return rough >= longest ? longest : Math.max(1, Math.floor(rough));
  }

  #measure(row: unknown): number {
    const scans = this.#measured < MEASURED_FIRST || this.#measured % SCAN_EVERY === 0;
    if (this.#measured % CHECK_LAYOUT_EVERY === 0 || this.#measured === MEASURED_FIRST)
      this.#checkLayout(row);
    const plain = this.#held(row, false);
    // The row cannot be read. It is reported when it is written.
    if (plain === undefined) return Math.max(1, this.#mean);
    if (!scans) return Math.ceil(QUEUED_BYTES + plain * this.#wideness);
    const scanned = this.#held(row, true) ?? plain;
    this.#wideness += (scanned / Math.max(1, plain) - this.#wideness) * WEIGHT;
    const bytes = QUEUED_BYTES + scanned;
    if (this.#share === undefined) this.#expectShare(row as object, bytes);
    return bytes;
  }

  #expectShare(row: object, bytes: number): void {
    try {
      this.#likely.sent += likelySentBytes(row);
      this.#likely.counted += bytes;
    } catch {
      // It could be read before. That it cannot be read now is reported when the row is written.
    }
  }

  #likelyShare(): number {
    const { counted, sent } = this.#likely;
    return counted === 0 ? USUAL_SHARE : Math.max(LEAST_SHARE, sent / counted);
  }

  /** Returns a whole number below 2³¹, by Marsaglia's xorshift. */
  #draw(): number {
    let seed = this.#seed;
    seed ^= seed << 13;
    seed ^= seed >>> 17;
    seed ^= seed << 5;
    this.#seed = seed;
    return seed >>> 1;
  }

  /**
   * Learns which share of their memory rows are sent as.
   *
   * @param bytes sent for these items
   * @param valuesOf from an item to the value that `sizeOf` measures. Default: the item itself.
   */
  async learn<T>(
    items: readonly T[],
    bytes: number,
    valuesOf: (item: T) => unknown = (item) => item,
  ): Promise<void> {
    if (items.length === 0 || bytes === 0) return;
    const step = Math.ceil(items.length / MEASURED_OF_BATCH);
    const measured = Math.ceil(items.length / step);
    let held = 0;
    await forEachInTurns(measured, (index) => {
      held += QUEUED_BYTES + this.#heldOfItem(items[index * step]!, valuesOf);
    });
    const share = Math.max(LEAST_SHARE, (bytes / items.length) * (measured / held));
    const weight =
      this.#share === undefined ? 1 : BATCH_WEIGHT * Math.min(1, items.length / FULL_WEIGHT_ROWS);
    this.#share = (this.#share ?? 0) + (share - (this.#share ?? 0)) * weight;
  }

  /** Returns `undefined` if a getter of the row throws. */
  #held(row: unknown, scans: boolean): number | undefined {
    try {
      return heldBytes(row, scans, this.#areHashTables);
    } catch {
      return undefined;
    }
  }

  #heldOfItem<T>(item: T, valuesOf: (item: T) => unknown): number {
    try {
      return heldBytes(valuesOf(item), true, this.#areHashTables);
    } catch {
      return 0;
    }
  }

  #checkLayout(row: unknown): void {
    if (typeof row !== 'object' || row === null || Array.isArray(row)) return;
    try {
      this.#areHashTables = isHashTable(row);
    } catch {
      // A trap of a proxy has thrown. That is reported when the row is written.
    }
  }
}
