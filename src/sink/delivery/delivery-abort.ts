interface Interruptible {
  interrupt(error: Error): void;
}

/** The abort of one delivery: ends the one thing that the delivery waits for at the moment. */
export class DeliveryAbort {
  #error: Error | undefined;
  #pending: Interruptible | undefined;

  /** The reason, once it is aborted. */
  get error(): Error | undefined {
    return this.#error;
  }

  get isAborted(): boolean {
    return this.#error !== undefined;
  }

  abort(error: Error): void {
    this.#error = error;
    this.#pending?.interrupt(error);
  }

  /** Sets what an abort interrupts from here on; `undefined` if nothing is waited for. */
  setPending(pending: Interruptible | undefined): void {
    this.#pending = pending;
  }
}
