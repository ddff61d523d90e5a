import type { BackpressureState } from '../api/states.js';
import type { AdmissionSettings } from './drop-strategies.js';
import type { PressureSettings } from './pressure-state.js';

/** What the queue needs to know, as `settings/resolve-buffer.ts` works it out. */
export interface QueueSettings<T> extends AdmissionSettings, PressureSettings {
  /** Most items queued plus in flight; `Infinity` in byte mode. */
  capacity: number;
  /** Most bytes queued plus in flight; `Infinity` where bytes are not bounded. */
  capacityBytes: number;
  marks: ProducerMarks;
  sizeOf: ((item: T) => number) | undefined;
  shed: ((item: T, state: BackpressureState) => boolean) | undefined;
}

/** Loads (queued plus in flight) at or above which a producer is made to wait, and at or below which it is released. */
export interface ProducerMarks {
  pauseAt: number;
  resumeAt: number;
  pauseAtBytes: number;
  resumeAtBytes: number;
  /** What `writableHighWaterMark` returns. */
  highWaterMark: number;
  /** Most items that are offered before the producer yields to the event loop; it may yield earlier. */
  yieldEvery: number;
}
