/** How COPY depends on the number of connections that load at the same time. */

import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { BackpressureWritable } from 'spillway';
import { copyInto } from 'spillway/postgres';
import type { Flight } from './flights/flight-source.js';
import type { Comparison } from './support/comparison.js';
import { withFlights, type FlightsBench } from './support/flights-bench.js';

const ROWS = 1_000_000;
const CONNECTIONS = [1, 2, 3, 4, 6, 8];

export function comparisons(rows = ROWS): AsyncIterable<Comparison> {
  return withFlights(rows, (bench) => [connections(bench)]);
}

function connections({ baseline, candidate, pool, rows, table }: FlightsBench): Comparison {
  return {
    title: 'Objects into PostgreSQL by COPY, by connections',
    unit: 'rows',
    amount: rows.length,
    baseline: baseline.name,
    candidates: [
      baseline,
      ...CONNECTIONS.map((concurrency) =>
        candidate(concurrency === 1 ? '1 connection' : `${concurrency} connections`, () =>
          pipeline(
            Readable.from(rows),
            new BackpressureWritable<Flight>(copyInto(pool, { table }), { concurrency }),
          ),
        ),
      ),
    ],
  };
}
