/** NDJSON on standard input into a table: an INSERT for each line, ten at a time, each tried five times. */

import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import PQueue from 'p-queue';
import pg from 'pg';

const pool = new pg.Pool({ connectionString: process.env['DATABASE_URL'] });
pool.on('error', console.error);
const queue = new PQueue({ concurrency: 10 });

async function insert(id: number, name: string, attempt = 1): Promise<void> {
  try {
    await pool.query('INSERT INTO events (id, name) VALUES ($1, $2)', [id, name]);
  } catch (error) {
    if (attempt === 5) throw error;
    await sleep(100 * 2 ** attempt);
    await insert(id, name, attempt + 1);
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  await queue.onSizeLessThan(1_000);
  const { id, name } = JSON.parse(line) as { id: number; name: string };
  queue
    .add(() => insert(id, name))
    .catch((error: unknown) => console.error(`event ${id} lost: ${(error as Error).message}`));
}
await queue.onIdle();
await pool.end();
