/**
 * Searches for the load (what is in flight) and the number of slots with the most throughput: one change is tried at a time, and kept
 * where it pays. Pure: it knows neither items nor clock. Loads, throughputs and steps are logarithms, so that a difference is a ratio.
 */

/** One more slot, or one fewer, must gain so much. */
const PAYING_GAIN = 0.03;
/** While the load still grows as the latency allows: throughput that falls by more than this power of the load means overload. */
const OVERLOAD = 0.5;
/** At the limit of overload: throughput may fall by this power of the load, which is a tie. */
const TIE = 0.1;
const LEAST_STEP = 0.04;
const MOST_STEP = Math.LN2;
const SLOTS_FACTOR = 1.4;
/** Flushes between two trials of a kind: twice as many after each that failed. */
const SHORTEST_PAUSE = 16;
const LONGEST_PAUSE = 256;
/** Throughput that differs by so much without a change of ours: the destination has changed. */
const CHANGE = 0.2;
/** A load that differs by so much is another one. */
const OTHER_LOAD = 0.15;
const LEAST_SAMPLES = 4;
const MOST_SAMPLES = 64;
/** A mean absolute deviation of 1 is a standard deviation of so much. */
const SIGMA = 1.25;

type Kind = 'more load' | 'more slots' | 'fewer slots' | 'less load';

/** What can be tried. The first that is due and possible is. */
interface Trial {
  kind: Kind;
  /** Of the load. */
  step: number;
  /** Flushes between two trials, and until the next. */
  pause: number;
  wait: number;
}

/** A setting as it was before a trial. */
interface Before {
  slots: number;
  ceiling: number;
}

