/** The server goes down in the middle of a load, for seconds: the producer waits, and the load goes on when the server is back. */

import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import {
  endLoads,
  expectAccounted,
  expectIdle,
  NUMBERED_COLUMNS,
  startLoad,
  until,
} from '../../support/counted-load.js';
import { startFaultServer, type FaultServer } from '../../support/fault-server.js';
import { useTestDatabase } from '../../support/postgres.js';

let server: FaultServer;
let isDown = false;
const database = useTestDatabase(async () => (server = await startFaultServer()));
afterEach(async () => {
  await endLoads();
  if (isDown) await server.comeBack();
  isDown = false;
});

const OUTAGE_MS = 2_000;
const BREAKER = { failures: 3, minDelayMs: 100, maxDelayMs: 500 };

/** Rows without end, until the server has been down and back. */
let isOver = false;
const untilOver = (offered: number): boolean => !isOver || offered < 300_000;

test.each([
  { how: 'fast', max: 4, exactlyOnce: true },
  { how: 'fast', max: 4, exactlyOnce: false },
  { how: 'immediate', max: 4, exactlyOnce: true },
  { how: 'immediate', max: 1, exactlyOnce: true },
  { how: 'killed', max: 2, exactlyOnce: true },
] as const)(
  'stopped ($how) and started again, with a pool of $max and exactlyOnce $exactlyOnce: every row arrives',
  async ({ how, max, exactlyOnce }) => {
    isOver = false;
    const table = await database.table(NUMBERED_COLUMNS);
    const pool = database.pool({ max });
    const load = startLoad(pool, table, {
      exactlyOnce,
      batchSize: 10_000,
      breaker: BREAKER,
      goesOn: untilOver,
    });
    const states: string[] = [];
    load.stream.on('breaker', (state) => states.push(state));
    await until(() => load.stream.getMetrics().eventsFlushed > 50_000);
    await server.goDown(how);
    isDown = true;
    await delay(OUTAGE_MS);
    // On a busy machine the failures that open the breaker take their time.
    await until(() => load.stream.getMetrics().breaker !== 'closed' && load.stream.writableNeedDrain);
    // All slots rest, and the producer is held at the high watermark.
    const { eventsOffered, bufferSize, inFlight } = load.stream.getMetrics();
    await delay(OUTAGE_MS / 4);
    expect(load.stream.getMetrics()).toMatchObject({ eventsOffered, bufferSize, inFlight });
    await server.comeBack();
    isDown = false;
    isOver = true;
    await load.done;
    expect(load.stream.getMetrics()).toMatchObject({ eventsFlushed: load.offered, breaker: 'closed' });
    expect(states.slice(0, 2)).toEqual(['open', 'half_open']);
    expect(states.slice(-2)).toEqual(['half_open', 'closed']);
    // A few calls, not one every few milliseconds.
    expect(load.retries.length).toBeLessThan(30);
    await expectIdle(pool);
    await expectAccounted(database, table, load);
  },
);

test.each([1, 2, 4])(
  'an outage that is too long, with a pool of %i: the load fails, the rows in hand',
  async (max) => {
    isOver = false;
    const table = await database.table(NUMBERED_COLUMNS);
    const pool = database.pool({ max });
    const maxOutageMs = 1_500;
    const load = startLoad(pool, table, {
      batchSize: 10_000,
      breaker: { ...BREAKER, maxOutageMs },
      goesOn: untilOver,
    });
    await until(() => load.stream.getMetrics().eventsFlushed > 50_000);
    const start = performance.now();
    await server.goDown('immediate');
    isDown = true;
    await expect(load.done).rejects.toMatchObject({
      code: 'ERR_BACKPRESSURE_OUTAGE',
      cause: { failureClass: 'transport' },
    });
    const took = performance.now() - start;
    expect(took).toBeGreaterThan(maxOutageMs - 10);
    expect(took).toBeLessThan(maxOutageMs + 1_500);
    await until(() => load.stream.closed);
    await expectIdle(pool);
    await server.comeBack();
    isDown = false;
    expect(load.handedBack().size).toBeGreaterThan(0);
    await expectAccounted(database, table, load);
  },
);
