/** How throughput depends on the size of a batch: within the process, and into PostgreSQL, where each batch is a transaction. */

import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { BackpressureWritable } from 'spillway';
import { copyInto } from 'spillway/postgres';
import type { Flight } from './flights/flight-source.js';
import type { Comparison } from './support/comparison.js';
import { makeItems, type Item } from './support/counting.js';
import { withFlights, type FlightsBench } from './support/flights-bench.js';
import { candidate, writeAll } from './support/in-process.js';

const COUNT = 1_000_000;
const IN_PROCESS = [1, 10, 100, 1_000, 10_000];
const COPY = [1_000, 5_000, 20_000, 100_000];

export async function* comparisons(count = COUNT): AsyncGenerator<Comparison, void> {
  yield inProcess(count);
  yield* withFlights(count, (bench) => [copy(bench)]);
}

const nameOf = (batchSize: number): string => `batches of ${batchSize.toLocaleString('en-GB')}`;

function inProcess(count: number): Comparison {
  const items = makeItems(count);
  return {
    title: 'Within the process: a write loop into an async no-op',
    unit: 'items',
    isInProcess: true,
    amount: count,
    baseline: nameOf(1_000),
    rounds: 9,
    candidates: IN_PROCESS.map((batchSize) =>
      candidate(count, nameOf(batchSize), (_take, flush) =>
        writeAll(new BackpressureWritable<Item>(flush, { batchSize }), items),
      ),
    ),
  };
}

function copy({ candidate: load, pool, rows, table }: FlightsBench): Comparison {
  const baseline = 'default options';
  const into = (name: string, options: { batchSize?: number }) =>
    load(name, () =>
      pipeline(Readable.from(rows), new BackpressureWritable<Flight>(copyInto(pool, { table }), options)),
    );
  return {
    title: 'Objects into PostgreSQL by COPY',
    unit: 'rows',
    amount: rows.length,
    baseline,
    candidates: [into(baseline, {}), ...COPY.map((batchSize) => into(nameOf(batchSize), { batchSize }))],
  };
}
