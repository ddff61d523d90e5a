/** pgloader, which many use for CSV files: where it is installed. */

import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Candidate } from './comparison.js';
import { csvChunks, type FlightsBench } from './flights-bench.js';
import { ended } from './psql.js';

const run = promisify(execFile);

/** It takes about ten times as long as psql: a fraction of the rows shows its rate as well. */
const MOST_ROWS = 500_000;
const FIELDS = 'date, delay, distance, origin, destination';

export async function pgloader(bench: FlightsBench): Promise<Candidate> {
  const { folder, table, url } = bench;
  const version = await pgloaderVersion();
  const rows = bench.rows.slice(0, MOST_ROWS);
  const file = path.join(folder, 'for-pgloader.csv');
  const command = path.join(folder, 'pgloader.load');
  const name = `pgloader ${version ?? ''}`.trim();
  const candidate: Candidate = {
    ...bench.candidate(name, () => load(folder, command), rows),
    isPeer: true,
    ...(rows.length < bench.rows.length ? { amount: rows.length } : {}),
  };
  if (version === undefined) return { ...candidate, missing: 'pgloader (a package of the system)' };
  await writeFile(file, [...csvChunks(rows)].join(''));
  await writeFile(command, commandOf(file, url, table), { mode: 0o600 });
  return candidate;
}

async function pgloaderVersion(): Promise<string | undefined> {
  const output = await run('pgloader', ['--version']).catch(() => undefined);
  return /\d+[\d.]*\d/.exec(output?.stdout ?? '')?.[0];
}

/** The connection's password is in the file, for others can read a command line. */
const commandOf = (file: string, url: string, table: string): string => `LOAD CSV
  FROM '${file}' (${FIELDS})
  INTO ${url}
  TARGET TABLE public.${table} (${FIELDS})
  WITH skip header = 1, fields optionally enclosed by '"', fields terminated by ',';
`;

const load = (folder: string, command: string): Promise<void> =>
  ended('pgloader', ['--root-dir', path.join(folder, 'pgloader'), command], {});
