/** Values that rows leave out get the column's default: what INSERT … DEFAULT stores. */

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import pg from 'pg';
import { describe, expect, test } from 'vitest';
import type { CopyOptions } from '../../../src/postgres/index.js';
import { useCli } from '../../support/cli.js';
import { loadRows } from '../../support/load-rows.js';
import { useTestDatabase } from '../../support/postgres.js';
import { SeededRandom } from '../../support/seeded-random.js';
import { testRuns, testSeed } from '../../support/test-runs.js';

const database = useTestDatabase();
const FIRST_SEED = testSeed(1);
const LOADS = testRuns(10);

type Row = Record<string, unknown>;

const VALUES: Readonly<Record<string, readonly unknown[]>> = {
  id: [undefined, undefined, undefined, 100_000, 100_001],
  always: [undefined, undefined, 200_000],
  text: [undefined, null, 'x', ''],
  number: [undefined, null, 7],
  domain: [undefined, null, 3],
  list: [undefined, null, [1, 2]],
  plain: [undefined, null, 'y'],
  wanted: [undefined, 1, 1, 1, 'bad'],
};
const NAMES = Object.keys(VALUES);

async function makeTable(client: pg.Client): Promise<string> {
  await client.query(
    `DO $$ BEGIN CREATE DOMAIN five AS int DEFAULT 5 CHECK (VALUE < 10); EXCEPTION WHEN duplicate_object THEN NULL; END $$`,
  );
  return database.table(`id serial, always int GENERATED ALWAYS AS IDENTITY, text text DEFAULT $$a\\b	c$$, number int DEFAULT 40 + 2, domain five,
    list int[] DEFAULT '{9}', plain text, wanted int NOT NULL, twice int GENERATED ALWAYS AS (number * 2) STORED`);
}

function randomRows(random: SeededRandom, count: number): Row[] {
  // Keys that are absent, and keys that are undefined.
  return Array.from({ length: count }, () => {
    const row: Row = { plain: 'first' };
    for (const name of NAMES) {
      const values = VALUES[name]!;
      const value = values[random.int(0, values.length - 1)];
      if (value !== undefined || random.chance(0.3)) row[name] = value;
    }
    return row;
  });
}

async function insertEach(
  client: pg.Client,
  table: string,
  rows: readonly Row[],
  conflict = '',
): Promise<unknown[]> {
  const refused: unknown[] = [];
  for (const row of rows) {
    const given = NAMES.filter((name) => row[name] !== undefined);
    const places = NAMES.map((name) => (given.includes(name) ? `$${given.indexOf(name) + 1}` : 'DEFAULT'));
    try {
      await client.query(
        `INSERT INTO ${table} (${NAMES.join()}) OVERRIDING SYSTEM VALUE VALUES (${places.join()}) ${conflict}`,
        given.map((name) => row[name]),
      );
    } catch (error) {
      refused.push([row, (error as { code?: unknown }).code]);
    }
  }
  return refused;
}

/** A refused row may have taken a serial number; how many is nobody's promise. */
async function content(client: pg.Client, table: string): Promise<unknown[]> {
  const { rows } = await client.query<Row>(`SELECT * FROM ${table} ORDER BY ctid`);
  const serial = (value: unknown) => (Number(value) >= 100_000 ? value : 'next');
  return rows.map((row) => ({ ...row, id: serial(row['id']), always: serial(row['always']) }));
}

