import type { EventEmitter } from 'node:events';
import type { SinkEvents } from '../api/events.js';
import type { FlushReason } from '../api/flush-function.js';
import { FlushTrace } from '../signals/flush-trace.js';
import { emitSignal, observesDrops } from '../signals/signals.js';

/** The stream or controller around a sink. */
export interface SinkOwner {
  /** Whose listeners the sink notifies. */
  emitter: EventEmitter;
  /** Load has gone down: a producer that waits may be let in. */
  onRoom(): void;
  /** The sink cannot go on. The owner must call `abort(error, …)`. */
  onFatal(error: Error): void;
}

/** Notifies the user's listeners, and subscribers of the channels. A listener that throws does so to `onThrow`, because the engine is in the middle of something. */
export class SinkObserver<T> {
  readonly #emitter: EventEmitter;
  readonly #onThrow: (name: string, thrown: unknown) => void;

  constructor(emitter: EventEmitter, onThrow: (name: string, thrown: unknown) => void) {
    this.#emitter = emitter;
    this.#onThrow = onThrow;
  }

  observesDrops(): boolean {
    return observesDrops(this.#emitter);
  }

  /** Begins to trace a call of the flush function, if somebody has subscribed to that. */
  traceFlush(items: readonly T[], attempt: number, reason: FlushReason): FlushTrace | undefined {
    if (!FlushTrace.isWanted) return undefined;
    return new FlushTrace({ target: this.#emitter, items, attempt, reason });
  }

  emit<Name extends keyof SinkEvents<T>>(event: Name, ...args: SinkEvents<T>[Name]): void {
    try {
      emitSignal(this.#emitter, event, args);
    } catch (thrown) {
      this.#onThrow(`listener of '${event}'`, thrown);
    }
  }
}
