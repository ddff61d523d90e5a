/** The cheap probe before the first batch, if the destination offers one. */

import type { Clock } from '../../common/clock.js';
import { Deadline } from '../../common/deadline.js';
import { fieldOf, toError } from '../../common/thrown.js';
import type { BreakerProbe } from '../../api/options.js';

/** A probe without a response by then has failed. */
const PROBE_LIMIT_MS = 2_000;

export class HealthCheck {
  readonly #clock: Clock;
  readonly #probe: BreakerProbe;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock, probe: BreakerProbe) {
    this.#clock = clock;
    this.#probe = probe;
  }

  /** @param onEnd called once, unless it is cancelled. An error that is not worth a retry is a response: the destination can be reached. */
  run(onEnd: (error: Error | undefined) => void): void {
    const controller = new AbortController();
    const end = (error: Error | undefined) => {
      if (controller.signal.aborted) return;
      this.cancel();
      onEnd(error);
    };
    const deadline = new Deadline(this.#clock, PROBE_LIMIT_MS, () =>
      end(new Error(`no answer to the probe within ${PROBE_LIMIT_MS / 1000} s`)),
    );
    const cancel = () => {
      deadline.clear();
      controller.abort();
    };
    this.#cancel = cancel;
    deadline.start();
    this.#call(controller.signal).then(
      () => end(undefined),
      (thrown: unknown) => {
        end(fieldOf(thrown, 'retryable') === false ? undefined : toError(thrown));
      },
    );
  }

  cancel(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  /** Turns what it throws into a rejection. */
  async #call(signal: AbortSignal): Promise<unknown> {
    return this.#probe({ signal });
  }
}
