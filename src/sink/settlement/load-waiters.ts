/** Callers of `whenBelow()`, kept until the load has fallen below what each of them asked for. */

interface LoadWaiter {
  /** It waits for a load below this one. */
  readonly below: number;
  /** Its place among all calls. */
  readonly order: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/**
 * A binary heap: the caller that is reached first, with the highest `below`, is its root, and the children of `i` are `2i + 1` and
 * `2i + 2`. To add or to remove one takes O(log n), and to see that none is reached takes O(1).
 */
export class LoadWaiters {
  #heap: LoadWaiter[] = [];
  #calls = 0;

  get isEmpty(): boolean {
    return this.#heap.length === 0;
  }

  /** Calls `resolve` once the load is less than `below`; at once if it is. */
  add(below: number, load: number, resolve: () => void, reject: (error: Error) => void): void {
    if (load < below) return resolve();
    this.#heap.push({ below, order: this.#calls++, resolve, reject });
    this.#rise(this.#heap.length - 1);
  }

  /** Resolves those that are reached, in the order of their calls. */
  check(load: number): void {
    if (this.#heap.length === 0 || this.#heap[0]!.below <= load) return;
    const reached: LoadWaiter[] = [];
    while (this.#heap.length > 0 && this.#heap[0]!.below > load) reached.push(this.#removeRoot());
    for (const { resolve } of reached.sort(byCall)) resolve();
  }

  rejectAll(error: Error): void {
    const waiters = this.#heap.sort(byCall);
    this.#heap = [];
    for (const { reject } of waiters) reject(error);
  }

  #removeRoot(): LoadWaiter {
    const heap = this.#heap;
    const root = heap[0]!;
    const last = heap.pop()!;
    if (heap.length > 0) {
      heap[0] = last;
      this.#sink();
    }
    return root;
  }

  #rise(start: number): void {
    const heap = this.#heap;
    const waiter = heap[start]!;
    let place = start;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (heap[parent]!.below >= waiter.below) break;
      heap[place] = heap[parent]!;
      place = parent;
    }
    heap[place] = waiter;
  }

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

function byCall(a: LoadWaiter, b: LoadWaiter): number {
  return a.order - b.order;
}
