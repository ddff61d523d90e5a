import type { EventEmitter } from 'node:events';
import type { FlushReport, RetryReport } from '../api/events.js';
import type { FailedItem } from '../api/options.js';
import type { BreakerState } from '../api/flush-function.js';
import type { BackpressureState, DropReason } from '../api/states.js';

/** The stream or controller around a sink. */
export interface SinkOwner {
  /** Whose listeners the sink notifies. */
  emitter: EventEmitter;
  /** Load has gone down: a producer that waits may be let in. */
  onRoom(): void;
  /** The sink cannot go on. The owner must call `abort(error, …)`. */
  onFatal(error: Error): void;
}

/** Notifies the user's listeners. One that throws does so to `onThrow`, because the engine is in the middle of something. */
export class SinkObserver<T> {
  readonly #emitter: EventEmitter;
  readonly #onThrow: (name: string, thrown: unknown) => void;

  constructor(emitter: EventEmitter, onThrow: (name: string, thrown: unknown) => void) {
    this.#emitter = emitter;
    this.#onThrow = onThrow;
  }

  onState(state: BackpressureState, previous: BackpressureState): void {
    this.#emit('state', state, previous);
  }

  onDrop(item: T, reason: DropReason): void {
    this.#emit('drop', item, reason);
  }

  /** Whether anybody listens to drops: a report of each that nobody reads costs more than the drop. */
  observesDrops(): boolean {
    return this.#emitter.listenerCount('drop') > 0;
  }

  onFlush(report: FlushReport): void {
    this.#emit('flush', report);
  }

  onRetry(retry: RetryReport): void {
    this.#emit('retry', retry);
  }

  onBreaker(state: BreakerState, previous: BreakerState, reason: Error | undefined): void {
    this.#emit('breaker', state, previous, reason);
  }

  onFailed(failures: FailedItem<T>[]): void {
    this.#emit('failed', failures);
  }

  #emit(event: string, ...args: unknown[]): void {
    try {
      this.#emitter.emit(event, ...args);
    } catch (thrown) {
      this.#onThrow(`listener of '${event}'`, thrown);
    }
  }
}
