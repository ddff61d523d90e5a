/** The items whose values lie in the read buffer of Node: pushed, and not read. */

interface Entry<In> {
  /** The item, or the items of an array; of a mapped value, what it was made of. */
  source: In | In[] | undefined;
  isArray: boolean;
  /** How many items settle with it. */
  count: number;
  bytes: number;
  units: number;
  /** When its oldest item was admitted, or put back. */
  time: number;
  /** Of a chunk of text: the bytes of a character that began before it. */
  begun: Uint8Array | undefined;
}

/** Cuts what has been read off an item. */
export type RestOf<In> = (source: In, readUnits: number, begun: Uint8Array | undefined) => In;

export interface UnreadCount {
  count: number;
  bytes: number;
}

/**
 * Node tells only how much lies in its buffer (`readableLength`): values in object mode, bytes, or characters once an encoding is set.
 * These are its *units*. Values leave the buffer in the order in which they were pushed, so the last `readableLength` units of all that
 * was pushed are unread:
 *
 *     pushed:   | a a a a | b b | c c c c |     ten units
 *     read:       x x x x   x                    readableLength = 5: `a` is settled, `b` is cut, `c` is whole
 *
 * A value settles by its last unit. The entries form a ring and are used again, so that no object is made per value.
 */
export class UnreadItems<In> {
  #ring: Entry<In>[] = [emptyEntry()];
  #head = 0;
  #size = 0;
  /** Units of all entries. */
  #total = 0;

  get isEmpty(): boolean {
    return this.#size === 0;
  }

  /** Adds a value that is about to be pushed. */
  push(
    source: In | In[],
    isArray: boolean,
    count: number,
    bytes: number,
    units: number,
    begun?: Uint8Array,
  ): void {
    if (this.#size === this.#ring.length) this.#grow();
    this.#size++;
    const entry = this.#at(this.#size - 1);
    this.#fill(entry, source, isArray, count, bytes, units);
    entry.begun = begun;
  }

  /** When the oldest item of the value that was pushed last was admitted. */
  setTime(time: number): void {
    this.#at(this.#size - 1).time = time;
  }

  /** When the oldest item was admitted, or put back; `Infinity` if there is none. */
  get oldestTime(): number {
    return this.isEmpty ? Infinity : this.#at(0).time;
  }

  /** Adds a value in front of all others. */
  unshift(
    source: In | In[],
    isArray: boolean,
    count: number,
    bytes: number,
    units: number,
    time: number,
  ): void {
    if (this.#size === this.#ring.length) this.#grow();
    this.#size++;
    this.#head = (this.#head - 1) & (this.#ring.length - 1);
    const entry = this.#at(0);
    this.#fill(entry, source, isArray, count, bytes, units);
    entry.time = time;
  }

  /** The value that was pushed last has so many more units. */
  lengthen(units: number): void {
    if (this.isEmpty) return;
    this.#at(this.#size - 1).units += units;
    this.#total += units;
  }

  /** How many units of the oldest value have been read. */
  readOfOldest(unreadUnits: number): number {
    return this.isEmpty ? 0 : Math.max(0, this.#total - unreadUnits);
  }

  /** Whether the last unit of the oldest value has been read. */
  isOldestRead(unreadUnits: number): boolean {
    return this.#size > 0 && this.#total - this.#at(0).units >= unreadUnits;
  }

  /** Removes the oldest value. Only if there is one. */
  shift(): UnreadCount {
    const entry = this.#at(0);
    this.#head = (this.#head + 1) & (this.#ring.length - 1);
    this.#size--;
    this.#total -= entry.units;
    entry.source = undefined;
    return entry;
  }

  /** All items, oldest first. `restOf` cuts what has been read off the oldest one. */
  toArray(unreadUnits: number, restOf: RestOf<In>): In[] {
    const read = this.readOfOldest(unreadUnits);
    const items: In[] = [];
    for (let index = 0; index < this.#size; index++) {
      const { source, isArray, begun } = this.#at(index);
      if (isArray) for (const item of source as In[]) items.push(item);
      else items.push(index === 0 ? restOf(source as In, read, begun) : (source as In));
    }
    return items;
  }

  /** Measures every value again, oldest first: an encoding was set. `restOf` cuts what has been read before. */
  measureAgain(
    unreadUnits: number,
    restOf: RestOf<In>,
    text: { readonly begunBytes: Uint8Array; measure(rest: In): number },
  ): void {
    const items = this.toArray(unreadUnits, restOf);
    this.#total = 0;
    for (const [index, item] of items.entries()) {
      const entry = this.#at(index);
      entry.source = item;
      entry.begun = text.begunBytes;
      entry.units = text.measure(item);
      this.#total += entry.units;
    }
  }

  #at(index: number): Entry<In> {
    return this.#ring[(this.#head + index) & (this.#ring.length - 1)]!;
  }

  #fill(
    entry: Entry<In>,
    source: In | In[],
    isArray: boolean,
    count: number,
    bytes: number,
    units: number,
  ): void {
    entry.source = source;
    entry.isArray = isArray;
    entry.count = count;
    entry.bytes = bytes;
    entry.units = units;
    entry.begun = undefined;
    this.#total += units;
  }

  #grow(): void {
    const { length } = this.#ring;
    this.#ring = Array.from({ length: length * 2 }, (_, index) =>
      index < length ? this.#at(index) : emptyEntry<In>(),
    );
    this.#head = 0;
  }
}

function emptyEntry<In>(): Entry<In> {
  return { source: undefined, isArray: false, count: 0, bytes: 0, units: 0, time: 0, begun: undefined };
}
