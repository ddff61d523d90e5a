/** Programs by hand and the same with Spillway, each before the same fault of a real PostgreSQL. The guide's table says what is asserted here. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { afterAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { loseCommits } from '../support/lost-commits.js';
import { startProxy, type TestProxy } from '../support/postgres-proxy.js';
import { useTestDatabase } from '../support/postgres.js';
import { range } from '../support/range.js';
import { runRecipe, startRecipe, type RecipeOptions, type RunningRecipe } from '../support/recipe.js';
import { until } from '../support/until.js';

const PROGRAMS = [
  'service-by-hand',
  'service',
  'worker-by-p-queue',
  'worker',
  'import-by-copy-streams',
  'import',
];

const database = useTestDatabase();
const folder = mkdtempSync(path.join(tmpdir(), 'spillway-before-and-after-'));
afterAll(() => rmSync(folder, { recursive: true }));
beforeEach(async () => {
  await database.query('DROP TABLE IF EXISTS events');
  // The table refuses names of more than 20 characters.
  await database.query('CREATE TABLE events (id int, name varchar(20))');
});

const event = (id: number) => ({ id, name: `event ${id}` });
const events = (count: number, from = 0) => range(count, from).map(event);
const withBadOne = (count: number) =>
  events(count).map((row) => (row.id === 13 ? { ...row, name: 'much too long for its column' } : row));
const ndjson = (rows: object[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

/** A new file: the name of one is the id of its import. */
function fileOf(rows: object[]): string {
  const file = path.join(mkdtempSync(path.join(folder, 'import-')), 'events.ndjson');
  writeFileSync(file, ndjson(rows));
  return file;
}

function optionsFor(url = database.url): RecipeOptions & { env: NodeJS.ProcessEnv } {
  return { folder: 'before-and-after', env: { DATABASE_URL: url, PGAPPNAME: 'recipe' } };
}

async function stored(): Promise<{ rows: number; ids: number }> {
  const [counts] = await database.query<{ rows: number; ids: number }>(
    'SELECT count(*)::int AS rows, count(DISTINCT id)::int AS ids FROM events',
  );
  return counts!;
}

/** Locks the table, as a migration would, and returns a function that gives it free. */
async function lockTable(): Promise<() => Promise<void>> {
  const locker = new pg.Client({ connectionString: database.url });
  await locker.connect();
  const unlock = () => locker.end();
  onTestFinished(unlock);
  await locker.query('BEGIN; LOCK TABLE events');
  return unlock;
}

const untilItWaits = () =>
  until(async () => {
    const waiting = await database.query(
      "SELECT 1 FROM pg_stat_activity WHERE application_name = 'recipe' AND wait_event_type = 'Lock' AND datname = current_database()",
    );
    return waiting.length > 0;
  });

/** Ends the connections of the program while its statement waits. */
async function terminateItsBackends(): Promise<void> {
  await untilItWaits();
  await database.query(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'recipe' AND datname = current_database()",
  );
}

interface Service extends RunningRecipe {
  post(events: object[]): Promise<number>;
}

async function startService(name: string): Promise<Service> {
  const options = optionsFor();
  const service = startRecipe(name, { ...options, env: { ...options.env, PORT: '0' } });
  onTestFinished(async () => {
    service.child.kill('SIGKILL');
    await service.ended;
  });
  const address = /http:\S+/.exec(await service.printed('listening at'))![0];
  const post = async (batch: object[]) => {
    const body = JSON.stringify(batch);
    const headers = { 'content-type': 'application/json', connection: 'close' };
    return (await fetch(`${address}/events`, { method: 'POST', headers, body })).status;
  };
  return { ...service, post };
}

async function proxyThat(prepare: (proxy: TestProxy) => void): Promise<string> {
  const proxy = await startProxy(database.url);
  onTestFinished(() => proxy.close());
  prepare(proxy);
  return database.urlVia(proxy.host, proxy.port);
}

