/** A session that the server ends: its own reason is the cause, and COMMIT counts as sent only if it was. */

import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { TLSSocket } from 'node:tls';
import type pg from 'pg';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { CopyError, copyInto } from '../../../src/postgres/index.js';
import { startFaultServer, type FaultServer } from '../../support/fault-server.js';
import { startProxy, type TestProxy } from '../../support/postgres-proxy.js';
import { flushContext, useTestDatabase } from '../../support/postgres.js';
import { installTls, makeTlsFiles } from '../../support/tls-files.js';

let server: FaultServer;
const database = useTestDatabase(async () => (server = await startFaultServer()));
let proxy: TestProxy;

beforeAll(async () => {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'spillway-tls-'));
  makeTlsFiles(directory, 'nobody');
  for (const statement of installTls(server.data, directory)) await database.query(statement);
  await database.query('SELECT pg_reload_conf()');
  rmSync(directory, { recursive: true });
});

beforeEach(async () => {
  proxy = await startProxy(database.url);
});
afterEach(() => proxy.close());

interface Row {
  a: number;
  b?: string;
}

const ROWS: Row[] = [{ a: 1 }, { a: 2 }];
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function poolWith(config: pg.PoolConfig = {}): pg.Pool {
  const pool = database.pool({
    connectionString: database.urlVia(proxy.host, proxy.port),
    max: 2,
    ...config,
  });
  pool.on('error', () => undefined);
  return pool;
}

async function failureOf(flush: Promise<unknown>): Promise<CopyError> {
  const error = await flush.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(CopyError);
  return error as CopyError;
}

async function terminate(client: pg.PoolClient): Promise<void> {
  const { processID } = client as unknown as { processID: number };
  await database.query('SELECT pg_terminate_backend($1)', [processID]);
}

const streamOf = (client: pg.PoolClient): unknown =>
  (client as unknown as { connection: { stream: unknown } }).connection.stream;

async function countOf(table: string): Promise<number> {
  return (await database.query<{ n: number }>(`SELECT count(*)::int AS n FROM ${table}`))[0]!.n;
}

describe('a session that ends while the transaction waits for us', () => {
  test.each([
    ['25P03', 'idle_in_transaction_session_timeout=50'],
    ...(process.env['SPILLWAY_TEST_POSTGRES_VERSION'] === '14' ? [] : [['25P04', 'transaction_timeout=50']]),
  ])('by a time limit of its own is told with %s', async (sqlState, setting) => {
    const table = await database.table('a int');
    const copy = copyInto<Row, pg.PoolClient>(poolWith({ options: `-c ${setting}` }), {
      table,
      beforeCommit: () => pause(300),
    });
    const failure = await failureOf(copy([...ROWS], flushContext()));
    const failureClass = sqlState === '25P04' ? 'setup' : 'transport';
    expect(failure).toMatchObject({ sqlState, failureClass, ambiguous: false });
    expect(failure.message).toContain('timeout');
    expect(failure.message).not.toContain('after COMMIT');
    expect(await countOf(table)).toBe(0);
  });

  test.each([
    ['and beforeCommit does not notice', () => Promise.resolve()],
    ['and a statement of beforeCommit fails', (client: pg.PoolClient) => client.query('SELECT 1')],
    [
      'and beforeCommit hides that a statement has failed',
      (client: pg.PoolClient) => client.query('SELECT 1').catch(() => undefined),
    ],
    [
      'and beforeCommit throws an error of its own',
      (client: pg.PoolClient) =>
        client
          .query('SELECT 1')
          .catch((cause: unknown) => Promise.reject(new Error('the audit failed', { cause }))),
    ],
  ])('by an administrator is told with 57P01, %s', async (_, after) => {
    const table = await database.table('a int');
    const copy = copyInto<Row, pg.PoolClient>(poolWith(), {
      table,
      beforeCommit: async (client) => {
        await terminate(client);
        await pause(100);
        await after(client);
      },
    });
    const failure = await failureOf(copy([...ROWS], flushContext()));
    expect(failure).toMatchObject({ sqlState: '57P01', failureClass: 'transport', ambiguous: false });
  });

  test('by an administrator is told with 57P01, in one read with the answer before it', async () => {
    const table = await database.table('a int');
    const copy = copyInto<Row, pg.PoolClient>(poolWith(), {
      table,
      beforeCommit: async (client) => {
        proxy.holdAnswers();
        const answer = client.query('SELECT 1');
        await pause(50);
        await terminate(client);
        await pause(50);
        proxy.passAnswers();
        await answer;
      },
    });
    const failure = await failureOf(copy([...ROWS], flushContext()));
    expect(failure).toMatchObject({ sqlState: '57P01', ambiguous: false });
  });
});

