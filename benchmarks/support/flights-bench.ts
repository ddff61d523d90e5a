/** What the benchmarks into PostgreSQL share: a server of their own, real flights as objects and as a CSV file, and the check of a table. */

import { createReadStream, createWriteStream } from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type pg from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import { checksumQuery, FlightChecksum, type Checksum } from '../flights/flight-checksum.js';
import { openFlights, type Flight } from '../flights/flight-source.js';
import type { Candidate } from './comparison.js';
import { findPsql, formatOptions, psqlCopy, type CopyFormat } from './psql.js';
import { withServer, type BenchServer } from './server.js';

const TABLE = 'flights';

export interface FlightsBench {
  readonly table: string;
  readonly url: string;
  readonly pool: pg.Pool;
  /** For more files; deleted at the end. */
  readonly folder: string;
  readonly rows: readonly Flight[];
  readonly csvFile: string;
  /** A way to fill the table, which is empty before and compared with the rows after. */
  readonly candidate: (name: string, load: () => Promise<void>, expected?: readonly Flight[]) => Candidate;
  /** `psql \copy` of the CSV file; where there is no psql, the file through pg-copy-streams, and the name says so. */
  readonly baseline: Candidate;
  /** The same for any file and format. */
  readonly psqlOf: (file: string, format: CopyFormat) => Candidate;
  /** A file of the rows as the server writes them. */
  readonly dump: (format: CopyFormat) => Promise<string>;
  /** The CSV file through pg-copy-streams, unchanged. */
  readonly loadRawCsv: () => Promise<void>;
}

/** Sets up, yields once, and takes down again, however its user ends. */
export async function* withFlights<T>(
  rowCount: number,
  use: (bench: FlightsBench) => Iterable<T> | AsyncIterable<T>,
): AsyncGenerator<T, void> {
  const rows = await firstFlights(rowCount);
  yield* withServer(async function* ({ url, pool, folder }) {
    const csvFile = path.join(folder, 'flights.csv');
    await pipeline(Readable.from(csvChunks(rows)), createWriteStream(csvFile));
    await pool.query(`DROP TABLE IF EXISTS ${TABLE}`);
    await pool.query(
      `CREATE TABLE ${TABLE} (date timestamptz, delay int, distance int, origin text, destination text)`,
    );
    yield* use(await assemble({ url, pool, folder }, rows, csvFile));
  });
}

async function assemble(
  server: BenchServer,
  rows: readonly Flight[],
  csvFile: string,
): Promise<FlightsBench> {
  const { url, pool, folder } = server;
  const checksum = checksumOf(rows);
  const candidate = (name: string, load: () => Promise<void>, expected = rows): Candidate =>
    loading(pool, name, load, expected === rows ? checksum : checksumOf(expected));
  const loadFile = async (file: string, format: CopyFormat): Promise<void> => {
    const client = await pool.connect();
    try {
      const copy = client.query(copyFrom(`COPY ${TABLE} FROM STDIN WITH ${formatOptions(format)}`));
      await pipeline(createReadStream(file), copy);
    } finally {
      client.release();
    }
  };
  const loadRawCsv = (): Promise<void> => loadFile(csvFile, 'csv');
  const dump = async (format: CopyFormat): Promise<string> => {
    await pool.query(`TRUNCATE ${TABLE}`);
    await loadRawCsv();
    const file = path.join(folder, `flights.${format}`);
    const client = await pool.connect();
    try {
      const copy = client.query(copyTo(`COPY ${TABLE} TO STDOUT WITH (FORMAT ${format})`));
      await pipeline(copy, createWriteStream(file));
    } finally {
      client.release();
    }
    return file;
  };
  const psql = await findPsql();
  const psqlOf = (file: string, format: CopyFormat): Candidate =>
    psql === undefined
      ? candidate(`${format} through pg-copy-streams (no psql here)`, () => loadFile(file, format))
      : candidate(`psql ${psql.version} \\copy ${format}`, () => psqlCopy(psql, url, TABLE, file, format));
  const baseline = psqlOf(csvFile, 'csv');
  return { table: TABLE, url, pool, folder, rows, csvFile, candidate, baseline, psqlOf, dump, loadRawCsv };
}

function loading(pool: pg.Pool, name: string, load: () => Promise<void>, expected: Checksum): Candidate {
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
  return {
    name,
    async verify() {
      await empty();
      await load();
      return confirm();
    },
    prepare: empty,
    run: load,
    confirm,
  };
}

export async function firstFlights(count: number): Promise<Flight[]> {
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

export function checksumOf(rows: readonly Flight[]): Checksum {
  const checksum = new FlightChecksum();
  for (const row of rows) checksum.add(row);
  return checksum.value;
}

const ROWS_PER_CHUNK = 10_000;

/** With a header. A row that `isBad` has a delay that is no number. */
export function* csvChunks(
  rows: readonly Flight[],
  isBad: (index: number) => boolean = () => false,
): Generator<string, void> {
  yield 'date,delay,distance,origin,destination\n';
  for (let start = 0; start < rows.length; start += ROWS_PER_CHUNK) {
    const lines = rows
      .slice(start, start + ROWS_PER_CHUNK)
      .map((row, index) => csvLine(row, isBad(start + index) ? 'late' : row.delay));
    yield lines.join('');
  }
}

/** Nothing in a flight needs quotes. */
function csvLine({ date, distance, origin, destination }: Flight, delay: number | string): string {
  return `${date.toISOString()},${delay},${distance},${origin},${destination}\n`;
}
