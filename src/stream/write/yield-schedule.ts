import { WorkPacer, type Strides, type TurnBudget } from '../../common/turn-budget.js';

/** Each look costs an item the fast path. A small `yieldEvery` comes before the first one. */
const STRIDES: Strides = { first: 32, most: 4096 };

/**
 * When a producer yields to the event loop: after each `every` items that are offered, or once the turn has taken its time. A producer that
 * never waits for I/O itself would hold up that of the flushes. An item that is written nevertheless is admitted.
 */
export class YieldSchedule {
  readonly #every: number;
  readonly #ledger: { readonly offered: number };
  readonly #onYieldEnd: () => void;
  readonly #budget: TurnBudget | undefined;
  /** Made with the first look: many streams live too short for one. */
  #lazyPacer: WorkPacer | undefined;
  #nextAt: number;
  /** With this item, it is time to look at the clock. */
  #lookAt: number;
  #isYielding = false;

  /**
   * @param every Infinity: the producer never yields
   * @param onYieldEnd called in the next turn of the event loop, unless the yield was cancelled
   */
  constructor(
    every: number,
    ledger: { readonly offered: number },
    onYieldEnd: () => void,
    budget?: TurnBudget,
  ) {
    this.#every = every;
    this.#ledger = ledger;
    this.#onYieldEnd = onYieldEnd;
    this.#budget = budget;
    this.#nextAt = every;
    this.#lookAt = every === Infinity ? Infinity : STRIDES.first;
  }

  /** The producer is to wait for the next turn. */
  get isYielding(): boolean {
    return this.#isYielding;
  }

  /** So many more items may be offered without a call of `checkAfterOffer`. */
  get itemsUntilCheck(): number {
    return Math.min(this.#nextAt, this.#lookAt) - 1 - this.#ledger.offered;
  }

  /** After an item was offered. Returns whether the producer is to yield. */
  checkAfterOffer(): boolean {
    if (!this.#isYielding && this.itemsUntilCheck < 0 && this.#isYieldDue()) {
      this.#isYielding = true;
      this.#pacer.onNextTurn(() => {
        if (!this.#isYielding) return;
        this.cancelYield();
        this.#onYieldEnd();
      });
    }
    return this.#isYielding;
  }

  get #pacer(): WorkPacer {
    return (this.#lazyPacer ??= new WorkPacer(this.#budget, STRIDES));
  }

  #isYieldDue(): boolean {
    const { offered } = this.#ledger;
    if (offered >= this.#nextAt || this.#pacer.look()) return true;
    this.#lookAt = offered + this.#pacer.stride;
    return false;
  }

  /** Ends a yield without `onYieldEnd`: the producer learns by other means when it may go on. */
  cancelYield(): void {
    if (!this.#isYielding) return;
    this.#isYielding = false;
    const { offered } = this.#ledger;
    this.#nextAt = offered + this.#every;
    this.#lookAt = offered + this.#pacer.stride;
  }
}
