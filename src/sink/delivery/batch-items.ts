import type { FailedItem } from '../../api/options.js';
import type { TakenItems } from '../../buffer/taken-items.js';

/** An item that failed, with its place in the call. */
export interface Failure<T> {
  place: number;
  failed: FailedItem<T>;
}

/**
 * The items of the next call of a batch, with what the queue knew of each.
 *
 *     items    i0  i1  i2 …     place = index in the call, from 0
 *     times    t0  t1  t2 …     when it was admitted
 *     sizes    b0  b1  b2 …     bytes, if they are measured
 *     weights  w0  w1  w2 …     what it stands for, under `sample`
 */
export class BatchItems<T> {
  items: T[];
  weights: Float64Array | undefined;
  #sizes: Float64Array | undefined;
  #times: Float64Array;

  constructor({ items, times, sizes, weights }: TakenItems<T>) {
    this.items = items;
    this.weights = weights;
    this.#sizes = sizes;
    this.#times = times;
  }

  /** When the oldest of the items was admitted. */
  get oldestTime(): number {
    return this.#times[0]!;
  }

  failureAt(place: number, error: Error, isAmbiguous: boolean): Failure<T> {
    const item = this.items[place]!;
    const weight = this.weights?.[place] ?? 1;
    return {
      place,
      failed: isAmbiguous ? { item, error, weight, ambiguous: true } : { item, error, weight },
    };
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
    this.#times = pick(this.#times, places);
  }
}

function pick(lane: Float64Array, places: number[]): Float64Array {
  return Float64Array.from(places, (place) => lane[place]!);
}
