/** Batches that take longer than the time limits of the session. */

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type pg from 'pg';
import { describe, expect, test } from 'vitest';
import { BackpressureWritable, type FailedItem } from '../../../src/index.js';
import { CopyError, copyInto, type CopyOptions } from '../../../src/postgres/index.js';
import { useCli } from '../../support/cli.js';
import { flushContext, useTestDatabase } from '../../support/postgres.js';

const database = useTestDatabase();
const cli = useCli();

interface Row {
  a: number;
}

const rows = (count: number): Row[] => Array.from({ length: count }, (_, a) => ({ a }));
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Each row takes `ms`, in a trigger. */
async function slowTable(ms: string, timing = 'BEFORE INSERT'): Promise<string> {
  const table = await database.table('a int');
  const isDeferred = timing === 'deferred';
  await database.query(
    `CREATE FUNCTION ${table}_f() RETURNS trigger LANGUAGE plpgsql AS
       $$BEGIN PERFORM pg_sleep((${ms}) / 1000.0); RETURN NEW; END$$;
     CREATE ${isDeferred ? 'CONSTRAINT' : ''} TRIGGER slow ${isDeferred ? 'AFTER INSERT' : timing} ON ${table}
       ${isDeferred ? 'DEFERRABLE INITIALLY DEFERRED' : ''} FOR EACH ROW EXECUTE FUNCTION ${table}_f()`,
  );
  return table;
}

const poolWith = (options: string): pg.Pool => database.pool({ max: 2, options });

async function load(pool: pg.Pool, count: number, options: CopyOptions<Row>): Promise<FailedItem<Row>[]> {
  const failures: FailedItem<Row>[] = [];
  const sink = new BackpressureWritable<Row>(copyInto<Row>(pool, options), {
    batchSize: 40,
    onFailed: (failed) => failures.push(...failed),
  });
  for (const row of rows(count)) sink.write(row);
  await new Promise<void>((resolve, reject) => {
    sink.on('error', reject);
    sink.end(resolve);
  });
  return failures;
}

async function storedIn(table: string): Promise<number[]> {
  return (await database.query<Row>(`SELECT a FROM ${table} ORDER BY a`)).map(({ a }) => a);
}

async function failureOf(flush: Promise<unknown>): Promise<CopyError> {
  const error = await flush.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(CopyError);
  return error as CopyError;
}

