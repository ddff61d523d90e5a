/** Tables with row-level security: the server takes no COPY FROM there, and each row has to pass the policies. */

import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type pg from 'pg';
import { afterAll, describe, expect, test } from 'vitest';
import { BackpressureWritable, type FailedItem } from '../../../src/index.js';
import { CopyError, copyInto, type CopyOptions } from '../../../src/postgres/index.js';
import { useCli } from '../../support/cli.js';
import { flushContext, useTestDatabase } from '../../support/postgres.js';

const database = useTestDatabase();
const roles: string[] = [];

afterAll(async () => {
  for (const role of roles) await database.query(`DROP OWNED BY ${role} CASCADE; DROP ROLE ${role}`);
});

async function createRole(attributes = ''): Promise<string> {
  const role = `spillway_rls_${randomBytes(4).toString('hex')}`;
  roles.push(role);
  await database.query(`CREATE ROLE ${role} LOGIN PASSWORD 'rls' ${attributes}`);
  await database.query(`GRANT CREATE, USAGE ON SCHEMA public TO ${role}`);
  return role;
}

function poolOf(role: string, config: pg.PoolConfig = {}): pg.Pool {
  const url = new URL(database.url);
  url.username = role;
  url.password = 'rls';
  return database.pool({ connectionString: url.href, max: 2, ...config });
}

/** Rows with an even `a` pass. */
async function securedTable(role: string, columns = 'a int, b text'): Promise<string> {
  const table = await database.table(columns);
  await database.query(`ALTER TABLE ${table} ENABLE ROW LEVEL SECURITY`);
  await database.query(`CREATE POLICY even ON ${table} FOR INSERT TO ${role} WITH CHECK (a % 2 = 0)`);
  await database.query(`GRANT INSERT ON ${table} TO ${role}`);
  return table;
}

async function load(
  pool: pg.Pool,
  rows: readonly object[],
  options: CopyOptions<object, pg.PoolClient>,
  batchSize = 1_000,
): Promise<FailedItem<object>[]> {
  const failures: FailedItem<object>[] = [];
  const sink = new BackpressureWritable<object>(copyInto<object, pg.PoolClient>(pool, options), {
    batchSize,
    onFailed: (failed) => failures.push(...failed),
  });
  for (const row of rows) sink.write(row);
  await new Promise<void>((resolve, reject) => {
    sink.on('error', reject);
    sink.end(resolve);
  });
  return failures;
}

function reasonOf({ error }: FailedItem<object>): CopyError {
  return error.cause as CopyError;
}

async function failureOf(flush: Promise<unknown>): Promise<CopyError> {
  const error = await flush.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(CopyError);
  return error as CopyError;
}

const numbers = (count: number) => Array.from({ length: count }, (_, a) => ({ a, b: `row ${a}` }));
const valuesOf = async (table: string) =>
  (await database.query<{ a: number }>(`SELECT a FROM ${table} ORDER BY a`)).map(({ a }) => a);

