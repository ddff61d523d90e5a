/** The disk under the table is full, and later it is not: no good row is refused, and the load goes on. */

import { setTimeout as delay } from 'node:timers/promises';
import { MIB } from '../../../src/common/bytes.js';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  endLoads,
  expectAccounted,
  expectIdle,
  NUMBERED_COLUMNS,
  startLoad,
} from '../../support/counted-load.js';
import { startFaultServer, type FaultServer } from '../../support/fault-server.js';
import { useTestDatabase } from '../../support/postgres.js';
import { mountSmallDisk, whyNoSmallDisk, type SmallDisk } from '../../support/small-disk.js';

const obstacle = await whyNoSmallDisk();
/** More than the small disk holds, and less than the large one. */
const ROWS = 200_000;
const SMALL_MIB = 12;
const LARGE_MIB = 200;

describe.skipIf(obstacle !== undefined)(
  `a full disk${obstacle === undefined ? '' : ` (${obstacle})`}`,
  () => {
    let server: FaultServer;
    let disk: SmallDisk;
    // Registered before the database's own hooks, so that it runs after them: the disk goes when the server is gone.
    afterAll(() => disk.remove());
    const database = useTestDatabase(async () => (server = await startFaultServer({ autovacuum: 'off' })));
    afterEach(endLoads);
    beforeAll(async () => {
      disk = await mountSmallDisk(SMALL_MIB, server.owner);
      await database.query(`CREATE TABLESPACE small_disk LOCATION '${disk.directory}'`);
    });

    test.each([
      { max: 1, exactlyOnce: false },
      { max: 4, exactlyOnce: true },
    ])(
      'with a pool of $max and exactlyOnce $exactlyOnce: the load waits, and goes on when there is room',
      async ({ max, exactlyOnce }) => {
        await disk.resize(SMALL_MIB);
        const table = await database.table(NUMBERED_COLUMNS);
        await database.query(`ALTER TABLE ${table} SET TABLESPACE small_disk`);
        const pool = database.pool({ max });
        const load = startLoad(pool, table, {
          exactlyOnce,
          batchSize: 5_000,
          goesOn: (offered) => offered < ROWS,
          retry: { attempts: 100, minDelayMs: 20, maxDelayMs: 200 },
          onFailed: (failures) => {
            throw new Error('a good row was refused', { cause: failures[0]!.error });
          },
        });
        await load.retried(1);
        for (const { error, delayMs } of load.retries) {
          expect(error).toMatchObject({ failureClass: 'transport', sqlState: '53100', row: undefined });
          // Somebody must make room first.
          expect(delayMs).toBeGreaterThanOrEqual(5_000);
        }
        expect(await disk.freeBytes()).toBeLessThan(MIB);
        // It rests there: nothing is settled that is not in the table.
        await delay(500);
        expect(load.stream.getMetrics().eventsFailed).toBe(0);
        expect(load.stream.getMetrics().eventsFlushed).toBeLessThan(ROWS);
        await disk.resize(LARGE_MIB);
        await load.done;
        expect(load.stream.getMetrics()).toMatchObject({ eventsFlushed: ROWS, eventsFailed: 0 });
        await expectIdle(pool);
        await expectAccounted(database, table, load, { exactlyOnce: true });
        await database.query(`DROP TABLE ${table}`);
      },
    );

    test('a disk that stays full: the load fails, and every row is in the table or in hand', async () => {
      await disk.resize(SMALL_MIB);
      const table = await database.table(NUMBERED_COLUMNS);
      await database.query(`ALTER TABLE ${table} SET TABLESPACE small_disk`);
      const pool = database.pool({ max: 4 });
      const load = startLoad(pool, table, {
        batchSize: 5_000,
        goesOn: (offered) => offered < ROWS,
        retry: { attempts: 2, minDelayMs: 20, maxDelayMs: 100 },
      });
      await expect(load.done).rejects.toMatchObject({ cause: { sqlState: '53100' } });
      if (!load.stream.closed) await new Promise((resolve) => load.stream.once('close', resolve));
      expect(load.handedBack().size).toBeGreaterThan(0);
      await expectIdle(pool);
      await expectAccounted(database, table, load, { exactlyOnce: true });
      await database.query(`DROP TABLE ${table}`);
    });
  },
);
