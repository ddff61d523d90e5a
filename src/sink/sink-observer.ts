import type { EventEmitter } from 'node:events';
import type { FlushReport, RetryReport } from '../api/events.js';
import type { FailedItem } from '../api/options.js';
import type { BreakerState } from '../api/flush-function.js';
import type { BackpressureState, DropReason } from '../api/states.js';

/** What the sink reports to the stream or controller around it, which passes it on to the user's listeners. */
export interface SinkObserver<T> {
  onState(state: BackpressureState, previous: BackpressureState): void;
  onDrop(item: T, reason: DropReason): void;
  /** Whether anybody listens to drops: a report of each that nobody reads costs more than the drop. */
  observesDrops(): boolean;
  onFlush(report: FlushReport): void;
  onRetry(retry: RetryReport): void;
  onBreaker(state: BreakerState, previous: BreakerState, reason: Error | undefined): void;
  onFailed(failures: FailedItem<T>[]): void;
  /** Load has gone down: a producer that waits may be let in. */
  onRoom(): void;
  /** The sink cannot go on. The observer must call `abort(error, …)`. */
  onFatal(error: Error): void;
}

/** Passes it on to the listeners of a stream or controller. */
export class EmittingObserver<T> implements SinkObserver<T> {
  readonly #emitter: EventEmitter;
  readonly onRoom: () => void;
  readonly onFatal: (error: Error) => void;

  constructor(emitter: EventEmitter, onRoom: () => void, onFatal: (error: Error) => void) {
    this.#emitter = emitter;
    this.onRoom = onRoom;
    this.onFatal = onFatal;
  }

  onState(state: BackpressureState, previous: BackpressureState): void {
    this.#emitter.emit('state', state, previous);
  }

  onDrop(item: T, reason: DropReason): void {
    this.#emitter.emit('drop', item, reason);
  }

  observesDrops(): boolean {
    return this.#emitter.listenerCount('drop') > 0;
  }

  onFlush(report: FlushReport): void {
    this.#emitter.emit('flush', report);
  }

  onRetry(retry: RetryReport): void {
    this.#emitter.emit('retry', retry);
  }

  onBreaker(state: BreakerState, previous: BreakerState, reason: Error | undefined): void {
    this.#emitter.emit('breaker', state, previous, reason);
  }

  onFailed(failures: FailedItem<T>[]): void {
    this.#emitter.emit('failed', failures);
  }
}

/** The same observer, but a listener that throws does so to `onThrow`: the engine is in the middle of something. */
export class GuardedObserver<T> implements SinkObserver<T> {
  readonly #observer: SinkObserver<T>;
  readonly #onThrow: (name: string, thrown: unknown) => void;

  constructor(observer: SinkObserver<T>, onThrow: (name: string, thrown: unknown) => void) {
    this.#observer = observer;
    this.#onThrow = onThrow;
  }

  onState(state: BackpressureState, previous: BackpressureState): void {
    try {
      this.#observer.onState(state, previous);
    } catch (thrown) {
      this.#listenerFailed('state', thrown);
    }
  }

  onDrop(item: T, reason: DropReason): void {
    try {
      this.#observer.onDrop(item, reason);
    } catch (thrown) {
      this.#listenerFailed('drop', thrown);
    }
  }

  observesDrops(): boolean {
    return this.#observer.observesDrops();
  }

  onFlush(report: FlushReport): void {
    try {
      this.#observer.onFlush(report);
    } catch (thrown) {
      this.#listenerFailed('flush', thrown);
    }
  }

  onRetry(retry: RetryReport): void {
    try {
      this.#observer.onRetry(retry);
    } catch (thrown) {
      this.#listenerFailed('retry', thrown);
    }
  }

  onBreaker(state: BreakerState, previous: BreakerState, reason: Error | undefined): void {
    try {
      this.#observer.onBreaker(state, previous, reason);
    } catch (thrown) {
      this.#listenerFailed('breaker', thrown);
    }
  }

  onFailed(failures: FailedItem<T>[]): void {
    try {
      this.#observer.onFailed(failures);
    } catch (thrown) {
      this.#listenerFailed('failed', thrown);
    }
  }

  onRoom(): void {
    this.#observer.onRoom();
  }

  onFatal(error: Error): void {
    this.#observer.onFatal(error);
  }

  #listenerFailed(event: string, thrown: unknown): void {
    this.#onThrow(`listener of '${event}'`, thrown);
  }
}
