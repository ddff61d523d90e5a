/** The service of the soak: Fastify, two sinks into PostgreSQL. It ends by itself once SIGTERM has drained it. */

import { appendFileSync } from 'node:fs';
import fastify from 'fastify';
import pg from 'pg';
import {
  BackpressureController,
  BackpressureWritable,
  drainAll,
  drainOnSignals,
  type FailedItem,
  type Settlement,
  type SinkMetrics,
} from '../../src/index.js';
import { copyInto } from '../../src/postgres/index.js';
import {
  SINK_NAMES,
  TABLES,
  type Note,
  type Sample,
  type ServiceConfig,
  type SinkName,
  type SinkSample,
  type SoakEvent,
} from './protocol.js';

const config = JSON.parse(process.argv[2]!) as ServiceConfig;
const { maxBufferSize, maxBufferBytes, flushTimeoutMs, abortGraceMs, drainTimeoutMs } = config;

/** Synchronously: whatever becomes of the process, it is written. */
const note = (entry: Note): void => appendFileSync(config.notes, `${JSON.stringify(entry)}\n`);

const pool = new pg.Pool({ connectionString: config.databaseUrl, application_name: 'soak-service', max: 6 });
// An idle client that is lost costs nothing.
pool.on('error', () => undefined);

/** Keeps accounts of a sink's items from outside. */
class Accounts {
  readonly #madeAt = performance.now();
  /** When each item without an outcome was offered; the oldest first. */
  readonly #open = new Map<number, number>();
  #offered = 0;
  #deliveries: number[] = [];
  readonly #outcomes = { flushed: 0, failed: 0, dropped: 0 };

  offer(event: SoakEvent): void {
    this.#offered++;
    this.#open.set(event.id, performance.now());
  }

  readonly onSettled = (settlements: readonly Settlement<SoakEvent>[]): void => {
    for (const { item, outcome } of settlements) {
      if (!this.#open.delete(item.id)) throw new Error(`event ${item.id} has settled twice`);
      this.#outcomes[outcome]++;
    }
  };

  readonly onFailed = (failures: readonly FailedItem<SoakEvent>[]): void => {
    for (const { item, error, ambiguous = false } of failures) {
      const { code = error.name } = (error.cause ?? error) as { code?: string };
      note({ kind: 'failed', id: item.id, ambiguous, reason: `${code}: ${error.message}` });
    }
  };

  readonly onFlush = ({ success }: { success: number }): void => {
    if (success > 0) this.#deliveries.push(Date.now());
  };

  sample(metrics: SinkMetrics): SinkSample {
    const now = performance.now();
    const deliveries = this.#deliveries;
    this.#deliveries = [];
    return {
      metrics,
      limits: { maxBufferSize, maxBufferBytes },
      ageMs: now - this.#madeAt,
      offered: this.#offered,
      ...this.#outcomes,
      open: this.#open.size,
      oldestOpenMs: now - (this.#open.values().next().value ?? now),
      deliveries,
    };
  }
}

const optionsOf = ({ onSettled, onFailed }: Accounts) => ({
  maxBufferSize,
  maxBufferBytes,
  flushTimeoutMs,
  abortGraceMs,
  maxFlushIntervalMs: 500,
  breaker: { maxOutageMs: Infinity },
  onSettled,
  onFailed,
});
const accounts = { push: new Accounts(), stream: new Accounts() };
const controller = new BackpressureController<SoakEvent>(
  copyInto(pool, { table: TABLES.push }),
  optionsOf(accounts.push),
);
const stream = new BackpressureWritable<SoakEvent>(
  copyInto(pool, { table: TABLES.stream, onConflict: 'ignore', key: ['id'] }),
  { ...optionsOf(accounts.stream), retry: { attempts: 5, afterTimeout: true } },
);
controller.start();
controller.on('flush', accounts.push.onFlush);
stream.on('flush', accounts.stream.onFlush);
stream.on('error', (error) => console.error(`the stream has failed: ${error.message}`));

const sinks = { push: controller, stream };
const offer: Record<SinkName, (event: SoakEvent) => boolean> = {
  push: (event) => controller.tryPush(event),
  stream: (event) => {
    stream.write(event);
    return true;
  },
};

function sampleAll(): Record<SinkName, SinkSample> {
  const sampled = SINK_NAMES.map((name) => [name, accounts[name].sample(sinks[name].getMetrics())]);
  return Object.fromEntries(sampled) as Record<SinkName, SinkSample>;
}

const app = fastify();
for (const name of SINK_NAMES) {
  app.post(`/${name}/events`, (request, reply) => {
    const { state } = sinks[name].getMetrics();
    if (state !== 'normal' && state !== 'elevated') return reply.code(429).header('retry-after', 1).send();
    let taken = 0;
    for (const event of request.body as SoakEvent[]) {
      accounts[name].offer(event);
      if (!offer[name](event)) break;
      taken++;
    }
    return reply.code(202).send({ taken });
  });
}
app.get('/sample', (): Sample => ({ rssBytes: process.memoryUsage.rss(), sinks: sampleAll() }));
app.post('/block', (request, reply) => {
  const until = performance.now() + (request.body as { ms: number }).ms;
  while (performance.now() < until);
  return reply.code(204).send();
});

let stopping: Promise<void> | undefined;

/** Ends no process: nothing that is left open may keep this one alive. */
async function stop(): Promise<void> {
  await app.close();
  const { undelivered, errors } = await drainAll([controller, stream], { timeoutMs: drainTimeoutMs });
  note({
    kind: 'end',
    undelivered: undelivered.length,
    errors: errors.map(({ message }) => message),
    sinks: sampleAll(),
  });
  await pool.end();
}

process.on('SIGTERM', () => {
  stopping ??= stop();
});
drainOnSignals([controller, stream], { timeoutMs: drainTimeoutMs + 5_000 });
process.stdout.write(`${await app.listen({ port: 0, host: '127.0.0.1' })}\n`);
