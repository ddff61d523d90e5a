/** Whatever the table: the same rows are inserted, and the others get the same words, as if rows were inserted one by one. */

import pg from 'pg';
import { expect, test } from 'vitest';
import type { CopyError } from '../../../src/postgres/index.js';
import { loadRows } from '../../support/load-rows.js';
import { useTestDatabase } from '../../support/postgres.js';

const database = useTestDatabase();

type Row = Record<string, unknown>;
type Fault = [place: number, sqlState: string | undefined, constraint: string | undefined];

let tables = 0;

interface Outcome {
  inserted: Row[];
  faults: Fault[];
}

async function oneByOne(table: string, rows: readonly Row[]): Promise<Outcome> {
  const client = new pg.Client(database.url);
  await client.connect();
  const faults: Fault[] = [];
  try {
    await client.query('BEGIN');
    for (const [place, row] of rows.entries()) {
      const names = Object.keys(row);
      const marks = names.map((_, index) => `$${index + 1}`).join(', ');
      await client.query('SAVEPOINT s');
      try {
        await client.query(
          `INSERT INTO ${table} (${names.join(', ')}) VALUES (${marks})`,
          Object.values(row),
        );
        await client.query('RELEASE SAVEPOINT s');
      } catch (error) {
        const { code, constraint } = error as pg.DatabaseError;
        faults.push([place, code, constraint]);
        await client.query('ROLLBACK TO SAVEPOINT s');
      }
    }
    return { inserted: (await client.query<Row>(`SELECT * FROM ${table} ORDER BY 1, 2`)).rows, faults };
  } finally {
    await client.query('ROLLBACK');
    await client.end();
  }
}

async function together(table: string, rows: readonly Row[], batchSize: number): Promise<Outcome> {
  const { failures } = await loadRows<Row>(database.pool({ max: 2 }), { table }, rows, batchSize);
  const placeOf = new Map(rows.map((row, place) => [row, place]));
  return {
    inserted: await database.query(`SELECT * FROM ${table} ORDER BY 1, 2`),
    faults: failures
      .map(({ item, error }): Fault => {
        const { sqlState, constraint } = error.cause as CopyError;
        return [placeOf.get(item)!, sqlState, constraint];
      })
      .toSorted(([a], [b]) => a - b),
  };
}

/** @param every of so many rows one is at fault in each way */
function rowsOf(count: number, every: number): Row[] {
  return Array.from({ length: count }, (_, id): Row => {
    const isBad = id % every === every - 1;
    const way = Math.floor(id / every) % 5;
    return {
      id,
      k: isBad && way === 0 ? id - every : isBad && way === 1 ? id - 2 : id,
      n: isBad && way === 2 ? 'abc' : isBad && way === 1 ? '-1' : String(id),
      t:
        isBad && way === 3
          ? 'bad'
          : isBad && way === 4
            ? 'longer than twenty characters'
            : `a\\.\n${id}\t|,"`,
    };
  });
}

const COLUMNS = "id int, k int, n int CHECK (n >= 0), t varchar(20) CHECK (t <> 'bad')";
const trigger = (table: string, text: string, when: string) => [
  `CREATE FUNCTION ${table}_f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${text} RETURN NEW; END $$`,
  `CREATE TRIGGER f ${when} INSERT ON ${table} FOR EACH ROW EXECUTE FUNCTION ${table}_f()`,
];

