/** The bookkeeping of imports against a real server: fencing, races, lost answers, and names that mean harm. */

import type pg from 'pg';
import { describe, expect, it } from 'vitest';
import { CopyError } from '../../../src/postgres/errors/copy-error.js';
import { AlreadyCommitted, SourceChanged } from '../../../src/postgres/imports/import-errors.js';
import { ImportLog, type ImportOptions } from '../../../src/postgres/imports/import-log.js';
import { useTestDatabase } from '../../support/postgres.js';

const database = useTestDatabase();

function openLog(pool: pg.Pool, options: Partial<ImportOptions<pg.PoolClient>> & { importId: string }) {
  return ImportLog.open<pg.PoolClient>(pool, { schema: 'public', table: 't', ...options });
}

/** A batch of `rows` rows, committed. */
async function commitBatch(
  pool: pg.Pool,
  log: ImportLog<pg.PoolClient>,
  first: number | bigint,
  last: number | bigint,
  rejects: { position: number; reject: unknown }[] = [],
): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    await log.writeCheckpoint(
      client,
      first,
      last,
      Number(last) - Number(first) + 1 - rejects.length,
      rejects,
    );
    await client.query('COMMIT');
    log.confirm(first, last);
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  } finally {
    client.release();
  }
}

async function rejectsOf(log: ImportLog<pg.PoolClient>): Promise<unknown[]> {
  const found: unknown[] = [];
  await log.readRejects((reject) => void found.push(reject));
  return found;
}

const rangesOf = (importId: string) =>
  database.query(
    `SELECT first_position::int AS first, last_position::int AS last, rows::int, rejected::int
     FROM spillway_import_ranges JOIN spillway_imports ON id = import WHERE import_id = $1 ORDER BY 1`,
    [importId],
  );