/** The first response that has `text` is lost, with all connections. */
function loseAnswer(proxy: TestProxy, text: string): void {
  let isLost = false;
  proxy.onAnswer = (chunk) => {
    if (isLost || !chunk.includes(text)) return undefined;
    isLost = true;
    setImmediate(() => proxy.cut());
    return 'drop';
  };
}

describe.each([
  { name: 'service-by-hand', accepts: 20_000, refused: 100, terminated: 100 },
  { name: 'service', accepts: 10_000, refused: 1, terminated: 0 },
])('$name', ({ name, accepts, refused, terminated }) => {
  const isByHand = name.endsWith('by-hand');

  it(`accepts ${accepts} of 20,000 events while the table is locked, and stores what it accepted`, async () => {
    const unlock = await lockTable();
    const service = await startService(name);
    let accepted = 0;
    for (const start of range(20)) {
      const status = await service.post(events(1_000, start * 1_000));
      expect(status).toBe(accepted < accepts ? 202 : 503);
      if (status === 202) accepted += 1_000;
    }
    expect(accepted).toBe(accepts);
    await unlock();
    service.child.kill('SIGTERM');
    expect(await service.ended).toMatchObject({ stderr: '' });
    expect(await stored()).toEqual({ rows: accepts, ids: accepts });
  });

  it(`loses ${refused} of 100 events if the table refuses one`, async () => {
    const service = await startService(name);
    expect(await service.post(withBadOne(100))).toBe(202);
    service.child.kill('SIGTERM');
    const { stderr } = await service.ended;
    expect(stderr).toMatch(
      isByHand ? /^100 events lost: value too long/ : /^event 13 lost: .*value too long/,
    );
    expect(await stored()).toEqual({ rows: 100 - refused, ids: 100 - refused });
  });

  it(`loses ${terminated} of 100 events if their connection ends in the middle of the batch`, async () => {
    const unlock = await lockTable();
    const service = await startService(name);
    expect(await service.post(events(100))).toBe(202);
    await terminateItsBackends();
    await unlock();
    if (isByHand) await until(async () => !(await isAtWork()));
    service.child.kill('SIGTERM');
    const { stderr } = await service.ended;
    expect(stderr.includes('100 events lost')).toBe(isByHand);
    expect(await stored()).toEqual({ rows: 100 - terminated, ids: 100 - terminated });
  });

  it(`${isByHand ? 'waits without an end' : 'ends in time, and counts what is undelivered,'} after SIGTERM if the table stays locked`, async () => {
    const unlock = await lockTable();
    const service = await startService(name);
    expect(await service.post(events(100))).toBe(202);
    await untilItWaits();
    service.child.kill('SIGTERM');
    if (isByHand) {
      // Longer than the other one takes.
      const pause = new Promise((resolve) => setTimeout(() => resolve('waits'), 6_000));
      expect(await Promise.race([service.ended, pause])).toBe('waits');
    } else {
      expect(await service.ended).toMatchObject({ signal: 'SIGTERM' });
      expect((await service.ended).stderr).toContain('100 items were not delivered');
    }
    await unlock();
  });
});

async function isAtWork(): Promise<boolean> {
  const active = await database.query(
    "SELECT 1 FROM pg_stat_activity WHERE application_name = 'recipe' AND state = 'active' AND datname = current_database()",
  );
  return active.length > 0;
}

