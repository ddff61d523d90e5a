/** Where binary could differ from text: values at the edge of what a number holds, and failures that are no row's. */

import pg from 'pg';
import { describe, expect, test } from 'vitest';
import { copyInto, type CopyError, type CopyOptions } from '../../../src/postgres/index.js';
import { flushContext, useTestDatabase } from '../../support/postgres.js';

const database = useTestDatabase();
const FORMATS = ['text', 'binary'] as const;

/** The bytes in the table, after a batch in each format. */
async function storedBy(type: string, values: readonly unknown[]): Promise<unknown[]> {
  const stored: unknown[] = [];
  for (const format of FORMATS) {
    const table = await database.table(`n int, v ${type}`);
    await copyInto<unknown[]>(database.pool(), { table, format })(
      values.map((value, n) => [n, value]),
      flushContext(),
    );
    const rows = await database.query(`SELECT encode(record_send(ROW(v)), 'hex') FROM ${table} ORDER BY n`);
    stored.push(rows);
  }
  return stored;
}

test.each(['timestamp', 'timestamptz'])(
  '%s: microseconds stay exact where they are more since 2000 than since 1970',
  async (type) => {
    const days = ['1684-07-28', '1690-06-06', '1700-01-01', '1714-07-28', '1714-08-01', '1999-12-31'];
    const values = days.flatMap((day) =>
      ['000001', '000003', '999999'].map((us) => `${day}T01:02:03.${us}Z`),
    );
    const [text, binary] = await storedBy(type, values);
    expect(binary).toEqual(text);
  },
);

test.each(['float4', 'float8'])('%s: every NaN is the one of the server', async (type) => {
  const odd = new Float64Array(new BigUint64Array([0xfff8000000000000n, 0x7ff8000000000123n]).buffer);
  const [text, binary] = await storedBy(type, [NaN, odd[0], odd[1]]);
  expect(binary).toEqual(text);
});

describe('a column whose new type wants more bytes', () => {
  test.each<[before: string, after: string, value: unknown, shown: string]>([
    ['int2', 'int8', 12, '12'],
    ['float4', 'float8', 0.5, '0.5'],
    ['text', 'int8', '17', '17'],
    ['date', 'timestamptz', '2001-01-05', '2001-01-05 00:00:00+00'],
    ['bool', 'text[]', 't', ''],
    ['bytea', 'uuid', 'x', ''],
  ])('%s has become %s: the same call inserts the batch as text', async (before, after, value, shown) => {
    const outcomes: unknown[] = [];
    for (const format of FORMATS) {
      const table = await database.table(`n int, v ${before}`);
      const copy = copyInto<unknown[]>(database.pool({ max: 1 }), { table, format });
      await copy([[0, null]], flushContext());
      await database.query(`ALTER TABLE ${table} DROP COLUMN v, ADD COLUMN v ${after}`);
      const error: unknown = await copy([[1, value]], flushContext()).then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      const { failureClass, sqlState, row, column } = (error ?? {}) as Partial<CopyError>;
      const rows = await database.query(`SELECT n, v::text FROM ${table} WHERE n > 0`);
      outcomes.push({ failureClass, sqlState, row, column, rows });
      if (shown !== '') expect(rows).toEqual([{ n: 1, v: shown }]);
    }
    expect(outcomes[1]).toEqual(outcomes[0]);
  });
});

