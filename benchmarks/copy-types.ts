/** Objects into PostgreSQL where values are not as handy as in the other benchmarks: dates that are strings, and twelve columns of many types. */

import type { Comparison } from './support/comparison.js';
import { firstFlights } from './support/flights-bench.js';
import { withServer } from './support/server.js';
import { tableBench, type Row } from './support/table-bench.js';

const ROWS = 1_000_000;
/** Twelve columns are about as many values in so many fewer rows. */
const FEWER = 3;

export function comparisons(rowCount = ROWS): AsyncIterable<Comparison> {
  return withServer(async function* (server) {
    const flights = await firstFlights(rowCount);
    const strings = flights.map((flight): Row => ({ ...flight, date: flight.date.toISOString() }));
    const flightColumns = [
      'date timestamptz',
      'delay int',
      'distance int',
      'origin text',
      'destination text',
    ];
    const dates = await tableBench(server, 'dated', flightColumns, strings);
    yield about('Flights whose dates are ISO strings', strings, dates.baseline, dates.ours);
    const mixed = Array.from({ length: Math.ceil(rowCount / FEWER) }, (_, index) => mixedRow(index));
    const many = await tableBench(server, 'mixed', MIXED_COLUMNS, mixed);
    yield about('Twelve columns of many types, one in ten empty', mixed, many.baseline, many.ours);
  });
}

function about(
  title: string,
  rows: readonly Row[],
  baseline: Comparison['candidates'][number],
  ours: Comparison['candidates'][number],
): Comparison {
  return {
    title,
    unit: 'rows',
    amount: rows.length,
    baseline: baseline.name,
    candidates: [baseline, ours],
  };
}

const MIXED_COLUMNS = [
  'id bigint',
  'account uuid',
  'kind varchar(20)',
  'active boolean',
  'small smallint',
  'count int',
  'price numeric(12, 2)',
  'ratio double precision',
  'day date',
  'at timestamptz',
  'note text',
  'details jsonb',
];

function mixedRow(index: number): Row {
  const hex = index.toString(16).padStart(12, '0');
  return {
    id: 9_000_000_000 + index,
    account: `6f9619ff-8b86-4011-b42d-${hex}`,
    kind: `kind ${index % 7}`,
    active: index % 3 === 0,
    small: (index % 60_000) - 30_000,
    count: index % 10 === 0 ? null : index,
    price: `${index % 100_000}.${String(index % 100).padStart(2, '0')}`,
    ratio: index / 7,
    day: `2024-0${1 + (index % 9)}-1${index % 10}`,
    at: new Date(1_700_000_000_000 + index * 1_000),
    note: index % 10 === 0 ? null : `row ${index}, as somebody "wrote" it`,
    details: { page: index % 50, tags: ['a', `t${index % 5}`] },
  };
}
