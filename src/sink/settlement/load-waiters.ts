/** Callers of `whenBelow()`, kept until the load has fallen below what each of them asked for. */

import { handled } from '../../guards/user-callbacks.js';

/** All callers that wait for the same load share one of these, and its promise. */
interface LoadWaiter {
  /** They wait for a load below this one. */
  readonly below: number;
  /** The place of the first of them among all calls. */
  readonly order: number;
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/**
 * A binary heap: the load that is reached first, the highest `below`, is its root, and the children of `i` are `2i + 1` and `2i + 2`.
 * To add or to remove one takes O(log n), and to see that none is reached takes O(1).
 */
export class LoadWaiters {
  #heap: LoadWaiter[] = [];
  #byLoad: Map<number, LoadWaiter> | undefined;
  #calls = 0;

  get isEmpty(): boolean {
    return this.#heap.length === 0;
  }

  /** Resolves once the load is less than `below`. Nobody needs to handle its rejection. */
  reached(below: number, load: number): Promise<void> {
    if (load < below) return Promise.resolve();
    this.#byLoad ??= new Map();
    let waiter = this.#byLoad.get(below);
    if (waiter === undefined) {
      waiter = makeWaiter(below, this.#calls++);
      this.#byLoad.set(below, waiter);
      this.#heap.push(waiter);
      this.#rise();
    }
    return waiter.promise;
  }

  /** Resolves those that are reached, in the order of their first calls. */
  check(load: number): void {
    if (this.#heap.length === 0 || this.#heap[0]!.below <= load) return;
    const reached: LoadWaiter[] = [];
    while (this.#heap.length > 0 && this.#heap[0]!.below > load) reached.push(this.#removeRoot());
    for (const { resolve } of reached.sort(byCall)) resolve();
  }

  rejectAll(error: Error): void {
    const waiters = this.#heap.sort(byCall);
    this.#heap = [];
    this.#byLoad = undefined;
    for (const { promise, reject } of waiters) {
      void handled(promise);
      reject(error);
    }
  }

  #removeRoot(): LoadWaiter {
    const heap = this.#heap;
    const root = heap[0]!;
    this.#byLoad!.delete(root.below);
    const last = heap.pop()!;
    if (heap.length > 0) {
      heap[0] = last;
      this.#sink();
    }
    return root;
  }

  /** Moves the last one up to its place. */
  #rise(): void {
    const heap = this.#heap;
    let place = heap.length - 1;
    const waiter = heap[place]!;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (heap[parent]!.below >= waiter.below) break;
      heap[place] = heap[parent]!;
      place = parent;
    }
    heap[place] = waiter;
  }

  /** Moves the root down to its place. */
  #sink(): void {
    const heap = this.#heap;
    const waiter = heap[0]!;
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]!.below > heap[child]!.below) child++;
      if (heap[child]!.below <= waiter.below) break;
      heap[place] = heap[child]!;
      place = child;
    }
    heap[place] = waiter;
  }
}

function makeWaiter(below: number, order: number): LoadWaiter {
  let resolve!: () => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<void>((keep, fail) => {
    resolve = keep;
    reject = fail;
  });
  return { below, order, promise, resolve, reject };
}

function byCall(a: LoadWaiter, b: LoadWaiter): number {
  return a.order - b.order;
}
