import { tracingChannel } from 'node:diagnostics_channel';
import type { FlushReport } from '../api/events.js';
import { toError } from '../common/thrown.js';
import type { SignalMessages } from '../api/signals.js';

const { start, end, asyncStart, asyncEnd, error } = tracingChannel('spillway:flush');

/**
 * What is published about one call of the flush function, on the tracing channel `spillway:flush`:
 *
 *     start ──the function runs──> end ──its outcome is known──> [error] ──> asyncStart ──> asyncEnd
 *
 * The function runs in the stores that are bound to `start`, so that what it calls can be told from other work. An outcome is known if the
 * call has settled, or was given up.
 */
export class FlushTrace {
  readonly #message: SignalMessages['spillway:flush'];

  constructor(message: SignalMessages['spillway:flush']) {
    this.#message = message;
  }

  /** Whether anybody has subscribed. Node before 20.13 has no such property of all five. */
  static get isWanted(): boolean {
    return (
      start.hasSubscribers ||
      end.hasSubscribers ||
      asyncStart.hasSubscribers ||
      asyncEnd.hasSubscribers ||
      error.hasSubscribers
    );
  }

  run(call: () => unknown): unknown {
    return start.runStores(this.#message, () => {
      try {
        const { around } = this.#message;
        return around === undefined ? call() : callOnce(call, around);
      } finally {
        end.publish(this.#message);
      }
    });
  }

  end(report: FlushReport): void {
    this.#message.result = report;
    if (report.error !== undefined) this.fail(report.error);
    else this.#settle();
  }

  /** The outcome is an error; there is no report if the engine itself has failed. */
  fail(reason: Error): void {
    this.#message.error = reason;
    error.publish(this.#message);
    this.#settle();
  }

  #settle(): void {
    asyncStart.publish(this.#message);
    asyncEnd.publish(this.#message);
  }
}

/** Calls by way of `around`: once, whatever that does. */
function callOnce(call: () => unknown, around: (call: () => void) => void): unknown {
  let outcome: Promise<unknown> | undefined;
  const once = (): void => {
    // What it throws becomes a rejection, which nobody can swallow on the way.
    outcome ??= new Promise((resolve) => resolve(call()));
  };
  try {
    around(once);
  } catch (thrown) {
    // The call's own outcome counts.
    process.emitWarning(toError(thrown));
  }
  once();
  return outcome;
}
