/** What a shutdown needs of a sink beyond its public methods: to be the last that does something with it. */

import { toError } from '../errors.js';
import { drainTimeout } from '../drain.js';

/** Shared by the ES module and the CommonJS build: a program may load both. */
export const SHUTDOWN: unique symbol = Symbol.for('spillway.shutdown');

/** A `BackpressureWritable`, a `BackpressureController` or a `BackpressureTransform`. */
export interface DrainableSink {
  /** @internal The same object each time: every drain of the sink is one drain. */
  [SHUTDOWN](): SinkDrain;
}

/** What each kind of sink provides. */
export interface DrainPort {
  /** It hands its items to a reader (a transform), and has no destination of its own. */
  readonly passesOn: boolean;
  /** The sink has come to its end, and reported what it could not deliver. */
  isClosed(): boolean;
  /** Items that were offered, have not settled, and were not taken by `takeUnsettled()`. */
  countOpen(): number;
  /** From now on an error of the sink is reported by the drain, and does not end the process. */
  prepare(): void;
  /** Settles what is there; producers go on. Rejects with the error that ends the sink. */
  settle(): Promise<void>;
  /** Keeps producers out, for good, and settles what is there. Rejects with the error that ends the sink. */
  drain(): Promise<void>;
  /** Starts no further flush. Returns everything that did not arrive, or is not known to. */
  halt(): unknown[];
  /** Ends the sink. `reason` begins the message of the error that it ends with if items are open. */
  end(reason: string): void;
}

/** What became of one sink. */
export interface SinkOutcome {
  undelivered: unknown[];
  error: Error | undefined;
}

/** Enough for two streams with Node's default marks, if each round brings one item; a producer that never ends is not waited for. */
const MOST_ROUNDS = 64;

/**
 * The one drain of a sink: the first call of `drain()` begins it, later ones join.
 *
 *     open ──prepare──> prepared ──drain──> draining ──settled, failed or expired──> reported ──end──> ended
 *
 * `expire` also leads from `prepared` to `reported`. Nothing is flushed once it is reported.
 */
export class SinkDrain {
  readonly #port: DrainPort;
  readonly #reported: Promise<SinkOutcome>;
  #resolve!: (outcome: SinkOutcome) => void;
  #outcome: SinkOutcome | undefined;
  #isPrepared = false;
  #isDraining = false;
  #wasClosed = false;
  #isAcknowledged = false;

  constructor(port: DrainPort) {
    this.#port = port;
    this.#reported = new Promise((resolve) => (this.#resolve = resolve));
  }

  /** Resolves when the sink is reported; begins nothing. */
  get outcome(): Promise<SinkOutcome> {
    return this.#reported;
  }

  get isReported(): boolean {
    return this.#outcome !== undefined;
  }

  get passesOn(): boolean {
    return this.#port.passesOn;
  }

  /** How many items would be lost in silence if the process ended now. */
  get undelivered(): number {
    if (this.#isAcknowledged) return 0;
    if (this.#outcome === undefined || this.#wasClosed) return this.#port.countOpen();
    return this.#outcome.undelivered.length;
  }

  /** The user's `onDrained` has dealt with what was reported. */
  acknowledge(): void {
    this.#isAcknowledged = true;
  }

  prepare(): void {
    if (this.#isPrepared) return;
    this.#isPrepared = true;
    this.#wasClosed = this.#port.isClosed();
    if (this.#wasClosed) this.#report({ undelivered: [], error: undefined });
    else this.#port.prepare();
  }

  /** `isDownstream`: the stages before this one are drained, so that what still comes will come to an end. */
  drain(isDownstream = false): Promise<SinkOutcome> {
    this.prepare();
    if (!this.#isDraining && this.#outcome === undefined) {
      this.#isDraining = true;
      const caughtUp = isDownstream ? this.#catchUp() : undefined;
      (caughtUp === undefined ? this.#port.drain() : caughtUp.then(() => this.#port.drain())).then(
        () => this.#settle(undefined),
        (thrown: unknown) => this.#settle(toError(thrown)),
      );
    }
    return this.#reported;
  }

  /** Time is out: what is open is reported as undelivered. */
  expire(timeoutMs: number): void {
    this.prepare();
    if (this.#outcome !== undefined) return;
    const undelivered = this.#port.halt();
    const error = undelivered.length > 0 ? drainTimeout(timeoutMs, undelivered) : undefined;
    this.#report({ undelivered, error });
  }

  /** Ends the sink once it is reported. */
  end(reason: string): void {
    if (this.#outcome !== undefined && !this.#wasClosed) this.#port.end(reason);
  }

  /** Takes in what streams that are not ours hold between two stages. */
  async #catchUp(): Promise<void> {
    for (let round = 0; round < MOST_ROUNDS && this.#outcome === undefined; round++) {
      // They pass it on within a turn of the event loop; so does an asynchronous iteration.
      await new Promise((resolve) => setImmediate(resolve));
      if (this.#port.countOpen() === 0) return;
      await this.#port.settle();
    }
  }

  #settle(error: Error | undefined): void {
    if (this.#outcome === undefined) this.#report({ undelivered: this.#port.halt(), error });
  }

  #report(outcome: SinkOutcome): void {
    this.#outcome = outcome;
    this.#resolve(outcome);
  }
}