describe('statement_timeout', () => {
  test.each([
    ['text', {}, 'BEFORE INSERT'],
    ['an upsert', { onConflict: 'ignore' }, 'BEFORE INSERT'],
    ['an import', { importId: 'slow', positionOf: ({ a }: Row) => a }, 'AFTER INSERT'],
    ['constraints that COMMIT checks', {}, 'deferred'],
  ] as const)('a batch that takes longer is sent in smaller statements: %s', async (_, options, timing) => {
    const table = await slowTable('10', timing);
    expect(await load(poolWith('-c statement_timeout=200'), 100, { table, ...options })).toEqual([]);
    expect(await storedIn(table)).toEqual(rows(100).map(({ a }) => a));
  });

  test('the size that works is remembered', async () => {
    const table = await slowTable('10');
    const copy = copyInto<Row>(poolWith('-c statement_timeout=200'), { table });
    const times: number[] = [];
    for (let batch = 0; batch < 3; batch += 1) {
      const startedAt = performance.now();
      await copy(rows(40), flushContext());
      times.push(performance.now() - startedAt);
    }
    // Without a statement that fails: 40 rows of 10 ms, and what else there is to do.
    expect(Math.min(...times.slice(1))).toBeLessThan(times[0]! - 190);
  });

  test.each([
    ['BEFORE INSERT', 5_000, {}, 3_000],
    ['AFTER INSERT', 5_000, {}, 5_000],
    ['BEFORE INSERT', 400, { onConflict: 'ignore' }, 3_000],
    ['BEFORE INSERT', 1, {}, 2_500],
  ] as const)(
    'a row that takes longer by itself is named, and the setting: trigger %s, %i rows, %j',
    async (timing, count, options, limitMs) => {
      const slow = Math.floor(count * 0.7);
      const table = await slowTable(`CASE WHEN NEW.a = ${slow} THEN 20000 ELSE 0 END`, timing);
      const startedAt = performance.now();
      const pool = poolWith('-c statement_timeout=400');
      const copy = copyInto<Row>(pool, { table, ...options } as CopyOptions<Row>);
      const failure = await failureOf(Promise.resolve(copy(rows(count), flushContext())));
      const elapsedMs = performance.now() - startedAt;
      expect(failure).toMatchObject({
        failureClass: 'setup',
        sqlState: '57014',
        retryable: false,
        row: slow,
        items: [{ a: slow }],
      });
      expect(failure.message).toContain(`row ${slow} of the batch`);
      expect(failure.message).toContain('statement_timeout of 400 ms; one row by itself');
      expect(elapsedMs).toBeLessThan(limitMs);
      expect(await storedIn(table)).toEqual([]);
    },
  );

  test('the rows that are at fault are found beside slow ones', async () => {
    const table = await slowTable('20');
    await database.query(`ALTER TABLE ${table} ADD CHECK (a NOT IN (3, 47, 48))`);
    const failures = await load(poolWith('-c statement_timeout=300'), 60, { table });
    expect(failures.map(({ item }) => item)).toEqual([{ a: 3 }, { a: 47 }, { a: 48 }]);
    expect(await storedIn(table)).toHaveLength(57);
  });

  test('a batch that takes too long as a whole says what its statements could hold, and what helps', async () => {
    const table = await slowTable('10');
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(new Error('the flush timed out')), 1_500);
    const copy = copyInto<Row>(poolWith('-c statement_timeout=200'), { table });
    const failure = await failureOf(Promise.resolve(copy(rows(1_000), flushContext(abort.signal))));
    clearTimeout(timer);
    expect(failure).toMatchObject({ failureClass: 'aborted', retryable: true });
    expect(failure.message).toMatch(/statement_timeout of 200 ms .* about \d+ rows; .*batchSize/);
    expect(await storedIn(table)).toEqual([]);
  });

  test('a wait for a lock is no reason for smaller statements for ever, and is tried again', async () => {
    const table = await database.table('a int');
    const other = await database.pool({ max: 1 }).connect();
    await other.query(`BEGIN; LOCK TABLE ${table}`);
    const copy = copyInto<Row>(poolWith('-c statement_timeout=150'), { table });
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const failure = await failureOf(Promise.resolve(copy(rows(1), flushContext())));
      expect(failure).toMatchObject({ failureClass: 'transport', sqlState: '55P03', retryable: true });
    }
    await other.query('COMMIT');
    other.release();
    await copy(rows(1), flushContext());
    expect(await storedIn(table)).toEqual([0]);
  });

  test('a cancel by somebody before that time is retried as it is', async () => {
    const table = await slowTable('20');
    const pool = poolWith('-c statement_timeout=20000');
    let backend = 0;
    pool.on('connect', (client) => (backend = (client as unknown as { processID: number }).processID));
    const copy = copyInto<Row>(pool, { table });
    await copy(rows(1), flushContext());
    const flush = failureOf(Promise.resolve(copy(rows(40), flushContext())));
    await pause(200);
    await database.query('SELECT pg_cancel_backend($1)', [backend]);
    expect(await flush).toMatchObject({ failureClass: 'transport', sqlState: '57014', retryable: true });
  });

  test.each([[[]], [['--atomic']], [['--rejects', 'rejects.ndjson']]])('spillway load %j', async (flags) => {
    const table = await slowTable('10');
    const role = `${table}_role_${process.pid}`;
    await database.query(
      `CREATE ROLE ${role} LOGIN PASSWORD 'x'; GRANT INSERT, SELECT ON ${table} TO ${role}`,
    );
    await database.query(`ALTER ROLE ${role} SET statement_timeout = 200`);
    const url = new URL(database.url);
    url.username = role;
    url.password = 'x';
    const file = path.join(cli.directory, `${table}.csv`);
    await writeFile(
      file,
      `a\n${rows(60)
        .map(({ a }) => a)
        .join('\n')}\n`,
    );
    const { code, stderr } = await cli.run(['load', '-t', table, '--to', url.href, ...flags, file]);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(await storedIn(table)).toHaveLength(60);
    await database.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  });
});
