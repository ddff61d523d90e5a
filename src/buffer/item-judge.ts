import type { StageErrors } from '../api/errors.js';
import type { BackpressureState } from '../api/states.js';
import { refusePromise } from '../guards/user-callbacks.js';
import { show } from '../guards/validate.js';
import type { QueueSettings } from './queue-settings.js';

/** In the place of an item's bytes: the user's `shed` drops it. */
export const SHED = -1;

/** Asks the user about an item: `shed` whether to drop it, `sizeOf` how large it is. */
export class ItemJudge<T> {
  readonly #shed: QueueSettings<T>['shed'];
  readonly #sizeOf: QueueSettings<T>['sizeOf'];
  readonly #errors: StageErrors;

  constructor({ shed, sizeOf }: QueueSettings<T>, errors: StageErrors) {
    this.#shed = shed;
    this.#sizeOf = sizeOf;
    this.#errors = errors;
  }

  /**
   * Returns the bytes of an item (0 if they are not measured), or `SHED`.
   *
   * @throws BackpressureError that says what `shed` or `sizeOf` did, if it failed.
   */
  judge(item: T, state: BackpressureState): number {
    return this.#shed !== undefined && this.#isShed(item, state) ? SHED : this.measure(item);
  }

  #isShed(item: T, state: BackpressureState): boolean {
    let answer: unknown;
    try {
      answer = this.#shed!(item, state);
    } catch (thrown) {
      throw this.#errors.handlerFailed('shed', thrown);
    }
    if (typeof answer === 'object' && answer !== null) refusePromise('shed', answer, this.#errors);
    return Boolean(answer);
  }

  /**
   * Returns the bytes of an item; 0 if they are not measured.
   *
   * @throws BackpressureError that says what `sizeOf` did, if it failed.
   */
  measure(item: T): number {
    if (this.#sizeOf === undefined) return 0;
    let size: unknown;
    try {
      size = this.#sizeOf(item);
    } catch (thrown) {
      throw this.#errors.handlerFailed('sizeOf', thrown);
    }
    // Rounded up: sums of whole numbers come back to exactly 0.
    if (typeof size === 'number' && size >= 0 && size < Infinity) return Math.ceil(size);
    refusePromise('sizeOf', size, this.#errors);
    throw this.#errors.create(
      'ERR_BACKPRESSURE_HANDLER_FAILED',
      `sizeOf must return a number of bytes of at least 0; got ${show(size)}`,
    );
  }
}