describe('a table whose policies apply to the role', () => {
  test.each(['text', 'binary', 'auto'] as const)(
    'takes the rows that pass, format %s, without the right SELECT',
    async (format) => {
      const role = await createRole();
      const table = await securedTable(role);
      await load(
        poolOf(role),
        numbers(50).filter(({ a }) => a % 2 === 0),
        { table, format },
      );
      expect(await valuesOf(table)).toHaveLength(25);
    },
  );

  test('fails only the rows that break a policy, for onFailed', async () => {
    const role = await createRole();
    const table = await securedTable(role);
    const failures = await load(poolOf(role), numbers(30), { table });
    expect(failures.map(({ item }) => (item as { a: number }).a).toSorted((x, y) => x - y)).toEqual(
      numbers(30)
        .filter(({ a }) => a % 2 === 1)
        .map(({ a }) => a),
    );
    expect(reasonOf(failures[0]!)).toMatchObject({ failureClass: 'row', sqlState: '42501' });
    expect(await valuesOf(table)).toEqual(
      numbers(30)
        .filter(({ a }) => a % 2 === 0)
        .map(({ a }) => a),
    );
  });

  test('names the row that breaks a policy where nobody takes bad rows', async () => {
    const role = await createRole();
    const table = await securedTable(role);
    const failure = await failureOf(
      copyInto(poolOf(role), { table })([{ a: 0 }, { a: 2 }, { a: 3 }, { a: 4 }], flushContext()),
    );
    expect(failure).toMatchObject({ failureClass: 'row', sqlState: '42501', row: 2, retryable: false });
    expect(await valuesOf(table)).toEqual([]);
  });

  test('runs beforeCommit and marks an import in the same transaction', async () => {
    const role = await createRole();
    const table = await securedTable(role);
    const audit = await database.table('n int');
    await database.query(`GRANT INSERT ON ${audit} TO ${role}`);
    const rows = numbers(20);
    const options: CopyOptions<object, pg.PoolClient> = {
      table,
      importId: 'rls',
      positionOf: (row) => (row as { a: number }).a,
      beforeCommit: (client, items) => client.query(`INSERT INTO ${audit} VALUES ($1)`, [items.length]),
    };
    await load(poolOf(role), rows, options, 7);
    await load(poolOf(role), rows, options, 7);
    expect(await valuesOf(table)).toHaveLength(10);
    expect(await database.query(`SELECT sum(n)::int AS n FROM ${audit}`)).toEqual([{ n: 10 }]);
  });

  test('takes values of any type as COPY does', async () => {
    const role = await createRole();
    const other = `s_${randomBytes(3).toString('hex')}`;
    await database.query(`CREATE SCHEMA ${other}; GRANT USAGE ON SCHEMA ${other} TO ${role}`);
    await database.query(
      `CREATE DOMAIN ${other}."Short Text" AS varchar(3); CREATE TYPE ${other}.mood AS ENUM ('ok')`,
    );
    const table = await securedTable(
      role,
      `a int, n numeric(5,2), c char(4), v varchar(3), t timestamp(0), i int[], d ${other}."Short Text", m ${other}.mood, ms ${other}.mood[],
       k int GENERATED ALWAYS AS IDENTITY, g int GENERATED ALWAYS AS (a + 1) STORED, x text COLLATE "C" NOT NULL DEFAULT 'x'`,
    );
    const row = {
      a: 2, n: '1.239', c: 'ab', v: 'abc', t: '2024-05-17 12:00:00.6', i: [1, 2], d: 'abc', m: 'ok', ms: ['ok'], k: 77, x: 'y',
    }; // prettier-ignore
    const failures = await load(
      poolOf(role),
      [row, { ...row, v: 'abcd' }, { ...row, d: 'abcd' }, { ...row, x: null }],
      { table },
    );
    expect(failures.map((failure) => reasonOf(failure).column)).toEqual(['v', 'd', 'x']);
    const [stored] = await database.query(
      `SELECT n::text, c, v, t::text, i, d, m::text, ms::text, k, g, x FROM ${table}`,
    );
    expect(stored).toEqual({
      n: '1.24', c: 'ab  ', v: 'abc', t: '2024-05-17 12:00:01', i: [1, 2], d: 'abc', m: 'ok', ms: '{ok}', k: 77, g: 3, x: 'y',
    }); // prettier-ignore
  });

  test('is found out when its policies were switched on after the first batch', async () => {
    const role = await createRole();
    const table = await database.table('a int, b text');
    await database.query(`GRANT INSERT ON ${table} TO ${role}`);
    const copy = copyInto(poolOf(role), { table });
    await copy([{ a: 1 }], flushContext());
    await database.query(`ALTER TABLE ${table} ENABLE ROW LEVEL SECURITY`);
    await database.query(`CREATE POLICY even ON ${table} FOR INSERT TO ${role} WITH CHECK (a % 2 = 0)`);
    await copy([{ a: 4 }], flushContext());
    expect(await valuesOf(table)).toEqual([1, 4]);
  });

  test.each(['ignore', 'update'] as const)('takes an upsert, onConflict %s', async (onConflict) => {
    const role = await createRole();
    const table = await securedTable(role, 'a int PRIMARY KEY, b text');
    await database.query(`GRANT SELECT, UPDATE ON ${table} TO ${role}`);
    await database.query(`CREATE POLICY seen ON ${table} FOR SELECT TO ${role} USING (b <> 'hidden')`);
    await database.query(`CREATE POLICY changed ON ${table} FOR UPDATE TO ${role} USING (b <> 'hidden')`);
    await database.query(`INSERT INTO ${table} VALUES (2, 'hidden'), (4, 'old')`);
    const rows = [2, 3, 4, 6].map((a) => ({ a, b: 'new' }));
    const failures = await load(poolOf(role), rows, { table, onConflict, key: ['a'] });
    // A row that may not be seen cannot be updated: the server says so with the same state.
    expect(failures.map(({ item }) => (item as { a: number }).a)).toEqual(
      onConflict === 'update' ? [2, 3] : [3],
    );
    expect(await database.query(`SELECT b FROM ${table} WHERE a = 4`)).toEqual([
      { b: onConflict === 'update' ? 'new' : 'old' },
    ]);
  });
});

