/** The producers of the simulator, by name: when the next items come, and how many. */

import type { SeededRandom } from '../support/seeded-random.js';

export const PRODUCERS = ['steady', 'bursty', 'ramp', 'careless', 'polite'] as const;
export type ProducerName = (typeof PRODUCERS)[number];

/** So many items, so many milliseconds after the last ones. */
export interface Beat {
  afterMs: number;
  count: number;
}

export interface Producer {
  /** Waits where it is told to; a careless one never does. */
  isHeedful: boolean;
  beat(now: number): Beat;
}

/** `rate`: items per second, on average. */
export function createProducer(name: ProducerName, rate: number, random: SeededRandom): Producer {
  const beatMs = Math.max(1000 / rate, random.logBetween(1, 2_000));
  switch (name) {
    case 'steady':
      return { isHeedful: true, beat: () => onBeat(beatMs, (rate * beatMs) / 1000, random) };
    case 'bursty': {
      const burst = random.logBetween(2, 2_000);
      return {
        isHeedful: true,
        beat: () => {
          const count = Math.ceil(random.exponential(burst));
          return { afterMs: random.exponential((1000 * burst) / rate), count };
        },
      };
    }
    case 'ramp': {
      const periodMs = random.logBetween(5_000, 500_000);
      return {
        isHeedful: true,
        beat: (now) => onBeat(beatMs, (2 * rate * beatMs * ((now % periodMs) / periodMs)) / 1000, random),
      };
    }
    case 'careless': {
      const bursts = random.chance(0.5);
      return {
        isHeedful: false,
        beat: () =>
          bursts
            ? { afterMs: random.exponential(10 * beatMs), count: random.logInt(1, 1_000) }
            : onBeat(beatMs, (2 * rate * beatMs) / 1000, random),
      };
    }
    case 'polite': {
      // More than is wanted, and at once again when it is taken: 'pipe' from a fast source.
      const count = Math.max(1, Math.ceil(rate * 0.1 * random.logBetween(0.1, 10)));
      return { isHeedful: true, beat: () => ({ afterMs: (500 * count) / rate, count }) };
    }
    default:
      return name satisfies never;
  }
}

/** Of 2.3 items mostly 2, and now and then 3. */
function onBeat(afterMs: number, expected: number, random: SeededRandom): Beat {
  const whole = Math.floor(expected);
  return { afterMs, count: whole + (random.chance(expected - whole) ? 1 : 0) };
}
