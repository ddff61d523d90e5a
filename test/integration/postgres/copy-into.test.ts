import { randomBytes } from 'node:crypto';
import { getEventListeners } from 'node:events';
import { inspect } from 'node:util';
import pg from 'pg';
import { describe, expect, test } from 'vitest';
import { copyInto, CopyError } from '../../../src/postgres/index.js';
import { flushContext, useTestDatabase } from '../../support/postgres.js';

const database = useTestDatabase();

/** The error of a flush that must fail. */
async function failureOf(flush: Promise<unknown>): Promise<CopyError> {
  const error = await flush.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(CopyError);
  return error as CopyError;
}

async function countOf(table: string): Promise<number> {
  const [row] = await database.query<{ n: number }>(`SELECT count(*)::int AS n FROM ${table}`);
  return row!.n;
}

describe('which columns', () => {
  test('the first row names them; those it does not name keep their defaults', async () => {
    const table = await database.table('id serial, name text, at timestamptz DEFAULT now()');
    const copy = copyInto(database.pool(), { table });
    await copy([{ name: 'one' }, { name: 'two' }, {}, { name: undefined }], flushContext());
    const rows = await database.query(`SELECT id, name, at IS NOT NULL AS dated FROM ${table} ORDER BY id`);
    expect(rows).toEqual([
      { id: 1, name: 'one', dated: true },
      { id: 2, name: 'two', dated: true },
      { id: 3, name: null, dated: true },
      { id: 4, name: null, dated: true },
    ]);
  });

  test('a key of a later row that the table has no column for is the fault of that row', async () => {
    const table = await database.table('id serial, a int, b int');
    const copy = copyInto<object>(database.pool(), { table });
    await copy([{ a: 1 }], flushContext());
    await copy([{ a: undefined }], flushContext());
    const error = await failureOf(copy([{ a: 2 }, { a: 3 }, { a: 4, c: 5 }], flushContext()));
    expect(error).toMatchObject({ failureClass: 'row', retryable: false, row: 2, column: 'c', table });
    expect(error.message).toContain('row 2 of the batch');
    expect(error.message).toContain('"c"');
    expect(error.items).toEqual([{ a: 4, c: 5 }]);
    // One absent and one too many make the right number, too.
    expect(await failureOf(copy([{ c: 5 }], flushContext()))).toMatchObject({ row: 0, column: 'c' });
    expect(await countOf(table)).toBe(2);
  });

  test('an upsert keeps the keys of its first row: another key is the fault of the later row', async () => {
    const table = await database.table('a int PRIMARY KEY, b int');
    const copy = copyInto(database.pool(), { table, onConflict: 'update', key: ['a'] });
    const error = await failureOf(copy([{ a: 2 }, { a: 4, b: 5 }], flushContext()));
    expect(error).toMatchObject({ failureClass: 'row', row: 1, column: 'b' });
    expect(error.message).toContain("give the option 'columns'");
  });

  test('the option names them: objects may hold more, arrays give their values in its order', async () => {
    const table = await database.table('a int, b text, c int');
    const copy = copyInto<object>(database.pool(), { table, columns: ['c', 'a'] });
    await copy([{ a: 1, b: 'left out', c: 3, z: 9 }, [30, 10], { a: 5 }], flushContext());
    expect(await database.query(`SELECT * FROM ${table} ORDER BY a`)).toEqual([
      { a: 1, b: null, c: 3 },
      { a: 5, b: null, c: null },
      { a: 10, b: null, c: 30 },
    ]);
  });

  test('arrays without the option fill all columns in order, but for generated ones', async () => {
    const table = await database.table('a int, b int GENERATED ALWAYS AS (a * 2) STORED, gone int, c text');
    await database.query(`ALTER TABLE ${table} DROP COLUMN gone`);
    const copy = copyInto<unknown[]>(database.pool(), { table });
    await copy([[1, 'x']], flushContext());
    expect(await database.query(`SELECT * FROM ${table}`)).toEqual([{ a: 1, b: 2, c: 'x' }]);
    for (const ragged of [[1], [1, 'x', 2]]) {
      const error = await failureOf(copy([[1, 'x'], ragged], flushContext()));
      expect(error).toMatchObject({ failureClass: 'row', row: 1 });
      expect(error.message).toContain(`${ragged.length} values for 2 columns`);
    }
  });

  test('an array after a first row that was an object is refused', async () => {
    const table = await database.table('a int');
    const copy = copyInto<object>(database.pool(), { table });
    await copy([{ a: 1 }], flushContext());
    expect((await failureOf(copy([[1]], flushContext()))).message).toContain("option 'columns'");
  });

  test('a generated column that is named fails with its name', async () => {
    const table = await database.table('a int, b int GENERATED ALWAYS AS (a * 2) STORED');
    const error = await failureOf(copyInto(database.pool(), { table })([{ a: 1, b: 2 }], flushContext()));
    expect(error).toMatchObject({ failureClass: 'setup', column: 'b', sqlState: '42P10' });
    expect(error.message).toContain('generated');
  });

  test('an identity column takes the values that are given, and counts where none are', async () => {
    const table = await database.table('id int GENERATED ALWAYS AS IDENTITY, a int');
    await copyInto(database.pool(), { table })([{ id: 7, a: 1 }], flushContext());
    await copyInto(database.pool(), { table })([{ a: 2 }], flushContext());
    expect(await database.query(`SELECT * FROM ${table} ORDER BY a`)).toEqual([
      { id: 7, a: 1 },
      { id: 1, a: 2 },
    ]);
  });

  test.each([
    ['a number', 12],
    ['null', null],
    ['an object without keys', {}],
    ['a Map', new Map([['a', 1]])],
  ])("%s as the first row names nothing, and is that row's fault", async (_name, row) => {
    const table = await database.table('a int');
    const copy = copyInto<object>(database.pool(), { table });
    const error = await failureOf(copy([row as object], flushContext()));
    expect(error).toMatchObject({ failureClass: 'row', row: 0 });
    // The next first row decides.
    await copy([{ a: 1 }], flushContext());
    expect(await countOf(table)).toBe(1);
  });

  test.each([
    ['a string', 'a'],
    ['a Map', new Map([['a', 1]])],
    ['a Date', new Date()],
    ['a Buffer', Buffer.from('1,x')],
    ['an empty Uint8Array', new Uint8Array(0)],
    ['a Promise', Promise.resolve({ a: 1 })],
    ['an Error', new Error('x')],
    ['a URLSearchParams', new URLSearchParams('a=1')],
    ['a String object', new String('abc')],
  ] as [string, object | string][])('%s among rows is refused, with its place', async (_name, row) => {
    const table = await database.table('a int');
    for (const columns of [undefined, ['a']]) {
      const copy = copyInto<object>(database.pool(), { table, columns });
      const error = await failureOf(copy([{ a: 1 }, row as object], flushContext()));
      expect(error).toMatchObject({ failureClass: 'row', row: 1 });
    }
    expect(await countOf(table)).toBe(0);
  });

  test('rows may be instances of classes, with null prototypes, or with getters', async () => {
    const table = await database.table('a int');
    class Row {
      readonly #value = 2;
      get a() {
        return this.#value;
      }
    }
    const bare = Object.assign(Object.create(null) as object, { a: 1 });
    await copyInto<object>(database.pool(), { table, columns: ['a'] })([bare, new Row()], flushContext());
    expect(await database.query(`SELECT a FROM ${table} ORDER BY a`)).toEqual([{ a: 1 }, { a: 2 }]);
  });
});