describe('whether policies apply', () => {
  test('a partitioned table has those of its own, and not those of its partitions', async () => {
    const role = await createRole();
    const parent = await database.table('a int, b text');
    const table = `${parent}_p`;
    await database.query(`CREATE TABLE ${table} (a int, b text) PARTITION BY RANGE (a)`);
    await database.query(`CREATE TABLE ${table}_1 PARTITION OF ${table} FOR VALUES FROM (0) TO (100)`);
    await database.query(`ALTER TABLE ${table}_1 ENABLE ROW LEVEL SECURITY`);
    await database.query(`GRANT INSERT ON ${table} TO ${role}`);
    expect(await load(poolOf(role), numbers(4), { table })).toEqual([]);
    await database.query(`ALTER TABLE ${table} ENABLE ROW LEVEL SECURITY`);
    await database.query(`CREATE POLICY even ON ${table} FOR INSERT TO ${role} WITH CHECK (a % 2 = 0)`);
    const failures = await load(poolOf(role), [...numbers(4), { a: 200, b: '' }], { table });
    expect(failures.map((failure) => reasonOf(failure).sqlState).toSorted()).toEqual([
      '23514',
      '42501',
      '42501',
    ]);
    expect(await valuesOf(table)).toEqual([0, 0, 1, 2, 2, 3]);
  });

  test('the owner is bound by FORCE ROW LEVEL SECURITY only, and BYPASSRLS never', async () => {
    const owner = await createRole();
    const free = await createRole('BYPASSRLS');
    const table = await securedTable(owner);
    await database.query(`GRANT INSERT ON ${table} TO ${free}; ALTER TABLE ${table} OWNER TO ${owner}`);
    expect(await load(poolOf(owner), numbers(4), { table })).toEqual([]);
    await database.query(`ALTER TABLE ${table} FORCE ROW LEVEL SECURITY`);
    expect(await load(poolOf(owner), numbers(4), { table })).toHaveLength(2);
    expect(await load(poolOf(free), numbers(4), { table })).toEqual([]);
  });

  test('row_security = off is an error of the set-up, in the words of the server', async () => {
    const role = await createRole();
    const table = await securedTable(role);
    const pool = poolOf(role, { options: '-c row_security=off' });
    const failure = await failureOf(copyInto(pool, { table })(numbers(4), flushContext()));
    expect(failure).toMatchObject({ failureClass: 'setup', sqlState: '42501' });
    expect(failure.message).toContain('row-level security policy');
  });

  test('a view hands its rows to a trigger, which meets the policies', async () => {
    const role = await createRole();
    const table = await securedTable(role);
    const view = `${table}_v`;
    await database.query(`CREATE VIEW ${view} AS SELECT * FROM ${table}; GRANT INSERT ON ${view} TO ${role}`);
    await database.query(
      `CREATE FUNCTION ${view}_f() RETURNS trigger LANGUAGE plpgsql AS
         $$BEGIN INSERT INTO ${table} VALUES (NEW.a, NEW.b); RETURN NEW; END$$;
       CREATE TRIGGER passed INSTEAD OF INSERT ON ${view} FOR EACH ROW EXECUTE FUNCTION ${view}_f()`,
    );
    expect(await load(poolOf(role), numbers(6), { table: view })).toHaveLength(3);
    expect(await valuesOf(table)).toEqual([0, 2, 4]);
  });
});

