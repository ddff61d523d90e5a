/** The strategies. Each becomes one function, once, at construction: no `switch` per item. */

import type { BackpressureStrategy, DropReason } from '../api/states.js';

/** `admitted`; `full` (only `block` says so: the item stays with the producer); `dropped`. */
export type Outcome = 'admitted' | 'full' | 'dropped';

/** What a strategy can see and do. */
export interface AdmissionStore<T> {
  /** Whether an item of so many bytes may be admitted now. */
  fits(bytes: number): boolean;
  /** Whether it may be once everything queued has been evicted. */
  fitsBesideInFlight(bytes: number): boolean;
  /** Whether it never will be, except alone. */
  isOversized(bytes: number): boolean;
  /** Whether the state is above NORMAL. */
  isPressed(): boolean;
  enqueue(item: T, bytes: number, weight: number): Outcome;
  /** Drops the oldest queued item. */
  evictOldest(): void;
  dropWaiting(item: T, reason: DropReason): Outcome;
  readonly sampling: Sampling;
}

/** Decides on one item. Takes the store as an argument: one function for all streams is one that the engine of V8 inlines. */
export type Admission<T> = (store: AdmissionStore<T>, item: T, bytes: number) => Outcome;

export interface AdmissionSettings {
  strategy: BackpressureStrategy;
  sampleRate: number;
  random: () => number;
}

export function createAdmission<T>(settings: AdmissionSettings): Admission<T> {
  switch (settings.strategy) {
    case 'block':
      return block;
    case 'drop_oldest':
      return dropOldest;
    case 'drop_newest':
      return dropNewest;
    case 'sample':
      return sample;
    default:
      return settings.strategy satisfies never;
  }
}

// ── what to do where there is no room ──

function block(): Outcome {
  return 'full';
}

function dropNewest<T>(store: AdmissionStore<T>, item: T, bytes: number): Outcome {
  return store.dropWaiting(item, store.isOversized(bytes) ? 'oversized' : 'rejected');
}

function dropOldest<T>(store: AdmissionStore<T>, item: T, bytes: number): Outcome {
  // Do not empty the buffer for an item that does not fit even then.
  if (store.isOversized(bytes)) return store.dropWaiting(item, 'oversized');
  if (!store.fitsBesideInFlight(bytes)) return store.dropWaiting(item, 'rejected');
  do store.evictOldest();
  while (!store.fits(bytes));
  return store.enqueue(item, bytes, 1);
}

/**
 * In NORMAL keeps every item; above it, one item of each window of `sampleRate`.
 *
 * A kept item's weight is the inverse of the probability with which it was kept, plus the items before its window that no kept item stands
 * for (rejected ones). So the weighted sum of each subgroup is unbiased, and the sum of weights plus `unrepresented` is exactly what was
 * offered. Within a window `unrepresented` also counts the difference between the items seen and the weight given, and may be negative.
 *
 * A window that has begun is finished, even if the pressure ends in it. Whether the pressure ends depends on whether an item was kept: to
 * cut a window short there would favour its first items.
 *
 * Source: D. G. Horvitz and D. J. Thompson, "A Generalization of Sampling Without Replacement From a Finite Universe", Journal of the
 * American Statistical Association 47 (1952), 663–685.
 */
function sample<T>(store: AdmissionStore<T>, item: T, bytes: number): Outcome {
  const { sampling } = store;
  // Of the window: how many items the kept one stands for, and how many of these have come before.
  let share = 1;
  let seen = 0;
  if (sampling.isOpen || store.isPressed()) {
    share = sampling.rate;
    seen = sampling.place;
    if (!sampling.keepsNext()) return store.dropWaiting(item, 'sampled');
  }
  if (!store.fits(bytes)) return store.dropWaiting(item, store.isOversized(bytes) ? 'oversized' : 'rejected');
  const weight = share + sampling.unrepresented - seen;
  sampling.unrepresented += 1 - weight;
  return store.enqueue(item, bytes, weight);
}

/** Keeps one item of each window of `rate`, at a random place in it: a fixed place would be blind to what repeats with the same period. */
export class Sampling {
  readonly rate: number;
  /** Offered items less the weights of the kept ones (`shed` items excluded). Negative within a window whose kept item has come early. */
  unrepresented = 0;
  readonly #random: () => number;
  #place = 0;
  #chosen = 0;

  constructor({ sampleRate, random }: AdmissionSettings) {
    this.rate = sampleRate;
    this.#random = random;
  }

  /** The place of the next item in its window, from 0. */
  get place(): number {
    return this.#place;
  }

  /** A window has begun and lacks items. */
  get isOpen(): boolean {
    return this.#place > 0;
  }

  keepsNext(): boolean {
    if (this.#place === 0) this.#chosen = Math.floor(this.#random() * this.rate);
    const kept = this.#place === this.#chosen;
    this.#place = this.#place + 1 === this.rate ? 0 : this.#place + 1;
    return kept;
  }

  /** So many of the next items are not kept, and end no window: `skipNext` is all there is to do for each of them. */
  get skips(): number {
    if (this.#place === 0) return 0;
    return (this.#place <= this.#chosen ? this.#chosen : this.rate - 1) - this.#place;
  }

  skipNext(): void {
    this.#place++;
  }
}
