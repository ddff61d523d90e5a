/** What `--report` costs `spillway load`: time and memory of a large file, and the time of one with a single row. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Figures, Measured } from './figures.js';
import type { FlightsBench } from './flights-bench.js';
import { COMMAND_LINE } from './server.js';
import { spreadOf } from './statistics.js';
import { costShare } from './unwatched.js';

const ROUNDS = 15;
const WARM_UPS = 1;
const NAMES = ['spillway load', 'spillway load, once more', 'with --report'];

interface Run {
  readonly wallMs: number;
  readonly peakBytes: number;
}

export async function* reportCosts(bench: FlightsBench): AsyncGenerator<Figures, void> {
  const { csvFile, folder, rows, table } = bench;
  const large = bench.candidate('large', () => Promise.resolve());
  yield {
    title: 'spillway load of a CSV file, with and without --report',
    measure: (progress, rounds = ROUNDS) =>
      measure(rounds, progress, {
        prepare: () => large.prepare!(),
        run: (report) => load(bench, csvFile, table, rows.length, report),
        confirm: async () => large.confirm(),
      }),
  };
  const small = path.join(folder, 'one.csv');
  await writeFile(small, 'id,name\n1,one\n');
  await bench.pool.query('DROP TABLE IF EXISTS one_row');
  await bench.pool.query('CREATE TABLE one_row (id int, name text)');
  yield {
    title: 'spillway load of a CSV file of one row, with and without --report',
    measure: (progress, rounds = ROUNDS) =>
      measure(rounds, progress, {
        prepare: async () => undefined,
        run: (report) => load(bench, small, 'one_row', 1, report),
        confirm: async () => undefined,
      }),
  };
}

interface Work {
  readonly prepare: () => Promise<void>;
  readonly run: (hasReport: boolean) => Promise<Run>;
  readonly confirm: () => Promise<string | undefined>;
}

/** @throws {Error} if the command has loaded something else, or its page does not say what it has loaded */
async function load(
  { url, folder }: FlightsBench,
  file: string,
  table: string,
  rows: number,
  hasReport: boolean,
): Promise<Run> {
  const report = path.join(folder, 'report.html');
  const args = [
    'load',
    file,
    '--table',
    table,
    '--json',
    '--quiet',
    ...(hasReport ? ['--report', report] : []),
  ];
  const start = performance.now();
  const child = spawn(process.execPath, [COMMAND_LINE, ...args], {
    env: { ...process.env, DATABASE_URL: url },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', (data: Buffer) => {
    output += data.toString();
  });
  const [code] = (await once(child, 'close')) as [number | null];
  const wallMs = performance.now() - start;
  const json = JSON.parse(output) as { rows: number; peakMemoryBytes: number };
  if (code !== 0 || json.rows !== rows) throw new Error(`${json.rows} of ${rows} rows, code ${String(code)}`);
  if (hasReport) {
    const page = await readFile(report, 'utf8');
    await rm(report);
    const shown = rows.toLocaleString('en-US');
    if (!page.includes(`<dd>${shown}</dd>`)) throw new Error(`the page does not have ${shown} rows`);
  }
  return { wallMs, peakBytes: json.peakMemoryBytes };
}

async function measure(
  rounds: number,
  progress: (line: string) => void,
  { prepare, run, confirm }: Work,
): Promise<Measured> {
  const values = NAMES.map((name) => ({ name, runs: [] as Run[] }));
  try {
    for (let round = -WARM_UPS; round < rounds; round += 1) {
      progress(`--report: round ${round + 1} of ${rounds}`);
      for (let place = 0; place < values.length; place += 1) {
        const { name, runs } = values[(place + round + WARM_UPS) % values.length]!;
        await prepare();
        const done = await run(name === 'with --report');
        const fault = await confirm();
        if (fault !== undefined) throw new Error(`${name}: ${fault}`);
        if (round >= 0) runs.push(done);
      }
    }
  } catch (error) {
    return { header: [''], cells: [], caption: '', values, wrong: String(error) };
  }
  const base = values[0]!.runs;
  return {
    header: ['', 'ms', 'time', '95 % interval', 'peak MiB', 'memory', '95 % interval'],
    cells: values.map(({ name, runs }) => {
      const isBase = runs === base;
      const shareOf = (of: (run: Run) => number): [string, string] =>
        isBase ? ['1', ''] : costShare(runs.map((one, round) => of(one) / of(base[round]!)));
      return [
        name,
        spreadOf(runs.map(({ wallMs }) => wallMs)).median.toFixed(0),
        ...shareOf(({ wallMs }) => wallMs),
        (spreadOf(runs.map(({ peakBytes }) => peakBytes)).median / 2 ** 20).toFixed(1),
        ...shareOf(({ peakBytes }) => peakBytes),
      ];
    }),
    caption: `Medians of ${rounds} processes of each, in turns; ratios are those of a round to its first line.`,
    values,
  };
}
