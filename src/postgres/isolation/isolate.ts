/**
 * Finds the rows that a table refuses, and lands the others, by trying pieces of the batch. Where the server names the row, one trial finds
 * one row at fault. Rows that look as if they were at fault too are tried by themselves first; where the server names none and no row looks
 * like it (a trigger after the statement), the piece is halved. Only trials decide. Knows nothing of the server.
 */

import { checkAhead, probeAhead } from './probing.js';
import { landRefused } from './retry-rejected.js';
import type { ByKind, Probe, Refusal, Trial } from './refusal.js';

export interface IsolationOptions<E> {
  /** Rows in the batch. */
  count: number;
  trial: Trial<E>;
  probe: Probe<E>;
  /** Like `probe`, but rows are only read: of what is wrong with them it tells no more than that shows. Costs much less. */
  check: Probe<E>;
  /** Pieces of more rows than this would be put into the table by `check` as well. */
  mostChecked: number;
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

/** Smaller pieces cost more in round trips than they save. */
const SMALLEST_PIECE = 32;
/**
 * A trial costs as much as so many rows of it: measured against PostgreSQL 18. Where the server names the row, it stops there; a foreign
 * key is checked after all rows of the piece, and costs many times as much for each.
 */
const TRIAL_ROWS = { named: 200, unnamed: 40 };
/** Faults in a piece that is checked: with more, more rows are sent in vain; with fewer, more pieces are found to be without fault at last. */
const CHECKED_FAULTS = 2;
/** Suspects are looked for so often in a batch, and until so many have passed after all: then the hint is none. */
const MOST_HINTS = 16;
const MOST_PASSED = 8;

/**
 * The work grows with the faults: about one trial for each that the server names or hints at, about log₂ of a piece for each other.
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
  readonly #doubted = new Set<number>();
  /** Where the next piece begins, and how many rows it takes at the most. */
  #next = 0;
  #size = Infinity;
  /** Up to here a refused piece went whose fault has not been found yet. */
  #refusedTo: number | undefined;
  /** Faults found by this search, and those of them that came in a piece, and not among suspects: they tell what to expect. */
  #found = 0;
  readonly #surprises: ByKind<number> = { reading: 0, writing: 0 };
  /** Surprises that tell nothing any more: the rows after them have been checked or probed. */
  #surprisesBefore = 0;
  /** Rows are being tried that only look as if they were at fault. */
  #isGuessing = false;
  /** The furthest row at fault so far, of those that trials have come to. */
  #furthest = 0;
  /** A piece was refused without a row being named: others may have been blamed in its place. */
  #unnamed = false;
  #isChecked = false;
  #isProbed = false;
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
    const { first, faults, trial } = this.#options;
    if ('reading' in first) await this.#expect(first);
    await this.#landAll('reading' in first ? undefined : first);
    const surprises = { ...this.#surprises };
    if (await this.#isDoubtRight()) await this.#landDoubted();
    if (this.#unnamed) await landRefused(this.#later, trial);
    for (const [row, error] of this.#later) faults.set(row, error);
    return surprises;
  }

  /** Begins with what the batch before had. */
  async #expect({ reading, writing }: ByKind<number | undefined>): Promise<void> {
    if (reading !== undefined) await this.#checkAhead(this.#untried(0), reading);
    if (writing !== undefined && !this.#isOrdered) await this.#probeAhead(this.#untried(0), writing);
  }

  async #landAll(known: Refusal<E> | undefined): Promise<void> {
    let refusal = known;
    while (this.#next < this.#options.count && !this.#isOver()) {
      await this.#land(this.#takePiece(), refusal);
      refusal = undefined;
    }
  }

  /** Where none of them passes by itself now that the others have landed, none would be the first to pass. */
  async #isDoubtRight(): Promise<boolean> {
    if (this.#doubted.size === 0) return false;
    const refusals = await this.#options.probe([...this.#doubted].map((row) => [row]));
    return refusals.includes(undefined);
  }

  /** Once more, in their order, and each after those before it. */
  async #landDoubted(): Promise<void> {
    const { faults } = this.#options;
    this.#isOut.fill(1);
    for (const row of this.#doubted) {
      this.#isOut[row] = 0;
      faults.delete(row);
      this.#later.delete(row);
    }
    this.#found -= this.#doubted.size;
    this.#doubted.clear();
    // Probes would tell no more than before.
    this.#isChecked = true;
    this.#isProbed = true;
    this.#hints = MOST_HINTS;
    this.#next = 0;
    this.#size = Infinity;
    await this.#landAll(undefined);
  }

  #isOver(): boolean {
    return this.#found >= this.#mostFaults;
  }

