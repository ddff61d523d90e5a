import { AsyncResource } from 'node:async_hooks';
import type { Writable } from 'node:stream';
import { nativeChunkCount } from '../node/native-length.js';
import { isOverridden } from '../node/overrides.js';
import type { LastArguments, WriteCallback } from './write-callbacks.js';
import type { WriteTarget } from './write-target.js';

/** The context in which to ask, or the bytes that the user has said already (`judge`). */
type Offer = AsyncResource | number;

/**
 * Follows each write through Node's queue, from `write()` to `_write`.
 *
 * `shed` and `sizeOf` run in the asynchronous context of their item's write: it is kept with the write, if the user is to be asked. If the
 * fast path has asked already, the answer is kept in its place.
 *
 * A subclass may override methods: then each write goes through Node, and may be left out, put off or made into several.
 */
export class OfferedWrites<T> {
  readonly #stream: Writable;
  readonly #target: WriteTarget<T>;
  readonly #base: Writable;
  /** A subclass has a method in the place of one of ours. */
  readonly isSubclass: boolean;
  readonly #asksUser: boolean;
  readonly #objectMode: boolean;
  #waiting: Offer[] = [];
  /** That of the chunk that `_write` has. */
  #current: Offer | undefined;

  /** @param base the prototype of the class that is ours */
  constructor(stream: Writable, target: WriteTarget<T>, base: Writable, objectMode: boolean) {
    const { settings } = target.queue;
    this.#stream = stream;
    this.#target = target;
    this.#base = base;
    this.isSubclass = isOverridden(stream, base);
    this.#objectMode = objectMode;
    // In byte mode the size is the chunk's own.
    this.#asksUser = settings.shed !== undefined || (objectMode && settings.sizeOf !== undefined);
  }

  /** The same, or the stream itself has a `_write` of its own. */
  get isOverridden(): boolean {
    return this.isSubclass || this.#stream._write !== this.#base._write;
  }

  /** Counts a write, in its own context. `judged`: what the user has said of the chunk, if asked already. */
  add(judged: number | undefined): void {
    this.#target.queue.countArrival();
    if (this.#asksUser) this.#waiting.push(judged ?? new AsyncResource('SPILLWAY'));
  }

  /** Takes back the last `add`: the write was refused with an exception. */
  retract(): void {
    this.#target.queue.retractArrival();
    this.#waiting.pop();
  }

  /** Node passes a chunk to `_write`. Returns what the user has said of it, if asked already. */
  next(): number | undefined {
    const { queue } = this.#target;
    // An override has made several of one chunk.
    if (queue.ledger.waiting === 0) queue.countArrival();
    if (!this.#asksUser) return undefined;
    if (this.isOverridden) {
      const chunks = nativeChunkCount(this.#stream);
      this.#keepLast(chunks);
      // The same, if Node's count is right in the middle of its work: it is not in byte mode, nor where it passes several chunks at once.
      if (this.#objectMode && !this.#stream._writev && this.#waiting.length < chunks) return undefined;
    }
    this.#current = this.#waiting.shift();
    return typeof this.#current === 'number' ? this.#current : undefined;
  }

  /** Calls `ask` in the context of the chunk that `_write` has. */
  run<R>(ask: () => R): R {
    return this.#current instanceof AsyncResource ? this.#current.runInAsyncScope(ask) : ask();
  }

  /** The last arguments of a write, so that what an override leaves out is noticed when Node is through with it. */
  watchCallback(encoding: unknown, callback: unknown): LastArguments {
    if (!this.isOverridden) return [encoding, callback];
    const [given, where] = typeof encoding === 'function' ? [encoding, undefined] : [callback, encoding];
    const watched: WriteCallback = (error) => {
      this.skipLeftOut();
      if (typeof given === 'function') (given as WriteCallback)(error);
    };
    return [where, watched];
  }

  /** Forgets chunks that Node has nothing to do with any more, and that never came to `next`. */
  skipLeftOut(): void {
    const chunks = nativeChunkCount(this.#stream);
    this.#keepLast(chunks);
    const { queue } = this.#target;
    const leftOut = queue.ledger.waiting - chunks;
    if (leftOut <= 0 || this.#stream.destroyed) return;
    queue.skipWaiting(leftOut);
    this.#target.onSkipped();
  }

  #keepLast(count: number): void {
    if (this.#waiting.length > count) this.#waiting.splice(0, this.#waiting.length - count);
  }
}
