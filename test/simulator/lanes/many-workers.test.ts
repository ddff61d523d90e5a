/** A short version of `npm run simulate:lanes`. */

import { describe, expect, test } from 'vitest';
import { runManyWorkers, USUAL } from './many-workers.js';

const LANES = 300;
const CONNECTIONS = USUAL.workers * USUAL.connections;

describe('50 workers of a log', () => {
  test.each([1, 2, 3])('load all of it while some are killed and stopped, seed %i', async (seed) => {
    const plan = { ...USUAL, lanes: LANES, faultEveryMs: 1_000, idleMs: 20_000, seed };
    const result = await runManyWorkers(plan);
    expect(result.kills + result.stops).toBeGreaterThan(5);
    expect(result.takeovers).toBeGreaterThan(0);
    expect(result).toMatchObject({ rows: result.rowsExpected, lanesFinished: LANES });
    // A look for a lane each second, or at the end of a lane, and what claims and extensions take.
    expect(result.slowestTakeoverMs).toBeLessThanOrEqual(2_000);
    // Those that are made at a time, beside an open and a merged one for each connection.
    expect(result.mostRows).toBeLessThanOrEqual(64 + 2 * CONNECTIONS);
  });

  test('ask little of the server while there is nothing to load', async () => {
    const { idle } = await runManyWorkers({ ...USUAL, lanes: 100, faultEveryMs: 0 });
    expect(idle.transactions.claim).toBeLessThanOrEqual(USUAL.workers * 1.1);
    // A claim has 6. Four times a lease, lanes are merged and stalled sessions are looked for, which takes 15.
    expect(idle.statements).toBeLessThanOrEqual(USUAL.workers * 11);
  });
});