describe('a session that ends during a statement', () => {
  test.each([
    ['a plain connection', false],
    ['TLS', { rejectUnauthorized: false }],
  ])('COPY over %s is told with 57P01, also if a write fails before it was read', async (_, ssl) => {
    const table = await database.table('a int, b text');
    const rows = Array.from({ length: 60_000 }, (_, a) => ({ a, b: 'x'.repeat(200) }));
    const states: (string | undefined)[] = [];
    for (let round = 0; round < 10; round += 1) {
      const pool = poolWith({ connectionString: database.url, ssl });
      let client: pg.PoolClient | undefined;
      pool.on('connect', (connected) => (client = connected));
      const copy = copyInto<Row, pg.PoolClient>(pool, { table, columns: ['a', 'b'] });
      await copy([rows[0]!], flushContext());
      expect(streamOf(client!) instanceof TLSSocket).toBe(ssl !== false);
      const flush = failureOf(copy(rows, flushContext()));
      await pause(3 * round);
      await terminate(client!);
      states.push((await flush).sqlState);
    }
    expect(states).toEqual(Array(10).fill('57P01'));
  });

  test('the server that stops at once is told, although it only warns', async () => {
    const table = await database.table('a int');
    const copy = copyInto<Row, pg.PoolClient>(poolWith({ connectionString: database.url }), {
      table,
      beforeCommit: async () => {
        await server.goDown('immediate');
        await pause(50);
      },
    });
    const failure = await failureOf(copy([...ROWS], flushContext()));
    await server.comeBack();
    expect(failure.sqlState).toMatch(/^57P0[12]$/);
    expect(failure).toMatchObject({ failureClass: 'transport', ambiguous: false });
  });
});

describe('COMMIT', () => {
  test('is open if the connection is cut before its answer', async () => {
    const table = await database.table('a int');
    const copy = copyInto<Row, pg.PoolClient>(poolWith(), {
      table,
      beforeCommit: () => {
        proxy.onAnswer = () => (proxy.cut(), 'drop');
        return Promise.resolve();
      },
    });
    const failure = await failureOf(copy([...ROWS], flushContext()));
    proxy.onAnswer = () => undefined;
    expect(failure).toMatchObject({ ambiguous: true });
    expect(failure.message).toContain('after COMMIT was sent');
    expect(await countOf(table)).toBe(2);
  });

  test('is undone if the server ends the session while it checks deferred constraints', async () => {
    const table = await database.table('a int');
    await database.query(
      `CREATE FUNCTION ${table}_f() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_sleep(5); RETURN NULL; END$$;
       CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON ${table} DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ${table}_f()`,
    );
    let client: pg.PoolClient | undefined;
    const copy = copyInto<Row, pg.PoolClient>(poolWith(), {
      table,
      beforeCommit: (lent) => Promise.resolve((client = lent)),
    });
    const flush = failureOf(copy([...ROWS], flushContext()));
    while (client === undefined) await pause(5);
    await pause(100);
    await terminate(client);
    expect(await flush).toMatchObject({ sqlState: '57P01', ambiguous: false, retryable: true });
    expect(await countOf(table)).toBe(0);
  });
});
