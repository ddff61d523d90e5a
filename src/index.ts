/** Public exports of the core, nothing else. */

export { BackpressureWritable } from './stream/backpressure-writable.js';
export { BackpressureTransform } from './stream/backpressure-transform.js';
export { BackpressureController } from './controller/backpressure-controller.js';
export { BoundedBuffer } from './buffer/bounded-buffer.js';
export { drainAll } from './shutdown/drain-all.js';
export { drainOnSignals } from './shutdown/drain-on-signals.js';
export type { DrainAllOptions, DrainOnSignalsOptions } from './shutdown/drain-all-options.js';
export type { DrainReport, SignalDrainReport } from './shutdown/drain-report.js';
export type { DrainableSinks } from './shutdown/drain-order.js';
export type { DrainableSink } from './shutdown/drainable-sink.js';
export type { DrainOptions } from './settings/drain-options.js';
export { BackpressureState, BackpressureStrategy } from './api/states.js';
export type { DropReason, StrategyInput } from './api/states.js';
export { BackpressureError, InvalidOptionError, ItemError } from './api/errors.js';
export type { BackpressureErrorCode, BackpressureErrorOptions } from './api/errors.js';
export type {
  BreakerState,
  FlushContext,
  FlushDefaults,
  DestinationResult,
  FlushFunction,
  FlushReason,
  FlushResult,
  SizeOf,
} from './api/flush-function.js';
export type {
  BatchedOutput,
  BreakerOptions,
  BreakerProbe,
  BufferOptions,
  FailedItem,
  MapFunction,
  Mapped,
  RetryOptions,
  Settlement,
  SingleOutput,
  SinkOptions,
  TransformBufferOptions,
  TransformOptions,
  WritableOptions,
} from './api/options.js';
export type { BufferMetrics, SinkMetrics } from './api/metrics.js';
export type {
  BufferEvents,
  FlushReport,
  RetryReport,
  SinkEvents,
  TransformEvents,
  WritableEvents,
} from './api/events.js';
export type { SignalMessages } from './api/signals.js';
export type { Clock, TimerHandle } from './common/clock.js';
