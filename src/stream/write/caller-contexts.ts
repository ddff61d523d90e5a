import { AsyncResource } from 'node:async_hooks';

/**
 * Keeps the asynchronous context of each write that waits, in order: `shed` and `sizeOf` run in the context of their item's write.
 *
 * Without either nothing is kept.
 */
export class CallerContexts {
  readonly #asksUser: boolean;
  readonly #waiting: AsyncResource[] = [];
  /** That of the chunk that `_write` has. */
  #current: AsyncResource | undefined;

  constructor(asksUser: boolean) {
    this.#asksUser = asksUser;
  }

  /** A chunk is offered, in the context of its write. */
  capture(): void {
    if (this.#asksUser) this.#waiting.push(new AsyncResource('SPILLWAY'));
  }

  /** Takes back the last `capture`. */
  retract(): void {
    this.#waiting.pop();
  }

  /** Node passes the next chunk to `_write`. */
  next(): void {
    this.#current = this.#waiting.shift();
  }

  /** Calls `ask` in the context of the chunk that `_write` has. */
  run<R>(ask: () => R): R {
    return this.#current === undefined ? ask() : this.#current.runInAsyncScope(ask);
  }
}
