/** Each program of `programs/`, run as it is, against a real server. */

import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, it, onTestFinished } from 'vitest';
import { useTestDatabase } from '../support/postgres.js';
import { range } from '../support/range.js';
import { runRecipe, startRecipe } from '../support/recipe.js';

const database = useTestDatabase();
const folder = mkdtempSync(path.join(tmpdir(), 'spillway-recipes-'));
afterAll(() => rmSync(folder, { recursive: true }));

const env = () => ({ DATABASE_URL: database.url });

const HOME = new URL('programs/', import.meta.url);
const sourceOf = (program: string) => readFileSync(new URL(`${program}.ts`, HOME), 'utf8');

/** Creates the table that the program's first lines say it needs. */
async function createTableFor(program: string): Promise<void> {
  const statement = /^ \* Table: `(.*)`$/m.exec(sourceOf(program))![1]!;
  await database.query(statement);
}

it.each(readdirSync(HOME).map((file) => path.parse(file).name))(
  '%s names the packages that it imports',
  (program) => {
    const source = sourceOf(program);
    const named = /^ \* Packages: `(.*)`$/m.exec(source)![1]!.split(' ');
    const imported = [...source.matchAll(/^(?:import|\}).*'([^']+)';$/gm)]
      .map(([, name]) => /^(?:@[^/]+\/)?[^/]+/.exec(name!)![0])
      .filter((name) => !name.startsWith('node:'));
    // Not imported by the program itself: what copyInto needs, and the peers of NestJS.
    const peers = [
      ...(source.includes("'spillway/postgres'") ? ['pg-copy-streams'] : []),
      ...(source.includes("'@nestjs/core'") ? ['rxjs'] : []),
    ];
    expect(new Set(named)).toEqual(new Set([...imported, ...peers]));
  },
);

/** An HTTP API, by what it does with the body of a request. */
async function startApi(
  answer: (body: string, respond: Parameters<RequestListener>[1]) => void,
): Promise<string> {
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => (body += String(chunk)));
    request.on('end', () => answer(body, response));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

it('csv-to-table converts the lines of a file, and leaves out those without a value', async () => {
  await createTableFor('csv-to-table');
  const file = path.join(folder, 'readings.csv');
  writeFileSync(file, 'station,fahrenheit\nOslo,14\n"Rome, Ciampino",\nCairo,104\n');
  const end = await runRecipe('csv-to-table', { args: [file], env: env() });
  expect(end).toMatchObject({ code: 0, stdout: '2 rows\n', stderr: '' });
  expect(await database.query('SELECT * FROM readings ORDER BY celsius')).toEqual([
    { station: 'Oslo', celsius: -10 },
    { station: 'Cairo', celsius: 40 },
  ]);
});

