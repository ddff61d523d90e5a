/**
 * Searches for the load and the number of slots with the most throughput. The load is what is in flight. Pure: it knows neither items nor clock.
 *
 *     rest ──pause is over, enough samples──> trial of one change ──it pays──────> rest, with the change
 *      ^                                           │
 *      └──────────── the change is undone <────────┴─it does not pay, or a call fails
 *
 *     overload, or another throughput without a change of ours  → the next trial begins at once
 *
 * Loads, throughputs and steps are logarithms, so that a difference is a ratio.
 */

/** Throughput that another number of slots must gain to be kept. */
const PAYING_GAIN = 0.03;
/** Expected gain of fewer slots if there are too many. */
const CROWDED_GAIN = 0.5;
/** A larger load is kept even if throughput falls by this power of its growth: that counts as a tie. */
const TIE = 0.1;
/** Overload: throughput falls by more than this power of the growth in load, or rises by as much when the load shrinks. */
const OVERLOAD = 0.5;
/** Factors of a step after a trial that paid, and after one that did not. */
const GROWTH = 2;
const SHRINKAGE = 4;
const LEAST_STEP = 0.05;
const MOST_STEP = Math.LN2;
const FIRST_STEP_DOWN = 0.3;
/** Least step as a multiple of the deviation: a smaller one would be lost in it. */
const LEAST_STEP_IN_NOISE = 0.7;
/** Flushes until slots are tried again. The number doubles with each trial that failed. */
const SHORTEST_PAUSE = 8;
const LONGEST_PAUSE = 128;
/** Pause after a load that did not pay, as a multiple of the trial's length. */
const REST = 2;
/** If latency limits the load: flushes between two trials of a smaller one, and their step. */
const CAP_PAUSE = 64;
const CAP_STEP = 0.1;
/** A larger drift of the throughput without a change of ours means that the destination has changed. */
const CHANGE = 0.2;
/** Loads that differ by more count as different, also relative to the deviation. */
const OTHER_LOAD = 0.15;
const OTHER_LOAD_DEVIATIONS = 2;
const MOST_SAMPLES = 64;
/** Standard deviation for a mean absolute deviation of 1. */
const SIGMA = 1.25;

/** A quantity that can be changed: the load, or the slots. */
interface Axis {
  readonly isOfSlots: boolean;
  sign: 1 | -1;
  step: number;
  /** Trials in a row that have failed, and flushes until the next. */
  failures: number;
  wait: number;
}

/** A full batch whose call has returned, and that was launched when every slot was busy. */
export interface Answered {
  load: number;
  /** Throughput as it was. */
  rate: number;
  /** Throughput at the largest load that is allowed, less a penalty for missing the target. Numbers of slots are compared by it. */
  score: number;
}

/** The limits of what can be tried. */
export interface Room {
  /** The load that the latency allows, the step of one item, and the load of batches of one item. */
  cap: number;
  grain: number;
  least: number;
  /** How far single flushes lie from the expected. */
  deviation: number;
  /** This many slots cannot keep the target, whatever the load. */
  isCrowded: boolean;
}

interface Means extends Answered {
  count: number;
}

const NOTHING: Readonly<Means> = { count: 0, load: 0, rate: 0, score: 0 };

export class ThroughputSearch {
  /** Number of the current setting. A flush that was launched under another one says nothing about this one. */
  setting = 0;
  slots: number;
  /** The load that must not be exceeded; Infinity if no overload has been found. */
  ceiling = Infinity;
  readonly #mostSlots: number;
  readonly #ofLoad: Axis = { isOfSlots: false, sign: -1, step: CAP_STEP, failures: 2, wait: CAP_PAUSE };
  readonly #ofSlots: Axis = { isOfSlots: true, sign: 1, step: 0.35, failures: 0, wait: SHORTEST_PAUSE };
  #trial: Axis | undefined;
  #before: { slots: number; ceiling: number };
  /** The least number of samples of a trial, and the number that decides it. */
  #least = 0;
  #needed = 0;
  /** Number of further flushes that are launched while some of the previous setting are in flight. */
  #mixed = 0;
  #base: Means = { ...NOTHING };
  #tried: Means = { ...NOTHING };
  #drift = 0;
  #overloads = 0;
  #isCrowded = false;

