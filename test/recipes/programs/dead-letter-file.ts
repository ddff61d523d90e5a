/**
 * Events that the destination refuses go to a file, as NDJSON: with SQLSTATE, weight, and whether they may have arrived all the same. The
 * file is replaced when it is full, and the oldest ones are deleted.
 *
 * Packages: `spillway pg pg-copy-streams rotating-file-stream`
 * Table: `CREATE TABLE named_events (id int, name varchar(8))`
 * Run: `npx tsx dead-letter-file.ts .`, with the folder for the dead letters
 */

import pg from 'pg';
import { createStream } from 'rotating-file-stream';
import { BackpressureWritable, type FailedItem } from 'spillway';
import { copyInto, CopyError } from 'spillway/postgres';

interface Event {
  id: number;
  name: string;
}

const pool = new pg.Pool({ connectionString: process.env['DATABASE_URL'] });
pool.on('error', console.error);
// Events may be personal: only the user who runs this reads them.
const deadLetters = createStream('dead-letters.ndjson', {
  path: process.argv[2]!,
  size: '10K',
  maxFiles: 5,
  mode: 0o600,
});
deadLetters.on('error', (error) => console.error(`dead letters: ${error.message}`));

/** Its promise is waited for: an event counts as settled once its line is written. */
async function keep(failures: FailedItem<Event>[]): Promise<void> {
  const lines = failures.map(({ item, error, weight, ambiguous = false }) => {
    const cause = error.cause instanceof CopyError ? error.cause : error;
    const sqlState = cause instanceof CopyError ? cause.sqlState : undefined;
    return `${JSON.stringify({ at: new Date(), sqlState, message: cause.message, weight, ambiguous, item })}\n`;
  });
  await new Promise<void>((resolve, reject) => {
    deadLetters.write(lines.join(''), (error) => (error ? reject(error) : resolve()));
  });
}

const sink = new BackpressureWritable<Event>(copyInto(pool, { table: 'named_events' }), {
  batchSize: 100,
  onFailed: keep,
});
for (let id = 0; id < 1_000; id++) {
  // The column takes texts of at most 8 characters.
  const event = { id, name: id % 10 === 3 ? 'much too long' : 'short' };
  if (!sink.write(event)) await new Promise((resolve) => sink.once('drain', resolve));
}
await new Promise<void>((resolve) => sink.end(resolve));
await new Promise<void>((resolve) => deadLetters.end(resolve));
const { eventsFlushed, eventsFailed } = sink.getMetrics();
console.log(`${eventsFlushed} stored, ${eventsFailed} in the file`);
await pool.end();
