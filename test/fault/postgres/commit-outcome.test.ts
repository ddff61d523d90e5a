/** A COMMIT whose answer was lost: the next connection says what became of it. */

import { getEventListeners } from 'node:events';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BackpressureWritable, type FailedItem } from '../../../src/index.js';
import { copyInto, type CopyError } from '../../../src/postgres/index.js';
import { AnswerDeadline } from '../../../src/postgres/connection/answer-deadline.js';
import { findOutcome, identifyServer } from '../../../src/postgres/connection/commit-outcome.js';
import { startProxy, type TestProxy } from '../../support/postgres-proxy.js';
import { flushContext, startOwnServer, useTestDatabase } from '../../support/postgres.js';

interface Row {
  id: number;
}

const database = useTestDatabase(() => startOwnServer({ settings: { fsync: 'off' } }));
let proxy: TestProxy;
const pools: pg.Pool[] = [];

beforeEach(async () => {
  proxy = await startProxy(database.url);
});
afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.end()));
  await proxy.close();
});

function poolVia(user?: string): pg.Pool {
  const url = new URL(database.urlVia(proxy.host, proxy.port));
  if (user !== undefined) [url.username, url.password] = [user, 'pw'];
  const pool = new pg.Pool({ connectionString: url.href, max: 2 });
  pool.on('error', () => undefined);
  pools.push(pool);
  return pool;
}

/** The server commits, and its answer never comes. */
function loseAnswer(): void {
  proxy.onData = (chunk) => {
    if (!chunk.includes('COMMIT')) return undefined;
    proxy.onData = () => undefined;
    proxy.onAnswer = () => {
      proxy.onAnswer = () => undefined;
      proxy.cut();
      return 'drop';
    };
    return undefined;
  };
}

/** COMMIT leaves us, and never arrives. */
function loseCommit(): void {
  proxy.onData = (chunk) => {
    if (!chunk.includes('COMMIT')) return undefined;
    proxy.onData = () => undefined;
    proxy.cut();
    return 'drop';
  };
}

const rows = (count: number): Row[] => Array.from({ length: count }, (_, id) => ({ id }));

async function stored(table: string): Promise<number> {
  return (await database.query<{ n: number }>(`SELECT count(*)::int AS n FROM ${table}`))[0]!.n;
}

async function load(table: string, count: number): Promise<{ failures: FailedItem<Row>[]; flushed: number }> {
  const failures: FailedItem<Row>[] = [];
  const sink = new BackpressureWritable<Row>(copyInto<Row>(poolVia(), { table }), {
    batchSize: 50,
    concurrency: 1,
    retry: { minDelayMs: 10 },
    onFailed: (failed) => failures.push(...failed),
  });
  for (const row of rows(count)) sink.write(row);
  await new Promise<void>((resolve, reject) => {
    sink.on('error', reject).end(resolve);
  });
  return { failures, flushed: sink.getMetrics().eventsFlushed };
}

