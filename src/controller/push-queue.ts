import type { Clock } from '../common/clock.js';
import { Deadline } from '../common/deadline.js';

interface WaitingPush<T> {
  item: T;
  bytes: number;
  /** When it stops waiting. */
  deadline: number;
  resolve: (admitted: boolean) => void;
  reject: (error: Error) => void;
}

/** Producers that wait for room, first come first served. All wait equally long, so the first one is also the first to give up. */
export class PushQueue<T> {
  readonly #clock: Clock;
  readonly #maxBlockTimeMs: number;
  readonly #onTimeout: (item: T) => void;
  #waiters: WaitingPush<T>[] = [];
  #head = 0;
  readonly #deadline: Deadline;

  constructor(clock: Clock, maxBlockTimeMs: number, onTimeout: (item: T) => void) {
    this.#clock = clock;
    this.#deadline = new Deadline(clock, maxBlockTimeMs, () => this.#onTime());
    this.#maxBlockTimeMs = maxBlockTimeMs;
    this.#onTimeout = onTimeout;
  }

  get length(): number {
    return this.#waiters.length - this.#head;
  }

  enqueue(item: T, bytes: number): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const deadline = this.#clock.now() + this.#maxBlockTimeMs;
      this.#waiters.push({ item, bytes, deadline, resolve, reject });
      if (this.length === 1) this.#setDeadline();
    });
  }

  /** Offers the waiting items in order, until `admit` returns `false`. Then it must have called no listener for that item. */
  admitWaiting(admit: (item: T, bytes: number) => boolean): void {
    if (this.length === 0) return;
    try {
      while (this.length > 0) {
        const waiter = this.#waiters[this.#head]!;
        // Taken out first: a listener who ends everything must not find here what has been admitted.
        this.#head++;
        if (!admit(waiter.item, waiter.bytes)) {
          this.#head--;
          return;
        }
        this.#compact();
        waiter.resolve(true);
      }
    } finally {
      this.#setDeadline();
    }
  }

  /** Rejects every waiting push, and returns their items. */
  rejectAll(error: Error): T[] {
    const waiters = this.#waiters.slice(this.#head);
    this.#waiters = [];
    this.#head = 0;
    this.#setDeadline();
    for (const waiter of waiters) waiter.reject(error);
    return waiters.map(({ item }) => item);
  }

  items(): T[] {
    return this.#waiters.slice(this.#head).map(({ item }) => item);
  }

  /** Moved down only when half is gone: O(1) per waiter. */
  #compact(): void {
    if (this.#head * 2 <= this.#waiters.length) return;
    this.#waiters = this.#waiters.slice(this.#head);
    this.#head = 0;
  }

  #setDeadline(): void {
    this.#deadline.set(this.length === 0 ? Infinity : this.#waiters[this.#head]!.deadline);
  }

  #onTime(): void {
    const now = this.#clock.now();
    while (this.length > 0 && this.#waiters[this.#head]!.deadline <= now) {
      const { item, resolve } = this.#waiters[this.#head++]!;
      this.#compact();
      this.#onTimeout(item);
      resolve(false);
    }
    this.#setDeadline();
  }
}
