/** COMMIT whose answer does not come: how many rows may be in the table is told, and signals are heard. */

import { mkdir, rmdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { expectOtherStatements } from '../../../src/postgres/protocol/own-query.js';
import { inTransaction, OpenCommit } from '../../../src/postgres/imports/import-transaction.js';
import { CopyError, copyInto } from '../../../src/postgres/index.js';
import type { CopyClient } from '../../../src/postgres/protocol/pool.js';
import { OWN_TRANSACTION } from '../../../src/postgres/sql/transaction-scope.js';
import { useCli, type CliResult } from '../../support/cli.js';
import { startProxy, type TestProxy } from '../../support/postgres-proxy.js';
import { flushContext, startOwnServer, useTestDatabase } from '../../support/postgres.js';
import { range } from '../../support/range.js';

const database = useTestDatabase(() => startOwnServer({ settings: { fsync: 'off', max_connections: '50' } }));
const cli = useCli();
let proxy: TestProxy;

beforeEach(async () => {
  proxy = await startProxy(database.url);
});
afterEach(async () => {
  await proxy.close();
  await setStandby('');
  await database.query("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
});

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** A name that no standby has: COMMIT then waits for ever. */
async function setStandby(name: string): Promise<void> {
  await database.query(`ALTER SYSTEM SET synchronous_standby_names = '${name}'`);
  await database.query('SELECT pg_reload_conf()');
  // Each backend learns of it with its next statement.
  await pause(100);
}

async function waitingBackend(): Promise<number> {
  for (const deadline = Date.now() + 15_000; Date.now() < deadline; await pause(20)) {
    const [row] = await database.query<{ pid: number }>(
      "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'",
    );
    if (row !== undefined) return row.pid;
  }
  throw new Error('no COMMIT waits for a standby');
}

async function waitingTruncation(): Promise<void> {
  const waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'TRUNCATE%'";
  for (const deadline = Date.now() + 15_000; Date.now() < deadline; await pause(20))
    if ((await database.query(waiting)).length > 0) return;
  throw new Error('no TRUNCATE waits for a lock');
}

async function countOf(table: string): Promise<number> {
  return (await database.query<{ n: number }>(`SELECT count(*)::int AS n FROM ${table}`))[0]!.n;
}

/** Of a role that may not see which system the server is, as some providers have it. It owns the table and may make others. */
async function urlOfOrdinaryRole(table: string): Promise<string> {
  await database.query(
    `DO $$ BEGIN CREATE ROLE ordinary LOGIN PASSWORD 'pw'; EXCEPTION WHEN duplicate_object THEN NULL; END $$`,
  );
  await database.query('REVOKE EXECUTE ON FUNCTION pg_catalog.pg_control_system() FROM PUBLIC');
  await database.query('GRANT CREATE ON SCHEMA public TO ordinary');
  await database.query(`ALTER TABLE ${table} OWNER TO ordinary`);
  const url = new URL(database.urlVia(proxy.host, proxy.port));
  url.username = 'ordinary';
  url.password = 'pw';
  return url.href;
}

async function csvFile(name: string, rows: number): Promise<string> {
  const file = path.join(cli.directory, name);
  await writeFile(file, `a\n${range(rows).join('\n')}\n`);
  return file;
}

const jsonOf = ({ stdout }: CliResult) => JSON.parse(stdout) as Record<string, unknown>;

describe('spillway load', () => {
  test.each([
    // The server says afterwards what became of the transaction.
    [[], true, 30, 0],
    [[], false, 35, 5],
    [['--import', 'cut'], true, 30, 0],
  ])(
    'tells the rows that may be there twice, flags %j, may ask for the outcome: %s',
    async (flags, mayAsk, stored, rowsUnknown) => {
      const table = await database.table('a int');
      const url = mayAsk ? database.urlVia(proxy.host, proxy.port) : await urlOfOrdinaryRole(table);
      const file = await csvFile('cut.csv', 30);
      let commits = 0;
      proxy.onData = (chunk) => {
        if (chunk.includes('COMMIT') && (commits += 1) === 4) {
          proxy.onAnswer = () => {
            proxy.onAnswer = () => undefined;
            proxy.cut();
            return 'drop';
          };
        }
        return undefined;
      };
      const args = ['load', '-t', table, '--to', url, '--json', ...flags];
      const result = await cli.run([...args, '--connections', '1', '--batch-size', '5', file]);
      expect(jsonOf(result)).toMatchObject({ rows: 30, rowsUnknown, exitCode: 0 });
      expect(result.stderr.includes('up to 5 rows may be in the table twice')).toBe(rowsUnknown > 0);
      expect(await countOf(table)).toBe(stored);
    },
  );

  test('counts a batch as loaded if the server gives up to wait for its standby', async () => {
    const table = await database.table('a int');
    const file = await csvFile('standby.csv', 3);
    for (const end of ['pg_cancel_backend', 'pg_terminate_backend']) {
      await setStandby('absent');
      const running = cli.run(['load', '-t', table, '--to', database.url, '--json', file]);
      await database.query(`SELECT ${end}($1)`, [await waitingBackend()]);
      expect(jsonOf(await running)).toMatchObject({ rows: 3, rowsUnknown: 0, exitCode: 0 });
      await setStandby('');
    }
    expect(await countOf(table)).toBe(6);
  });

  test.each(['SIGINT', 'SIGTERM'] as const)(
    '--atomic hears %s while COMMIT waits for a standby',
    async (signal) => {
      const table = await database.table('a int');
      const file = await csvFile('atomic.csv', 3);
      await setStandby('absent');
      const { child, result } = cli.start([
        'load',
        '-t',
        table,
        '--to',
        database.url,
        '--json',
        '--atomic',
        file,
      ]);
      await waitingBackend();
      const stoppedAt = Date.now();
      child.kill(signal);
      const ended = await result;
      expect(Date.now() - stoppedAt).toBeLessThan(4_000);
      const exitCode = signal === 'SIGINT' ? 130 : 143;
      expect(ended.code).toBe(exitCode);
      expect(jsonOf(ended)).toMatchObject({ rows: 3, rowsUnknown: 0, stoppedBy: signal, exitCode });
      expect(ended.stderr).toContain('all rows were loaded, but the standby has not confirmed it');
      expect(await countOf(table)).toBe(3);
    },
  );

  test('--atomic tells that all rows may be there if not even the request to cancel is heard', async () => {
    const table = await database.table('a int');
    const file = await csvFile('silent.csv', 3);
    let isSilent = false;
    proxy.onData = (chunk) => {
      if (!chunk.includes('COMMIT')) return undefined;
      proxy.onAnswer = () => 'drop';
      isSilent = true;
      return undefined;
    };
    const { child, result } = cli.start([
      'load',
      '-t',
      table,
      '--to',
      database.urlVia(proxy.host, proxy.port),
      '--json',
      '--atomic',
      file,
    ]);
    while (!(isSilent as boolean)) await pause(10);
    await pause(200);
    child.kill('SIGINT');
    const ended = await result;
    expect(jsonOf(ended)).toMatchObject({ rows: 0, rowsUnknown: 3, stoppedBy: 'SIGINT', exitCode: 130 });
    expect(ended.stderr).toContain('either all of 3 rows are in the table, or none');
    expect(ended.stderr).not.toContain('nothing was loaded');
    proxy.cut();
    expect(await countOf(table)).toBe(3);
  });

  test('--atomic rolls back at a signal while COMMIT still checks constraints', async () => {
    const table = await database.table('a int');
    await database.query(
      `CREATE FUNCTION ${table}_f() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_sleep(20); RETURN NULL; END$$;
       CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON ${table} DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ${table}_f()`,
    );
    const { child, result } = cli.start([
      'load',
      '-t',
      table,
      '--to',
      database.url,
      '--json',
      '--atomic',
      await csvFile('deferred.csv', 3),
    ]);
    for (let isThere = false; !isThere; await pause(20)) {
      isThere =
        (
          await database.query(
            "SELECT 1 FROM pg_stat_activity WHERE query = 'COMMIT' AND wait_event = 'PgSleep'",
          )
        ).length > 0;
    }
    child.kill('SIGINT');
    const ended = await result;
    expect(jsonOf(ended)).toMatchObject({ rows: 0, rowsUnknown: 0, stoppedBy: 'SIGINT', exitCode: 130 });
    expect(ended.stderr).toContain('nothing was loaded');
    expect(await countOf(table)).toBe(0);
  });
});

test('copyInto, aborted while COMMIT waits for a standby, says that the batch may have arrived', async () => {
  const table = await database.table('a int');
  const pool = database.pool();
  await setStandby('absent');
  const abort = new AbortController();
  const flush = copyInto<{ a: number }, pg.PoolClient>(pool, { table })(
    [{ a: 1 }],
    flushContext(abort.signal),
  ) as Promise<unknown>;
  const failure = flush.then(
    () => undefined,
    (error: unknown) => error,
  );
  await waitingBackend();
  abort.abort(new Error('time is out'));
  expect(await failure).toBeInstanceOf(CopyError);
  expect(await failure).toMatchObject({ failureClass: 'aborted', ambiguous: true, retryable: false });
  await setStandby('');
  await database.query("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
  await pause(100);
  expect(await countOf(table)).toBe(1);
});

describe('what a load does before its first row, and after its last', () => {
  test.each([
    [['--create'], /CREATE TABLE was sent and not answered: the table "\w+" may be there/],
    // The server is asked to cancel, and says that it does not wait for the standby any longer.
    [['--truncate'], /stopped before anything was loaded; the table was emptied/],
    [['--import', 'begun', '--truncate'], /COMMIT was sent and not answered: .*may have begun/],
  ])(
    '%j hears a signal while the server waits for a standby, and says what may be there',
    async (flags, words) => {
      const isCreated = flags.includes('--create');
      const table = isCreated ? 'made_beside_standby' : await database.table('a int');
      if (!isCreated) await database.query(`INSERT INTO ${table} VALUES (1)`);
      const file = await csvFile('before.csv', 3);
      if (flags.includes('--import')) {
        const other = await database.table('a int');
        await cli.run(['load', '-t', other, '--to', database.url, '--import', 'makes the tables', file]);
      }
      await setStandby('absent');
      const { child, result } = cli.start(['load', '-t', table, '--to', database.url, ...flags, file]);
      await waitingBackend();
      const stoppedAt = Date.now();
      child.kill('SIGINT');
      const ended = await result;
      expect(Date.now() - stoppedAt).toBeLessThan(4_000);
      expect(ended.code).toBe(130);
      expect(ended.stderr).toMatch(words);
      expect(ended.stderr).not.toContain('dropped again');
      await setStandby('');
      await database.query(
        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'",
      );
      await pause(100);
      expect(await countOf(table)).toBe(0);
    },
  );

  test('--truncate that waits for a lock is cancelled by a signal, and empties nothing later', async () => {
    const table = await database.table('a int');
    await database.query(`INSERT INTO ${table} VALUES (1)`);
    const file = await csvFile('locked.csv', 3);
    const reader = await database.pool({ max: 1 }).connect();
    await reader.query(`BEGIN; SELECT FROM ${table}`);
    const args = ['load', '-t', table, '--to', database.url, '--json', '--truncate', file];
    const { child, result } = cli.start(args);
    await waitingTruncation();
    child.kill('SIGINT');
    const ended = await result;
    expect(jsonOf(ended)).toMatchObject({ truncated: false, rows: 0, stoppedBy: 'SIGINT', exitCode: 130 });
    expect(ended.stderr).toBe('spillway: stopped before anything was loaded\n');
    await reader.query('COMMIT');
    reader.release();
    await pause(200);
    expect(await countOf(table)).toBe(1);
  });

  test('--truncate of an import that fails behind it: --json says that the table was emptied', async () => {
    const table = await database.table('a int');
    await database.query(`INSERT INTO ${table} VALUES (1)`);
    const file = await csvFile('emptied.csv', 3);
    const folder = path.join(cli.directory, 'for-rejects');
    await mkdir(folder);
    const reader = await database.pool({ max: 1 }).connect();
    await reader.query(`BEGIN; SELECT FROM ${table}`);
    const flags = ['--json', '--truncate', '--import', 'emptied', '--rejects', path.join(folder, 'rejects')];
    const { result } = cli.start(['load', '-t', table, '--to', database.url, ...flags, file]);
    await waitingTruncation();
    await rmdir(folder);
    await reader.query('COMMIT');
    reader.release();
    const ended = await result;
    expect(ended.stderr).toMatch(/its folder does not exist/);
    expect(jsonOf(ended)).toMatchObject({ truncated: true, rows: 0, exitCode: 1 });
    expect(await countOf(table)).toBe(0);
  });

  test('--import hears a signal while the end of the import waits, and says that all rows are loaded', async () => {
    const table = await database.table('a int');
    let isEnding = false;
    let commits = 0;
    proxy.onData = (chunk) => {
      isEnding ||= chunk.includes('SET finished_at');
      if (isEnding && commits === 0 && chunk.includes('COMMIT\0')) {
        commits += 1;
        proxy.onAnswer = () => 'drop';
      }
      return undefined;
    };
    const url = database.urlVia(proxy.host, proxy.port);
    const file = await csvFile('finish.csv', 3);
    const { child, result } = cli.start([
      'load',
      '-t',
      table,
      '--to',
      url,
      '--json',
      '--import',
      'end',
      file,
    ]);
    while (commits < 1) await pause(10);
    await pause(200);
    child.kill('SIGINT');
    const ended = await result;
    expect(jsonOf(ended)).toMatchObject({ rows: 3, rowsUnknown: 0, stoppedBy: 'SIGINT', exitCode: 130 });
    expect(ended.stderr).toContain('all rows are loaded, and the import may be marked as finished or not');
    expect(await countOf(table)).toBe(3);
  });

  test('the bookkeeping of an import waits for the answer to COMMIT no longer than its limit', async () => {
    const table = await database.table('a int');
    await setStandby('absent');
    const signal = new AbortController().signal;
    const work = (client: CopyClient) => {
      expectOtherStatements(client);
      return client.query(`INSERT INTO ${table} VALUES (1)`);
    };
    const failure = await inTransaction(database.pool(), OWN_TRANSACTION.begin, signal, work, 300).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(OpenCommit);
    expect(String(failure)).toContain(
      'COMMIT was sent and not answered: the server has not answered within 0.3 s',
    );
  });
});
