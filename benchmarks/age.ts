/** How old rows are when their flush starts, where they trickle in and the interval is what sends them out. */

import { finished } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { BackpressureWritable, type FlushFunction } from 'spillway';
import { copyInto } from 'spillway/postgres';
import type { Flight } from './flights/flight-source.js';
import { countFault } from './support/counting.js';
import type { Figures, Measured } from './support/figures.js';
import { withFlights } from './support/flights-bench.js';
import { quantile } from './support/statistics.js';

const ROWS_PER_SECOND = 10_000;
const BOUND_MS = 100;
/** Six seconds of it. */
const ROWS = 60_000;
const ANSWER_MS = 5;

export function comparisons(rowCount = ROWS): AsyncIterable<Figures> {
  return withFlights(rowCount, ({ pool, rows, table }) => [
    {
      title: `Age at the start of the flush: ${ROWS_PER_SECOND.toLocaleString('en-GB')} rows/s, bound ${BOUND_MS} ms`,
      measure: () =>
        measure(rows, [
          [`async function that takes ${ANSWER_MS} ms`, answering],
          ['copyInto, default options', copyInto<Flight>(pool, { table })],
        ]),
    },
  ]);
}

/** With batches that never fill at this rate, so that the interval is what sends them out. */
const answering: FlushFunction<Flight> = Object.assign(
  async () => {
    await delay(ANSWER_MS);
  },
  { defaults: { batchSize: ROWS_PER_SECOND } },
);

type Destination = readonly [name: string, flush: FlushFunction<Flight>];

async function measure(rows: readonly Flight[], destinations: readonly Destination[]): Promise<Measured> {
  const values = [];
  for (const [name, flush] of destinations) values.push({ name, ...(await agesOf(rows, flush)) });
  const wrong = values.map(({ fault }) => fault).find((fault) => fault !== undefined);
  return {
    header: [
      '',
      'flushes',
      'age p50',
      'p99',
      'max',
      'oldest of a batch p99',
      'most that the producer was late',
    ],
    cells: values.map(({ name, flushes, p50Ms, p99Ms, maxMs, oldestP99Ms, lateMs }) => [
      name,
      String(flushes),
      ...[p50Ms, p99Ms, maxMs, oldestP99Ms, lateMs].map((ms) => `${ms.toFixed(0)} ms`),
    ]),
    caption: `${rows.length.toLocaleString('en-GB')} rows.`,
    values,
    ...(wrong === undefined ? {} : { wrong }),
  };
}

interface Ages {
  flushes: number;
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
  oldestP99Ms: number;
  /** By how much a row was offered too late: then the machine was busy, and ages tell of it too. */
  lateMs: number;
  fault: string | undefined;
}

async function agesOf(rows: readonly Flight[], flush: FlushFunction<Flight>): Promise<Ages> {
  const offeredAt = new Map<Flight, number>();
  const ages: number[] = [];
  const oldest: number[] = [];
  const observed: FlushFunction<Flight> = (batch, context) => {
    const now = performance.now();
    for (const row of batch) ages.push(now - offeredAt.get(row)!);
    oldest.push(now - offeredAt.get(batch[0]!)!);
    return flush(batch, context);
  };
  const sink = new BackpressureWritable<Flight>(Object.assign(observed, defaultsOf(flush)), {
    minFlushIntervalMs: BOUND_MS,
    maxFlushIntervalMs: BOUND_MS,
  });
  const lateMs = await trickle(rows, (row) => {
    offeredAt.set(row, performance.now());
    sink.write(row);
  });
  sink.end();
  await finished(sink);
  ages.sort((a, b) => a - b);
  oldest.sort((a, b) => a - b);
  return {
    flushes: oldest.length,
    p50Ms: quantile(ages, 0.5),
    p99Ms: quantile(ages, 0.99),
    maxMs: quantile(ages, 1),
    oldestP99Ms: quantile(oldest, 0.99),
    lateMs,
    fault: countFault(ages.length, rows.length),
  };
}

/** What a flush function brings along for its stream must stay with the one that looks at it. */
function defaultsOf(flush: FlushFunction<Flight>): Pick<FlushFunction<Flight>, 'defaults'> {
  return flush.defaults === undefined ? {} : { defaults: flush.defaults };
}

async function trickle(rows: readonly Flight[], offer: (row: Flight) => void): Promise<number> {
  const start = performance.now();
  let lateMs = 0;
  let next = 0;
  while (next < rows.length) {
    const elapsedMs = performance.now() - start;
    lateMs = Math.max(lateMs, elapsedMs - (next / ROWS_PER_SECOND) * 1000);
    const due = Math.min(rows.length, Math.ceil((elapsedMs / 1000) * ROWS_PER_SECOND));
    for (; next < due; next += 1) offer(rows[next]!);
    await delay(1);
  }
  return lateMs;
}
