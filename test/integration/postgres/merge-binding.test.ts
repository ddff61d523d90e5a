/** Upserts by an index with expressions: what other roles plant while its text is being read again never runs. */

import type pg from 'pg';
import { describe, expect, test } from 'vitest';
import { BackpressureWritable } from '../../../src/index.js';
import { copyInto, type CopyOptions } from '../../../src/postgres/index.js';
import { useTestDatabase } from '../../support/postgres.js';

const database = useTestDatabase();

/** Runs `plant` between the server's answer to the question for the index, asked in the batch's transaction, and the next statement. */
function plantAfterDescribing(pool: pg.Pool, plant: () => Promise<unknown>): void {
  let questions = 0;
  let isDue = false;
  pool.on('connect', (client) => {
    const query = client.query.bind(client) as (...args: unknown[]) => unknown;
    const delayed = (...args: unknown[]): unknown => {
      const text = (args[0] as { text?: string }).text ?? String(args[0]);
      if (isDue) {
        isDue = false;
        return plant().then(() => query(...args));
      }
      if (text.includes('pg_get_indexdef')) questions += 1;
      isDue = questions === 2;
      if (isDue) questions += 1;
      return query(...args);
    };
    Object.assign(client, { query: delayed });
  });
}

async function load(pool: pg.Pool, rows: readonly object[], options: CopyOptions<object>): Promise<string[]> {
  const errors: string[] = [];
  const sink = new BackpressureWritable<object>(copyInto<object>(pool, options), {
    onFailed: (failed) => errors.push(...failed.map(({ error }) => error.message)),
  });
  for (const row of rows) sink.write(row);
  await new Promise<void>((resolve, reject) => sink.on('error', reject).end(resolve));
  return errors;
}

/** Counts calls in a sequence, which no rollback takes back. */
async function calls(name: string): Promise<number> {
  const [found] = await database.query<{ last: string | null }>(
    `SELECT pg_sequence_last_value('${name}')::text AS last`,
  );
  return Number(found!.last ?? 0);
}

const body = (counter: string, result: string) =>
  `LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('public.${counter}'); RETURN ${result}; END $$`;

describe('a look-alike that is committed after the index was described', () => {
  test.each(['update', 'ignore'] as const)(
    'is not called by %s with a partial index on an enum',
    async (onConflict) => {
      const schema = `enum_${onConflict}`;
      await database.query(`CREATE SCHEMA ${schema}; CREATE SEQUENCE ${schema}_calls; CREATE TYPE ${schema}.state AS ENUM ('on', 'off');
        CREATE TABLE ${schema}.t (k text, state ${schema}.state, v int);
        CREATE UNIQUE INDEX ON ${schema}.t (k, (state = 'on')) WHERE state = 'on'; CREATE UNIQUE INDEX ON ${schema}.t (v)`);
      const pool = database.pool({ max: 1, options: `-c search_path=${schema},public` });
      let isPlanted = false;
      plantAfterDescribing(pool, async () => {
        await database.query(`
          CREATE FUNCTION ${schema}.same(${schema}.state, ${schema}.state) RETURNS bool IMMUTABLE ${body(`${schema}_calls`, 'true')};
          CREATE OPERATOR ${schema}.= (FUNCTION = ${schema}.same, LEFTARG = ${schema}.state, RIGHTARG = ${schema}.state)`);
        isPlanted = true;
      });
      const rows = [
        { k: 'a', state: 'on', v: 1 },
        { k: 'a', state: 'off', v: 2 },
        { k: 'a', state: 'on', v: 3 },
      ];
      const errors = await load(pool, rows, { schema, table: 't', onConflict, key: ['k', 'state'] });
      expect(isPlanted).toBe(true);
      expect(await calls(`${schema}_calls`)).toBe(0);
      expect(errors).toEqual([]);
      expect(await database.query(`SELECT v FROM ${schema}.t ORDER BY v`)).toEqual(
        onConflict === 'update' ? [{ v: 2 }, { v: 3 }] : [{ v: 1 }, { v: 2 }],
      );
    },
  );
});

