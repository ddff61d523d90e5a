/**
 * Finds the rows that a table refuses, and inserts the others.
 *
 *     insert a slice ──accepted──→ next slice, twice as large
 *       │ refused
 *       ├─ the server names the row       → reject it; insert the rest of the slice
 *       ├─ it names the key of some rows  → dry-run these candidates one by one; reject those that are refused
 *       └─ neither (a trigger, say)       → insert the first half
 *
 *     unpredicted faults (neither candidates nor found ahead) come one by one → look ahead, once each:
 *       on reading (conversions)          → parse all rows that follow, in slices, without inserting them
 *       on writing (constraints)          → dry-run all rows that follow, in slices, side by side
 *
 * A row refused in a dry run is rejected provisionally, because it was tried without the rows before it. At the end these rows are inserted
 * again in their order, if any of them is accepted by then. So are rows that another bad row may have kept out (`mayPassLater`).
 *
 * Only inserts and dry runs decide; candidates, and predictions, which are tried first, are only hints. This file knows nothing of the server.
 */

import { parseAhead, dryRunAhead } from './dry-runs.js';
import { retryRejected } from './retry-rejected.js';
import type { ByKind, DryRun, Refusal, Insert, Prediction } from './refusal.js';

export interface IsolationOptions<E> {
  /** Rows in the batch. */
  count: number;
  insert: Insert<E>;
  dryRun: DryRun<E>;
  /** Like `dryRun`, but rows are only parsed, which costs much less. Finds only the faults that show then. */
  parseOnly: DryRun<E>;
  /** The most rows of a slice for `parseOnly`: the server would insert rows of a larger one. */
  mostParsed: number;
  /**
   * Rows are inserted in their order, and a refused row is not tried again, because which of two rows with one key counts depends on the
   * order. Then dry runs find only faults that no other row has a part in.
   */
  isOrdered?: boolean;
  /** How the batch as a whole was refused. If it was not tried: the expected number of rows per fault. */
  first: Refusal<E> | ByKind<number | undefined>;
  /** What is tried first, if the batch as a whole was not tried. Default: nothing. */
  predictions?: readonly Prediction[];
  /** Rows known to be at fault, by their places, which are never tried. The faults that are found are added. */
  faults: Map<number, E>;
  /** The search ends after this many faults. Default: no limit. */
  mostFaults?: number;
  /** Returns the most rows of a statement at the moment. Default: all. */
  mostRows?: () => number;
}

/** Smaller slices cost more in round trips than they save in rows. */
const SMALLEST_SLICE = 32;
/**
 * A statement costs as much as so many of its rows, measured against PostgreSQL 18. If the server names the row, it has stopped there. A
 * foreign key is checked after all rows of the slice, and costs many times as much per row.
 */
const STATEMENT_ROWS = { named: 200, unnamed: 40 };
/** Faults expected in a slice that is parsed. With more, more rows are parsed again; with fewer, there are more slices. */
const PARSED_FAULTS = 2;
/** So many candidates that were accepted after all show that the hints are poor: the batch's others are not tried. */
const MOST_PASSED = 8;

/**
 * Inserts all rows but those at fault, which it adds to `faults`. A fault that the server names or hints at takes about one statement, each
 * other about log₂ of the slice.
 *
 * @returns the number of unpredicted faults. If it is high, the next batch is better not tried as a whole.
 */
export async function isolate<E>(options: IsolationOptions<E>): Promise<ByKind<number>> {
  return new Search(options).run();
}

