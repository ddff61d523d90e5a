import type { FailedItem } from '../../api/options.js';
import type { TakenItems } from '../../buffer/ring-buffer.js';

/** What an item fails with if it is not called again. */
export interface FailureCause {
  error: Error;
  /** The item may have arrived all the same. */
  isAmbiguous: boolean;
}

/**
 * The items of the next call of a batch, with what is known of each.
 *
 *     items    i0  i1  i2 …     place = index in the call, from 0
 *     times    t0  t1  t2 …     when it was admitted
 *     sizes    b0  b1  b2 …     bytes, if they are measured
 *     weights  w0  w1  w2 …     what it stands for, under `sample`
 *     causes   c0  c1  c2 …     why the last call failed, if not for all of them alike
 */
export class BatchItems<T> {
  items: T[];
  weights: Float64Array | undefined;
  /** When the oldest of the items was admitted. */
  oldestTime: number;
  /** A call's outcome is unknown: it may have delivered what a later call reports as failed. */
  hasUnknownOutcome = false;
  #sizes: Float64Array | undefined;
  /** Nothing if all are `oldestTime`. */
  #times: Float64Array | undefined;
  #causes: FailureCause | (FailureCause | undefined)[] = [];

  constructor({ items, oldestTime, times, sizes, weights }: TakenItems<T>) {
    this.items = items;
    this.weights = weights;
    this.#sizes = sizes;
    this.oldestTime = oldestTime;
    this.#times = times;
  }

  /** Notes why items failed: all for one cause, or each for that at its place. */
  setCauses(causes: FailureCause | (FailureCause | undefined)[]): void {
    this.#causes = causes;
  }

  causeAt(place: number): FailureCause {
    return Array.isArray(this.#causes) ? this.#causes[place]! : this.#causes;
  }

  /** The errors of all items, if each has failed. */
  errors(): Error[] {
    return (Array.isArray(this.#causes) ? this.#causes : [this.#causes]).map((cause) => cause!.error);
  }

  failureAt(place: number): FailedItem<T> {
    const item = this.items[place]!;
    const weight = this.weights?.[place] ?? 1;
    const { error, isAmbiguous } = this.causeAt(place);
    return isAmbiguous || this.hasUnknownOutcome
      ? { item, error, weight, ambiguous: true }
      : { item, error, weight };
  }

  /** The places of all items. */
  places(): number[] {
    return this.items.map((_, place) => place);
  }

  /** The places of some of the items, which are in the order of the call. */
  placesOf(items: readonly T[]): number[] {
    const places: number[] = [];
    for (const [place, item] of this.items.entries())
      if (places.length < items.length && Object.is(item, items[places.length])) places.push(place);
    return places;
  }

  itemsAt(places: number[]): T[] {
    return places.map((place) => this.items[place]!);
  }

  weightsAt(places: number[]): Float64Array | undefined {
    return this.weights && pick(this.weights, places);
  }

  bytesAt(places: number[]): number {
    const sizes = this.#sizes;
    return sizes === undefined ? 0 : places.reduce((sum, place) => sum + sizes[place]!, 0);
  }

  /** Narrows the batch to the items that are called again. */
  narrowTo(places: number[]): void {
    if (places.length === this.items.length) return;
    this.items = this.itemsAt(places);
    this.#sizes = this.#sizes && pick(this.#sizes, places);
    this.weights = this.weightsAt(places);
    this.oldestTime = this.#times?.[places[0]!] ?? this.oldestTime;
    this.#times = this.#times && pick(this.#times, places);
    if (Array.isArray(this.#causes)) this.#causes = places.map((place) => this.causeAt(place));
  }
}

function pick(lane: Float64Array, places: number[]): Float64Array {
  return Float64Array.from(places, (place) => lane[place]!);
}
