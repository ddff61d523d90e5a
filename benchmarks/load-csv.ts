/** The command line against psql: the same CSV file, from the start of the program to its end. */

import { fileURLToPath } from 'node:url';
import type { Comparison } from './support/comparison.js';
import { withFlights, type FlightsBench } from './support/flights-bench.js';
import { ended } from './support/psql.js';

const ROWS = 1_000_000;
const COMMAND_LINE = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));

export function comparisons(): AsyncIterable<Comparison> {
  return withFlights(ROWS, (bench) => [csvFile(bench)]);
}

function csvFile({ baseline, candidate, csvFile: file, rows, table, url }: FlightsBench): Comparison {
  return {
    title: 'A CSV file into PostgreSQL, start-up included',
    unit: 'rows',
    amount: rows.length,
    baseline: baseline.name,
    rounds: 7,
    candidates: [
      baseline,
      candidate('spillway load', () =>
        ended(process.execPath, [COMMAND_LINE, 'load', file, '--table', table, '--quiet'], {
          DATABASE_URL: url,
        }),
      ),
    ],
  };
}