class Search<E> {
  readonly #options: IsolationOptions<E>;
  readonly #mostFaults: number;
  /** For each row, 1 if it is not to be inserted with the others: it is at fault, or may be accepted later. */
  readonly #isOut: Uint8Array;
  /** Rejected rows that are worth a retry at the end. */
  readonly #later = new Map<number, E>();
  /** Rows refused by a dry run without the rows before them, which a trigger may have needed. */
  readonly #provisional = new Set<number>();
  /** The first row of the next slice, and the most rows that it takes. */
  #next = 0;
  #size = Infinity;
  /** The last row of a refused slice whose fault has not been found yet. */
  #refusedTo: number | undefined;
  /** Faults found by this search, and those of them that were neither candidates nor found ahead. */
  #found = 0;
  readonly #unpredictedByKind: ByKind<number> = { reading: 0, writing: 0 };
  /** Unpredicted faults before the last look ahead. They say nothing of the rows that follow. */
  #unpredictedBefore = 0;
  /** Predictions are being tried. */
  #isGuessing = false;
  /** The furthest row at fault that a slice has reached. */
  #furthest = 0;
  /** A slice was refused without a row being named: a wrong row may have been blamed. */
  #unnamed = false;
  #hasParsedAhead = false;
  #hasDryRunAhead = false;
  #arePairsTried = false;
  #passed = 0;

  constructor(options: IsolationOptions<E>) {
    this.#options = options;
    this.#mostFaults = options.mostFaults ?? Infinity;
    this.#isOut = new Uint8Array(options.count);
    for (const row of options.faults.keys()) this.#isOut[row] = 1;
  }

