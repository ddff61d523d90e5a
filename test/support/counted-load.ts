/** A load of numbered rows through the stream and `copyInto`, accounted for row by row in the end. */

import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type pg from 'pg';
import { expect } from 'vitest';
import {
  BackpressureWritable,
  type FlushContext,
  type RetryReport,
  type WritableOptions,
} from '../../src/index.js';
import { copyInto, CopyError, type CopyOptions } from '../../src/postgres/index.js';
import type { TestDatabase } from './postgres.js';

export interface NumberedRow {
  a: number;
  b: string;
}

/** The columns of a table that takes them. */
export const NUMBERED_COLUMNS = 'a int, b text';

export interface LoadOptions extends WritableOptions<NumberedRow> {
  copy?: Partial<CopyOptions<NumberedRow, pg.PoolClient>>;
  /** As an import: no row may be there twice, whatever happens. Default `false`. */
  exactlyOnce?: boolean;
  /** Whether to offer another row after `offered` of them. Default: while there are fewer than 20 000. */
  goesOn?: (offered: number) => boolean;
}

export interface Retry extends RetryReport {
  at: number;
}

export interface CountedLoad {
  readonly stream: BackpressureWritable<NumberedRow>;
  /** Settles with the stream. */
  readonly done: Promise<void>;
  /** Rows that the stream was given. */
  readonly offered: number;
  readonly retries: readonly Retry[];
  /** Numbers of the rows of which nobody could know, after some call, whether they had arrived. */
  readonly uncertain: ReadonlySet<number>;
  readonly exactlyOnce: boolean;
  /** Numbers of the rows that were returned in the end. */
  handedBack(): ReadonlySet<number>;
  /** Resolves once so many calls were made again. */
  retried(count: number): Promise<void>;
}

const FILLER = 'x'.repeat(100);

export function startLoad(
  pool: pg.Pool,
  table: string,
  { copy = {}, exactlyOnce = false, goesOn = (offered) => offered < 20_000, ...options }: LoadOptions = {},
): CountedLoad {
  // An idle client that is lost is the pool's to report, and nobody's loss.
  if (pool.listenerCount('error') === 0) pool.on('error', () => undefined);
  const asImport = { importId: `load of ${table}`, positionOf: ({ a }: NumberedRow) => a };
  const copyRows = copyInto<NumberedRow, pg.PoolClient>(pool, {
    table,
    ...(exactlyOnce && asImport),
    ...copy,
  } as CopyOptions<NumberedRow, pg.PoolClient>);
  const uncertain = new Set<number>();
  const flush = (items: NumberedRow[], context: FlushContext): ReturnType<typeof copyRows> =>
    copyRows(items, context).catch((error: unknown) => {
      if (error instanceof CopyError && error.ambiguous) for (const { a } of items) uncertain.add(a);
      throw error;
    });
  const stream = new BackpressureWritable<NumberedRow>(Object.assign(flush, copyRows), {
    batchSize: 500,
    minFlushIntervalMs: 20,
    ...options,
  });
  const retries: Retry[] = [];
  stream.on('retry', (report) => retries.push({ ...report, at: performance.now() }));
  const handedBack = new Set<number>();
  let offered = 0;
  const rows = function* (): Generator<NumberedRow> {
    for (; goesOn(offered); offered += 1) yield { a: offered, b: FILLER };
  };
  const done = pipeline(Readable.from(rows()), stream);
  // A later look still sees it.
  done.catch(() => undefined);
  const load: CountedLoad = {
    stream,
    done,
    get offered() {
      return stream.getMetrics().eventsOffered;
    },
    retries,
    uncertain,
    exactlyOnce,
    handedBack() {
      if (stream.closed) for (const { a } of stream.takeUnsettled()) handedBack.add(a);
      return handedBack;
    },
    async retried(count) {
      await until(() => retries.length >= count || stream.closed);
      if (retries.length < count) throw new Error(`${retries.length} retries where ${count} were awaited`);
    },
  };
  loads.add(load);
  return load;
}

/**
 * Holds the table against what was offered: each row is there, but for those that failed, and once, but for those of a batch whose
 * outcome was unknown when it was sent again.
 */
export async function expectAccounted(
  database: TestDatabase,
  table: string,
  load: CountedLoad,
  { exactlyOnce = load.exactlyOnce } = {},
): Promise<void> {
  const metrics = load.stream.getMetrics();
  const { eventsOffered, eventsFlushed, eventsFailed, eventsDropped } = metrics;
  expect(eventsOffered).toBe(eventsFlushed + eventsFailed + eventsDropped);
  const open = load.handedBack();
  expect(open.size).toBe(eventsFailed + eventsDropped);
  const counts = await database.query<{ a: number; n: number }>(
    `SELECT a, count(*)::int AS n FROM ${table} GROUP BY a`,
  );
  const inTable = new Map(counts.map(({ a, n }) => [a, n]));
  const lost: number[] = [];
  const strange: number[] = [];
  for (let a = 0; a < eventsOffered; a += 1) if (!inTable.has(a) && !open.has(a)) lost.push(a);
  for (const [a, n] of inTable) {
    if (a < 0 || a >= eventsOffered || (n > 1 && (exactlyOnce || !load.uncertain.has(a)))) strange.push(a);
    // What was returned is not in the table, unless nobody could know.
    if (open.has(a) && !load.uncertain.has(a)) strange.push(a);
  }
  expect({ lost, strange }).toEqual({ lost: [], strange: [] });
}

export async function until(condition: () => boolean | Promise<boolean>, limitMs = 30_000): Promise<void> {
  for (const deadline = performance.now() + limitMs; !(await condition());) {
    if (performance.now() > deadline) throw new Error('the condition did not become true');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** No client is out, nobody waits for one, once a load has ended. One that was asked for and given up may take a moment to come back. */
export async function expectIdle(pool: pg.Pool): Promise<void> {
  const stateOf = (): object => ({ out: pool.totalCount - pool.idleCount, waiting: pool.waitingCount });
  const idle = { out: 0, waiting: 0 };
  await until(() => JSON.stringify(stateOf()) === JSON.stringify(idle), 2_000).catch(() => undefined);
  expect(stateOf()).toEqual(idle);
}

const loads = new Set<CountedLoad>();

/** For `afterEach`: what a failed test has left under way would fail those after it, too. */
export async function endLoads(): Promise<void> {
  const left = [...loads].filter(({ stream }) => !stream.closed);
  loads.clear();
  for (const { stream } of left) stream.on('error', () => undefined).destroy();
  await until(() => left.every(({ stream }) => stream.closed));
}
