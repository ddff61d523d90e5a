/** NDJSON on standard input into a table: batches by COPY, each tried five times by default. */

import { createInterface } from 'node:readline';
import pg from 'pg';
import { BackpressureController } from 'spillway';
import { copyInto } from 'spillway/postgres';

interface Event {
  id: number;
  name: string;
}

const pool = new pg.Pool({ connectionString: process.env['DATABASE_URL'] });
pool.on('error', console.error);
const events = new BackpressureController<Event>(copyInto(pool, { table: 'events' }), {
  maxBlockTimeMs: Infinity,
  onFailed: (failures) => {
    for (const { item, error } of failures) console.error(`event ${item.id} lost: ${error.message}`);
  },
});
events.start();

for await (const line of createInterface({ input: process.stdin })) {
  await events.push(JSON.parse(line) as Event);
}
await events.drain();
await pool.end();