describe('copyInto with keys of the client, and without an import', () => {
  test.each([
    ['the answer to COMMIT is lost', loseAnswer],
    ['COMMIT itself is lost', loseCommit],
  ])('stores each row once and reports no failure if %s', async (_fault, lose) => {
    const table = await database.table('id int PRIMARY KEY');
    lose();
    expect(await load(table, 200)).toEqual({ failures: [], flushed: 200 });
    expect(await stored(table)).toBe(200);
  });

  test('tells the rows that the batch left out, if the answer to COMMIT is lost', async () => {
    const table = await database.table('id int PRIMARY KEY');
    await database.query(`INSERT INTO ${table} VALUES (7)`);
    loseAnswer();
    const { failures, flushed } = await load(table, 40);
    expect(failures.map(({ item, error }) => [item.id, (error.cause as CopyError).ambiguous])).toEqual([
      [7, false],
    ]);
    expect(flushed).toBe(39);
  });

  test('asks again while the transaction is in progress', async () => {
    const table = await database.table('id int PRIMARY KEY');
    await database.query("ALTER SYSTEM SET synchronous_standby_names = 'absent'");
    await database.query('SELECT pg_reload_conf()');
    const copy = copyInto<Row>(poolVia(), { table });
    const batch = rows(3);
    const first = copy(batch, flushContext());
    const [waiting] = await waitFor(() =>
      database.query<{ pid: number }>("SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"),
    );
    proxy.cut();
    await expect(first).rejects.toMatchObject({ ambiguous: true, retryable: true });
    const again = copy(batch, { ...flushContext(), attempt: 2 });
    await waitFor(() =>
      database.query(
        "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%pg_xact_status%' AND pid <> pg_backend_pid()",
      ),
    );
    await database.query('ALTER SYSTEM RESET synchronous_standby_names');
    await database.query('SELECT pg_reload_conf()');
    await database.query('SELECT pg_cancel_backend($1)', [waiting!.pid]);
    expect(await again).toBeUndefined();
    expect(await stored(table)).toBe(3);
  });

  test('writes the batch again if the role may not see which system the server is', async () => {
    const table = await database.table('id int');
    await database.query(
      "DO $$ BEGIN CREATE ROLE unprivileged LOGIN PASSWORD 'pw'; EXCEPTION WHEN duplicate_object THEN NULL; END $$",
    );
    await database.query('REVOKE EXECUTE ON FUNCTION pg_catalog.pg_control_system() FROM PUBLIC');
    await database.query(`ALTER TABLE ${table} OWNER TO unprivileged`);
    loseAnswer();
    const copy = copyInto<Row>(poolVia('unprivileged'), { table });
    const batch = rows(3);
    await expect(copy(batch, flushContext())).rejects.toMatchObject({ ambiguous: true });
    expect(await copy(batch, { ...flushContext(), attempt: 2 })).toBeUndefined();
    expect(await stored(table)).toBe(6);
  });

  test('still says that the outcome is unknown while no connection can be had', async () => {
    const table = await database.table('id int PRIMARY KEY');
    loseAnswer();
    const copy = copyInto<Row>(poolVia(), { table });
    const batch = rows(3);
    const ambiguous = { failureClass: 'transport', ambiguous: true, retryable: true };
    await expect(copy(batch, flushContext())).rejects.toMatchObject(ambiguous);
    proxy.onData = () => {
      setImmediate(() => proxy.cut());
      return 'drop';
    };
    await expect(copy(batch, { ...flushContext(), attempt: 2 })).rejects.toMatchObject(ambiguous);
    proxy.onData = () => undefined;
    expect(await copy(batch, { ...flushContext(), attempt: 3 })).toBeUndefined();
    expect(await stored(table)).toBe(3);
  });

  /** Its COMMIT waits for a standby that is not there, and its connection is cut. */
  async function loseWaitingCommit(batch: Promise<unknown>): Promise<void> {
    await waitFor(() => database.query("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'"));
    proxy.cut();
    await batch.catch(() => undefined);
  }

  async function setStandby(command: string): Promise<void> {
    await database.query(`ALTER SYSTEM ${command}`);
    await database.query('SELECT pg_reload_conf()');
  }

  test('stores a row once and reports no failure if its COMMIT waits for a standby for 7 s', async () => {
    const table = await database.table('id int');
    await setStandby("SET synchronous_standby_names = 'absent'");
    try {
      const loading = load(table, 1);
      await loseWaitingCommit(Promise.resolve());
      await new Promise((resolve) => setTimeout(resolve, 7_000));
      await setStandby('RESET synchronous_standby_names');
      expect(await loading).toEqual({ failures: [], flushed: 1 });
      expect(await stored(table)).toBe(1);
    } finally {
      await setStandby('RESET synchronous_standby_names');
    }
  });

  test('reports an abort as such if it comes while the outcome is awaited', async () => {
    const table = await database.table('id int');
    await setStandby("SET synchronous_standby_names = 'absent'");
    try {
      const copy = copyInto<Row>(poolVia(), { table });
      const batch = rows(1);
      await loseWaitingCommit(copy(batch, flushContext()));
      const stop = new AbortController();
      const again = copy(batch, { ...flushContext(), signal: stop.signal, attempt: 2 });
      setTimeout(() => stop.abort(), 200);
      await expect(again).rejects.toMatchObject({ failureClass: 'aborted', ambiguous: true });
    } finally {
      await setStandby('RESET synchronous_standby_names');
    }
  });
});

describe('copyInto with an import', () => {
  test.each([[[3]], [[1]], [[1, 2, 5]]])(
    'reports the row at fault if the answer to COMMIT is lost, and the rows %j of the batch were written before',
    async (before) => {
      const table = await database.table('id int CHECK (id <> 4)');
      const options = { table, importId: table, positionOf: ({ id }: Row) => id };
      const context = { ...flushContext(), takesFailures: true };
      const direct = new pg.Pool({ connectionString: database.url, max: 2 });
      pools.push(direct);
      const earlier = copyInto<Row>(direct, options);
      for (const id of before) await earlier([{ id }], context);
      const copy = copyInto<Row>(poolVia(), options);
      // Opens the import, whose own COMMIT comes first.
      await copy([{ id: 0 }], context);
      loseAnswer();
      const batch = rows(7).slice(1);
      await expect(copy(batch, context)).rejects.toMatchObject({ ambiguous: true });
      const result = await copy(batch, { ...context, attempt: 2 });
      const [error] = result!.errors;
      expect(error).toMatchObject({
        index: batch.findIndex(({ id }) => id === 4),
        cause: { sqlState: '23514' },
      });
      expect(result!.errors).toHaveLength(1);
      expect(await stored(table)).toBe(6);
    },
  );
});

