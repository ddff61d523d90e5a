/**
 * The two measures of `copyInto`: what a row holds in memory, which `maxBufferBytes` bounds, and which share of it is sent, which `batchBytes`
 * bounds.
 *
 * Not every row is looked at. A row that is not counts as the mean of those that were. How many are left out follows from how much they vary:
 *
 *     dispersion   D = sum of (bytes − mean)² / sum of bytes        (the index of dispersion, in bytes)
 *     stride       one row in ROUGHEST / D is looked at, at least one in LONGEST_STRIDE, on average
 *
 * The error of n rows is about √(n × mean × D × stride): the same for many small rows that differ much and for few large ones that differ
 * little. A row of a megabyte among small ones makes D large, so that from then on each row is looked at. Which rows are looked at is
 * drawn: a period in the data meets no period here.
 */

import { forEachInTurns } from '../../common/turn-budget.js';
import type { SizeOf } from '../../api/flush-function.js';
import { heldBytes, likelySentBytes } from './held-bytes.js';
import { isHashTable } from './slow-objects.js';

/** So many rows are all looked at. */
const LOOKED_AT_FIRST = 32;
const LONGEST_STRIDE = 24;
const ROUGHEST_BYTES = 16 * 1024;
/** What rows looked like before so many bytes counts half. */
const HORIZON_BYTES = 256 * 1024 * 1024;
/** How fast the mean follows the rows that are looked at. */
const WEIGHT = 1 / 8;
/** Text is scanned for wide characters in one of so many looks: that costs more than all the rest. */
const SCAN_EVERY = 8;
/** In one of so many, how V8 keeps the rows is found out: see `isHashTable`. A power of two. */
const PROBE_EVERY = 256;
/** The slots in the queue: the row, its time, its bytes. Half of them may be free. */
const QUEUED_BYTES = 32;
/** Of a batch so many rows are looked at. */
const LOOKED_AT_OF_BATCH = 64;
/** How much a batch changes the share that is sent; one of fewer rows in proportion. */
const BATCH_WEIGHT = 1 / 2;
const TELLING_ROWS = 1_000;
/** If no row is known: between five integers and a long text. */
const USUAL_SHARE = 1 / 3;
const LEAST_SHARE = 1 / 64;

export class RowSizes {
  #looks = 0;
  /** Rows until the next look. */
  #left = 1;
  /** Whole, for the rows that are not looked at. */
  #mean = 0;
  #exactMean = 0;
  #squares = 0;
  #bytes = 0;
  /** What scanning makes of the bytes without it. */
  #wideness = 1;
  /** How V8 keeps the rows. */
  #areHashTables = false;
  #draws = 1;
  /** What has been sent, of what was counted. Undefined: nothing has. */
  #share: number | undefined;
  /** Until then, of rows that were looked at: what they are likely to be sent as. */
  readonly #likely = { counted: 0, sent: 0 };

  /** Bytes that a row holds in memory: a whole number, at least 1. */
  readonly sizeOf: SizeOf<unknown> = Object.assign(
    (row: unknown): number => {
      this.#left -= 1;
      return this.#left > 0 ? this.#mean : this.#look(row);
    },
    { sentShare: () => this.#share ?? this.#likelyShare() },
  );

  #look(row: unknown): number {
    const bytes = this.#measure(row);
    this.#looks += 1;
    if (this.#looks === 1) this.#exactMean = bytes;
    const stride = this.#stride();
    const difference = bytes - this.#exactMean;
    this.#squares += difference * difference * stride;
    this.#bytes += bytes * stride;
    if (this.#bytes > HORIZON_BYTES) {
      this.#squares /= 2;
      this.#bytes /= 2;
    }
    this.#exactMean += difference * Math.max(WEIGHT, 1 / this.#looks);
    this.#mean = Math.ceil(this.#exactMean);
    this.#left = 1 + (this.#draw() % (2 * this.#stride() - 1));
    return bytes;
  }

  /** How many rows a look stands for. */
  #stride(): number {
    if (this.#looks <= LOOKED_AT_FIRST) return 1;
    const most = (ROUGHEST_BYTES * this.#bytes) / this.#squares;
    return most >= LONGEST_STRIDE ? LONGEST_STRIDE : Math.max(1, Math.floor(most));
  }

  #measure(row: unknown): number {
    const scans = this.#looks < LOOKED_AT_FIRST || this.#looks % SCAN_EVERY === 0;
    if (this.#looks % PROBE_EVERY === 0 || this.#looks === LOOKED_AT_FIRST) this.#probe(row);
    const plain = this.#held(row, false);
    // It cannot be read, and is told elsewhere.
    if (plain === undefined) return Math.max(1, this.#mean);
    if (!scans) return Math.ceil(QUEUED_BYTES + plain * this.#wideness);
    const scanned = this.#held(row, true) ?? plain;
    this.#wideness += (scanned / Math.max(1, plain) - this.#wideness) * WEIGHT;
    const bytes = QUEUED_BYTES + scanned;
    if (this.#share === undefined) {
      this.#likely.counted += bytes;
      this.#likely.sent += likelySentBytes(row as object);
    }
    return bytes;
  }

  #likelyShare(): number {
    const { counted, sent } = this.#likely;
    return counted === 0 ? USUAL_SHARE : Math.max(LEAST_SHARE, sent / counted);
  }

  /** A whole number below 2³¹: Marsaglia's xorshift. */
  #draw(): number {
    let draws = this.#draws;
    draws ^= draws << 13;
    draws ^= draws >>> 17;
    draws ^= draws << 5;
    this.#draws = draws;
    return draws >>> 1;
  }

  /** So many bytes of these items have been sent. @param valuesOf what `sizeOf` is asked about of an item */
  async learn<T>(
    items: readonly T[],
    bytes: number,
    valuesOf: (item: T) => unknown = (item) => item,
  ): Promise<void> {
    if (items.length === 0 || bytes === 0) return;
    const step = Math.ceil(items.length / LOOKED_AT_OF_BATCH);
    const looked = Math.ceil(items.length / step);
    let counted = 0;
    await forEachInTurns(looked, (look) => {
      counted += QUEUED_BYTES + this.#heldOfItem(items[look * step]!, valuesOf);
    });
    const share = Math.max(LEAST_SHARE, (bytes / items.length) * (looked / counted));
    const weight = this.#share === undefined ? 1 : BATCH_WEIGHT * Math.min(1, items.length / TELLING_ROWS);
    this.#share = (this.#share ?? 0) + (share - (this.#share ?? 0)) * weight;
  }

  /** `undefined`: a getter of the row threw. */
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

  #probe(row: unknown): void {
    if (typeof row !== 'object' || row === null || Array.isArray(row)) return;
    try {
      this.#areHashTables = isHashTable(row);
    } catch {
      // A proxy's own trap: what it throws is told when the row is read.
    }
  }
}
