/** After ten thousand flushes, retries, aborts and destroys there is no more of anything than before. */

import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { promisify } from 'node:util';
import type pg from 'pg';
import { afterEach, expect, test } from 'vitest';
import {
  endLoads,
  expectAccounted,
  expectIdle,
  NUMBERED_COLUMNS,
  startLoad,
  until,
} from '../../support/counted-load.js';
import { startProxy } from '../../support/postgres-proxy.js';
import { useTestDatabase } from '../../support/postgres.js';

const run = promisify(execFile);
const database = useTestDatabase();
afterEach(endLoads);

/** A process of its own, for its heap is measured. Answers with what there was before and after, as JSON. */
const SCRIPT = `
  import { getEventListeners, setMaxListeners } from 'node:events';
  import { BackpressureController, BackpressureTransform, BackpressureWritable } from './src/index.ts';

  const { signal } = new AbortController();
  // A hundred streams at a time share it.
  setMaxListeners(0, signal);
  const no = () => Promise.reject(new Error('no'));
  const quick = { minDelayMs: 1, maxDelayMs: 2 };
  const breaker = { failures: 2, minDelayMs: 1, maxDelayMs: 2, maxOutageMs: 50 };

  /** Each leaves in a way of its own. */
  const ways = [
    // Flushes, the second call of each.
    () => {
      const stream = new BackpressureWritable((items, { attempt }) => (attempt === 1 ? no() : Promise.resolve()),
        { signal, batchSize: 2, retry: { attempts: 3, ...quick }, breaker });
      for (let item = 0; item < 6; item++) stream.write(item);
      stream.end();
      return stream;
    },
    // Fails for good.
    () => {
      const stream = new BackpressureWritable(no, { signal, batchSize: 2, retry: { attempts: 2, ...quick } });
      stream.write(1);
      stream.end();
      return stream;
    },
    // An outage without end, of which each item is taken by the handler or returned.
    () => {
      const stream = new BackpressureWritable(no, { signal, batchSize: 1, retry: { attempts: 9, ...quick }, breaker,
        onFailed: () => undefined, onSettled: () => undefined });
      stream.write(1);
      stream.end(2);
      return stream;
    },
    // Aborted by a signal of its own, with a flush that listens to it.
    () => {
      const own = new AbortController();
      const stream = new BackpressureWritable(
        (items, context) => new Promise((resolve, reject) => context.signal.addEventListener('abort', () => reject(new Error('aborted')))),
        { signal: own.signal, batchSize: 1, concurrency: 2 });
      for (let item = 0; item < 6; item++) stream.write(item);
      setTimeout(() => own.abort(), 1);
      return stream;
    },
    // Destroyed with a flush that never answers.
    () => {
      const stream = new BackpressureWritable(() => new Promise(() => undefined), { signal, batchSize: 1, abortGraceMs: 1 });
      stream.write(1);
      setTimeout(() => stream.destroy(), 1);
      return stream;
    },
    // Times out.
    () => {
      const stream = new BackpressureWritable(() => new Promise(() => undefined),
        { signal, batchSize: 1, flushTimeoutMs: 1, abortGraceMs: 1, retry: { attempts: 2, afterTimeout: true, ...quick } });
      stream.end(1);
      return stream;
    },
    // Between two stages, and destroyed from behind.
    () => {
      const between = new BackpressureTransform({ signal, strategy: 'drop_oldest', maxBufferSize: 4 });
      const stream = new BackpressureWritable(async () => undefined, { signal });
      between.on('error', () => undefined);
      between.pipe(stream);
      for (let item = 0; item < 9; item++) between.write(item);
      setTimeout(() => { between.destroy(); stream.destroy(); }, 1);
      return stream;
    },
  ];

  async function rounds(count) {
    for (let done = 0; done < count; done += 100) {
      await Promise.all(Array.from({ length: 100 }, async (_, index) => {
        const stream = ways[(done + index) % ways.length]();
        stream.on('error', () => undefined);
        if (!stream.closed) await new Promise((resolve) => stream.once('close', resolve));
        stream.takeUnsettled();
      }));
    }
  }

  async function calls(count) {
    let call = 0;
    const controller = new BackpressureController(() => (++call % 3 === 0 ? no() : Promise.resolve()),
      { signal, batchSize: 1, concurrency: 3, retry: { attempts: 20, ...quick } });
    controller.start();
    for (let item = 0; item < count; item++) await controller.push(item);
    await controller.drain();
    controller.stop();
    return controller.getMetrics();
  }

  async function measure() {
    await new Promise((resolve) => setTimeout(resolve, 50));
    for (let time = 0; time < 3; time++) { gc(); await new Promise(setImmediate); }
    return {
      heapKiB: Math.round(process.memoryUsage().heapUsed / 1024),
      listeners: process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0),
      onSignal: getEventListeners(signal, 'abort').length,
      resources: process.getActiveResourcesInfo().filter((kind) => kind !== 'Immediate').length,
    };
  }

  process.on('warning', (warning) => console.error(warning));
  await rounds(10_000);
  await calls(10_000);
  const before = await measure();
  await rounds(10_000);
  const metrics = await calls(10_000);
  const after = await measure();
  console.log(JSON.stringify({ before, after, flushed: metrics.eventsFlushed, retries: metrics.retries }));
`;