async function waitFor<T>(query: () => Promise<T[]>): Promise<T[]> {
  for (const deadline = Date.now() + 15_000; Date.now() < deadline;) {
    const found = await query();
    if (found.length > 0) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error('it did not come in time');
}

/** After a crash, ids whose WAL was not written yet are given out again, and 'committed' is said of other transactions. */
describe('findOutcome', () => {
  const RESET_TIME = 'SELECT pg_stat_get_bgwriter_stat_reset_time()::text AS time';
  const never = new AbortController().signal;

  /** Begins a transaction of one row on a server of its own, lets `end` end it, and asks what became of it. */
  async function outcomeAfter(end: (client: pg.PoolClient, pool: pg.Pool) => Promise<void>): Promise<{
    outcome: string;
    status: string;
  }> {
    const server = await startOwnServer({ settings: { fsync: 'off' } });
    const pool = new pg.Pool({ connectionString: server.url, max: 2 });
    pool.on('error', () => undefined);
    try {
      await pool.query('CREATE TABLE t (id int)');
      const client = await pool.connect();
      client.on('error', () => undefined);
      const identity = (await identifyServer(client, new AnswerDeadline(never)))!;
      await client.query('BEGIN');
      await client.query('INSERT INTO t VALUES (1)');
      const ids = await client.query<{ id: string }>('SELECT pg_current_xact_id()::text AS id');
      const { id } = ids.rows[0]!;
      await end(client, pool);
      const statuses = await pool.query<{ status: string }>('SELECT pg_xact_status($1::xid8) AS status', [
        id,
      ]);
      const outcome = await findOutcome(pool, { id, server: identity }, never);
      return { outcome, status: statuses.rows[0]!.status };
    } finally {
      await pool.end();
      await server.stop();
    }
  }

  test("returns 'unknown' after a crash, if another transaction has got the id and committed", async () => {
    const result = await outcomeAfter(async (client, pool) => {
      const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      process.kill(rows[0]!.pid, 'SIGKILL');
      await waitFor(async () => {
        await new Promise((resolve) => setTimeout(resolve, 100));
        return pool.query('INSERT INTO t VALUES (2)').then(
          () => [true],
          () => [],
        );
      });
      client.release(true);
      for (let n = 0; n < 5; n += 1) await pool.query('INSERT INTO t VALUES (3)');
    });
    expect(result).toEqual({ outcome: 'unknown', status: 'committed' });
  });

  test('leaves no listener on the signal if no connection can be had', async () => {
    const { signal } = new AbortController();
    const none = { connect: () => Promise.reject(new Error('no server')) };
    const identity = { id: '1', server: { system: '1/1', crashEpoch: '1' } };
    await expect(findOutcome(none as never, identity, signal)).rejects.toThrow('no server');
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  test("returns 'committed' if the session's time zone and style of dates have changed", async () => {
    const result = await outcomeAfter(async (client) => {
      await client.query('COMMIT');
      await client.query("SET TIME ZONE 'Asia/Kolkata'; SET DateStyle = 'German, DMY'");
      client.release();
    });
    expect(result).toEqual({ outcome: 'committed', status: 'committed' });
  });

  test("returns 'committed' again on the same connection, once a reset of the statistics has been noticed", async () => {
    const pool = new pg.Pool({ connectionString: database.url, max: 2 });
    const client = await pool.connect();
    try {
      const outcomeOfNext = async (): Promise<string> => {
        const server = (await identifyServer(client, new AnswerDeadline(never)))!;
        await client.query('BEGIN');
        const ids = await client.query<{ id: string }>('SELECT pg_current_xact_id()::text AS id');
        await client.query('COMMIT');
        return findOutcome(pool, { id: ids.rows[0]!.id, server }, never);
      };
      expect(await outcomeOfNext()).toBe('committed');
      const [before] = await database.query<{ time: string }>(RESET_TIME);
      await database.query("SELECT pg_stat_reset_shared('bgwriter')");
      await waitFor(() =>
        database.query(`SELECT 1 FROM (${RESET_TIME}) now WHERE time <> $1`, [before!.time]),
      );
      expect(await outcomeOfNext()).toBe('unknown');
      expect(await outcomeOfNext()).toBe('committed');
    } finally {
      client.release();
      await pool.end();
    }
  });

  test.each([
    ['COMMIT', 'committed'],
    ['ROLLBACK', 'aborted'],
  ])('after %s returns %s, if the server has not crashed', async (command, outcome) => {
    const result = await outcomeAfter(async (client) => {
      await client.query(command);
      client.release();
    });
    expect(result).toEqual({ outcome, status: outcome });
  });
});
