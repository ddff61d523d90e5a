import { checkInteger } from '../guards/validate.js';
import { RingBuffer } from './ring-buffer.js';

/**
 * A first-in-first-out buffer that never holds more than `capacity` items. Every operation is O(1) per item.
 *
 * @example
 * ```ts
 * import { BoundedBuffer } from 'spillway';
 *
 * const buffer = new BoundedBuffer<string>(100);
 * if (!buffer.push('first')) console.log('full');
 * console.log(buffer.take());
 * ```
 * @throws InvalidOptionError if `maxSize` is not an integer of at least 1.
 */
export class BoundedBuffer<T> {
  readonly capacity: number;
  #ring = new RingBuffer<T>();

  constructor(maxSize: number) {
    this.capacity = checkInteger('maxSize', maxSize, 1);
  }

  /** Items held. */
  get size(): number {
    return this.#ring.size;
  }

  /** Share of the capacity that is in use, 0 to 1. */
  get utilization(): number {
    return this.#ring.size / this.capacity;
  }

  isFull(): boolean {
    return this.#ring.size >= this.capacity;
  }

  isEmpty(): boolean {
    return this.#ring.size === 0;
  }

  /** Adds an item. Returns `false`, and changes nothing, if the buffer is full. */
  push(item: T): boolean {
    if (this.isFull()) return false;
    this.#ring.push(item);
    return true;
  }

  /** Adds an item in any case. Returns the oldest one if it had to make room. */
  pushWithEviction(item: T): T | undefined {
    const evicted = this.isFull() ? this.#ring.shift() : undefined;
    this.#ring.push(item);
    return evicted;
  }

  /** Takes up to `count` items out, oldest first. Default: one. */
  take(count = 1): T[] {
    return this.#ring.take(Math.min(checkInteger('count', count, 0), this.#ring.size));
  }

  /** Takes everything out. */
  clear(): T[] {
    const all = this.#ring.take(this.#ring.size);
    this.#ring = new RingBuffer<T>();
    return all;
  }
}
