import type { BreakerState, FlushReason } from './flush-function.js';
import type { BackpressureState, DropReason } from './states.js';

/** A snapshot of a buffer. Counts begin when it is made. */
export interface BufferMetrics {
  state: BackpressureState;
  /** Items queued. */
  bufferSize: number;
  /** Queued plus in flight as a share of the capacity; where bytes are bounded too, the larger share. */
  bufferUtilization: number;
  eventsOffered: number;
  eventsAccepted: number;
  /** The sum of `dropsByReason`. */
  eventsDropped: number;
  dropsByReason: Record<DropReason, number>;
  /** Of a transform: read. */
  eventsFlushed: number;
  /** Items that failed for good. `eventsReturned` and `eventsAmbiguous` are parts of it, and may overlap. */
  eventsFailed: number;
  /** Failed items that were given back to the caller (`takeUnsettled()`, `error.items`); `onFailed` took the others. */
  eventsReturned: number;
  /** Failed items of which is not known whether they arrived. */
  eventsAmbiguous: number;
  /** Items in flight, those that wait for a retry included. */
  inFlight: number;
  /** Items offered, but not admitted yet. */
  waiting: number;
  /** Age of the oldest item that is queued or in flight, in milliseconds since it was admitted; 0 if there is none. */
  oldestItemAgeMs: number;
  /** Age of the oldest item in flight, in milliseconds since it was admitted; 0 if there is none. */
  oldestInFlightAgeMs: number;
  timeInStateMs: Record<BackpressureState, number>;
  /** How long producers were made to wait, in milliseconds. */
  producerBlockedMs: number;
  /**
   * Under `sample`: items offered less the weights of those kept (`shed` and `aborted` ones excluded). Above 0: so many items have nobody
   * who stands for them yet. Below 0, by less than `sampleRate`: the window's item has been kept, and the rest of the window is to come.
   */
  unrepresented: number;
  /** Whether it has ended with an error: nothing is delivered any more. */
  isFailed: boolean;
  /** The error it has failed with; until then, the error of the last call that failed wholly or in part, if one did. */
  lastError: Error | undefined;
  /** What `lastError` is, for a label: its `code` (an SQLSTATE, `ECONNREFUSED`, `ERR_BACKPRESSURE_…`), or its name. */
  lastErrorClass: string | undefined;
  /** Where bytes are measured: bytes queued and in flight. */
  bufferBytes?: number;
  inFlightBytes?: number;
}

export interface SinkMetrics extends BufferMetrics {
  /** Of the last call of the flush function; 0 before the first. */
  lastFlushLatencyMs: number;
  currentFlushIntervalMs: number;
  /** Most items of a batch, and flushes at the same time, at the moment: `batchSize` and `concurrency` unless `adaptive`. */
  currentBatchSize: number;
  currentConcurrency: number;
  /** Batches begun. Retries are counted in `retries`. */
  flushes: number;
  flushesByReason: Record<FlushReason, number>;
  retries: number;
  /** `closed` where there is none, and once the sink has ended: then no call is held. */
  breaker: BreakerState;
  /** When the open breaker lets a call begin, as `Date.now()` counts; `undefined` while it is not open. With an injected clock: as it counts. */
  nextProbeTime: number | undefined;
  /** When a call last delivered an item, as `Date.now()` counts; `undefined` before. With an injected clock: as it counts. */
  lastSuccessTime: number | undefined;
  /**
   * Where `positionOf` is given: everything that was offered up to and including this position has settled. It moves on by whole batches;
   * `undefined` before the first one.
   */
  committedPosition: number | bigint | undefined;
  /** Answers of flush functions that came after their batch had been given up. */
  lateResults: number;
}
