/**
 * Finds the rows that a table refuses, and lands the others, by trying pieces of the batch. Where the server names the row, one trial finds
 * one row at fault. Where it does not (a foreign key, a trigger after the statement), rows that its words point at are tried one by one,
 * or else the piece is halved. Only trials decide. Knows nothing of the server.
 */

/** Why a piece was refused. */
export interface Refusal<E> {
  error: E;
  /** The row at fault, by its place in the batch; undefined where that is not known. */
  row: number | undefined;
  /** Where the row is not known: rows that the error seems to mean. */
  suspects: readonly number[];
  /** Another row at fault may be the cause, or a row that it refers to and that comes later. */
  mayPassLater: boolean;
}

/** Tries to land rows, given by their places in the batch. Of a refused piece none is landed. */
export type Trial<E> = (rows: readonly number[]) => Promise<Refusal<E> | undefined>;

export interface IsolationOptions<E> {
  /** Rows in the batch. */
  count: number;
  trial: Trial<E>;
  /** How the batch as a whole was refused. */
  first: Refusal<E>;
  /** Rows known to be at fault, by their places; the faults that are found are added. They are left out of all trials that follow. */
  faults: Map<number, E>;
  /** The search ends with this many, and says nothing of the rows after. */
  mostFaults?: number;
}

/** Smaller pieces cost more in round trips than they save. */
const SMALLEST_PIECE = 64;
/** Pieces are cut to hold about this many rows at fault: each failing trial sends the rows before the fault in vain. */
const FAULTS_IN_PIECE = 2;

/** The work grows with the faults: about one trial for each that the server names, about log₂ of the batch for each other. */
export async function isolate<E>(options: IsolationOptions<E>): Promise<void> {
  const search = new Search(options);
  await search.run(options.first);
}

class Search<E> {
  readonly #count: number;
  readonly #trial: Trial<E>;
  readonly #faults: Map<number, E>;
  readonly #mostFaults: number;
  /** For each row whether it is at fault, or may pass later: not to be tried with others. */
  readonly #isOut: Uint8Array;
  /** Refused, but worth another trial at the end. */
  readonly #later = new Map<number, E>();
  /** Where the next piece begins, and how many rows it takes at the most. */
  #next = 0;
  #size = Infinity;
  /** Faults found by this search. */
  #found = 0;
  /** The furthest row at fault so far. */
  #furthest = 0;
  /** A piece was refused without a row being named: others may have been blamed in its place. */
  #unnamed = false;

  constructor({ count, trial, faults, mostFaults }: IsolationOptions<E>) {
    this.#count = count;
    this.#trial = trial;
    this.#faults = faults;
    this.#mostFaults = mostFaults ?? Infinity;
    this.#isOut = new Uint8Array(count);
    for (const row of faults.keys()) this.#isOut[row] = 1;
  }

  async run(first: Refusal<E>): Promise<void> {
    let refusal: Refusal<E> | undefined = first;
    while (this.#next < this.#count && !this.#isOver) {
      await this.#land(this.#takePiece(), refusal);
      refusal = undefined;
    }
    if (this.#unnamed) await this.#tryLater();
    for (const [row, error] of this.#later) this.#faults.set(row, error);
  }

  get #isOver(): boolean {
    return this.#found >= this.#mostFaults;
  }

  #takePiece(): number[] {
    const end = Math.min(this.#count, this.#next + this.#size);
    const piece: number[] = [];
    for (let row = this.#next; row < end; row += 1) {
      if (this.#isOut[row] === 0) piece.push(row);
    }
    this.#next = end;
    return piece;
  }

  /** Lands what can be landed of a piece, or of its beginning. */
  async #land(rows: number[], known: Refusal<E> | undefined): Promise<void> {
    let piece = rows;
    let refusal = known;
    const foundBefore = this.#found;
    while (piece.length > 0 && !this.#isOver) {
      refusal ??= await this.#trial(piece);
      if (refusal === undefined) break;
      piece = await this.#shrink(piece, refusal);
      refusal = undefined;
    }
    // A piece without a fault is followed by a larger one.
    this.#size = this.#found === foundBefore ? 2 * this.#size : this.#suggestedSize(this.#next);
  }

  /** What to try in place of a refused piece. */
  async #shrink(piece: number[], refusal: Refusal<E>): Promise<number[]> {
    const { row, suspects } = refusal;
    if (row !== undefined || piece.length === 1) {
      this.#blame(row ?? piece[0]!, refusal);
      return this.#shorten(piece);
    }
    this.#unnamed = true;
    if (suspects.length > 0) {
      const foundBefore = this.#found;
      const landed = await this.#trySuspects(suspects);
      const rest = piece.filter((candidate) => !landed.has(candidate));
      if (this.#found > foundBefore) return this.#shorten(rest);
      return rest.length > 1 ? this.#cut(rest, Math.ceil(rest.length / 2)) : rest;
    }
    return this.#cut(piece, Math.ceil(piece.length / 2));
  }

  /** Answers those that were landed: the error did not mean them. */
  async #trySuspects(suspects: readonly number[]): Promise<Set<number>> {
    const landed = new Set<number>();
    for (const suspect of suspects) {
      if (this.#isOver) break;
      const refusal = await this.#trial([suspect]);
      if (refusal === undefined) landed.add(suspect);
      else this.#blame(suspect, refusal);
    }
    return landed;
  }

  #blame(row: number, { error, mayPassLater }: Refusal<E>): void {
    (mayPassLater ? this.#later : this.#faults).set(row, error);
    this.#isOut[row] = 1;
    this.#found += 1;
    this.#furthest = Math.max(this.#furthest, row);
  }

  /** Without the rows that are decided on, and not longer than promises to pass soon. */
  #shorten(piece: number[]): number[] {
    const rest = piece.filter((row) => this.#isOut[row] === 0);
    // One fault in a batch is the common case: then everything else is sent at once.
    const size = this.#found === 1 ? Infinity : this.#suggestedSize(this.#furthest);
    return rest.length > size ? this.#cut(rest, size) : rest;
  }

  /** Leaves all but the first rows of a piece to the next one. */
  #cut(piece: number[], length: number): number[] {
    this.#next = piece[length]!;
    return piece.slice(0, length);
  }

  /** `reached`: so many rows have been decided on, about. */
  #suggestedSize(reached: number): number {
    return Math.max(SMALLEST_PIECE, Math.ceil((FAULTS_IN_PIECE * (reached + 1)) / this.#found));
  }

  /** All together, then one by one, for as long as that helps. */
  async #tryLater(): Promise<void> {
    for (let tried = -1; this.#later.size > 0 && this.#later.size !== tried && !this.#isOver;) {
      tried = this.#later.size;
      const rows = [...this.#later.keys()].toSorted((a, b) => a - b);
      if ((await this.#trial(rows)) === undefined) this.#later.clear();
      else if (rows.length > 1) {
        for (const row of rows) if ((await this.#trial([row])) === undefined) this.#later.delete(row);
      }
    }
  }
}
