/** Events over HTTP into a table: an array, and an INSERT every half second. */

import fastify from 'fastify';
import pg from 'pg';

const pool = new pg.Pool({ connectionString: process.env['DATABASE_URL'] });
pool.on('error', console.error);
let waiting: unknown[] = [];

async function flush(): Promise<void> {
  const batch = waiting;
  if (batch.length === 0) return;
  waiting = [];
  try {
    const sql = 'INSERT INTO events SELECT * FROM json_populate_recordset(NULL::events, $1)';
    await pool.query(sql, [JSON.stringify(batch)]);
  } catch (error) {
    console.error(`${batch.length} events lost: ${(error as Error).message}`);
  }
}
const timer = setInterval(() => void flush(), 500);

const app = fastify();
app.post<{ Body: unknown[] }>('/events', async ({ body }, reply) => {
  waiting.push(...body);
  return reply.code(202).send();
});
console.log(`listening at ${await app.listen({ port: Number(process.env['PORT'] ?? 3000) })}`);

async function shutDown(): Promise<void> {
  clearInterval(timer);
  await app.close();
  await flush();
  await pool.end(); // waits for the batches that are under way
}
process.once('SIGTERM', () => void shutDown());