test('an overload beside the function of an index is refused by name, and not called', async () => {
  await database.query(`CREATE SCHEMA overload; CREATE SEQUENCE overload_calls; CREATE TABLE overload.t (tags text[], v int);
    CREATE FUNCTION overload.first_of(anyarray) RETURNS anyelement IMMUTABLE LANGUAGE sql AS 'SELECT $1[1]';
    CREATE UNIQUE INDEX ON overload.t (overload.first_of(tags)); CREATE UNIQUE INDEX ON overload.t (v);
    CREATE FUNCTION overload.first_of(text[]) RETURNS text IMMUTABLE ${body('overload_calls', "'x'")}`);
  const rows = [
    { tags: ['a', 'b'], v: 1 },
    { tags: ['a', 'c'], v: 2 },
  ];
  const options = { schema: 'overload', table: 't', onConflict: 'update', key: ['tags'] } as const;
  const errors = await load(database.pool({ max: 1 }), rows, options);
  expect(await calls('overload_calls')).toBe(0);
  expect(errors).toEqual(
    Array<unknown>(2).fill(expect.stringContaining('function overload.first_of(text[])')),
  );

  await database.query('DROP FUNCTION overload.first_of(text[])');
  expect(await load(database.pool({ max: 1 }), rows, options)).toEqual([]);
  expect(await database.query('SELECT v FROM overload.t')).toEqual([{ v: 2 }]);
});

