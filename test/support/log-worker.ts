/** A worker of `consumeLog` in a process of its own, which tests kill and stop: `log-worker.ts <settings as JSON>`. */

import { connect } from '@nats-io/transport-node';
import pg from 'pg';
import { drainOnSignals } from 'spillway';
import { jetStreamLog } from 'spillway/jetstream';
import { consumeLog, type ConsumeOptions } from 'spillway/postgres';

export interface LogWorkerSettings {
  /** Host and port. */
  readonly nats: string;
  readonly database: string;
  readonly stream: string;
  /** Its name is the import's, too. */
  readonly table: string;
  readonly laneSize?: number;
  readonly options?: Pick<
    ConsumeOptions,
    'batchSize' | 'batchBytes' | 'connections' | 'leaseMs' | 'maxFlushIntervalMs' | 'untilCaughtUp'
  >;
}

const settings = JSON.parse(process.argv[2]!) as LogWorkerSettings;
const { stream, table, laneSize } = settings;
const nats = await connect({
  servers: settings.nats,
  maxReconnectAttempts: -1,
  reconnectTimeWait: 200,
  // It may be started while the server is down.
  waitOnFirstConnect: true,
});
const pool = new pg.Pool({ connectionString: settings.database, max: 4, application_name: 'log-worker' });
pool.on('error', () => undefined);
const load = consumeLog(jetStreamLog(nats, { stream, laneSize }), pool, {
  table,
  importId: table,
  ...settings.options,
});
drainOnSignals([load], { timeoutMs: 20_000 });
console.log('ready');
await load.finished;
await pool.end();
await nats.close();
