/** How long a load of one row takes, from the start of the program to its end, beside Node.js that does nothing. */

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Figures, Measured } from './support/figures.js';
import { ended, findPsql, psqlCopy } from './support/psql.js';
import { COMMAND_LINE, spillwayLoad, withServer, type BenchServer } from './support/server.js';
import { spreadOf } from './support/statistics.js';

const ROUNDS = 21;
const WARM_UPS = 2;
const TABLE = 'one_row';

export function comparisons(): AsyncIterable<Figures> {
  return withServer(async function* (server) {
    await server.pool.query(`DROP TABLE IF EXISTS ${TABLE}`);
    await server.pool.query(`CREATE TABLE ${TABLE} (id int, name text)`);
    yield {
      title: 'A program from its start to its end, and a load of one row',
      measure: (progress, rounds = ROUNDS) => measure(server, rounds, progress),
    };
  });
}

interface Program {
  readonly name: string;
  readonly run: () => Promise<void>;
  /** It puts a row into the table. */
  readonly loads: boolean;
}

async function programs({ url, folder }: BenchServer): Promise<Program[]> {
  const csv = path.join(folder, 'one.csv');
  const ndjson = path.join(folder, 'one.ndjson');
  await writeFile(csv, 'id,name\n1,one\n');
  await writeFile(ndjson, '{"id":1,"name":"one"}\n');
  const node = (...args: string[]) => ended(process.execPath, args, {});
  const load = (file: string) => spillwayLoad(url, [file, '--table', TABLE]);
  const psql = await findPsql();
  return [
    { name: 'node -e 0', run: () => node('-e', '0'), loads: false },
    { name: 'spillway --version', run: () => node(COMMAND_LINE, '--version'), loads: false },
    { name: 'spillway load, CSV of one row', run: () => load(csv), loads: true },
    { name: 'spillway load, NDJSON of one row', run: () => load(ndjson), loads: true },
    ...(psql === undefined
      ? []
      : [{ name: 'psql \\copy, CSV of one row', run: () => psqlCopy(psql, url, TABLE, csv), loads: true }]),
  ];
}

async function measure(
  server: BenchServer,
  rounds: number,
  progress: (line: string) => void,
): Promise<Measured> {
  const { pool } = server;
  const values = (await programs(server)).map((program) => ({ ...program, runs: [] as number[] }));
  await pool.query(`TRUNCATE ${TABLE}`);
  for (let round = -WARM_UPS; round < rounds; round += 1) {
    progress(`round ${round + 1} of ${rounds}`);
    for (let place = 0; place < values.length; place += 1) {
      const { run, runs } = values[(place + round + WARM_UPS) % values.length]!;
      const start = performance.now();
      await run();
      if (round >= 0) runs.push(performance.now() - start);
    }
  }
  const loads = values.filter((program) => program.loads).length * (rounds + WARM_UPS);
  const { rows } = await pool.query<{ count: number }>(`SELECT count(*)::int FROM ${TABLE}`);
  const found = rows[0]!.count;
  const base = values[0]!.runs;
  return {
    header: ['', 'ms', 'min – max', 'times node -e 0'],
    cells: values.map(({ name, runs }) => {
      const { median, min, max } = spreadOf(runs);
      const ratio = spreadOf(runs.map((ms, round) => ms / base[round]!)).median;
      return [name, median.toFixed(0), `${min.toFixed(0)} – ${max.toFixed(0)}`, ratio.toFixed(2)];
    }),
    caption: `Medians of ${rounds} processes, in turns.`,
    values: values.map(({ name, runs }) => ({ name, runs })),
    ...(found === loads ? {} : { wrong: `${found} rows are in the table in place of ${loads}` }),
  };
}