describe('copyInto', () => {
  test.each([
    ['auto', { format: 'auto' }],
    ['text', { format: 'text' }],
    ['upsert', { onConflict: 'ignore' }],
  ] as [string, Partial<CopyOptions>][])(
    'stores what INSERT … DEFAULT stores for random rows, by %s, in batches of any size',
    async (_way, options) => {
      const client = new pg.Client({ connectionString: database.url });
      await client.connect();
      const pool = database.pool({ max: 2 });
      try {
        for (let seed = FIRST_SEED; seed < FIRST_SEED + LOADS; seed += 1) {
          const random = new SeededRandom(seed);
          const rows = randomRows(random, random.int(1, 40));
          const batchSize = random.chance(0.5) ? 1_000 : random.int(1, 9);
          const [expected, loaded] = [await makeTable(client), await makeTable(client)];
          const refused = await insertEach(client, expected, rows);
          const { failures } = await loadRows(
            pool,
            { table: loaded, columns: NAMES, ...options },
            rows,
            batchSize,
          );
          const reported = failures.map(({ item, error }) => [
            item,
            (error.cause as { sqlState?: unknown }).sqlState,
          ]);
          const sorted = (list: unknown[]) => list.map((entry) => JSON.stringify(entry)).toSorted();
          expect({ seed, stored: sorted(await content(client, loaded)), reported: sorted(reported) }).toEqual(
            {
              seed,
              stored: sorted(await content(client, expected)),
              reported: sorted(refused),
            },
          );
        }
      } finally {
        await client.end();
      }
    },
    3_600_000,
  );

  test('rows that all leave out the same column get its serial numbers in their order', async () => {
    const table = await database.table('id serial PRIMARY KEY, n int');
    const rows = Array.from({ length: 500 }, (_, n) => ({ n, id: undefined }));
    await loadRows<Row>(database.pool({ max: 2 }), { table }, rows, 200);
    expect(await database.query(`SELECT count(*)::int AS n FROM ${table} WHERE id = n + 1`)).toEqual([
      { n: 500 },
    ]);
  });

  test.each([1, 2, 3, 1_000])(
    'rows with other keys than the first one fill their columns, in batches of %i',
    async (batchSize) => {
      const table = await database.table('id serial, n text, d text DEFAULT $$d$$, p int');
      const rows: Row[] = [
        { n: 'a' },
        { id: 7, n: 'b' },
        { p: 1, n: 'c', d: undefined },
        { d: null, n: 'd' },
        { n: 'e', x: 1 },
      ];
      const { failures } = await loadRows(database.pool({ max: 2 }), { table }, rows, batchSize);
      expect(failures.map(({ item }) => item)).toEqual([{ n: 'e', x: 1 }]);
      expect(await database.query(`SELECT id = 7 AS is_seven, n, d, p FROM ${table} ORDER BY n`)).toEqual([
        { is_seven: false, n: 'a', d: 'd', p: null },
        { is_seven: true, n: 'b', d: 'd', p: null },
        { is_seven: false, n: 'c', d: 'd', p: 1 },
        { is_seven: false, n: 'd', d: null, p: null },
      ]);
    },
  );

  test('an undefined element of an array row is the default, null is NULL', async () => {
    const table = await database.table('id serial, t text DEFAULT $$d$$');
    await loadRows<unknown[]>(
      database.pool({ max: 2 }),
      { table },
      [
        [undefined, 'a'],
        [7, undefined],
        [8, null],
      ],
      10,
    );
    expect(await database.query(`SELECT * FROM ${table} ORDER BY id`)).toEqual([
      { id: 1, t: 'a' },
      { id: 7, t: 'd' },
      { id: 8, t: null },
    ]);
  });

  test.each([1, 2, 3, 1_000])(
    'an upsert in batches of %i sets a column that is left out to its default',
    async (batchSize) => {
      const table = await database.table('k int PRIMARY KEY, v int DEFAULT 5 NOT NULL, s serial');
      await database.query(`INSERT INTO ${table} VALUES (1, 1, 1000)`);
      const rows: Row[] = [{ k: 1 }, { k: 2, v: 2 }, { k: 2 }, { k: 3 }, { k: 3, v: 4 }];
      await loadRows(
        database.pool({ max: 2 }),
        { table, columns: ['k', 'v'], onConflict: 'update', key: ['k'] },
        rows,
        batchSize,
      );
      expect(await database.query(`SELECT k, v FROM ${table} ORDER BY k`)).toEqual([
        { k: 1, v: 5 },
        { k: 2, v: 5 },
        { k: 3, v: 4 },
      ]);
    },
  );

  test('keys that are left out are new rows, or the default key', async () => {
    const table = await database.table('tenant int DEFAULT 1, k int, v int, PRIMARY KEY (tenant, k)');
    const rows: Row[] = [
      { k: 1, v: 1 },
      { tenant: 2, k: 1, v: 2 },
      { k: 1, v: 3 },
      { tenant: 1, k: 1, v: 4 },
      { k: 2, v: 5 },
    ];
    const options = {
      table,
      columns: ['tenant', 'k', 'v'],
      onConflict: 'update',
      key: ['tenant', 'k'],
    } as const;
    const { failures } = await loadRows(database.pool({ max: 2 }), options, rows, 100);
    expect(failures.map(({ error }) => (error.cause as Error).message)).toEqual([]);
    expect(await database.query(`SELECT * FROM ${table} ORDER BY 1, 2`)).toEqual([
      { tenant: 1, k: 1, v: 4 },
      { tenant: 1, k: 2, v: 5 },
      { tenant: 2, k: 1, v: 2 },
    ]);
  });
});

describe('spillway load of NDJSON', () => {
  const cli = useCli();

  test.each(
    [
      [],
      ['--rejects', 'r.ndjson'],
      ['--import', 'x'],
      ['--on-conflict', 'update', '--key', 'n'],
      ['--strategy', 'drop_newest'],
    ].map((flags) => [flags]),
  )('with %j: an absent key is the default, null is NULL', async (flags) => {
    const table = await database.table('id serial, n text UNIQUE, d text DEFAULT $$d$$');
    const file = path.join(cli.directory, `${table}.ndjson`);
    await writeFile(
      file,
      '{"n":"a"}\n{"id":7,"n":"b","d":null}\n{"d":"x","n":"c"}\n{"n":"d","id":9,"d":"\\u0041"}\n',
    );
    const result = await cli.run(['load', file, '--table', table, '--to', database.url, ...flags]);
    expect(result).toMatchObject({ code: 0 });
    expect(await database.query(`SELECT * FROM ${table} ORDER BY n`)).toEqual([
      { id: 1, n: 'a', d: 'd' },
      { id: 7, n: 'b', d: null },
      { id: 2, n: 'c', d: 'x' },
      { id: 9, n: 'd', d: 'A' },
    ]);
  });
});
