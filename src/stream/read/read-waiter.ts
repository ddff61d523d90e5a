interface Waiter {
  /** Sequence number of the last item to wait for. */
  mark: number;
  resolve: () => void;
  reject: (error: Error) => void;
}

/** Waits until a reader has got every item up to a mark. */
export class ReadWaiter {
  #waiter: Waiter | undefined;

  get isPending(): boolean {
    return this.#waiter !== undefined;
  }

  /** One at a time. */
  waitUntilRead(mark: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiter = { mark, resolve, reject };
    });
  }

  /** `decided`: how many items have been decided on; `unread`: how many of those the reader has not got. */
  resolveIfRead(decided: number, unread: number): void {
    const waiter = this.#waiter;
    if (waiter === undefined || unread > 0 || decided < waiter.mark) return;
    this.#waiter = undefined;
    waiter.resolve();
  }

  rejectPending(error: Error): void {
    const waiter = this.#waiter;
    this.#waiter = undefined;
    waiter?.reject(error);
  }
}
