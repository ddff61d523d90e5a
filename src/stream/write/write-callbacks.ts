export type WriteCallback = (error?: Error | null) => void;

/** The last arguments of `write()`, or of `end()` with a chunk: Node takes the callback in the place of the encoding, too. */
export type LastArguments = [encoding: unknown, callback: unknown];

interface Late {
  callback: WriteCallback;
  /** Node has called it, with this; `undefined`: not yet. */
  outcome: [error: Error | null | undefined] | undefined;
}

/**
 * Callbacks of `end()`, and of writes that Node refuses, in the order of the calls.
 *
 * Where a stream fails, Node calls them on the next tick, while those of earlier writes may have to wait for theirs, or for the held one of
 * `_write`, which is let go when the stream is destroyed. So they are put off by two ticks then.
 */
export class OrderedCallbacks {
  readonly #line: Late[] = [];

  /** The same arguments, whose callback, if there is one, comes when its turn has come. */
  inOrder(encoding: unknown, callback?: unknown): LastArguments {
    if (typeof encoding === 'function') return [this.#add(encoding as WriteCallback), callback];
    return [encoding, typeof callback === 'function' ? this.#add(callback as WriteCallback) : callback];
  }

  /** Takes back the callback that was put in line last: the call has thrown. */
  withdraw(encoding: unknown, callback?: unknown): void {
    if (typeof encoding === 'function' || typeof callback === 'function') this.#line.pop();
  }

  #add(callback: WriteCallback): WriteCallback {
    const late: Late = { callback, outcome: undefined };
    this.#line.push(late);
    return (error) => {
      late.outcome = [error];
      if (error) process.nextTick(() => process.nextTick(() => this.#deliver()));
      else this.#deliver();
    };
  }

  #deliver(): void {
    while (this.#line[0]?.outcome !== undefined) {
      const { callback, outcome } = this.#line.shift()!;
      callback(...outcome!);
    }
  }
}
