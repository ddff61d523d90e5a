/** `consumeLog` from a log in memory into a real PostgreSQL. */

import { afterEach, describe, expect, test } from 'vitest';
import { drainAll } from '../../../src/index.js';
import { consumeLog, CopyError, type ConsumeOptions, type LogLoad } from '../../../src/postgres/index.js';
import { MemoryLog, type MemoryLogKind } from '../../support/memory-log.js';
import { startProxy, type TestProxy } from '../../support/postgres-proxy.js';
import { useTestDatabase } from '../../support/postgres.js';
import { range } from '../../support/range.js';

const database = useTestDatabase();
const LEASE_MS = 1_000;

function start(
  log: MemoryLog,
  table: string,
  options: Partial<ConsumeOptions> = {},
  pool = database.pool(),
): LogLoad {
  pool.on('error', () => undefined);
  return consumeLog(log, pool, { table, importId: table, leaseMs: LEASE_MS, ...options });
}

/** Loads what is there, by one worker. */
async function loadAll(
  log: MemoryLog,
  table: string,
  options: Partial<ConsumeOptions> = {},
): Promise<LogLoad> {
  const load = start(log, table, { untilCaughtUp: true, ...options });
  await load.finished;
  return load;
}

async function idsOf(table: string): Promise<number[]> {
  return (await database.query<{ id: number }>(`SELECT id FROM ${table} ORDER BY id`)).map(({ id }) => id);
}

async function lanesOf(table: string): Promise<{ lane: number; next: number; run: number; held: boolean }[]> {
  return database.query(
    `SELECT lane::int, next::int, run, coalesce(lease_until > clock_timestamp(), false) AS held FROM spillway_lanes
      WHERE import = (SELECT id FROM spillway_imports WHERE import_id = $1) ORDER BY lane`,
    [table],
  );
}

function filled(count: number, kind: MemoryLogKind = { laneSize: 100 }): MemoryLog {
  const log = new MemoryLog(kind);
  for (const id of range(count))
    log.append({ id, n: 1 }, { lane: 'partitions' in kind ? id % kind.partitions : 0 });
  return log;
}