  async run(): Promise<ByKind<number>> {
    const { first, faults, insert } = this.#options;
    if ('reading' in first) await this.#expect(first);
    await this.#insertAll('reading' in first ? undefined : first);
    const unpredicted = { ...this.#unpredictedByKind };
    if (await this.#isProvisionalOutdated()) await this.#retryProvisional();
    if (this.#unnamed) await retryRejected(this.#later, insert);
    for (const [row, error] of this.#later) faults.set(row, error);
    return unpredicted;
  }

  /** Tries the predictions, and looks ahead for the kinds of other faults that the batch before had. */
  async #expect({ reading, writing }: ByKind<number | undefined>): Promise<void> {
    await this.#tryPredictions(this.#options.predictions ?? []);
    if (reading !== undefined) await this.#parseAhead(this.#untried(0), reading);
    if (writing !== undefined && !this.#isOrdered) await this.#dryRunAhead(this.#untried(0), writing);
  }

  async #insertAll(known: Refusal<E> | undefined): Promise<void> {
    let refusal = known;
    while (this.#next < this.#options.count && !this.#isOver()) {
      await this.#insertSlice(this.#nextSlice(), refusal);
      refusal = undefined;
    }
  }

  /** Returns whether a provisionally rejected row is accepted now. If none is by itself, a retry of all of them is of no use. */
  async #isProvisionalOutdated(): Promise<boolean> {
    if (this.#provisional.size === 0) return false;
    const refusals = await this.#options.dryRun([...this.#provisional].map((row) => [row]));
    return refusals.includes(undefined);
  }

  /** Inserts the provisionally rejected rows again, in their order. */
  async #retryProvisional(): Promise<void> {
    const { faults } = this.#options;
    this.#isOut.fill(1);
    for (const row of this.#provisional) {
      this.#isOut[row] = 0;
      faults.delete(row);
      this.#later.delete(row);
    }
    this.#found -= this.#provisional.size;
    this.#provisional.clear();
    // Dry runs would return the same as before.
    this.#hasParsedAhead = true;
    this.#hasDryRunAhead = true;
    this.#passed = MOST_PASSED;
    this.#next = 0;
    this.#size = Infinity;
    await this.#insertAll(undefined);
  }

  #isOver(): boolean {
    return this.#found >= this.#mostFaults;
  }

  #nextSlice(): number[] {
    const most = this.#next + Math.min(this.#size, this.#mostRows);
    const end = Math.min(this.#options.count, most, (this.#refusedTo ?? Infinity) + 1);
    const slice = this.#untried(this.#next, end);
    this.#next = end;
    return slice;
  }

  /** Inserts the rows of a slice that the table takes, or of its first part. */
  async #insertSlice(rows: number[], known: Refusal<E> | undefined): Promise<void> {
    let slice = rows;
    let refusal = known;
    const before = this.#unpredicted;
    while (slice.length > 0 && !this.#isOver()) {
      refusal ??= await this.#options.insert(slice);
      if (refusal === undefined) break;
      slice = await this.#shrink(slice, refusal);
      refusal = undefined;
    }
    // The first half was accepted, so the second has the fault, unless only both together have it.
    if (this.#refusedTo !== undefined && this.#next > this.#refusedTo) this.#refusedTo = undefined;
    // A slice without a fault is followed by a larger one.
    this.#size = this.#unpredicted === before ? 2 * this.#size : this.#suggestedSize(this.#next);
  }

  /** Returns the rows to insert in place of a refused slice. */
  async #shrink(slice: number[], refusal: Refusal<E>): Promise<number[]> {
    const found = this.#found;
    const named = refusal.row ?? (slice.length === 1 ? slice[0] : undefined);
    if (refusal.row === undefined) this.#unnamed = true;
    if (named !== undefined) this.#blame(named, refusal);
    if (refusal.row === undefined) await this.#tryCandidates(refusal);
    await this.#tryPairs(refusal);
    if (this.#found === found) {
      this.#refusedTo = slice.at(-1);
      return this.#cut(slice, Math.ceil(slice.length / 2));
    }
    this.#refusedTo = undefined;
    this.#unpredictedByKind[kindOf(refusal)] += 1;
    if (!this.#isOver()) await this.#lookAhead(slice[0]!);
    const rest = slice.filter((row) => this.#isOut[row] === 0);
    const size = this.#suggestedSize(this.#furthest);
    return rest.length > size ? this.#cut(rest, size) : rest;
  }

  /** Looks ahead once faults of a kind come one by one. */
  async #lookAhead(from: number): Promise<void> {
    const { reading, writing } = this.#unpredictedByKind;
    const spacing = (this.#furthest + 1) / this.#unpredicted;
    if (reading >= 2 && !this.#hasParsedAhead) await this.#parseAhead(this.#untried(from), spacing);
    else if (
      !this.#isOrdered &&
      writing >= 1 &&
      this.#unpredicted - this.#unpredictedBefore >= 2 &&
      !this.#hasDryRunAhead
    ) {
      await this.#dryRunAhead(this.#untried(from), spacing);
    }
  }

  /** Finds the faults that show when rows are parsed, which are nearly all, in few round trips. */
  async #parseAhead(rows: readonly number[], spacing: number): Promise<void> {
    this.#hasParsedAhead = true;
    const { parseOnly, mostParsed } = this.#options;
    const best = Math.max(SMALLEST_SLICE, Math.ceil(PARSED_FAULTS * spacing));
    const size = Math.min(mostParsed, this.#mostRows, best);
    await parseAhead(rows, size, parseOnly, (row, refusal) => {
      this.#rejectProvisionally(row, refusal);
      this.#unpredictedByKind[kindOf(refusal)] += 1;
    });
    this.#unpredictedBefore = this.#unpredicted;
  }

  /** Finds the faults of many rows in few round trips, except those that only rows of different slices cause together. */
  async #dryRunAhead(rows: readonly number[], spacing: number): Promise<void> {
    this.#hasDryRunAhead = true;
    const { dryRun } = this.#options;
    const best = Math.max(
      SMALLEST_SLICE,
      Math.ceil(Math.min(spacing, Math.sqrt(2 * STATEMENT_ROWS.unnamed * spacing))),
    );
    await dryRunAhead(rows, Math.min(this.#mostRows, best), dryRun, (row, refusal) => {
      this.#rejectProvisionally(row, refusal);
      this.#unpredictedByKind[kindOf(refusal)] += 1;
    });
    this.#unpredictedBefore = this.#unpredicted;
  }

  async #tryCandidates({ candidates, isOfValue }: Refusal<E>): Promise<void> {
    if (this.#isOrdered && !isOfValue) return;
    if (this.#isOver() || this.#passed >= MOST_PASSED) return;
    const rows = (await candidates()).filter((row) => this.#isOut[row] === 0);
    for (let start = 0; start < rows.length && this.#passed < MOST_PASSED;) {
      // A few at first, because the hint may be wrong.
      const some = rows.slice(start, start === 0 ? MOST_PASSED : rows.length);
      start += some.length;
      const refusals = await this.#options.dryRun(some.map((row) => [row]));
      for (const [index, refusal] of refusals.entries()) {
        if (refusal === undefined) this.#passed += 1;
        else if (!this.#isOver() && (refusal.isOfValue || !this.#isOrdered))
          this.#rejectProvisionally(some[index]!, refusal);
      }
    }
  }

  /** Tries rows that repeat a key together with the first row of that key. Slices tried side by side do not show such faults. */
  async #tryPairs({ pairs }: Refusal<E>): Promise<void> {
    if (pairs === undefined || this.#isOrdered || this.#arePairsTried || this.#isOver()) return;
    this.#arePairsTried = true;
    await this.#tryPredictions(await pairs());
  }

  async #tryPredictions(predictions: readonly Prediction[]): Promise<void> {
    const some = predictions.filter((rows) => rows.every((row) => this.#isOut[row] === 0));
    // They lie anywhere: if the server names rows, they do not show how far it has come.
    this.#isGuessing = true;
    const refusals = some.length === 0 ? [] : await this.#options.dryRun(some);
    for (const [index, refusal] of refusals.entries()) {
      const rows = some[index]!;
      const row = rows.at(-1)!;
      const isRefused = refusal !== undefined && (rows.length === 1 || refusal.row === row);
      if (!isRefused || this.#isOut[row] !== 0) continue;
      if (refusal.isOfValue || !this.#isOrdered) this.#rejectProvisionally(row, refusal);
    }
    this.#isGuessing = false;
  }

  #blame(row: number, { error, mayPassLater, isOfValue, row: named }: Refusal<E>): void {
    // The row may have needed one that is rejected only provisionally.
    if (this.#provisional.size > 0 && !isOfValue && !this.#isOrdered) this.#provisional.add(row);
    if (named === undefined) this.#unnamed = true;
    (mayPassLater && !this.#isOrdered ? this.#later : this.#options.faults).set(row, error);
    this.#isOut[row] = 1;
    this.#found += 1;
    if (named === undefined || !this.#isGuessing) this.#furthest = Math.max(this.#furthest, row);
  }

  #rejectProvisionally(row: number, refusal: Refusal<E>): void {
    this.#blame(row, refusal);
    if (!refusal.isOfValue && !this.#isOrdered) this.#provisional.add(row);
  }

  /** Returns the first rows of a slice, and leaves the others to the next one. */
  #cut(slice: number[], length: number): number[] {
    this.#next = slice[length]!;
    return slice.slice(0, length);
  }

  /**
   * Returns the slice size at which statements, and rows that are sent again, cost least in total: √(2 × cost of a statement in rows × rows
   * per fault).
   *
   * @param reached about how many rows have been decided on
   */
  #suggestedSize(reached: number): number {
    const unpredicted = this.#unpredicted - this.#unpredictedBefore;
    // A single unpredicted fault is the common case: then all other rows are sent at once.
    if (unpredicted <= 1) return Infinity;
    const statementRows = this.#unnamed ? STATEMENT_ROWS.unnamed : STATEMENT_ROWS.named;
    return Math.max(SMALLEST_SLICE, Math.ceil(Math.sqrt((2 * statementRows * (reached + 1)) / unpredicted)));
  }

  get #isOrdered(): boolean {
    return this.#options.isOrdered === true;
  }

  get #mostRows(): number {
    return this.#options.mostRows?.() ?? Infinity;
  }

  get #unpredicted(): number {
    return this.#unpredictedByKind.reading + this.#unpredictedByKind.writing;
  }

  #untried(start: number, end = this.#isOut.length): number[] {
    const rows: number[] = [];
    for (let row = start; row < end; row += 1) if (this.#isOut[row] === 0) rows.push(row);
    return rows;
  }
}

function kindOf({ isOnReading }: Refusal<unknown>): keyof ByKind<unknown> {
  return isOnReading ? 'reading' : 'writing';
}
