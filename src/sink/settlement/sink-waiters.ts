/** All callers that wait for a sink: those of `flush()` and `drain()`, and those of `whenBelow()`. */

import type { AdmissionQueue } from '../../buffer/admission-queue.js';
import { FlushWaiters, type Progress } from './flush-waiters.js';
import { LoadWaiters } from './load-waiters.js';

interface InFlight {
  /** Every admitted item below this ordinal has settled. `head` is that of the oldest queued item. */
  settledBelow(head: number): number;
}

export class SinkWaiters<T> {
  readonly #queue: AdmissionQueue<T>;
  readonly #inFlight: InFlight;
  readonly #forFlush = new FlushWaiters();
  /** Made for the first caller. */
  #forLoad: LoadWaiters | undefined;

  constructor(queue: AdmissionQueue<T>, inFlight: InFlight) {
    this.#queue = queue;
    this.#inFlight = inFlight;
  }

  get isEmpty(): boolean {
    return this.#forFlush.isEmpty && (this.#forLoad === undefined || this.#forLoad.isEmpty);
  }

  /** A caller of `flush()` waits for the oldest queued item. */
  get isFlushAwaited(): boolean {
    return this.#forFlush.covers(this.#queue.head);
  }

  /** Resolves when everything that was offered before the call has settled. */
  settled(): Promise<void> {
    return this.#forFlush.settled(this.#progress());
  }

  /** The same, but rejects with `makeError()` after `timeoutMs`. */
  settledWithin(timeoutMs: number, makeError: () => Error): Promise<void> {
    return this.#forFlush.settledWithin(this.#progress(), this.#queue.settings.clock, timeoutMs, makeError);
  }

  /** Resolves when fewer than `load` items are queued plus in flight. */
  loadBelow(load: number): Promise<void> {
    return (this.#forLoad ??= new LoadWaiters()).reached(load, this.#queue.ledger.load);
  }

  /** Resolves those whose condition is met. */
  check(): void {
    if (!this.#forFlush.isEmpty) this.#forFlush.check(this.#progress());
    this.#forLoad?.check(this.#queue.ledger.load);
  }

  /** Rejects those that wait for an item that is not in flight: no further flush will come. */
  rejectUnlaunched(makeError: () => Error): void {
    this.#forFlush.rejectFrom(this.#queue.head, makeError);
  }

  rejectAll(error: Error): void {
    this.#forFlush.rejectAll(error);
    this.#forLoad?.rejectAll(error);
  }

  #progress(): Progress {
    const queue = this.#queue;
    return {
      arrived: queue.arrivedSeq,
      decided: queue.decidedSeq,
      admitted: queue.ledger.accepted,
      settledBelow: this.#inFlight.settledBelow(queue.head),
    };
  }
}
