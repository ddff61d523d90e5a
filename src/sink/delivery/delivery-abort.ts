/** The abort of one delivery: ends the one thing that the delivery waits for at the moment. */
export class DeliveryAbort {
  #error: Error | undefined;
  #interrupt: ((error: Error) => void) | undefined;

  /** The reason, once it is aborted. */
  get error(): Error | undefined {
    return this.#error;
  }

  get isAborted(): boolean {
    return this.#error !== undefined;
  }

  abort(error: Error): void {
    this.#error = error;
    this.#interrupt?.(error);
  }

  /** Sets what an abort interrupts from here on; `undefined` if nothing is waited for. */
  setInterrupt(interrupt: ((error: Error) => void) | undefined): void {
    this.#interrupt = interrupt;
  }
}
