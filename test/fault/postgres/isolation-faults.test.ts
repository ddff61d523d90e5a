/** Trouble in the middle of the search for bad rows, where slices of the batch are under way one behind another. */

import type pg from 'pg';
import { describe, expect, test } from 'vitest';
import { BackpressureWritable, type FailedItem, type WritableOptions } from '../../../src/index.js';
import { copyInto, type CopyError, type CopyOptions } from '../../../src/postgres/index.js';
import { startProxy } from '../../support/postgres-proxy.js';
import { flushContext, useTestDatabase } from '../../support/postgres.js';
import { range } from '../../support/range.js';

interface Row {
  id: number;
  n: number;
  t: string;
}

const database = useTestDatabase();

const ROWS = 3_000;
/** So many that they are looked for by slices side by side. */
const EVERY = 50;

function badRows(): number[] {
  return range(ROWS).filter((id) => id % EVERY === EVERY - 1);
}

/** One good row is marked for a trigger, far behind the first bad ones. */
function rowsWithMark(): Row[] {
  return range(ROWS).map((id) => ({
    id,
    n: id % EVERY === EVERY - 1 ? -1 : 1,
    t: id === 2_020 ? 'mark' : 'x',
  }));
}

/** A trigger that does something when the marked row comes for the first time, whatever is rolled back after. */
async function tableWithTrigger(action: string): Promise<string> {
  const table = await database.table('id int, n int CHECK (n > 0), t text');
  await database.query(`CREATE SEQUENCE ${table}_seen`);
  await database.query(
    `CREATE FUNCTION ${table}_act() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.t = 'mark' AND nextval('${table}_seen') = 1 THEN ${action}; END IF; RETURN NEW; END $$`,
  );
  await database.query(
    `CREATE TRIGGER act BEFORE INSERT ON ${table} FOR EACH ROW EXECUTE FUNCTION ${table}_act()`,
  );
  return table;
}

async function load(
  pool: pg.Pool,
  table: string,
  options: Partial<CopyOptions<Row>> = {},
  sinkOptions: Partial<WritableOptions<Row>> = {},
): Promise<FailedItem<Row>[]> {
  pool.on('error', () => undefined);
  const failures: FailedItem<Row>[] = [];
  const sink = new BackpressureWritable<Row>(copyInto<Row>(pool, { table, ...options }), {
    batchSize: ROWS,
    concurrency: 1,
    onFailed: (failed) => failures.push(...failed),
    ...sinkOptions,
  });
  await new Promise<void>((resolve, reject) => {
    sink.on('error', reject);
    for (const row of rowsWithMark()) sink.write(row);
    sink.end(resolve);
  });
  return failures;
}

async function expectOnlyBadRowsOut(table: string, failures: readonly FailedItem<Row>[]): Promise<void> {
  expect(failures.map(({ item }) => item.id)).toEqual(badRows());
  for (const { error } of failures) expect((error.cause as CopyError).sqlState).toBe('23514');
  const inserted = await database.query(
    `SELECT count(*)::int AS n, count(DISTINCT id)::int AS ids FROM ${table}`,
  );
  expect(inserted).toEqual([{ n: ROWS - badRows().length, ids: ROWS - badRows().length }]);
}

