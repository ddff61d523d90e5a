/**
 * `onConflict` against a model: random rows, in batches of any size, leave the table, and what is reported, as one INSERT … ON CONFLICT for
 * each row does.
 */

import pg from 'pg';
import { describe, expect, test } from 'vitest';
import { loadRows } from '../../support/load-rows.js';
import { useTestDatabase, testedPackage } from '../../support/postgres.js';
import { SeededRandom } from '../../support/seeded-random.js';
import { testRuns, testSeed } from '../../support/test-runs.js';

const database = useTestDatabase();
const FIRST_SEED = testSeed(1);
const LOADS = testRuns(4);
const IS_14 = testedPackage().version === '14';

interface Case {
  /** `$t` stands for the table's name. */
  readonly create: readonly string[];
  readonly key: readonly string[];
  readonly inference?: string;
  readonly values: Readonly<Record<string, readonly unknown[]>>;
  readonly from?: number;
}

const K = ['a', 'A', 'b', 'B', 'ä', 'Ä', 'c', ''];
const V = [1, 2, 3, 4, 5];
const CI = `CREATE COLLATION IF NOT EXISTS ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`;

const CASES: Readonly<Record<string, Case>> = {
  'a primary key': {
    create: ['CREATE TABLE $t (k int PRIMARY KEY, v int)'],
    key: ['k'],
    values: { k: V, v: V },
  },
  'two columns, NULLs distinct': {
    create: ['CREATE TABLE $t (a int, b text, v int, UNIQUE (a, b))'],
    key: ['a', 'b'],
    values: { a: [1, 2, null], b: ['x', 'y', null], v: V },
  },
  'NULLS NOT DISTINCT': {
    create: ['CREATE TABLE $t (a int, b text, v int, UNIQUE NULLS NOT DISTINCT (a, b))'],
    key: ['a', 'b'],
    values: { a: [1, 2, null], b: ['x', null], v: V },
    from: 15,
  },
  'a column whose collation ignores case': {
    create: [CI, 'CREATE TABLE $t (k text COLLATE ci PRIMARY KEY, v int)'],
    key: ['k'],
    values: { k: K, v: V },
  },
  'an index whose collation ignores case': {
    create: [CI, 'CREATE TABLE $t (k text, v int)', 'CREATE UNIQUE INDEX ON $t (k COLLATE ci)'],
    key: ['k'],
    values: { k: [...K, null], v: V },
  },
  'two indexes over one column': {
    create: [CI, 'CREATE TABLE $t (k text UNIQUE, v int)', 'CREATE UNIQUE INDEX ON $t (k COLLATE ci)'],
    key: ['k'],
    values: { k: [...K, null], v: V },
  },
  citext: {
    create: ['CREATE EXTENSION IF NOT EXISTS citext', 'CREATE TABLE $t (k citext PRIMARY KEY, v int)'],
    key: ['k'],
    values: { k: K, v: V },
  },
  'numeric, whose scale is none of the key': {
    create: ['CREATE TABLE $t (k numeric PRIMARY KEY, v int)'],
    key: ['k'],
    values: { k: ['1', '1.0', '1.00', '2', '2.0', 'NaN'], v: V },
  },
  'double precision': {
    create: ['CREATE TABLE $t (k float8 UNIQUE, v int)'],
    key: ['k'],
    values: { k: [0, -0, NaN, 1.5, Infinity, null], v: V },
  },
  'intervals and padded texts': {
    create: ['CREATE TABLE $t (i interval, c char(3), v int, PRIMARY KEY (i, c))'],
    key: ['i', 'c'],
    values: { i: ['1 day', '24 hours', '1 mon'], c: ['a', 'a  ', 'b'], v: V },
  },
  'timestamps in several spellings': {
    create: ['CREATE TABLE $t (k timestamptz PRIMARY KEY, v int)'],
    key: ['k'],
    values: {
      k: ['2024-01-01 00:00Z', '2024-01-01 01:00+01', '2024-01-01T00:00:00.000+00', '2025-01-01Z'],
      v: V,
    },
  },
  jsonb: {
    create: ['CREATE TABLE $t (k jsonb PRIMARY KEY, v int)'],
    key: ['k'],
    values: { k: ['{"a":1}', '{"a":1.0}', '{ "a" : 1 }', '[]'], v: V },
  },
  'an expression': {
    create: ['CREATE TABLE $t (k text, v int)', 'CREATE UNIQUE INDEX ON $t (lower(k))'],
    key: ['k'],
    inference: '(lower(k))',
    values: { k: [...K, null], v: V },
  },
  'an expression beside a column': {
    create: ['CREATE TABLE $t (a int, k text, v int)', 'CREATE UNIQUE INDEX ON $t (a, (k || a::text))'],
    key: ['k', 'a'],
    inference: '(a, (k || a::text))',
    values: { a: [1, 11, null], k: ['1', '', 'x', null], v: V },
  },
  'a partial index': {
    create: ['CREATE TABLE $t (k text, v int)', 'CREATE UNIQUE INDEX ON $t (k) WHERE v > 2'],
    key: ['k'],
    inference: '(k) WHERE v > 2',
    values: { k: ['a', 'b', null], v: [...V, null] },
  },
  'another unique index': {
    create: ['CREATE TABLE $t (k int PRIMARY KEY, u int UNIQUE)'],
    key: ['k'],
    values: { k: V, u: [1, 2, 3, 4, 5, 6, null] },
  },
  'an exclusion constraint': {
    create: ['CREATE TABLE $t (k int PRIMARY KEY, r int4range, EXCLUDE USING gist (r WITH &&))'],
    key: ['k'],
    values: { k: V, r: ['[1,3)', '[2,4)', '[3,5)', '[7,8)', 'empty', null] },
  },
  'NOT NULL and CHECK, also of rows that give way': {
    create: ['CREATE TABLE $t (k int PRIMARY KEY, v int NOT NULL CHECK (v <> 3), w int, CHECK (v <> w))'],
    key: ['k'],
    values: { k: V, v: [...V, null], w: [...V, null] },
  },
  'a foreign key': {
    create: [
      'CREATE TABLE IF NOT EXISTS parent (id int PRIMARY KEY)',
      'INSERT INTO parent VALUES (1), (2), (3) ON CONFLICT DO NOTHING',
      'CREATE TABLE $t (k int PRIMARY KEY, v int REFERENCES parent)',
    ],
    key: ['k'],
    values: { k: V, v: [1, 2, 3, 4, null] },
  },
  'a trigger that changes the key': {
    create: [
      'CREATE TABLE $t (k text PRIMARY KEY, v int)',
      `CREATE OR REPLACE FUNCTION lower_key() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.k := lower(NEW.k); RETURN NEW; END $$`,
      'CREATE TRIGGER l BEFORE INSERT ON $t FOR EACH ROW EXECUTE FUNCTION lower_key()',
    ],
    key: ['k'],
    values: { k: K, v: V },
  },
  'a trigger that adds up': {
    create: [
      'CREATE TABLE $t (k text PRIMARY KEY, v int)',
      `CREATE OR REPLACE FUNCTION add_up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.v := NEW.v + OLD.v; RETURN NEW; END $$`,
      'CREATE TRIGGER l BEFORE UPDATE ON $t FOR EACH ROW EXECUTE FUNCTION add_up()',
    ],
    key: ['k'],
    values: { k: K, v: V },
  },
  partitions: {
    create: [
      'CREATE TABLE $t (k int PRIMARY KEY, v int) PARTITION BY LIST (k)',
      'CREATE TABLE $t_odd PARTITION OF $t FOR VALUES IN (1, 3)',
      'CREATE TABLE $t_even PARTITION OF $t (CHECK (v < 5)) FOR VALUES IN (2, 4)',
    ],
    key: ['k'],
    values: { k: V, v: V },
  },
};