test('columns that are called like something every object has', async () => {
  const table = await database.table('"constructor" text, "__proto__" jsonb, "toString" text, a int');
  const copy = copyInto<object>(database.pool(), {
    table,
    columns: ['constructor', '__proto__', 'toString', 'a'],
  });
  const own = JSON.parse('{"constructor":"McLaren","__proto__":{"x":1},"toString":"t","a":1}') as object;
  await copy([own, { a: 2 }], flushContext());
  const rows = await database.query<{ v: unknown }>(
    `SELECT to_jsonb(${table})::text AS v FROM ${table} ORDER BY a`,
  );
  expect(rows.map(({ v }) => v)).toEqual([
    '{"a": 1, "toString": "t", "__proto__": {"x": 1}, "constructor": "McLaren"}',
    '{"a": 2, "toString": null, "__proto__": null, "constructor": null}',
  ]);
});

describe('which table', () => {
  test('an unknown table is named', async () => {
    const error = await failureOf(
      copyInto(database.pool(), { table: 'no_such' })([{ a: 1 }], flushContext()),
    );
    expect(error).toMatchObject({
      failureClass: 'setup',
      retryable: false,
      sqlState: '42P01',
      table: 'no_such',
    });
    expect(error.message).toContain('"no_such"');
  });

  test('schema and table in one string get a hint', async () => {
    const error = await failureOf(
      copyInto(database.pool(), { table: 'public.t' })([{ a: 1 }], flushContext()),
    );
    expect(error.message).toContain('schema: "public", table: "t"');
  });

  test('an unknown column is named, and one that differs in case is offered', async () => {
    const table = await database.table('"userId" int');
    const error = await failureOf(copyInto(database.pool(), { table })([{ userid: 1 }], flushContext()));
    expect(error).toMatchObject({ failureClass: 'setup', sqlState: '42703', column: 'userid', table });
    expect(error.message).toContain('it has "userId"');
  });

  test('names are never SQL', async () => {
    const hostile = 'we"ird; drop table x--';
    await database.query(`CREATE SCHEMA "${hostile.replaceAll('"', '""')}"`);
    const quoted = `"${hostile.replaceAll('"', '""')}"`;
    await database.query(`CREATE TABLE ${quoted}.${quoted} (${quoted} int, "a b\n\\" text)`);
    const copy = copyInto(database.pool(), { schema: hostile, table: hostile });
    await copy([{ [hostile]: 1, 'a b\n\\': 'x' }], flushContext());
    expect(await database.query(`SELECT * FROM ${quoted}.${quoted}`)).toEqual([
      { [hostile]: 1, 'a b\n\\': 'x' },
    ]);
    const error = await failureOf(
      copy([{ [hostile]: 1 }, { [hostile]: '1); drop table x' }], flushContext()),
    );
    expect(error).toMatchObject({ failureClass: 'row', row: 1, column: hostile, table: hostile });
  });

  test('a table name that is longer than the server keeps is refused with the name that there is', async () => {
    const long = 'n'.repeat(63);
    await database.query(`CREATE TABLE ${long} (a int)`);
    const error = await failureOf(
      copyInto(database.pool(), { table: `${long}n` })([{ a: 1 }], flushContext()),
    );
    expect(error).toMatchObject({ failureClass: 'setup', sqlState: '42P01' });
    expect(error.message).toContain(`did you mean "${long}"?`);
  });

  test('without a schema the search path decides; with one it does not', async () => {
    await database.query(
      'CREATE SCHEMA apart; CREATE TABLE apart.here (a int); CREATE TABLE public.here (a int)',
    );
    const pool = database.pool({ options: '-c search_path=apart,public' });
    await copyInto(pool, { table: 'here' })([{ a: 1 }], flushContext());
    await copyInto(pool, { schema: 'public', table: 'here' })([{ a: 2 }], flushContext());
    expect(await database.query('SELECT a FROM apart.here')).toEqual([{ a: 1 }]);
    expect(await database.query('SELECT a FROM public.here')).toEqual([{ a: 2 }]);
  });

  test('partitions, triggers that drop rows, and updatable domains of any depth work', async () => {
    await database.query(`
      CREATE DOMAIN small AS int CHECK (VALUE < 100);
      CREATE DOMAIN smaller AS small CHECK (VALUE < 10);
      CREATE TABLE parts (a smaller, b text) PARTITION BY RANGE (a);
      CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (0) TO (5);
      CREATE FUNCTION drop_it() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF NEW.b = ''drop'' THEN RETURN NULL; END IF; RETURN NEW; END';
      CREATE TRIGGER t BEFORE INSERT ON parts_low FOR EACH ROW EXECUTE FUNCTION drop_it()`);
    const copy = copyInto(database.pool(), { table: 'parts' });
    await copy([{ a: 1, b: 'keep' }, { a: 2, b: 'drop' }], flushContext()); // prettier-ignore
    expect(await database.query('SELECT a, b FROM parts')).toEqual([{ a: 1, b: 'keep' }]);
    // No partition takes it.
    expect(await failureOf(copy([{ a: 1 }, { a: 7 }], flushContext()))).toMatchObject({
      failureClass: 'row',
      row: 1,
    });
    // The domain beneath the domain forbids it.
    expect(await failureOf(copy([{ a: 1 }, { a: 50 }], flushContext()))).toMatchObject({
      failureClass: 'row',
      row: 1,
    });
  });

  test('row-level security and views are told as what they are', async () => {
    const table = await database.table('a int');
    // Roles belong to the whole server, which other runs may share.
    const role = `limited_${randomBytes(4).toString('hex')}`;
    await database.query(`CREATE VIEW v AS SELECT * FROM ${table}`);
    expect(
      await failureOf(copyInto(database.pool(), { table: 'v' })([{ a: 1 }], flushContext())),
    ).toMatchObject({
      failureClass: 'setup',
    });
    await database.query(
      `ALTER TABLE ${table} ENABLE ROW LEVEL SECURITY; CREATE ROLE ${role}; GRANT INSERT ON ${table} TO ${role}`,
    );
    const pool = database.pool({ options: `-c role=${role}` });
    expect(await failureOf(copyInto(pool, { table })([{ a: 1 }], flushContext()))).toMatchObject({
      failureClass: 'row',
      sqlState: '42501',
    });
    await database.query(`ALTER TABLE ${table} DISABLE ROW LEVEL SECURITY; DROP OWNED BY ${role}`);
    expect(await failureOf(copyInto(pool, { table })([{ a: 1 }], flushContext()))).toMatchObject({
      failureClass: 'setup',
      sqlState: '42501',
    });
    await database.query(`DROP ROLE ${role}`);
  });
});

