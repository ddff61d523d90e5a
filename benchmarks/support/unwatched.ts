/** The cost of being watched by nobody: this checkout beside the one before channels, in fresh processes, in turns. */

import { fork } from 'node:child_process';
import { once } from 'node:events';
import type { AloneResult } from './alone.js';
import type { BuiltSources } from './before-channels.js';
import type { CopyAloneJob, CopyAloneResult } from './copy-alone.js';
import { checksumOf, type FlightsBench } from './flights-bench.js';
import type { Figures, Measured } from './figures.js';
import { medianInterval, spreadOf } from './statistics.js';
import { checksumQuery } from '../flights/flight-checksum.js';

const ROUNDS = 21;
const WRITE_LOOP = "BackpressureWritable 'block'";

export function unwatchedWrites(sources: BuiltSources, count: number): Figures {
  return {
    title: 'Write loop without a subscriber, beside the checkout before channels: ns an item',
    measure: (progress, rounds = ROUNDS) =>
      compareSources(sources, 'alone', rounds, progress, async (file) => {
        const { wrong, ...times } = await answerOf<AloneResult>(file, [WRITE_LOOP, String(count)]);
        if (wrong !== undefined) throw new Error(wrong);
        const perItem = (ms: number): number => (1e6 * ms) / count;
        const { firstCpuMs, cpuMs, firstWallMs, wallMs } = times;
        return {
          'first run': perItem(firstWallMs),
          'once warm': perItem(wallMs),
          'first, by processor time': perItem(firstCpuMs),
          'once warm, by processor time': perItem(cpuMs),
        };
      }),
  };
}

export function unwatchedCopies(sources: BuiltSources, bench: FlightsBench): Figures {
  const { rows, pool, table, url, csvFile } = bench;
  const { sums } = checksumOf(rows);
  const job: CopyAloneJob = { url, table, csvFile };
  return {
    title:
      'Flights into PostgreSQL by copyInto without a subscriber, beside the checkout before channels: ns a row',
    measure: (progress, rounds = ROUNDS) =>
      compareSources(sources, 'copy-alone', rounds, progress, async (file) => {
        const { wallMs, cpuMs } = await answerOf<CopyAloneResult>(file, [JSON.stringify(job)]);
        const found = await pool.query<{ rows: number; first: string; second: string }>(checksumQuery(table));
        const { rows: count, first, second } = found.rows[0]!;
        if (count !== rows.length || first !== sums[0] || second !== sums[1])
          throw new Error('the rows of the table are not those of the source');
        const perRow = (ms: number): number => (1e6 * ms) / rows.length;
        return { 'once warm': perRow(wallMs), 'client’s processor time': perRow(cpuMs) };
      }),
  };
}

type Costs = Record<string, number>;

/** Each against `before`, which is there twice: how far it is from itself shows what the machine does. */
async function compareSources(
  sources: BuiltSources,
  worker: string,
  rounds: number,
  progress: (line: string) => void,
  run: (file: string) => Promise<Costs>,
): Promise<Measured> {
  if (sources.before === undefined)
    return { header: [''], cells: [], caption: 'Not measured: there is no history of git.', values: [] };
  const { now, before } = await sources.build(worker);
  const values = [
    { name: `before (${sources.before})`, file: before, runs: [] as Costs[] },
    { name: 'before, once more', file: before, runs: [] as Costs[] },
    { name: 'this checkout', file: now, runs: [] as Costs[] },
  ];
  try {
    for (let round = 0; round < rounds; round += 1) {
      progress(`${worker}: round ${round + 1} of ${rounds}`);
      for (let place = 0; place < values.length; place += 1) {
        const { file, runs } = values[(place + round) % values.length]!;
        runs.push(await run(file));
      }
    }
  } catch (error) {
    return { header: [''], cells: [], caption: '', values, wrong: String(error) };
  }
  const base = values[0]!.runs;
  const kinds = Object.keys(base[0]!);
  return {
    header: ['', ...kinds.flatMap((kind) => [kind, 'cost', '95 % interval'])],
    cells: values.map(({ name, runs }) => [
      name,
      ...kinds.flatMap((kind) => {
        const costs = runs.map((run) => run[kind]!);
        const shown = spreadOf(costs).median.toFixed(1);
        if (runs === base) return [shown, '1', ''];
        return [shown, ...costShare(costs.map((cost, round) => cost / base[round]![kind]!))];
      }),
    ]),
    caption: `Medians of ${rounds} processes of each, in turns; cost: the median of the rounds' ratios to the first line.`,
    values: values.map(({ name, runs }) => ({ name, runs })),
  };
}

/** The median of ratios, and its interval. */
export function costShare(ratios: readonly number[]): [string, string] {
  const [low, high] = medianInterval(ratios);
  return [spreadOf(ratios).median.toFixed(3), `${low.toFixed(3)} – ${high.toFixed(3)}`];
}

async function answerOf<Result>(file: string, args: readonly string[]): Promise<Result> {
  const child = fork(file, args, { execArgv: [] });
  const ended = once(child, 'exit') as Promise<[number | null]>;
  let answer: Result | undefined;
  child.once('message', (message) => {
    answer = message as Result;
  });
  const [code] = await ended;
  if (answer === undefined) throw new Error(`a process has ended with ${String(code)}`);
  return answer;
}
