import type { Writable } from 'node:stream';
import type { StageErrors } from '../../api/errors.js';
import type { ResolvedBuffer } from '../../settings/resolve-buffer.js';

/**
 * Bounds what a producer writes in spite of `false` (`maxWaiting`), without punishing a polite one (invariants 1 and 11).
 *
 * A chunk may wait although nobody ignores `false`: one for each listener of `'drain'`, one for each pipe (`pipe()` listens for 'unpipe', and
 * each source learns by itself that it is to wait), and one for each producer that a `'drain'` has sent on. The last are not counted one by
 * one: some write several microtasks later, when another `'drain'` may have come.
 */
export class OverflowGuard {
  readonly #stream: Writable;
  readonly #errors: StageErrors;
  readonly #settings: ResolvedBuffer<never>;
  /** Most listeners that a `'drain'` may have called: so many may write once without listening again. */
  #mostWoken = 0;

  constructor(stream: Writable, errors: StageErrors, settings: ResolvedBuffer<never>) {
    this.#stream = stream;
    this.#errors = errors;
    this.#settings = settings;
  }

  /** A 'drain' is about to be emitted. */
  countWoken(): void {
    this.#mostWoken = Math.max(this.#mostWoken, this.#stream.listenerCount('drain'));
  }

  /** Fails the stream if more waits than polite producers account for: `length` is the size of `count` chunks, in items or bytes. */
  check(count: number, length: number): void {
    const { maxWaiting, objectMode } = this.#settings;
    const stream = this.#stream;
    if (length <= maxWaiting || stream.destroyed) return;
    const excess = count - stream.listenerCount('drain') - stream.listenerCount('unpipe') - this.#mostWoken;
    // In byte mode chunks differ in size: their share of the bytes.
    if (excess <= 0 || (length * excess) / count <= maxWaiting) return;
    const unit = objectMode ? 'items' : 'bytes';
    const message = `the producer ignored write() answering false: more than maxWaiting (${maxWaiting}) ${unit} wait`;
    stream.destroy(this.#errors.create('ERR_BACKPRESSURE_OVERFLOW', message));
  }
}
