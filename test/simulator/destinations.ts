/** The destinations of the simulator, by name. */

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
} from './capacity.js';
import type { DestinationModel } from './destination.js';
import { badItems, everything, faultless, outages, sometimes, type Faults } from './faults.js';

export const DESTINATIONS = [
  'fixed',
  'knee',
  'commit',
  'drift',
  'neighbour',
  'noisy',
  'outage',
  'partial',
  'unnamed',
  'lost answers',
  'hanging',
  'everything',
] as const;
export type DestinationName = (typeof DESTINATIONS)[number];

/** A destination that keeps about so many items a second in batches of a sensible size. */
export function createDestination(
  name: DestinationName,
  itemsPerSecond: number,
  random: SeededRandom,
): DestinationModel {
  const fixedMs = random.logBetween(0.5, 200);
  const perItemMs = 1000 / itemsPerSecond;
  const cost = linearCost({
    fixedMs,
    perItemMs,
    perKilobyteMs: random.chance(0.5) ? 0 : perItemMs * random.next(),
  });
  const cores = random.int(1, 4);
  const plain = servers(cost, cores);
  const made = (capacity: Capacity, faults: Faults = faultless): DestinationModel => ({
    capacity,
    faults,
    onSignal: random.pick(['stops', 'stops', 'unsure', 'deaf']),
  });
  switch (name) {
    case 'fixed':
      return made(plain);
    case 'knee':
      return made(latencyKnee(cost, random.logInt(2, 300)));
    case 'commit':
      return made(commitBound(linearCost({ fixedMs: 0, perItemMs }), fixedMs));
    case 'drift':
      return made(servers(drifting(cost, random.logBetween(20_000, 600_000), random.between(2, 10)), cores));
    case 'neighbour': {
      const isLoud = episodes(
        random.fork(),
        random.logBetween(1_000, 100_000),
        random.logBetween(500, 20_000),
      );
      return made(servers(disturbed(cost, isLoud, random.between(2, 10)), cores));
    }
    case 'noisy':
      return made(servers(noisy(cost, random.fork(), random.between(0.3, 2)), cores));
    case 'outage':
      return made(
        plain,
        outages(random.fork(), random.logBetween(2_000, 200_000), random.logBetween(200, 30_000)),
      );
    case 'partial':
      return made(plain, badItems(random.fork(), random.logBetween(0.001, 0.3), false));
    case 'unnamed':
      return made(plain, badItems(random.fork(), random.logBetween(0.001, 0.3), true));
    case 'lost answers': {
      const chance = random.fork();
      return made(
        plain,
        sometimes(chance, random.logBetween(0.01, 0.5), () => ({
          kind: 'answer lost',
          share: chance.pick([1, 1, 0.5, 0]),
        })),
      );
    }
    case 'hanging': {
      const chance = random.fork();
      return made(
        plain,
        sometimes(chance, random.logBetween(0.01, 0.3), () =>
          chance.chance(0.5)
            ? { kind: 'hangs', listens: chance.chance(0.3) }
            : { kind: 'deaf', lateMs: chance.logBetween(100, 60_000), fails: chance.chance(0.3) },
        ),
      );
    }
    case 'everything':
      return made(
        servers(noisy(cost, random.fork(), 1), cores),
        everything(random.fork(), random.logBetween(0.02, 0.6)),
      );
    default:
      return name satisfies never;
  }
}
