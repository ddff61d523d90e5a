/**
 * Events over HTTP into a table. A request is answered at once: 202 if there is room for its events, 429 with `Retry-After` if not.
 * `/healthz` says whether the process works, `/readyz` whether it can take requests, and `/metrics` what Prometheus scrapes.
 *
 * Packages: `spillway pg pg-copy-streams fastify @opentelemetry/api @opentelemetry/sdk-metrics @opentelemetry/exporter-prometheus`
 * Table: `CREATE TABLE events (name text, at timestamptz)`
 * Run: `npx tsx http-events.ts`, in a container with `HOST=0.0.0.0`
 */

import { metrics } from '@opentelemetry/api';
import { PrometheusExporter } from '@opentelemetry/exporter-prometheus';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
import fastify from 'fastify';
import pg from 'pg';
import { BackpressureController, drainOnSignals } from 'spillway';
import { instrument } from 'spillway/opentelemetry';
import { copyInto } from 'spillway/postgres';

interface Event {
  name: string;
  at: string;
}

const pool = new pg.Pool({ connectionString: process.env['DATABASE_URL'], max: 4 });
pool.on('error', console.error);
const events = new BackpressureController<Event>(
  copyInto(pool, { table: 'events', columns: ['name', 'at'] }),
  {
    maxBufferSize: Number(process.env['MAX_EVENTS'] ?? 50_000),
    maxFlushIntervalMs: 500,
    // As long as the database is away, events wait in memory, and new ones are sent away.
    breaker: { maxOutageMs: Infinity },
    onFailed: (failures) => {
      for (const { item, error } of failures) console.error(`${item.name}: ${error.message}`);
    },
  },
);
events.start();

// The metrics of Spillway's dashboard for Grafana and of its alert rules.
const exporter = new PrometheusExporter({ preventServerStart: true });
metrics.setGlobalMeterProvider(new MeterProvider({ readers: [exporter] }));
instrument(events, { name: 'events' });

const app = fastify();
const schema = {
  body: {
    type: 'array',
    minItems: 1,
    items: {
      type: 'object',
      required: ['name', 'at'],
      properties: { name: { type: 'string' }, at: { type: 'string', format: 'date-time' } },
    },
  },
};
app.post<{ Body: Event[] }>('/events', { schema }, async ({ body }, reply) => {
  if (!events.canAccept(body.length)) {
    const waitMs = events.retryAfterMs(body.length);
    // More than the buffer can ever hold: to send it again would not help.
    if (waitMs === Infinity) return reply.code(events.getMetrics().isFailed ? 503 : 413).send();
    return reply
      .code(429)
      .header('retry-after', Math.ceil(waitMs / 1000))
      .send();
  }
  for (const event of body) events.tryPush(event);
  return reply.code(202).send({ accepted: body.length });
});
app.get('/healthz', async (_, reply) => reply.code(events.getMetrics().isFailed ? 500 : 200).send());
app.get('/readyz', async (_, reply) => reply.code(events.canAccept() ? 200 : 503).send());
app.get('/metrics', (request, reply) => {
  reply.hijack();
  exporter.getMetricsRequestHandler(request.raw, reply.raw);
});

const address = await app.listen({
  port: Number(process.env['PORT'] ?? 3000),
  host: process.env['HOST'] ?? '127.0.0.1',
});
console.log(`listening at ${address}`);
drainOnSignals([events], { timeoutMs: 10_000, beforeDrain: () => app.close() });
