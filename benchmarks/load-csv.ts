/** The command line against psql: the same CSV file, from the start of the program to its end; and what `--rejects` and `--import` cost. */

import { createWriteStream } from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Comparison } from './support/comparison.js';
import { pgloader } from './support/pgloader.js';
import { csvChunks, withFlights, type FlightsBench } from './support/flights-bench.js';
import { spillwayLoad } from './support/server.js';

/** As many as the file of flights has: the program's start is then a small part. */
const ROWS = 3_000_000;
/** One row of so many is bad. */
const BAD_EVERY = 100;
/** How the command line says that it is done, with rejects. */
const EXIT_WITH_REJECTS = 3;

export function comparisons(rowCount = ROWS): AsyncIterable<Comparison> {
  return withFlights(rowCount, async function* (bench) {
    yield await csvFile(bench);
    yield await options(bench);
  });
}

async function csvFile(bench: FlightsBench): Promise<Comparison> {
  const { baseline, candidate, csvFile: file, rows, table, url } = bench;
  return {
    title: 'A CSV file into PostgreSQL, start-up included',
    unit: 'rows',
    amount: rows.length,
    baseline: baseline.name,
    rounds: 7,
    candidates: [
      baseline,
      candidate('spillway load', () => spillwayLoad(url, [file, '--table', table])),
      await pgloader(bench),
    ],
  };
}

async function options(bench: FlightsBench): Promise<Comparison> {
  const { candidate, csvFile: file, folder, rows, table, url } = bench;
  const bad = path.join(folder, 'one-in-a-hundred-bad.csv');
  await pipeline(Readable.from(csvChunks(rows, isBad)), createWriteStream(bad));
  const good = rows.filter((_, index) => !isBad(index));
  const rejects = path.join(folder, 'rejects.ndjson');
  let imports = 0;
  const baseline = 'spillway load';
  return {
    title: 'spillway load: what --rejects and --import cost',
    unit: 'rows',
    amount: rows.length,
    baseline,
    candidates: [
      candidate(baseline, () => spillwayLoad(url, [file, '--table', table])),
      candidate('--rejects, nothing to reject', () =>
        spillwayLoad(url, [file, '--table', table, '--rejects', rejects]),
      ),
      candidate(
        '--rejects, 1 % bad rows',
        () =>
          spillwayLoad(
            url,
            [bad, '--table', table, '--rejects', rejects],
            good.length < rows.length ? EXIT_WITH_REJECTS : 0,
          ),
        good,
      ),
      candidate('--import', () => {
        imports += 1;
        return spillwayLoad(url, [file, '--table', table, '--import', `run ${imports} of ${folder}`]);
      }),
    ],
  };
}

const isBad = (index: number): boolean => index % BAD_EVERY === BAD_EVERY - 1;