describe.each([
  { name: 'worker-by-p-queue', transactions: 1_000 },
  { name: 'worker', transactions: 10 },
])('$name', ({ name, transactions }) => {
  const isByQueue = name.endsWith('queue');

  it(`stores 1,000 events in ${isByQueue ? '' : 'at most '}${transactions} transactions`, async () => {
    const end = await runRecipe(name, { ...optionsFor(), input: ndjson(events(1_000)) });
    expect(end).toMatchObject({ code: 0, stderr: '' });
    expect(await stored()).toEqual({ rows: 1_000, ids: 1_000 });
    const [made] = await database.query<{ n: number }>(
      'SELECT count(DISTINCT xmin::text)::int AS n FROM events',
    );
    if (isByQueue) expect(made!.n).toBe(transactions);
    else expect(made!.n).toBeLessThanOrEqual(transactions);
  });

  it('loses only the event that the table refuses', async () => {
    const end = await runRecipe(name, { ...optionsFor(), input: ndjson(withBadOne(100)) });
    expect(end.stderr).toMatch(/^event 13 lost: .*value too long.*\n$/);
    expect(await stored()).toEqual({ rows: 99, ids: 99 });
  });

  it('loses no event if connections end in the middle of statements', async () => {
    const unlock = await lockTable();
    const running = startRecipe(name, { ...optionsFor(), input: ndjson(events(100)) });
    await terminateItsBackends();
    await unlock();
    expect((await running.ended).code).toBe(0);
    expect(await stored()).toEqual({ rows: 100, ids: 100 });
  });

  it(`stores ${isByQueue ? 'some events twice' : 'each event once'} if the response to a commit is lost`, async () => {
    const url = await proxyThat((proxy) =>
      isByQueue
        ? loseAnswer(proxy, 'INSERT 0 1')
        : loseCommits(proxy, (commit) => (commit === 1 ? 'answer' : undefined)),
    );
    expect((await runRecipe(name, { ...optionsFor(url), input: ndjson(events(100)) })).code).toBe(0);
    const { rows, ids } = await stored();
    expect(ids).toBe(100);
    if (isByQueue) expect(rows).toBeGreaterThan(100);
    else expect(rows).toBe(100);
  });
});

describe.each([
  { name: 'import-by-copy-streams', refused: 1_000, terminated: 1_000, twice: 2_000 },
  { name: 'import', refused: 1, terminated: 0, twice: 1_000 },
])('$name', ({ name, refused, terminated, twice }) => {
  const isByHand = name.includes('by-copy');
  const run = (file: string, url?: string) => runRecipe(name, { ...optionsFor(url), args: [file] });

  it(`loses ${refused} of 1,000 rows if the table refuses one`, async () => {
    const { code, stderr } = await run(fileOf(withBadOne(1_000)));
    expect(code).toBe(isByHand ? 1 : 0);
    expect(stderr).toContain('value too long');
    expect(await stored()).toEqual({ rows: 1_000 - refused, ids: 1_000 - refused });
  });

  it(`loses ${terminated} of 1,000 rows if the connection ends in the middle of them`, async () => {
    const unlock = await lockTable();
    const running = startRecipe(name, { ...optionsFor(), args: [fileOf(events(1_000))] });
    await terminateItsBackends();
    await unlock();
    expect((await running.ended).code).toBe(isByHand ? 1 : 0);
    expect(await stored()).toEqual({ rows: 1_000 - terminated, ids: 1_000 - terminated });
  });

  it(`has stored ${twice} rows if the response to a commit is lost, and it runs once more`, async () => {
    const file = fileOf(events(1_000));
    const url = await proxyThat((proxy) =>
      isByHand
        ? loseAnswer(proxy, 'COPY 1000')
        : loseCommits(proxy, (commit) => (commit === 1 ? 'answer' : undefined)),
    );
    expect((await run(file, url)).code).toBe(isByHand ? 1 : 0);
    expect(await stored()).toEqual({ rows: 1_000, ids: 1_000 });
    expect((await run(file)).code).toBe(0);
    expect(await stored()).toEqual({ rows: twice, ids: 1_000 });
  });
});

it.each(PROGRAMS)('the guide shows %s as it was run', (name) => {
  const home = new URL('before-and-after/', import.meta.url);
  const guide = readFileSync(new URL('README.md', home), 'utf8');
  const code = readFileSync(new URL(`${name}.ts`, home), 'utf8').replace(/^\/\*\*.*\*\/\n\n/, '');
  expect(guide).toContain(`\`${name}.ts\`](${name}.ts)`);
  expect(guide).toContain(`\n\`\`\`ts\n${code}\`\`\`\n`);
});