async function oneByOne(
  client: pg.Client,
  table: string,
  { key, inference, values }: Case,
  action: string,
  rows: readonly Record<string, unknown>[],
) {
  const names = Object.keys(values);
  const sets = names.filter((name) => !key.includes(name)).map((name) => `${name} = EXCLUDED.${name}`);
  const statement =
    `INSERT INTO ${table} (${names.join()}) VALUES (${names.map((_, index) => `$${index + 1}`).join()}) ` +
    `ON CONFLICT ${inference ?? `(${key.join()})`} DO ${action === 'ignore' ? 'NOTHING' : `UPDATE SET ${sets.join()}`}`;
  const refused: [row: object, sqlState: unknown][] = [];
  for (const row of rows) {
    try {
      await client.query(
        statement,
        names.map((name) => row[name]),
      );
    } catch (error) {
      refused.push([row, (error as { code?: unknown }).code]);
    }
  }
  return refused;
}

describe.each(['update', 'ignore'] as const)('onConflict %s', (onConflict) => {
  test.each(Object.entries(CASES).filter(([, { from = 14 }]) => !IS_14 || from <= 14))(
    'with %s: as one row at a time, in batches of any size',
    async (_name, wanted) => {
      const client = new pg.Client({ connectionString: database.url });
      await client.connect();
      const pool = database.pool({ max: 2 });
      const names = Object.keys(wanted.values);
      try {
        for (let seed = FIRST_SEED; seed < FIRST_SEED + LOADS; seed += 1) {
          const random = new SeededRandom(seed);
          const rows = Array.from({ length: random.int(5, 25) }, () =>
            Object.fromEntries(
              names.map((name) => [
                name,
                wanted.values[name]![random.int(0, wanted.values[name]!.length - 1)],
              ]),
            ),
          );
          const batchSize = random.chance(0.5) ? 1_000 : random.int(1, 9);
          const tables = [await database.table('x int'), await database.table('x int')];
          for (const table of tables) {
            await client.query(`DROP TABLE ${table}`);
            for (const statement of wanted.create) await client.query(statement.replaceAll('$t', table));
          }
          const refused = await oneByOne(client, tables[0]!, wanted, onConflict, rows);
          const { failures } = await loadRows(
            pool,
            { table: tables[1]!, onConflict, key: wanted.key },
            rows,
            batchSize,
          );
          const reported = failures.map(({ item, error }) => [
            item,
            (error.cause as { sqlState?: unknown }).sqlState,
          ]);
          const content = async (table: string) => {
            const { rows: found } = await client.query(
              `SELECT ${names.map((name) => `${name}::text`).join()} FROM ${table} ORDER BY ${names.map((name) => `${name}::text COLLATE "C"`).join()}`,
            );
            return found as unknown[];
          };
          expect({ seed, batchSize, rows, content: await content(tables[1]!), reported }).toEqual({
            seed,
            batchSize,
            rows,
            content: await content(tables[0]!),
            reported: refused,
          });
          for (const table of tables) await client.query(`DROP TABLE ${table}`);
        }
      } finally {
        await client.end();
      }
    },
    3_600_000,
  );
});