/** Resolves once some backend waits for a lock. */
async function someoneWaits(): Promise<void> {
  for (;;) {
    const rows = await database.query(
      "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
    );
    if (rows.length > 0) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describe('ImportLog', () => {
  it('remembers over runs what was committed, and nothing that was rolled back', async () => {
    const pool = database.pool();
    const first = await openLog(pool, { importId: 'simple', source: { size: 100 } });
    expect([first.isFirstRun, first.isFinished, first.rowsBefore]).toEqual([true, false, 0]);
    await commitBatch(pool, first, 0, 9);
    await commitBatch(pool, first, 20, 29, [{ position: 21, reject: { line: 22 } }]);
    const client = await pool.connect();
    await client.query('BEGIN');
    await first.writeCheckpoint(client, 10, 19, 10);
    await client.query('ROLLBACK');
    client.release();
    expect([first.has(9), first.has(10), first.has(19), first.has(20)]).toEqual([true, false, false, true]);

    const second = await openLog(pool, { importId: 'simple', source: { size: 100 } });
    expect([second.isFirstRun, second.isFinished, second.rowsBefore, second.rejectedBefore]).toEqual([
      false,
      false,
      19,
      1,
    ]);
    expect([second.has(0), second.has(9), second.has(10), second.has(29)]).toEqual([true, true, false, true]);
    await commitBatch(pool, second, 10, 19);
    await second.finish();

    const third = await openLog(pool, { importId: 'simple', source: { size: 100 } });
    expect([third.isFinished, third.rowsBefore, third.has(29), third.has(30)]).toEqual([
      true,
      29,
      true,
      false,
    ]);
    expect(await rejectsOf(third)).toEqual([{ line: 22 }]);
    // Finished, the ranges are one.
    expect(await rangesOf('simple')).toEqual([
      { first: 0, last: 29, rows: 20, rejected: 0 },
      { first: 20, last: 29, rows: 9, rejected: 1 },
    ]);
  });

  it('runs onFirstRun once, together with the first opening or not at all', async () => {
    const pool = database.pool();
    await database.query('CREATE TABLE once (n int)');
    const onFirstRun = (client: pg.PoolClient) => client.query('INSERT INTO once VALUES (1)');
    const failing = async (client: pg.PoolClient) => {
      await onFirstRun(client);
      throw new Error('no');
    };
    await expect(openLog(pool, { importId: 'once', onFirstRun: failing })).rejects.toThrow(
      'cannot begin import "once": no',
    );
    const swallowing = async (client: pg.PoolClient) => {
      await client.query('SELECT 1 / 0').catch(() => undefined);
    };
    await expect(openLog(pool, { importId: 'once', onFirstRun: swallowing })).rejects.toThrow(/aborted/);
    // Its locks are waited for as the session has it.
    const slow = async (client: pg.PoolClient) => {
      const { rows } = await client.query<{ lock_timeout: string }>('SHOW lock_timeout');
      expect(rows).toEqual([{ lock_timeout: '0' }]);
      await onFirstRun(client);
    };
    const log = await openLog(pool, { importId: 'once', onFirstRun: slow });
    expect(log.isFirstRun).toBe(true);
    expect((await openLog(pool, { importId: 'once', onFirstRun })).isFirstRun).toBe(false);
    expect(await database.query('SELECT count(*)::int FROM once')).toEqual([{ count: 1 }]);
  });

  it('is made once by many who open at the same time, and each run is another', async () => {
    const pool = database.pool({ max: 8 });
    await database.query('CREATE SCHEMA racing');
    const logs = await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        openLog(pool, { importId: `race ${index % 2}`, schema: 'racing' }),
      ),
    );
    expect(logs.filter(({ isFirstRun }) => isFirstRun)).toHaveLength(2);
    const rows = await database.query('SELECT run FROM racing.spillway_imports ORDER BY run');
    expect(rows).toEqual([{ run: 4 }, { run: 4 }]);
    // Of the runs of an import only the last can write.
    const outcomes = await Promise.allSettled(logs.map((log, index) => commitBatch(pool, log, index, index)));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(2);
    for (const outcome of outcomes) {
      if (outcome.status === 'fulfilled') continue;
      expect(outcome.reason).toMatchObject({ failureClass: 'setup', retryable: false });
      expect((outcome.reason as Error).message).toMatch(/another run of import "race \d" has taken over/);
    }
  });

  it('needs no right to create, once the tables are there', async () => {
    const pool = database.pool({ max: 1 });
    await openLog(pool, { importId: 'made' });
    const role = `loader_${process.pid}`;
    await database.query(`CREATE ROLE ${role}`);
    try {
      await database.query(`GRANT USAGE ON SCHEMA public TO ${role}`);
      await database.query(
        `GRANT SELECT, INSERT, UPDATE, DELETE ON spillway_imports, spillway_import_ranges TO ${role}`,
      );
      await pool.query(`SET ROLE ${role}`);
      const log = await openLog(pool, { importId: 'as loader' });
      await commitBatch(pool, log, 1, 5);
      await log.refresh();
      await log.finish();
      await database.query('CREATE SCHEMA closed');
      await expect(openLog(pool, { importId: 'x', schema: 'closed' })).rejects.toMatchObject({
        failureClass: 'setup',
        sqlState: '42501',
        message: 'cannot begin import "x": permission denied for schema closed',
      });
    } finally {
      await database.query(`DROP OWNED BY ${role}`);
      await database.query(`DROP ROLE ${role}`);
    }
  });

  it('takes nothing for its own that was left behind by imports whose table was dropped', async () => {
    const pool = database.pool();
    const schema = 'left_behind';
    await database.query(`CREATE SCHEMA ${schema}`);
    await commitBatch(pool, await openLog(pool, { importId: 'dropped', schema }), 0, 9);
    await database.query(`DROP TABLE ${schema}.spillway_imports CASCADE`);
    const log = await openLog(pool, { importId: 'new', schema });
    expect([log.isFirstRun, log.rowsBefore, log.has(0)]).toEqual([true, 0, false]);
    await commitBatch(pool, log, 0, 9);
    expect((await openLog(pool, { importId: 'new', schema })).rowsBefore).toBe(10);
  });

  it('refuses another source and another table, and says what differs', async () => {
    const pool = database.pool();
    const source = { files: [{ bytes: 10, sha256: 'aa' }], format: 'csv' };
    await openLog(pool, { importId: 'src', source });
    await openLog(pool, { importId: 'src', source: { format: 'csv', files: [{ sha256: 'aa', bytes: 10 }] } });
    const changed = openLog(pool, { importId: 'src', source: { ...source, format: 'ndjson' } });
    await expect(changed).rejects.toBeInstanceOf(SourceChanged);
    await expect(changed).rejects.toMatchObject({
      failureClass: 'setup',
      retryable: false,
      differences: [{ path: ['format'], before: 'csv', now: 'ndjson' }],
    });
    await expect(openLog(pool, { importId: 'src' })).rejects.toThrow(
      /was \{"files".* and is not given; load the same source, or give another import id/,
    );
    await expect(openLog(pool, { importId: 'src', source, table: 'other' })).rejects.toThrow(
      'import "src" is one of table "t", not of "other"',
    );
    // None of the refused has become a run.
    expect(await database.query("SELECT run FROM spillway_imports WHERE import_id = 'src'")).toEqual([
      { run: 2 },
    ]);
  });
});

describe('fencing', () => {
  it('a run that begins waits for a batch that is being committed, and sees it', async () => {
    const pool = database.pool();
    const old = await openLog(pool, { importId: 'wait' });
    const client = await pool.connect();
    await client.query('BEGIN');
    await old.writeCheckpoint(client, 0, 99, 100);
    const opening = openLog(pool, { importId: 'wait' });
    await someoneWaits();
    await client.query('COMMIT');
    client.release();
    const next = await opening;
    expect([next.has(0), next.has(99), next.rowsBefore]).toEqual([true, true, 100]);
  });

  it('sees it even where sessions are REPEATABLE READ by default', async () => {
    const pool = database.pool({ options: '-c default_transaction_isolation=repeatable\\ read' });
    const old = await openLog(pool, { importId: 'repeatable' });
    const client = await pool.connect();
    await client.query('BEGIN');
    await old.writeCheckpoint(client, 0, 99, 100);
    const opening = openLog(pool, { importId: 'repeatable' });
    await someoneWaits();
    await client.query('COMMIT');
    const next = await opening;
    expect(next.rowsBefore).toBe(100);
    // A batch of the old run that took its snapshot before the new run began: it must not be committed.
    await client.query('BEGIN');
    await client.query('SELECT 1');
    await openLog(pool, { importId: 'repeatable' });
    await expect(next.writeCheckpoint(client, 100, 199, 100)).rejects.toThrow();
    await client.query('ROLLBACK');
    client.release();
  });

  it('a batch that is marked while a new run begins is refused', async () => {
    const pool = database.pool();
    const old = await openLog(pool, { importId: 'begin' });
    const opener = await pool.connect();
    await opener.query('BEGIN');
    await opener.query("UPDATE spillway_imports SET run = run + 1 WHERE import_id = 'begin'");
    const batch = commitBatch(pool, old, 0, 9);
    const refused = expect(batch).rejects.toThrow(/has taken over/);
    await someoneWaits();
    await opener.query('COMMIT');
    opener.release();
    await refused;
    expect(await rangesOf('begin')).toEqual([]);
    await expect(old.refresh()).rejects.toThrow(/has taken over/);
    await expect(old.finish()).rejects.toThrow(/has taken over/);
  });

  it('the batch of a killed backend is gone, and the next run goes on', async () => {
    const pool = database.pool();
    const old = await openLog(pool, { importId: 'killed' });
    const client = await pool.connect();
    client.on('error', () => undefined);
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    await client.query('BEGIN');
    await old.writeCheckpoint(client, 0, 99, 100);
    const opening = openLog(pool, { importId: 'killed' });
    await someoneWaits();
    await database.query('SELECT pg_terminate_backend($1)', [rows[0]!.pid]);
    expect((await opening).rowsBefore).toBe(0);
    client.release(true);
  });

  it('waits no longer than its limit, with words that say for whom', async () => {
    const pool = database.pool();
    const old = await openLog(pool, { importId: 'limit' });
    const client = await pool.connect();
    await client.query('BEGIN');
    await old.writeCheckpoint(client, 0, 99, 100);
    await expect(openLog(pool, { importId: 'limit', lockTimeoutMs: 50 })).rejects.toMatchObject({
      message: 'cannot begin import "limit": another run of it is still writing',
      failureClass: 'transport',
    });
    // A loader that went silent after its mark is not waited for by the server for ever: less than that limit's default.
    const setting = await client.query<{ setting: string }>(
      "SELECT setting FROM pg_settings WHERE name = 'idle_in_transaction_session_timeout'",
    );
    expect(Number(setting.rows[0]!.setting)).toBe(20_000);
    await client.query('ROLLBACK');
    client.release();
  });

  it('an abort ends the wait at once, and leaves no client behind', async () => {
    const pool = database.pool();
    const old = await openLog(pool, { importId: 'abort' });
    const client = await pool.connect();
    await client.query('BEGIN');
    await old.writeCheckpoint(client, 0, 99, 100);
    const abort = new AbortController();
    const opening = ImportLog.open(pool, { importId: 'abort', schema: 'public', table: 't' }, abort.signal);
    const refused = expect(opening).rejects.toMatchObject({ failureClass: 'aborted' });
    await someoneWaits();
    abort.abort();
    await refused;
    await client.query('ROLLBACK');
    client.release();
  });
});

describe('a COMMIT whose answer was lost', () => {
  it('refresh waits for it and tells whether it arrived', async () => {
    const pool = database.pool();
    const log = await openLog(pool, { importId: 'ambiguous' });
    const client = await pool.connect();
    await client.query('BEGIN');
    await log.writeCheckpoint(client, 0, 9, 10);
    const refreshing = log.refresh();
    await someoneWaits();
    await client.query('COMMIT');
    client.release();
    await refreshing;
    expect([log.has(0), log.has(9), log.has(10)]).toEqual([true, true, false]);
  });

  it('a batch that is marked a second time is told apart from any other conflict', async () => {
    const pool = database.pool();
    const log = await openLog(pool, { importId: 'twice' });
    await commitBatch(pool, log, 0, 9);
    await expect(commitBatch(pool, log, 0, 9)).rejects.toBeInstanceOf(AlreadyCommitted);
    await expect(commitBatch(pool, log, 5, 4)).rejects.toMatchObject({ failureClass: 'setup' });
    expect(await rangesOf('twice')).toEqual([{ first: 0, last: 9, rows: 10, rejected: 0 }]);
  });
});

describe('many ranges', () => {
  it('are joined when there are too many; rejects, rows and gaps stay', async () => {
    const pool = database.pool();
    const log = await openLog(pool, { importId: 'many' });
    const [{ id }] = (await database.query("SELECT id FROM spillway_imports WHERE import_id = 'many'")) as [
      { id: string },
    ];
    // Every 500th has a reject, the one at 1000 as the first after a gap; 2 999 was not loaded.
    await database.query(
      `INSERT INTO spillway_import_ranges
       SELECT $1, n, n, 1 - bad, bad, CASE bad WHEN 1 THEN format('[[%s,"{\\"n\\":%s}"]]', n, n)::json END
       FROM generate_series(0, 5000) AS n, LATERAL (SELECT (n % 500 = 0)::int AS bad) AS marked
       WHERE n NOT IN (999, 2999)`,
      [id],
    );
    // A later batch around ranges that were there before.
    await commitBatch(pool, log, 5001, 5100, [
      { position: 5001, reject: { n: 5001 } },
      { position: 5050, reject: { n: 5050 } },
    ]);
    const next = await openLog(pool, { importId: 'many' });
    const ranges = await rangesOf('many');
    expect(ranges.length).toBeLessThan(20);
    const total = (name: 'rows' | 'rejected') =>
      (ranges as Record<string, number>[]).reduce((sum, range) => sum + range[name]!, 0);
    expect([total('rows'), total('rejected')]).toEqual([4999 - 11 + 98, 13]);
    expect([next.rowsBefore, next.rejectedBefore]).toEqual([4999 - 11 + 98, 13]);
    expect([next.has(998), next.has(999), next.has(1000), next.has(2999), next.has(5100)]).toEqual([
      true,
      false,
      true,
      false,
      true,
    ]);
    const again = await openLog(pool, { importId: 'many' });
    expect([again.has(998), again.has(999), again.has(2998), again.has(2999)]).toEqual([
      true,
      false,
      true,
      false,
    ]);
    const expected = Array.from({ length: 11 }, (_, index) => ({ n: index * 500 }));
    expect(await rejectsOf(again)).toEqual([...expected, { n: 5001 }, { n: 5050 }]);
  });

  it('rejects come in the order of their positions, also from ranges within ranges, page by page', async () => {
    const pool = database.pool();
    const log = await openLog(pool, { importId: 'order' });
    await commitBatch(pool, log, 300, 499, [{ position: 400, reject: 400 }]);
    const others = Array.from({ length: 450 }, (_, index) => index * 2).filter((n) => n < 300 || n > 499);
    await commitBatch(
      pool,
      log,
      0,
      1000,
      others.map((position) => ({ position, reject: position })),
    );
    expect(await rejectsOf(log)).toEqual([...others, 400].toSorted((a, b) => a - b));
  });
});

describe('hostile names and values', () => {
  it.each([
    "'; DROP TABLE spillway_imports; --",
    'a\\b"c$1%s\n\t\u0001',
    'ключ 😀 \u202e',
    '$$ || (SELECT 1)',
    '\\.',
    'x'.repeat(1000),
    '😀'.repeat(250),
  ])('import id %j', async (importId) => {
    const pool = database.pool();
    const log = await openLog(pool, { importId, source: { [importId]: importId } });
    await commitBatch(pool, log, 1, 2);
    const next = await openLog(pool, { importId, source: { [importId]: importId } });
    expect(next.rowsBefore).toBe(2);
    const rows = await database.query('SELECT source FROM spillway_imports WHERE import_id = $1', [importId]);
    expect(rows).toEqual([{ source: { [importId]: importId } }]);
  });

  it('schema and table names that need quotes', async () => {
    const pool = database.pool();
    const schema = 'sch"ema; DROP TABLE x; --\'';
    await database.query(`CREATE SCHEMA "${schema.replaceAll('"', '""')}"`);
    const options = { importId: 'x', schema, table: 'ta"ble\'; DELETE FROM x' };
    const log = await openLog(pool, options);
    await commitBatch(pool, log, 0, 4, [{ position: 0, reject: 'r' }]);
    await log.refresh();
    await log.finish();
    expect(await rejectsOf(log)).toEqual(['r']);
    expect((await openLog(pool, options)).rowsBefore).toBe(4);
  });

  it('rejects of any text: U+0000, half a surrogate pair, checkpoints of COPY and SQL', async () => {
    const pool = database.pool();
    const log = await openLog(pool, { importId: 'texts' });
    const reject = { 'k\u0000': ['\u0000', '\ud800', '\\.', '\\N', "'; DROP TABLE t", '😀', 1e300, null] };
    await commitBatch(pool, log, 0, 1, [{ position: 1, reject }]);
    expect(await rejectsOf(log)).toEqual([reject]);
  });

  it('positions beyond what a number can hold', async () => {
    const pool = database.pool();
    const log = await openLog(pool, { importId: 'large' });
    const largest = 2n ** 63n - 1n;
    await commitBatch(pool, log, 1 - Number.MAX_SAFE_INTEGER, 2 - Number.MAX_SAFE_INTEGER);
    await commitBatch(pool, log, largest - 1n, largest);
    await commitBatch(pool, log, -largest, -largest + 3n);
    const next = await openLog(pool, { importId: 'large' });
    expect([next.has(largest), next.has(largest - 2n), next.has(-largest + 3n)]).toEqual([true, false, true]);
  });

  it('type parsers of the user’s, as for bigint, change nothing', async () => {
    const wrapped = (value: string) => `<${value}>`;
    // But for text, of which node-postgres knows no other form.
    const types: pg.CustomTypesConfig = {
      getTypeParser: (oid: number) => (oid === 25 ? (value: string) => value : wrapped),
    };
    const pool = database.pool({ types });
    const log = await openLog(pool, { importId: 'parsers', source: { a: 1 } });
    await commitBatch(pool, log, 3, 4, [{ position: 3, reject: 'x' }]);
    const next = await openLog(pool, { importId: 'parsers', source: { a: 1 } });
    expect([next.isFinished, next.rowsBefore, next.has(3), next.has(5)]).toEqual([false, 1, true, false]);
  });

  it('a table of the user’s that happens to have the name is an error in words', async () => {
    const pool = database.pool();
    await database.query('CREATE SCHEMA taken');
    await database.query('CREATE TABLE taken.spillway_imports (x int)');
    const opening = openLog(pool, { importId: 'x', schema: 'taken' });
    await expect(opening).rejects.toBeInstanceOf(CopyError);
    await expect(opening).rejects.toMatchObject({ failureClass: 'setup' });
  });
});