  #takePiece(): number[] {
    const most = this.#next + Math.min(this.#size, this.#mostRows);
    const end = Math.min(this.#options.count, most, (this.#refusedTo ?? Infinity) + 1);
    const piece = this.#untried(this.#next, end);
    this.#next = end;
    return piece;
  }

  /** Lands what can be landed of a piece, or of its beginning. */
  async #land(rows: number[], known: Refusal<E> | undefined): Promise<void> {
    let piece = rows;
    let refusal = known;
    const before = this.#surprised;
    while (piece.length > 0 && !this.#isOver()) {
      refusal ??= await this.#options.trial(piece);
      if (refusal === undefined) break;
      piece = await this.#shrink(piece, refusal);
      refusal = undefined;
    }
    // Where the first half has passed, the second has the fault, unless it was one that only both together have.
    if (this.#refusedTo !== undefined && this.#next > this.#refusedTo) this.#refusedTo = undefined;
    // A piece without a fault is followed by a larger one.
    this.#size = this.#surprised === before ? 2 * this.#size : this.#suggestedSize(this.#next);
  }

  /** What to try in place of a refused piece. */
  async #shrink(piece: number[], refusal: Refusal<E>): Promise<number[]> {
    const found = this.#found;
    const named = refusal.row ?? (piece.length === 1 ? piece[0] : undefined);
    if (refusal.row === undefined) this.#unnamed = true;
    if (named !== undefined) this.#blame(named, refusal);
    this.#isGuessing = refusal.row !== undefined;
    await this.#trySuspects(refusal);
    await this.#tryPairs(refusal);
    this.#isGuessing = false;
    if (this.#found === found) {
      this.#refusedTo = piece.at(-1);
      return this.#cut(piece, Math.ceil(piece.length / 2));
    }
    this.#refusedTo = undefined;
    this.#surprises[kindOf(refusal)] += 1;
    if (!this.#isOver()) await this.#lookAhead(piece[0]!);
    const rest = piece.filter((row) => this.#isOut[row] === 0);
    const size = this.#suggestedSize(this.#furthest);
    return rest.length > size ? this.#cut(rest, size) : rest;
  }

  /** As soon as faults of a kind come one by one. */
  async #lookAhead(from: number): Promise<void> {
    const { reading, writing } = this.#surprises;
    const gap = (this.#furthest + 1) / this.#surprised;
    if (reading >= 2 && !this.#isChecked) await this.#checkAhead(this.#untried(from), gap);
    else if (
      !this.#isOrdered &&
      writing >= 1 &&
      this.#surprised - this.#surprisesBefore >= 2 &&
      !this.#isProbed
    ) {
      await this.#probeAhead(this.#untried(from), gap);
    }
  }

  /** Finds what is seen when rows are read: nearly all faults, in few round trips. */
  async #checkAhead(rows: readonly number[], gap: number): Promise<void> {
    this.#isChecked = true;
    const { check, mostChecked } = this.#options;
    const best = Math.max(SMALLEST_PIECE, Math.ceil(CHECKED_FAULTS * gap));
    const size = Math.min(mostChecked, this.#mostRows, best);
    await checkAhead(rows, size, check, (row, refusal) => {
      this.#doubt(row, refusal);
      this.#surprises[kindOf(refusal)] += 1;
    });
    this.#surprisesBefore = this.#surprised;
  }

  /** Finds the faults of many rows in few round trips. Those that only rows of different pieces make together stay unknown. */
  async #probeAhead(rows: readonly number[], gap: number): Promise<void> {
    this.#isProbed = true;
    const { probe } = this.#options;
    const best = Math.max(SMALLEST_PIECE, Math.ceil(Math.min(gap, Math.sqrt(2 * TRIAL_ROWS.unnamed * gap))));
    await probeAhead(rows, Math.min(this.#mostRows, best), probe, (row, refusal) => {
      this.#doubt(row, refusal);
      this.#surprises[kindOf(refusal)] += 1;
    });
    this.#surprisesBefore = this.#surprised;
  }

  async #trySuspects({ suspects, isOfValue }: Refusal<E>): Promise<void> {
    if (this.#isOrdered && !isOfValue) return;
    if (this.#isOver() || this.#hints >= MOST_HINTS || this.#passed >= MOST_PASSED) return;
    const rows = (await suspects()).filter((row) => this.#isOut[row] === 0);
    // Where the server names rows, a hint is one for the whole batch; else each piece has its own.
    if (!this.#unnamed) this.#hints += 1;
    for (let start = 0; start < rows.length && this.#passed < MOST_PASSED;) {
      // At first a few, for the hint may be none.
      const some = rows.slice(start, start === 0 ? MOST_PASSED : rows.length);
      start += some.length;
      const refusals = await this.#options.probe(some.map((row) => [row]));
      for (const [index, refusal] of refusals.entries()) {
        if (refusal === undefined) this.#passed += 1;
        else if (!this.#isOver() && (refusal.isOfValue || !this.#isOrdered))
          this.#doubt(some[index]!, refusal);
      }
    }
  }

  /** Pieces that are probed side by side do not show what two rows of different pieces do to each other. */
  async #tryPairs({ pairs }: Refusal<E>): Promise<void> {
    if (pairs === undefined || this.#isOrdered || this.#arePairsTried || this.#isOver()) return;
    this.#arePairsTried = true;
    const some = (await pairs()).filter((pair) => pair.every((row) => this.#isOut[row] === 0));
    if (some.length === 0) return;
    const refusals = await this.#options.probe(some);
    for (const [index, refusal] of refusals.entries()) {
      const later = some[index]![1];
      if (refusal?.row === later && this.#isOut[later] === 0) this.#doubt(later, refusal);
    }
  }

  #blame(row: number, { error, mayPassLater, isOfValue, row: named }: Refusal<E>): void {
    // It may have needed a row that was refused only for lack of those before it.
    if (this.#doubted.size > 0 && !isOfValue && !this.#isOrdered) this.#doubted.add(row);
    if (named === undefined) this.#unnamed = true;
    (mayPassLater && !this.#isOrdered ? this.#later : this.#options.faults).set(row, error);
    this.#isOut[row] = 1;
    this.#found += 1;
    // Suspects lie anywhere: where the server names rows, they do not tell how far it has come.
    if (named === undefined || !this.#isGuessing) this.#furthest = Math.max(this.#furthest, row);
  }

  #doubt(row: number, refusal: Refusal<E>): void {
    this.#blame(row, refusal);
    if (!refusal.isOfValue && !this.#isOrdered) this.#doubted.add(row);
  }

  /** Leaves all but the first rows of a piece to the next one. */
  #cut(piece: number[], length: number): number[] {
    this.#next = piece[length]!;
    return piece.slice(0, length);
  }

  /**
   * Where a fault comes every so many rows, and a trial costs as much as so many: the length at which trials, and rows that are sent in
   * vain, cost least. `reached`: so many rows have been decided on, about.
   */
  #suggestedSize(reached: number): number {
    const surprises = this.#surprised - this.#surprisesBefore;
    // One kind of fault in a batch is the common case: then everything else is sent at once.
    if (surprises <= 1) return Infinity;
    const trialRows = this.#unnamed ? TRIAL_ROWS.unnamed : TRIAL_ROWS.named;
    return Math.max(SMALLEST_PIECE, Math.ceil(Math.sqrt((2 * trialRows * (reached + 1)) / surprises)));
  }

  get #isOrdered(): boolean {
    return this.#options.isOrdered === true;
  }

  get #mostRows(): number {
    return this.#options.mostRows?.() ?? Infinity;
  }

  get #surprised(): number {
    return this.#surprises.reading + this.#surprises.writing;
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
