/**
 * Hostile rows and callbacks of `copyInto`: whatever they throw or return, nothing hangs, nothing becomes an unhandled rejection, each row has
 * one outcome, and the good rows of the same batches arrive once.
 */

import fc from 'fast-check';
import type pg from 'pg';
import { expect, test } from 'vitest';
import { BackpressureWritable } from '../../../src/index.js';
import { copyInto, type CopyOptions } from '../../../src/postgres/index.js';
import {
  hostileValue,
  perform,
  script,
  VALUE_NAMES,
  watchForStray,
  type Act,
} from '../../support/hostile-code.js';
import { useTestDatabase } from '../../support/postgres.js';
import { fastCheckRuns } from '../../support/test-runs.js';

const database = useTestDatabase();

type Row = Record<string, unknown>;

const fails = (): never => {
  throw hostileValue('an error whose getters throw');
};

/** A row with a value, or a whole row, that cannot be written, or that is not the same twice. */
const HOSTILE_ROWS: Readonly<Record<string, (id: number, value: () => unknown) => unknown>> = {
  'a value': (id, value) => ({ id, t: value() }),
  'a number that is none': (_id, value) => ({ id: value(), t: 'x' }),
  'in place of a row': (_id, value) => value(),
  'a getter that throws': (id, value) =>
    Object.defineProperty({ id }, 't', {
      enumerable: true,
      get: () => {
        throw value();
      },
    }),
  'toJSON that throws': (id, value) => ({
    id,
    t: {
      toJSON: () => {
        throw value();
      },
    },
  }),
  'toPostgres that throws': (id, value) => ({
    id,
    t: {
      toPostgres: () => {
        throw value();
      },
    },
  }),
  'toPostgres that returns': (id, value) => ({ id, t: { toPostgres: value } }),
  'conversions that throw': (id) => ({
    id,
    t: { toString: fails, valueOf: fails, [Symbol.toPrimitive]: fails },
  }),
  'a proxy whose traps throw': (id) =>
    new Proxy({ id, t: 'x' }, { get: fails, ownKeys: fails, getPrototypeOf: fails }),
  'a key that is no column': (id, value) => ({ id, t: 'x', none: value() }),
  'an array that is too long': (id, value) => [id, 'x', value()],
};

/** Good rows, one with a value that is another one at each look. */
const GOOD_ROWS: readonly ((id: number) => Row)[] = [
  (id) => ({ id, t: 'x' }),
  (id) => ({ t: null, id }),
  (id) => {
    let looks = 0;
    return Object.defineProperty({ id }, 't', { enumerable: true, get: () => `look ${looks++}` });
  },
];

const row = fc.oneof(
  { weight: 3, arbitrary: fc.record({ good: fc.nat(GOOD_ROWS.length - 1) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constantFrom(...Object.keys(HOSTILE_ROWS)),
      value: fc.constantFrom(...VALUE_NAMES),
    }),
  },
);

const plan = fc.record({
  rows: fc.array(row, { minLength: 1, maxLength: 25 }),
  batchSize: fc.integer({ min: 1, max: 10 }),
  columns: fc.boolean(),
  format: fc.constantFrom('auto' as const, 'text' as const),
  onConflict: fc.constantFrom('error' as const, 'ignore' as const),
  takesFailures: fc.constantFrom(true, true, false),
  callbacks: fc.record({
    row: fc.option(script, { nil: undefined }),
    beforeCommit: fc.option(script, { nil: undefined }),
    onFailed: script,
    onSettled: fc.option(script, { nil: undefined }),
    sizeOf: fc.option(script, { nil: undefined }),
  }),
});
type Plan = typeof plan extends fc.Arbitrary<infer P> ? P : never;

interface Item {
  readonly id: number;
  readonly isGood: boolean;
  readonly row: unknown;
}

function itemsOf({ rows }: Plan): Item[] {
  return rows.map((given, place) => {
    // None of the hostile values.
    const id = 1_000 + place;
    return 'good' in given
      ? { id, isGood: true, row: GOOD_ROWS[given.good]!(id) }
      : { id, isGood: false, row: HOSTILE_ROWS[given.kind]!(id, () => hostileValue(given.value)) };
  });
}