describe('the table changes while we run', () => {
  test('a table that was moved is found again, without an error, and the columns stay those of the very first row', async () => {
    const table = await database.table('a int, b int DEFAULT 7');
    await database.query('CREATE SCHEMA elsewhere');
    const copy = copyInto(database.pool({ options: '-c search_path=public,elsewhere' }), { table });
    await copy([{ a: 1, b: 1 }], flushContext());
    await database.query(`ALTER TABLE ${table} SET SCHEMA elsewhere`);
    await copy([{ a: 2 }], flushContext());
    await copy([{ a: 3, b: null }], flushContext());
    expect(await database.query(`SELECT * FROM elsewhere.${table} ORDER BY a`)).toEqual([
      { a: 1, b: 1 },
      { a: 2, b: 7 },
      { a: 3, b: null },
    ]);
  });

  test('a column that went is named, and one that comes back is filled again', async () => {
    const table = await database.table('a int, b int');
    const copy = copyInto(database.pool(), { table });
    await copy([{ a: 1, b: 1 }], flushContext());
    await database.query(`ALTER TABLE ${table} DROP COLUMN b`);
    expect(await failureOf(copy([{ a: 2, b: 2 }], flushContext()))).toMatchObject({
      failureClass: 'setup',
      column: 'b',
    });
    await database.query(`ALTER TABLE ${table} ADD COLUMN b text`);
    await copy([{ a: 3, b: 'text now' }], flushContext());
    expect(await database.query(`SELECT b FROM ${table} WHERE a = 3`)).toEqual([{ b: 'text now' }]);
  });

  test('a table that is missing at first is found once it is there', async () => {
    const copy = copyInto(database.pool(), { table: 'later' });
    await failureOf(copy([{ a: 1 }], flushContext()));
    await database.query('CREATE TABLE later (a int)');
    await copy([{ a: 1 }], flushContext());
    expect(await countOf('later')).toBe(1);
  });

  test('batches that start at once share one look-up', async () => {
    const table = await database.table('a int');
    const pool = database.pool({ max: 6 });
    const statements: string[] = [];
    pool.on('connect', (client) => {
      const query = client.query.bind(client) as (...given: unknown[]) => unknown;
      (client as unknown as { query: unknown }).query = (...given: unknown[]) => {
        const { text } = given[0] as { text?: unknown };
        if (typeof text === 'string') statements.push(text);
        return query(...given);
      };
    });
    const copy = copyInto(pool, { table });
    await Promise.all([1, 2, 3, 4].map((a) => copy([{ a }], flushContext())));
    expect(statements.filter((text) => text.includes('pg_class'))).toHaveLength(1);
    expect(await countOf(table)).toBe(4);
  });
});

