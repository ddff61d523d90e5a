/** The promises of `flush()`, `drain()` and `whenBelow()`: kept until what they wait for has come. */

/** Where the engine stands. */
export interface Progress {
  /** Items that have ever stood in line, waiting. */
  lined: number;
  /** Items that have left that line, first come first served, whatever became of them. */
  decided: number;
  /** Ordinal that the next admitted item will get. */
  admitted: number;
  /** Every admitted item below this ordinal has settled. */
  settledBelow: number;
  /** Queued plus in flight. */
  load: number;
}

interface Milestone {
  /** Offered items that it covers; once they are decided, `admittedMark` is known. */
  decidedMark: number;
  admittedMark: number | undefined;
  /** Or: the load that it waits to be below. */
  below: number | undefined;
  promise: Promise<void>;
  resolve: () => void;
  reject: (error: Error) => void;
}

export class Milestones {
  #open: Milestone[] = [];

  get isEmpty(): boolean {
    return this.#open.length === 0;
  }

  /** Resolves when everything offered so far has settled. */
  settled(progress: Progress): Promise<void> {
    return this.#add({ decidedMark: progress.lined, admittedMark: undefined, below: undefined }, progress);
  }

  below(load: number, progress: Progress): Promise<void> {
    return this.#add({ decidedMark: 0, admittedMark: undefined, below: load }, progress);
  }

  /** Whether somebody waits for an item with this ordinal, which is queued. */
  covers(head: number): boolean {
    return this.#open.some((milestone) => waitsForFlush(milestone, head));
  }

  /** Nobody waits for this promise any more; it stays pending. */
  withdraw(promise: Promise<void>): void {
    this.#takeOut((open) => open.promise === promise);
  }

  check(progress: Progress): void {
    if (this.#open.length === 0) return;
    for (const milestone of this.#takeOut((open) => isReached(open, progress))) milestone.resolve();
  }

  rejectAll(error: Error): void {
    const open = this.#open;
    this.#open = [];
    for (const milestone of open) milestone.reject(error);
  }

  /** Those of `flush()` that wait for an item which is queued, or not even that: no further flush will come. */
  rejectFlushes(head: number, error: Error): void {
    for (const milestone of this.#takeOut((open) => waitsForFlush(open, head))) milestone.reject(error);
  }

  #takeOut(isMeant: (milestone: Milestone) => boolean): Milestone[] {
    const out: Milestone[] = [];
    const left: Milestone[] = [];
    for (const milestone of this.#open) (isMeant(milestone) ? out : left).push(milestone);
    this.#open = left;
    return out;
  }

  #add(marks: Pick<Milestone, 'decidedMark' | 'admittedMark' | 'below'>, progress: Progress): Promise<void> {
    let resolve!: () => void;
    let reject!: (error: Error) => void;
    const promise = new Promise<void>((keep, fail) => {
      resolve = keep;
      reject = fail;
    });
    const milestone = { ...marks, promise, resolve, reject };
    if (isReached(milestone, progress)) resolve();
    else this.#open.push(milestone);
    // The failure is told by the stream's error or the next call; one who does not await this promise needs no second report.
    promise.catch(() => undefined);
    return promise;
  }
}

function waitsForFlush({ below, admittedMark }: Milestone, head: number): boolean {
  return below === undefined && (admittedMark === undefined || admittedMark > head);
}

function isReached(milestone: Milestone, progress: Progress): boolean {
  if (milestone.below !== undefined) return progress.load < milestone.below;
  if (milestone.admittedMark === undefined && progress.decided >= milestone.decidedMark) {
    // Items are decided in the order in which they came: those admitted by now are the ones that were meant.
    milestone.admittedMark = progress.admitted;
  }
  return milestone.admittedMark !== undefined && progress.settledBelow >= milestone.admittedMark;
}
