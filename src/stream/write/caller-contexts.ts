import { AsyncResource } from 'node:async_hooks';

/** The context in which to ask, or the bytes that the user has said already (`judge`). */
type Offer = AsyncResource | number;

/**
 * Keeps the asynchronous context of each write that waits, in order: `shed` and `sizeOf` run in the context of their item's write.
 *
 * Without either nothing is kept. An item that the fast path has asked about is not asked about again: its bytes are kept.
 */
export class CallerContexts {
  readonly #asksUser: boolean;
  readonly #waiting: Offer[] = [];
  /** That of the chunk that `_write` has. */
  #current: Offer | undefined;

  constructor(asksUser: boolean) {
    this.#asksUser = asksUser;
  }

  /** A chunk is offered, in the context of its write. `judged`: its bytes, if it has been asked about. */
  capture(judged: number | undefined): void {
    if (this.#asksUser) this.#waiting.push(judged ?? new AsyncResource('SPILLWAY'));
  }

  /** Takes back the last `capture`. */
  retract(): void {
    this.#waiting.pop();
  }

  /** Node passes the next chunk to `_write`. Returns its bytes if it has been asked about. */
  next(): number | undefined {
    this.#current = this.#waiting.shift();
    return typeof this.#current === 'number' ? this.#current : undefined;
  }

  /**
   * The same for a stream whose `_write` is overridden, and may leave chunks out, or make several of one.
   *
   * @param count how many chunks Node has, the one that it has passed last included
   * @param mayBePart whether, if there are fewer offers than chunks, this one is made of the one that Node has passed last
   */
  nextOf(count: number, mayBePart: boolean): number | undefined {
    this.keepLast(count);
    if (mayBePart && this.#waiting.length < count) return undefined;
    return this.next();
  }

  /** Forgets all but the last `count` offers: the chunks of the others were left out. */
  keepLast(count: number): void {
    while (this.#waiting.length > count) this.#waiting.shift();
  }

  /** Calls `ask` in the context of the chunk that `_write` has. */
  run<R>(ask: () => R): R {
    return this.#current instanceof AsyncResource ? this.#current.runInAsyncScope(ask) : ask();
  }
}
