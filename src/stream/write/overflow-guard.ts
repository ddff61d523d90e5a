import type { Writable } from 'node:stream';

/**
 * Bounds what a producer writes in spite of `false` (`maxWaiting`), without punishing a polite one (invariants 1 and 11).
 *
 * A chunk may wait although nobody ignores `false`: one for each listener of `'drain'`, one for each pipe (`pipe()` listens for 'unpipe', and
 * each source learns by itself that it is to wait), and one for each producer that a `'drain'` has sent on. The last are not counted one by
 * one: some write several microtasks later, when another `'drain'` may have come.
 */
export class OverflowGuard {
  readonly #stream: Writable;
  readonly #maxWaiting: number;
  /** Most listeners that a `'drain'` may have called: so many may write once without listening again. */
  #mostWoken = 0;

  constructor(stream: Writable, maxWaiting: number) {
    this.#stream = stream;
    this.#maxWaiting = maxWaiting;
  }

  /** A 'drain' is about to be emitted. */
  countWoken(): void {
    this.#mostWoken = Math.max(this.#mostWoken, this.#stream.listenerCount('drain'));
  }

  /** Whether more waits than polite producers account for: `length` is the size of `count` chunks, in items or bytes. */
  isExceeded(count: number, length: number): boolean {
    if (length <= this.#maxWaiting) return false;
    const stream = this.#stream;
    const excess = count - stream.listenerCount('drain') - stream.listenerCount('unpipe') - this.#mostWoken;
    // In byte mode chunks differ in size: their share of the bytes.
    return excess > 0 && (length * excess) / count > this.#maxWaiting;
  }
}
