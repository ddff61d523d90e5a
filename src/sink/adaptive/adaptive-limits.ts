/** Adaptive control: moves the limits of a sink between their bounds. */

import type { TakenItems } from '../../buffer/ring-buffer.js';
import type { Ledger } from '../../buffer/ledger.js';
import type { FlushReport } from '../../api/events.js';
import { SLOW_FACTOR } from '../schedule/flush-interval.js';
import { fixedLimits, type Launch, type LimitControl, type SinkLimits } from '../schedule/sink-limits.js';
import { LatencyCap } from './latency-cap.js';
import { ThroughputSearch } from './throughput-search.js';

/** Slots at the start: the overlap that suits most databases. */
const FIRST_CONCURRENCY = 3;
/**
 * Share of the target that a flush may take while the flush interval is raised. Below a half, the interval shrinks again (invariant 8).
 */
const RELIEF = 0.45;
/** Relief is not tried if the fixed part of the latency takes a larger share of the target, or after this many flushes in relief. */
const MOST_FIXED_IN_RELIEF = 0.3;
const MOST_RELIEVED = 40;
/** Largest growth of the load by one flush that missed the target. */
const GROWTH_IN_MISS = 1.1;
/** Throughput at another load is predicted only if the loads differ by at most this factor. */
const FORESEEN = 1.5;
/** Share of the target above which a batch of one item shows a fixed part: it cannot be made smaller. */
const LONG_FOR_ONE = 0.75;
/** A clock may measure 0, whose logarithm is infinite. */
const LEAST_LATENCY_MS = 0.01;

/**
 * Sets the batch size by the latency of flushes, and the number of slots by the throughput that they gain.
 *
 *     load  = what is in flight, in batches of the largest size
 *     share = load / slots: the size of a batch, as a part of the largest
 *
 * So the same load in more slots makes smaller batches. Only full batches that were launched while every slot was busy are judged. A trickle
 * says nothing about what the destination can take. Nor does a bad row, a failed call or a retry.
 */
export class AdaptiveLimits implements LimitControl {
  readonly limits: SinkLimits;
  readonly #bounds: SinkLimits;
  readonly #targetMs: number;
  readonly #cap: LatencyCap;
  readonly #search: ThroughputSearch;
  #load: number;
  #share = 0;
  #relieved = 0;
  /** The number of slots that the latency line was learnt with. */
  #lineSlots = 0;

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

  onLaunch(
    { items, bytes }: TakenItems<unknown>,
    ledger: Ledger,
    isFull: boolean,
    deliveries: number,
    hasRetried: boolean,
  ): Launch {
    const inFlight = bytes > 0 ? ledger.inFlightBytes / bytes : ledger.inFlight / items.length;
    return {
      setting: this.#search.setting,
      isFull,
      isSaturated: deliveries >= this.limits.concurrency && !hasRetried,
      load: this.#share * inFlight,
      share: this.#share,
      isRetried: false,
    };
  }

  onAttempt(
    launch: Launch,
    { latencyMs, failed, transportFailure }: FlushReport,
    isIntervalRaised: boolean,
  ): void {
    const search = this.#search;
    const { line } = this.#cap;
    if (transportFailure) return search.interrupt();
    if (failed > 0 || !launch.isFull || launch.setting !== search.setting) return;
    const settles = search.settles();
    const isSlow = latencyMs > SLOW_FACTOR * this.#targetMs;
    if (!settles && !isSlow) return;
    const aim = launch.share * search.slots;
    const { isSaturated } = launch;
    // With a free slot, a batch within the target may still prove that it can be larger.
    if (!isSaturated && latencyMs <= Math.max(this.#targetMs, line.at(aim))) return;
    const load = isSaturated ? launch.load : aim;
    const tookMs = Math.max(latencyMs, LEAST_LATENCY_MS);
    if (this.#lineSlots !== search.slots) line.restart();
    this.#lineSlots = search.slots;
    this.#cap.onFlush(load, tookMs, search.slots, search.isTryingSlots);
    if (latencyMs > LONG_FOR_ONE * this.#targetMs && launch.share * this.#bounds.batchSize <= 1)
      line.suspectFixed();
    this.#relieved = isIntervalRaised && !isSlow ? this.#relieved + 1 : 0;
    const isRelieved =
      isIntervalRaised &&
      this.#relieved < MOST_RELIEVED &&
      line.fixedMs < MOST_FIXED_IN_RELIEF * this.#targetMs;
    // What is found in relief, at a smaller load, is not true of the usual one.
    if (isSaturated && settles && !isRelieved) this.#learn(load, tookMs);
    const cap = isRelieved ? line.loadFor(RELIEF * this.#targetMs) : this.#cap.load;
    const reachable = isSaturated ? this.#reach(Math.min(aim, load), latencyMs) : 0;
    this.#load = Math.min(cap, Math.exp(search.ceiling), Math.max(this.#load, reachable));
    this.#apply();
  }

  /** Returns the load that may be tried next: at most twice of what worked, as in TCP's slow start. After a miss it grows by a little. */
  #reach(load: number, latencyMs: number): number {
    if (latencyMs <= this.#targetMs) return 2 * load;
    return Math.max(GROWTH_IN_MISS * load, load + this.#search.slots / this.#bounds.batchSize);
  }

  #learn(load: number, latencyMs: number): void {
    const search = this.#search;
    const cap = this.#cap.load;
    const { line, isOutOfReach } = this.#cap;
    const limit = Math.min(cap, Math.exp(search.ceiling));
    const allowed = Math.min(load * FORESEEN, Math.max(load / FORESEEN, limit));
    const allowedMs = (latencyMs * line.at(allowed)) / line.at(load);
    const fine = Math.max(0, Math.log(allowedMs / this.#targetMs));
    search.onFlush(
      {
        load: Math.log(load),
        rate: Math.log(load / latencyMs),
        score: Math.log(allowed / allowedMs) - fine,
      },
      {
        cap: Math.log(cap),
        grain: Math.log1p(1 / this.limits.batchSize),
        least: Math.log(search.slots / this.#bounds.batchSize) - 0.01,
        deviation: line.deviation,
        isCrowded: isOutOfReach && search.slots > 1,
      },
    );
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
