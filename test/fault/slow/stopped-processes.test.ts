/** Processes that stop, and networks that go silent: nothing says so, so only our own limits on time end the wait. */

import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import {
  endLoads,
  expectAccounted,
  expectIdle,
  NUMBERED_COLUMNS,
  startLoad,
  until,
  type CountedLoad,
} from '../../support/counted-load.js';
import { signalled, startFaultServer, type FaultServer } from '../../support/fault-server.js';
import { startProxy, type TestProxy } from '../../support/postgres-proxy.js';
import { useTestDatabase } from '../../support/postgres.js';

let server: FaultServer;
let proxy: TestProxy | undefined;
const database = useTestDatabase(async () => (server = await startFaultServer()));
afterEach(async () => {
  await server.thaw();
  await endLoads();
  await proxy?.close();
  proxy = undefined;
});

const FLUSH_TIMEOUT_MS = 1_500;
const ABORT_GRACE_MS = 800;
/** Beyond the two limits, for a machine that is busy. */
const SLACK_MS = 1_500;
const LIMITS = {
  batchSize: 5_000,
  flushTimeoutMs: FLUSH_TIMEOUT_MS,
  abortGraceMs: ABORT_GRACE_MS,
  // What is stopped between COMMIT and its answer may be sent twice: rows are counted with that in mind.
  retry: { attempts: 20, minDelayMs: 50, maxDelayMs: 200, afterTimeout: true },
};

const POOLS = [
  { max: 1, exactlyOnce: true },
  { max: 2, exactlyOnce: true },
  { max: 4, exactlyOnce: true },
  { max: 4, exactlyOnce: false },
];

/** Watches every call of the flush function: none takes longer than the two limits. */
function watchCalls(load: CountedLoad): () => void {
  let longest = 0;
  load.stream.on('flush', ({ latencyMs }) => {
    longest = Math.max(longest, latencyMs);
  });
  return () => {
    expect(longest).toBeGreaterThan(FLUSH_TIMEOUT_MS - 10);
    expect(longest).toBeLessThan(FLUSH_TIMEOUT_MS + ABORT_GRACE_MS + SLACK_MS);
  };
}

