/** `consumeLog` from a log in memory into a real PostgreSQL. */

import { afterEach, describe, expect, test } from 'vitest';
import { drainAll } from '../../../src/index.js';
import {
  consumeLog,
  CopyError,
  LogError,
  type ConsumeOptions,
  type LogCopy,
  type LogLoad,
} from '../../../src/postgres/index.js';
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
    expect(letters[2]!.error).toMatch(
      /failed at position 10, column "n": invalid input syntax for type integer: "many"$/,
    );
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

  test('a row that takes longer than a time limit ends the load by the position of its message', async () => {
    const table = await database.table('id int, n int');
    await database.query(
      `CREATE FUNCTION ${table}_slow() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN IF NEW.id = 1 THEN PERFORM pg_catalog.pg_sleep(60); END IF; RETURN NEW; END $$;
       CREATE TRIGGER slow BEFORE INSERT ON ${table} FOR EACH ROW EXECUTE FUNCTION ${table}_slow()`,
    );
    const pool = database.pool({ options: '-c statement_timeout=5000' });
    const load = start(filled(2), table, { untilCaughtUp: true }, pool);
    const error: unknown = await load.finished.catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ failureClass: 'setup', sqlState: '57014' });
    expect(String(error)).toMatch(/ at position 2: .*statement_timeout/);
    expect(String(error)).not.toContain('of the batch:');
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

  describe('deadLetterSubject', () => {
    const withFaults = (log: MemoryLog): number[] => {
      for (const id of range(60))
        log.append(id % 3 === 1 ? `bad ${id}` : { id, n: 1 }, { subject: `in.${id}` });
      return range(60).filter((id) => id % 3 === 1);
    };
    const owed = async (table: string): Promise<number> => {
      const [row] = await database.query<{ count: number }>(
        `SELECT count(*)::int FROM spillway_dead_letters WHERE copy_to IS NOT NULL
          AND import = (SELECT id FROM spillway_imports WHERE import_id = $1)`,
        [table],
      );
      return row!.count;
    };

    test('each dead letter is copied with where it was and why, also if the log is out of reach for a while', async () => {
      const table = await database.table('id int, n int');
      const log = new MemoryLog({ laneSize: 20 });
      const bad = withFaults(log);
      const copies = new Map<string, LogCopy>();
      let calls = 0;
      log.onPublish = (copy, subject) => {
        expect(subject).toBe('dead.letters');
        if ((calls += 1) % 7 === 3) throw new LogError('unreachable', 'out of reach');
        copies.set(copy.id, copy);
      };
      const load = await loadAll(log, table, { deadLetterSubject: 'dead.letters', batchSize: 10 });
      // Before the load ends, and each at least once.
      expect([...copies.values()].map(({ bytes }) => Buffer.from(bytes).toString()).toSorted()).toEqual(
        bad.map((id) => `bad ${id}`).toSorted(),
      );
      const copy = [...copies.values()].find(({ headers }) => headers['Spillway-Position']![0] === '5')!;
      expect(copy.id).toMatch(/^spillway:\w+:\d+:0:5$/);
      expect(copy.headers).toMatchObject({
        'Spillway-Import': [table],
        'Spillway-Subject': ['in.4'],
        'Spillway-Lane': ['0'],
        'Spillway-Error': [expect.stringContaining('JSON')],
        'Spillway-SqlState': [expect.stringMatching(/^\w{5}$/)],
        'Spillway-Timestamp': ['2023-11-14T22:13:20.000000Z'],
      });
      expect(await owed(table)).toBe(0);
      expect(load.getMetrics()).toMatchObject({
        deadLetters: 20,
        deadLettersCopied: 20,
        waitingFor: undefined,
      });
    });

    test('what a worker could not copy is made up for by the next one, under the same ids', async () => {
      const table = await database.table('id int, n int');
      const log = new MemoryLog({ laneSize: 20 });
      const bad = withFaults(log);
      const tried = new Set<string>();
      log.onPublish = ({ id }) => {
        tried.add(id);
        throw new LogError('unreachable', 'out of reach');
      };
      const options = { deadLetterSubject: 'dead.letters' };
      const first = start(log, table, options);
      await until(() => first.getMetrics().rowsLoaded === 40 && first.getMetrics().waitingFor === 'log');
      await first.drain();
      expect(await owed(table)).toBe(bad.length);
      const copied: string[] = [];
      log.onPublish = ({ id }) => void copied.push(id);
      await loadAll(log, table, options);
      expect(await owed(table)).toBe(0);
      expect(new Set(copied).size).toBe(bad.length);
      expect(copied).toHaveLength(bad.length);
      expect([...tried].every((id) => copied.includes(id))).toBe(true);
    });

    test('a log that cannot publish, or refuses to, ends the load', async () => {
      const table = await database.table('id int, n int');
      const log = new MemoryLog({ laneSize: 20 });
      withFaults(log);
      const options = { deadLetterSubject: 'dead.letters' };
      await expect(loadAll(log, table, options)).rejects.toThrow(
        /cannot copy dead letters.*--dead-letter-subject/,
      );
      log.onPublish = () => {
        throw new LogError('setup', 'the subject is closed');
      };
      await expect(loadAll(log, table, options)).rejects.toThrow('the subject is closed');
      // Without the option nothing is owed.
      await loadAll(log, table, { importId: `${table}-2` });
      expect(await owed(`${table}-2`)).toBe(0);
    });
  });

  test('maxRejects holds over all workers, to the letter, and a raised limit goes on behind it', async () => {
    const table = await database.table('id int PRIMARY KEY, n int CHECK (n < 9)');
    const log = new MemoryLog({ laneSize: 20 });
    // Each batch of five has one that is refused.
    for (const id of range(150)) log.append({ id, n: id % 5 === 3 ? 9 : 1 });
    const options: Partial<ConsumeOptions> = {
      batchSize: 5,
      connections: 3,
      maxRejects: 10,
      untilCaughtUp: true,
    };
    const loads = [start(log, table, options), start(log, table, options)];
    const ends = await Promise.allSettled(loads.map(({ finished }) => finished));
    const letters = (): Promise<{ position: number }[]> =>
      database.query(
        `SELECT position::int FROM spillway_dead_letters
          WHERE import = (SELECT id FROM spillway_imports WHERE import_id = $1) ORDER BY position`,
        [table],
      );
    for (const end of ends) {
      expect(end).toMatchObject({
        reason: {
          name: 'CopyError',
          failureClass: 'setup',
          message: expect.stringMatching(
            /has 10 dead letters, and a batch would add 1, of lane \d+ at position \d*[49] .*check.*more than 10;.*--max-rejects/,
          ) as string,
        },
      });
    }
    expect(await letters()).toHaveLength(10);
    expect(await idsOf(table)).toHaveLength(40);
    await expect(loadAll(log, table, options)).rejects.toThrow(/more than 10/);
    expect(await letters()).toHaveLength(10);
    // What was dealt with makes room.
    await database.query(
      `DELETE FROM spillway_dead_letters WHERE import = (SELECT id FROM spillway_imports WHERE import_id = $1)`,
      [table],
    );
    await expect(loadAll(log, table, options)).rejects.toThrow(/more than 10/);
    expect(await letters()).toHaveLength(10);
    await loadAll(log, table, { ...options, maxRejects: 20 });
    expect(await letters()).toHaveLength(20);
    expect(await idsOf(table)).toEqual(range(150).filter((id) => id % 5 !== 3));
  });

  test('maxRejects 0 stores nothing of the first batch with a message that is refused, also if it is alone', async () => {
    const table = await database.table('id int, n int');
    const log = filled(10);
    log.append('nonsense');
    const load = start(log, table, { maxRejects: 0, batchSize: 10 });
    await expect(load.finished).rejects.toThrow(
      /has 0 dead letters, and a batch would add 1, of lane 0 at position 11 .*more than 0/,
    );
    expect(await idsOf(table)).toEqual(range(10));
    expect((await lanesOf(table)).at(-1)).toMatchObject({ next: 11, held: false });
  });

  test('the tables are checked before anything else in each transaction, also when a batch begins again', async () => {
    const table = await database.table('id int, n int, note text');
    const pool = database.pool();
    // Of each connection: they work side by side.
    const sessions: string[][] = [];
    pool.on('connect', (client) => {
      const texts: string[] = [];
      sessions.push(texts);
      const query = client.query.bind(client) as (...args: unknown[]) => unknown;
      client.query = ((...args: unknown[]) => {
        const [first] = args as [unknown];
        texts.push(typeof first === 'string' ? first : ((first as { text?: string }).text ?? ''));
        return query(...args);
      }) as typeof client.query;
    });
    const log = filled(30);
    // Refused in binary, and then as text.
    log.append({ id: 'none', n: 1 });
    log.append({ id: 31, n: 1 });
    const load = await (async () => {
      const started = start(log, table, { untilCaughtUp: true, batchSize: 8, format: 'binary' }, pool);
      await started.finished;
      return started;
    })();
    expect(load.getMetrics()).toMatchObject({ rowsLoaded: 31, deadLetters: 1 });
    const uses = sessions
      .flatMap((texts) => texts.join('\n;').split(/^;?(?=.*BEGIN)/m))
      .filter((text) => text.includes('spillway_lanes'));
    expect(uses.length).toBeGreaterThan(4);
    for (const use of uses.slice(1)) {
      const place = use.search(/(UPDATE|INTO|FROM)[^;]*spillway_lanes/);
      if (place >= 0) expect(use.slice(0, place)).toMatch(/LOCK TABLE/);
    }
  });

  test("from 'last' leaves out what was there at the first run", async () => {
    const table = await database.table('id int, n int');
    const log = filled(250);
    await loadAll(log, table, { from: 'last' });
    for (const id of range(100, 250)) log.append({ id, n: 1 });
    await loadAll(log, table, { from: 'last' });
    expect(await idsOf(table)).toEqual(range(100, 250));
  });

  test('from a time or a position begins there, across lanes, and the import goes on without the option', async () => {
    const log = new MemoryLog({ laneSize: 20 });
    const time = (id: number): number => 1_700_000_000_000 + 1_000 * id;
    for (const id of range(90)) log.append({ id, n: 1 }, { at: time(id) });
    const starts: [ConsumeOptions['from'], number][] = [
      [new Date(time(50)), 50],
      [new Date(time(50) + 1).toISOString(), 51],
      [new Date(time(89) + 1), 90],
      [new Date(0), 0],
      [41, 40],
      [91, 90],
      [1, 0],
    ];
    for (const [from, first] of starts) {
      const table = await database.table('id int, n int');
      await loadAll(log, table, { from });
      expect(await idsOf(table)).toEqual(range(90 - first, first));
      await loadAll(log, table, { from });
      await loadAll(log, table);
      expect(await idsOf(table)).toEqual(range(90 - first, first));
    }
  });

  test('from a time begins in each partition at its own position', async () => {
    const table = await database.table('id int, n int');
    const log = new MemoryLog({ partitions: 3 });
    for (const id of range(60)) log.append({ id, n: 1 }, { lane: id % 7 === 0 ? 0 : 1, at: 1_000 * id });
    await loadAll(log, table, { from: new Date(30_000) });
    expect(await idsOf(table)).toEqual(range(30, 30));
    await expect(loadAll(log, table, { from: 7, importId: `${table}-2` })).rejects.toThrow(
      /positions of its own/,
    );
  });

  test('an import that has begun refuses another start, and keeps its own if it is not given', async () => {
    const table = await database.table('id int, n int');
    const log = filled(50);
    await loadAll(log, table, { from: 21 });
    for (const from of ['first', 'last', 22, new Date(0)] as const) {
      await expect(loadAll(log, table, { from })).rejects.toMatchObject({
        failureClass: 'setup',
        message: expect.stringMatching(/from was 21 and is .*give another import id/) as string,
      });
    }
    // The first worker has died before it made a lane.
    await database.query(
      'DELETE FROM spillway_lanes WHERE import = (SELECT id FROM spillway_imports WHERE import_id = $1)',
      [table],
    );
    await database.query(`TRUNCATE ${table}`);
    await loadAll(log, table);
    expect(await idsOf(table)).toEqual(range(30, 20));
  });

  test('from a position that the log does not have is refused; if it was deleted, unless gaps are allowed', async () => {
    const table = await database.table('id int, n int');
    const log = filled(50);
    await expect(loadAll(log, table, { from: 52 })).rejects.toMatchObject({ failureClass: 'setup' });
    log.deleteBefore(31);
    const deleted = { importId: `${table}-2`, from: 11 };
    await expect(loadAll(log, table, deleted)).rejects.toMatchObject({
      failureClass: 'loss',
      message: expect.stringContaining('positions 11 to 30') as string,
    });
    const load = await loadAll(log, table, { ...deleted, allowGaps: true });
    expect(load.getMetrics()).toMatchObject({ positionsLost: 20, rowsLoaded: 20 });
    expect(await idsOf(table)).toEqual(range(20, 30));
  });

  test('progress counts what is loaded over all workers and runs, and how far the import is behind', async () => {
    const table = await database.table('id int, n int CHECK (n < 9)');
    const log = filled(340);
    log.append({ id: -1, n: 10 });
    await loadAll(log, table);
    let isHeld = false;
    let proceed = (): void => undefined;
    const held = new Promise<void>((resolve) => (proceed = resolve));
    // Lane 3 has 342 to 400, of which the first position has no message; lane 4 has 401 to 450.
    log.append({ id: 0, n: 1 }, { skip: 1, at: Date.now() - 60_000 });
    for (const id of range(107)) log.append({ id, n: 1 }, { at: Date.now() - 1_000 - id });
    const options: Partial<ConsumeOptions> = { connections: 1, batchSize: 1_000, leaseMs: 60_000 };
    const load = start(log, table, {
      ...options,
      beforeCommit: () => {
        isHeld = true;
        return held;
      },
    });
    await until(() => isHeld);
    const before = await load.progress();
    expect(before).toMatchObject({
      lagMessages: 108,
      lanesHeldHere: 1,
      lanesHeldElsewhere: 0,
      lanesFree: 1,
      lanesFinished: 3,
      rowsLoaded: 340,
      deadLetters: 1,
    });
    expect(before.lagMs).toBeGreaterThanOrEqual(60_000);
    expect(before.lagMs).toBeLessThan(600_000);
    expect(await load.progress()).toBe(before);
    const other = start(log, table, options);
    await until(async () => (await other.progress()).lagMessages === 58);
    expect(await other.progress()).toMatchObject({
      lanesHeldHere: 1,
      lanesHeldElsewhere: 1,
      lanesFree: 0,
      rowsLoaded: 390,
    });
    proceed();
    await until(async () => (await other.progress()).lagMessages === 0);
    await Promise.all([load.drain(), other.drain()]);
    await until(async () => (await load.progress()).lanesFree === 1);
    expect(await load.progress()).toMatchObject({
      lagMessages: 0,
      lagMs: 0,
      lanesHeldHere: 0,
      lanesHeldElsewhere: 0,
      lanesFinished: 4,
      rowsLoaded: 448,
      deadLetters: 1,
    });
    expect(load.getMetrics()).toMatchObject({ waitingFor: undefined, waitingSince: undefined });
  });

  test('progress of partitions adds up their lags, and takes the oldest message of them', async () => {
    const table = await database.table('id int, n int');
    const log = new MemoryLog({ partitions: 3 });
    for (const id of range(30))
      log.append({ id, n: 1 }, { lane: id % 3, at: Date.now() - (id % 3) * 1_000_000 });
    let proceed = (): void => undefined;
    const held = new Promise<void>((resolve) => (proceed = resolve));
    const load = start(log, table, {
      connections: 1,
      batchSize: 4,
      leaseMs: 60_000,
      beforeCommit: () => held,
    });
    await until(() => load.getMetrics().lanesHeld === 1);
    const progress = await load.progress();
    expect(progress).toMatchObject({ lagMessages: 30, lanesFree: 2, lanesFinished: 0, rowsLoaded: 0 });
    expect(progress.lagMs).toBeGreaterThanOrEqual(2_000_000);
    expect(progress.lagMs).toBeLessThan(3_000_000);
    proceed();
    await load.drain();
  });

  test('progress of a load that could not begin rejects with what has ended it', async () => {
    const load = start(filled(10), 'missing');
    await expect(load.finished).rejects.toBeInstanceOf(CopyError);
    await expect(load.progress()).rejects.toThrow(/missing/);
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

  test('the metrics say that the database is waited for, and since when', async () => {
    const table = await database.table('id int, n int');
    const log = filled(20);
    const pool = await proxied();
    const load = start(log, table, {}, pool);
    await until(() => load.getMetrics().rowsLoaded === 20);
    const before = Date.now();
    proxy!.onData = () => {
      proxy!.cut();
      return 'drop';
    };
    log.append({ id: 20, n: 1 });
    await until(() => load.getMetrics().waitingFor !== undefined);
    const { waitingFor, waitingSince } = load.getMetrics();
    expect(waitingFor).toBe('database');
    expect(waitingSince!.getTime()).toBeGreaterThanOrEqual(before - 1_000);
    expect(waitingSince!.getTime()).toBeLessThanOrEqual(Date.now() + 1_000);
    await expect(load.progress()).rejects.toBeInstanceOf(CopyError);
    proxy!.onData = () => undefined;
    await until(() => load.getMetrics().rowsLoaded === 21);
    await until(() => load.getMetrics().waitingFor === undefined);
    expect((await load.progress()).lagMessages).toBe(0);
    await load.drain();
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

  test('the session of a worker that is cut off is ended also while all other workers are busy', async () => {
    const table = await database.table('id int');
    const log = new MemoryLog({ laneSize: 40 });
    for (const id of range(200)) log.append({ id });
    const pool = await proxied();
    let isSilent = false;
    let free = (): void => undefined;
    proxy!.onData = (chunk) => {
      if (!isSilent && chunk.includes('COPY')) {
        isSilent = true;
        // The rows do not arrive: the session waits for them, in the middle of COPY.
        setImmediate(() => (free = proxy!.silence()));
      }
      return undefined;
    };
    const cut = start(log, table, { batchSize: 10, connections: 1 }, pool);
    const stalled = async (): Promise<boolean> => {
      const sessions = await database.query(
        `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'ClientRead' AND state = 'active'`,
      );
      return sessions.length > 0;
    };
    await until(stalled);
    let pass = (): void => undefined;
    const held = new Promise<void>((resolve) => (pass = resolve));
    const busy = start(log, table, { batchSize: 10, connections: 1, beforeCommit: () => held });
    await until(async () => !(await stalled()));
    pass();
    free();
    await cut.stop().catch(() => undefined);
    await until(async () => (await idsOf(table)).length === 200);
    await busy.drain();
    expect(await idsOf(table)).toEqual(range(200));
  });

  test.each([
    { name: 'claims a lane', text: 'FOR UPDATE SKIP LOCKED' },
    { name: 'makes lanes', text: 'json_array_elements' },
  ])('a worker that is cut off while it $name keeps nothing from the others', async ({ text }) => {
    const table = await database.table('id int, n int');
    const log = filled(250);
    const pool = await proxied();
    let isSilent = false;
    let free = (): void => undefined;
    proxy!.onAnswer = () => (isSilent ? 'drop' : undefined);
    proxy!.onData = (chunk) => {
      if (isSilent || !chunk.includes(text)) return undefined;
      isSilent = true;
      setImmediate(() => (free = proxy!.silence()));
      return undefined;
    };
    const cut = start(log, table, { connections: 1 }, pool);
    await until(() => isSilent);
    const other = start(log, table);
    await until(async () => (await idsOf(table)).length === 250);
    free();
    await cut.stop().catch(() => undefined);
    await other.drain();
    expect(await idsOf(table)).toEqual(range(250));
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
