/** A table of any columns, its rows as a CSV file, and what must be in it after each way of loading them. */

import { createReadStream, createWriteStream } from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { from as copyFrom } from 'pg-copy-streams';
import { BackpressureWritable } from 'spillway';
import { copyInto } from 'spillway/postgres';
import type { Candidate } from './comparison.js';
import { findPsql, psqlCopy } from './psql.js';
import type { BenchServer } from './server.js';

export type Row = Record<string, unknown>;

export interface TableBench {
  /** `psql \copy` of the CSV file; where there is no psql, the file through pg-copy-streams, and the name says so. */
  readonly baseline: Candidate;
  /** The rows as objects, with default options. */
  readonly ours: Candidate;
}

/** `columns` are the names and types; every row has each of them, in this order. */
export async function tableBench(
  server: BenchServer,
  table: string,
  columns: readonly string[],
  rows: readonly Row[],
): Promise<TableBench> {
  const { folder, pool, url } = server;
  await pool.query(`DROP TABLE IF EXISTS ${table}`);
  await pool.query(`CREATE TABLE ${table} (${columns.join()})`);
  const file = path.join(folder, `${table}.csv`);
  await pipeline(Readable.from(csvOf(rows)), createWriteStream(file));
  const loadCsv = async (): Promise<void> => {
    const client = await pool.connect();
    try {
      const copy = client.query(copyFrom(`COPY ${table} FROM STDIN WITH (FORMAT csv, HEADER)`));
      await pipeline(createReadStream(file), copy);
    } finally {
      client.release();
    }
  };
  // What the server itself makes of the CSV file is what every way must end with.
  await loadCsv();
  const expected = await contents(server, table);
  const psql = await findPsql();
  const candidate = (name: string, load: () => Promise<void>) => loading(server, table, name, load, expected);
  return {
    baseline:
      psql === undefined
        ? candidate('csv through pg-copy-streams (no psql here)', loadCsv)
        : candidate(`psql ${psql.version} \\copy csv`, () => psqlCopy(psql, url, table, file)),
    ours: candidate('objects, BackpressureWritable + copyInto', () =>
      pipeline(Readable.from(rows), new BackpressureWritable<Row>(copyInto(pool, { table }))),
    ),
  };
}

function* csvOf(rows: readonly Row[]): Generator<string, void> {
  yield `${Object.keys(rows[0]!).join()}\n`;
  for (const row of rows) yield `${Object.values(row).map(csvField).join()}\n`;
}

function csvField(value: unknown): string {
  if (value === null) return '';
  if (value instanceof Date) return value.toISOString();
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return /[",\n\r]/.test(text) || text === '' ? `"${text.replaceAll('"', '""')}"` : text;
}

/** The number of rows and a sum of their hashes, which does not depend on their order. */
async function contents({ pool }: BenchServer, table: string): Promise<string> {
  const { rows } = await pool.query<{ count: string; sum: string }>(
    `SELECT count(*), sum(hashtextextended(t::text, 0)) AS sum FROM ${table} t`,
  );
  return `${rows[0]!.count} rows, hash ${rows[0]!.sum}`;
}

function loading(
  server: BenchServer,
  table: string,
  name: string,
  load: () => Promise<void>,
  expected: string,
): Candidate {
  const empty = async (): Promise<void> => {
    await server.pool.query(`TRUNCATE ${table}`);
    await server.pool.query('CHECKPOINT');
  };
  const confirm = async (): Promise<string | undefined> => {
    const found = await contents(server, table);
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
