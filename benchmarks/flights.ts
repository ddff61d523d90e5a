/**
 * The main job (`npm start`): three million real flights from a Parquet file, as objects, through `BackpressureWritable` and `copyInto` into an
 * embedded PostgreSQL. In the end the table is held against the source: number of rows and a checksum that both sides compute.
 */

import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import { BackpressureWritable } from 'spillway';
import { copyInto } from 'spillway/postgres';
import { startEmbeddedServer } from '../src/cli/server/embedded/embedded-server.js';
import { plainLine } from '../src/cli/live/plain-line.js';
import { startProgress } from '../src/cli/live/progress.js';
import type { LoadReading } from '../src/cli/live/reading.js';
import { count, mebibytes } from '../src/cli/common/counted.js';
import { stateShares } from '../src/cli/report/summary.js';
import { checksumQuery, FlightChecksum, type Checksum } from './flights/flight-checksum.js';
import { openFlights, type Flight } from './flights/flight-source.js';

const TABLE = 'flights';
const PLAIN_PROGRESS_INTERVAL_MS = 2_000;
const EXAMPLE = `SELECT origin, count(*) AS flights, round(avg(delay), 1) AS delay FROM ${TABLE} GROUP BY origin ORDER BY flights DESC LIMIT 5`;

const server = await startEmbeddedServer({ persistent: true });
try {
  const pool = new pg.Pool({ connectionString: server.url, max: 4 });
  // An idle connection that is lost is no failure: the next query opens another. The last ones may outlive `pool.end()` by a moment.
  pool.on('error', () => undefined);
  try {
    console.log(`Embedded PostgreSQL ${server.majorVersion}, its data kept in ${server.directory}`);
    await createTable(pool);
    const source = await load(pool);
    const table = await tableChecksum(pool);
    process.exitCode = compare(source, table) ? 0 : 1;
  } finally {
    await pool.end();
  }
} finally {
  await server.stop();
}

async function createTable(pool: pg.Pool): Promise<void> {
  await pool.query(`DROP TABLE IF EXISTS ${TABLE}`);
  await pool.query(
    `CREATE TABLE ${TABLE} (date timestamp, delay integer, distance integer, origin text, destination text)`,
  );
}

/** Returns the checksum of what was read. */
async function load(pool: pg.Pool): Promise<Checksum> {
  const flights = await openFlights();
  const checksum = new FlightChecksum();
  let rowsRead = 0;
  const sink = new BackpressureWritable<Flight>(copyInto<Flight>(pool, { table: TABLE, dates: 'utc' }));
  const read = (): LoadReading => ({
    kind: 'load',
    title: `flights into "${TABLE}"`,
    isStopping: false,
    done: rowsRead,
    total: flights.rowCount,
    unit: 'rows',
    sink,
  });
  const progress = startProgress(
    { quiet: false, environment: process.env, plainIntervalMs: PLAIN_PROGRESS_INTERVAL_MS },
    process.stderr,
    { read, line: (seconds) => plainLine(read(), seconds) },
  );
  const startedAt = performance.now();
  const source = flights.stream((flight) => {
    rowsRead += 1;
    checksum.add(flight);
  });
  try {
    await pipeline(source, sink);
  } finally {
    progress.stop();
  }
  const seconds = (performance.now() - startedAt) / 1000;
  const metrics = sink.getMetrics();
  console.log(
    `Loaded ${count(metrics.eventsFlushed)} rows in ${seconds.toFixed(2)} s: ${count(Math.round(metrics.eventsFlushed / seconds))} rows/s, ` +
      `${metrics.flushes} batches, ${metrics.retries} retries; Parquet decoding and checksum included`,
  );
  console.log(`Time by state: ${stateShares(metrics)}`);
  console.log(`Peak memory: ${mebibytes(process.resourceUsage().maxRSS * 1024)}`);
  return checksum.value;
}

async function tableChecksum(pool: pg.Pool): Promise<Checksum> {
  const { rows } = await pool.query<{ rows: number; first: string; second: string }>(checksumQuery(TABLE));
  const { rows: rowCount, first, second } = rows[0]!;
  return { rows: rowCount, sums: [first, second] };
}

function compare(source: Checksum, table: Checksum): boolean {
  const show = ({ rows, sums }: Checksum): string => `${count(rows)} rows, checksum ${sums.join(' ')}`;
  console.log(`Source: ${show(source)}`);
  console.log(`Table:  ${show(table)}`);
  if (show(source) !== show(table)) {
    console.error('The table differs from the source.');
    return false;
  }
  console.log('The table holds what the source holds. Query it yourself:');
  console.log(`  node dist/cli/main.cjs query --to embedded "${EXAMPLE}"`);
  return true;
}
