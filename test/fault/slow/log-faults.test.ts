/**
 * One fault at a time, to a worker of a log that has another one beside it. Bad messages are among the others. Then each good message is
 * one row, each bad one is one dead letter, and the worker has not failed.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { jetStreamLog } from '../../../src/jetstream/index.js';
import { consumeLog, type LogLoad } from '../../../src/postgres/index.js';
import { startFaultServer, type FaultServer } from '../../support/fault-server.js';
import { loseCommits } from '../../support/lost-commits.js';
import { noNatsServer } from '../../support/nats-server.js';
import { useTestDatabase } from '../../support/postgres.js';
import { startProxy, type TestProxy } from '../../support/postgres-proxy.js';
import { range } from '../../support/range.js';
import { useTestStreams } from '../../support/test-streams.js';
import { until } from '../../support/until.js';

const LEASE_MS = 1_000;
const PART = 1_000;
const BAD_EVERY = 100;
const BAD = [
  (id: number) => `no JSON ${id}`,
  (id: number) => ({ id, kind: 'refused' }),
  (id: number) => ({ id, kind: 'x'.repeat(3_000) }),
];

const isBad = (id: number): boolean => id % BAD_EVERY === 7;
const bodyOf = (id: number): unknown =>
  isBad(id) ? BAD[Math.floor(id / BAD_EVERY) % BAD.length]!(id) : { id, kind: 'order' };

describe.skipIf(noNatsServer)(`a worker of a log (${noNatsServer ?? 'on servers of its own'})`, () => {
  let server: FaultServer;
  const proxies: TestProxy[] = [];

  // After all others: the last requests go through them.
  afterEach(async () => {
    for (const proxy of proxies.splice(0)) await proxy.close();
  });

  const database = useTestDatabase(async () => (server = await startFaultServer()));
  const streams = useTestStreams();
  const loads: LogLoad[] = [];

  afterEach(async () => {
    for (const load of loads.splice(0)) await load.stop().catch(() => undefined);
  });

  async function proxyTo(url: string): Promise<TestProxy> {
    const proxy = await startProxy(url);
    proxies.push(proxy);
    return proxy;
  }

  async function start(stream: string, table: string, natsPort: number, url: string): Promise<LogLoad> {
    const log = jetStreamLog(await streams.connect(natsPort), { stream, laneSize: 400 });
    const pool = database.pool({ connectionString: url });
    pool.on('error', () => undefined);
    const options = { table, importId: table, leaseMs: LEASE_MS, batchSize: 40, maxFlushIntervalMs: 20 };
    const load = consumeLog(log, pool, options);
    load.finished.catch(() => undefined);
    loads.push(load);
    return load;
  }

  async function countOf(table: string): Promise<number> {
    const [found] = await database.query<{ count: number }>(`SELECT count(*)::int FROM ${table}`);
    return found!.count;
  }

  interface Scene {
    readonly toNats: TestProxy;
    readonly toDatabase: TestProxy;
    readonly table: string;
  }

  /** Longer than a lease. */
  const beyondLease = (): Promise<void> => delay(2.2 * LEASE_MS);
  const drop = (): 'drop' => 'drop';
  const pass = (): undefined => undefined;

  async function cut(proxy: TestProxy): Promise<void> {
    for (let count = 0; count < 5; count += 1) {
      proxy.cut();
      await delay(150);
    }
  }

  async function halfOpen(proxy: TestProxy): Promise<void> {
    const endSessions = proxy.silence();
    await beyondLease();
    endSessions();
  }

  /** Swallows what one side sends on the connections that there are, and on new ones. Then the sessions end for both. */
  async function swallow(proxy: TestProxy, side: 'onData' | 'onAnswer'): Promise<void> {
    proxy[side] = drop;
    await beyondLease();
    proxy[side] = pass;
    proxy.cut();
  }

  async function slow(proxy: TestProxy): Promise<void> {
    for (let count = 0; count < 8; count += 1) {
      proxy.holdAnswers();
      await delay(LEASE_MS / 4);
      proxy.passAnswers();
      await delay(5);
    }
  }

  /** Cuts the connection when a statement has been sent. */
  async function cutAt(proxy: TestProxy, text: string, times = 3): Promise<void> {
    let cuts = 0;
    proxy.onData = (chunk) => {
      if (cuts >= times || !chunk.includes(text)) return undefined;
      cuts += 1;
      setImmediate(() => proxy.cut());
      return cuts % 2 === 0 ? 'drop' : undefined;
    };
    await until(() => cuts >= times);
    proxy.onData = pass;
  }

  async function loseSome(proxy: TestProxy, what: 'commit' | 'answer'): Promise<void> {
    let lost = 0;
    loseCommits(proxy, (commit) => {
      if (lost >= 4 || commit % 2 !== 0) return undefined;
      lost += 1;
      return what;
    });
    await until(() => lost >= 4);
    proxy.onData = pass;
    proxy.onAnswer = pass;
  }

  /** As a program that has forgotten to commit. */
  async function lock(statement: string): Promise<void> {
    const pool = database.pool({ max: 1 });
    const client = await pool.connect();
    client.on('error', () => undefined);
    await client.query('BEGIN');
    await client.query(statement);
    await beyondLease();
    // A session that holds a lane and waits for its program is ended, after a lease.
    const error = await client.query('ROLLBACK').then(
      () => undefined,
      (thrown: unknown) => thrown as Error,
    );
    client.release(error);
  }

  const faults: Record<string, (scene: Scene) => Promise<void>> = {
    'connections to PostgreSQL are cut': ({ toDatabase }) => cut(toDatabase),
    'connections to NATS are cut': ({ toNats }) => cut(toNats),
    'connections to PostgreSQL are half-open': ({ toDatabase }) => halfOpen(toDatabase),
    'connections to NATS are half-open': ({ toNats }) => halfOpen(toNats),
    'what is sent to PostgreSQL is swallowed': ({ toDatabase }) => swallow(toDatabase, 'onData'),
    'answers of PostgreSQL are swallowed': ({ toDatabase }) => swallow(toDatabase, 'onAnswer'),
    'what is sent to NATS is swallowed': ({ toNats }) => swallow(toNats, 'onData'),
    'answers of NATS are swallowed': ({ toNats }) => swallow(toNats, 'onAnswer'),
    'answers of PostgreSQL are slow': ({ toDatabase }) => slow(toDatabase),
    'answers of NATS are slow': ({ toNats }) => slow(toNats),
    'connections are cut in COPY': ({ toDatabase }) => cutAt(toDatabase, 'COPY "'),
    "connections are cut at the lane's UPDATE": ({ toDatabase }) => cutAt(toDatabase, 'SET next ='),
    'COMMITs are lost': ({ toDatabase }) => loseSome(toDatabase, 'commit'),
    'answers to COMMIT are lost': ({ toDatabase }) => loseSome(toDatabase, 'answer'),
    'the table is locked by somebody else': ({ table }) => lock(`LOCK TABLE ${table}`),
    'the lanes are locked by somebody else': () => lock('SELECT FROM spillway_lanes FOR UPDATE'),
    'PostgreSQL is restarted': async () => {
      await server.goDown('fast');
      await delay(300);
      await server.comeBack();
    },
    'PostgreSQL crashes': async () => {
      await server.goDown('immediate');
      await delay(300);
      await server.comeBack();
    },
    'NATS is killed and started again': async () => {
      await streams.server.kill();
      await delay(300);
      await streams.restart();
    },
  };

  test.each(Object.keys(faults))('loads everything once while %s', async (name) => {
    const columns = "id int NOT NULL, kind varchar(20) CHECK (kind <> 'refused')";
    const [stream, table] = [await streams.make(), await database.table(columns)];
    const toNats = await proxyTo(`nats://127.0.0.1:${streams.server.port}`);
    const toDatabase = await proxyTo(database.url);
    const url = database.urlVia(toDatabase.host, toDatabase.port);
    let published = 0;
    const publish = async (): Promise<void> => {
      await streams.publish(stream, range(PART, published).map(bodyOf));
      published += PART;
    };
    await start(stream, table, toNats.port, url);
    await publish();
    await until(async () => (await countOf(table)) > PART / 2);
    await start(stream, table, streams.server.port, database.url);
    const state = { isOver: false };
    const fault = faults[name]!({ toNats, toDatabase, table }).finally(() => (state.isOver = true));
    // If a server is restarted, the publisher would have to try again, too.
    for (let part = 0; !state.isOver && !/restarted|crashes|killed/.test(name) && part < 30; part += 1) {
      await publish();
      await delay(100);
    }
    await fault;
    await publish();
    const bad = published / BAD_EVERY;
    await until(async () => (await countOf(table)) >= published - bad, 90_000);
    const rows = await database.query<{ id: number }>(`SELECT id FROM ${table} ORDER BY id`);
    expect(rows.map(({ id }) => id)).toEqual(range(published).filter((id) => !isBad(id)));
    const letters = async (): Promise<number[]> => {
      const found = await database.query<{ id: number }>(
        `SELECT position::int - 1 AS id FROM spillway_dead_letters
          WHERE import = (SELECT id FROM spillway_imports WHERE import_id = $1) ORDER BY position`,
        [table],
      );
      return found.map(({ id }) => id);
    };
    await until(async () => (await letters()).length >= bad);
    expect(await letters()).toEqual(range(published).filter(isBad));
    // Neither has failed.
    for (const load of loads) await load.stop();
    // What a worker leaves behind that is cut off, NATS forgets by itself, after a minute.
    if (name.includes('NATS')) await streams.deleteConsumers(stream);
  });

  test('reads nothing twice beyond what is in flight, while each COMMIT takes 3.3 leases', async () => {
    const [stream, table] = [await streams.make(), await database.table('id int')];
    await database.query(`CREATE FUNCTION sleep_once() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF current_setting('test.slept', true) IS DISTINCT FROM txid_current()::text THEN
        PERFORM set_config('test.slept', txid_current()::text, true), pg_sleep(${(3.3 * LEASE_MS) / 1_000});
      END IF;
      RETURN NULL;
    END $$`);
    await database.query(`CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON ${table}
      DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION sleep_once()`);
    await streams.publish(
      stream,
      range(160).map((id) => ({ id })),
    );
    await start(stream, table, streams.server.port, database.url);
    await start(stream, table, streams.server.port, database.url);
    await until(async () => (await countOf(table)) >= 160);
    const rows = await database.query<{ id: number }>(`SELECT id FROM ${table} ORDER BY id`);
    expect(rows.map(({ id }) => id)).toEqual(range(160));
    const metrics = loads.map((load) => load.getMetrics());
    const read = metrics.reduce((sum, { messagesRead }) => sum + messagesRead, 0);
    const takeovers = metrics.reduce((sum, { lanesLost }) => sum + lanesLost, 0);
    // At a takeover, a batch in flight and one that was read ahead are read again.
    expect(read).toBeLessThanOrEqual(160 + 80 * takeovers);
    expect(takeovers).toBeLessThanOrEqual(4);
    for (const load of loads) await load.stop();
  });
});
