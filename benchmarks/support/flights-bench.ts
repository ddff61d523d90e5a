/** What the benchmarks into PostgreSQL share: a server of their own, real flights as objects and as a CSV file, and the check of a table. */

import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { startEmbeddedServer } from '../../src/cli/embedded-server.js';
import { checksumQuery, FlightChecksum, type Checksum } from '../flights/flight-checksum.js';
import { openFlights, type Flight } from '../flights/flight-source.js';
import type { Candidate } from './comparison.js';
import { findPsql, psqlCopy } from './psql.js';

const TABLE = 'flights';

export interface FlightsBench {
  readonly table: string;
  readonly url: string;
  readonly pool: pg.Pool;
  readonly rows: readonly Flight[];
  readonly csvFile: string;
  /** A way to fill the table, which is empty before and compared with the rows after. */
  readonly candidate: (name: string, load: () => Promise<void>) => Candidate;
  /** `psql \copy` of the CSV file; where there is no psql, the file through pg-copy-streams, and the name says so. */
  readonly baseline: Candidate;
  /** The CSV file through pg-copy-streams, unchanged. */
  readonly loadRawCsv: () => Promise<void>;
}

/** Sets up, hands over, and takes down again, however the user of it ends. */
export async function* withFlights<T>(
  rowCount: number,
  use: (bench: FlightsBench) => Iterable<T>,
): AsyncGenerator<T, void> {
  const rows = await firstFlights(rowCount);
  const expected = checksumOf(rows);
  const folder = await mkdtemp(path.join(os.tmpdir(), 'spillway-bench-'));
  try {
    const csvFile = path.join(folder, 'flights.csv');
    await pipeline(Readable.from(csvChunks(rows)), createWriteStream(csvFile));
    const server = await startEmbeddedServer();
    const pool = new pg.Pool({ connectionString: server.url });
    try {
      await pool.query(
        `CREATE TABLE ${TABLE} (date timestamptz, delay int, distance int, origin text, destination text)`,
      );
      yield* use(await assemble(server.url, pool, rows, csvFile, expected));
    } finally {
      await pool.end();
      await server.stop();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function assemble(
  url: string,
  pool: pg.Pool,
  rows: readonly Flight[],
  csvFile: string,
  expected: Checksum,
): Promise<FlightsBench> {
  const empty = async (): Promise<void> => {
    await pool.query(`TRUNCATE ${TABLE}`);
    // What the run before has left to write is not this one's.
    await pool.query('CHECKPOINT');
  };
  const confirm = async (): Promise<string | undefined> => {
    const { rows: found } = await pool.query<{ rows: number; first: string; second: string }>(
      checksumQuery(TABLE),
    );
    const { rows: count, first, second } = found[0]!;
    if (count !== expected.rows) return `${count} of ${expected.rows} rows are in the table`;
    if (first === expected.sums[0] && second === expected.sums[1]) return undefined;
    return 'the rows of the table are not those of the source';
  };
  const candidate = (name: string, load: () => Promise<void>): Candidate => ({
    name,
    async verify() {
      await empty();
      await load();
      return confirm();
    },
    prepare: empty,
    run: load,
    confirm,
  });
  const loadRawCsv = async (): Promise<void> => {
    const client = await pool.connect();
    try {
      const copy = client.query(copyFrom(`COPY ${TABLE} FROM STDIN WITH (FORMAT csv, HEADER)`));
      await pipeline(createReadStream(csvFile), copy);
    } finally {
      client.release();
    }
  };
  const psql = await findPsql();
  const baseline =
    psql === undefined
      ? candidate('CSV through pg-copy-streams (no psql here)', loadRawCsv)
      : candidate(`psql ${psql.version} \\copy CSV`, () => psqlCopy(psql, url, TABLE, csvFile));
  return { table: TABLE, url, pool, rows, csvFile, candidate, baseline, loadRawCsv };
}

async function firstFlights(count: number): Promise<Flight[]> {
  const source = await openFlights();
  const rows: Flight[] = [];
  for await (const flight of source.stream(() => undefined)) {
    rows.push(flight as Flight);
    if (rows.length === count) break;
  }
  if (rows.length < count)
    throw new Error(`the source has ${rows.length} flights, and ${count} are asked for`);
  return rows;
}

function checksumOf(rows: readonly Flight[]): Checksum {
  const checksum = new FlightChecksum();
  for (const row of rows) checksum.add(row);
  return checksum.value;
}

const ROWS_PER_CHUNK = 10_000;

function* csvChunks(rows: readonly Flight[]): Generator<string, void> {
  yield 'date,delay,distance,origin,destination\n';
  for (let start = 0; start < rows.length; start += ROWS_PER_CHUNK) {
    const lines = rows.slice(start, start + ROWS_PER_CHUNK).map(csvLine);
    yield lines.join('');
  }
}

/** Nothing in a flight needs quotes. */
function csvLine({ date, delay, distance, origin, destination }: Flight): string {
  return `${date.toISOString()},${delay},${distance},${origin},${destination}\n`;
}
