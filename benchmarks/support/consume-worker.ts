/**
 * A worker of its own process: `consume-worker.ts JOB`. It says when it is ready, begins and ends when its parent says so, tells of each commit,
 * and at its end what it has cost.
 */

import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import pg from 'pg';
import { jetStreamLog } from 'spillway/jetstream';
import { consumeLog } from 'spillway/postgres';
import { handWrittenWorker, type HandWritten } from './hand-written-worker.js';

export interface ConsumeJob extends HandWritten {
  readonly kind: 'consumeLog' | 'by hand';
  readonly natsPort: number;
  readonly database: string;
}

export type WorkerReport =
  | { readonly is: 'ready' }
  /** Rows that are committed so far. */
  | { readonly is: 'committed'; readonly rows: number }
  | { readonly is: 'ended'; readonly cpuMs: number; readonly peakKiB: number };

/** How often it is looked how far `consumeLog` has come. */
const LOOK_MS = 10;

const job = JSON.parse(process.argv[2]!) as ConsumeJob;
const report = (message: WorkerReport): void => void process.send!(message);

const nats = await connect({ servers: `127.0.0.1:${job.natsPort}` });
const pool = new pg.Pool({ connectionString: job.database, max: 4 });
// The first connection is not what is measured.
await pool.query('SELECT 1');
report({ is: 'ready' });
await once(process, 'message');
const before = process.cpuUsage();
const end = await (job.kind === 'by hand' ? startByHand(nats) : startConsumeLog(nats));
await once(process, 'message');
await end();
const { user, system } = process.cpuUsage(before);
report({ is: 'ended', cpuMs: (user + system) / 1_000, peakKiB: await peakKiB() });
await pool.end();
await nats.close();
process.disconnect();

function startByHand(connection: NatsConnection): Promise<() => Promise<void>> {
  let rows = 0;
  return handWrittenWorker(connection, pool, job, (committed) => {
    rows += committed;
    report({ is: 'committed', rows });
  });
}

function startConsumeLog(connection: NatsConnection): Promise<() => Promise<void>> {
  const { stream, consumer, table } = job;
  const load = consumeLog(jetStreamLog(connection, { stream }), pool, { table, importId: consumer });
  let rows = 0;
  const timer = setInterval(() => {
    const { rowsLoaded } = load.getMetrics();
    if (rowsLoaded > rows) report({ is: 'committed', rows: rowsLoaded });
    rows = rowsLoaded;
  }, LOOK_MS);
  return Promise.resolve(async () => {
    clearInterval(timer);
    await load.drain();
  });
}

/** The most memory that it has had. Elsewhere than on Linux that of the parent before may be part of it. */
async function peakKiB(): Promise<number> {
  const status = await readFile('/proc/self/status', 'utf8').catch(() => '');
  const found = /^VmHWM:\s+(\d+) kB$/m.exec(status);
  return found === null ? process.resourceUsage().maxRSS : Number(found[1]);
}
