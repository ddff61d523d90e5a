/**
 * Telemetry that may be thinned out, into a table: each row says how many measurements it stands for.
 *
 * Packages: `spillway pg pg-copy-streams`
 * Table: `CREATE TABLE latencies (path text, ms int, weight numeric)`
 * Run: `npx tsx sampled-telemetry.ts`
 */

import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { BackpressureWritable } from 'spillway';
import { copyInto } from 'spillway/postgres';

interface Measurement {
  path: string;
  ms: number;
}

const pool = new pg.Pool({ connectionString: process.env['DATABASE_URL'] });
pool.on('error', console.error);
const sink = new BackpressureWritable<Measurement>(
  copyInto(pool, { table: 'latencies', weightColumn: 'weight' }),
  {
    strategy: 'sample',
    sampleRate: 10,
    maxBufferSize: 2_000,
  },
);

for (let i = 0; i < 50_000; i++) {
  sink.write({ path: i % 5 === 0 ? '/search' : '/', ms: i % 97 });
  if (i % 1_000 === 0) await sleep(5); // the next requests
}
await new Promise<void>((resolve, reject) => sink.on('error', reject).end(resolve));

// Sums of weights, not counts of rows.
const { rows } = await pool.query<{ path: string; requests: number; ms: number }>(
  'SELECT path, sum(weight)::int AS requests, (sum(ms * weight) / sum(weight))::float AS ms FROM latencies GROUP BY path ORDER BY path',
);
const { eventsFlushed, unrepresented } = sink.getMetrics();
console.log(JSON.stringify({ stored: eventsFlushed, unrepresented, rows }));
await pool.end();
