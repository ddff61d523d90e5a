import type { FlushReport, RetryReport } from '../events.js';
import type { FailedItem } from '../options.js';
import type { BreakerState } from '../types.js';
import type { BackpressureState, DropReason } from '../vocabulary.js';

/** What the sink tells the stream or controller around it, which passes it on to the user's listeners. */
export interface SinkObserver<T> {
  onState: (state: BackpressureState, previous: BackpressureState) => void;
  onDrop: (item: T, reason: DropReason) => void;
  /** Whether anybody listens to drops: to tell nobody of each costs more than the drop. */
  hearsDrops: () => boolean;
  onFlush: (report: FlushReport) => void;
  onRetry: (retry: RetryReport) => void;
  onBreaker: (state: BreakerState, previous: BreakerState, reason: Error | undefined) => void;
  onFailed: (failures: FailedItem<T>[]) => void;
  /** Load has gone down: a producer that waits may be let in. */
  onRoom: () => void;
  /** The sink cannot go on. The observer must call `abort(error, …)`. */
  onFatal: (error: Error) => void;
}

/** The same observer, but a listener that throws does so to `onThrow`: the engine is in the middle of something. */
export function guardObserver<T>(
  observer: SinkObserver<T>,
  onThrow: (name: string, thrown: unknown) => void,
): SinkObserver<T> {
  const guard =
    // Three arguments, not a rest parameter, which would cost an array for each dropped item.
    <A, B, C>(event: string, listener: (a: A, b: B, c: C) => void) =>
      (a: A, b?: B, c?: C) => {
        try {
          listener(a, b as B, c as C);
        } catch (thrown) {
          onThrow(`listener of '${event}'`, thrown);
        }
      };
  return {
    onState: guard('state', observer.onState),
    onDrop: guard('drop', observer.onDrop),
    hearsDrops: observer.hearsDrops,
    onFlush: guard('flush', observer.onFlush),
    onRetry: guard('retry', observer.onRetry),
    onBreaker: guard('breaker', observer.onBreaker),
    onFailed: guard('failed', observer.onFailed),
    onRoom: observer.onRoom,
    onFatal: observer.onFatal,
  };
}
