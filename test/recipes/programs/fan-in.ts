/**
 * Several sources write into one table, side by side; one that fails does not end the others.
 *
 * Packages: `spillway pg pg-copy-streams`
 * Table: `CREATE TABLE merged (source text, n int)`
 * Run: `npx tsx fan-in.ts`
 */

import { Readable } from 'node:stream';
import pg from 'pg';
import { BackpressureController } from 'spillway';
import { copyInto } from 'spillway/postgres';

const pool = new pg.Pool({ connectionString: process.env['DATABASE_URL'] });
pool.on('error', console.error);
const table = new BackpressureController<{ source: string; n: number }>(copyInto(pool, { table: 'merged' }), {
  maxBlockTimeMs: Infinity,
});
table.start();

/** `push` waits for room, so each source is read as fast as the table takes rows, and none starves another. */
async function load(source: string, numbers: AsyncIterable<number>): Promise<void> {
  for await (const n of numbers) await table.push({ source, n });
}

async function* faulty(): AsyncGenerator<number> {
  yield 1;
  throw new Error('the sensor is gone');
}

const results = await Promise.allSettled([
  load('a', Readable.from(Array.from({ length: 10_000 }, (_, n) => n))),
  load('b', Readable.from(Array.from({ length: 20_000 }, (_, n) => n))),
  load('c', faulty()),
]);
await table.drain();
for (const result of results) if (result.status === 'rejected') console.error(String(result.reason));
console.log(`${table.getMetrics().eventsFlushed} rows`);
await pool.end();
