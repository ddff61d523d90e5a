/** Rows that the table refuses, by every kind of fault: the others are inserted, each bad one fails with its cause. */

import { describe, expect, test } from 'vitest';
import { ItemError } from '../../../src/index.js';
import { copyInto, CopyError, type CopyOptions } from '../../../src/postgres/index.js';
import { loadRows } from '../../support/load-rows.js';
import { flushContext, useTestDatabase } from '../../support/postgres.js';
import { range } from '../../support/range.js';

const database = useTestDatabase();

interface Row {
  id: number | string | null;
  n?: number | string | null;
  t?: string | null;
}

interface Outcome {
  ids: number[];
  failures: {
    id: unknown;
    sqlState: string | undefined;
    column: string | undefined;
    constraint: string | undefined;
  }[];
}

async function load(
  table: string,
  rows: readonly object[],
  options: Partial<CopyOptions<object>> = {},
  batchSize = 20_000,
): Promise<Outcome> {
  const pool = database.pool({ max: 3 });
  const { sink, failures } = await loadRows(pool, { table, ...options }, rows, batchSize);
  const metrics = sink.getMetrics();
  const inserted = await database.query<{ id: number }>(`SELECT id FROM ${table} ORDER BY id`);
  expect(metrics.eventsFailed).toBe(failures.length);
  expect(metrics.eventsFlushed + metrics.eventsFailed).toBe(rows.length);
  return {
    ids: inserted.map(({ id }) => id),
    failures: failures.map(({ item, error }) => {
      expect(error).toBeInstanceOf(ItemError);
      const cause = error.cause as CopyError;
      expect(cause).toBeInstanceOf(CopyError);
      expect(cause.failureClass).toBe('row');
      expect(cause.items).toEqual([item]);
      const { sqlState, column, constraint } = cause;
      return { id: (item as Row).id, sqlState, column, constraint };
    }),
  };
}

/** Good rows 0 … count − 1, some of them replaced. */
function rowsWith(count: number, bad: Record<number, object>): object[] {
  return range(count).map((id) => bad[id] ?? { id, n: 1, t: 'x' });
}

function idsBut(count: number, bad: readonly number[]): number[] {
  return range(count).filter((id) => !bad.includes(id));
}

const ROWS = 3_000;
const PLACES = [0, 77, 78, 1_500, 2_999];

