/**
 * The cooperative yield: work through many rows or records asks here, every few of them, whether to let the event loop go on.
 *
 * One turn lasts from one check phase of the loop to the next. All work of the process shares the turn's budget, because batches of several
 * connections are encoded side by side:
 *
 *     first `isSpent` of a turn   the time begins to count, and the end of the turn is awaited
 *     `isSpent` after BUDGET_MS   true: the caller stops, and awaits `nextTurn()`
 *     next turn                   one waiter goes on, the one that has waited longest; each of the others has a turn of its own
 *
 * In between, the loop deals with what I/O has brought. Ask after a piece of work, never before it: then every turn makes progress.
 */

/** What is left of 10 ms is for the caller's own code, for garbage collection and for the last piece of work. */
const BUDGET_MS = 4;

/** What a budget needs of the process. Tests give their own. */
export interface TurnSource {
  /** Milliseconds. */
  now(): number;
  /** Calls back once the event loop has looked at I/O. */
  onNextTurn(callback: () => void): void;
}

// The real ones: a test's stand-in may never be run.
const realNow = performance.now.bind(performance);
const realSetImmediate = setImmediate;

const PROCESS: TurnSource = {
  now: realNow,
  onNextTurn: (callback) => {
    realSetImmediate(callback);
  },
};

export class TurnBudget {
  readonly #source: TurnSource;
  /** When the work of this turn began. Undefined: there was none yet. */
  #begunAt: number | undefined;
  #waiters: (() => void)[] = [];
  /** When `isSpent` was asked last. */
  lastLookAt = 0;
  /** Counts the turns in which there was work. */
  turn = 0;

  constructor(source: TurnSource = PROCESS) {
    this.#source = source;
  }

  /** Whether the work of this turn has taken its time. */
  get isSpent(): boolean {
    const now = this.#source.now();
    this.lastLookAt = now;
    if (this.#begunAt === undefined) this.#begin(now);
    return now - this.#begunAt! >= BUDGET_MS;
  }

  /** Whether work is waiting for a later turn. */
  get isAwaited(): boolean {
    return this.#waiters.length > 0;
  }

  /** Resolves in a later turn, with a budget that is whole again. */
  nextTurn(): Promise<void> {
    return new Promise((resolve) => {
      this.onNextTurn(resolve);
    });
  }

  /** The same, for code that calls back. */
  onNextTurn(callback: () => void): void {
    this.#waiters.push(callback);
    if (this.#begunAt === undefined) this.#begin(this.#source.now());
  }

  #begin(now: number): void {
    this.#begunAt = now;
    this.turn += 1;
    this.#source.onNextTurn(this.#onNextTurn);
  }

  readonly #onNextTurn = (): void => {
    this.#begunAt = undefined;
    const waiter = this.#waiters.shift();
    if (waiter === undefined) return;
    // Also watches over the next waiter's turn.
    this.#begin(this.#source.now());
    waiter();
  };
}

/** That of the process: there is one event loop. */
export const turnBudget = new TurnBudget();

/** With fewer looks at the clock they would come too late; with more, they would cost as much as the work. */
const LOOK_AFTER_MS = { least: 0.1, most: 0.4 };

/** How many pieces of work may lie between two looks at the clock. */
export interface Strides {
  readonly first: number;
  readonly most: number;
}

const ROW_STRIDES: Strides = { first: 1, most: 1024 };

/** A loop's own view of the budget. It looks at the clock every few pieces of work: the slower they are, the more often. */
export class WorkPacer {
  readonly #budget: TurnBudget;
  readonly #mostBetweenLooks: number;
  #stride: number;
  #left: number;
  #lookedAt = -Infinity;
  /** Of the last look. What lies between two turns is no work. */
  #turn = -1;

  constructor(budget: TurnBudget = turnBudget, { first, most }: Strides = ROW_STRIDES) {
    this.#budget = budget;
    this.#stride = first;
    this.#left = first;
    this.#mostBetweenLooks = most;
  }

  /** So many pieces of work lie between the last look and the next. */
  get stride(): number {
    return this.#stride;
  }

  /** Call it after each piece of work. True: await `nextTurn()` before the next one. */
  isTurnSpent(): boolean {
    this.#left -= 1;
    return this.#left <= 0 && this.look();
  }

  nextTurn(): Promise<void> {
    return this.#budget.nextTurn();
  }

  onNextTurn(callback: () => void): void {
    this.#budget.onNextTurn(callback);
  }

  /** The same for a loop that counts the pieces itself: call it after `stride` of them. */
  look(): boolean {
    const isSpent = this.#budget.isSpent;
    const { lastLookAt: now, turn } = this.#budget;
    const elapsedMs = now - this.#lookedAt;
    if (turn === this.#turn) {
      if (elapsedMs > LOOK_AFTER_MS.most) this.#stride = Math.max(1, this.#stride >> 1);
      else if (elapsedMs < LOOK_AFTER_MS.least)
        this.#stride = Math.min(this.#mostBetweenLooks, 2 * this.#stride);
    }
    this.#turn = turn;
    this.#lookedAt = now;
    this.#left = this.#stride;
    return isSpent;
  }
}

/** Runs `step` for each number below `count`, in as many turns as it takes. */
export async function forEachInTurns(
  count: number,
  step: (index: number) => unknown,
  pacer = new WorkPacer(),
): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    step(index);
    if (pacer.isTurnSpent()) await pacer.nextTurn();
  }
}
