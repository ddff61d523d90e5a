/** The command line with NDJSON against psql and CSV of the same rows, from the start of the program to its end. */

import { createWriteStream } from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Comparison } from './support/comparison.js';
import { withFlights, type FlightsBench } from './support/flights-bench.js';
import { spillwayLoad } from './support/server.js';

const ROWS = 1_000_000;
const ROWS_PER_CHUNK = 10_000;

export function comparisons(rowCount = ROWS): AsyncIterable<Comparison> {
  return withFlights(rowCount, async function* (bench) {
    yield await ndjsonFile(bench);
  });
}

async function ndjsonFile(bench: FlightsBench): Promise<Comparison> {
  const { baseline, candidate, csvFile, folder, rows, table, url } = bench;
  const file = path.join(folder, 'flights.ndjson');
  const chunks = function* (): Generator<string, void> {
    for (let start = 0; start < rows.length; start += ROWS_PER_CHUNK) {
      const lines = rows.slice(start, start + ROWS_PER_CHUNK).map((row) => `${JSON.stringify(row)}\n`);
      yield lines.join('');
    }
  };
  await pipeline(Readable.from(chunks()), createWriteStream(file));
  return {
    title: 'An NDJSON file into PostgreSQL, start-up included',
    unit: 'rows',
    amount: rows.length,
    baseline: baseline.name,
    candidates: [
      baseline,
      candidate('spillway load, NDJSON', () => spillwayLoad(url, [file, '--table', table])),
      candidate('spillway load, CSV', () => spillwayLoad(url, [csvFile, '--table', table])),
    ],
  };
}