describe('a constraint that only COMMIT checks', () => {
  test.each([false, true])(
    'asks beforeCommit as often in either format (isolates: %s)',
    async (takesFailures) => {
      const outcomes: unknown[] = [];
      for (const format of FORMATS) {
        const parent = await database.table('id int PRIMARY KEY');
        await database.query(`INSERT INTO ${parent} VALUES (1)`);
        const table = await database.table(
          `id int, parent int CONSTRAINT has_parent REFERENCES ${parent} DEFERRABLE INITIALLY DEFERRED`,
        );
        const asked: number[][] = [];
        const options: CopyOptions<{ id: number; parent: number }, pg.PoolClient> = {
          table,
          format,
          beforeCommit: (_client, items) => Promise.resolve(asked.push(items.map(({ id }) => id))),
        };
        const copy = copyInto(database.pool({ max: 1 }), options);
        const rows = [1, 9, 1].map((of, id) => ({ id, parent: of }));
        const result = await copy(rows, { ...flushContext(), takesFailures }).catch((error: unknown) => {
          const { failureClass, sqlState, constraint, row } = error as CopyError;
          return { failureClass, sqlState, constraint, row };
        });
        const stored = await database.query(`SELECT id FROM ${table} ORDER BY id`);
        outcomes.push({
          asked,
          stored,
          failed: (result as { failed?: number } | undefined)?.failed,
          result: takesFailures ? 0 : result,
        });
      }
      expect(outcomes[1]).toEqual(outcomes[0]);
    },
  );
});

test('a value that goes as text waits for a locked table as long as text does', async () => {
  const outcomes: unknown[] = [];
  await Promise.all(
    FORMATS.map(async (format) => {
      const table = await database.table('v float8');
      const copy = copyInto<unknown[]>(database.pool({ max: 1 }), { table, format });
      await copy([[0]], flushContext());
      const locker = new pg.Client(database.url);
      await locker.connect();
      await locker.query(`BEGIN; LOCK TABLE ${table}`);
      const done = copy([['1e3']], flushContext()).then(
        () => 'inserted',
        (error: unknown) => String(error),
      );
      await new Promise((resolve) => setTimeout(resolve, 5_500));
      await locker.query('COMMIT');
      await locker.end();
      outcomes.push(await done);
    }),
  );
  expect(outcomes).toEqual(['inserted', 'inserted']);
}, 20_000);

test("operators of the search path's have no say in whether the columns are still what they were", async () => {
  await database.query(`CREATE SCHEMA odd;
    CREATE FUNCTION odd.quotient(int, int) RETURNS int LANGUAGE sql AS 'SELECT 1';
    CREATE OPERATOR odd./ (LEFTARG = int, RIGHTARG = int, FUNCTION = odd.quotient);
    CREATE FUNCTION odd.are_equal(oid[], oid[]) RETURNS bool LANGUAGE sql AS 'SELECT true';
    CREATE OPERATOR odd.= (LEFTARG = oid[], RIGHTARG = oid[], FUNCTION = odd.are_equal)`);
  const table = await database.table('v int8');
  const url = new URL(database.url);
  url.searchParams.set('options', '-c search_path=odd,public,pg_catalog');
  const copy = copyInto<unknown[]>(database.pool({ connectionString: url.href }), {
    table,
    format: 'binary',
  });
  await copy([[0]], flushContext());
  await database.query(`ALTER TABLE ${table} ALTER COLUMN v TYPE float8`);
  await copy([[7]], flushContext());
  expect(await database.query(`SELECT v FROM ${table} ORDER BY v`)).toEqual([{ v: 0 }, { v: 7 }]);
});

test.each(['jsonb', 'tsvector', 'jsonpath'])(
  'a column has become %s, and the server speaks another language than English: the same call inserts the batch',
  async (after) => {
    const table = await database.table('v float8');
    const pool = database.pool({ max: 1 });
    pool.on('connect', (client) => {
      const { connection } = client as unknown as { connection: NodeJS.EventEmitter };
      connection.prependListener('errorMessage', (error: { severity: string }) => {
        error.severity = 'FEHLER';
      });
    });
    const copy = copyInto<unknown[]>(pool, { table, format: 'binary' });
    await copy([[null]], flushContext());
    await database.query(`ALTER TABLE ${table} DROP COLUMN v, ADD COLUMN v ${after}`);
    await copy([[1]], flushContext());
    const rows = await database.query(`SELECT v::text FROM ${table} WHERE v IS NOT NULL`);
    expect(rows).toEqual([{ v: after === 'tsvector' ? "'1'" : '1' }]);
  },
);
