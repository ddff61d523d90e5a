import type { Writable } from 'node:stream';
import type { AdmissionQueue } from '../../buffer/admission-queue.js';
import { Deadline } from '../../common/deadline.js';
import type { ResolvedBuffer } from '../../settings/resolve-buffer.js';
import { owesCallbacks } from '../node/native-length.js';
import type { WriteCallback } from './write-callbacks.js';

/**
 * Holds the callback of `_write`, which is how a producer is made to wait, for at most `maxBlockTimeMs`.
 *
 *     none ──hold──> held ──take──> taken ──call──> (on the next tick, if Node owes earlier callbacks) ──> none
 */
export class HeldCallback<T> {
  readonly #stream: Writable;
  readonly #queue: AdmissionQueue<T>;
  readonly #settings: ResolvedBuffer<T>;
  readonly #isDraining: () => boolean;
  /** Made for the first producer that waits, if there is a limit. */
  #deadline: Deadline | undefined;
  #callback: WriteCallback | undefined;
  /** It is to be called on the next tick. */
  #isReleasing = false;

  /** @param isDraining whether it is a drain that makes the producer wait */
  constructor(
    stream: Writable,
    queue: AdmissionQueue<T>,
    settings: ResolvedBuffer<T>,
    isDraining: () => boolean,
  ) {
    this.#stream = stream;
    this.#queue = queue;
    this.#settings = settings;
    this.#isDraining = isDraining;
  }

  get isHeld(): boolean {
    return this.#callback !== undefined;
  }

  /** Node takes the chunk for one that is being written. */
  get isBeforeNode(): boolean {
    return this.#callback !== undefined || this.#isReleasing;
  }

  hold(callback: WriteCallback): void {
    this.#callback = callback;
    this.startDeadline();
  }

  /** The time for room begins now. */
  startDeadline(): void {
    const { clock, maxBlockTimeMs } = this.#settings;
    if (!this.isHeld || maxBlockTimeMs === undefined || maxBlockTimeMs === Infinity) return;
    const deadline = (this.#deadline ??= new Deadline(clock, maxBlockTimeMs, () => this.#onTimeout()));
    // A timer keeps the context alive in which it is set.
    this.#queue.context.runInAsyncScope(() => deadline.setBy(clock.now() + maxBlockTimeMs));
  }

  #onTimeout(): void {
    // The time for room begins when the drain is over.
    if (this.#isDraining()) return;
    const message = `no room for longer than maxBlockTimeMs (${this.#settings.maxBlockTimeMs} ms)`;
    this.#stream.destroy(this.#queue.errors.create('ERR_BACKPRESSURE_BLOCK_TIMEOUT', message));
  }

  /** Returns the callback, which is held no longer. Only if it is. */
  take(): WriteCallback {
    const callback = this.#callback!;
    this.#callback = undefined;
    this.#deadline?.clear();
    return callback;
  }

  /** Calls a callback that comes after `_write` has returned. */
  call(callback: WriteCallback, error: Error | null): void {
    // Such a callback is called at once by Node, ahead of those of earlier writes that Node has put off to the next tick.
    if (owesCallbacks(this.#stream)) this.callOnTick(callback, error);
    else this.runInOwnContext(() => callback(error));
  }

  callOnTick(callback: WriteCallback, error: Error | null): void {
    this.#isReleasing = true;
    process.nextTick(() => {
      this.#isReleasing = false;
      this.runInOwnContext(() => callback(error));
    });
  }

  /** Does what calls the producer's listeners. */
  runInOwnContext(release: () => unknown): void {
    try {
      this.#queue.context.runInAsyncScope(release);
    } catch (thrown) {
      this.#stream.destroy(this.#queue.errors.handlerFailed("listener of 'drain'", thrown));
    }
  }
}
