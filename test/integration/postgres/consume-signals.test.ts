/** What a worker of a log says of itself: events, channels and metrics, with a real NATS server and a real PostgreSQL. */

import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { afterEach, describe, expect, test } from 'vitest';
import type { SignalMessages } from '../../../src/index.js';
import { jetStreamLog } from '../../../src/jetstream/index.js';
import { consumeLog, CopyError } from '../../../src/postgres/index.js';
import { noNatsServer } from '../../support/nats-server.js';
import { startProxy } from '../../support/postgres-proxy.js';
import { useTestDatabase } from '../../support/postgres.js';
import { useTestStreams } from '../../support/test-streams.js';
import { until } from '../../support/until.js';

type Name = keyof SignalMessages | `tracing:spillway:flush:${string}`;
type Flush = SignalMessages['spillway:flush'];

const listeners: [Name, (message: unknown) => void][] = [];
afterEach(() => {
  for (const [name, listener] of listeners.splice(0)) unsubscribe(name, listener);
});

function messagesOf<Message>(name: Name): Message[] {
  const messages: Message[] = [];
  const listener = (message: unknown): void => void messages.push({ ...(message as Message) });
  subscribe(name, listener);
  listeners.push([name, listener]);
  return messages;
}

describe.skipIf(noNatsServer)(`a worker of a log (${noNatsServer ?? 'on a server of its own'})`, () => {
  const database = useTestDatabase();
  const streams = useTestStreams();

  test('publishes the transaction of each batch and its dead letters, and its listeners get the same', async () => {
    const stream = await streams.make();
    await streams.publish(stream, [{ id: 1 }, { id: 2 }, 'no JSON', { id: -1 }, { id: 5 }]);
    const table = await database.table('id int CHECK (id > 0)');
    const started = messagesOf<Flush>('tracing:spillway:flush:start');
    const ended = messagesOf<Flush>('tracing:spillway:flush:asyncEnd');
    const failed = messagesOf<SignalMessages['spillway:failed']>('spillway:failed');
    const load = consumeLog(jetStreamLog(streams.nats, { stream }), database.pool(), {
      ...{ table, importId: table, untilCaughtUp: true, batchSize: 3, connections: 1 },
    });
    const reports: unknown[] = [];
    load.on('flush', (report) => reports.push(report));
    await load.finished;
    const items = started.flatMap((message) => message.items as { position: number }[]);
    expect(items.map(({ position }) => position)).toEqual([1, 2, 3, 4, 5]);
    for (const message of started)
      expect(message).toMatchObject({ target: load, attempt: 1, lane: 0, log: { log: 'jetstream', stream } });
    expect(ended.map(({ result }) => result)).toEqual(reports);
    expect(ended.map(({ result }) => [result?.items, result?.success, result?.failed])).toEqual([
      [3, 2, 1],
      [2, 1, 1],
    ]);
    const letters = failed.flatMap(({ failures }) => failures);
    expect(letters.map(({ item }) => (item as { position: number }).position)).toEqual([3, 4]);
    expect(letters[1]!.error).toMatchObject({ sqlState: '23514' });
    expect(load.getMetrics()).toMatchObject({
      rowsLoaded: 3,
      deadLetters: 2,
      messagesQueued: 0,
      messagesInFlight: 0,
      bytesHeld: 0,
      roomUtilization: 0,
      isFailed: false,
    });
  });

  test('publishes retries and an outage of the database, and when it has passed', async () => {
    const stream = await streams.make();
    const table = await database.table('id int');
    const proxy = await startProxy(database.url);
    const pool = database.pool({ connectionString: database.urlVia(proxy.host, proxy.port) });
    pool.on('error', () => undefined);
    const retries = messagesOf<SignalMessages['spillway:retry']>('spillway:retry');
    const changes = messagesOf<SignalMessages['spillway:breaker']>('spillway:breaker');
    const load = consumeLog(jetStreamLog(streams.nats, { stream }), pool, {
      ...{ table, importId: table, leaseMs: 1_000, connections: 1, maxFlushIntervalMs: 10 },
    });
    await load.progress();
    proxy.onData = () => {
      proxy.cut();
      return 'drop';
    };
    await streams.publish(stream, [{ id: 1 }, { id: 2 }]);
    await until(() => changes.length > 0);
    expect(changes).toMatchObject([{ target: load, state: 'open', previous: 'closed' }]);
    expect(changes[0]!.reason).toBeInstanceOf(CopyError);
    proxy.onData = () => undefined;
    await until(() => load.getMetrics().rowsLoaded === 2);
    await load.drain();
    expect(changes.at(-1)).toMatchObject({ state: 'closed', previous: 'open', reason: undefined });
    expect(retries).toHaveLength(load.getMetrics().retries);
    expect(retries[0]).toMatchObject({ target: load, attempt: 1, delayMs: 100 });
    await proxy.close();
  });

  test('goes on if a listener throws, and says so', async () => {
    const stream = await streams.make();
    await streams.publish(stream, [{ id: 1 }]);
    const table = await database.table('id int');
    const warnings: Error[] = [];
    const onWarning = (warning: Error): void => void warnings.push(warning);
    process.on('warning', onWarning);
    const load = consumeLog(jetStreamLog(streams.nats, { stream }), database.pool(), {
      ...{ table, importId: table, untilCaughtUp: true },
    });
    load.on('flush', () => {
      throw new Error('a listener has failed');
    });
    await load.finished;
    await new Promise((resolve) => setImmediate(resolve));
    process.off('warning', onWarning);
    expect(load.getMetrics().rowsLoaded).toBe(1);
    expect(warnings.map(({ message }) => message)).toContain('a listener has failed');
  });
});
