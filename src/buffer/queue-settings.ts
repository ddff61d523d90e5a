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

/** A producer is made to wait from `pauseAt` on and released at `resumeAt`; both measure queued plus in flight. */
export interface ProducerMarks {
  pauseAt: number;
  resumeAt: number;
  pauseAtBytes: number;
  resumeAtBytes: number;
  /** What `writableHighWaterMark` tells. */
  highWaterMark: number;
  /** After so many items the producer gives way for a turn of the event loop. */
  yieldEvery: number;
}
