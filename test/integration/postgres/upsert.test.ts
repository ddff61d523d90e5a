/** `onConflict`: as if the rows had come one by one, whatever the batch size. */

import fc from 'fast-check';
import pg from 'pg';
import { describe, expect, test } from 'vitest';
import { BackpressureWritable, type FailedItem } from '../../../src/index.js';
import { copyInto, type CopyOptions } from '../../../src/postgres/index.js';
import { flushContext, useTestDatabase } from '../../support/postgres.js';
import { fastCheckRuns } from '../../support/test-runs.js';
import { range } from '../../support/range.js';

const database = useTestDatabase();

async function upsert(
  rows: readonly object[],
  options: CopyOptions<object>,
  { batchSize = 1_000, max = 2 }: { batchSize?: number; max?: number } = {},
): Promise<FailedItem<object>[]> {
  const failures: FailedItem<object>[] = [];
  const pool = database.pool({ max });
  const sink = new BackpressureWritable<object>(copyInto<object>(pool, options), {
    batchSize,
    onFailed: (failed) => failures.push(...failed),
  });
  for (const row of rows) sink.write(row);
  await new Promise<void>((resolve, reject) => {
    sink.on('error', reject);
    sink.end(resolve);
  });
  // A random test has hundreds of them.
  await pool.end();
  return failures;
}

const all = (table: string) => database.query(`SELECT * FROM ${table} ORDER BY 1, 2`);

describe('rows whose key is there already', () => {
  test.each([1, 2, 3, 1_000])('are as row by row, in batches of %i', async (batchSize) => {
    const entry = fc.record({ k: fc.nat(5), v: fc.nat(99) });
    await fc.assert(
      fc.asyncProperty(
        fc.array(entry, { maxLength: 30 }),
        fc.constantFrom('ignore', 'update'),
        async (rows, onConflict) => {
          const table = await database.table('k int PRIMARY KEY, v int');
          await database.query(`INSERT INTO ${table} VALUES (0, -1), (1, -1)`);
          const expected = new Map([
            [0, -1],
            [1, -1],
          ]);
          for (const { k, v } of rows) if (onConflict === 'update' || !expected.has(k)) expected.set(k, v);
          expect(await upsert(rows, { table, onConflict, key: ['k'] }, { batchSize })).toEqual([]);
          expect(await all(table)).toEqual(
            [...expected].toSorted(([a], [b]) => a - b).map(([k, v]) => ({ k, v })),
          );
          await database.query(`DROP TABLE ${table}`);
        },
      ),
      fastCheckRuns(12),
    );
  });

  test('rows without a whole key equal no other', async () => {
    const table = await database.table('a int, b int, v int, UNIQUE (a, b)');
    const rows = [
      { a: 1, b: null, v: 1 },
      { a: 1, b: null, v: 2 },
      { a: 1, b: 1, v: 3 },
      { a: 1, b: 1, v: 4 },
    ];
    await upsert(rows, { table, onConflict: 'update', key: ['a', 'b'] });
    expect(await database.query(`SELECT v FROM ${table} ORDER BY v`)).toEqual([{ v: 1 }, { v: 2 }, { v: 4 }]);
  });

  test('ignore without a key: whichever constraint', async () => {
    const table = await database.table('a int UNIQUE, b int UNIQUE');
    const rows = [
      { a: 1, b: 1 },
      { a: 1, b: 2 },
      { a: 2, b: 1 },
      { a: 3, b: 3 },
    ];
    await upsert(rows, { table, onConflict: 'ignore' });
    expect(await all(table)).toEqual([
      { a: 1, b: 1 },
      { a: 3, b: 3 },
    ]);
  });

  test('columns that are not loaded keep what they have; all columns in the key leave nothing to update', async () => {
    const table = await database.table('k int PRIMARY KEY, v int, kept text DEFAULT $$new$$');
    await database.query(`INSERT INTO ${table} VALUES (1, 1, 'old')`);
    await upsert(
      [
        { k: 1, v: 2 },
        { k: 2, v: 2 },
      ],
      { table, onConflict: 'update', key: ['k'] },
    );
    await upsert([{ k: 1 }, { k: 3 }], { table, onConflict: 'update', key: ['k'] });
    expect(await all(table)).toEqual([
      { k: 1, v: 2, kept: 'old' },
      { k: 2, v: 2, kept: 'new' },
      { k: 3, v: null, kept: 'new' },
    ]);
  });

  test('identity and generated columns, domains, arrays, and names that need quotes', async () => {
    const name = 'we"ird; DROP TABLE x --';
    await database.query('CREATE DOMAIN short AS varchar(3)');
    await database.query(
      `CREATE TABLE "${name.replaceAll('"', '""')}" (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "a ""b" short, spillway_place int[], twice int GENERATED ALWAYS AS (id * 2) STORED)`,
    );
    const rows = [
      { id: 7, 'a "b': 'x', spillway_place: [1, 2] },
      { id: 7, 'a "b': 'y', spillway_place: [3] },
      { id: 8, 'a "b': 'long', spillway_place: null },
    ];
    const failures = await upsert(rows, { table: name, onConflict: 'update', key: ['id'] });
    expect(failures.map(({ item }) => (item as { id: number }).id)).toEqual([8]);
    expect(await database.query(`SELECT * FROM "${name.replaceAll('"', '""')}"`)).toEqual([
      { id: 7, 'a "b': 'y', spillway_place: [3], twice: 14 },
    ]);
  });

  test('several connections that meet in the same rows, in orders of their own: all is there, the deadlocks retried', async () => {
    const table = await database.table('k int PRIMARY KEY, v int');
    const rows = range(6_000).map((n) => ({ k: (n * 7919) % 500, v: n }));
    expect(
      await upsert(rows, { table, onConflict: 'update', key: ['k'] }, { batchSize: 200, max: 4 }),
    ).toEqual([]);
    expect(await database.query(`SELECT count(*)::int AS n FROM ${table}`)).toEqual([{ n: 500 }]);
  });
});

