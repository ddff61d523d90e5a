/** A file of NDJSON into a table: a COPY for each batch. */

import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import { BackpressureWritable } from 'spillway';
import { copyInto } from 'spillway/postgres';

interface Event {
  id: number;
  name: string | null;
}

async function* rows(file: string): AsyncGenerator<Event> {
  for await (const line of createInterface({ input: createReadStream(file) }))
    yield JSON.parse(line) as Event;
}

const pool = new pg.Pool({ connectionString: process.env['DATABASE_URL'] });
pool.on('error', console.error);
const file = process.argv[2]!;
// The ids of the file rise, so that a second run knows which rows are there.
const table = copyInto(pool, { table: 'events', importId: file, positionOf: ({ id }: Event) => id });
const sink = new BackpressureWritable<Event>(table, {
  onFailed: (failures) => {
    for (const { item, error } of failures) console.error(`event ${item.id} lost: ${error.message}`);
  },
});
try {
  await pipeline(rows(file), sink);
} finally {
  await pool.end();
}
