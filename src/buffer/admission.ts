/** The strategies. Each becomes one function, once, at construction: no `switch` per item. */

import type { BackpressureStrategy, DropReason } from '../vocabulary.js';

/** `admitted`; `full` (only `block` says so: the item stays with the producer); `dropped`. */
export type Outcome = 'admitted' | 'full' | 'dropped';

/** What a strategy can see and do. */
export interface AdmissionStore<T> {
  /** Whether an item of so many bytes may be admitted now. */
  fits(bytes: number): boolean;
  /** Whether it may be once everything queued has been evicted. */
  fitsBesideFlights(bytes: number): boolean;
  /** Whether it never will be, except alone. */
  isOversized(bytes: number): boolean;
  /** Whether the state is above NORMAL. */
  isPressed(): boolean;
  enqueue(item: T, bytes: number, weight: number): Outcome;
  /** Drops the oldest queued item. */
  evictOldest(): void;
  drop(item: T, reason: DropReason): Outcome;
  /** Offered items that the next kept one will stand for, beside itself. */
  unrepresented: number;
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
  return store.drop(item, store.isOversized(bytes) ? 'oversized' : 'rejected');
}

function dropOldest<T>(store: AdmissionStore<T>, item: T, bytes: number): Outcome {
  // An item that cannot fit must not empty the buffer in vain.
  if (store.isOversized(bytes)) return store.drop(item, 'oversized');
  if (!store.fitsBesideFlights(bytes)) return store.drop(item, 'rejected');
  do store.evictOldest();
  while (!store.fits(bytes));
  return store.enqueue(item, bytes, 1);
}

/** A kept item's weight is 1 plus the items sampled out or rejected since the last kept one. */
function sample<T>(store: AdmissionStore<T>, item: T, bytes: number): Outcome {
  if (!store.isPressed()) {
    store.sampling.restart();
  } else if (!store.sampling.keepsNext()) {
    store.unrepresented++;
    return store.drop(item, 'sampled');
  }
  if (!store.fits(bytes)) {
    store.unrepresented++;
    return store.drop(item, store.isOversized(bytes) ? 'oversized' : 'rejected');
  }
  const weight = 1 + store.unrepresented;
  store.unrepresented = 0;
  return store.enqueue(item, bytes, weight);
}

/**
 * Keeps one item of each window of `sampleRate`, at a random place in it: always the first would be blind to whatever repeats with the
 * same period.
 */
export class Sampling {
  readonly #rate: number;
  readonly #random: () => number;
  /** Of the next item in its window. */
  #place = 0;
  #chosen = 0;

  constructor({ sampleRate, random }: AdmissionSettings) {
    this.#rate = sampleRate;
    this.#random = random;
  }

  /** The next item begins a window. */
  restart(): void {
    this.#place = 0;
  }

  keepsNext(): boolean {
    if (this.#place === 0) this.#chosen = Math.floor(this.#random() * this.#rate);
    const kept = this.#place === this.#chosen;
    this.#place = this.#place + 1 === this.#rate ? 0 : this.#place + 1;
    return kept;
  }

  /** So many of the next items are not kept, and end no window: `skipNext` is all there is to do for each of them. */
  get skips(): number {
    if (this.#place === 0) return 0;
    return (this.#place <= this.#chosen ? this.#chosen : this.#rate - 1) - this.#place;
  }

  skipNext(): void {
    this.#place++;
  }
}
