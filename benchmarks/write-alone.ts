/** The write loops of write-cost.ts, each in fresh processes of its own: no other stream shapes the code that V8 makes for it. */

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { AloneResult } from './support/alone.js';
import type { Figures, Measured } from './support/figures.js';
import { HAND_WRITTEN, WRITE_LOOPS } from './support/write-loops.js';
import { spreadOf } from './support/statistics.js';

const COUNT = 1_000_000;
const ROUNDS = 7;
const CHILD = fileURLToPath(new URL('./support/alone.ts', import.meta.url));
const KINDS = ['firstWallMs', 'wallMs', 'firstCpuMs', 'cpuMs'] as const;

export function comparisons(count = COUNT): Figures[] {
  return [
    {
      title: 'A write loop in a process of its own: million items/s, and the ratio to the hand-written one',
      measure: (progress, rounds = ROUNDS) => measure(count, rounds, progress),
    },
  ];
}

async function measure(count: number, rounds: number, progress: (line: string) => void): Promise<Measured> {
  const names = Object.keys(WRITE_LOOPS);
  const values = names.map((name) => ({ name, runs: [] as AloneResult[] }));
  for (let round = 0; round < rounds; round += 1) {
    progress(`round ${round + 1} of ${rounds}`);
    for (let place = 0; place < names.length; place += 1) {
      const { name, runs } = values[(place + round) % names.length]!;
      runs.push(await runAlone(name, count));
    }
  }
  const base = values.find(({ name }) => name === HAND_WRITTEN)!.runs;
  const wrong = values.flatMap(({ runs }) => runs.flatMap(({ wrong: fault }) => fault ?? [])).at(0);
  return {
    header: ['', 'first run', 'once warm', 'first, by processor time', 'once warm, by processor time'],
    cells: values.map(({ name, runs }) => [
      name,
      ...KINDS.map((kind) => {
        const rate = spreadOf(runs.map((run) => count / run[kind] / 1000)).median;
        const ratio = spreadOf(runs.map((run, round) => base[round]![kind] / run[kind])).median;
        return `${rate.toFixed(1)} (${ratio.toFixed(2)})`;
      }),
    ]),
    caption: `${count.toLocaleString('en-GB')} items a run; medians of ${rounds} processes.`,
    values,
    ...(wrong === undefined ? {} : { wrong }),
  };
}

async function runAlone(name: string, count: number): Promise<AloneResult> {
  const child = fork(CHILD, [name, String(count)]);
  const ended = once(child, 'exit') as Promise<[number | null]>;
  let answer: AloneResult | undefined;
  child.once('message', (message) => {
    answer = message as AloneResult;
  });
  const [code] = await ended;
  if (answer === undefined) throw new Error(`the process of ${name} ended with ${String(code)}`);
  return answer;
}
