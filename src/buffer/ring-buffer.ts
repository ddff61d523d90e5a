/**
 * First in, first out, in an array that wraps around. Storage only: it asserts, it never decides.
 *
 * It grows by doubling, so that a large capacity costs memory only when it is used. Numbers that travel with an item (when it was
 * admitted, its bytes, its weight) lie in typed arrays beside the items: no object per item.
 */

/** Typed arrays of at most 64 bytes lie in V8's heap: larger ones cost a short-lived stream an allocation outside of it, and its collection. */
const INITIAL_SLOTS = 8;

/** Which numbers are kept per item. */
export interface RingLanes {
  times?: boolean;
  bytes?: boolean;
  weights?: boolean;
}

export class RingBuffer<T> {
  /** Only as long as it has ever been used. It grows slot by slot: `new Array(n)` would be holey, and so would every batch cut out of it. */
  #items: (T | undefined)[] = [];
  #times: Float64Array | undefined;
  #bytes: Float64Array | undefined;
  #weights: Float64Array | undefined;
  #head = 0;
  /** The slot of the next item. */
  #tail = 0;
  #size = 0;
  #mask = INITIAL_SLOTS - 1;

  constructor(lanes: RingLanes = {}) {
    if (lanes.times) this.#times = new Float64Array(INITIAL_SLOTS);
    if (lanes.bytes) this.#bytes = new Float64Array(INITIAL_SLOTS);
    if (lanes.weights) this.#weights = new Float64Array(INITIAL_SLOTS);
  }

  get size(): number {
    return this.#size;
  }

  push(item: T, time = 0, bytes = 0, weight = 1): void {
    if (this.#size > this.#mask) this.#grow();
    const slot = this.#tail;
    this.#items[slot] = item;
    if (this.#times !== undefined) this.#times[slot] = time;
    if (this.#bytes !== undefined) this.#bytes[slot] = bytes;
    if (this.#weights !== undefined) this.#weights[slot] = weight;
    this.#tail = (slot + 1) & this.#mask;
    this.#size++;
  }

  /** The oldest item, taken out. Assert `size > 0` first: `undefined` may be an item. */
  shift(): T {
    const slot = this.#head;
    const item = this.#items[slot] as T;
    this.#items[slot] = undefined;
    this.#head = (slot + 1) & this.#mask;
    this.#size--;
    return item;
  }

  /** The item at `index`, counted from the oldest one; `index` must be below `size`. */
  itemAt(index: number): T {
    return this.#items[(this.#head + index) & this.#mask] as T;
  }

  /** When the oldest item was admitted. */
  oldestTime(): number {
    return this.#times![this.#head]!;
  }

  /** How many of the `count` oldest items were admitted at `time` or before. Items are in the order of their times. */
  countUntil(time: number, count: number): number {
    const times = this.#times!;
    const isIn = (index: number) => times[(this.#head + index) & this.#mask]! <= time;
    // Mostly all of them.
    if (isIn(count - 1)) return count;
    let least = 0;
    let most = count - 1;
    while (least < most) {
      const middle = (least + most) >> 1;
      if (isIn(middle)) least = middle + 1;
      else most = middle;
    }
    return least;
  }

  bytesAt(index: number): number {
    return this.#bytes === undefined ? 0 : this.#bytes[(this.#head + index) & this.#mask]!;
  }

  /** The sizes of the `count` oldest items, or nothing where sizes are not kept. */
  copyBytes(count: number): Float64Array | undefined {
    return this.#bytes && this.#copyLane(this.#bytes, count);
  }

  /** When the `count` oldest items were admitted, or nothing if at one time: mostly they came in one turn of the event loop. */
  copyTimes(count: number): Float64Array | undefined {
    const times = this.#times!;
    const newest = times[(this.#head + count - 1) & this.#mask]!;
    return newest > times[this.#head]! ? this.#copyLane(times, count) : undefined;
  }

  copyWeights(count: number): Float64Array | undefined {
    return this.#weights && this.#copyLane(this.#weights, count);
  }

  /** Takes the `count` oldest items out; `count` must not exceed `size`. */
  take(count: number): T[] {
    const end = this.#head + count;
    const slots = this.#mask + 1;
    let taken: (T | undefined)[];
    if (end <= slots) {
      taken = this.#items.slice(this.#head, end);
      this.#items.fill(undefined, this.#head, end);
    } else {
      taken = this.#items.slice(this.#head, slots).concat(this.#items.slice(0, end - slots));
      this.#items.fill(undefined, this.#head, slots);
      this.#items.fill(undefined, 0, end - slots);
    }
    this.#head = end & this.#mask;
    this.#size -= count;
    return taken as T[];
  }

  /** A copy of everything, oldest first. */
  toArray(): T[] {
    return Array.from({ length: this.#size }, (_, index) => this.itemAt(index));
  }

  #copyLane(lane: Float64Array, count: number): Float64Array {
    const end = this.#head + count;
    // Not `subarray`, which gives a small array of V8's heap a buffer outside of it.
    if (end <= lane.length) return lane.slice(this.#head, end);
    const copy = new Float64Array(count);
    const untilWrap = lane.length - this.#head;
    copy.set(lane.subarray(this.#head));
    copy.set(lane.subarray(0, count - untilWrap), untilWrap);
    return copy;
  }

  #grow(): void {
    const size = this.#size;
    const slots = (this.#mask + 1) * 2;
    const grow = (lane: Float64Array | undefined) => {
      if (lane === undefined) return undefined;
      const grown = new Float64Array(slots);
      grown.set(this.#copyLane(lane, size));
      return grown;
    };
    this.#times = grow(this.#times);
    this.#bytes = grow(this.#bytes);
    this.#weights = grow(this.#weights);
    // Full: every slot is in use.
    this.#items = this.#items.slice(this.#head).concat(this.#items.slice(0, this.#head));
    this.#head = 0;
    this.#tail = size;
    this.#mask = slots - 1;
  }
}

/** Items that were taken out together and are now in flight. */
export interface TakenItems<T> {
  items: T[];
  /** Ordinal of the first one among all admitted items, counted from 0. */
  first: number;
  /** When the oldest was admitted. */
  oldestTime: number;
  /** When each was admitted; nothing if all were at `oldestTime`. */
  times: Float64Array | undefined;
  sizes: Float64Array | undefined;
  weights: Float64Array | undefined;
  bytes: number;
}

/** Takes the `count` oldest items out, with the numbers that belong to them. */
export function takeItems<T>(ring: RingBuffer<T>, first: number, count: number): TakenItems<T> {
  const oldestTime = ring.oldestTime();
  const times = ring.copyTimes(count);
  const sizes = ring.copyBytes(count);
  const weights = ring.copyWeights(count);
  let bytes = 0;
  if (sizes !== undefined) for (const size of sizes) bytes += size;
  return { items: ring.take(count), first, oldestTime, times, sizes, weights, bytes };
}
