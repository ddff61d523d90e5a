import type { EventEmitter } from 'node:events';
import type { FlushReport, RetryReport } from './events.js';
import type { BreakerState, FlushReason } from './flush-function.js';
import type { FailedItem } from './options.js';
import type { BackpressureState, DropReason } from './states.js';

/** What every message has: the stream, controller or load of a log that it comes from. */
interface FromTarget {
  readonly target: EventEmitter;
}

/** What is published on the channels of `node:diagnostics_channel`, by the name of the channel. */
export interface SignalMessages {
  'spillway:state': FromTarget & { readonly state: BackpressureState; readonly previous: BackpressureState };
  /** One for each item. */
  'spillway:drop': FromTarget & { readonly item: unknown; readonly reason: DropReason };
  'spillway:retry': FromTarget & RetryReport;
  'spillway:breaker': FromTarget & {
    readonly state: BreakerState;
    readonly previous: BreakerState;
    /** The last failure; none when it closes. */
    readonly reason: Error | undefined;
  };
  'spillway:failed': FromTarget & { readonly failures: readonly FailedItem<unknown>[] };
  /** One object for each call of the flush function, on all channels of the tracing channel `spillway:flush`. */
  'spillway:flush': FromTarget & {
    /** The batch: not to be changed. */
    readonly items: readonly unknown[];
    /** 1 for the first call of a batch. */
    readonly attempt: number;
    readonly reason: FlushReason;
    /** Of a log: the lane that the messages are from, and what identifies the log. */
    readonly lane?: number;
    readonly log?: Readonly<Record<string, unknown>>;
    /** A subscriber of `start` may set it: it must call `call`, at once, in the context that the flush function is to have. */
    around?: (call: () => void) => void;
    /** From `asyncStart` on. */
    result?: FlushReport;
    /** From `error` on: the call failed, wholly or in part. */
    error?: Error;
  };
}
