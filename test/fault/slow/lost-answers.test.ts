/** The connection goes between COMMIT and its answer, again and again in one load: no batch is written twice. */

import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  endLoads,
  expectAccounted,
  expectIdle,
  NUMBERED_COLUMNS,
  startLoad,
} from '../../support/counted-load.js';
import { loseCommits } from '../../support/lost-commits.js';
import { startProxy, type TestProxy } from '../../support/postgres-proxy.js';
import { useTestDatabase } from '../../support/postgres.js';

const database = useTestDatabase();
let proxy: TestProxy;
beforeEach(async () => {
  proxy = await startProxy(database.url);
});
afterEach(async () => {
  await endLoads();
  await proxy.close();
});

/** Every so many COMMITs one is lost, in turn before it has arrived and with its answer. */
const EVERY = 5;

function loseEachFifth(): { readonly count: number } {
  const lost = { count: 0 };
  loseCommits(proxy, (commit) => {
    if (commit % EVERY !== 0) return undefined;
    lost.count += 1;
    return lost.count % 2 === 0 ? 'answer' : 'commit';
  });
  return lost;
}

test.each([
  { max: 1, exactlyOnce: true },
  { max: 2, exactlyOnce: true },
  { max: 4, exactlyOnce: true },
  { max: 1, exactlyOnce: false },
  { max: 4, exactlyOnce: false },
])('with a pool of $max and exactlyOnce $exactlyOnce', async ({ max, exactlyOnce }) => {
  const table = await database.table(NUMBERED_COLUMNS);
  const pool = database.pool({ connectionString: database.urlVia(proxy.host, proxy.port), max });
  const lost = loseEachFifth();
  const load = startLoad(pool, table, {
    exactlyOnce,
    batchSize: 200,
    // Each cut ends the calls of all connections: by chance, one batch may be hit many times in a row.
    retry: { attempts: 100, minDelayMs: 5, maxDelayMs: 20 },
  });
  await load.done;
  proxy.onData = () => undefined;
  proxy.onAnswer = () => undefined;
  expect(lost.count).toBeGreaterThan(10);
  expect(load.stream.getMetrics()).toMatchObject({ eventsFlushed: load.offered, eventsFailed: 0 });
  await expectIdle(pool);
  await expectAccounted(database, table, load);
  const [count] = await database.query<{ n: number }>(`SELECT count(*)::int AS n FROM ${table}`);
  // Without an import the server is asked what became of the transaction.
  expect(count!.n).toBe(load.offered);
});