/** Resolves once the condition holds. */
async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 40_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('it has not come to that within 40 s');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe('consumeLog', () => {
  test('loads each message once, across lanes and runs, and merges finished lanes', async () => {
    const table = await database.table('id int, n int');
    const log = filled(1_050);
    const first = await loadAll(log, table, { batchSize: 30 });
    expect(await idsOf(table)).toEqual(range(1_050));
    expect(first.getMetrics()).toMatchObject({
      rowsLoaded: 1_050,
      deadLetters: 0,
      lanesFinished: 10,
      lanesHeld: 0,
    });
    for (const id of range(150, 1_050)) log.append({ id, n: 1 });
    const second = await loadAll(log, table);
    expect(second.getMetrics().rowsLoaded).toBe(150);
    expect(await idsOf(table)).toEqual(range(1_200));
    const lanes = await lanesOf(table);
    expect(lanes.length).toBeLessThan(5);
    expect(lanes.at(-1)).toMatchObject({ lane: 12, next: 1_201 });
  });

  test('of partitions that have positions of their own, every one is loaded, also those that come late', async () => {
    const table = await database.table('id int, n int');
    const log = filled(300, { partitions: 7 });
    const load = start(log, table, { connections: 8 });
    await until(async () => (await idsOf(table)).length === 300);
    for (const id of range(70, 300)) log.append({ id, n: 1 }, { lane: id % 7 });
    await until(async () => (await idsOf(table)).length === 370);
    await load.drain();
    expect(await idsOf(table)).toEqual(range(370));
  });

  test('what the table refuses and what is no JSON is among the dead letters once, with its reason', async () => {
    const table = await database.table('id int, n int CHECK (n < 1000)');
    const log = new MemoryLog({ laneSize: 40 });
    for (const id of range(200)) {
      if (id % 50 === 7) log.append('{"id": nonsense');
      else if (id % 50 === 8) log.append({ id, n: 5_000 });
      else if (id % 50 === 9) log.append({ id, n: 'many' });
      else if (id % 50 === 10) log.append('"text"');
      else log.append({ id, n: 1 });
    }
    const load = await loadAll(log, table, { batchSize: 13 });
    expect(load.getMetrics()).toMatchObject({ rowsLoaded: 184, deadLetters: 16 });
    expect(await idsOf(table)).toEqual(range(200).filter((id) => id % 50 < 7 || id % 50 > 10));
    const letters = await database.query<{ position: string; body: Buffer; error: string; sqlstate: string }>(
      `SELECT position, body, error, sqlstate, subject, published_at FROM spillway_dead_letters
        WHERE import = (SELECT id FROM spillway_imports WHERE import_id = $1) ORDER BY position LIMIT 4`,
      [table],
    );
    expect(letters.map(({ position }) => Number(position))).toEqual([8, 9, 10, 11]);
    expect(letters[0]).toMatchObject({ body: Buffer.from('{"id": nonsense'), subject: 'memory' });
    expect(letters[0]!.error).toContain('JSON');
    expect(letters[1]).toMatchObject({ sqlstate: '23514' });
    expect(letters[2]).toMatchObject({ sqlstate: '22P02' });
  });

  test('a first batch without one good message becomes dead letters, too', async () => {
    const table = await database.table('id int');
    const log = new MemoryLog({ laneSize: 100 });
    for (const text of ['bad', '', '[', '7', 'null', '{}x']) log.append(text);
    const load = await loadAll(log, table);
    expect(load.getMetrics()).toMatchObject({ rowsLoaded: 0, deadLetters: 6 });
    log.append({ id: 1 });
    await loadAll(log, table);
    expect(await idsOf(table)).toEqual([1]);
  });

  test('drainAll commits what is in flight, and frees the lanes at once', async () => {
    const table = await database.table('id int, n int');
    const log = filled(500);
    const load = start(log, table, { batchSize: 10, connections: 3 });
    await until(() => load.getMetrics().batches >= 2);
    const report = await drainAll([load], { timeoutMs: 30_000 });
    expect(report).toMatchObject({ undelivered: [], errors: [] });
    await load.finished;
    expect((await lanesOf(table)).filter(({ held }) => held)).toEqual([]);
    await loadAll(log, table);
    expect(await idsOf(table)).toEqual(range(500));
  });

  test('with onConflict lanes are loaded in order, by several workers, so that the latest row of a key wins', async () => {
    const table = await database.table('id int PRIMARY KEY, n int');
    const log = new MemoryLog({ laneSize: 20 });
    for (const n of range(400)) log.append({ id: n % 7, n });
    const options: Partial<ConsumeOptions> = {
      batchSize: 9,
      untilCaughtUp: true,
      ...{ onConflict: 'update', key: ['id'] },
    };
    const loads = [start(log, table, options), start(log, table, options)];
    await Promise.all(loads.map(({ finished }) => finished));
    const rows = await database.query(`SELECT id, n FROM ${table} ORDER BY id`);
    expect(rows).toEqual(range(7).map((id) => ({ id, n: 399 - ((399 - id) % 7) })));
  });

  test("from 'last' leaves out what was there at the first run", async () => {
    const table = await database.table('id int, n int');
    const log = filled(250);
    await loadAll(log, table, { from: 'last' });
    for (const id of range(100, 250)) log.append({ id, n: 1 });
    await loadAll(log, table, { from: 'last' });
    expect(await idsOf(table)).toEqual(range(100, 250));
  });

  test('an import of another table, another log or a file is refused', async () => {
    const [table, other] = [await database.table('id int, n int'), await database.table('id int, n int')];
    await loadAll(filled(10), table);
    await expect(loadAll(filled(10), other, { importId: table })).rejects.toThrow(/is one of table/);
    const another = new MemoryLog({ laneSize: 100 }, 'another');
    await expect(loadAll(another, table)).rejects.toThrow(/log was "memory" and is "another"/);
    await expect(loadAll(filled(10), 'missing')).rejects.toBeInstanceOf(CopyError);
  });

  test('a log that ends before what was loaded is another one', async () => {
    const table = await database.table('id int, n int');
    await loadAll(filled(150), table);
    await expect(loadAll(filled(120), table)).rejects.toMatchObject({
      failureClass: 'setup',
      name: 'LogError',
    });
    await expect(loadAll(filled(20), table)).rejects.toMatchObject({
      failureClass: 'setup',
      name: 'LogError',
    });
  });

  test('an import that is deleted while it runs ends the worker', async () => {
    const table = await database.table('id int, n int');
    const load = start(filled(150), table);
    await until(async () => (await idsOf(table)).length === 150);
    await database.query('DELETE FROM spillway_imports WHERE import_id = $1', [table]);
    await expect(load.finished).rejects.toThrow(/was deleted/);
  });
});

