/** Callers of `flush()` and `drain()`, kept until the items that they wait for have settled. */

import type { Clock } from '../../common/clock.js';
import { Deadline } from '../../common/deadline.js';
import { handled } from '../../guards/user-callbacks.js';

/** Where the engine stands, counted in items. All only grow, except that an offer may be taken back. */
export interface Progress {
  /** Items that have ever stood in line, waiting. */
  arrived: number;
  /** Items that have left that line, first come first served, whatever became of them. */
  decided: number;
  /** Ordinal that the next admitted item will get. */
  admitted: number;
  /** Every admitted item below this ordinal has settled. */
  settledBelow: number;
}

/** One caller, a link of the list. */
export interface FlushWaiter {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
  /** What callers share that wait for the same items. */
  readonly promise: Promise<void> | undefined;
  /** It waits for so many arrivals to be decided, */
  arrivals: number;
  /** and then for the admitted ones among them, those below this ordinal. `Infinity` until all of them are decided. */
  admittedBelow: number;
  isOpen: boolean;
  previous: FlushWaiter | undefined;
  next: FlushWaiter | undefined;
}

/**
 * A queue: items are decided in the order in which they arrive, so a later caller never waits for less than an earlier one.
 *
 *     #first ………………………… #undecided ………………… #last
 *     admittedBelow known    admittedBelow Infinity
 *     ← reached first
 *
 * Every operation takes constant time for each caller that it adds, removes or passes over. The list is doubly linked so that one caller can
 * leave from the middle.
 */
export class FlushWaiters {
  #first: FlushWaiter | undefined;
  #last: FlushWaiter | undefined;
  #undecided: FlushWaiter | undefined;

  get isEmpty(): boolean {
    return this.#first === undefined;
  }

  /** Resolves when everything that has arrived so far has settled. Nobody needs to handle its rejection. */
  settled(progress: Progress): Promise<void> {
    const { arrived, decided, admitted, settledBelow } = progress;
    this.check(progress);
    if (decided >= arrived && settledBelow >= admitted) return Promise.resolve();
    const last = this.#last;
    if (last?.promise !== undefined && last.arrivals === arrived) return last.promise;
    let resolve!: () => void;
    let reject!: (error: Error) => void;
    const promise = new Promise<void>((keep, fail) => {
      resolve = keep;
      reject = fail;
    });
    this.#append(progress, resolve, reject, promise);
    return promise;
  }

  /** Calls `resolve` once everything that has arrived so far has settled; at once if it has. The caller can be withdrawn. */
  addWaiter(progress: Progress, resolve: () => void, reject: (error: Error) => void): FlushWaiter {
    this.#limitTo(progress.arrived);
    return this.#append(progress, resolve, reject, undefined);
  }

  /** As `settled`, but rejects with `makeError()` after `timeoutMs`, and no longer waits then. */
  settledWithin(progress: Progress, clock: Clock, timeoutMs: number, makeError: () => Error): Promise<void> {
    if (timeoutMs === Infinity) return this.settled(progress);
    const settled = new Promise<void>((resolve, reject) => {
      const deadline = new Deadline(clock, timeoutMs, () => {
        // Otherwise callers that give up, one after another, would pile up for as long as an outage lasts.
        this.withdraw(waiter);
        reject(makeError());
      });
      deadline.start();
      const waiter = this.addWaiter(
        progress,
        () => {
          deadline.clear();
          resolve();
        },
        (error) => {
          deadline.clear();
          reject(error);
        },
      );
    });
    return handled(settled);
  }

  /** An offer may have been taken back: those who called in the middle of it wait for one item too many. */
  #limitTo(arrived: number): void {
    for (let waiter = this.#last; waiter !== undefined && waiter.arrivals > arrived; waiter = waiter.previous)
      waiter.arrivals = arrived;
  }

  #append(
    progress: Progress,
    resolve: () => void,
    reject: (error: Error) => void,
    promise: Promise<void> | undefined,
  ): FlushWaiter {
    const waiter: FlushWaiter = {
      resolve,
      reject,
      promise,
      arrivals: progress.arrived,
      admittedBelow: Infinity,
      isOpen: true,
      previous: this.#last,
      next: undefined,
    };
    if (this.#last === undefined) this.#first = waiter;
    else this.#last.next = waiter;
    this.#last = waiter;
    this.#undecided ??= waiter;
    this.check(progress);
    return waiter;
  }

  /** Removes a caller that no longer waits, if it still does. Nothing is called. */
  withdraw(waiter: FlushWaiter): void {
    if (waiter.isOpen) this.#remove(waiter);
  }

  /** Returns whether somebody waits for the queued item with this ordinal. */
  covers(head: number): boolean {
    return this.#last !== undefined && this.#last.admittedBelow > head;
  }

  /** Resolves those whose items have settled, in the order of their calls. */
  check({ arrived, decided, admitted, settledBelow }: Progress): void {
    this.#limitTo(arrived);
    while (this.#undecided !== undefined && this.#undecided.arrivals <= decided) {
      // Items are decided in the order in which they came: those admitted by now are the ones that were meant.
      this.#undecided.admittedBelow = admitted;
      this.#undecided = this.#undecided.next;
    }
    for (let waiter = this.#first; waiter !== undefined; waiter = this.#first) {
      if (waiter.admittedBelow > settledBelow) return;
      this.#remove(waiter);
      waiter.resolve();
    }
  }

  /** Rejects those that wait for a queued or waiting item, in the order of their calls: no further flush will come. */
  rejectFrom(head: number, makeError: () => Error): void {
    let first: FlushWaiter | undefined;
    for (let waiter = this.#last; waiter !== undefined; waiter = waiter.previous) {
      if (waiter.admittedBelow <= head) break;
      first = waiter;
    }
    if (first !== undefined) this.#rejectAfter(first.previous, makeError());
  }

  rejectAll(error: Error): void {
    this.#rejectAfter(undefined, error);
  }

  #rejectAfter(last: FlushWaiter | undefined, error: Error): void {
    const rejected: FlushWaiter[] = [];
    for (
      let waiter = last === undefined ? this.#first : last.next;
      waiter !== undefined;
      waiter = waiter.next
    )
      rejected.push(waiter);
    for (const waiter of rejected) this.#remove(waiter);
    for (const { promise, reject } of rejected) {
      // The stream's error or the next call reports the failure, too. To mark it only now spares each caller a second promise.
      if (promise !== undefined) void handled(promise);
      reject(error);
    }
  }

  #remove(waiter: FlushWaiter): void {
    const { previous, next } = waiter;
    if (previous === undefined) this.#first = next;
    else previous.next = next;
    if (next === undefined) this.#last = previous;
    else next.previous = previous;
    if (this.#undecided === waiter) this.#undecided = next;
    waiter.isOpen = false;
    waiter.previous = undefined;
    waiter.next = undefined;
  }
}