describe('one batch, one transaction', () => {
  test('a batch arrives whole or not at all', async () => {
    const table = await database.table('a int PRIMARY KEY');
    const copy = copyInto(database.pool({ max: 1 }), { table });
    await copy([{ a: 1 }], flushContext());
    const error = await failureOf(copy([{ a: 2 }, { a: 3 }, { a: 1 }, { a: 4 }], flushContext()));
    expect(error).toMatchObject({
      failureClass: 'row',
      retryable: false,
      ambiguous: false,
      sqlState: '23505',
      constraint: `${table}_pkey`,
      row: 2,
      table,
    });
    expect(error.items).toEqual([{ a: 1 }]);
    // The one client of the pool is as good as before.
    await copy([{ a: 2 }], flushContext());
    expect(await database.query(`SELECT a FROM ${table} ORDER BY a`)).toEqual([{ a: 1 }, { a: 2 }]);
  });

  test('each row stands in one transaction with its batch, and each batch in its own', async () => {
    const table = await database.table('a int');
    const copy = copyInto(database.pool(), { table });
    await copy([{ a: 1 }, { a: 1 }], flushContext());
    await copy([{ a: 2 }, { a: 2 }], flushContext());
    expect(await database.query(`SELECT count(DISTINCT xmin::text)::int AS n FROM ${table}`)).toEqual([
      { n: 2 },
    ]);
  });

  test('beforeCommit holds or falls with its batch', async () => {
    const table = await database.table('a int UNIQUE');
    const log = await database.table('rows int');
    const pool = database.pool();
    let calls = 0;
    const copy = copyInto(pool, {
      table,
      beforeCommit: async (client, items: readonly { a: number }[]) => {
        calls += 1;
        await client.query(`INSERT INTO ${log} VALUES ($1)`, [items.length]);
        if (items[0]!.a === 13) throw new Error('not this one');
        if (items[0]!.a === 14) await client.query('SELECT 1/0').catch(() => undefined);
        if (items[0]!.a === 15) await client.query('SELECT no_such_column');
      },
    });
    await copy([{ a: 1 }, { a: 2 }], flushContext());
    const refused = await failureOf(copy([{ a: 13 }], flushContext()));
    expect(refused.message).toContain('beforeCommit');
    expect(refused).toMatchObject({ retryable: false, cause: { message: 'not this one' } });
    // An error that it swallows must not pass for success: the server answers COMMIT with ROLLBACK.
    expect((await failureOf(copy([{ a: 14 }], flushContext()))).message).toContain('rolled the batch back');
    expect(await failureOf(copy([{ a: 15 }], flushContext()))).toMatchObject({
      failureClass: 'setup',
      sqlState: '42703',
    });
    // Once a batch, also for an error that, from COPY, would make us look at the table again.
    expect(calls).toBe(4);
    expect(await countOf(table)).toBe(2);
    expect(await database.query(`SELECT rows FROM ${log}`)).toEqual([{ rows: 2 }]);
    expect(pool.totalCount).toBe(1);
  });

  test('a constraint that is checked at COMMIT fails the batch, definitely', async () => {
    const parent = await database.table('id int PRIMARY KEY');
    const table = await database.table(`a int REFERENCES ${parent} DEFERRABLE INITIALLY DEFERRED`);
    const pool = database.pool({ max: 1 });
    const copy = copyInto(pool, { table });
    const error = await failureOf(copy([{ a: 1 }], flushContext()));
    expect(error).toMatchObject({ failureClass: 'row', ambiguous: false, sqlState: '23503', row: 0 });
    await database.query(`INSERT INTO ${parent} VALUES (1)`);
    await copy([{ a: 1 }], flushContext());
    expect(pool.totalCount).toBe(1);
  });

  test('an empty batch does nothing', async () => {
    await copyInto(database.pool(), { table: 'is not looked at' })([], flushContext());
  });

  test('a batch of many chunks, with rows far larger than one', async () => {
    const table = await database.table('id int, body text, raw bytea');
    const copy = copyInto(database.pool(), { table });
    const items = Array.from({ length: 200 }, (_, id) => ({
      id,
      body: id % 50 === 0 ? 'é\t\\'.repeat(300_000) : 'x'.repeat(id * 10),
      raw: id === 77 ? Buffer.alloc(5_000_000, id) : null,
    }));
    await copy(items, flushContext());
    const [sums] = await database.query(
      `SELECT count(*)::int AS n, sum(length(body))::int AS body, sum(length(raw))::int AS raw,
              bool_and(raw IS NULL OR raw = decode(repeat('4d', 5000000), 'hex')) AS same FROM ${table}`,
    );
    const body = items.reduce((sum, item) => sum + item.body.length, 0);
    expect(sums).toEqual({ n: 200, body, raw: 5_000_000, same: true });
  });
});

