/** Batches of CSV that go as they stand in the file: how large they become, and what is known of one whose connection has ended. */

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { ChunkPool, type ChunkMemory } from '../../../src/cli/common/chunk-memory.js';
import { load, type Terminal } from '../../../src/cli/load/load.js';
import type { LoadOptions } from '../../../src/cli/args/options.js';
import { parseArguments } from '../../../src/cli/args/parse-arguments.js';
import { createCopy } from '../../../src/postgres/copy-into.js';
import { TEXT_FORMAT } from '../../../src/postgres/merge/copy-plan.js';
import type { CopyClient, CopyPool } from '../../../src/postgres/protocol/pool.js';
import { startProxy } from '../../support/postgres-proxy.js';
import { useTestDatabase } from '../../support/postgres.js';
import { range } from '../../support/range.js';

const database = useTestDatabase();
let directory = '';
beforeAll(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'spillway-csv-batches-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

async function run(args: string[], stdin: Readable = new PassThrough()): Promise<Record<string, unknown>> {
  const { options } = parseArguments(['load', ...args, '--quiet']) as { options: LoadOptions };
  const output = new PassThrough();
  const terminal = {
    environment: {},
    stdin,
    stdout: output,
    stderr: output,
    onStopSignal: () => () => undefined,
  } as unknown as Terminal;
  return (await load(options, terminal)).json;
}

describe('the size of a batch', () => {
  test('short records: a transaction has no more of them than rows that are parsed here would be', async () => {
    const table = await database.table('a int');
    const file = path.join(directory, 'short.csv');
    await writeFile(file, `a\n${'7\n'.repeat(400_000)}`);
    const json = await run([file, '-t', table, '--to', database.url]);
    expect(json).toMatchObject({ rows: 400_000, error: null });
    const [most] = await database.query<{ rows: number }>(
      `SELECT max(n)::int AS rows FROM (SELECT count(*) AS n FROM ${table} GROUP BY xmin::text) AS batch`,
    );
    // What comes in one piece stays together: 256 KiB.
    expect(most!.rows).toBeLessThanOrEqual(40_000 + 128 * 1024);
  });

  test('lines that come one by one go to the server together', async () => {
    const table = await database.table('a int');
    const proxy = await startProxy(database.url);
    const lines = ['a\n', ...Array.from({ length: 20_000 }, () => '7\n')].map((line) => Buffer.from(line));
    const url = database.urlVia(proxy.host, proxy.port);
    const json = await run(['-', '--format', 'csv', '-t', table, '--to', url], Readable.from(lines));
    expect(json).toMatchObject({ rows: 20_000, error: null });
    // Each message has five bytes beside its rows.
    expect(proxy.received).toBeLessThan(2 * 40_000);
    await proxy.close();
  });
});

describe('a file of many chunks, whose memory is used again', () => {
  const ROWS = 300_000;
  const BAD = 100_000;
  const textOf = (row: number): string => String(7919 * row).padStart(40, '0');

  test.each([
    ['csv', (row: number, a: number | string) => `${a},${textOf(row)}\n`],
    ['ndjson', (row: number, a: number | string) => `${JSON.stringify({ a, b: textOf(row) })}\n`],
  ])(
    '%s: each row is inserted with its own values, and bad ones are written with theirs',
    async (format, lineOf) => {
      const taken = vi.spyOn(ChunkPool.prototype, 'take');
      const table = await database.table('a int, b text');
      const file = path.join(directory, `long.${format}`);
      const rejects = path.join(directory, `rejects.${format}`);
      const lines = Array.from({ length: ROWS }, (_, row) => lineOf(row, row % BAD === 0 ? 'bad' : row));
      await writeFile(file, [format === 'csv' ? 'a,b\n' : '', ...lines].join(''));
      const json = await run([file, '-t', table, '--to', database.url, '--rejects', rejects]);
      const memories = taken.mock.results.map(({ value }) => value as ChunkMemory);
      taken.mockRestore();
      expect(json).toMatchObject({ rows: ROWS - ROWS / BAD });
      expect(
        await database.query(
          `SELECT count(DISTINCT a)::int AS rows, count(*) FILTER (WHERE b <> lpad((7919 * a::bigint)::text, 40, '0'))::int AS wrong FROM ${table}`,
        ),
      ).toEqual([{ rows: ROWS - ROWS / BAD, wrong: 0 }]);
      const written = (await readFile(rejects, 'utf8')).trimEnd().split('\n');
      expect(written.map((line) => (JSON.parse(line) as { row: { b: string } }).row.b).sort()).toEqual(
        [0, BAD, 2 * BAD].map(textOf),
      );
      // At most 8 MiB wait or are on their way, and each chunk has 256 KiB.
      expect(memories.length).toBeGreaterThan(45);
      expect(new Set(memories).size).toBeLessThan(41);
    },
  );
});

describe('bad rows of many kinds, so many that they are looked for before any row is inserted', () => {
  const ROWS = 30_000;
  // So wide that the server puts rows into the table before it has read a piece to its end.
  const WIDE = 'w'.repeat(700);

  test.each([
    ['lines that end in LF', ',', '\n', 'x'],
    ['lines that end in CR and LF', ',', '\r\n', 'x'],
    ['another delimiter', '|', '\n', 'x'],
    ['wide rows', ',', '\n', WIDE],
  ])('%s', async (_, delimiter, lineBreak, text) => {
    const table = await database.table(
      `id int UNIQUE, n int NOT NULL, q int CHECK (q < 100), t varchar(${text.length})`,
    );
    const rows = text === WIDE ? ROWS / 10 : ROWS;
    const codes = new Map<number, string>();
    const lines = range(rows).map((id) => {
      const row: (number | string)[] = [id, 1, 2, text];
      const kind = id % 40 === 39 ? Math.floor(id / 40) % 6 : -1;
      if (kind === 0) row[1] = 'no';
      if (kind === 1) row[1] = '';
      if (kind === 2) row[2] = 100;
      if (kind === 3) row[0] = 3;
      if (kind === 4) row[3] = `${text}!`;
      if (kind === 5) row[2] = '99999999999';
      if (kind >= 0) codes.set(id + 2, ['22P02', '23502', '23514', '23505', '22001', '22003'][kind]!);
      return row.join(delimiter) + lineBreak;
    });
    const file = path.join(directory, 'many-kinds.csv');
    await writeFile(file, ['id', 'n', 'q', 't'].join(delimiter) + lineBreak + lines.join(''));
    const rejects = path.join(directory, 'many-kinds.rejects');
    const args = [
      '-t',
      table,
      '--to',
      database.url,
      '--rejects',
      rejects,
      '--connections',
      '1',
      '--batch-size',
      '40000',
    ];
    const json = await run([file, ...args, '--delimiter', delimiter]);
    expect(json).toMatchObject({ rows: rows - codes.size, rejects: codes.size, error: null });
    const found = (await readFile(rejects, 'utf8'))
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { line: number; code: string });
    expect(found.map(({ line, code }) => [line, code])).toEqual([...codes]);
    const [inserted] = await database.query<{ n: number }>(`SELECT count(*)::int AS n FROM ${table}`);
    expect(inserted!.n).toBe(rows - codes.size);
    if (text === WIDE) return;
    // Rows that were put there and taken back would still take up space.
    await database.query(`CREATE TABLE ${table}_copy AS SELECT * FROM ${table}`);
    const [size] = await database.query<{ ratio: number }>(
      `SELECT pg_relation_size('${table}')::float / pg_relation_size('${table}_copy') AS ratio`,
    );
    expect(size!.ratio).toBeLessThan(1.2);
  });
});

