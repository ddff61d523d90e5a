/** What a shutdown needs of a sink beyond its public methods: to be the last that does something with it. */

import { toError } from '../common/thrown.js';
import { drainTimeout } from '../settings/drain-options.js';

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
  /** Once that has settled: lets in what producers have offered since, and settles it. */
  drainMore(): Promise<void>;
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
 *     open ──prepare──> prepared ──drain──> draining ──settled or failed──> settled ──finish──> reported ──end──> ended
 *
 * `expire` leads from each of the first three to `reported`. Nothing is flushed once it is reported.
 */
export class SinkDrain {
  readonly #port: DrainPort;
  readonly #reported: Promise<void>;
  #onReported!: () => void;
  #settled: Promise<void> | undefined;
  #error: Error | undefined;
  #outcome: SinkOutcome | undefined;
  #isPrepared = false;
  #wasClosed = false;
  #isAcknowledged = false;

  constructor(port: DrainPort) {
    this.#port = port;
    this.#reported = new Promise((resolve) => (this.#onReported = resolve));
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

  /** It has settled, and a producer has offered more since. */
  get hasMore(): boolean {
    return this.#outcome === undefined && this.#error === undefined && this.#port.countOpen() > 0;
  }

  /** The user's `onDrained` has dealt with what was reported. Of a sink that had ended before, nothing was. */
  acknowledge(): void {
    this.#isAcknowledged = !this.#wasClosed;
  }

  prepare(): void {
    if (this.#isPrepared) return;
    this.#isPrepared = true;
    this.#wasClosed = this.#port.isClosed();
    if (this.#wasClosed) this.#report({ undelivered: [], error: undefined });
    else this.#port.prepare();
  }

  /**
   * Resolves when what is there has settled, when the sink has failed, or when time is out.
   *
   * @param isDownstream The stages before this one are drained, so that what still comes will come to an end.
   */
  drain(isDownstream = false): Promise<void> {
    this.prepare();
    if (this.#outcome === undefined) this.#settled ??= this.#attempt(() => this.#drain(isDownstream));
    return Promise.race([this.#settled, this.#reported]);
  }

  /** Once it has settled: settles what producers have offered since. */
  drainMore(): Promise<void> {
    if (!this.hasMore) return Promise.resolve();
    return Promise.race([this.#attempt(() => this.#port.drainMore()), this.#reported]);
  }

  /** Time is out: what is open is reported as undelivered. */
  expire(timeoutMs: number): void {
    this.prepare();
    if (this.#outcome !== undefined) return;
    const undelivered = this.#port.halt();
    const isLate = this.#error === undefined && undelivered.length > 0;
    this.#report({ undelivered, error: isLate ? drainTimeout(timeoutMs, undelivered) : this.#error });
  }

  /** Reports what is left. */
  finish(): SinkOutcome {
    if (this.#outcome === undefined) this.#report({ undelivered: this.#port.halt(), error: this.#error });
    return this.#outcome!;
  }

  /** Ends the sink once it is reported. */
  end(reason: string): void {
    if (this.#outcome !== undefined && !this.#wasClosed) this.#port.end(reason);
  }

  async #drain(isDownstream: boolean): Promise<void> {
    if (isDownstream) await this.#catchUp();
    await this.#port.drain();
    await this.#port.drainMore();
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

  async #attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (thrown) {
      this.#error ??= toError(thrown);
    }
  }

  #report(outcome: SinkOutcome): void {
    this.#outcome = outcome;
    this.#onReported();
  }
}
