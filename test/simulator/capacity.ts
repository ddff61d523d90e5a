/** How long a destination takes for a call. Stateful, but blind to clocks: the time is told. Made for tuning control as well. */

import type { SeededRandom } from '../support/seeded-random.js';

/** What a call asks for. */
export interface Work {
  items: number;
  bytes: number;
}

/** What else is under way at the destination. */
export interface Busy {
  calls: number;
  items: number;
}

/** Milliseconds of work in a call that begins at `now`, as if it were alone. */
export type Cost = (now: number, work: Work) => number;

export interface Capacity {
  /** A call begins at `now`: the milliseconds until it is done. */
  serve(now: number, work: Work, busy: Busy): number;
}

export interface LinearCost {
  /** Of each call, whatever its size: round trip, parsing, commit. */
  fixedMs: number;
  perItemMs: number;
  perKilobyteMs?: number;
}

export function linearCost({ fixedMs, perItemMs, perKilobyteMs = 0 }: LinearCost): Cost {
  return (_now, { items, bytes }) => fixedMs + perItemMs * items + (perKilobyteMs * bytes) / 1024;
}

// ── what makes a cost change with time ──

/** Slowly up to `most` times as slow, and back, once in `periodMs`. */
export function drifting(cost: Cost, periodMs: number, most: number): Cost {
  return (now, work) => {
    const share = (1 - Math.cos((2 * Math.PI * now) / periodMs)) / 2;
    return cost(now, work) * (1 + (most - 1) * share);
  };
}

/** Times of their own, drawn as they come: `quietMs` and `loudMs` are their means. */
export function episodes(random: SeededRandom, quietMs: number, loudMs: number): (now: number) => boolean {
  let loud = false;
  let until = random.exponential(quietMs);
  return (now) => {
    while (now >= until) {
      loud = !loud;
      until += random.exponential(loud ? loudMs : quietMs);
    }
    return loud;
  };
}

/** Somebody else uses the same machine now and then: `factor` times as slow meanwhile. */
export function disturbed(cost: Cost, isLoud: (now: number) => boolean, factor: number): Cost {
  return (now, work) => cost(now, work) * (isLoud(now) ? factor : 1);
}

/** Each call by chance faster or slower, with a long tail. */
export function noisy(cost: Cost, random: SeededRandom, sigma: number): Cost {
  return (now, work) => cost(now, work) * random.logNormal(sigma);
}

// ── how calls share the destination ──

/** So many servers, first come first served. One: a lock, a disk. Several: cores. */
export function servers(cost: Cost, count: number): Capacity {
  const freeAt = new Float64Array(count);
  return {
    serve(now, work) {
      let first = 0;
      for (let n = 1; n < count; n++) if (freeAt[n]! < freeAt[first]!) first = n;
      const done = Math.max(now, freeAt[first]!) + cost(now, work);
      freeAt[first] = done;
      return done - now;
    },
  };
}

/** Calls do not hinder each other until more than `kneeItems` are under way; from there on time grows with the square of their number. */
export function latencyKnee(cost: Cost, kneeItems: number): Capacity {
  return {
    serve(now, work, busy) {
      const crowd = (busy.items + work.items) / kneeItems;
      return cost(now, work) * Math.max(1, crowd * crowd);
    },
  };
}

/** The work of calls queues for one server; their commits, `commitMs` each, go side by side. */
export function commitBound(work: Cost, commitMs: number): Capacity {
  const server = servers(work, 1);
  return { serve: (now, asked, busy) => server.serve(now, asked, busy) + commitMs };
}