async function backendInCopy(condition = "state = 'active'", limitMs?: number): Promise<number> {
  let pid: number | undefined;
  await until(async () => {
    const rows = await database.query<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity WHERE query LIKE 'BEGIN; COPY%' AND ${condition} AND datname = current_database() AND pid <> pg_backend_pid() LIMIT 1`,
    );
    pid = rows[0]?.pid;
    return pid !== undefined;
  }, limitMs);
  return pid!;
}

/** Holds up what goes to the server, at a moment at which a backend waits for the rest of its rows. */
async function stallInCopy(held: TestProxy): Promise<number> {
  for (;;) {
    held.stall();
    const pid = await backendInCopy("wait_event = 'ClientRead'", 250).catch(() => undefined);
    if (pid !== undefined) return pid;
    // All of them had their rows already.
    held.resume();
    // Not always the same: the stalls would keep step with the batches.
    await delay(1 + 40 * Math.random());
  }
}

/** Its connection was thrown away: it ends once it is told so. */
async function ended(pid: number): Promise<void> {
  const isThere = 'SELECT FROM pg_stat_activity WHERE pid = $1';
  await until(async () => (await database.query(isThere, [pid])).length === 0);
}

/** Offers rows until `stop` is called, and some more. */
function endlessly(): { goesOn: (offered: number) => boolean; stop: () => void } {
  let last = Infinity;
  let isOver = false;
  return {
    goesOn: (offered) => {
      if (isOver && last === Infinity) last = offered + 50_000;
      return offered < last;
    },
    stop: () => {
      isOver = true;
    },
  };
}

test.each(POOLS)(
  'a backend that is stopped, with a pool of $max and exactlyOnce $exactlyOnce: its batch goes another way, and what it does later reaches nothing',
  async ({ max, exactlyOnce }) => {
    const table = await database.table(NUMBERED_COLUMNS);
    proxy = await startProxy(database.url);
    const pool = database.pool({ connectionString: database.urlVia(proxy.host, proxy.port), max });
    const source = endlessly();
    const load = startLoad(pool, table, { ...LIMITS, exactlyOnce, goesOn: source.goesOn });
    const expectBounded = watchCalls(load);
    await until(() => proxy!.received > 5_000_000);
    // While it waits for rows it holds none of the server's inner locks, which would stop all others too.
    const pid = await stallInCopy(proxy);
    process.kill(pid, 'SIGSTOP');
    proxy.resume();
    try {
      await load.retried(1);
      source.stop();
      // If it was stopped between COMMIT and its answer, only its end tells what became of the batch, which waits for that.
      await Promise.race([load.done, delay(15_000)]);
    } finally {
      signalled(pid, 'SIGCONT');
    }
    await load.done;
    expectBounded();
    await expectIdle(pool);
    await expectAccounted(database, table, load);
    await ended(pid);
    // What it still had to do may not have added anything.
    await expectAccounted(database, table, load);
  },
);

test('a backend that is stopped wherever it is, and goes on after some calls have timed out', async () => {
  const table = await database.table(NUMBERED_COLUMNS);
  const pool = database.pool({ max: 4 });
  const source = endlessly();
  const load = startLoad(pool, table, { ...LIMITS, exactlyOnce: true, goesOn: source.goesOn });
  const expectBounded = watchCalls(load);
  for (let round = 1; round <= 3; round += 1) {
    const pid = await backendInCopy();
    const before = load.retries.length;
    // One that had just been given up is missed by nobody, and may end at any moment.
    if (!signalled(pid, 'SIGSTOP')) continue;
    await until(() => load.retries.length > before, 5_000).catch(() => undefined);
    signalled(pid, 'SIGCONT');
  }
  source.stop();
  await load.done;
  expectBounded();
  await expectIdle(pool);
  await expectAccounted(database, table, load);
});

test.each(POOLS)(
  'every process of the server is stopped, with a pool of $max and exactlyOnce $exactlyOnce, and goes on after seconds',
  async ({ max, exactlyOnce }) => {
    const table = await database.table(NUMBERED_COLUMNS);
    const pool = database.pool({ max });
    const source = endlessly();
    const load = startLoad(pool, table, { ...LIMITS, exactlyOnce, goesOn: source.goesOn });
    const expectBounded = watchCalls(load);
    await backendInCopy();
    await server.freezeAll();
    await load.retried(2);
    source.stop();
    await delay(500);
    await server.thaw();
    await load.done;
    expectBounded();
    await expectIdle(pool);
    await expectAccounted(database, table, load);
  },
);

test('the process that takes connections is stopped: the waiting for a client ends, and later clients come', async () => {
  const table = await database.table(NUMBERED_COLUMNS);
  const pool = database.pool({ max: 2 });
  await server.freezePostmaster();
  const load = startLoad(pool, table, LIMITS);
  const expectBounded = watchCalls(load);
  await load.retried(2);
  await server.thaw();
  await load.done;
  expectBounded();
  await expectAccounted(database, table, load);
});

test.each(POOLS)(
  'a half-open connection, with a pool of $max and exactlyOnce $exactlyOnce: silence in both directions, then all is well again',
  async ({ max, exactlyOnce }) => {
    const table = await database.table(NUMBERED_COLUMNS);
    proxy = await startProxy(database.url);
    const pool = database.pool({ connectionString: database.urlVia(proxy.host, proxy.port), max });
    const source = endlessly();
    const load = startLoad(pool, table, { ...LIMITS, exactlyOnce, goesOn: source.goesOn });
    const expectBounded = watchCalls(load);
    await until(() => proxy!.received > 10_000_000);
    proxy.stall();
    await load.retried(2);
    source.stop();
    proxy.resume();
    await load.done;
    expectBounded();
    await expectAccounted(database, table, load);
  },
);

test.each(POOLS)(
  'connections that are silent for ever, with a pool of $max and exactlyOnce $exactlyOnce: others take their place',
  async ({ max, exactlyOnce }) => {
    const table = await database.table(NUMBERED_COLUMNS);
    proxy = await startProxy(database.url);
    const pool = database.pool({ connectionString: database.urlVia(proxy.host, proxy.port), max });
    const source = endlessly();
    const load = startLoad(pool, table, { ...LIMITS, exactlyOnce, goesOn: source.goesOn });
    const expectBounded = watchCalls(load);
    await until(() => proxy!.received > 10_000_000);
    const reset = proxy.silence();
    await load.retried(1);
    source.stop();
    // Where a COMMIT was on its way, only the end of its session tells what became of the batch, which waits for that.
    await Promise.race([load.done, delay(15_000)]);
    reset();
    await load.done;
    expectBounded();
    await expectIdle(pool);
    await expectAccounted(database, table, load);
  },
);

test('connections that fall silent before they were made: the time limit of the pool gives their places back', async () => {
  const table = await database.table(NUMBERED_COLUMNS);
  proxy = await startProxy(database.url);
  const connectionString = database.urlVia(proxy.host, proxy.port);
  const pool = database.pool({ connectionString, max: 1, connectionTimeoutMillis: 500 });
  proxy.stall();
  const load = startLoad(pool, table, LIMITS);
  await until(() => proxy!.open === 1);
  proxy.silence();
  await load.done;
  expect(load.retries.length).toBe(1);
  await expectIdle(pool);
  await expectAccounted(database, table, load);
});

test('a server that never goes on: the load fails within its limits, the rows in hand', async () => {
  const table = await database.table(NUMBERED_COLUMNS);
  const pool = database.pool({ max: 2 });
  const source = endlessly();
  const attempts = 3;
  const load = startLoad(pool, table, {
    ...LIMITS,
    goesOn: source.goesOn,
    retry: { ...LIMITS.retry, attempts },
  });
  await backendInCopy();
  await server.freezeAll();
  const start = performance.now();
  await expect(load.done).rejects.toMatchObject({ code: 'ERR_BACKPRESSURE_FLUSH_FAILED' });
  await until(() => load.stream.closed);
  const longest = attempts * (FLUSH_TIMEOUT_MS + ABORT_GRACE_MS + LIMITS.retry.maxDelayMs) + ABORT_GRACE_MS;
  expect(performance.now() - start).toBeLessThan(longest + SLACK_MS);
  await server.thaw();
  // A connection that was being made cannot be taken back: it goes to the pool when it is there.
  await expectIdle(pool);
  await expectAccounted(database, table, load);
});
