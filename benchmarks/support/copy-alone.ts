/** A process of its own: `copy-alone.ts JOB` loads flights several times, and tells its parent what a load has cost once warm. */

import { readFile } from 'node:fs/promises';
import { finished } from 'node:stream/promises';
import pg from 'pg';
import { BackpressureWritable } from 'spillway';
import { copyInto } from 'spillway/postgres';
import type { Flight } from '../flights/flight-source.js';
import { spreadOf } from './statistics.js';

export interface CopyAloneJob {
  readonly url: string;
  readonly table: string;
  /** As `csvChunks` writes it. */
  readonly csvFile: string;
}

export interface CopyAloneResult {
  readonly wallMs: number;
  readonly cpuMs: number;
}

const WARM_UPS = 1;
const RUNS = 3;

const { url, table, csvFile } = JSON.parse(process.argv[2]!) as CopyAloneJob;
const rows = await readFlights();
const pool = new pg.Pool({ connectionString: url, max: 4 });
const runs: CopyAloneResult[] = [];
for (let run = 0; run < WARM_UPS + RUNS; run += 1) {
  await pool.query(`TRUNCATE ${table}`);
  await pool.query('CHECKPOINT');
  const cpuStart = process.cpuUsage();
  const start = performance.now();
  await load();
  const wallMs = performance.now() - start;
  const { user, system } = process.cpuUsage(cpuStart);
  runs.push({ wallMs, cpuMs: (user + system) / 1_000 });
}
await pool.end();
const warm = runs.slice(WARM_UPS);
process.send!({
  wallMs: spreadOf(warm.map(({ wallMs }) => wallMs)).median,
  cpuMs: spreadOf(warm.map(({ cpuMs }) => cpuMs)).median,
} satisfies CopyAloneResult);
process.disconnect();

async function readFlights(): Promise<Flight[]> {
  const [, ...lines] = (await readFile(csvFile, 'utf8')).trimEnd().split('\n');
  return lines.map((line) => {
    const [date, delay, distance, origin, destination] = line.split(',') as [
      string,
      string,
      string,
      string,
      string,
    ];
    return { date: new Date(date), delay: Number(delay), distance: Number(distance), origin, destination };
  });
}

async function load(): Promise<void> {
  const sink = new BackpressureWritable<Flight>(copyInto<Flight>(pool, { table }));
  const done = finished(sink);
  for (const row of rows) {
    if (!sink.write(row)) await new Promise<void>((resolve) => sink.once('drain', resolve));
  }
  sink.end();
  await done;
}
