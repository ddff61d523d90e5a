/** Workers of one log that are killed and stopped, and servers that go down: each message becomes one row, or one dead letter. */

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { jetStreamLog } from '../../../src/jetstream/index.js';
import { consumeLog } from '../../../src/postgres/index.js';
import type { LogWorkerSettings } from '../../support/log-worker.js';
import { noNatsServer } from '../../support/nats-server.js';
import { useTestDatabase } from '../../support/postgres.js';
import { range } from '../../support/range.js';
import { useTestStreams } from '../../support/test-streams.js';

const WORKER = fileURLToPath(new URL('../../support/log-worker.ts', import.meta.url));
const SHIFTED_CLOCK = new URL('../../support/shifted-clock.ts', import.meta.url).href;
const MESSAGES = 24_000;
/** Every so many messages is not JSON. */
const BAD_EVERY = 1_000;

describe.skipIf(noNatsServer)(`workers of a log (${noNatsServer ?? 'on a nats-server of their own'})`, () => {
  const database = useTestDatabase();
  const workers = new Set<ChildProcess>();
  const streams = useTestStreams();
  const filled: string[] = [];

  afterEach(async () => {
    for (const worker of workers) await end(worker, 'SIGKILL');
    // Those of workers that were killed.
    for (const stream of filled.splice(0)) await streams.deleteConsumers(stream);
  });

  async function filledStream(): Promise<string> {
    const stream = await streams.make();
    filled.push(stream);
    await streams.publish(
      stream,
      range(MESSAGES).map((id) => (id % BAD_EVERY === 7 ? 'bad' : { id })),
    );
    return stream;
  }

  async function startWorker(stream: string, table: string, clockHours = 0): Promise<ChildProcess> {
    const settings: LogWorkerSettings = {
      nats: `127.0.0.1:${streams.server.port}`,
      database: database.url,
      stream,
      table,
      laneSize: 2_000,
      options: { batchSize: 250, leaseMs: 1_000 },
    };
    const args = ['--import', 'tsx', '--import', SHIFTED_CLOCK, WORKER, JSON.stringify(settings)];
    const worker = spawn(process.execPath, args, {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, TEST_CLOCK_HOURS: String(clockHours) },
    });
    workers.add(worker);
    await once(worker.stdout, 'data');
    return worker;
  }

  async function end(worker: ChildProcess, signal: NodeJS.Signals): Promise<NodeJS.Signals | null> {
    workers.delete(worker);
    if (worker.exitCode === null && worker.signalCode === null) {
      const exited = once(worker, 'exit');
      worker.kill(signal);
      await exited;
    }
    return worker.signalCode;
  }

  async function rowsOf(table: string): Promise<number> {
    const [row] = await database.query<{ count: number }>(`SELECT count(*)::int FROM ${table}`);
    return row!.count;
  }

  /** Resolves once so many more rows are there than now, or all. */
  async function progress(table: string, rows: number): Promise<void> {
    const goal = Math.min((await rowsOf(table)) + rows, MESSAGES - MESSAGES / BAD_EVERY);
    const deadline = Date.now() + 60_000;
    while ((await rowsOf(table)) < goal) {
      if (Date.now() > deadline) throw new Error(`no ${rows} more rows within 60 s`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /** Loads the rest, and checks that everything is there once. */
  async function expectAllOnce(stream: string, table: string): Promise<void> {
    const log = jetStreamLog(streams.nats, { stream, laneSize: 2_000 });
    const pool = database.pool();
    await consumeLog(log, pool, { table, importId: table, leaseMs: 1_000, untilCaughtUp: true }).finished;
    const [found] = await database.query(
      `SELECT count(*)::int AS rows, count(DISTINCT id)::int AS ids,
        (SELECT count(*)::int FROM spillway_dead_letters d JOIN spillway_imports i ON i.id = d.import WHERE i.import_id = $1) AS letters
      FROM ${table}`,
      [table],
    );
    const letters = MESSAGES / BAD_EVERY;
    expect(found).toEqual({ rows: MESSAGES - letters, ids: MESSAGES - letters, letters });
  }

  test('workers that are killed one after another lose nothing and double nothing', async () => {
    const [stream, table] = [await filledStream(), await database.table('id int')];
    await startWorker(stream, table);
    let victim = await startWorker(stream, table);
    for (let kill = 0; kill < 5; kill += 1) {
      await progress(table, 700 + 311 * kill);
      expect(await end(victim, 'SIGKILL')).toBe('SIGKILL');
      victim = await startWorker(stream, table);
    }
    expect(await end(victim, 'SIGTERM')).toBe('SIGTERM');
    await expectAllOnce(stream, table);
  });

  test('workers whose clocks differ by hours take over from each other, and double nothing', async () => {
    const [stream, table] = [await filledStream(), await database.table('id int')];
    const fast = await startWorker(stream, table, 9);
    let slow = await startWorker(stream, table, -9);
    for (let kill = 0; kill < 3; kill += 1) {
      await progress(table, 1_500);
      await end(slow, 'SIGKILL');
      slow = await startWorker(stream, table, -9 * kill);
    }
    expect(await end(fast, 'SIGTERM')).toBe('SIGTERM');
    expect(await end(slow, 'SIGTERM')).toBe('SIGTERM');
    await expectAllOnce(stream, table);
  });

  test('workers that are stopped beyond their lease write nothing when they wake up', async () => {
    const [stream, table] = [await filledStream(), await database.table('id int')];
    const sleepers = [await startWorker(stream, table), await startWorker(stream, table)];
    for (const sleeper of sleepers) {
      await progress(table, 900);
      sleeper.kill('SIGSTOP');
    }
    // Everything is loaded although the sleepers hold lanes, and perhaps sessions with open transactions.
    await expectAllOnce(stream, table);
    for (const sleeper of sleepers) sleeper.kill('SIGCONT');
    for (const sleeper of sleepers) expect(await end(sleeper, 'SIGTERM')).toBe('SIGTERM');
    await expectAllOnce(stream, table);
  });

  test('a NATS server that is killed and comes back does not end the workers', async () => {
    const [stream, table] = [await filledStream(), await database.table('id int')];
    const worker = await startWorker(stream, table);
    await progress(table, 1_000);
    await streams.server.kill();
    await new Promise((resolve) => setTimeout(resolve, 500));
    await streams.restart();
    await progress(table, MESSAGES);
    expect(worker.exitCode).toBe(null);
    expect(await end(worker, 'SIGTERM')).toBe('SIGTERM');
    await expectAllOnce(stream, table);
  });
});
