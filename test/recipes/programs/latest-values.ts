/**
 * A table that holds the latest value of each sensor: rows are updated by their key, and only the newest of a burst is sent.
 *
 * Packages: `spillway pg pg-copy-streams`
 * Table: `CREATE TABLE latest_values (sensor text PRIMARY KEY, value float8)`
 * Run: `echo '{"sensor":"a","value":1}' | npx tsx latest-values.ts`
 */

import { createInterface } from 'node:readline';
import pg from 'pg';
import { BackpressureController } from 'spillway';
import { copyInto } from 'spillway/postgres';

interface Value {
  sensor: string;
  value: number;
}

const pool = new pg.Pool({ connectionString: process.env['DATABASE_URL'] });
pool.on('error', console.error);
const table = new BackpressureController<Value>(
  copyInto(pool, { table: 'latest_values', onConflict: 'update', key: ['sensor'] }),
  // One call at a time: with several, an older value could arrive after a newer one.
  { concurrency: 1, retry: { attempts: 5, afterTimeout: true } },
);
table.start();

// NDJSON on standard input. A sensor's later row wins, also within a batch.
for await (const line of createInterface({ input: process.stdin })) {
  await table.push(JSON.parse(line) as Value);
}
await table.drain();
await pool.end();