describe('one kind of fault at a time', () => {
  const kinds: [string, string, (id: number) => object, Partial<Outcome['failures'][number]>][] = [
    [
      'conversion',
      'id int, n int, t text',
      (id) => ({ id, n: 'many', t: 'x' }),
      { sqlState: '22P02', column: 'n' },
    ],
    [
      'out of range',
      'id int, n int2, t text',
      (id) => ({ id, n: '70000', t: 'x' }),
      { sqlState: '22003', column: 'n' },
    ],
    [
      'too long',
      'id int, n int, t varchar(3)',
      (id) => ({ id, n: 1, t: 'long' }),
      { sqlState: '22001', column: 't' },
    ],
    [
      'NOT NULL',
      'id int, n int NOT NULL, t text',
      (id) => ({ id, n: null, t: 'x' }),
      { sqlState: '23502', column: 'n' },
    ],
    [
      'a key that is missing',
      'id int, n int NOT NULL, t text',
      (id) => ({ id, t: 'x' }),
      { sqlState: '23502', column: 'n' },
    ],
    [
      'CHECK',
      'id int, n int CONSTRAINT positive CHECK (n > 0), t text',
      (id) => ({ id, n: -1, t: 'x' }),
      { sqlState: '23514', constraint: 'positive' },
    ],
    [
      'U+0000',
      'id int, n int, t text',
      (id) => ({ id, n: 1, t: 'a\0b' }),
      { sqlState: '22021', column: 't' },
    ],
    [
      'half a surrogate pair',
      'id int, n int, t text',
      (id) => ({ id, n: 1, t: '\ud800' }),
      { sqlState: '22021', column: 't' },
    ],
    [
      'a key that no column has',
      'id int, n int, t text',
      (id) => ({ id, n: 1, t: 'x', more: 1 }),
      { sqlState: '22P04', column: 'more' },
    ],
    [
      'jsonb',
      'id int, n jsonb, t text',
      (id) => ({ id, n: '{', t: 'x' }),
      { sqlState: '22P02', column: 'n' },
    ],
  ];

  test.each(kinds)('%s', async (_name, columns, badRow, expected) => {
    const table = await database.table(columns);
    const bad = Object.fromEntries(PLACES.slice(1).map((id) => [id, badRow(id)]));
    const { ids, failures } = await load(table, rowsWith(ROWS, bad));
    expect(ids).toEqual(idsBut(ROWS, PLACES.slice(1)));
    expect(failures.map(({ id }) => id)).toEqual(PLACES.slice(1));
    for (const failure of failures) expect(failure).toMatchObject(expected);
  });

  test('UNIQUE: against the table and within the batch, the first one is inserted', async () => {
    const table = await database.table('id int, n int UNIQUE, t text');
    await database.query(`INSERT INTO ${table} VALUES (-1, 5, 'before')`);
    const rows = range(ROWS).map((id) => ({ id, n: id, t: 'x' }));
    rows[100]!.n = 99;
    rows[2_000]!.n = 7;
    const { ids, failures } = await load(table, rows);
    expect(failures.map(({ id }) => id)).toEqual([5, 100, 2_000]);
    expect(failures[0]).toMatchObject({ sqlState: '23505', constraint: `${table}_n_key` });
    expect(ids).toEqual([-1, ...idsBut(ROWS, [5, 100, 2_000])]);
  });

  test.each(['', 'DEFERRABLE INITIALLY DEFERRED'])('foreign key %s', async (deferrable) => {
    const parent = await database.table('id int PRIMARY KEY');
    await database.query(`INSERT INTO ${parent} VALUES (1)`);
    const table = await database.table(
      `id int, n int CONSTRAINT parent REFERENCES ${parent} ${deferrable}, t text`,
    );
    const bad = Object.fromEntries(PLACES.map((id) => [id, { id, n: 1_000 + id, t: 'x' }]));
    const { ids, failures } = await load(table, rowsWith(ROWS, bad));
    expect(ids).toEqual(idsBut(ROWS, PLACES));
    expect(failures.map(({ id }) => id)).toEqual(PLACES);
    for (const failure of failures)
      expect(failure).toMatchObject({ sqlState: '23503', constraint: 'parent' });
  });

  test.each(['BEFORE', 'AFTER'])('an exception of a trigger %s each row', async (when) => {
    const table = await database.table('id int, n int, t text');
    await database.query(
      `CREATE FUNCTION ${table}_guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.n = 13 THEN RAISE EXCEPTION 'not thirteen'; END IF; RETURN NEW; END $$`,
    );
    await database.query(
      `CREATE TRIGGER guard ${when} INSERT ON ${table} FOR EACH ROW EXECUTE FUNCTION ${table}_guard()`,
    );
    const bad = Object.fromEntries(PLACES.map((id) => [id, { id, n: 13, t: 'x' }]));
    const { ids, failures } = await load(table, rowsWith(ROWS, bad));
    expect(ids).toEqual(idsBut(ROWS, PLACES));
    expect(failures.map(({ id }) => id)).toEqual(PLACES);
    for (const failure of failures) expect(failure).toMatchObject({ sqlState: 'P0001' });
  });
});

