/** A million objects in memory into a table, with default options, against psql and a CSV file of the same rows. */

import { Readable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import { BackpressureWritable } from 'spillway';
import { copyInto } from 'spillway/postgres';
import type { Flight } from './flights/flight-source.js';
import type { Candidate, Comparison } from './support/comparison.js';
import { otherWays } from './support/copy-peers.js';
import { withFlights, type FlightsBench } from './support/flights-bench.js';

const ROWS = 1_000_000;

export function comparisons(rowCount = ROWS): AsyncIterable<Comparison> {
  return withFlights(rowCount, async function* (bench) {
    yield await objects(bench);
  });
}

async function objects(bench: FlightsBench): Promise<Comparison> {
  const { baseline, candidate, loadRawCsv, pool, rows, table } = bench;
  const makeSink = (): BackpressureWritable<Flight> =>
    new BackpressureWritable<Flight>(copyInto<Flight>(pool, { table }));
  const ours: Candidate[] = [
    candidate('objects: pipeline(Readable.from, BackpressureWritable + copyInto)', () =>
      pipeline(Readable.from(rows), makeSink()),
    ),
    candidate('objects: write loop, BackpressureWritable + copyInto', async () => {
      const sink = makeSink();
      const done = finished(sink);
      for (const row of rows) {
        if (!sink.write(row)) await new Promise<void>((resolve) => sink.once('drain', resolve));
      }
      sink.end();
      await done;
    }),
  ];
  const raw = candidate('CSV file through pg-copy-streams', loadRawCsv);
  const files = [
    bench.psqlOf(await bench.dump('text'), 'text'),
    bench.psqlOf(await bench.dump('binary'), 'binary'),
  ];
  return {
    title: 'Objects into PostgreSQL, default options',
    unit: 'rows',
    amount: rows.length,
    baseline: baseline.name,
    rounds: 7,
    candidates: [baseline, ...files, raw, ...ours, ...(await otherWays(bench))],
  };
}
