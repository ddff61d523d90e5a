/** Says what a load waits for, for the line of progress: the trouble of a failed call that is to be retried. */

import type { SinkEvents } from '../../api/events.js';
import { CopyError } from '../../postgres/errors/copy-error.js';
import { troubleOf } from '../../postgres/errors/sqlstate.js';
import { causesOf } from '../common/errors.js';

interface Sink {
  on(event: 'retry', listener: (...args: SinkEvents<never>['retry']) => void): unknown;
  on(event: 'flush', listener: (...args: SinkEvents<never>['flush']) => void): unknown;
}

export class WaitingFor {
  #trouble: string | undefined;

  constructor(sink: Sink) {
    sink.on('retry', ({ error }) => {
      const found = causesOf(error).find((cause) => cause instanceof CopyError);
      this.#trouble = troubleOf(found?.sqlState);
    });
    sink.on('flush', ({ transportFailure }) => {
      if (!transportFailure) this.#trouble = undefined;
    });
  }

  /** Undefined if the last call went well. */
  get trouble(): string | undefined {
    return this.#trouble;
  }
}
