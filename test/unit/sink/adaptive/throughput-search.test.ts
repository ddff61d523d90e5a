import { describe, expect, it } from 'vitest';
import { ThroughputSearch, type Room } from '../../../../src/sink/adaptive/throughput-search.js';

/** A destination that is asked for as much as the search and the latency allow; counts flushes. */
class Saturated {
  readonly search: ThroughputSearch;
  flushes = 0;
  /** The latency allows so much. */
  cap = 4_000;
  /** Throughput with so much in flight in so many slots. */
  rateOf: (load: number, slots: number) => number;
  isCrowded = false;

  constructor(slots: number, mostSlots: number, rateOf: (load: number, slots: number) => number) {
    this.search = new ThroughputSearch(slots, mostSlots);
    this.rateOf = rateOf;
  }

  get load(): number {
    return Math.min(this.cap, Math.exp(this.search.ceiling));
  }

  /** Runs on until something holds; answers with the number of flushes. */
  until(holds: () => boolean, most = 2_000): number {
    const from = this.flushes;
    while (!holds() && this.flushes - from < most) this.#round();
    return this.flushes - from;
  }

  #round(): void {
    const { search, cap, load } = this;
    const rate = Math.log(this.rateOf(load, search.slots));
    const room: Room = {
      cap: Math.log(cap),
      grain: 0.001,
      least: 0,
      deviation: 0.01,
      isCrowded: this.isCrowded && search.slots > 1,
    };
    this.flushes++;
    if (search.settles()) search.onFlush({ load: Math.log(load), rate, score: rate }, room);
  }
}

const knee = (at: number) => (load: number) => (load <= at ? load : at * (at / load) ** 2);

describe('the search for the most throughput', () => {
  it('takes more slots as long as they pay, and not more', () => {
    const run = new Saturated(3, 8, (_load, slots) => 5 - Math.abs(5 - slots));
    run.until(() => run.search.slots === 5 && !run.search.isTryingSlots, 400);
    expect(run.search.slots).toBe(5);
    run.until(() => false, 500);
    run.until(() => !run.search.isTryingSlots);
    expect(run.search.slots).toBe(5);
  });

  it('gives up slots that are too many', () => {
    const run = new Saturated(8, 8, (_load, slots) => 1 / slots);
    expect(run.until(() => run.search.slots === 1)).toBeLessThan(200);
  });

  it('tries fewer at once when smaller batches do not help any more', () => {
    const run = new Saturated(3, 8, (_load, slots) => (slots === 3 ? 1.2 : 1));
    run.until(() => false, 300);
    run.until(() => run.search.isTryingSlots);
    run.until(() => !run.search.isTryingSlots);
    run.isCrowded = true;
    expect(run.until(() => run.search.slots < 3)).toBeLessThan(20);
  });

  it('finds the load of a knee, and the next one after it has moved, within a few rounds', () => {
    const run = new Saturated(1, 1, knee(4_000));
    run.until(() => false, 50);
    const isNear = (at: number) => () => run.load > 0.9 * at && run.load < 1.1 * at;
    run.rateOf = knee(1_000);
    expect(run.until(isNear(1_000))).toBeLessThan(70);
    run.until(() => false, 200);
    run.rateOf = knee(300);
    expect(run.until(isNear(300))).toBeLessThan(70);
    run.until(() => false, 200);
    run.rateOf = knee(1_200);
    expect(run.until(isNear(1_200))).toBeLessThan(100);
  });

  it('leaves the load to the latency where more of it costs nothing', () => {
    const run = new Saturated(1, 1, () => 7);
    let low = 0;
    run.until(() => {
      if (run.load < 0.85 * run.cap) low++;
      return false;
    }, 1_000);
    expect(low).toBe(0);
  });

  it('what is under way when a call fails is given up', () => {
    const run = new Saturated(3, 8, (_load, slots) => slots);
    run.until(() => run.search.isTryingSlots);
    expect(run.search.slots).toBeGreaterThan(3);
    run.search.interrupt();
    expect(run.search.slots).toBe(3);
    expect(run.search.isTryingSlots).toBe(false);
  });
});
