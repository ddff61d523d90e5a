/** What `--rejects` costs: nothing to reject, and one bad row in a hundred, of five kinds. */

import { createWriteStream } from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Flight } from './flights/flight-source.js';
import type { Candidate, Comparison } from './support/comparison.js';
import { firstFlights } from './support/flights-bench.js';
import { spillwayLoad, withServer, type BenchServer } from './support/server.js';

const ROWS = 1_000_000;
const ROUNDS = 9;
const ROWS_PER_CHUNK = 10_000;
/** One row of so many is bad. */
const BAD_EVERY = 100;
/** How the command line says that it is done, with rejects. */
const EXIT_WITH_REJECTS = 3;
const TABLE = 'checked_flights';
const COLUMNS =
  'id int PRIMARY KEY, date timestamptz, delay int, distance int CHECK (distance >= 0), origin text, destination text';

/** @param before the row to repeat */
type Line = (row: Flight, id: number, before: Flight) => string;

const REPEATED_AFTER = BAD_EVERY / 2;

const line = (id: number | string, date: string, delay: number | string, distance: number, to: string) =>
  `${id},${date},${delay},${distance},${to}\n`;
const ways = ({ origin, destination }: Flight): string => `${origin},${destination}`;
const good: Line = (row, id) => line(id, row.date.toISOString(), row.delay, row.distance, ways(row));

/** In turns: a value that is no number, one that is no date, too few fields, a CHECK, and a record that the file has had before. */
const BAD: readonly Line[] = [
  (row, id) => line(id, row.date.toISOString(), 'late', row.distance, ways(row)),
  (row, id) => line(id, '2001-02-30T12:00:00Z', row.delay, row.distance, ways(row)),
  (row, id) => line(id, row.date.toISOString(), row.delay, row.distance, row.origin),
  (row, id) => line(id, row.date.toISOString(), row.delay, -1, ways(row)),
  // Exactly the same: which of the two is loaded depends on the connections, and must not matter.
  (_, id, before) => good(before, id - REPEATED_AFTER, before),
];

export async function* comparisons(rowCount = ROWS): AsyncGenerator<Comparison, void> {
  const rows = await firstFlights(rowCount);
  yield* withServer(async function* (server) {
    yield await options(server, rows);
  });
}

async function options(server: BenchServer, rows: readonly Flight[]): Promise<Comparison> {
  const { folder, pool, url } = server;
  await pool.query(`DROP TABLE IF EXISTS ${TABLE}`);
  await pool.query(`CREATE TABLE ${TABLE} (${COLUMNS})`);
  const isBad = (id: number): boolean => id % BAD_EVERY === BAD_EVERY - 1;
  const clean = await writeCsv(path.join(folder, 'clean.csv'), rows, () => good);
  const mixed = await writeCsv(path.join(folder, 'mixed.csv'), rows, (id) =>
    isBad(id) ? BAD[Math.floor(id / BAD_EVERY) % BAD.length]! : good,
  );
  const rejects = path.join(folder, 'rejects.ndjson');
  const load = (file: string, args: readonly string[], code?: number) =>
    spillwayLoad(url, [file, '--table', TABLE, ...args], code);
  await load(clean, []);
  const whole = await contents(server, 'true');
  const part = await contents(server, `id % ${BAD_EVERY} <> ${BAD_EVERY - 1}`);
  const badCode = part === whole ? 0 : EXIT_WITH_REJECTS;
  const baseline = 'spillway load';
  return {
    title: 'spillway load: what --rejects costs',
    unit: 'rows',
    amount: rows.length,
    baseline,
    rounds: ROUNDS,
    candidates: [
      candidate(server, baseline, () => load(clean, []), whole),
      candidate(server, '--rejects, nothing to reject', () => load(clean, ['--rejects', rejects]), whole),
      candidate(
        server,
        '--rejects, 1 % bad rows of five kinds',
        () => load(mixed, ['--rejects', rejects], badCode),
        part,
      ),
    ],
  };
}

async function writeCsv(
  file: string,
  rows: readonly Flight[],
  lineOf: (id: number) => Line,
): Promise<string> {
  const chunks = function* (): Generator<string, void> {
    yield 'id,date,delay,distance,origin,destination\n';
    for (let start = 0; start < rows.length; start += ROWS_PER_CHUNK) {
      const some = rows.slice(start, start + ROWS_PER_CHUNK);
      yield some
        .map((row, index) => {
          const id = start + index;
          return lineOf(id)(row, id, rows[Math.max(0, id - REPEATED_AFTER)]!);
        })
        .join('');
    }
  };
  await pipeline(Readable.from(chunks()), createWriteStream(file));
  return file;
}

/** The number of rows and a sum of their hashes, which does not depend on their order. */
async function contents({ pool }: BenchServer, where: string): Promise<string> {
  const { rows } = await pool.query<{ count: string; sum: string }>(
    `SELECT count(*), sum(hashtextextended(t::text, 0)) AS sum FROM ${TABLE} t WHERE ${where}`,
  );
  return `${rows[0]!.count} rows, hash ${rows[0]!.sum}`;
}

function candidate(server: BenchServer, name: string, run: () => Promise<void>, expected: string): Candidate {
  const prepare = async (): Promise<void> => {
    await server.pool.query(`TRUNCATE ${TABLE}`);
    await server.pool.query('CHECKPOINT');
  };
  const confirm = async (): Promise<string | undefined> => {
    const found = await contents(server, 'true');
    return found === expected ? undefined : `the table has ${found} in place of ${expected}`;
  };
  const verify = async (): Promise<string | undefined> => {
    await prepare();
    await run();
    return confirm();
  };
  return { name, verify, prepare, run, confirm };
}
