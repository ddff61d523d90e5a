/** Says what a load waits for, for its progress: the trouble of a failed call that is to be retried. */

import type { SinkEvents } from '../../api/events.js';
import { systemClock } from '../../common/clock.js';
import { CopyError } from '../../postgres/errors/copy-error.js';
import { troubleOf } from '../../postgres/errors/sqlstate.js';
import { causesOf } from '../common/errors.js';

interface Sink {
  on(event: 'retry', listener: (...args: SinkEvents<never>['retry']) => void): unknown;
  on(event: 'flush', listener: (...args: SinkEvents<never>['flush']) => void): unknown;
}

export class WaitingFor {
  #trouble: string | undefined;
  #nextAttemptAt: number | undefined;

  constructor(sink: Sink) {
    sink.on('retry', ({ error, delayMs }) => {
      const found = causesOf(error).find((cause) => cause instanceof CopyError);
      this.#trouble = troubleOf(found?.sqlState);
      this.#nextAttemptAt = systemClock.now() + delayMs;
    });
    sink.on('flush', ({ transportFailure }) => {
      if (transportFailure) return;
      this.#trouble = undefined;
      this.#nextAttemptAt = undefined;
    });
  }

  /** Undefined if the last call went well. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** When the last call that failed is made again, on the system's clock. */
  get nextAttemptAt(): number | undefined {
    return this.#nextAttemptAt;
  }
}
