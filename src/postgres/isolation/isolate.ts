/**
 * Finds the rows that a table refuses, and lands the others, by trying slices of the batch. Where the server names the row, one trial finds
 * one row at fault. Rows that look as if they were at fault too are tried by themselves first; where the server names none and no row looks
 * like it (a trigger after the statement), the slice is halved. Only trials decide. Knows nothing of the server.
 */

import { parseAhead, dryRunAhead } from './dry-runs.js';
import { retryRejected } from './retry-rejected.js';
import type { ByKind, DryRun, Refusal, Insert } from './refusal.js';

export interface IsolationOptions<E> {
  /** Rows in the batch. */
  count: number;
  insert: Insert<E>;
  dryRun: DryRun<E>;
  /** Like `probe`, but rows are only read: of what is wrong with them it tells no more than that shows. Costs much less. */
  parseOnly: DryRun<E>;
  /** Slices of more rows than this would be put into the table by `check` as well. */
  mostParsed: number;
  /**
   * Rows land in their order, each after those before it, and what was refused in its turn is not tried again: which of two rows with one key
   * counts depends on it. Then a probe says only something of faults that no other row has a part in.
   */
  isOrdered?: boolean;
  /** How the batch as a whole was refused; or, where that was not tried, how many rows there may be for each fault. */
  first: Refusal<E> | ByKind<number | undefined>;
  /** Rows known to be at fault, by their places; the faults that are found are added. They are left out of all trials that follow. */
  faults: Map<number, E>;
  /** The search ends with this many, and says nothing of the rows after. */
  mostFaults?: number;
  /** The most rows of a trial, at the moment. Default: all. */
  mostRows?: () => number;
}

/** Smaller slices cost more in round trips than they save. */
const SMALLEST_SLICE = 32;
/**
 * A trial costs as much as so many rows of it: measured against PostgreSQL 18. Where the server names the row, it stops there; a foreign
 * key is checked after all rows of the slice, and costs many times as much for each.
 */
const STATEMENT_ROWS = { named: 200, unnamed: 40 };
/** Faults in a slice that is checked: with more, more rows are sent in vain; with fewer, more slices are found to be without fault at last. */
const PARSED_FAULTS = 2;
/** Candidates are looked for so often in a batch, and until so many have passed after all: then the hint is none. */
const MOST_HINTS = 16;
const MOST_PASSED = 8;

/**
 * The work grows with the faults: about one trial for each that the server names or hints at, about log₂ of a slice for each other.
 *
 * @returns how many faults came without a hint: where that is many, the next batch is better not tried as a whole
 */
export async function isolate<E>(options: IsolationOptions<E>): Promise<ByKind<number>> {
  return new Search(options).run();
}

class Search<E> {
  readonly #options: IsolationOptions<E>;
  readonly #mostFaults: number;
  /** For each row whether it is at fault, or may pass later: not to be tried with others. */
  readonly #isOut: Uint8Array;
  /** Refused, but worth another trial at the end. */
  readonly #later = new Map<number, E>();
  /** Refused by a probe, without the rows before it: a trigger may have asked for one of them. */
  readonly #provisional = new Set<number>();
  /** Where the next slice begins, and how many rows it takes at the most. */
  #next = 0;
  #size = Infinity;
  /** Up to here a refused slice went whose fault has not been found yet. */
  #refusedTo: number | undefined;
  /** Faults found by this search, and those of them that came in a slice, and not among candidates: they tell what to expect. */
  #found = 0;
  readonly #unpredictedByKind: ByKind<number> = { reading: 0, writing: 0 };
  /** Surprises that tell nothing any more: the rows after them have been checked or probed. */
  #unpredictedBefore = 0;
  /** Rows are being tried that only look as if they were at fault. */
  #isGuessing = false;
  /** The furthest row at fault so far, of those that trials have come to. */
  #furthest = 0;
  /** A slice was refused without a row being named: others may have been blamed in its place. */
  #unnamed = false;
  #hasParsedAhead = false;
  #hasDryRunAhead = false;
  #arePairsTried = false;
  #hints = 0;
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

  /** Begins with what the batch before had. */
  async #expect({ reading, writing }: ByKind<number | undefined>): Promise<void> {
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

