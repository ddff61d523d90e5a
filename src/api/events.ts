/** The events of the streams and the controller, beside Node's own. */

import type { Readable } from 'node:stream';
import type { FailedItem } from './options.js';
import type { BreakerState, FlushReason } from './flush-function.js';
import type { BackpressureState, DropReason } from './states.js';

/** How one call of the flush function went. */
export interface FlushReport {
  /** 1 for the first call of a batch. */
  attempt: number;
  reason: FlushReason;
  /** Items of the call, and what became of them in it. */
  items: number;
  success: number;
  failed: number;
  latencyMs: number;
  /** The call failed as a whole, in a way that says something about the destination rather than about a row. */
  transportFailure: boolean;
  /** What the call failed with; where items failed one by one, the error of the first of them. `undefined` if all arrived. */
  error: Error | undefined;
}

/** A batch, or what is left of it, will be called again. */
export interface RetryReport {
  error: Error;
  /** Calls made so far. */
  attempt: number;
  /** While the breaker is open: how long it will be at least, for the next call of all may be another batch's. */
  delayMs: number;
  items: number;
}

/** Event names, with the arguments of their listeners. */
export interface BufferEvents<T> {
  state: [state: BackpressureState, previous: BackpressureState];
  drop: [item: T, reason: DropReason];
}

export interface SinkEvents<T> extends BufferEvents<T> {
  /** After each call of the flush function. */
  flush: [report: FlushReport];
  retry: [retry: RetryReport];
  /** The circuit breaker has changed its state. `reason`: the last failure; none when it closes. */
  breaker: [state: BreakerState, previous: BreakerState, reason: Error | undefined];
  /** Items have failed for good. */
  failed: [failures: FailedItem<T>[]];
}

/** The events of a `BackpressureWritable`: its own and Node's. */
export interface WritableEvents<T> extends SinkEvents<T> {
  close: [];
  drain: [];
  error: [error: Error];
  finish: [];
  pipe: [source: Readable];
  unpipe: [source: Readable];
}

/** The events of a `BackpressureTransform`: its own and Node's. */
export interface TransformEvents<In, Out> extends BufferEvents<In> {
  close: [];
  data: [chunk: Out];
  drain: [];
  end: [];
  error: [error: Error];
  finish: [];
  pause: [];
  pipe: [source: Readable];
  readable: [];
  resume: [];
  unpipe: [source: Readable];
}

/** Events that Node's streams of all kinds have. A stream that is one of several classes takes listeners for these. */
export type NodeEventName = 'close' | 'drain' | 'error' | 'finish' | 'pipe' | 'unpipe';

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- as in Node's own types
export type AnyListener = (...args: any[]) => void;

/** The listener of an event. An event without arguments takes any listener, also the `resolve` of a promise. */
type ListenerOf<Arguments extends unknown[]> = Arguments extends []
  ? AnyListener
  : (...args: Arguments) => void;

export type SinkEventName = keyof SinkEvents<unknown>;
export type SinkListener<T, Name extends SinkEventName> = ListenerOf<SinkEvents<T>[Name]>;

export type WritableEventName = keyof WritableEvents<unknown>;
export type WritableListener<T, Name extends WritableEventName> = ListenerOf<WritableEvents<T>[Name]>;

export type TransformEventName = keyof TransformEvents<unknown, unknown>;
export type TransformListener<In, Out, Name extends TransformEventName> = ListenerOf<
  TransformEvents<In, Out>[Name]
>;