describe('bad rows of an upsert', () => {
  test('conversion, NOT NULL, CHECK, foreign key and another unique key: the others are inserted', async () => {
    const parent = await database.table('id int PRIMARY KEY');
    await database.query(`INSERT INTO ${parent} VALUES (1)`);
    const table = await database.table(
      `k int PRIMARY KEY, n int NOT NULL CHECK (n > 0), p int REFERENCES ${parent}, u int UNIQUE`,
    );
    await database.query(`INSERT INTO ${table} VALUES (5, 1, 1, -5)`);
    const rows = range(600).map((k): Record<string, unknown> => ({ k, n: 1, p: 1, u: k }));
    rows[10] = { k: 10, n: 'x', p: 1, u: 10 };
    rows[20] = { k: 20, n: null, p: 1, u: 20 };
    rows[30] = { k: 30, n: -1, p: 1, u: 30 };
    rows[400] = { k: 400, n: 1, p: 9, u: 400 };
    rows[500] = { k: 500, n: 1, p: 1, u: 499 };
    const failures = await upsert(rows, { table, onConflict: 'update', key: ['k'] });
    const states = failures.map(({ item, error }) => [
      (item as { k: number }).k,
      (error.cause as { sqlState: string }).sqlState,
    ]);
    expect(states.toSorted(([a], [b]) => (a as number) - (b as number))).toEqual([
      [10, '22P02'],
      [20, '23502'],
      [30, '23514'],
      [400, '23503'],
      [500, '23505'],
    ]);
    expect(await database.query(`SELECT count(*)::int AS n, sum(u)::int AS u FROM ${table}`)).toEqual([
      { n: 595, u: (599 * 600) / 2 - 10 - 20 - 30 - 400 - 500 },
    ]);
  });

  test('the set-up is named: a key of no constraint, one that is not loaded, no right to make a temporary table', async () => {
    const table = await database.table('k int PRIMARY KEY, v int');
    const copy = (options: object) => copyInto<object>(database.pool({ max: 1 }), { table, ...options });
    await expect(
      copy({ onConflict: 'update', key: ['v'] })([{ k: 1, v: 1 }], flushContext()),
    ).rejects.toMatchObject({
      failureClass: 'setup',
      sqlState: '42P10',
    });
    await expect(
      copy({ onConflict: 'update', key: ['w'] })([{ k: 1, v: 1 }], flushContext()),
    ).rejects.toThrow(/option 'key' names "w"/);
    const [{ name }] = (await database.query<{ name: string }>('SELECT current_database() AS name')) as [
      { name: string },
    ];
    await database.query(`REVOKE TEMPORARY ON DATABASE ${name} FROM PUBLIC`);
    await database.query(`CREATE ROLE loader_${name} LOGIN PASSWORD 'x'`);
    await database.query(`GRANT SELECT, INSERT, UPDATE ON ${table} TO loader_${name}`);
    const url = new URL(database.url);
    url.username = `loader_${name}`;
    url.password = 'x';
    const pool = new pg.Pool({ connectionString: url.href, max: 1 });
    const denied = copyInto<object>(pool, { table, onConflict: 'update', key: ['k'] });
    await expect(denied([{ k: 1, v: 1 }], flushContext())).rejects.toMatchObject({
      failureClass: 'setup',
      message: expect.stringMatching(/permission denied to create temporary tables/) as string,
    });
    await pool.end();
    await database.query(`DROP OWNED BY loader_${name}`);
    await database.query(`DROP ROLE loader_${name}`);
  });
});