export class ThroughputSearch {
  /** Grows with each change of the setting: a flush that was launched under another one tells nothing of this one. */
  setting = 0;
  slots: number;
  /** The load that is not to be exceeded; Infinity where no overload has been found. */
  ceiling = Infinity;
  readonly #mostSlots: number;
  readonly #moreLoad: Trial = { kind: 'more load', step: MOST_STEP, pause: 4, wait: 4 };
  readonly #lessLoad: Trial = { kind: 'less load', step: 0.1, pause: 64, wait: 64 };
  readonly #trials: readonly Trial[] = [
    this.#moreLoad,
    { kind: 'more slots', step: 0, pause: SHORTEST_PAUSE, wait: SHORTEST_PAUSE },
    { kind: 'fewer slots', step: 0, pause: SHORTEST_PAUSE, wait: SHORTEST_PAUSE + 4 },
    this.#lessLoad,
  ];
  /** The one under way. */
  #trial: Trial | undefined;
  #before: Before;
  #needed = 0;
  /** So many flushes more are launched while others of the setting before are in flight. */
  #mixed = 0;
  /** Means of the trial. */
  readonly #tried = { count: 0, load: 0, rate: 0 };
  /** Means since the last change, and how far single flushes lie from them. */
  readonly #rest = { count: 0, load: 0, rate: 0 };
  #deviation = 0.05;
  #drift = 0;
  #overloads = 0;

  constructor(slots: number, mostSlots: number) {
    this.slots = slots;
    this.#mostSlots = mostSlots;
    this.#before = { slots, ceiling: Infinity };
  }

  /**
   * A full batch was answered, launched under `setting` when every slot was busy. `cap` is the load that the latency allows, `grain` the
   * step of one item.
   */
  onFlush(setting: number, load: number, rate: number, cap: number, grain: number): void {
    if (setting !== this.setting || this.#mixed-- > 0) return;
    if (this.#trial !== undefined) this.#onTrial(this.#trial, load, rate, cap);
    else if (this.#onRest(load, rate)) this.#startTrial(cap, grain);
  }

  /** What is under way proves nothing any more. */
  interrupt(): void {
    if (this.#trial !== undefined) this.#restore(this.#before);
    this.#change();
  }

  // ── at rest ──

  /** Answers with `true` where a trial may begin. */
  #onRest(load: number, rate: number): boolean {
    const rest = this.#rest;
    const growth = load - rest.load;
    const gain = rate - rest.rate;
    if (rest.count === 0 || growth < -OTHER_LOAD) this.#restAt(load, rate);
    else if (growth > OTHER_LOAD) this.#onGrowth(growth, gain, load, rate);
    else {
      this.#drift += 0.3 * (clamp(gain, 0.5) - this.#drift);
      if (Math.abs(this.#drift) > Math.max(CHANGE, 2 * this.#deviation)) this.#onDestinationChanged();
      else {
        rest.count++;
        const weight = 1 / Math.min(rest.count, MOST_SAMPLES / 2);
        rest.load += weight * growth;
        rest.rate += weight * gain;
        this.#deviation += 0.05 * (Math.abs(clamp(gain, 0.5)) - this.#deviation);
        return true;
      }
    }
    return false;
  }

  #restAt(load: number, rate: number): void {
    Object.assign(this.#rest, { count: 1, load, rate });
    this.#drift = 0;
    this.#overloads = 0;
  }

  /** The load grows as far as the latency allows. Two bad flushes end it: one may be chance. */
  #onGrowth(growth: number, gain: number, load: number, rate: number): void {
    if (gain >= -OVERLOAD * growth - 2 * this.#deviation) return this.#restAt(load, rate);
    if (++this.#overloads < 2) return;
    this.ceiling = this.#rest.load;
    this.#moreLoad.step = Math.max(LEAST_STEP, growth / 4);
    this.#moreLoad.wait = this.#moreLoad.pause = SHORTEST_PAUSE;
    this.#lessLoad.step = 0.2;
    this.#lessLoad.wait = SHORTEST_PAUSE;
    this.#change();
  }

  #onDestinationChanged(): void {
    for (const trial of this.#trials) trial.pause = SHORTEST_PAUSE;
    if (this.#drift > 0) {
      this.#moreLoad.wait = 0;
      this.#moreLoad.step = MOST_STEP;
    } else if (this.ceiling < Infinity) {
      this.#lessLoad.wait = 0;
      this.#lessLoad.step = MOST_STEP / 2;
    }
    this.#rest.count = 0;
  }

  // ── trials ──

  #startTrial(cap: number, grain: number): void {
    for (const each of this.#trials) each.wait--;
    if (this.#rest.count < LEAST_SAMPLES) return;
    const trial = this.#trials.find((each) => each.wait <= 0 && this.#isPossible(each.kind, cap));
    if (trial === undefined) return;
    const isOfSlots = trial.kind === 'more slots' || trial.kind === 'fewer slots';
    // Nothing smaller than a part of the noise, or than one item.
    const step = isOfSlots ? 0 : Math.max(trial.step, 0.7 * this.#deviation, grain);
    const samples = ((4 * this.#deviation) / (isOfSlots ? 4 * PAYING_GAIN : step)) ** 2;
    const needed = Math.min(MOST_SAMPLES, Math.max(LEAST_SAMPLES, this.slots, samples));
    if (this.#rest.count < needed / 2) return;
    this.#trial = trial;
    this.#needed = needed;
    this.#before = { slots: this.slots, ceiling: this.ceiling };
    Object.assign(this.#tried, { count: 0, load: 0, rate: 0 });
    if (isOfSlots) {
      this.slots = this.#slotsAfter(trial.kind);
      // The same load in more or fewer batches.
      this.ceiling = Math.min(this.#rest.load, this.ceiling);
    } else this.ceiling = this.#rest.load + (trial.kind === 'more load' ? step : -step);
    this.#begin();
  }

  #isPossible(kind: Kind, cap: number): boolean {
    switch (kind) {
      case 'more load':
        return this.ceiling < cap;
      case 'less load':
        return true;
      case 'more slots':
      case 'fewer slots':
        return this.#slotsAfter(kind) !== this.slots;
      default:
        return kind satisfies never;
    }
  }

  #slotsAfter(kind: Kind): number {
    return kind === 'more slots'
      ? Math.min(this.#mostSlots, Math.ceil(this.slots * SLOTS_FACTOR))
      : Math.max(1, Math.floor(this.slots / SLOTS_FACTOR));
  }

  #onTrial(trial: Trial, load: number, rate: number, cap: number): void {
    const tried = this.#tried;
    tried.count++;
    tried.load += (load - tried.load) / tried.count;
    tried.rate += (rate - tried.rate) / tried.count;
    const isOfSlots = this.slots !== this.#before.slots;
    const gain = tried.rate - this.#rest.rate;
    const excess = gain - (isOfSlots ? PAYING_GAIN : -TIE * (tried.load - this.#rest.load));
    const rested = Math.min(this.#rest.count, MOST_SAMPLES / 2);
    const error = SIGMA * this.#deviation * Math.sqrt(1 / tried.count + 1 / rested);
    const isClear = tried.count >= Math.max(2, this.slots / 2) && Math.abs(excess) > 2.5 * error + 0.01;
    if (tried.count >= this.#needed || isClear) this.#conclude(trial, excess > 0, cap);
  }

  #conclude(trial: Trial, pays: boolean, cap: number): void {
    const isOfSlots = this.slots !== this.#before.slots;
    if (pays) {
      trial.pause = isOfSlots ? SHORTEST_PAUSE : 4;
      trial.step = Math.min(MOST_STEP, 2 * trial.step);
      if (isOfSlots) this.ceiling = this.#before.ceiling;
      else if (this.ceiling >= cap) this.ceiling = Infinity;
    } else {
      trial.pause = Math.min(LONGEST_PAUSE, Math.max(SHORTEST_PAUSE, 2 * trial.pause));
      trial.step = Math.max(LEAST_STEP, trial.step / 2);
      this.#restore(this.#before);
      if (trial.kind === 'more load') this.ceiling = Math.min(this.ceiling, this.#rest.load);
    }
    trial.wait = trial.pause;
    this.#change();
  }

  #restore({ slots, ceiling }: Before): void {
    this.slots = slots;
    this.ceiling = ceiling;
  }

  #change(): void {
    this.#trial = undefined;
    this.#rest.count = 0;
    this.#begin();
  }

  #begin(): void {
    this.setting++;
    this.#mixed = Math.max(this.slots, this.#before.slots);
  }
}

function clamp(value: number, most: number): number {
  return Math.max(-most, Math.min(most, value));
}