describe('consumeLog with faults', () => {
  let proxy: TestProxy | undefined;

  afterEach(async () => {
    await proxy?.close();
    proxy = undefined;
  });

  /** A pool whose connections go through the proxy. */
  async function proxied(): Promise<ReturnType<typeof database.pool>> {
    proxy = await startProxy(database.url);
    return database.pool({ connectionString: database.urlVia(proxy.host, proxy.port) });
  }

  test('a COMMIT whose answer is lost is not made again: the lane says that it has arrived', async () => {
    const table = await database.table('id int, n int');
    const log = filled(150);
    const pool = await proxied();
    let commits = 0;
    let isLosing = false;
    proxy!.onData = (chunk) => {
      if (!chunk.includes('COMMIT') || (commits += 1) % 7 !== 0) return undefined;
      // Every seventh COMMIT arrives, and its connection is cut before the answer.
      isLosing = true;
      setTimeout(() => {
        proxy!.cut();
        isLosing = false;
      }, 20);
      return undefined;
    };
    proxy!.onAnswer = () => (isLosing ? 'drop' : undefined);
    const load = start(log, table, { batchSize: 10, untilCaughtUp: true }, pool);
    await load.finished;
    expect(load.getMetrics().retries).toBeGreaterThan(0);
    expect(await idsOf(table)).toEqual(range(150));
    expect(load.getMetrics().rowsLoaded).toBe(150);
  });

  test('a worker that is cut off in the middle of a batch is superseded, and can write nothing more', async () => {
    const table = await database.table('id int PRIMARY KEY, n int');
    const log = filled(95);
    const pool = await proxied();
    let isSilent = false;
    let free = (): void => undefined;
    proxy!.onData = (chunk) => {
      // In the middle of the third batch's COPY.
      if (!isSilent && chunk.includes('COPY') && log.reads.size >= 30) {
        isSilent = true;
        setImmediate(() => (free = proxy!.silence()));
      }
      return undefined;
    };
    const cut = start(log, table, { batchSize: 10, connections: 1, maxFlushIntervalMs: 0 }, pool);
    await until(() => isSilent);
    const successor = await loadAll(log, table, { batchSize: 10 });
    expect(await idsOf(table)).toEqual(range(95));
    expect(successor.getMetrics().rowsLoaded).toBeGreaterThan(0);
    free();
    await cut.stop().catch(() => undefined);
    expect(await idsOf(table)).toEqual(range(95));
  });

  test('a worker that wakes up after its lease, and finds its lane taken, leaves it', async () => {
    const table = await database.table('id int, n int');
    const log = filled(60);
    let wake = (): void => undefined;
    let isAsleep = false;
    const asleep = new Promise<void>((resolve) => (wake = resolve));
    const sleeper = start(log, table, {
      batchSize: 10,
      connections: 1,
      // As a process that is stopped while it has a batch in flight: nothing happens until its lease is over.
      beforeCommit: async () => {
        if (isAsleep || log.reads.size < 30) return;
        isAsleep = true;
        await asleep;
      },
    });
    await until(() => isAsleep);
    await loadAll(log, table, { batchSize: 10 });
    expect(await idsOf(table)).toEqual(range(60));
    wake();
    await until(() => sleeper.getMetrics().lanesLost + sleeper.getMetrics().retries > 0);
    await sleeper.drain();
    expect(await idsOf(table)).toEqual(range(60));
  });

  test('a worker whose lane was claimed by another run between two batches commits nothing more to it', async () => {
    const table = await database.table('id int, n int');
    const log = filled(30);
    const worker = start(log, table, { connections: 1, leaseMs: 30_000, maxFlushIntervalMs: 0 });
    await until(async () => (await idsOf(table)).length === 30);
    await database.query(
      `UPDATE spillway_lanes SET run = run + 1, lease_until = clock_timestamp() + interval '1 hour'
        WHERE import = (SELECT id FROM spillway_imports WHERE import_id = $1)`,
      [table],
    );
    for (const id of range(30, 30)) log.append({ id, n: 1 });
    await until(() => worker.getMetrics().lanesLost === 1);
    expect(await idsOf(table)).toEqual(range(30));
    expect(await lanesOf(table)).toMatchObject([{ next: 31, run: 2, held: true }]);
    await worker.drain();
    // Nor has it given up what is not its own.
    expect(await lanesOf(table)).toMatchObject([{ next: 31, run: 2, held: true }]);
  });

  /** As a failover to a standby that had not got the last commits: the lane is where it was before, and its last rows are gone. */
  async function loseCommits(table: string, next: number): Promise<void> {
    await database.query(
      `WITH lane AS (UPDATE spillway_lanes SET next = $2 WHERE import = (SELECT id FROM spillway_imports WHERE import_id = $1))
        DELETE FROM ${table} WHERE id >= $2 - 1`,
      [table, next],
    );
  }

  test.each([
    { name: 'before the next batch', more: 30 },
    { name: 'while nothing more comes', more: 0 },
  ])('commits that the database has lost $name are made again', async ({ more }) => {
    const table = await database.table('id int, n int');
    const log = filled(30);
    const options = {
      connections: 1,
      leaseMs: more > 0 ? 60_000 : 1_000,
      maxFlushIntervalMs: 0,
      batchSize: 10,
    };
    const worker = start(log, table, options);
    await until(async () => (await idsOf(table)).length === 30);
    await loseCommits(table, 13);
    for (const id of range(more, 30)) log.append({ id, n: 1 });
    await until(async () => (await idsOf(table)).length === 30 + more);
    await worker.drain();
    expect(await idsOf(table)).toEqual(range(30 + more));
  });

  test('commits that the database has lost while a lane was being finished are made again', async () => {
    const table = await database.table('id int, n int');
    const log = filled(30, { laneSize: 20 });
    const worker = start(log, table, { connections: 1, maxFlushIntervalMs: 0 });
    await until(async () => (await idsOf(table)).length === 30);
    await database.query(
      `WITH lane AS (UPDATE spillway_lanes SET next = 5
          WHERE import = (SELECT id FROM spillway_imports WHERE import_id = $1) AND lane = 0)
        DELETE FROM ${table} WHERE id BETWEEN 4 AND 19`,
      [table],
    );
    await loadAll(log, table);
    await worker.drain();
    expect(await idsOf(table)).toEqual(range(30));
  });

  test('a batch that takes longer than the lease keeps its lane', async () => {
    const table = await database.table('id int, n int');
    const log = filled(60);
    const slow = start(log, table, {
      batchSize: 20,
      connections: 1,
      untilCaughtUp: true,
      beforeCommit: (client) => client.query('SELECT pg_catalog.pg_sleep(1.4)'),
    });
    const other = start(log, table, { batchSize: 20, untilCaughtUp: true });
    await Promise.all([slow.finished, other.finished]);
    expect(await idsOf(table)).toEqual(range(60));
    expect(slow.getMetrics().lanesLost).toBe(0);
  });
});
