import { Writable } from 'node:stream';
import type { StageErrors } from '../../api/errors.js';
import { guardCallback } from '../node/user-code.js';
import { OrderedCallbacks, type WriteCallback } from './write-callbacks.js';
import type { WriteSide } from './write-side.js';

/** Slow path of `write()`, and `end()`: through Node's own methods, which keep the order, the rules and the errors of a Writable. */
export class NodeWrites<T> {
  readonly #stream: Writable;
  readonly #writeSide: WriteSide<T>;
  readonly #errors: StageErrors;
  readonly #orderedCallbacks = new OrderedCallbacks();

  constructor(stream: Writable, writeSide: WriteSide<T>, errors: StageErrors) {
    this.#stream = stream;
    this.#writeSide = writeSide;
    this.#errors = errors;
  }

  /** Returns what `write()` returns. */
  write(chunk: unknown, encoding: unknown, callback: unknown): boolean {
    const offers = this.#writeSide.offer(chunk);
    encoding = this.#guard('write', encoding);
    callback = this.#guard('write', callback);
    if (offers) [encoding, callback] = offers.watchCallback(encoding, callback);
    else [encoding, callback] = this.#orderedCallbacks.inOrder(encoding, callback);
    try {
      // Looked up at each call, as `super.write` is.
      return this.#writeSide.writeResult(
        Writable.prototype.write.call(
          this.#stream,
          chunk,
          encoding as BufferEncoding,
          callback as WriteCallback,
        ),
      );
    } catch (thrown) {
      if (offers) offers.retract();
      else this.#orderedCallbacks.withdraw(encoding, callback);
      throw thrown;
    }
  }

  /** `end(chunk)` does not pass through `write`. */
  end(chunk: unknown, encoding: unknown, callback: unknown): void {
    const isChunk = chunk !== undefined && typeof chunk !== 'function';
    const offers = isChunk ? this.#writeSide.offer(chunk) : undefined;
    chunk = this.#guard('end', chunk);
    encoding = this.#guard('end', encoding);
    callback = this.#guard('end', callback);
    // Node may never call that of a stream which is destroyed already.
    const ordered = this.#stream.destroyed ? undefined : this.#orderedCallbacks;
    if (ordered !== undefined && typeof chunk === 'function') [chunk] = ordered.inOrder(chunk);
    else if (ordered !== undefined) [encoding, callback] = ordered.inOrder(encoding, callback);
    try {
      Writable.prototype.end.call(this.#stream, chunk, encoding as BufferEncoding, callback as () => void);
    } catch (thrown) {
      offers?.retract();
      ordered?.withdraw(encoding, callback);
      throw thrown;
    }
    this.#writeSide.endOffers();
  }

  #guard(method: 'write' | 'end', argument: unknown): unknown {
    return guardCallback(this.#stream, this.#errors, method, argument);
  }
}
