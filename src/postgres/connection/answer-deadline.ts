/** Limits how long the server's response is waited for. */

import { systemClock, type Clock } from '../../common/clock.js';
import { Deadline } from '../../common/deadline.js';

/** Time for responses after an abort, in all. Less than the sink's `abortGraceMs`, so that the sink still gets the result. */
const GRACE_AFTER_ABORT_MS = 500;

/** How long an answer to CopyFail or ROLLBACK may take before the connection is thrown away instead. */
export const CLEAN_UP_LIMIT_MS = 5_000;

export const TIMED_OUT = Symbol('timed out');

/** The batch's signal fired. `cause` is the signal's reason. */
export class AbortFault extends Error {
  override readonly name = 'AbortFault';

  constructor(signal: AbortSignal) {
    super('the batch was aborted', { cause: signal.reason });
  }
}

/** Settles as `work` does, or rejects with an `AbortFault` at once when the signal fires. */
export async function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  let onAbort = (): void => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => {
      reject(new AbortFault(signal));
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
    // If it rejects later, nobody listens any more.
    work.catch(() => undefined);
  }
}

/** Waits for a response for at most a limit, or for the grace once the signal has fired. After that it returns `TIMED_OUT`. */
export class AnswerDeadline {
  readonly #signal: AbortSignal;
  readonly #clock: Clock;
  #abortedAt: number | undefined;

  readonly #onAbort = (): void => {
    this.#abortedAt = this.#clock.now();
  };

  constructor(signal: AbortSignal, clock: Clock = systemClock) {
    this.#signal = signal;
    this.#clock = clock;
    if (signal.aborted) this.#onAbort();
    else signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  get isAborted(): boolean {
    return this.#abortedAt !== undefined;
  }

  end(): void {
    this.#signal.removeEventListener('abort', this.#onAbort);
  }

  async wait<T>(answer: Promise<T>, limitMs = Infinity): Promise<T | typeof TIMED_OUT> {
    // If it rejects later, nobody listens any more.
    answer.catch(() => undefined);
    let deadline: Deadline | undefined;
    let onAbort: (() => void) | undefined;
    const timedOut = new Promise<typeof TIMED_OUT>((resolve) => {
      const giveUpIn = (delayMs: number): void => {
        deadline?.clear();
        deadline = new Deadline(this.#clock, delayMs, () => resolve(TIMED_OUT));
        deadline.start();
      };
      if (this.#abortedAt !== undefined) {
        giveUpIn(Math.max(0, this.#abortedAt + GRACE_AFTER_ABORT_MS - this.#clock.now()));
        return;
      }
      if (limitMs !== Infinity) giveUpIn(limitMs);
      onAbort = () => {
        giveUpIn(GRACE_AFTER_ABORT_MS);
      };
      this.#signal.addEventListener('abort', onAbort, { once: true });
    });
    try {
      return await Promise.race([answer, timedOut]);
    } finally {
      deadline?.clear();
      if (onAbort !== undefined) this.#signal.removeEventListener('abort', onAbort);
    }
  }
}
