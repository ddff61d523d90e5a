import { RingBuffer } from '../../buffer/ring-buffer.js';
import { isThenable } from '../../common/thrown.js';
import type { MapFunction } from '../../api/options.js';

/** An item and what became of it. */
export interface MappedItem<In> {
  item: In;
  bytes: number;
  /** When it was admitted. */
  time: number;
  result: unknown;
}

export interface MapperHooks {
  /** An item's result is there. `isEmpty`: it emits nothing. */
  onMapped(isEmpty: boolean, bytes: number): void;
  /** An asynchronous result is there: the next item may be mapped. */
  onAnswer(): void;
  onError(thrown: unknown): void;
}

/**
 * Runs `map` over items, one at a time and in order, and keeps the results until they are taken.
 *
 *     idle ──map()──> busy ──result──> idle        a result waits until `shift()`
 *                      └────error────> closed      the item that failed stays `current`
 *
 * No promise is made as long as `map` returns its results at once.
 */
export class Mapper<In> {
  readonly #map: MapFunction<In, unknown>;
  readonly #hooks: MapperHooks;
  #results = new RingBuffer<MappedItem<In>>();
  #bytes = 0;
  #isFrozen = false;
  #current: MappedItem<In> | undefined;

  constructor(map: MapFunction<In, unknown>, hooks: MapperHooks) {
    this.#map = map;
    this.#hooks = hooks;
  }

  /** Results that wait. */
  get size(): number {
    return this.#results.size;
  }

  /** Bytes of the items whose results wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** When the oldest item was admitted that it holds; `Infinity` if it holds none. */
  get oldestTime(): number {
    if (this.#results.size > 0) return this.#results.itemAt(0).time;
    return this.#current?.time ?? Infinity;
  }

  get isBusy(): boolean {
    return this.#current !== undefined;
  }

  /** The items that it holds, oldest first, the one being mapped included. */
  get items(): In[] {
    const items = this.#results.toArray().map(({ item }) => item);
    return this.#current === undefined ? items : [...items, this.#current.item];
  }

  /** Maps an item. Not while it is busy. */
  map(item: In, bytes: number, time: number): void {
    const call: MappedItem<In> = { item, bytes, time, result: undefined };
    this.#current = call;
    try {
      const result = this.#map(item);
      if (!isThenable(result)) return this.#keep(call, result);
      Promise.resolve(result).then(
        (value) => {
          if (this.#current !== call || this.#isFrozen) return;
          this.#keep(call, value);
          this.#hooks.onAnswer();
        },
        (thrown: unknown) => {
          if (this.#current === call) this.#hooks.onError(thrown);
        },
      );
    } catch (thrown) {
      // A map that destroys the stream and throws has been closed already.
      if (this.#current === call) this.#hooks.onError(thrown);
    }
  }

  /** The oldest result, taken out. Only if one waits. */
  shift(): MappedItem<In> {
    const mapped = this.#results.shift();
    this.#bytes -= mapped.bytes;
    return mapped;
  }

  /** An answer that comes from now on changes nothing: its item stays with those that wait. */
  freeze(): void {
    this.#isFrozen = true;
  }

  /** Forgets everything; what is under way has no effect any more. */
  close(): void {
    this.#results = new RingBuffer();
    this.#bytes = 0;
    this.#current = undefined;
  }

  #keep(call: MappedItem<In>, result: unknown): void {
    // `map` may have destroyed the stream.
    if (this.#current !== call) return;
    this.#current = undefined;
    // As in Transform of Node, null and undefined emit nothing; a pushed null would end the stream.
    const isEmpty = result === null || result === undefined;
    if (!isEmpty) {
      call.result = result;
      this.#results.push(call);
      this.#bytes += call.bytes;
    }
    this.#hooks.onMapped(isEmpty, call.bytes);
  }
}