function behave(acts: Act[], well: (...args: never[]) => unknown): (...args: never[]) => unknown {
  const left = [...acts];
  return (...args) => {
    const next = left.shift();
    return next === undefined
      ? well(...args)
      : perform(
          next,
          () => well(...args),
          () => undefined,
        );
  };
}

async function runPlan(given: Plan, pool: pg.Pool, table: string): Promise<void> {
  const { callbacks, batchSize, columns, format, onConflict, takesFailures } = given;
  const items = itemsOf(given);
  const failed: Item[] = [];
  const options = {
    table,
    format,
    onConflict,
    ...(columns ? { columns: ['id', 't'] } : {}),
    row: behave(callbacks.row ?? [], (item: Item) => item.row),
    ...(callbacks.beforeCommit === undefined
      ? {}
      : { beforeCommit: behave(callbacks.beforeCommit, () => Promise.resolve()) }),
  } as unknown as CopyOptions<Item, pg.PoolClient>;
  const onFailed = behave(callbacks.onFailed, () => undefined);
  const sink = new BackpressureWritable<Item>(copyInto<Item, pg.PoolClient>(pool, options), {
    batchSize,
    retry: { attempts: 2, minDelayMs: 1, maxDelayMs: 5 },
    breaker: false,
    minFlushIntervalMs: 1,
    ...(takesFailures
      ? {
          onFailed: (failures) => {
            failed.push(...failures.map(({ item }) => item));
            return onFailed();
          },
        }
      : {}),
    ...(callbacks.onSettled === undefined
      ? {}
      : { onSettled: behave(callbacks.onSettled, () => undefined) as (settlements: unknown[]) => unknown }),
    ...(callbacks.sizeOf === undefined ? {} : { sizeOf: behave(callbacks.sizeOf, () => 1) as () => number }),
  });
  sink.on('error', () => undefined);
  const isClosed = new Promise((resolve) => sink.once('close', () => resolve(true)));
  for (const item of items) if (sink.writable) sink.write(item);
  if (sink.writable) sink.end();
  const late = new Promise((resolve) => setTimeout(resolve, 20_000, false).unref());
  expect(await Promise.race([isClosed, late]), 'it never closes').toBe(true);
  const metrics = sink.getMetrics();
  const returned = sink.takeUnsettled();
  expect(metrics).toMatchObject({ waiting: 0, bufferSize: 0, inFlight: 0 });
  expect(metrics.eventsOffered).toBe(metrics.eventsFlushed + metrics.eventsFailed + metrics.eventsDropped);
  const { rows: stored } = await pool.query<{ id: number }>(`SELECT id FROM ${table}`);
  const ids = stored.map(({ id }) => id);
  expect(ids).toHaveLength(metrics.eventsFlushed);
  const open = new Set([...failed, ...returned]);
  for (const item of items.slice(0, metrics.eventsOffered)) {
    const count = ids.filter((id) => id === item.id).length;
    if (item.isGood) expect(count, `row ${item.id}`).toBe(open.has(item) ? 0 : 1);
  }
  // Nothing but rows of their own was at fault: then all good ones have arrived.
  const isOnlyRows = callbacks.row === undefined && callbacks.beforeCommit === undefined;
  if (isOnlyRows && takesFailures && sink.errored === null)
    expect([...open].filter(({ isGood }) => isGood)).toEqual([]);
}

test(
  'hostile rows and callbacks leave no hang, no stray rejection, and each good row once',
  { timeout: 3_600_000 },
  async () => {
    const pool = database.pool({ max: 4 });
    const table = await database.table('id int, t text');
    const stray = watchForStray();
    try {
      await fc.assert(
        fc.asyncProperty(plan, async (given) => {
          await pool.query(`TRUNCATE ${table}`);
          await runPlan(given, pool, table);
          expect(stray.found.splice(0), 'stray rejections or exceptions').toEqual([]);
        }),
        fastCheckRuns(25),
      );
    } finally {
      stray.stop();
    }
  },
);
