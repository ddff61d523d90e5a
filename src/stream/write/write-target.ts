import type { AdmissionQueue } from '../../buffer/admission-queue.js';
import type { Outcome } from '../../buffer/drop-strategies.js';

/** What chunks are written to: a batching sink, or a transform. */
export interface WriteTarget<T> {
  readonly queue: AdmissionQueue<T>;
  /** Decides on an item that has arrived; `bytes` is what `queue.judge` returned. */
  admit(item: T, bytes: number): Outcome;
  /** Returns an item that waits to the caller: the stage has ended while the item was being decided on. */
  returnToCaller(item: T): void;
  /** How many more items, and bytes, the queue may admit by itself, until the target changes the queue. */
  headroom(): number;
  headroomBytes(): number;
  /** A producer is made to wait, or no longer. */
  setHeld(held: boolean): void;
  /** Items that waited were skipped: a flush may have waited for them. */
  onSkipped(): void;
}
