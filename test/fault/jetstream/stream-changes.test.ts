/** A stream that changes under a worker, and messages that get lost on their way to it. */

import { jetstreamManager } from '@nats-io/jetstream';
import { describe, expect, test } from 'vitest';
import { startLossyNatsProxy } from '../../support/lossy-nats-proxy.js';
import { noNatsServer } from '../../support/nats-server.js';
import { range } from '../../support/range.js';
import { until } from '../../support/until.js';
import { ids, useStreamLoads } from './stream-loads.js';

describe.skipIf(noNatsServer)(`a worker of a stream (${noNatsServer ?? 'on a server of its own'})`, () => {
  const { database, streams, closeLast, start, idsOf, hasRows } = useStreamLoads(2_000);

  test('a stream that is deleted, made again and filled while a worker reads it ends the worker', async () => {
    const [stream, table] = [await streams.make(), await database.table('id int')];
    await streams.publish(stream, ids(0, 100));
    const load = await start(stream, table);
    await until(hasRows(table, 100));
    const manager = await jetstreamManager(streams.nats);
    await manager.streams.delete(stream);
    await manager.streams.add({ name: stream, subjects: [`${stream}.>`] });
    await streams.publish(stream, ids(1_000, 300));
    await expect(load.finished).rejects.toMatchObject({
      failureClass: 'setup',
      message: expect.stringMatching(/made again|no stream/) as string,
    });
    expect(await idsOf(table)).toEqual(range(100));
  });

  test('a stream that is made again while a worker is held up by its table ends the worker', async () => {
    const [stream, table] = [await streams.make(), await database.table('id int')];
    await streams.publish(stream, ids(0, 100));
    let pass = (): void => undefined;
    const held = new Promise<void>((resolve) => (pass = resolve));
    const load = await start(stream, table, { batchSize: 30, connections: 1, beforeCommit: () => held });
    await until(() => load.getMetrics().messagesRead >= 60);
    const manager = await jetstreamManager(streams.nats);
    await manager.streams.delete(stream);
    await manager.streams.add({ name: stream, subjects: [`${stream}.>`] });
    await streams.publish(stream, ids(1_000, 300));
    pass();
    await expect(load.finished).rejects.toThrow(/made again/);
    expect((await idsOf(table)).filter((id) => id >= 1_000)).toEqual([]);
  });

  test('a stream that is deleted under a worker ends it', async () => {
    const [stream, table] = [await streams.make(), await database.table('id int')];
    await streams.publish(stream, ids(0, 10));
    const load = await start(stream, table);
    await until(hasRows(table, 10));
    await (await jetstreamManager(streams.nats)).streams.delete(stream);
    await expect(load.finished).rejects.toMatchObject({
      failureClass: 'setup',
      message: expect.stringContaining('no stream') as string,
    });
  });

  test.each([
    { name: 'first', lost: [1] },
    { name: 'in the middle', lost: [40, 41, 77] },
    { name: 'last, with nothing behind them', lost: [99, 100] },
  ])('messages that get lost on the way, $name, are read again', async ({ lost }) => {
    const [stream, table] = [await streams.make(), await database.table('id int')];
    await streams.publish(stream, ids(0, 100));
    const proxy = closeLast(await startLossyNatsProxy(streams.server.port));
    const open = new Set(lost);
    // The sequence in the stream is the third token from the end.
    proxy.loses = (reply) => reply.startsWith('$JS.ACK.') && open.delete(Number(reply.split('.').at(-4)));
    await start(stream, table, {}, proxy.port);
    await until(hasRows(table, 100));
    expect(open.size).toBe(0);
    expect(await idsOf(table)).toEqual(range(100));
  });

  test('a worker whose consumer is deleted makes another one', async () => {
    const [stream, table] = [await streams.make(), await database.table('id int')];
    await streams.publish(stream, ids(0, 50));
    await start(stream, table);
    await until(hasRows(table, 50));
    await streams.deleteConsumers(stream);
    await streams.publish(stream, ids(50, 50));
    await until(hasRows(table, 100));
    expect(await idsOf(table)).toEqual(range(100));
  });

  test('messages that are purged under a worker that is held up are reported by their positions', async () => {
    const [stream, table] = [await streams.make(), await database.table('id int')];
    await streams.publish(stream, ids(0, 500));
    let pass = (): void => undefined;
    const held = new Promise<void>((resolve) => (pass = resolve));
    const load = await start(stream, table, { batchSize: 50, connections: 1, beforeCommit: () => held });
    // Two batches are read ahead, and one more may be on its way.
    await until(() => load.getMetrics().messagesRead >= 100);
    await (await jetstreamManager(streams.nats)).streams.purge(stream, { seq: 401 });
    pass();
    const error = await load.finished.catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ failureClass: 'loss' });
    const [, first, last] = /positions (\d+) to (\d+) of lane 0/.exec((error as Error).message)!;
    expect(Number(last)).toBe(400);
    // What was read before is loaded, and nothing behind the hole.
    const loaded = await idsOf(table);
    expect(loaded).toEqual(range(loaded.length));
    expect(loaded.length).toBeLessThan(Number(first));
    const next = await start(stream, table, { allowGaps: true, untilCaughtUp: true });
    await next.finished;
    expect(next.getMetrics().positionsLost).toBe(400 - loaded.length);
    expect(await idsOf(table)).toEqual([...range(loaded.length), ...range(100, 400)]);
  });

  test('messages that expire while a worker waits for its table are reported', async () => {
    const [stream, table] = [await streams.make({ max_msgs: 200 }), await database.table('id int')];
    await streams.publish(stream, ids(0, 100));
    let pass = (): void => undefined;
    const held = new Promise<void>((resolve) => (pass = resolve));
    const load = await start(stream, table, { batchSize: 20, connections: 1, beforeCommit: () => held });
    await until(() => load.getMetrics().messagesRead >= 40);
    await streams.publish(stream, ids(100, 500));
    pass();
    await expect(load.finished).rejects.toMatchObject({
      failureClass: 'loss',
      message: expect.stringMatching(/positions \d+ to 400 of lane 0/) as string,
    });
  });
});
