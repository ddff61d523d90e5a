/** The cost of one small thing, beside a baseline in the same rounds. */

import type { Measured } from './figures.js';
import { collectYoungGarbage } from './garbage.js';
import { medianInterval, spreadOf } from './statistics.js';

export interface Work {
  readonly name: string;
  /** Does it `amount` times. */
  readonly run: () => Promise<void>;
}

export interface Costs {
  /** The first one is the baseline. */
  readonly works: readonly Work[];
  readonly amount: number;
  /** What is done once, for the table. */
  readonly unit: string;
  readonly rounds: number;
  readonly progress: (line: string) => void;
  /** After each run: says what is wrong, if anything. */
  readonly confirm: () => string | undefined;
}

/** Untimed rounds, until V8 has compiled what all of them share. */
const WARM_UPS = 5;

/** Times all of them in turn, round by round, by the processor time of the process. */
export async function measureCosts({
  works,
  amount,
  unit,
  rounds,
  progress,
  confirm,
}: Costs): Promise<Measured> {
  const times = works.map(({ name }) => ({ name, ns: [] as number[] }));
  let wrong: string | undefined;
  for (let round = -WARM_UPS; round < rounds; round += 1) {
    progress(`round ${round + 1} of ${rounds}`);
    for (let step = 0; step < works.length; step += 1) {
      // None always comes after the same other one.
      const place = (step + round + WARM_UPS) % works.length;
      const { name, run } = works[place]!;
      const ns = await cpuNanoseconds(run);
      const fault = confirm();
      if (fault !== undefined) wrong ??= `${name}: ${fault}`;
      if (round >= 0) times[place]!.ns.push(ns / amount);
    }
  }
  const base = times[0]!.ns;
  return {
    header: ['', `µs a ${unit}`, 'min – max', `× ${works[0]!.name}`, '95 % interval'],
    cells: times.map(({ name, ns }, place) => {
      const { median, min, max } = spreadOf(ns);
      const micros = (value: number) => (value / 1000).toFixed(2);
      const own = [name, micros(median), `${micros(min)} – ${micros(max)}`];
      if (place === 0) return [...own, '1', ''];
      const ratios = ns.map((value, round) => value / base[round]!);
      const [low, high] = medianInterval(ratios);
      return [...own, spreadOf(ratios).median.toFixed(2), `${low.toFixed(2)} – ${high.toFixed(2)}`];
    }),
    caption: `${amount.toLocaleString('en-GB')} a run, ${rounds} rounds, processor time.`,
    values: times,
    ...(wrong === undefined ? {} : { wrong }),
  };
}

/** Processor time of the process while `work` is done, V8's helper threads included. */
export async function cpuNanoseconds(work: () => Promise<void>): Promise<number> {
  collectYoungGarbage();
  const start = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(start);
  return (user + system) * 1000;
}
