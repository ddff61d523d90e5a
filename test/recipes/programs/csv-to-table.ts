/**
 * A CSV file into a table: parsed, converted, filtered, and sent by COPY.
 *
 * Packages: `spillway pg pg-copy-streams csv-parse`
 * Table: `CREATE TABLE readings (station text, celsius float8)`
 * Run: `npx tsx csv-to-table.ts readings.csv`, a file whose first line is `station,fahrenheit`
 */

import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { parse } from 'csv-parse';
import pg from 'pg';
import { BackpressureTransform, BackpressureWritable } from 'spillway';
import { copyInto } from 'spillway/postgres';

interface Line {
  station: string;
  fahrenheit: string;
}
interface Reading {
  station: string;
  celsius: number;
}

const pool = new pg.Pool({ connectionString: process.env['DATABASE_URL'] });
pool.on('error', console.error);

// What `map` returns nothing for is left out.
const toReading = new BackpressureTransform<Line, Reading>({
  map: ({ station, fahrenheit }) =>
    fahrenheit === '' ? undefined : { station, celsius: Math.round((Number(fahrenheit) - 32) / 0.18) / 10 },
});
const table = new BackpressureWritable<Reading>(copyInto(pool, { table: 'readings' }));

await pipeline(createReadStream(process.argv[2]!), parse({ columns: true }), toReading, table);
console.log(`${table.getMetrics().eventsFlushed} rows`);
await pool.end();