const TABLES: Record<string, (table: string) => string[]> = {
  'a unique key': (t) => [`CREATE TABLE ${t} (${COLUMNS}, UNIQUE (k))`],
  'no key': (t) => [`CREATE TABLE ${t} (${COLUMNS})`],
  partitions: (t) => [
    `CREATE TABLE ${t} (${COLUMNS}, UNIQUE (k)) PARTITION BY RANGE (k)`,
    `CREATE TABLE ${t}_a PARTITION OF ${t} FOR VALUES FROM (-1000000) TO (300)`,
    `CREATE TABLE ${t}_b PARTITION OF ${t} FOR VALUES FROM (310) TO (1000000)`,
  ],
  'a generated column that divides by zero': (t) => [
    `CREATE TABLE ${t} (${COLUMNS}, g int GENERATED ALWAYS AS (100 / (id - 77)) STORED, UNIQUE (k))`,
  ],
  'an excluding constraint': (t) => [
    `CREATE TABLE ${t} (${COLUMNS}, r int4range GENERATED ALWAYS AS (int4range(k * 2, k * 2 + 1)) STORED, EXCLUDE USING gist (r WITH &&))`,
  ],
  'a trigger before that changes rows': (t) => [
    `CREATE TABLE ${t} (${COLUMNS}, UNIQUE (k))`,
    ...trigger(
      t,
      `NEW.k := NEW.k / 2 * 2; IF NEW.id % 3 = 0 THEN NEW.k := NEW.id + 1000000; END IF;`,
      'BEFORE',
    ),
  ],
  'a trigger before that leaves rows out': (t) => [
    `CREATE TABLE ${t} (${COLUMNS}, UNIQUE (k))`,
    ...trigger(t, `IF NEW.id % 7 = 0 THEN RETURN NULL; END IF;`, 'BEFORE'),
  ],
  'a trigger before that names a column, and asks for earlier rows': (t) => [
    `CREATE TABLE ${t} (${COLUMNS})`,
    ...trigger(
      t,
      `IF NEW.id > 300 AND NOT EXISTS (SELECT FROM ${t} WHERE id = NEW.id / 2 * 2 - 300) THEN RAISE EXCEPTION 'no' USING ERRCODE = '22023', COLUMN = 'k'; END IF;`,
      'BEFORE',
    ),
  ],
  'a trigger after that raises with a value’s code, and writes elsewhere': (t) => [
    `CREATE TABLE ${t} (${COLUMNS})`,
    `CREATE TABLE ${t}_log (id int)`,
    ...trigger(
      t,
      `INSERT INTO ${t}_log VALUES (NEW.id); IF NEW.id % 40 = 3 THEN PERFORM 'x'::int; END IF;`,
      'AFTER',
    ),
  ],
  'a trigger that raises what a line with too many columns does': (t) => [
    `CREATE TABLE ${t} (${COLUMNS})`,
    ...trigger(t, `IF NEW.id % 40 = 3 THEN RAISE EXCEPTION 'no' USING ERRCODE = '22P04'; END IF;`, 'BEFORE'),
  ],
  'a trigger that takes so many of a kind': (t) => [
    // No constraint beside it: of a row with two faults either one may be told.
    `CREATE TABLE ${t} (id int, k int, n int, t varchar(20))`,
    ...trigger(
      t,
      `IF (SELECT count(*) FROM ${t} WHERE id % 50 = NEW.id % 50) > 7 THEN RAISE EXCEPTION 'many'; END IF;`,
      'BEFORE',
    ),
  ],
};

test.each(
  Object.keys(TABLES).flatMap(
    (name) =>
      [
        [name, 1_200, 40, 20_000],
        [name, 600, 3, 250],
        [name, 300, 1, 20_000],
      ] as const,
  ),
)('%s: %i rows, of %i one at fault, in batches of %i', async (name, count, every, batchSize) => {
  const table = `r${(tables += 1)}`;
  for (const statement of TABLES[name]!(table)) await database.query(statement);
  const rows = rowsOf(count, every);
  const expected = await oneByOne(table, rows);
  const found = await together(table, rows, batchSize);
  expect(found.faults).toEqual(expected.faults);
  expect(found.inserted).toEqual(expected.inserted);
  const log = await database.query(`SELECT to_regclass('${table}_log') AS log`);
  if (log[0]!['log'] !== null)
    expect(await database.query(`SELECT id FROM ${table}_log ORDER BY id`)).toEqual(
      expected.inserted.map(({ id }) => ({ id })).toSorted((a, b) => Number(a.id) - Number(b.id)),
    );
});

test('pieces that are only read put no row into the table, of a single column either', async () => {
  const table = await database.table("t text CHECK (t <> 'bad')");
  await database.query(`CREATE SEQUENCE ${table}_rows`);
  for (const statement of trigger(table, `PERFORM nextval('${table}_rows');`, 'AFTER'))
    await database.query(statement);
  const rows = Array.from({ length: 2_000 }, (_, row) => ({ t: row % 20 === 7 ? 'bad' : `x${row}` }));
  const { failures } = await loadRows<Row>(database.pool({ max: 1 }), { table }, rows, 1_000);
  expect(failures).toHaveLength(100);
  // Sequences do not go back: each row that came into the table counts, those that were taken back, too.
  expect(await database.query(`SELECT last_value::int AS rows FROM ${table}_rows`)).toEqual([
    { rows: 1_900 },
  ]);
});
