/** The destinations before which adaptive control is compared with fixed settings. */

import type { SeededRandom } from '../support/seeded-random.js';
import {
  commitBound,
  disturbed,
  drifting,
  episodes,
  latencyKnee,
  linearCost,
  noisy,
  servers,
  type Capacity,
  type Cost,
} from './capacity.js';
import type { DestinationModel } from './destination.js';
import { faultless, KEPT, type Faults } from './faults.js';

type Range = readonly [least: number, most: number];

/** Makes a destination with parameters of its own for each seed; each call by chance faster or slower by about `noise`. */
export type ModelMaker = (random: SeededRandom, noise: number) => DestinationModel;

export const COMPARED_MODELS: Readonly<Record<string, ModelMaker>> = {
  'fixed capacity': (random, noise) => made(servers(cost(random, noise, [2, 150], [0.5, 5]), 1)),
  'latency knee': (random, noise) =>
    made(latencyKnee(cost(random, noise, [10, 100], [0.05, 1]), random.logInt(50, 600))),
  'commit-bound': (random, noise) => {
    const commitMs = random.logBetween(20, 150);
    return made(commitBound(cost(random, noise, [1, 2], [0.5, 5]), commitMs));
  },
  'CPU-bound': (random, noise) => made(servers(cost(random, noise, [1, 30], [0.5, 5]), random.int(2, 4))),
  'noisy neighbour': (random, noise) => {
    const quiet = cost(random, noise, [2, 50], [0.5, 5]);
    const isLoud = episodes(
      random.fork(),
      random.logBetween(5_000, 40_000),
      random.logBetween(1_000, 10_000),
    );
    return made(servers(disturbed(quiet, isLoud, random.between(2, 6)), random.int(1, 3)));
  },
  outage: (random, noise) => {
    const capacity = servers(cost(random, noise, [2, 50], [0.5, 5]), random.int(1, 3));
    const isDown = episodes(random.fork(), random.logBetween(15_000, 60_000), random.logBetween(500, 5_000));
    return made(capacity, refusedWhile(isDown));
  },
  drift: (random, noise) => {
    const steady = cost(random, noise, [2, 50], [0.5, 5]);
    const drift = drifting(steady, random.logBetween(40_000, 300_000), random.between(2, 6));
    return made(servers(drift, random.int(1, 3)));
  },
};

/** Kinds and ranges beside those: large fixed parts, no shared server, a knee of calls, one without an edge. */
export const OTHER_MODELS: Readonly<Record<string, ModelMaker>> = {
  'one server, wide': (random, noise) => made(servers(cost(random, noise, [1, 250], [0.1, 20]), 1)),
  'large fixed part': (random, noise) => made(servers(cost(random, noise, [150, 350], [0.5, 8]), 1)),
  'large fixed part, 2 to 5 servers': (random, noise) =>
    made(servers(cost(random, noise, [100, 350], [0.5, 8]), random.int(2, 5))),
  'each call alone': (random, noise) => {
    const alone = cost(random, noise, [20, 350], [0.5, 8]);
    return made({ serve: alone });
  },
  'slow commit': (random, noise) => {
    const commitMs = random.logBetween(100, 350);
    return made(commitBound(cost(random, noise, [1, 20], [0.2, 8]), commitMs));
  },
  '2 to 8 cores': (random, noise) =>
    made(servers(cost(random, noise, [1, 100], [0.2, 10]), random.int(2, 8))),
  'knee of calls': (random, noise) => {
    const kneeCalls = random.int(2, 6);
    const alone = cost(random, noise, [5, 100], [0.2, 4]);
    return made({
      serve: (now, work, busy) => alone(now, work) * Math.max(1, ((busy.calls + 1) / kneeCalls) ** 2),
    });
  },
  'knee without an edge': (random, noise) => {
    const kneeItems = random.logInt(150, 1500);
    const alone = cost(random, noise, [5, 100], [0.05, 1]);
    const power = random.int(1, 3);
    return made({
      serve: (now, work, busy) => alone(now, work) * (1 + ((busy.items + work.items) / kneeItems) ** power),
    });
  },
  'neighbour, wide': (random, noise) => {
    const quiet = cost(random, noise, [1, 100], [0.2, 8]);
    const isLoud = episodes(
      random.fork(),
      random.logBetween(10_000, 60_000),
      random.logBetween(2_000, 20_000),
    );
    return made(servers(disturbed(quiet, isLoud, random.between(1.5, 8)), random.int(1, 4)));
  },
  'drift, wide': (random, noise) => {
    const steady = cost(random, noise, [1, 100], [0.2, 8]);
    const drift = drifting(steady, random.logBetween(30_000, 200_000), random.between(2, 8));
    return made(servers(drift, random.int(1, 4)));
  },
};