interface Counts {
  heapKiB: number;
  listeners: number;
  onSignal: number;
  resources: number;
}

test('in one process: listeners, timers, handles and heap', async () => {
  const { stdout, stderr } = await run(process.execPath, [
    '--expose-gc',
    '--import',
    'tsx',
    '--input-type=module',
    '--eval',
    SCRIPT,
  ]);
  expect(stderr).toBe('');
  const { before, after, flushed, retries } = JSON.parse(stdout) as {
    before: Counts;
    after: Counts;
    flushed: number;
    retries: number;
  };
  expect(flushed).toBe(10_000);
  expect(retries).toBeGreaterThan(3_000);
  const { heapKiB, ...counts } = after;
  expect(counts).toEqual({ ...before, heapKiB: undefined });
  expect(counts.onSignal).toBe(0);
  // A hundred bytes kept of each of 20 000 flushes would be two thousand.
  expect(heapKiB - before.heapKiB).toBeLessThan(1_000);
});

function listenersOf(emitter: NodeJS.EventEmitter): number {
  return emitter.eventNames().reduce((sum, name) => sum + emitter.listenerCount(name), 0);
}

function clientsOf(pool: pg.Pool): NodeJS.EventEmitter[] {
  return (pool as unknown as { _clients: NodeJS.EventEmitter[] })._clients;
}

function openFiles(): number {
  return readdirSync('/proc/self/fd').length;
}

test('through PostgreSQL: hundreds of flushes with cut connections, terminated backends and destroys', async () => {
  const table = await database.table(NUMBERED_COLUMNS);
  const proxy = await startProxy(database.url);
  const resources = (): number => process.getActiveResourcesInfo().length;
  const before = { resources: resources(), files: openFiles(), listeners: listenersOf(process) };
  const pool = database.pool({ connectionString: database.urlVia(proxy.host, proxy.port), max: 3 });
  await pool.query('SELECT 1');
  pool.on('error', () => undefined);
  const onPool = listenersOf(pool);
  const onClient = listenersOf(clientsOf(pool)[0]!);
  let flushes = 0;
  for (let round = 0; round < 60; round += 1) {
    const load = startLoad(pool, table, {
      batchSize: 200,
      concurrency: 3,
      goesOn: (offered) => offered < 2_000,
      retry: { attempts: 10, minDelayMs: 1, maxDelayMs: 5 },
      breaker: { failures: 3, minDelayMs: 1, maxDelayMs: 5 },
    });
    await until(() => load.stream.getMetrics().flushes > round % 5);
    if (round % 3 === 0) proxy.cut();
    if (round % 3 === 1) {
      await database.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%COPY%' AND pid <> pg_backend_pid()`,
      );
    }
    if (round % 3 === 2) load.stream.destroy();
    await load.done.catch(() => undefined);
    await until(() => load.stream.closed);
    await expectIdle(pool);
    await expectAccounted(database, table, load);
    await database.query(`TRUNCATE ${table}`);
    flushes += load.stream.getMetrics().flushes;
  }
  expect(flushes).toBeGreaterThan(300);
  // On clients that have served many batches, each.
  const last = startLoad(pool, table, { batchSize: 200, concurrency: 3 });
  await last.done;
  await expectIdle(pool);
  expect(clientsOf(pool).length).toBeGreaterThan(0);
  expect(listenersOf(pool)).toBe(onPool);
  for (const client of clientsOf(pool)) expect(listenersOf(client)).toBe(onClient);
  expect(pool.totalCount).toBeLessThanOrEqual(3);
  await pool.end();
  await proxy.close();
  // Sockets take a moment to close. Those of the test runner may have gone meanwhile.
  await until(() => openFiles() <= before.files && resources() <= before.resources, 5_000).catch(
    () => undefined,
  );
  expect(openFiles()).toBeLessThanOrEqual(before.files);
  expect(resources()).toBeLessThanOrEqual(before.resources);
  expect(listenersOf(process)).toBe(before.listeners);
});