  /** Where none of them passes by itself now that the others have inserted, none would be the first to pass. */
  async #isProvisionalOutdated(): Promise<boolean> {
    if (this.#provisional.size === 0) return false;
    const refusals = await this.#options.dryRun([...this.#provisional].map((row) => [row]));
    return refusals.includes(undefined);
  }

  /** Once more, in their order, and each after those before it. */
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
    // Probes would tell no more than before.
    this.#hasParsedAhead = true;
    this.#hasDryRunAhead = true;
    this.#hints = MOST_HINTS;
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

  /** Lands what can be inserted of a slice, or of its beginning. */
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
    // Where the first half has passed, the second has the fault, unless it was one that only both together have.
    if (this.#refusedTo !== undefined && this.#next > this.#refusedTo) this.#refusedTo = undefined;
    // A slice without a fault is followed by a larger one.
    this.#size = this.#unpredicted === before ? 2 * this.#size : this.#suggestedSize(this.#next);
  }

  /** What to try in place of a refused slice. */
  async #shrink(slice: number[], refusal: Refusal<E>): Promise<number[]> {
    const found = this.#found;
    const named = refusal.row ?? (slice.length === 1 ? slice[0] : undefined);
    if (refusal.row === undefined) this.#unnamed = true;
    if (named !== undefined) this.#blame(named, refusal);
    this.#isGuessing = refusal.row !== undefined;
    await this.#tryCandidates(refusal);
    await this.#tryPairs(refusal);
    this.#isGuessing = false;
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

  /** As soon as faults of a kind come one by one. */
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

  /** Finds what is seen when rows are read: nearly all faults, in few round trips. */
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

  /** Finds the faults of many rows in few round trips. Those that only rows of different slices make together stay unknown. */
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
    if (this.#isOver() || this.#hints >= MOST_HINTS || this.#passed >= MOST_PASSED) return;
    const rows = (await candidates()).filter((row) => this.#isOut[row] === 0);
    // Where the server names rows, a hint is one for the whole batch; else each slice has its own.
    if (!this.#unnamed) this.#hints += 1;
    for (let start = 0; start < rows.length && this.#passed < MOST_PASSED;) {
      // At first a few, for the hint may be none.
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

  /** Slices that are probed side by side do not show what two rows of different slices do to each other. */
  async #tryPairs({ pairs }: Refusal<E>): Promise<void> {
    if (pairs === undefined || this.#isOrdered || this.#arePairsTried || this.#isOver()) return;
    this.#arePairsTried = true;
    const some = (await pairs()).filter((pair) => pair.every((row) => this.#isOut[row] === 0));
    if (some.length === 0) return;
    const refusals = await this.#options.dryRun(some);
    for (const [index, refusal] of refusals.entries()) {
      const later = some[index]![1];
      if (refusal?.row === later && this.#isOut[later] === 0) this.#rejectProvisionally(later, refusal);
    }
  }

  #blame(row: number, { error, mayPassLater, isOfValue, row: named }: Refusal<E>): void {
    // It may have needed a row that was refused only for lack of those before it.
    if (this.#provisional.size > 0 && !isOfValue && !this.#isOrdered) this.#provisional.add(row);
    if (named === undefined) this.#unnamed = true;
    (mayPassLater && !this.#isOrdered ? this.#later : this.#options.faults).set(row, error);
    this.#isOut[row] = 1;
    this.#found += 1;
    // Candidates lie anywhere: where the server names rows, they do not tell how far it has come.
    if (named === undefined || !this.#isGuessing) this.#furthest = Math.max(this.#furthest, row);
  }

  #rejectProvisionally(row: number, refusal: Refusal<E>): void {
    this.#blame(row, refusal);
    if (!refusal.isOfValue && !this.#isOrdered) this.#provisional.add(row);
  }

  /** Leaves all but the first rows of a slice to the next one. */
  #cut(slice: number[], length: number): number[] {
    this.#next = slice[length]!;
    return slice.slice(0, length);
  }

  /**
   * Where a fault comes every so many rows, and a trial costs as much as so many: the length at which trials, and rows that are sent in
   * vain, cost least. `reached`: so many rows have been decided on, about.
   */
  #suggestedSize(reached: number): number {
    const unpredicted = this.#unpredicted - this.#unpredictedBefore;
    // One kind of fault in a batch is the common case: then everything else is sent at once.
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
