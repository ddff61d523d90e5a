/** How COPY depends on the number of columns: as many values each time, in rows of 3 to 300 columns, against psql and the same rows as CSV. */

import type { Comparison } from './support/comparison.js';
import { withServer, type BenchServer } from './support/server.js';
import { tableBench, type Row } from './support/table-bench.js';

const WIDTHS = [3, 10, 30, 100, 300];
/** Of the narrowest rows; of wider ones so many fewer. */
const ROWS = 1_000_000;
/** Column by column in turn, so that every width has each of them. */
const KINDS = [
  { type: 'int', value: (seed: number): unknown => seed - 1_000 },
  { type: 'text', value: (seed: number): unknown => `text ${seed}` },
  { type: 'timestamptz', value: (seed: number): unknown => new Date(seed * 1_000) },
] as const;

export function comparisons(rowCount = ROWS): AsyncIterable<Comparison> {
  return withServer(async function* (server) {
    for (const width of WIDTHS) {
      const count = Math.max(1, Math.round((rowCount * WIDTHS[0]!) / width));
      yield await comparison(server, width, makeRows(count, width));
    }
  });
}

function makeRows(count: number, width: number): Row[] {
  return Array.from({ length: count }, (_, index) =>
    Object.fromEntries(
      Array.from({ length: width }, (_, column) => [
        `c${column}`,
        KINDS[column % KINDS.length]!.value((index * 31 + column) % 100_000),
      ]),
    ),
  );
}

async function comparison(server: BenchServer, width: number, rows: Row[]): Promise<Comparison> {
  const columns = Array.from({ length: width }, (_, column) => `c${column} ${KINDS[column % 3]!.type}`);
  const { baseline, ours } = await tableBench(server, 'wide', columns, rows);
  return {
    title: `${width} columns`,
    unit: 'values',
    amount: rows.length * width,
    baseline: baseline.name,
    candidates: [baseline, ours],
  };
}