describe('several kinds together', () => {
  test('conversion, CHECK, UNIQUE, foreign key and what cannot even be sent, over several batches', async () => {
    const parent = await database.table('id int PRIMARY KEY');
    await database.query(`INSERT INTO ${parent} VALUES (1)`);
    const table = await database.table(
      `id int PRIMARY KEY, n int REFERENCES ${parent} CHECK (n <> 2), t varchar(5)`,
    );
    const bad: Record<number, object> = {};
    for (let id = 3; id < 10_000; id += 37) {
      bad[id] = [
        { id, n: 'x', t: 'x' },
        { id, n: 2, t: 'x' },
        { id: id - 1, n: 1, t: 'x' },
        { id, n: 77, t: 'x' },
        { id, n: 1, t: '\0' },
        { id, n: 1, t: 'too long' },
      ][id % 6]!;
    }
    const rows = rowsWith(10_000, bad);
    const { ids, failures } = await load(table, rows, {}, 4_000);
    const badPlaces = Object.keys(bad).map(Number);
    expect(ids).toEqual(idsBut(10_000, badPlaces));
    expect(failures.length).toBe(badPlaces.length);
    expect(failures.map(({ id }) => id)).toEqual(badPlaces.map((place) => (bad[place] as Row).id));
  });

  test('a row that is at fault does not take the key of a good one', async () => {
    const parent = await database.table('id int PRIMARY KEY');
    const table = await database.table(`id int UNIQUE, n int REFERENCES ${parent}, t text`);
    await database.query(`INSERT INTO ${parent} VALUES (1)`);
    const rows = rowsWith(200, { 10: { id: 50, n: 9, t: 'at fault' } });
    const { ids, failures } = await load(table, rows);
    expect(failures).toMatchObject([{ id: 50, sqlState: '23503' }]);
    expect(ids).toEqual(idsBut(200, [10]));
    expect(await database.query(`SELECT t FROM ${table} WHERE id = 50`)).toEqual([{ t: 'x' }]);
  });

  test('rows that refer to later ones of the same table are inserted, whatever else is at fault', async () => {
    const table = await database.table('id int PRIMARY KEY, n int, t text');
    await database.query(`ALTER TABLE ${table} ADD FOREIGN KEY (n) REFERENCES ${table}`);
    const rows = range(500).map((id) => ({ id, n: id === 499 ? null : id + 1, t: 'x' }));
    const bad = [
      { id: 1_000, n: 5_000, t: 'x' },
      { id: 'x', n: 1, t: 'x' },
    ];
    rows.splice(100, 0, bad[0] as never);
    rows.splice(300, 0, bad[1] as never);
    const { ids, failures } = await load(table, rows);
    expect(failures.map(({ sqlState }) => sqlState)).toEqual(['23503', '22P02']);
    expect(ids).toEqual(idsBut(500, []));
  });

  test('a deferred key to a row that comes later in the batch is none that is broken', async () => {
    const table = await database.table('id int PRIMARY KEY, n int, t text');
    await database.query(
      `ALTER TABLE ${table} ADD FOREIGN KEY (n) REFERENCES ${table} DEFERRABLE INITIALLY DEFERRED`,
    );
    const rows = range(300).map((id) => ({ id, n: id === 299 ? 0 : id + 1, t: 'x' }));
    rows.splice(150, 0, { id: 'bad' as never, n: 1, t: 'x' });
    const { ids, failures } = await load(table, rows);
    expect(failures).toMatchObject([{ id: 'bad', sqlState: '22P02' }]);
    expect(ids).toEqual(idsBut(300, []));
  });

  test('all rows at fault: nothing is inserted, nothing hangs', async () => {
    const table = await database.table('id int, n int CHECK (n > 1), t text');
    const { ids, failures } = await load(table, rowsWith(2_000, {}));
    expect(ids).toEqual([]);
    expect(failures.length).toBe(2_000);
  });
});

