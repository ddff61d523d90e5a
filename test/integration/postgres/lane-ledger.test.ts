/** The table of lanes, by the ledger's own code on a real server. */

import { setMaxListeners } from 'node:events';
import { beforeEach, describe, expect, test } from 'vitest';
import type pg from 'pg';
import { LaneLedger, type LaneClaim } from '../../../src/postgres/lanes/lane-ledger.js';
import type { LogBounds } from '../../../src/log/log.js';
import { useTestDatabase } from '../../support/postgres.js';
import { range } from '../../support/range.js';

const SIZE = 100;
const NEVER = new AbortController().signal;
setMaxListeners(0, NEVER);

/** A log that has so many full lanes, and an empty one behind them. */
function boundsOf(lanes: number): LogBounds {
  return {
    firstLane: 0,
    lastLane: lanes,
    lane: (lane) => {
      const first = lane * SIZE + 1;
      const end = lane < lanes ? first + SIZE : first;
      return { lane, first, last: first + SIZE - 1, oldest: 1, end };
    },
  };
}

describe('the table of lanes', () => {
  const database = useTestDatabase();
  let imports = 0;
  let pool: pg.Pool;

  beforeEach(() => {
    pool = database.pool();
  });

  async function openLedger(leaseMs = 60_000): Promise<LaneLedger<pg.PoolClient>> {
    await database.query('CREATE TABLE IF NOT EXISTS public.loaded (id int)');
    const options = { schema: 'public', table: 'loaded', deadLetters: 'spillway_dead_letters' };
    const common = {
      leaseMs,
      isOrdered: false,
      from: 'first',
      maxRejects: undefined,
      source: {},
    } as const;
    return LaneLedger.open(pool, { ...options, ...common, importId: `import-${imports}` }, NEVER);
  }

  /** As a batch does it, in its transaction. */
  async function finish(ledger: LaneLedger<pg.PoolClient>, claim: LaneClaim): Promise<void> {
    const client = await pool.connect();
    await client.query('BEGIN');
    const next = claim.last + 1;
    await ledger.writeBatch(client, claim, { from: claim.next, next, extraMs: 0, rows: SIZE, letters: [] });
    await client.query('COMMIT');
    client.release();
  }

  /** First and last lane, position and rows of each row. */
  async function rowsOf(): Promise<number[][]> {
    const rows = await database.query<Record<string, string>>(
      `SELECT lane, through_lane, next, rows FROM public.spillway_lanes l JOIN public.spillway_imports i ON i.id = l.import
       WHERE import_id = 'import-${imports}' ORDER BY lane`,
    );
    return rows.map((row) => Object.values(row).map(Number));
  }

  test('finished lanes between open ones share one row, and those before all of them another one', async () => {
    imports += 1;
    const ledger = await openLedger();
    const bounds = boundsOf(8);
    expect(await ledger.extend(bounds, true, NEVER)).toBe(9);
    const claims: LaneClaim[] = [];
    for (const lane of range(8)) {
      const claim = await ledger.claim(NEVER);
      expect(claim?.lane).toBe(lane);
      claims.push(claim!);
    }
    for (const lane of [1, 2, 3, 5, 6]) await finish(ledger, claims[lane]!);
    // The empty one at the end is free.
    expect(await ledger.extend(bounds, true, NEVER)).toBe(1);
    expect(await rowsOf()).toEqual([
      [0, 0, 1, 0],
      [1, 3, 401, 300],
      [4, 4, 401, 0],
      [5, 6, 701, 200],
      [7, 7, 701, 0],
      [8, 8, 801, 0],
    ]);
    expect(await ledger.state(NEVER)).toMatchObject({ through: 8, finished: 5, rows: 500 });
    await finish(ledger, claims[0]!);
    await finish(ledger, claims[4]!);
    await ledger.extend(bounds, true, NEVER);
    expect(await rowsOf()).toEqual([
      [0, 6, 701, 700],
      [7, 7, 701, 0],
      [8, 8, 801, 0],
    ]);
    expect(await ledger.state(NEVER)).toMatchObject({ through: 8, finished: 7, rows: 700 });
  });

  test('has few rows, however many lanes are finished behind one that is held', async () => {
    imports += 1;
    const ledger = await openLedger();
    const bounds = boundsOf(400);
    let made = await ledger.extend(bounds, true, NEVER);
    const held = await ledger.claim(NEVER);
    expect(held?.lane).toBe(0);
    let most = 0;
    for (;;) {
      const claim = await ledger.claim(NEVER);
      if (claim === undefined) {
        const more = await ledger.extend(bounds, true, NEVER);
        if (more === 0) break;
        made += more;
        most = Math.max(most, (await rowsOf()).length);
      } else await finish(ledger, claim);
    }
    expect(made).toBe(401);
    expect(most).toBeLessThanOrEqual(2 + 64);
    expect(await rowsOf()).toEqual([
      [0, 0, 1, 0],
      [1, 400, 401 * SIZE + 1, 400 * SIZE],
    ]);
  });

  test('has no more rows if many workers begin at the same time, and all of them find a lane', async () => {
    imports += 1;
    const ledgers = await Promise.all(range(8).map(() => openLedger()));
    const bounds = boundsOf(1_000);
    const made = await Promise.all(ledgers.map((ledger) => ledger.extend(bounds, true, NEVER)));
    expect(made).toEqual(range(8).map(() => 64));
    expect(await rowsOf()).toHaveLength(64);
    const claims = await Promise.all(ledgers.map((ledger) => ledger.claim(NEVER)));
    expect(claims.map((claim) => claim!.lane).toSorted((a, b) => a - b)).toEqual(range(8));
    expect(ledgers.map(({ lastLane }) => lastLane)).toEqual(range(8).map(() => 63));
  });

  test('a session that was cut off within a claim is ended after a lease, and its lane is claimed by another', async () => {
    imports += 1;
    const ledger = await openLedger(50);
    await ledger.extend(boundsOf(0), true, NEVER);
    const silent = await pool.connect();
    silent.on('error', () => undefined);
    await silent.query('BEGIN; UPDATE public.spillway_lanes SET run = run + 1 WHERE lease_until IS NULL');
    expect(await ledger.claim(NEVER)).toBeUndefined();
    const claim = async (): Promise<number | undefined> => {
      await ledger.checkLeases(NEVER);
      return (await ledger.claim(NEVER))?.lane;
    };
    try {
      await expect.poll(claim, { timeout: 20_000 }).toBe(0);
    } finally {
      silent.release(true);
    }
  });

  test('a lane of a worker that ends is over at once, and one that is laid down is only free', async () => {
    imports += 1;
    const ledger = await openLedger(60_000);
    await ledger.extend(boundsOf(1), true, NEVER);
    const [first, second] = [(await ledger.claim(NEVER))!, (await ledger.claim(NEVER))!];
    expect(await ledger.checkLeases(NEVER)).toBeGreaterThan(0);
    await ledger.release(first, false, NEVER);
    expect(await ledger.claim(NEVER, { isOver: true })).toBeUndefined();
    await ledger.release(second, true, NEVER);
    expect(await ledger.checkLeases(NEVER)).toBeLessThan(0);
    expect((await ledger.claim(NEVER, { isOver: true }))?.lane).toBe(1);
    expect((await ledger.claim(NEVER))?.lane).toBe(0);
  });

  test('the worker of a lane that was merged meanwhile learns that all of it is loaded, or has lost it', async () => {
    imports += 1;
    const ledger = await openLedger();
    await ledger.extend(boundsOf(3), true, NEVER);
    const [first, second] = [(await ledger.claim(NEVER))!, (await ledger.claim(NEVER))!];
    await finish(ledger, first);
    await finish(ledger, second);
    await ledger.extend(boundsOf(3), true, NEVER);
    expect(await ledger.renew(first, 0, NEVER)).toBe(2 * SIZE + 1);
    await expect(ledger.renew(second, 0, NEVER)).rejects.toThrow('another worker has taken over lane 1');
  });
});