describe('the same SQLSTATE', () => {
  test.each([
    ['no right to insert', 'REVOKE INSERT ON %t FROM %r'],
    ['no right to a column', 'REVOKE INSERT ON %t FROM %r; GRANT INSERT (a) ON %t TO %r'],
    ['no right of a trigger', `CREATE FUNCTION %t_f() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN DELETE FROM %t; RETURN NEW; END$$;
       CREATE TRIGGER deletes BEFORE INSERT ON %t FOR EACH ROW EXECUTE FUNCTION %t_f()`], // prettier-ignore
  ])('stays an error of the set-up: %s', async (_, change) => {
    const role = await createRole();
    for (const isSecured of [true, false]) {
      const table = await securedTable(role);
      if (!isSecured) await database.query(`ALTER TABLE ${table} DISABLE ROW LEVEL SECURITY`);
      await database.query(change.replaceAll('%t', table).replaceAll('%r', role));
      const failure = await failureOf(
        copyInto(poolOf(role), { table })(numbers(2), { ...flushContext(), takesFailures: true }),
      );
      expect(failure).toMatchObject({ failureClass: 'setup', sqlState: '42501' });
    }
  });

  test('raised by a trigger is the fault of its row', async () => {
    const role = await createRole();
    const table = await database.table('a int, b text');
    await database.query(`GRANT INSERT ON ${table} TO ${role}`);
    await database.query(
      `CREATE FUNCTION ${table}_f() RETURNS trigger LANGUAGE plpgsql AS
         $$BEGIN IF NEW.a = 2 THEN RAISE insufficient_privilege; END IF; RETURN NEW; END$$;
       CREATE TRIGGER judged BEFORE INSERT ON ${table} FOR EACH ROW EXECUTE FUNCTION ${table}_f()`,
    );
    const failures = await load(poolOf(role), numbers(4), { table });
    expect(failures.map(({ item }) => (item as { a: number }).a)).toEqual([2]);
    expect(reasonOf(failures[0]!)).toMatchObject({ failureClass: 'row', sqlState: '42501' });
  });
});

describe('spillway load', () => {
  const cli = useCli();

  test.each(['csv', 'ndjson'])(
    '--rejects takes only the rows that break a policy, from %s',
    async (format) => {
      const role = await createRole();
      const table = await securedTable(role);
      const url = new URL(database.url);
      url.username = role;
      url.password = 'rls';
      const file = path.join(cli.directory, `rows.${format}`);
      const lines = numbers(20).map(({ a, b }) =>
        format === 'csv' ? `${a},${b}` : JSON.stringify({ a, b }),
      );
      await writeFile(file, `${format === 'csv' ? 'a,b\n' : ''}${lines.join('\n')}\n`);
      const rejects = path.join(cli.directory, `rejects-${format}.ndjson`);
      const { code, stdout } = await cli.run([
        'load',
        '-t',
        table,
        '--to',
        url.href,
        '--rejects',
        rejects,
        '--json',
        file,
      ]);
      expect({ code, ...(JSON.parse(stdout) as object) }).toMatchObject({ code: 3, rows: 10, rejects: 10 });
      expect(await valuesOf(table)).toHaveLength(10);
    },
  );
});
