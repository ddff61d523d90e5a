/**
 * `onConflict` beside faults: the newest row of each key counts for `'update'`, the first one for `'ignore'`, however many connections were
 * asked for.
 */

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { BackpressureWritable, type FailedItem } from '../../../src/index.js';
import { copyInto } from '../../../src/postgres/index.js';
import { useCli } from '../../support/cli.js';
import { useTestDatabase } from '../../support/postgres.js';
import { SeededRandom } from '../../support/seeded-random.js';
import { testRuns, testSeed } from '../../support/test-runs.js';

const database = useTestDatabase();
const ORDERS = testRuns(50);

interface Row {
  k: number;
  v: number | string;
}
type Action = 'update' | 'ignore';

beforeAll(async () => {
  // Batches take their time by chance, and one in ten fails in a way that is worth another attempt.
  await database.query(`CREATE FUNCTION disturb() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM pg_sleep(random() * 0.004);
    IF random() < 0.1 THEN RAISE EXCEPTION 'by chance' USING ERRCODE = '40001'; END IF;
    RETURN NULL;
  END $$`);
});

async function disturbedTable(): Promise<string> {
  const table = await database.table('k int PRIMARY KEY, v int CHECK (v <> 13)');
  await database.query(
    `CREATE TRIGGER d AFTER INSERT ON ${table} FOR EACH STATEMENT EXECUTE FUNCTION disturb()`,
  );
  return table;
}

/** What one row after the other would leave. */
function stored(rows: readonly Row[], action: Action, isBad: (row: Row) => boolean): Map<number, unknown> {
  const kept = new Map<number, unknown>();
  for (const row of rows)
    if (!isBad(row) && (action === 'update' || !kept.has(row.k))) kept.set(row.k, row.v);
  return kept;
}

/** Orders that share a sink and its batches: each has keys of its own, so that each is an order of arrival of its own. */
const ORDERS_PER_SINK = 25;
const KEYS = 5;

/** The rows of `orders` orders, in one random order of arrival. */
function arrivals(random: SeededRandom, orders: number): Row[] {
  const rows: Row[] = [];
  for (let order = 0; order < orders; order += 1)
    for (let n = 0; n < 30; n += 1) rows.push({ k: order * KEYS + random.int(0, KEYS - 1), v: 0 });
  for (let last = rows.length - 1; last > 0; last -= 1) {
    const other = random.int(0, last);
    [rows[last], rows[other]] = [rows[other]!, rows[last]!];
  }
  return rows.map(({ k }, n) => ({ k, v: random.chance(0.1) ? `bad ${n}` : n + 100 }));
}

describe.each(['update', 'ignore'] as const)('onConflict %s with concurrency 3', (onConflict) => {
  test(`${ORDERS} random orders with retries and bad rows: the table is as after one row at a time`, async () => {
    const pool = database.pool({ max: 4 });
    const table = await disturbedTable();
    for (let first = 1; first <= ORDERS; first += ORDERS_PER_SINK) {
      const random = new SeededRandom(testSeed(1) + first - 1);
      const orders = Math.min(ORDERS_PER_SINK, ORDERS - first + 1);
      const rows = arrivals(random, orders);
      await database.query(`TRUNCATE ${table}`);
      const failures: FailedItem<Row>[] = [];
      const sink = new BackpressureWritable<Row>(copyInto<Row>(pool, { table, onConflict, key: ['k'] }), {
        batchSize: random.int(orders, 8 * orders),
        concurrency: 3,
        retry: { attempts: 50, minDelayMs: 1, maxDelayMs: 4 },
        breaker: false,
        onFailed: (failed) => failures.push(...failed),
      });
      for (const row of rows) sink.write(row);
      await new Promise<void>((resolve, reject) => {
        sink.on('error', reject);
        sink.end(resolve);
      });
      const isBad = ({ v }: Row): boolean => typeof v === 'string';
      expect(failures.map(({ item }) => item)).toEqual(rows.filter(isBad));
      const left = await database.query<{ k: number; v: number }>(`SELECT k, v FROM ${table}`);
      expect({ first, left: new Map(left.map(({ k, v }) => [k, v])) }).toEqual({
        first,
        left: stored(rows, onConflict, isBad),
      });
      expect(sink.getMetrics().currentConcurrency).toBe(1);
    }
  }, 3_600_000);
});

describe('spillway load --connections 3', () => {
  const cli = useCli();

  test.each([
    ['update', 'ndjson', []],
    ['update', 'csv', []],
    ['ignore', 'csv', []],
    ['update', 'csv', ['--strategy', 'drop_newest', '--rejects', 'rejects.ndjson']],
  ] as const)('--on-conflict %s of %s %j: as one row at a time', async (action, format, flags) => {
    const table = await disturbedTable();
    const rows = Array.from({ length: 2_000 }, (_, n): Row => ({ k: (n * 7919) % 37, v: n + 100 }));
    const file = path.join(cli.directory, `${table}.${format}`);
    const lines =
      format === 'csv'
        ? ['k,v', ...rows.map(({ k, v }) => `${k},${v}`)]
        : rows.map((row) => JSON.stringify(row));
    await writeFile(file, lines.join('\n'));
    const result = await cli.run(
      ['load', file, '--table', table, '--to', database.url, '--on-conflict', action, '--key', 'k'].concat([
        '--connections',
        '3',
        '--batch-size',
        '50',
        ...flags,
      ]),
    );
    expect(result).toMatchObject({ code: 0 });
    const left = await database.query<{ k: number; v: number }>(`SELECT k, v FROM ${table}`);
    expect(new Map(left.map(({ k, v }) => [k, v]))).toEqual(stored(rows, action, () => false));
  });
});
