/** A short version of `npm run simulate:lanes`. */

import { describe, expect, test } from 'vitest';
import { runManyWorkers, USUAL, type ManyWorkersResult } from './many-workers.js';

const LANES = 300;
const CONNECTIONS = USUAL.workers * USUAL.connections;

/** A killed worker's lanes are taken over within the lease and a second, those of one that is stopped within two leases. */
function expectPromise({ takeoversAfter: { kill, stop } }: ManyWorkersResult, leaseMs: number): void {
  expect(kill.claimed.length).toBeGreaterThan(0);
  expect(stop.claimed.length).toBeGreaterThan(0);
  expect(Math.max(...kill.claimed)).toBeLessThanOrEqual(leaseMs + 1_000);
  expect(Math.max(...stop.claimed)).toBeLessThanOrEqual(2 * leaseMs);
}

describe('4 workers with a backlog that keeps all of their connections busy', () => {
  // Up to most of a lease for each batch: a lane takes several leases.
  test.each([
    [500, 1],
    [500, 2],
    [1_500, 3],
  ])('keep what is promised about takeovers, with batches of %i ms, seed %i', async (batchMs, seed) => {
    const plan = { ...USUAL, workers: 4, lanes: 100, batchMs, leaseMs: 2_000, faultEveryMs: 6_000, seed };
    const result = await runManyWorkers({ ...plan, idleMs: 0 });
    expect(result).toMatchObject({ rows: result.rowsExpected, lanesFinished: 100 });
    expectPromise(result, 2_000);
  });
});

describe('50 workers of a log', () => {
  test.each([1, 2, 3])('load all of it while some are killed and stopped, seed %i', async (seed) => {
    const plan = { ...USUAL, lanes: LANES, faultEveryMs: 1_000, idleMs: 20_000, seed };
    const result = await runManyWorkers(plan);
    expect(result.kills + result.stops).toBeGreaterThan(5);
    expect(result.takeovers).toBeGreaterThan(0);
    expect(result).toMatchObject({ rows: result.rowsExpected, lanesFinished: LANES });
    expectPromise(result, USUAL.leaseMs);
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