  constructor(slots: number, mostSlots: number) {
    this.slots = slots;
    this.#mostSlots = mostSlots;
    this.#before = { slots, ceiling: Infinity };
  }

  get isTryingSlots(): boolean {
    return this.#trial?.isOfSlots === true;
  }

  /** Returns whether a flush was launched with only flushes of the current setting in flight. To be called once for each flush. */
  settles(): boolean {
    return this.#mixed-- <= 0;
  }

  /** Learns from a flush for which `settles()` returned true. */
  onFlush(flush: Answered, room: Room): void {
    if (this.#trial === undefined) {
      this.#onRest(flush, room.deviation);
      this.#startTrial(room);
    } else this.#onTrial(this.#trial, flush, room);
  }

  /** Undoes a trial, and forgets what was measured: a call has failed. */
  interrupt(): void {
    if (this.#trial !== undefined) this.#restore();
    this.#base.count = 0;
  }

  // ── at rest ──

  #onRest(flush: Answered, deviation: number): void {
    const base = this.#base;
    this.#ofLoad.wait--;
    this.#ofSlots.wait--;
    if (base.count === 0) return this.#restAt(flush);
    const growth = flush.load - base.load;
    const gain = flush.rate - base.rate;
    if (Math.abs(growth) > Math.max(OTHER_LOAD, OTHER_LOAD_DEVIATIONS * deviation)) {
      // The latency cap has moved the load. Two bad flushes show overload; one may be chance.
      const loss = growth > 0 ? -gain : gain;
      if (loss <= OVERLOAD * Math.abs(growth) + 2 * deviation) this.#restAt(flush);
      else if (++this.#overloads >= 2) this.#onOverload(flush, growth);
      return;
    }
    this.#overloads = 0;
    this.#drift += 0.3 * (clamp(gain, 0.5) - this.#drift);
    if (Math.abs(this.#drift) > Math.max(CHANGE, 2 * deviation)) this.#onChange(flush);
    else average(base, flush, MOST_SAMPLES);
  }

  #restAt(flush: Answered): void {
    this.#base = { ...flush, count: 1 };
    this.#drift = 0;
    this.#overloads = 0;
  }

  #onOverload(flush: Answered, growth: number): void {
    this.ceiling = growth > 0 ? this.#base.load : flush.load;
    this.#lookFor(growth > 0 ? 1 : -1, growth > 0 ? Math.max(LEAST_STEP, growth / 4) : FIRST_STEP_DOWN);
    this.#base.count = 0;
    this.#overloads = 0;
    this.#begin();
  }

  /** Throughput has changed without a change of ours. */
  #onChange(flush: Answered): void {
    if (this.#drift > 0) this.#lookFor(1, MOST_STEP);
    else this.#lookFor(-1, FIRST_STEP_DOWN);
    Object.assign(this.#ofSlots, { failures: 0, wait: SHORTEST_PAUSE });
    this.#restAt(flush);
  }

  /** Lets another load be tried at once. */
  #lookFor(sign: 1 | -1, step: number): void {
    Object.assign(this.#ofLoad, { sign, step, failures: 0, wait: 0 });
  }

  // ── trials ──

  #startTrial(room: Room): void {
    // Smaller batches do not help, but fewer slots may.
    if (room.isCrowded && !this.#isCrowded) Object.assign(this.#ofSlots, { failures: 0, wait: 0 });
    this.#isCrowded = room.isCrowded;
    // The load is still growing towards its limit.
    const way = Math.min(this.ceiling, room.cap) - this.#base.load;
    if (!room.isCrowded && way > Math.max(OTHER_LOAD, OTHER_LOAD_DEVIATIONS * room.deviation)) return;
    if (this.#ofLoad.wait <= 0) this.#tryLoad(room);
    else if (this.#ofSlots.wait <= 0) this.#trySlots(room);
  }

  #tryLoad({ cap, grain, least, deviation }: Room): void {
    const axis = this.#ofLoad;
    const { count, load } = this.#base;
    if (axis.sign > 0 && this.ceiling >= cap) {
      // Above the cap there is nothing to try.
      this.ceiling = Infinity;
      Object.assign(axis, { sign: -1, step: CAP_STEP, failures: 2, wait: CAP_PAUSE });
      return;
    }
    const step = Math.max(axis.step, LEAST_STEP_IN_NOISE * deviation, grain);
    if (axis.sign < 0 && load - step < least) {
      Object.assign(axis, { sign: 1, wait: SHORTEST_PAUSE });
      return;
    }
    if (!this.#isDecidable(2, count, deviation / step)) return;
    this.#begin(axis);
    this.ceiling = load + axis.sign * step;
  }

  #trySlots({ deviation, isCrowded }: Room): void {
    const axis = this.#ofSlots;
    if (axis.failures === 0 && isCrowded) axis.sign = -1;
    if (this.#slotsAfter(axis) === this.slots) axis.sign = axis.sign > 0 ? -1 : 1;
    const slots = this.#slotsAfter(axis);
    // A whole round, because each slot may have a latency of its own, if the slots share servers unevenly.
    const round = Math.max(2, this.slots, slots);
    const step = isCrowded ? CROWDED_GAIN : 4 * PAYING_GAIN;
    if (!this.#isDecidable(round, this.#base.count, deviation / step)) return;
    this.#begin(axis);
    this.slots = slots;
    this.#mixed = Math.max(slots, this.#before.slots);
  }

  /** Returns whether there are enough samples to begin a trial. @param noise the deviation as a multiple of the step */
  #isDecidable(least: number, rested: number, noise: number): boolean {
    this.#least = least;
    this.#needed = Math.max(least, Math.min(MOST_SAMPLES, (4 * noise) ** 2));
    return rested >= Math.max(this.#needed / 2, least);
  }

  #slotsAfter({ sign, step }: Axis): number {
    const slots = Math.round(this.slots * Math.exp(sign * step));
    return sign > 0
      ? Math.min(this.#mostSlots, Math.max(this.slots + 1, slots))
      : Math.max(1, Math.min(this.slots - 1, slots));
  }

  #onTrial(axis: Axis, flush: Answered, { cap, deviation }: Room): void {
    const tried = this.#tried;
    const base = this.#base;
    average(tried, flush, Infinity);
    const excess = axis.isOfSlots
      ? tried.score - base.score - PAYING_GAIN
      : tried.rate - base.rate + TIE * (tried.load - base.load);
    const rested = Math.min(base.count, MOST_SAMPLES);
    const error = SIGMA * deviation * Math.sqrt(1 / tried.count + 1 / rested);
    const isClear = tried.count >= this.#least && Math.abs(excess) > 2.5 * error + 0.01;
    if (tried.count < this.#needed && !isClear) return;
    this.#drift = 0;
    if (excess > 0) this.#keep(axis);
    else this.#giveUp(axis);
    if (this.ceiling >= cap) this.ceiling = Infinity;
  }

  #keep(axis: Axis): void {
    axis.step = Math.min(MOST_STEP, GROWTH * axis.step);
    axis.failures = 0;
    axis.wait = 0;
    this.#base = this.#tried;
    this.#trial = undefined;
  }

  #giveUp(axis: Axis): void {
    axis.step = Math.max(axis.isOfSlots ? 0 : LEAST_STEP, axis.step / SHRINKAGE);
    axis.failures++;
    const pause = axis.isOfSlots
      ? Math.min(LONGEST_PAUSE, SHORTEST_PAUSE * 2 ** (axis.failures - 2))
      : REST * (2 * this.slots + this.#tried.count);
    // The other direction is tried at once, unless the step was the smallest.
    axis.wait = axis.failures < 2 && axis.step > LEAST_STEP ? 0 : pause;
    axis.sign = axis.sign > 0 ? -1 : 1;
    this.#restore();
  }

  #restore(): void {
    const tried = this.slots;
    Object.assign(this, this.#before);
    this.#begin();
    this.#mixed = Math.max(tried, this.slots);
  }

  /** Begins another setting. @param trial what it tries; undefined: nothing */
  #begin(trial?: Axis): void {
    this.#trial = trial;
    this.#tried = { ...NOTHING };
    this.#before = { slots: this.slots, ceiling: this.ceiling };
    this.#mixed = this.slots;
    this.setting++;
  }
}

function average(means: Means, { load, rate, score }: Answered, most: number): void {
  means.count++;
  const weight = 1 / Math.min(means.count, most);
  means.load += weight * (load - means.load);
  means.rate += weight * (rate - means.rate);
  means.score += weight * (score - means.score);
}

function clamp(value: number, most: number): number {
  return Math.max(-most, Math.min(most, value));
}