describe('faults of a row', () => {
  test.each<
    [name: string, columns: string, good: object, bad: object, sqlState: string, column: string | undefined]
  >([
    ['conversion', 'a int, b text', { a: '1', b: 'x' }, { a: 'x1', b: 'secret' }, '22P02', 'a'],
    ['out of range', 'a int2, b text', { a: '1', b: 'x' }, { a: '40000', b: 'secret' }, '22003', 'a'],
    ['NOT NULL', 'a int NOT NULL, b text', { a: 1, b: 'x' }, { a: null, b: 'secret' }, '23502', 'a'],
    ['CHECK', 'a int CHECK (a > 0), b text', { a: 1, b: 'x' }, { a: -1, b: 'secret' }, '23514', undefined],
    ['too long', 'a varchar(3), b text', { a: 'abc', b: 'x' }, { a: 'abcd', b: 'secret' }, '22001', 'a'],
    ['array', 'a int[], b text', { a: [1], b: 'x' }, { a: [[1], [2, 3]], b: 'secret' }, '22P02', 'a'],
    ['json', 'a jsonb, b text', { a: {}, b: 'x' }, { a: 'no json', b: 'secret' }, '22P02', 'a'],
    [
      'a date that is none',
      'a date, b text',
      { a: '2024-02-29', b: 'x' },
      { a: '2023-02-29', b: 'secret' },
      '22008',
      'a',
    ],
    // From here on noticed before sending.
    ['object into int', 'a int, b text', { a: 1, b: 'x' }, { a: { x: 1 }, b: 'secret' }, '22P02', 'a'],
    ['fraction into int', 'a int, b text', { a: 1, b: 'x' }, { a: 1.5, b: 'secret' }, '22P02', 'a'],
    ['large number into int', 'a int, b text', { a: 1, b: 'x' }, { a: 2 ** 31, b: 'secret' }, '22003', 'a'],
    [
      'inexact number into int8',
      'a int8, b text',
      { a: 1, b: 'x' },
      { a: 2 ** 53, b: 'secret' },
      '22003',
      'a',
    ],
    ['boolean into int', 'a int, b text', { a: 1, b: 'x' }, { a: true, b: 'secret' }, '22P02', 'a'],
    [
      'invalid Date',
      'a timestamptz, b text',
      { a: new Date(), b: 'x' },
      { a: new Date(NaN), b: 'secret' },
      '22007',
      'a',
    ],
    [
      'number into timestamp',
      'a timestamp, b text',
      { a: new Date(), b: 'x' },
      { a: 12, b: 'secret' },
      '22P02',
      'a',
    ],
    ['object into text', 'a text, b text', { a: 'x', b: 'x' }, { a: {}, b: 'secret' }, '22P02', 'a'],
    ['function into jsonb', 'a jsonb, b text', { a: {}, b: 'x' }, { a: () => 1, b: 'secret' }, '22P02', 'a'],
    [
      'bigint inside jsonb',
      'a jsonb, b text',
      { a: {}, b: 'x' },
      { a: { n: 1n }, b: 'secret' },
      '22P02',
      'a',
    ],
    [
      'a toJSON that throws',
      'a jsonb, b text',
      { a: {}, b: 'x' },
      {
        a: {
          toJSON: () => {
            throw new Error('mine');
          },
        },
        b: 'secret',
      },
      '22P02',
      'a',
    ],
    [
      'a getter that throws',
      'a int, b text',
      { a: 1, b: 'x' },
      Object.defineProperty({ b: 'secret' }, 'a', {
        enumerable: true,
        get: () => {
          throw new Error('mine');
        },
      }),
      '22P02',
      'a',
    ],
    ['U+0000', 'a text, b text', { a: 'x', b: 'x' }, { a: 'x\0', b: 'secret' }, '22021', 'a'],
    [
      'U+0000 in a long text',
      'a text, b text',
      { a: 'x', b: 'x' },
      { a: `${'x'.repeat(99)}\0`, b: 'secret' },
      '22021',
      'a',
    ],
    [
      'half a surrogate pair',
      'a text, b text',
      { a: 'x', b: 'x' },
      { a: 'x\ud83c', b: 'secret' },
      '22021',
      'a',
    ],
    [
      'half a surrogate pair in an array',
      'a text[], b text',
      { a: [], b: 'x' },
      { a: ['\udf89'], b: 'secret' },
      '22021',
      'a',
    ],
  ])(
    '%s: row and column are named, the rest of the row is not',
    async (_name, columns, good, bad, sqlState, column) => {
      const table = await database.table(columns);
      const pool = database.pool({ max: 1 });
      const copy = copyInto<object>(pool, { table });
      const error = await failureOf(copy([good, good, bad, good], flushContext()));
      expect(error).toMatchObject({
        code: 'ERR_BACKPRESSURE_COPY',
        failureClass: 'row',
        retryable: false,
        sqlState,
        table,
      });
      expect(error.row).toBe(2);
      expect(error.column).toBe(column);
      expect(error.message).toContain('row 2 of the batch');
      if (column !== undefined) expect(error.message).toContain('"a"');
      expect(error.items[0]).toBe(bad);
      expect(inspect(error, { depth: 5 })).not.toContain('secret');
      // Nothing arrived, and the client is as good as before.
      await copy([good], flushContext());
      expect(await countOf(table)).toBe(1);
      expect(pool.totalCount).toBe(1);
    },
  );

  test("a value that reads like the server's own words does not lead to another row", async () => {
    const table = await database.table("a int, b text CHECK (b <> 'bad')");
    const copy = copyInto(database.pool(), { table });
    const trap = `x\nCOPY ${table}, line 1, column a: "x"`;
    const items = [{ a: 1, b: '' }, { a: 2, b: '' }, { a: trap as unknown, b: '' }, { a: 4, b: '' }]; // prettier-ignore
    expect(await failureOf(copy(items, flushContext()))).toMatchObject({ row: 2, column: 'a' });
  });

  test("an exception of a trigger is its row's fault, with a code of its own as well", async () => {
    const table = await database.table('a int');
    await database.query(`
      CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN IF NEW.a = 3 THEN RAISE ''no threes'' USING ERRCODE = ''MY001''; END IF; RETURN NEW; END';
      CREATE TRIGGER guard BEFORE INSERT ON ${table} FOR EACH ROW EXECUTE FUNCTION guard()`);
    const copy = copyInto(database.pool(), { table });
    const error = await failureOf(
      copy(
        [1, 2, 3, 4].map((a) => ({ a })),
        flushContext(),
      ),
    );
    expect(error).toMatchObject({ failureClass: 'row', row: 2, sqlState: 'MY001' });
    expect(error.message).toContain('no threes');
  });

  test('the first of several bad rows, at the head of a batch that fills the connection', async () => {
    // The server answers while the client still sends: writes after its answer must neither throw nor hang.
    const table = await database.table('a int, b text');
    const pool = database.pool({ max: 1 });
    const copy = copyInto<object>(pool, { table });
    const items: object[] = Array.from({ length: 100_000 }, (_, a) => ({ a: String(a), b: 'x'.repeat(100) }));
    items[1] = { a: 'bad', b: '' };
    for (let round = 0; round < 5; round += 1) {
      expect(await failureOf(copy(items, flushContext()))).toMatchObject({ row: 1, column: 'a' });
    }
    await copy(items.slice(2), flushContext());
    expect(await countOf(table)).toBe(99_998);
    expect(pool.totalCount).toBe(1);
  });
});