it('http-events answers by what has room, keeps events through an outage of its table, and drains at SIGTERM', async () => {
  const service = startRecipe('http-events', { env: { ...env(), PORT: '0', MAX_EVENTS: '100' } });
  const address = /http:\S+/.exec(await service.printed('listening at'))![0];
  const post = (events: unknown[]) =>
    fetch(`${address}/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(events),
    });
  const events = (count: number) => range(count).map((n) => ({ name: `e${n}`, at: '2026-11-30T08:00:00Z' }));
  // The table is locked by somebody else: events stay in memory.
  await createTableFor('http-events');
  const locker = await database.pool().connect();
  await locker.query('BEGIN; LOCK TABLE events');
  expect((await post(events(100))).status).toBe(202);
  const refused = await post(events(1));
  expect(refused.status).toBe(429);
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  expect((await post(events(101))).status).toBe(413);
  expect((await post([{ name: 1 }])).status).toBe(400);
  expect((await fetch(`${address}/readyz`)).status).toBe(503);
  expect((await fetch(`${address}/healthz`)).status).toBe(200);
  const scraped = await (await fetch(`${address}/metrics`)).text();
  const metric = (name: string) => Number(new RegExp(`^${name}\\{.*\\} (\\d+)$`, 'm').exec(scraped)?.[1]);
  expect(metric('spillway_queue_size') + metric('spillway_in_flight')).toBe(100);
  await locker.query('COMMIT');
  locker.release();
  await expect.poll(async () => (await fetch(`${address}/readyz`)).status, { timeout: 30_000 }).toBe(200);
  expect((await post(events(10))).status).toBe(202);
  service.child.kill('SIGTERM');
  expect(await service.ended).toMatchObject({ signal: 'SIGTERM', stderr: '' });
  expect(await database.query('SELECT count(*)::int AS count FROM events')).toEqual([{ count: 110 }]);
});

const WAITS_FOR_EVENTS = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'events'::regclass";

it('nestjs-worker stores what it has read before SIGTERM came', async () => {
  await database.query('DROP TABLE IF EXISTS events');
  await createTableFor('nestjs-worker');
  const locker = await database.pool().connect();
  await locker.query('BEGIN; LOCK TABLE events');
  const worker = startRecipe('nestjs-worker', { env: env(), keepsInput: true });
  await worker.printed('reading');
  worker.child.stdin!.write(
    range(1_000)
      .map((n) => `{"name":"e${n}","at":"2026-11-30T08:00:00Z"}\n`)
      .join(''),
  );
  await expect.poll(() => database.query(WAITS_FOR_EVENTS), { timeout: 30_000 }).not.toEqual([]);
  worker.child.kill('SIGTERM');
  await locker.query('COMMIT');
  locker.release();
  const { signal, stdout, stderr } = await worker.ended;
  expect({ signal, stderr }).toEqual({ signal: 'SIGTERM', stderr: '' });
  const [, stored] = /^(\d+) stored, 0 undelivered$/m.exec(stdout)!;
  expect(Number(stored)).toBeGreaterThan(0);
  expect(await database.query('SELECT count(*)::int AS count FROM events')).toEqual([
    { count: Number(stored) },
  ]);
});

it('nestjs-worker ends in time, and counts what is undelivered, if the table stays locked', async () => {
  await database.query('DROP TABLE IF EXISTS events');
  await createTableFor('nestjs-worker');
  const locker = await database.pool().connect();
  await locker.query('BEGIN; LOCK TABLE events');
  const input = '{"name":"a","at":"2026-11-30T08:00:00Z"}\n';
  const worker = startRecipe('nestjs-worker', { env: env(), input, keepsInput: true });
  await expect.poll(() => database.query(WAITS_FOR_EVENTS), { timeout: 30_000 }).not.toEqual([]);
  worker.child.kill('SIGTERM');
  const { signal, stdout, stderr } = await worker.ended;
  expect(signal).toBe('SIGTERM');
  expect(stdout).toContain('0 stored, 1 undelivered');
  expect(stderr).toContain('1 item was not delivered');
  await locker.query('COMMIT');
  locker.release();
});

it('sampled-telemetry stores fewer rows, whose weights sum up to what was measured', async () => {
  await createTableFor('sampled-telemetry');
  const { code, stdout, stderr } = await runRecipe('sampled-telemetry', { env: env() });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const told = JSON.parse(stdout) as { stored: number; unrepresented: number; rows: { requests: number }[] };
  expect(told.stored).toBeLessThan(50_000);
  const requests = told.rows.reduce((sum, row) => sum + row.requests, 0);
  expect(requests + told.unrepresented).toBe(50_000);
});

it('priority-shedding gives up debug messages first, and delivers every error', async () => {
  const { code, stdout } = await runRecipe('priority-shedding');
  const told = JSON.parse(stdout) as { delivered: number; errors: number; dropped: Record<string, number> };
  expect(code).toBe(0);
  expect(told.errors).toBe(300);
  expect(told.dropped['debug shed']).toBeGreaterThan(told.dropped['info shed'] ?? 0);
  expect(told.delivered + Object.values(told.dropped).reduce((a, b) => a + b)).toBe(3_000);
});

it('latest-values leaves the last value of each key', async () => {
  await createTableFor('latest-values');
  const rows = range(3_000).map((value) => ({ sensor: `s${value % 7}`, value }));
  const input = rows.map((row) => `${JSON.stringify(row)}\n`).join('');
  expect(await runRecipe('latest-values', { env: env(), input })).toMatchObject({ code: 0, stderr: '' });
  const latest = new Map(rows.map(({ sensor, value }) => [sensor, value]));
  const stored = await database.query<{ sensor: string; value: number }>('SELECT * FROM latest_values');
  expect(new Map(stored.map(({ sensor, value }) => [sensor, value]))).toEqual(latest);
});

it('fan-in loads what each source has given, also the one that fails', async () => {
  await createTableFor('fan-in');
  const end = await runRecipe('fan-in', { env: env() });
  expect(end).toMatchObject({ code: 0, stdout: '30001 rows\n', stderr: 'Error: the sensor is gone\n' });
  expect(
    await database.query('SELECT source, count(*)::int AS count FROM merged GROUP BY source ORDER BY source'),
  ).toEqual([
    { source: 'a', count: 10_000 },
    { source: 'b', count: 20_000 },
    { source: 'c', count: 1 },
  ]);
});

it('rate-limited-api keeps Retry-After, and delivers everything once', async () => {
  const received: number[] = [];
  const limitedAt = new Map<string, number>();
  const waits: number[] = [];
  let requests = 0;
  const api = await startApi((body, response) => {
    if (limitedAt.has(body)) waits.push(performance.now() - limitedAt.get(body)!);
    if (++requests % 5 === 0) {
      limitedAt.set(body, performance.now());
      response.writeHead(429, { 'retry-after': '0.3' }).end();
      return;
    }
    received.push(...(JSON.parse(body) as number[]));
    response.writeHead(204).end();
  });
  const { code, stdout, stderr } = await runRecipe('rate-limited-api', { env: { API_URL: api } });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(JSON.parse(stdout)).toEqual({ eventsFlushed: 1_000, retried: true });
  expect(received.sort((a, b) => a - b)).toEqual(range(1_000));
  // Timers of Node may be a millisecond early.
  expect(Math.min(...waits)).toBeGreaterThan(290);
});

it('bulk-api sends again what may succeed, and names what cannot', async () => {
  const indexed: number[] = [];
  const busy = new Set<number>();
  const api = await startApi((body, response) => {
    const ids = body.trim().split('\n').map((line) => (JSON.parse(line) as { id: number }).id); // prettier-ignore
    const items = ids.map((id) => {
      if (id % 100 === 7) return { status: 400, reason: 'mapper error' };
      // Each tenth one is refused the first time.
      if (id % 10 === 0 && !busy.has(id)) {
        busy.add(id);
        return { status: 429, reason: 'busy' };
      }
      indexed.push(id);
      return { status: 201 };
    });
    response.end(JSON.stringify({ items }));
  });
  const { code, stdout, stderr } = await runRecipe('bulk-api', { env: { API_URL: api } });
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toEqual({ eventsFlushed: 495, eventsFailed: 5 });
  expect(stderr.trim().split('\n').sort()).toEqual(
    [7, 107, 207, 307, 407].map((id) => `document ${id}: 400 mapper error`).sort(),
  );
  expect(indexed.sort((a, b) => a - b)).toEqual(range(500).filter((id) => id % 100 !== 7));
});

it('tail-file loads lines as they come, each once, also after it was killed', async () => {
  await createTableFor('tail-file');
  const file = path.join(folder, 'app.log');
  writeFileSync(file, range(1_000, 1).map((n) => `line ${n}\n`).join('')); // prettier-ignore
  const count = async () =>
    (await database.query('SELECT count(*)::int AS count FROM log_lines'))[0]!['count'];
  const first = startRecipe('tail-file', { args: [file], env: env() });
  await expect.poll(count, { timeout: 30_000 }).toBe(1_000);
  appendFileSync(file, 'line 1001\nline 10');
  await expect.poll(count, { timeout: 30_000 }).toBe(1_001);
  first.child.kill('SIGKILL');
  await first.ended;
  appendFileSync(file, '02\nline 1003\n');
  const second = startRecipe('tail-file', { args: [file], env: env() });
  await expect.poll(count, { timeout: 30_000 }).toBe(1_003);
  second.child.kill('SIGTERM');
  expect(await second.ended).toMatchObject({ signal: 'SIGTERM', stderr: '' });
  const stored = await database.query<{ text: string }>('SELECT text FROM log_lines ORDER BY number');
  expect(stored.map(({ text }) => text)).toEqual(range(1_003, 1).map((n) => `line ${n}`));
}, 120_000);

it('dead-letter-file keeps what is refused in files that rotate, with SQLSTATE, and each once', async () => {
  await createTableFor('dead-letter-file');
  const own = path.join(folder, 'dead-letters');
  mkdirSync(own);
  expect(await runRecipe('dead-letter-file', { args: [own], env: env() })).toMatchObject({
    code: 0,
    stderr: '',
  });
  expect(await database.query('SELECT count(*)::int AS count FROM named_events')).toEqual([{ count: 900 }]);
  const files = readdirSync(own).filter((name) => name.endsWith('.ndjson'));
  expect(files.length).toBeGreaterThan(1);
  for (const name of files) expect(statSync(path.join(own, name)).mode & 0o077).toBe(0);
  const letters = files.flatMap((name) =>
    readFileSync(path.join(own, name), 'utf8')
      .trim()
      .split('\n')
      .filter((line) => line !== '')
      .map(
        (line) =>
          JSON.parse(line) as { sqlState: string; weight: number; ambiguous: boolean; item: { id: number } },
      ),
  );
  expect(letters.map(({ item }) => item.id).sort((a, b) => a - b)).toEqual(
    range(1_000).filter((id) => id % 10 === 3),
  );
  for (const letter of letters)
    expect(letter).toMatchObject({ sqlState: '22001', weight: 1, ambiguous: false });
});
