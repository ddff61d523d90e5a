/** The words of the library: constant objects, each with the union of its values as a type of the same name. */

/** How full the buffer is. Measures queued plus in flight. */
export const BackpressureState = {
  /** Below the low watermark. */
  NORMAL: 'normal',
  /** From the low watermark on. */
  ELEVATED: 'elevated',
  /** From the high watermark on: `write()` returns `false` under `block`. */
  CRITICAL: 'critical',
  /** Full. */
  BLOCKED: 'blocked',
  /** From `end()` or `drain()` on. */
  DRAINING: 'draining',
} as const;
export type BackpressureState = (typeof BackpressureState)[keyof typeof BackpressureState];

/** What happens to an item when there is no room. */
export const BackpressureStrategy = {
  /** The producer waits; nothing is lost. */
  BLOCK: 'block',
  /** The oldest queued item is evicted, the new one admitted. */
  DROP_OLDEST: 'drop_oldest',
  /** The incoming item is rejected. */
  DROP_NEWEST: 'drop_newest',
  /** Above NORMAL one of each window of `sampleRate` items is kept; when full the incoming item is rejected. */
  SAMPLE: 'sample',
} as const;
export type BackpressureStrategy = (typeof BackpressureStrategy)[keyof typeof BackpressureStrategy];

/** The strategies, also in the spelling that Node's own experimental streams use. */
export type StrategyInput = BackpressureStrategy | 'drop-oldest' | 'drop-newest';

/** Why an item was dropped. */
export const DROP_REASONS = [
  /** `drop_oldest` made room for a newer one. */
  'evicted',
  /** There was no room, under `drop_newest`, `sample` or `tryPush()`; or the controller was draining. */
  'rejected',
  /** `sample` kept another one of its window. */
  'sampled',
  /** The user's `shed` said so. */
  'shed',
  /** `push()` waited for `maxBlockTimeMs` and returned `false`. */
  'timeout',
  /** `maxWaiting` items waited already. */
  'overflow',
  /** Larger than `maxBufferBytes`, under a strategy that never waits. */
  'oversized',
  /** Never admitted: the stream was destroyed first. */
  'aborted',
] as const;
export type DropReason = (typeof DROP_REASONS)[number];
