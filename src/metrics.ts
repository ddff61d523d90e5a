import type { BreakerState, FlushReason } from './types.js';
import type { BackpressureState, DropReason } from './vocabulary.js';

/** What every buffer tells of itself, at any instant. Counts are since construction. */
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
  /** A transform: handed to the reader. */
  eventsFlushed: number;
  eventsFailed: number;
  /** Items in flight, those that wait for a retry included. */
  inFlight: number;
  /** Items offered, but not admitted yet. */
  waiting: number;
  /** Age of the oldest queued item in milliseconds; 0 where none is queued. */
  oldestItemAgeMs: number;
  timeInStateMs: Record<BackpressureState, number>;
  /** How long producers were made to wait, in milliseconds. */
  producerBlockedMs: number;
  /**
   * Under `sample`: items offered less the weights of those kept (`shed` and `aborted` ones excluded). Above 0: so many items have nobody
   * who stands for them yet. Below 0, by less than `sampleRate`: the window's item has been kept, and the rest of the window is to come.
   */
  unrepresented: number;
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
  /** `closed` where there is none. */
  breaker: BreakerState;
  /**
   * Where `positionOf` is given: everything that was offered up to and including this position has settled. It moves on by whole batches;
   * `undefined` before the first one.
   */
  committedPosition: number | bigint | undefined;
  /** Answers of flush functions that came after their batch had been given up. */
  lateResults: number;
}
