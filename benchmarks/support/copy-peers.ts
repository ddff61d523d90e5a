/** Other ways to get objects into a table: by hand, and by other packages. */

import { createRequire } from 'node:module';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { from as copyFrom } from 'pg-copy-streams';
import type { Flight } from '../flights/flight-source.js';
import type { Candidate } from './comparison.js';
import type { FlightsBench } from './flights-bench.js';
import { orMissing, versionOf } from './peer.js';

const require = createRequire(import.meta.url);
const BATCH_SIZE = 1_000;
const COLUMNS = 'date, delay, distance, origin, destination';

/** They are ten times slower and more: a fraction of the rows shows their rate as well. */
const MOST_ROWS = 200_000;

export async function otherWays(all: FlightsBench): Promise<Candidate[]> {
  const bench = { ...all, rows: all.rows.slice(0, MOST_ROWS) };
  const candidate = (name: string, load: () => Promise<void>): Candidate => ({
    ...all.candidate(name, load, bench.rows),
    ...(bench.rows.length < all.rows.length ? { amount: bench.rows.length } : {}),
  });
  const peer = async (packageName: string, what: string, load: () => Promise<() => Promise<void>>) => {
    const name = `${packageName} ${(await versionOf(packageName)) ?? ''}`.trim() + `: ${what}`;
    const made = await orMissing(name, packageName, async () => candidate(name, await load()));
    return { ...made, isPeer: true };
  };
  return [
    candidate(`INSERT … unnest of ${BATCH_SIZE}`, () => insertUnnest(bench)),
    candidate(`multi-row INSERT of ${BATCH_SIZE}`, () => insertRows(bench)),
    candidate('row-per-chunk Transform into pg-copy-streams', () => copyRowByRow(bench)),
    await peer('postgres', 'COPY, a row a chunk', () => postgresJs(bench)),
    await peer('pg-copy-streams-binary', 'rowWriter into pg-copy-streams', () => binaryRows(bench)),
  ];
}

function* batchesOf(rows: readonly Flight[]): Generator<readonly Flight[], void> {
  for (let start = 0; start < rows.length; start += BATCH_SIZE) yield rows.slice(start, start + BATCH_SIZE);
}

async function insertUnnest({ pool, rows, table }: FlightsBench): Promise<void> {
  const sql = `INSERT INTO ${table} (${COLUMNS})
    SELECT * FROM unnest($1::timestamptz[], $2::int[], $3::int[], $4::text[], $5::text[])`;
  for (const batch of batchesOf(rows)) {
    await pool.query(sql, [
      batch.map(({ date }) => date),
      batch.map(({ delay }) => delay),
      batch.map(({ distance }) => distance),
      batch.map(({ origin }) => origin),
      batch.map(({ destination }) => destination),
    ]);
  }
}

async function insertRows({ pool, rows, table }: FlightsBench): Promise<void> {
  for (const batch of batchesOf(rows)) {
    const places = batch.map(
      (_, row) => `(${[1, 2, 3, 4, 5].map((column) => `$${row * 5 + column}`).join()})`,
    );
    await pool.query(
      `INSERT INTO ${table} (${COLUMNS}) VALUES ${places.join()}`,
      batch.flatMap(({ date, delay, distance, origin, destination }) => [
        date,
        delay,
        distance,
        origin,
        destination,
      ]),
    );
  }
}

/** A flight has nothing that the text format would have to escape. */
function textLine({ date, delay, distance, origin, destination }: Flight): string {
  return `${date.toISOString()}\t${delay}\t${distance}\t${origin}\t${destination}\n`;
}

function lineByLine(): Transform {
  return new Transform({
    writableObjectMode: true,
    transform(row: Flight, _encoding, callback) {
      callback(null, textLine(row));
    },
  });
}

async function copyRowByRow({ pool, rows, table }: FlightsBench): Promise<void> {
  const client = await pool.connect();
  try {
    const copy = client.query(copyFrom(`COPY ${table} (${COLUMNS}) FROM STDIN`));
    await pipeline(Readable.from(rows), lineByLine(), copy);
  } finally {
    client.release();
  }
}

async function postgresJs({ rows, table, url }: FlightsBench): Promise<() => Promise<void>> {
  const { default: connect } = await import('postgres');
  return async () => {
    const sql = connect(url, { max: 1 });
    try {
      const copy = await sql.unsafe(`COPY ${table} (${COLUMNS}) FROM STDIN`).writable();
      await pipeline(Readable.from(rows), lineByLine(), copy);
    } finally {
      await sql.end();
    }
  };
}

interface Field {
  readonly type: string;
  readonly value: unknown;
}

async function binaryRows({ pool, rows, table }: FlightsBench): Promise<() => Promise<void>> {
  const { rowWriter } = require('pg-copy-streams-binary') as { rowWriter: () => Transform };
  const fields = function* (): Generator<Field[], void> {
    for (const { date, delay, distance, origin, destination } of rows) {
      yield [
        { type: 'timestamptz', value: date },
        { type: 'int4', value: delay },
        { type: 'int4', value: distance },
        { type: 'text', value: origin },
        { type: 'text', value: destination },
      ];
    }
  };
  return async () => {
    const client = await pool.connect();
    try {
      const copy = client.query(copyFrom(`COPY ${table} (${COLUMNS}) FROM STDIN WITH (FORMAT binary)`));
      await pipeline(Readable.from(fields()), rowWriter(), copy);
    } finally {
      client.release();
    }
  };
}
