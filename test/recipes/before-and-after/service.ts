/** Events over HTTP into a table: a bounded buffer, and batches by COPY. */

import fastify from 'fastify';
import pg from 'pg';
import { BackpressureController, drainOnSignals } from 'spillway';
import { copyInto } from 'spillway/postgres';

const pool = new pg.Pool({ connectionString: process.env['DATABASE_URL'] });
pool.on('error', console.error);
const events = new BackpressureController<{ id: number }>(copyInto(pool, { table: 'events' }), {
  maxBufferSize: 10_000,
  maxFlushIntervalMs: 500,
  onFailed: (failures) => {
    for (const { item, error } of failures) console.error(`event ${item.id} lost: ${error.message}`);
  },
});
events.start();

const app = fastify();
app.post<{ Body: { id: number }[] }>('/events', async ({ body }, reply) => {
  if (!events.canAccept(body.length)) return reply.code(503).header('retry-after', 5).send();
  for (const event of body) events.tryPush(event);
  return reply.code(202).send();
});
console.log(`listening at ${await app.listen({ port: Number(process.env['PORT'] ?? 3000) })}`);

drainOnSignals([events], { timeoutMs: 4_000, beforeDrain: () => app.close() });