describe('around the isolation', () => {
  test('beforeCommit gets the rows that were inserted, in the transaction that inserts them', async () => {
    const table = await database.table('id int, n int, t text');
    const log = await database.table('ids int');
    const seen: number[] = [];
    const { ids } = await load(table, rowsWith(100, { 50: { id: 50, n: 'x', t: 'x' } }), {
      beforeCommit: async (client, items) => {
        seen.push(items.length);
        await client.query(`INSERT INTO ${log} VALUES ($1)`, [items.length]);
      },
    });
    expect(ids.length).toBe(99);
    expect(seen).toEqual([99]);
    expect(await database.query(`SELECT ids FROM ${log}`)).toEqual([{ ids: 99 }]);
  });

  test('without onFailed the batch fails as a whole and names the row, also where the server does not', async () => {
    const parent = await database.table('id int PRIMARY KEY');
    await database.query(`INSERT INTO ${parent} VALUES (1)`);
    const table = await database.table(`id int, n int REFERENCES ${parent}, t text`);
    const pool = database.pool({ max: 2 });
    const rows = rowsWith(1_000, { 600: { id: 600, n: 5, t: 'x' }, 800: { id: 800, n: 6, t: 'x' } });
    const error = await copyInto(pool, { table })(rows as never[], flushContext()).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({ failureClass: 'row', sqlState: '23503', row: 600 });
    expect((error as CopyError).items).toEqual([rows[600]]);
    expect(await database.query(`SELECT count(*)::int AS n FROM ${table}`)).toEqual([{ n: 0 }]);
  });

  test('without onFailed a batch that only its rows together break is refused as it is', async () => {
    const table = await database.table('id int');
    await database.query(`CREATE FUNCTION alone() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF (SELECT count(*) > 1 FROM added) THEN RAISE EXCEPTION 'too many' USING ERRCODE = '23514'; END IF; RETURN NULL; END $$`);
    await database.query(
      `CREATE TRIGGER a AFTER INSERT ON ${table} REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION alone()`,
    );
    const copy = copyInto(database.pool({ max: 2 }), { table });
    await expect(copy([{ id: 1 }, { id: 2 }], flushContext())).rejects.toMatchObject({
      failureClass: 'row',
      sqlState: '23514',
    });
  });

  test('a NOT NULL column that is not loaded is the set-up, no fault of each row', async () => {
    const table = await database.table('id int, n int, t text NOT NULL');
    const pool = database.pool({ max: 2 });
    const copy = copyInto(pool, { table });
    await expect(copy([{ id: 1, n: 1 }], { ...flushContext(), takesFailures: true })).rejects.toMatchObject({
      failureClass: 'setup',
      column: 't',
    });
  });

  test('a first row that is none does not decide the columns', async () => {
    const table = await database.table('id int, n int, t text');
    const { ids, failures } = await load(table, [Buffer.from('x'), {}, { id: 1, n: 1, t: 'x' }] as object[]);
    expect(ids).toEqual([1, null]);
    expect(failures.map(({ sqlState }) => sqlState)).toEqual(['22P02']);
  });

  test('no warning of node-postgres, and no listener more than before', async () => {
    const table = await database.table('id int, n int, t text');
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => warnings.push(warning);
    process.on('warning', onWarning);
    const bad = Object.fromEntries(
      range(300).map((place) => [place * 10, { id: 1, n: `x${place}`, t: 'x' }]),
    );
    const pool = database.pool({ max: 1 });
    const copy = copyInto(pool, { table });
    const context = { ...flushContext(), takesFailures: true };
    for (let round = 0; round < 5; round += 1) {
      expect(await copy(rowsWith(3_000, bad) as never[], context)).toMatchObject({
        success: 2_700,
        failed: 300,
      });
    }
    const client = await pool.connect();
    expect(client.listenerCount('error')).toBeLessThanOrEqual(1);
    client.release();
    await new Promise((resolve) => setImmediate(resolve));
    process.off('warning', onWarning);
    // A pool of another test that has no connection is reported after 5 s.
    expect(
      warnings.filter((warning) => (warning as { code?: unknown }).code !== 'SPILLWAY_NO_CONNECTION'),
    ).toEqual([]);
  });
});
