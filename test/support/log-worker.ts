/** A worker of `consumeLog` in a process of its own, which tests kill and stop: `log-worker.ts <NATS port> <database> <stream> <table>`. */

import { connect } from '@nats-io/transport-node';
import pg from 'pg';
import { drainOnSignals } from '../../src/index.js';
import { jetStreamLog } from '../../src/jetstream/index.js';
import { consumeLog } from '../../src/postgres/index.js';

const [port, database, stream, table] = process.argv.slice(2);
const nats = await connect({
  servers: `127.0.0.1:${port}`,
  maxReconnectAttempts: -1,
  reconnectTimeWait: 200,
});
const pool = new pg.Pool({ connectionString: database, max: 4, application_name: 'log-worker' });
pool.on('error', () => undefined);
const load = consumeLog(jetStreamLog(nats, { stream: stream!, laneSize: 2_000 }), pool, {
  table: table!,
  importId: table!,
  batchSize: 250,
  leaseMs: 1_000,
});
drainOnSignals([load], { timeoutMs: 20_000 });
console.log('ready');
await load.finished;
await pool.end();
await nats.close();
