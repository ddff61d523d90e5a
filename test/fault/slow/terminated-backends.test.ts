/** Backends that are terminated, again and again, in one load. */

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
import { useTestDatabase } from '../../support/postgres.js';

const database = useTestDatabase();
afterEach(endLoads);
const TERMINATIONS = 8;

/** Ends one backend in the middle of a batch; `false` where there was none. */
async function terminateOne(): Promise<boolean> {
  const rows = await database.query<{ ended: boolean }>(
    `SELECT pg_terminate_backend(pid) AS ended FROM pg_stat_activity
     WHERE query LIKE 'BEGIN; COPY%' AND state = 'active' AND datname = current_database() AND pid <> pg_backend_pid() LIMIT 1`,
  );
  return rows[0]?.ended ?? false;
}

test.each([
  { max: 4, concurrency: 3, exactlyOnce: true },
  { max: 4, concurrency: 3, exactlyOnce: false },
  { max: 2, concurrency: 2, exactlyOnce: true },
  { max: 1, concurrency: 1, exactlyOnce: true },
])(
  'eight in one load, over $concurrency of $max connections, exactly once: $exactlyOnce',
  async ({ max, concurrency, exactlyOnce }) => {
    const table = await database.table(NUMBERED_COLUMNS);
    const pool = database.pool({ max });
    let isOver = false;
    let last = Infinity;
    const load = startLoad(pool, table, {
      concurrency,
      exactlyOnce,
      batchSize: 20_000,
      // All of them may hit the same batch.
      retry: { attempts: TERMINATIONS + 1, minDelayMs: 20 },
      goesOn: (offered) => {
        // Some more after the last one, so that it is seen to go on.
        if (isOver && last === Infinity) last = offered + 100_000;
        return offered < last;
      },
    });
    for (let ended = 0; ended < TERMINATIONS;) {
      expect(load.stream.errored).toBe(null);
      const before = load.retries.length;
      if (!(await terminateOne())) {
        await delay(2);
        continue;
      }
      ended += 1;
      // One that was hit when its batch had just ended is no retry.
      await until(() => load.retries.length > before, 1_000).catch(() => undefined);
    }
    isOver = true;
    await load.done;
    expect(load.retries.length).toBeGreaterThan(TERMINATIONS / 2);
    for (const { error } of load.retries) expect(error).toMatchObject({ failureClass: 'transport' });
    await expectAccounted(database, table, load);
    await expectIdle(pool);
  },
);
