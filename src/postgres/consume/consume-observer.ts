/** Reports what the worker of a log does, to its listeners and to the subscribers of channels. */

import type { EventEmitter } from 'node:events';
import type { FlushReport, RetryReport } from '../../api/events.js';
import type { BreakerState, FlushReason } from '../../api/flush-function.js';
import type { FailedItem } from '../../api/options.js';
import { toError } from '../../common/thrown.js';
import type { LogMessage } from '../../log/log.js';
import { FlushTrace } from '../../signals/flush-trace.js';
import { emitSignal } from '../../signals/signals.js';

/** The events of what `consumeLog` returns. */
export interface ConsumeEvents {
  /** After the transaction of each batch, committed or not. */
  flush: [report: FlushReport];
  /** An attempt has failed, and will be made again. `items` is 0 if it was not that of a batch. */
  retry: [retry: RetryReport];
  /** `open`: log or database cannot be reached. `closed`: both can. `reason`: the failure; none when it closes. */
  breaker: [state: BreakerState, previous: BreakerState, reason: Error | undefined];
  /** Dead letters are committed. */
  failed: [failures: FailedItem<LogMessage>[]];
}

/** A batch as its transaction begins. */
export interface TracedBatch {
  readonly items: readonly LogMessage[];
  readonly lane: number;
  readonly attempt: number;
  readonly reason: FlushReason;
}

export class ConsumeObserver {
  readonly #target: EventEmitter;
  /** What identifies the log, once it is open. */
  source: Readonly<Record<string, unknown>> = {};

  /** @param target whose listeners are called, and what messages name */
  constructor(target: EventEmitter) {
    this.#target = target;
  }

  /** Begins to trace a transaction, if somebody has subscribed to that. */
  traceFlush(batch: TracedBatch): FlushTrace | undefined {
    if (!FlushTrace.isWanted) return undefined;
    return new FlushTrace({ target: this.#target, log: this.source, ...batch });
  }

  onFlush(report: FlushReport): void {
    this.#emit('flush', report);
  }

  onRetry(retry: RetryReport): void {
    this.#emit('retry', retry);
  }

  onBreaker(...change: ConsumeEvents['breaker']): void {
    this.#emit('breaker', ...change);
  }

  onFailed(failures: FailedItem<LogMessage>[]): void {
    this.#emit('failed', failures);
  }

  /** A listener that throws is no reason to stop a load. */
  #emit<Name extends keyof ConsumeEvents>(event: Name, ...args: ConsumeEvents[Name]): void {
    try {
      emitSignal(this.#target, event, args);
    } catch (thrown) {
      process.emitWarning(toError(thrown));
    }
  }
}