/** Clients whose COMMIT is done, and then ends with `error`. */
function losingAnswers(pool: pg.Pool, error: Error): CopyPool {
  const connect = async (): Promise<CopyClient> => {
    const client = await pool.connect();
    const query = async (statement: string, values?: unknown[]): Promise<unknown> => {
      const answer = await client.query(statement, values);
      if (statement === 'COMMIT') throw error;
      return answer;
    };
    return new Proxy(client, {
      get: (target, name) => {
        // The answer does arrive, and would be seen on the connection itself.
        if (name === 'connection') return undefined;
        const value: unknown = Reflect.get(target, name);
        if (name === 'query')
          return (sql: unknown, values?: unknown[]) =>
            typeof sql === 'string' ? query(sql, values) : target.query(sql as never);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
  };
  return { connect, options: { max: 1 } };
}

describe('the answer to COMMIT', () => {
  test.each([
    ['TLS', Object.assign(new Error('SSL routines: decryption failed'), { code: 'ERR_SSL_BAD_RECORD_MAC' })],
    ['an error without a code', new Error('the stream was closed')],
  ])('lost for a reason that no table names (%s): the batch is not taken for refused', async (_, error) => {
    const table = await database.table('a int');
    const pool = losingAnswers(database.pool(), error);
    const copy = createCopy<object>(pool, { table, columns: ['a'] });
    const batch = { first: 0, last: 1, rows: 2, format: TEXT_FORMAT, chunks: [Buffer.from('1\n2\n')] };
    await expect(copy.copyWritten(batch, new AbortController().signal)).rejects.toThrow(error.message);
    expect(await database.query(`SELECT a FROM ${table} ORDER BY a`)).toEqual([{ a: 1 }, { a: 2 }]);
  });
});