/** A destination that changes once: as it is before, and after `changesAt`. */
export interface Change {
  name: string;
  make: (random: SeededRandom, changesAt: number) => DestinationModel;
  /** As it is from then on, for the search of the best fixed setting. */
  after: (random: SeededRandom) => DestinationModel;
}

export const CHANGES: readonly Change[] = [
  {
    name: 'outage ends',
    make: (random, at) =>
      made(
        steadyServers(random),
        refusedWhile((now) => now >= at - 10_000 && now < at),
      ),
    after: (random) => made(steadyServers(random)),
  },
  change('neighbour leaves', steadyServers, 4, 1),
  change('neighbour comes', steadyServers, 1, 4),
  change('knee moves down', kneeAt, 1, 0.5),
  change('knee moves up', kneeAt, 0.5, 1),
  change('cores double', coresOf, 1, 2),
  {
    // Too slow for any batch, for so long that the flush interval has reached its upper bound.
    name: 'stall ends',
    make: (random, at) => {
      const quick = steadyServers(random);
      return made({
        serve: (now, work, busy) =>
          quick.serve(now, work, busy) + (now >= at - 120_000 && now < at ? 2_000 : 0),
      });
    },
    after: (random) => made(steadyServers(random)),
  },
];

function change(
  name: string,
  capacity: (random: SeededRandom, factor: number) => Capacity,
  before: number,
  after: number,
): Change {
  return {
    name,
    make: (random, at) => {
      const seed = random.int(0, 1e9);
      const [old, next] = [before, after].map((factor) => capacity(random.again(seed), factor));
      return made({ serve: (now, work, busy) => (now < at ? old! : next!).serve(now, work, busy) });
    },
    after: (random) => made(capacity(random.again(random.int(0, 1e9)), after)),
  };
}

function steadyServers(random: SeededRandom, factor = 1): Capacity {
  const quick = cost(random, 0, [2, 50], [0.5, 5]);
  return servers((now, work) => factor * quick(now, work), random.int(1, 3));
}

function coresOf(random: SeededRandom, factor: number): Capacity {
  const count = random.int(2, 4);
  return servers(cost(random, 0, [1, 30], [0.5, 5]), factor * count);
}

function kneeAt(random: SeededRandom, factor: number): Capacity {
  return latencyKnee(cost(random, 0, [10, 100], [0.05, 1]), factor * random.logInt(100, 600));
}

function cost(random: SeededRandom, noise: number, fixedMs: Range, perItemMs: Range): Cost {
  const linear = linearCost({
    fixedMs: random.logBetween(...fixedMs),
    perItemMs: random.logBetween(...perItemMs),
  });
  return noise === 0 ? linear : noisy(linear, random.fork(), noise);
}

function refusedWhile(isDown: (now: number) => boolean): Faults {
  return (now) => (isDown(now) ? { kind: 'refused', afterMs: 0.5, retryable: true } : KEPT);
}

function made(capacity: Capacity, faults: Faults = faultless): DestinationModel {
  return { capacity, faults, onSignal: 'stops' };
}