describe('an upsert by an index with an expression', () => {
  test('keeps the search path for what the index calls', async () => {
    await database.query(`CREATE SCHEMA apart; CREATE TABLE apart.t (k text, v int);
      CREATE FUNCTION apart.fold(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT lower($1)';
      CREATE FUNCTION apart.key_of(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN fold($1); END';
      CREATE UNIQUE INDEX ON apart.t (apart.key_of(k)) WHERE v > 0; CREATE UNIQUE INDEX ON apart.t (v)`);
    const rows = [
      { k: 'a', v: 1 },
      { k: 'A', v: 2 },
      { k: 'b', v: 3 },
    ];
    const pool = database.pool({ max: 1, options: '-c search_path=apart' });
    expect(await load(pool, rows, { table: 't', onConflict: 'update', key: ['k'] })).toEqual([]);
    expect(await database.query('SELECT k, v FROM apart.t ORDER BY v')).toEqual([
      { k: 'a', v: 2 },
      { k: 'b', v: 3 },
    ]);
  });

  test('goes row by row where a trigger makes keys equal, and leaves out bad rows and defaults', async () => {
    const table = await database.table('k text, v int DEFAULT 7 CHECK (v < 100)');
    await database.query(`CREATE UNIQUE INDEX ON ${table} (lower(k));
      CREATE FUNCTION trim_k() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.k := trim(NEW.k); RETURN NEW; END';
      CREATE TRIGGER trim_k BEFORE INSERT ON ${table} FOR EACH ROW EXECUTE FUNCTION trim_k()`);
    const rows = [{ k: 'a', v: 1 }, { k: ' A' }, { k: 'b', v: 100 }, { k: 'c', v: 1 }, { k: 'C ', v: 3 }];
    const options = { table, columns: ['k', 'v'], onConflict: 'update', key: ['k'] } as const;
    const errors = await load(database.pool({ max: 1 }), rows, options);
    expect(errors).toEqual([expect.stringContaining('check constraint')]);
    expect(await database.query(`SELECT k, v FROM ${table} ORDER BY k`)).toEqual([
      { k: 'a', v: 7 },
      { k: 'c', v: 3 },
    ]);
  });

  test('leaves no function behind in the session', async () => {
    const table = await database.table('k text, v int');
    await database.query(`CREATE UNIQUE INDEX ON ${table} (lower(k))`);
    const pool = database.pool({ max: 1 });
    await load(pool, [{ k: 'a', v: 1 }], { table, onConflict: 'update', key: ['k'] });
    const { rows } = await pool.query(
      'SELECT proname FROM pg_proc WHERE pronamespace = pg_my_temp_schema() UNION ALL SELECT relname FROM pg_class WHERE relnamespace = pg_my_temp_schema()',
    );
    expect(rows).toEqual([]);
  });

  test.each([
    ['k', "(k) WHERE state IN ('on', 'off')"],
    ['k', "(k) WHERE state = ANY ('{on,off}'::shapes.state[])"],
    ['k', "(k) WHERE states && ARRAY['on'::shapes.state]"],
    ['k', "(k) WHERE short IN ('a', 'ab') AND short LIKE 'a%'"],
    ['mail', "(lower(mail)) WHERE mail <> 'x'"],
    ['k', "(k) WHERE mail IS DISTINCT FROM 'x'::shapes.mail"],
    ['k,short,v', "(coalesce(k, 'x'), (NULLIF(v, 0)), (CASE short WHEN 'b' THEN 1 ELSE v END))"],
    ['k', '(k) WHERE pair < ROW (2, 2)::shapes.pair'],
    ['pair', '(((pair).a), ((pair).b)) WHERE (pair).a > 0'],
    ['k', "(k) WHERE span && '[1,9]'::shapes.span"],
    ['at', "(date_trunc('day', at AT TIME ZONE 'UTC'), (EXTRACT(hour FROM at AT TIME ZONE 'UTC')))"],
    ['k,num,v', `((k COLLATE "C"), (num + v), (- v)) WHERE k ~ '^a'`],
    ['v', '(shapes.twice(v), (v OPERATOR(shapes.|+|) v)) WHERE v::bool'],
    ['doc', "((doc ->> 'id'), ((doc -> 'n')::int)) WHERE doc ? 'id'"],
    ['k', '(k) WHERE v BETWEEN 0 AND 9 AND (k, short) <> (short, k)'],
  ])('is not refused with key %s and %s', async (key, definition) => {
    await database.query(`DROP SCHEMA IF EXISTS shapes CASCADE; CREATE SCHEMA shapes; CREATE TYPE shapes.state AS ENUM ('on', 'off');
      CREATE DOMAIN shapes.mail AS text CHECK (VALUE <> ''); CREATE TYPE shapes.pair AS (a int, b int);
      CREATE TYPE shapes.span AS RANGE (SUBTYPE = int4);
      CREATE FUNCTION shapes.twice(numeric) RETURNS numeric IMMUTABLE LANGUAGE sql AS 'SELECT $1 * 2';
      CREATE FUNCTION shapes.add(int, int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + $2';
      CREATE OPERATOR shapes.|+| (FUNCTION = shapes.add, LEFTARG = int, RIGHTARG = int);
      CREATE TABLE shapes.t (k text, v int, state shapes.state, states shapes.state[], short varchar(5), mail shapes.mail,
        pair shapes.pair, span shapes.span, at timestamptz, num numeric, doc jsonb, place int);
      CREATE UNIQUE INDEX ON shapes.t ${definition}; CREATE UNIQUE INDEX ON shapes.t (place)`);
    const row = {
      k: 'a',
      v: 1,
      state: 'on',
      states: '{on}',
      short: 'ab',
      mail: 'm',
      pair: '(1,1)',
      span: '[1,2]',
    };
    const rows = [1, 2, 3].map((place) => ({
      ...row,
      at: new Date(0),
      num: 5,
      doc: { id: 'x', n: 1 },
      place,
    }));
    const options = { schema: 'shapes', table: 't', onConflict: 'update', key: key.split(',') } as const;
    expect(await load(database.pool({ max: 1 }), rows, options)).toEqual([]);
    expect(await database.query('SELECT place FROM shapes.t')).toEqual([{ place: 3 }]);
  });
});
