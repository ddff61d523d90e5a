import { afterIO } from '../clock.js';

/**
 * When a producer gives way: after each `every` items that are offered, for a turn of the event loop. One that never waits for I/O itself
 * would keep the flushes' own from happening. Nothing keeps an item out meanwhile.
 */
export class Turns {
  readonly #every: number;
  readonly #ledger: { readonly offered: number };
  readonly #onTurn: () => void;
  #nextAt: number;
  #isUnderWay = false;

  /** @param onTurn called once a turn is over, unless it was called off */
  constructor(every: number, ledger: { readonly offered: number }, onTurn: () => void) {
    this.#every = every;
    this.#ledger = ledger;
    this.#onTurn = onTurn;
    this.#nextAt = every;
  }

  /** The producer is to wait for the next turn. */
  get isUnderWay(): boolean {
    return this.#isUnderWay;
  }

  /** So many more items may be offered before the one that makes it give way. */
  get itemsLeft(): number {
    return this.#nextAt - 1 - this.#ledger.offered;
  }

  /** After an item was offered. Answers whether the producer is to give way. */
  take(): boolean {
    if (!this.#isUnderWay && this.itemsLeft < 0) {
      this.#isUnderWay = true;
      afterIO(() => {
        if (!this.#isUnderWay) return;
        this.callOff();
        this.#onTurn();
      });
    }
    return this.#isUnderWay;
  }

  /** Where a turn is under way: the producer learns by other means when it may go on. */
  callOff(): void {
    if (!this.#isUnderWay) return;
    this.#isUnderWay = false;
    this.#nextAt = this.#ledger.offered + this.#every;
  }
}
