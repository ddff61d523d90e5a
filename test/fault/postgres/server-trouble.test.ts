/** Trouble of the server's that passes, really provoked: it is called again until it has passed, and no row pays for it. */

import pg from 'pg';
import { afterEach, describe, expect, test } from 'vitest';
import type { RetryReport } from '../../../src/index.js';
import {
  endLoads,
  expectAccounted,
  expectIdle,
  NUMBERED_COLUMNS,
  startLoad,
  until,
  type CountedLoad,
} from '../../support/counted-load.js';
import { startFaultServer } from '../../support/fault-server.js';
import { useTestDatabase } from '../../support/postgres.js';

const MOST_CONNECTIONS = 12;
const database = useTestDatabase(() =>
  startFaultServer({
    max_connections: String(MOST_CONNECTIONS),
    superuser_reserved_connections: '0',
    deadlock_timeout: '50ms',
    autovacuum: 'off',
  }),
);

const others: pg.Client[] = [];
afterEach(async () => {
  await endLoads();
  for (const client of others.splice(0)) await client.end();
});

/** Somebody else on the same server. */
async function otherClient(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: database.url });
  client.on('error', () => undefined);
  await client.connect();
  others.push(client);
  return client;
}

const POOLS = [{ max: 1 }, { max: 2 }, { max: 4 }];
const PATIENT = { retry: { attempts: 50, minDelayMs: 20, maxDelayMs: 200 } };

/** How long such trouble lasts at the least. */
const SHORTEST_DELAY_MS: Readonly<Record<string, number>> = {
  '53300': 1_000,
  '25006': 1_000,
  '55P03': 200,
  '40001': 20,
  '40P01': 20,
};

async function expectAllThere(
  load: CountedLoad,
  table: string,
  pool: pg.Pool,
  sqlState: string,
): Promise<void> {
  await load.done;
  expect(new Set(load.retries.map(sqlStateOf))).toEqual(new Set([sqlState]));
  for (const { delayMs } of load.retries) {
    expect(delayMs).toBeGreaterThanOrEqual(SHORTEST_DELAY_MS[sqlState]!);
  }
  expect(load.stream.getMetrics()).toMatchObject({ eventsFlushed: load.offered, eventsFailed: 0 });
  await expectIdle(pool);
  await expectAccounted(database, table, load, { exactlyOnce: true });
}

function sqlStateOf({ error }: RetryReport): unknown {
  return (error as { sqlState?: unknown }).sqlState;
}

describe.each(POOLS)('with a pool of $max', ({ max }) => {
  test('53300: others have all the connections', async () => {
    const table = await database.table(NUMBERED_COLUMNS);
    const pool = database.pool({ max });
    await database.query('SELECT 1');
    for (;;) {
      const taken = await otherClient().then(
        () => false,
        (error: unknown) => (error as { code?: unknown }).code === '53300',
      );
      if (taken) break;
    }
    const load = startLoad(pool, table, PATIENT);
    await load.retried(1);
    expect(load.stream.getMetrics().eventsFlushed).toBe(0);
    for (const client of others.splice(0)) await client.end();
    await expectAllThere(load, table, pool, '53300');
  });

  test('25006: the server is read-only for a while, in the middle of the load', async () => {
    const table = await database.table(NUMBERED_COLUMNS);
    const pool = database.pool({ max });
    let isOver = false;
    const load = startLoad(pool, table, { ...PATIENT, goesOn: (offered) => !isOver || offered < 20_000 });
    await until(() => load.stream.getMetrics().eventsFlushed > 0);
    await setForAll('default_transaction_read_only', 'on');
    await load.retried(1);
    isOver = true;
    await setForAll('default_transaction_read_only', 'off');
    await expectAllThere(load, table, pool, '25006');
  });

  test('55P03: somebody else holds the table for longer than lock_timeout', async () => {
    const table = await database.table(NUMBERED_COLUMNS);
    const pool = database.pool({ max, options: '-c lock_timeout=50ms' });
    const other = await otherClient();
    await other.query(`BEGIN; LOCK TABLE ${table}`);
    const load = startLoad(pool, table, PATIENT);
    await load.retried(1);
    await other.query('COMMIT');
    await expectAllThere(load, table, pool, '55P03');
  });

  test('57014: a statement waits for a lock for longer than statement_timeout, then 55P03', async () => {
    const table = await database.table(NUMBERED_COLUMNS);
    const pool = database.pool({ max, options: '-c statement_timeout=150ms' });
    const other = await otherClient();
    await other.query(`BEGIN; LOCK TABLE ${table}`);
    const load = startLoad(pool, table, PATIENT);
    await load.retried(1);
    await other.query('COMMIT');
    await load.done;
    // On a busy machine a batch may take that long by itself.
    expect(new Set(load.retries.map(sqlStateOf))).toEqual(new Set(['55P03']));
    await expectIdle(pool);
    await expectAccounted(database, table, load, { exactlyOnce: true });
  });
});

describe('batches that get in each other’s way', () => {
  test('40001: they update the same row, with isolation REPEATABLE READ', async () => {
    const table = await database.table(NUMBERED_COLUMNS);
    const counter = await database.table('n int');
    await database.query(`INSERT INTO ${counter} VALUES (0)`);
    const pool = database.pool({ max: 4, options: '-c default_transaction_isolation=repeatable\\ read' });
    const load = startLoad(pool, table, {
      ...PATIENT,
      concurrency: 4,
      copy: {
        beforeCommit: async (client, items) => {
          await client.query('SELECT pg_sleep(0.01)');
          await client.query(`UPDATE ${counter} SET n = n + $1`, [items.length]);
        },
      },
    });
    await expectAllThere(load, table, pool, '40001');
    // What ran beside each batch held or fell with it.
    expect(await database.query(`SELECT n FROM ${counter}`)).toEqual([{ n: load.offered }]);
  });

  test('40P01: they update two rows, each in an order of its own', async () => {
    const table = await database.table(NUMBERED_COLUMNS);
    const counter = await database.table('name text, n int');
    await database.query(`INSERT INTO ${counter} VALUES ('odd', 0), ('even', 0)`);
    const pool = database.pool({ max: 4 });
    let calls = 0;
    const load = startLoad(pool, table, {
      ...PATIENT,
      concurrency: 2,
      copy: {
        beforeCommit: async (client, items) => {
          calls += 1;
          const names = calls % 2 === 0 ? ['odd', 'even'] : ['even', 'odd'];
          for (const name of names) {
            await client.query(`UPDATE ${counter} SET n = n + $1 WHERE name = $2`, [items.length, name]);
            await client.query('SELECT pg_sleep(0.01)');
          }
        },
      },
    });
    await expectAllThere(load, table, pool, '40P01');
    expect(await database.query(`SELECT DISTINCT n FROM ${counter}`)).toEqual([{ n: load.offered }]);
  });
});

async function setForAll(setting: string, value: string): Promise<void> {
  // Statement by statement: ALTER SYSTEM does not run in a transaction block.
  await database.query(`ALTER SYSTEM SET ${setting} = ${value}`);
  await database.query('SELECT pg_reload_conf()');
}
