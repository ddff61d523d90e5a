/** How COPY depends on the number of columns: as many values each time, in rows of 3 to 300 columns, against psql and the same rows as CSV. */

import { createReadStream, createWriteStream } from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { from as copyFrom } from 'pg-copy-streams';
import { BackpressureWritable } from 'spillway';
import { copyInto } from 'spillway/postgres';
import type { Candidate, Comparison } from './support/comparison.js';
import { findPsql, psqlCopy } from './support/psql.js';
import { withServer, type BenchServer } from './support/server.js';

const WIDTHS = [3, 10, 30, 100, 300];
/** Of the narrowest rows; of wider ones so many fewer. */
const ROWS = 1_000_000;
const TABLE = 'wide';
/** Column by column in turn, so that every width has each of them. */
const KINDS = [
  { type: 'int', value: (seed: number): unknown => seed - 1_000 },
  { type: 'text', value: (seed: number): unknown => `text ${seed}` },
  { type: 'timestamptz', value: (seed: number): unknown => new Date(seed * 1_000) },
] as const;

type Row = Record<string, unknown>;

export function comparisons(rowCount = ROWS): AsyncIterable<Comparison> {
  return withServer(async function* (server) {
    for (const width of WIDTHS) {
      const count = Math.max(1, Math.round((rowCount * WIDTHS[0]!) / width));
      yield await comparison(server, width, makeRows(count, width));
    }
  });
}

function makeRows(count: number, width: number): Row[] {
  return Array.from({ length: count }, (_, index) =>
    Object.fromEntries(
      Array.from({ length: width }, (_, column) => [
        `c${column}`,
        KINDS[column % KINDS.length]!.value((index * 31 + column) % 100_000),
      ]),
    ),
  );
}

/** No value needs quotes. */
const csvLine = (row: Row): string =>
  `${Object.values(row)
    .map((value) => (value instanceof Date ? value.toISOString() : String(value)))
    .join()}\n`;

async function comparison(server: BenchServer, width: number, rows: Row[]): Promise<Comparison> {
  const { folder, pool, url } = server;
  const columns = Array.from({ length: width }, (_, column) => `c${column} ${KINDS[column % 3]!.type}`);
  await pool.query(`DROP TABLE IF EXISTS ${TABLE}`);
  await pool.query(`CREATE TABLE ${TABLE} (${columns.join()})`);
  const file = path.join(folder, 'wide.csv');
  const lines = function* (): Generator<string, void> {
    yield `${Object.keys(rows[0]!).join()}\n`;
    for (const row of rows) yield csvLine(row);
  };
  await pipeline(Readable.from(lines()), createWriteStream(file));
  const loadCsv = async (): Promise<void> => {
    const client = await pool.connect();
    try {
      const copy = client.query(copyFrom(`COPY ${TABLE} FROM STDIN WITH (FORMAT csv, HEADER)`));
      await pipeline(createReadStream(file), copy);
    } finally {
      client.release();
    }
  };
  // What the server itself makes of the CSV file is what every way must end with.
  await loadCsv();
  const expected = await contents(server);
  const psql = await findPsql();
  const baseline = psql === undefined ? 'CSV through pg-copy-streams' : `psql ${psql.version} \\copy csv`;
  const loadBaseline = psql === undefined ? loadCsv : () => psqlCopy(psql, url, TABLE, file);
  const candidate = (name: string, load: () => Promise<void>) => loading(server, name, load, expected);
  return {
    title: `${width} columns`,
    unit: 'values',
    amount: rows.length * width,
    baseline,
    candidates: [
      candidate(baseline, loadBaseline),
      candidate('objects, BackpressureWritable + copyInto', () =>
        pipeline(Readable.from(rows), new BackpressureWritable<Row>(copyInto(pool, { table: TABLE }))),
      ),
    ],
  };
}

/** The number of rows and a sum of their hashes, which does not depend on their order. */
async function contents({ pool }: BenchServer): Promise<string> {
  const { rows } = await pool.query<{ count: string; sum: string }>(
    `SELECT count(*), sum(hashtextextended(t::text, 0)) AS sum FROM ${TABLE} t`,
  );
  return `${rows[0]!.count} rows, hash ${rows[0]!.sum}`;
}

function loading(server: BenchServer, name: string, load: () => Promise<void>, expected: string): Candidate {
  const empty = async (): Promise<void> => {
    await server.pool.query(`TRUNCATE ${TABLE}`);
    await server.pool.query('CHECKPOINT');
  };
  const confirm = async (): Promise<string | undefined> => {
    const found = await contents(server);
    return found === expected ? undefined : `the table has ${found} in place of ${expected}`;
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