describe('connections', () => {
  test('a wrong password fails the set-up, and is not told', async () => {
    const url = new URL(database.url);
    url.password = 'hunter2';
    const pool = database.pool({ connectionString: url.href });
    const error = await failureOf(copyInto(pool, { table: 't' })([{ a: 1 }], flushContext()));
    expect(error).toMatchObject({ failureClass: 'setup', retryable: false, sqlState: '28P01' });
    expect(inspect(error, { depth: 5 })).not.toContain('hunter2');
  });

  test('a server that cannot be reached may be tried again', async () => {
    const pool = database.pool({ connectionString: database.urlVia('127.0.0.1', 1) });
    const error = await failureOf(copyInto(pool, { table: 't' })([{ a: 1 }], flushContext()));
    expect(error).toMatchObject({ failureClass: 'transport', retryable: true });
    expect(error.message).toContain('ECONNREFUSED');
    expect(error.message).not.toContain('postgres:');
  });

  test('a database that is not there fails the set-up', async () => {
    const pool = database.pool({
      database: 'no_such_database',
      connectionString: undefined,
      ...partsOf(database.url),
    });
    const error = await failureOf(copyInto(pool, { table: 't' })([{ a: 1 }], flushContext()));
    expect(error).toMatchObject({ failureClass: 'setup', sqlState: '3D000' });
  });

  test('a single client in place of a pool is refused', () => {
    expect(() => copyInto(new pg.Client() as never, { table: 't' })).toThrow(/single client/);
  });

  test('over a thousand batches, listeners and clients stay as they were', async () => {
    const table = await database.table('a int CHECK (a > 0)');
    const pool = database.pool({ max: 2 });
    const copy = copyInto(pool, { table });
    await copy([{ a: 1 }], flushContext());
    const { signal } = new AbortController();
    const client = await pool.connect();
    const listenersOf = () => {
      const socket = (client as unknown as { connection: { stream: NodeJS.EventEmitter } }).connection.stream;
      const of = (emitter: NodeJS.EventEmitter) =>
        Object.fromEntries(emitter.eventNames().map((name) => [String(name), emitter.listenerCount(name)]));
      return { client: of(client), socket: of(socket), pool: of(pool) };
    };
    const before = listenersOf();
    client.release();
    for (let batch = 0; batch < 1000; batch += 1) {
      const fails = batch % 10 === 0;
      await copy([{ a: fails ? -1 : 1 }], flushContext(signal)).catch((error: unknown) => {
        if (!fails) throw error;
      });
    }
    const again = await pool.connect();
    expect(again).toBe(client);
    expect(listenersOf()).toEqual(before);
    again.release();
    expect(getEventListeners(signal, 'abort')).toEqual([]);
    expect(await countOf(table)).toBe(901);
  });
});

function partsOf(url: string): pg.PoolConfig {
  const { hostname, port, username, password } = new URL(url);
  return { host: hostname, port: Number(port), user: username, password };
}