describe('while slices are under way', () => {
  test('the backend is terminated: no row pays for it', async () => {
    const table = await tableWithTrigger('PERFORM pg_terminate_backend(pg_backend_pid())');
    const failures = await load(database.pool({ max: 1 }), table);
    await expectOnlyBadRowsOut(table, failures);
  });

  test('a statement is cancelled before the search has its savepoint: no row pays for it', async () => {
    const table = await database.table('id int PRIMARY KEY, n int CHECK (n > 0), t text');
    await database.query(`CREATE SEQUENCE ${table}_seen`);
    // The temporary table is made for the batch as a whole first, and then for the search.
    await database.query(
      `CREATE FUNCTION ${table}_wait() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN IF nextval('${table}_seen') = 2 THEN PERFORM pg_sleep(30); END IF; END $$`,
    );
    await database.query(
      `CREATE EVENT TRIGGER wait ON ddl_command_start WHEN TAG IN ('CREATE TABLE', 'CREATE TABLE AS') EXECUTE FUNCTION ${table}_wait()`,
    );
    try {
      const loading = load(database.pool({ max: 1 }), table, {
        format: 'text',
        onConflict: 'ignore',
        key: ['id'],
      });
      await untilAsleep();
      await database.query(
        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'",
      );
      await expectOnlyBadRowsOut(table, await loading);
    } finally {
      await database.query('DROP EVENT TRIGGER wait');
    }
  });

  test('a statement is cancelled: no row pays for it', async () => {
    const table = await tableWithTrigger('PERFORM pg_sleep(30)');
    const failures = await load(database.pool({ max: 1, statement_timeout: 1_000 }), table);
    await expectOnlyBadRowsOut(table, failures);
  });

  test('node-postgres gives up waiting: no row pays for it, and the connection is not used again', async () => {
    const table = await tableWithTrigger('PERFORM pg_sleep(1)');
    const pool = database.pool({ max: 1, query_timeout: 700 });
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => warnings.push(warning);
    process.on('warning', onWarning);
    const since = performance.now();
    const failures = await load(pool, table);
    // Once, and not once for each slice.
    expect(performance.now() - since).toBeLessThan(4_000);
    await expectOnlyBadRowsOut(table, failures);
    process.off('warning', onWarning);
    expect(warnings).toEqual([]);
    expect((await pool.query('SELECT 41 + 1 AS answer')).rows).toEqual([{ answer: 42 }]);
    expect((await pool.query('SELECT now() = statement_timestamp() AS fresh')).rows).toEqual([
      { fresh: true },
    ]);
  });

  test('the batch is aborted: nothing of it is inserted, within the grace, and the pool goes on', async () => {
    const table = await tableWithTrigger('PERFORM pg_sleep(30)');
    const pool = database.pool({ max: 1 });
    pool.on('error', () => undefined);
    const controller = new AbortController();
    const context = { ...flushContext(controller.signal), takesFailures: true };
    const flush = copyInto<Row>(pool, { table })(rowsWithMark(), context).then(
      () => undefined,
      (error: unknown) => error,
    );
    await untilAsleep();
    const since = performance.now();
    controller.abort(new Error('enough'));
    expect(await flush).toMatchObject({ failureClass: 'aborted', retryable: true });
    expect(performance.now() - since).toBeLessThan(1_000);
    expect((await pool.query('SELECT 42 AS answer')).rows).toEqual([{ answer: 42 }]);
    await database.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()`,
    );
    expect(await database.query(`SELECT count(*)::int AS n FROM ${table}`)).toEqual([{ n: 0 }]);
  });

  test('the peer falls silent: a timeout ends it, and another attempt inserts what is good', async () => {
    const table = await tableWithTrigger('PERFORM pg_sleep(1)');
    const proxy = await startProxy(database.url);
    const pool = database.pool({ connectionString: database.urlVia(proxy.host, proxy.port), max: 1 });
    const stalled = untilAsleep().then(() => {
      proxy.stall();
      setTimeout(() => proxy.cut(), 1_500);
      setTimeout(() => proxy.resume(), 1_600);
    });
    const failures = await load(pool, table, {}, { flushTimeoutMs: 1_000, abortGraceMs: 1_000 });
    await stalled;
    await expectOnlyBadRowsOut(table, failures);
    await proxy.close();
  });
});

async function untilAsleep(): Promise<void> {
  for (const deadline = Date.now() + 10_000; Date.now() < deadline;) {
    const sleeping = await database.query(
      `SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()`,
    );
    if (sleeping.length > 0) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error('the trigger was not reached');
}
