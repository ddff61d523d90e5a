/**
 * A real PostgreSQL for tests: the embedded server, of the version that `SPILLWAY_TEST_POSTGRES_VERSION` names (14 or 18, the default),
 * or the server that `SPILLWAY_TEST_DATABASE_URL` names (it needs the right to create databases). Each test file has a database of its
 * own, and each test is checked for what it left behind.
 */

import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import type { FlushContext } from '../../src/api/flush-function.js';
import { startOwnServer, type TestServer } from './own-server.js';

export { startOwnServer, testedPackage, type TestServer } from './own-server.js';

/** A server that forgets faster than a real one, but for what is lost when the machine goes down. */
export async function startTestServer(): Promise<TestServer> {
  const url = process.env['SPILLWAY_TEST_DATABASE_URL'];
  if (url !== undefined && url !== '') return { url, stop: async () => undefined };
  return startOwnServer({ settings: { fsync: 'off', max_connections: '50' } });
}

export interface TestDatabase {
  /** To this file's own database. */
  readonly url: string;
  /** A pool that the test's end closes and checks: all clients back, no backend left over. */
  pool(config?: pg.PoolConfig): pg.Pool;
  query<Row extends pg.QueryResultRow = Record<string, unknown>>(
    sql: string,
    values?: unknown[],
  ): Promise<Row[]>;
  /** Creates a table with a name of its own. */
  table(columns: string): Promise<string>;
  /** For servers that the test looks at through a proxy: the same database by another address. */
  urlVia(host: string, port: number): string;
}

/** Sets up a database for the test file that calls it, on a server that `start` gives. */
export function useTestDatabase(start: () => Promise<TestServer> = startTestServer): TestDatabase {
  const name = `spillway_test_${randomBytes(6).toString('hex')}`;
  const application = `spillway-test-${name}`;
  let server: TestServer;
  let admin: pg.Pool;
  let url = '';
  let tables = 0;
  const pools = new Set<pg.Pool>();

  beforeAll(async () => {
    server = await start();
    await withClient(server.url, async (client) => {
      await client.query(`CREATE DATABASE ${name} ENCODING 'UTF8' TEMPLATE template0`);
      // Whatever the server's own settings are, values look alike.
      for (const setting of ["timezone = 'UTC'", "lc_monetary = 'C'", "datestyle = 'ISO, YMD'"]) {
        await client.query(`ALTER DATABASE ${name} SET ${setting}`);
      }
    });
    const own = new URL(server.url);
    own.pathname = `/${name}`;
    url = own.href;
    admin = new pg.Pool({ connectionString: url, max: 2, application_name: 'spillway-test-admin' });
    // The server may be stopped and started again.
    admin.on('error', () => undefined);
  });

  afterEach(async () => {
    const used = [...pools];
    pools.clear();
    for (const pool of used) await closePool(pool);
    await expectNoBackends(admin, application);
  });

  afterAll(async () => {
    await admin.end();
    await withClient(server.url, (client) => client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`));
    await server.stop();
  });

  return {
    get url() {
      return url;
    },
    pool(config = {}) {
      const pool = new pg.Pool({ connectionString: url, application_name: application, ...config });
      pools.add(pool);
      return pool;
    },
    async query<Row extends pg.QueryResultRow>(sql: string, values?: unknown[]) {
      return (await admin.query<Row>(sql, values)).rows;
    },
    async table(columns) {
      const table = `t${String((tables += 1))}`;
      await admin.query(`CREATE TABLE ${table} (${columns})`);
      return table;
    },
    urlVia(host, port) {
      const via = new URL(url);
      via.hostname = host;
      via.port = String(port);
      return via.href;
    },
  };
}

async function withClient(url: string, work: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = new pg.Client(url);
  client.on('error', () => undefined);
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}

/** A client that was asked for and is no longer wanted may take a moment to come back. */
async function closePool(pool: pg.Pool): Promise<void> {
  const stateOf = () => ({ out: pool.totalCount - pool.idleCount, waiting: pool.waitingCount });
  const clean = { out: 0, waiting: 0 };
  const deadline = Date.now() + 2_000;
  while (JSON.stringify(stateOf()) !== JSON.stringify(clean) && Date.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  expect(stateOf()).toEqual(clean);
  if (!pool.ending) await pool.end();
}

/** A backend takes a moment to end after its client has. */
export async function expectNoBackends(admin: pg.Pool, application: string): Promise<void> {
  const deadline = Date.now() + 5_000;
  for (;;) {
    const { rows } = await admin.query<{ state: string; query: string }>(
      'SELECT state, left(query, 60) AS query FROM pg_stat_activity WHERE application_name = $1',
      [application],
    );
    if (rows.length === 0) return;
    if (Date.now() > deadline) expect(rows).toEqual([]);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** What a sink would give with a batch. */
export function flushContext(signal: AbortSignal = new AbortController().signal): FlushContext {
  return { signal, attempt: 1, reason: 'size', weights: [], represents: 0, takesFailures: false };
}

/** A table's columns with their types, and its rows in the order of their places, each value as the text that the server has for it. */
export interface StoredTable {
  readonly columns: Record<string, string>;
  readonly rows: unknown[][];
}

/** @param table a plain name */
export async function readTable(database: TestDatabase, table: string): Promise<StoredTable> {
  const types = await database.query<{ name: string; type: string }>(
    `SELECT attname AS name, format_type(atttypid, atttypmod) AS type FROM pg_attribute
     WHERE attrelid = '${table}'::regclass AND attnum > 0 ORDER BY attnum`,
  );
  const columns = Object.fromEntries(types.map(({ name, type }) => [name, type]));
  const list = types.map(({ name }) => `"${name.replaceAll('"', '""')}"::text`).join(', ');
  const rows = await database.query<{ r: unknown[] }>(
    `SELECT json_build_array(${list}) r FROM ${table} ORDER BY ctid`,
  );
  return { columns, rows: rows.map(({ r }) => r) };
}
