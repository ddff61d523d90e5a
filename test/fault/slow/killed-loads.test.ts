/**
 * The loader is killed outright at random moments, and started again with other batch sizes and connections, until it is through: the
 * table then holds what the source holds, row for row. `SPILLWAY_TEST_RUNS` is the number of kills.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { beforeAll, expect, test } from 'vitest';
import { checksumQuery, type Checksum } from '../../../benchmarks/flights/flight-checksum.js';
import { useCli } from '../../support/cli.js';
import { FLIGHT_COLUMNS, writeFlightFiles, type FlightFiles } from '../../support/flight-files.js';
import { useTestDatabase } from '../../support/postgres.js';
import { SeededRandom } from '../../support/seeded-random.js';
import { testRuns, testSeed } from '../../support/test-runs.js';

const KILLS = testRuns(5);
const SEED = testSeed();
const ROWS = 1_000_000;
const LONGEST_RUN_MS = 300_000;
/** A run may be killed before it has done anything, but not each of them. */
const MOST_KILLS_OF_ONE_LOAD = 8;

const database = useTestDatabase();
const cli = useCli();
let files: FlightFiles;
beforeAll(async () => {
  files = await writeFlightFiles(cli.directory, ROWS);
}, 120_000);

const random = new SeededRandom(SEED).next;
/** How long a whole load took last. */
let usualMs = 4_000;

test(
  `${KILLS} kills, seed ${SEED}: rows in the table are the rows in the source`,
  { timeout: 3_600_000 },
  async () => {
    let kills = 0;
    let loads = 0;
    /** Kills that left a part of the rows. */
    let inTheMiddle = 0;
    for (; kills < KILLS; loads += 1) {
      const table = await database.table(FLIGHT_COLUMNS);
      const file = files.paths[loads % files.paths.length]!;
      for (let killsOfThis = 0; ; killsOfThis += 1) {
        const mayKill = kills < KILLS && killsOfThis < MOST_KILLS_OF_ONE_LOAD;
        if (!(await run(file, table, mayKill ? random() * usualMs : undefined))) break;
        kills += 1;
        const { rows } = await tableChecksum(table);
        if (rows > 0 && rows < ROWS) inTheMiddle += 1;
        await delay(random() < 0.5 ? 0 : random() * 300);
      }
      expect(await tableChecksum(table)).toEqual(files.checksum);
      // A load that is complete adds nothing.
      if (loads === 0) {
        await run(file, table, undefined);
        expect(await tableChecksum(table)).toEqual(files.checksum);
      }
      await database.query(`DROP TABLE ${table}`);
    }
    expect(inTheMiddle).toBeGreaterThan(0);
    console.log(
      `${kills} kills in ${loads} loads of ${ROWS} rows, ${inTheMiddle} with a part of the rows in: each row once`,
    );
  },
);

/** Answers whether it was killed. */
async function run(file: string, table: string, killAfterMs: number | undefined): Promise<boolean> {
  const flags = {
    '--table': table,
    '--import': `flights into ${table}`,
    '--batch-size': String(Math.round(500 * 100 ** random())),
    '--connections': String(1 + Math.floor(random() * 4)),
  };
  const start = performance.now();
  const { child, result } = cli.start(['load', file, '--quiet', ...Object.entries(flags).flat()], {
    env: { DATABASE_URL: database.url },
    longestRunMs: LONGEST_RUN_MS,
  });
  const timer = killAfterMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfterMs);
  const { code, stderr } = await result;
  clearTimeout(timer);
  if (child.signalCode === 'SIGKILL') return true;
  expect({ code, stderr, flags }).toEqual({ code: 0, stderr: '', flags });
  usualMs = Math.max(2_000, performance.now() - start);
  return false;
}

async function tableChecksum(table: string): Promise<Checksum> {
  const [sums] = await database.query<{ rows: number; first: string; second: string }>(checksumQuery(table));
  return { rows: sums!.rows, sums: [sums!.first, sums!.second] };
}
