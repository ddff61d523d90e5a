/** The limits that a sink works with, and how adaptive control moves them between their bounds. */

import type { TakenItems } from '../buffer/admission-queue.js';
import type { Ledger } from '../buffer/ledger.js';
import type { FlushReport } from '../events.js';
import { SLOW_FACTOR } from './flush-interval.js';
import { LatencyCap } from './latency-cap.js';
import { ThroughputSearch } from './throughput-search.js';

/** What a batch may be, and how many flushes there may be at the same time. */
export interface SinkLimits {
  batchSize: number;
  batchBytes: number;
  concurrency: number;
}

/** How things stood when a batch was launched. */
export interface Launch {
  readonly setting: number;
  readonly isFull: boolean;
  /** Every slot was busy, with calls under way. */
  readonly isSaturated: boolean;
  /** What was in flight, this batch included, and this batch alone: in batches of the largest size. */
  readonly load: number;
  readonly share: number;
  /** The batch waits for another call, or has had one. */
  isRetried: boolean;
}

/** Where control starts: the overlap that suits most databases. */
const FIRST_CONCURRENCY = 3;
/** While the flush interval is above its lower bound, batches are so much smaller, that flushes take less than half the target and it comes back. */
const RELIEF = 0.45;
/** Flushes after which it is clear that smaller batches do not bring it back. */
const MOST_RELIEVED = 40;
/** Faster than a clock can tell. */
const LEAST_LATENCY_MS = 0.01;

export function fixedLimits({ batchSize, batchBytes, concurrency }: SinkLimits): SinkLimits {
  return { batchSize, batchBytes, concurrency };
}

/**
 * Batch size by time per flush, slots by the throughput that they gain. The load is what is in flight, so that the same load in more slots
 * makes smaller batches. Only full batches that were launched while every slot was busy are judged: a trickle says nothing about what the
 * destination can take, nor does a row's fault, a failed call or a retry.
 */
export class AdaptiveLimits {
  readonly limits: SinkLimits;
  readonly #bounds: SinkLimits;
  readonly #targetMs: number;
  readonly #cap: LatencyCap;
  readonly #search: ThroughputSearch;
  #load: number;
  #share = 0;
  #relieved = 0;

  constructor(bounds: SinkLimits & { targetLatencyMs: number; firstBatchSize: number }) {
    this.#bounds = fixedLimits(bounds);
    this.limits = fixedLimits(bounds);
    this.#targetMs = bounds.targetLatencyMs;
    this.#cap = new LatencyCap(bounds.targetLatencyMs);
    const slots = Math.min(FIRST_CONCURRENCY, bounds.concurrency);
    this.#search = new ThroughputSearch(slots, bounds.concurrency);
    this.#load = slots * Math.min(1, bounds.firstBatchSize / bounds.batchSize);
    this.#apply();
  }

  /** `hasRetried`: a batch is held for another call, so that what is in flight is not what the destination has to do. */
  onLaunch(
    { items, bytes }: TakenItems<unknown>,
    ledger: Ledger,
    isFull: boolean,
    flights: number,
    hasRetried: boolean,
  ): Launch {
    const inFlight = bytes > 0 ? ledger.inFlightBytes / bytes : ledger.inFlight / items.length;
    return {
      setting: this.#search.setting,
      isFull,
      isSaturated: flights >= this.limits.concurrency && !hasRetried,
      load: this.#share * inFlight,
      share: this.#share,
      isRetried: false,
    };
  }

  /** How the first call of a batch went. `isIntervalRaised`: the flush interval is above its lower bound. */
  onAttempt(
    launch: Launch,
    { latencyMs, failed, transportFailure }: FlushReport,
    isIntervalRaised: boolean,
  ): void {
    if (transportFailure) return this.#search.interrupt();
    if (failed > 0 || !launch.isFull) return;
    const search = this.#search;
    const { isSaturated } = launch;
    // With a slot to spare, the batch may still be too large.
    if (!isSaturated && latencyMs <= this.#targetMs) return;
    const logLoad = Math.log(isSaturated ? launch.load : launch.share * search.slots);
    const logRate = logLoad - Math.log(Math.max(latencyMs, LEAST_LATENCY_MS));
    this.#cap.onFlush({ logLoad, logRate, latencyMs }, search.slots);
    const cap = this.#cap.logLoad;
    const isSlow = latencyMs > SLOW_FACTOR * this.#targetMs;
    this.#relieved = isIntervalRaised && !isSlow ? this.#relieved + 1 : 0;
    const relief = isIntervalRaised && this.#relieved < MOST_RELIEVED ? RELIEF : 1;
    // What is found at such a load is not true of another.
    if (isSaturated && relief === 1) {
      const grain = Math.log1p(1 / this.limits.batchSize);
      search.onFlush(launch.setting, logLoad, logRate, cap, grain);
    }
    const allowed = relief * Math.exp(Math.min(cap, search.ceiling));
    // At most twice of what was seen to work, as in a slow start.
    const reachable = isSaturated ? Math.max(this.#load, 2 * launch.load) : this.#load;
    this.#load = Math.min(allowed, reachable);
    this.#apply();
  }

  #apply(): void {
    const { limits } = this;
    const bounds = this.#bounds;
    const { slots } = this.#search;
    this.#load = Math.min(slots, Math.max(this.#load, slots / bounds.batchSize));
    const share = this.#load / slots;
    limits.concurrency = slots;
    limits.batchSize = Math.max(1, Math.floor(share * bounds.batchSize + 0.25));
    limits.batchBytes =
      bounds.batchBytes === Infinity ? Infinity : Math.max(1, Math.floor(share * bounds.batchBytes));
    this.#share = limits.batchSize / bounds.batchSize;
  }
}
