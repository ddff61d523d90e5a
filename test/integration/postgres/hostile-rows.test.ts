/**
 * Hostile rows and callbacks of `copyInto`: whatever they throw or return, nothing hangs, nothing becomes an unhandled rejection, each row has
 * one outcome, and the good rows of the same batches arrive once.
 */

import fc from 'fast-check';
import type pg from 'pg';
import { describe, expect, test } from 'vitest';
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
import { flushContext, useTestDatabase } from '../../support/postgres.js';
import { fastCheckRuns } from '../../support/test-runs.js';

const database = useTestDatabase();

type Row = Record<string, unknown>;

const fails = (): never => {
  throw hostileValue('an error whose getters throw');
};

const EXTRA_KEY = 'a key that is no column';

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
  [EXTRA_KEY]: (id, value) => ({ id, t: 'x', none: value() }),
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
  /** Items are rows, without the option `row`. */
  isDirect: fc.boolean(),
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

function itemsOf({ rows, isDirect }: Pick<Plan, 'rows' | 'isDirect'>): Item[] {
  const items = rows.map((given, place) => {
    // None of the hostile values.
    const id = 1_000 + place;
    return 'good' in given
      ? { id, isGood: true, row: GOOD_ROWS[given.good]!(id) }
      : { id, isGood: false, row: HOSTILE_ROWS[given.kind]!(id, () => hostileValue(given.value)) };
  });
  // A stream of Node's takes no null.
  return isDirect ? items.filter(({ row }) => row !== null && row !== undefined) : items;
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
  const { callbacks, batchSize, columns, format, onConflict, takesFailures, isDirect } = given;
  const items = itemsOf(given);
  const chunks: unknown[] = isDirect ? items.map(({ row }) => row) : items;
  const itemOf = (chunk: unknown): Item => items[chunks.indexOf(chunk)]!;
  const failed: Item[] = [];
  const options = {
    table,
    format,
    onConflict,
    ...(columns ? { columns: ['id', 't'] } : {}),
    ...(isDirect ? {} : { row: behave(callbacks.row ?? [], (item: Item) => item.row) }),
    ...(callbacks.beforeCommit === undefined
      ? {}
      : { beforeCommit: behave(callbacks.beforeCommit, () => Promise.resolve()) }),
  } as unknown as CopyOptions<object, pg.PoolClient>;
  const onFailed = behave(callbacks.onFailed, () => undefined);
  const sink = new BackpressureWritable<unknown>(copyInto<object, pg.PoolClient>(pool, options) as never, {
    batchSize,
    retry: { attempts: 2, minDelayMs: 1, maxDelayMs: 5 },
    breaker: false,
    minFlushIntervalMs: 1,
    ...(takesFailures
      ? {
          onFailed: (failures) => {
            failed.push(...failures.map(({ item }) => itemOf(item)));
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
  for (const chunk of chunks) if (sink.writable) sink.write(chunk);
  if (sink.writable) sink.end();
  const late = new Promise((resolve) => setTimeout(resolve, 20_000, false).unref());
  expect(await Promise.race([isClosed, late]), 'it never closes').toBe(true);
  const metrics = sink.getMetrics();
  const returned = sink.takeUnsettled().map(itemOf);
  expect(metrics).toMatchObject({ waiting: 0, bufferSize: 0, inFlight: 0 });
  expect(metrics.eventsOffered).toBe(metrics.eventsFlushed + metrics.eventsFailed + metrics.eventsDropped);
  const { rows: stored } = await pool.query<{ id: number | null }>(`SELECT id FROM ${table}`);
  const ids = stored.map(({ id }) => id);
  expect(ids).toHaveLength(metrics.eventsFlushed);
  const open = new Set([...failed, ...returned]);
  const areRowsTheirOwn = isDirect || callbacks.row === undefined;
  let replaced = 0;
  for (const item of items.slice(0, metrics.eventsOffered)) {
    const count = ids.filter((id) => id === item.id).length;
    if (!item.isGood) continue;
    if (!open.has(item) && count === 0) replaced += 1;
    else expect(count, `row ${item.id}`).toBe(open.has(item) ? 0 : 1);
  }
  // A script of the option `row` may return another object, which is stored without its id.
  expect(replaced).toBeLessThanOrEqual(areRowsTheirOwn ? 0 : ids.filter((id) => id === null).length);
  // Nothing but rows of their own was at fault: then all good ones have arrived.
  const isOnlyRows = areRowsTheirOwn && callbacks.beforeCommit === undefined;
  const isQuiet = callbacks.onFailed.length === 0 && !callbacks.onSettled && !callbacks.sizeOf;
  // Else the keys of such a row may be the first ones, and name a column that the table does not have.
  const areColumnsKnown = columns || !given.rows.some((one) => 'kind' in one && one.kind === EXTRA_KEY);
  if (isOnlyRows && takesFailures && isQuiet && columns) expect(sink.errored).toBe(null);
  if (isOnlyRows && takesFailures && areColumnsKnown && sink.errored === null)
    expect([...open].filter(({ isGood }) => isGood).map(({ id }) => id)).toEqual([]);
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

type Given = { table?: string } & Pick<CopyOptions<object>, 'columns' | 'onConflict'>;

const ALL_HOSTILE = Object.keys(HOSTILE_ROWS).flatMap((kind) =>
  VALUE_NAMES.map((value) => ({ kind, value })),
);

describe.each([
  ['with the option row', false],
  ['without the option row', true],
])('a batch that has every hostile row, %s', (_title, isDirect) => {
  test.each([
    ['named columns', { columns: ['id', 't'] }],
    ['the columns of the first row', {}],
    ['a column that only a later row has', { table: 'id int, t text, none text' }],
    ['named columns and a merge', { columns: ['id', 't'], onConflict: 'ignore' as const }],
  ])('stores each good row of it, given %s', async (_columns, { table: definition, ...given }: Given) => {
    const table = await database.table(definition ?? 'id int, t text');
    const good = { good: 0 };
    const items = itemsOf({ rows: [good, ...ALL_HOSTILE, good, good], isDirect });
    const chunks: object[] = isDirect ? items.map(({ row }) => row as object) : items;
    const row = isDirect ? {} : { row: (item: object) => (item as Item).row as object };
    const copy = copyInto(database.pool({ max: 2 }), { table, ...given, ...row } as CopyOptions<object>);
    const result = await copy(chunks, { ...flushContext(), takesFailures: true });
    const stored = await database.query<{ id: number }>(`SELECT id FROM ${table}`);
    const ids = stored.map(({ id }) => id);
    expect(items.filter(({ id, isGood }) => isGood && !ids.includes(id)).map(({ id }) => id)).toEqual([]);
    expect(ids.length + result!.errors.length).toBe(items.length);
  });
});

test('a getter that has a value at every other look gets a column, and the batch ends', async () => {
  const table = await database.table('id int, t text');
  let looks = 0;
  const odd = Object.defineProperty({ id: 2 }, 't', {
    enumerable: true,
    get: () => ((looks += 1) % 2 === 1 ? 'x' : undefined),
  });
  const copy = copyInto<object>(database.pool(), { table });
  const signal = AbortSignal.timeout(10_000);
  expect(await copy([{ id: 1 }, odd], { ...flushContext(signal), takesFailures: true })).toBeUndefined();
  expect(await database.query(`SELECT count(*)::int AS n FROM ${table}`)).toEqual([{ n: 2 }]);
});
