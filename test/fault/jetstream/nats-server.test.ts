/** A NATS server that goes down under a worker, and comes back with all of its store, some or nothing. */

import { cp, rm } from 'node:fs/promises';
import { beforeEach, describe, expect, test } from 'vitest';
import type { LogLoad } from '../../../src/postgres/index.js';
import { noNatsServer } from '../../support/nats-server.js';
import { startProxy, type TestProxy } from '../../support/postgres-proxy.js';
import { range } from '../../support/range.js';
import { until } from '../../support/until.js';
import { ids, useStreamLoads } from './stream-loads.js';

describe.skipIf(noNatsServer)(`when NATS goes down (${noNatsServer ?? 'on a server of its own'})`, () => {
  const { database, streams, closeLast, start: startAt, idsOf, hasRows } = useStreamLoads(1_000);
  let proxy: TestProxy;

  beforeEach(async () => {
    proxy = closeLast(await startProxy(`nats://127.0.0.1:${streams.server.port}`));
  });

  const start = (stream: string, table: string): Promise<LogLoad> => startAt(stream, table, {}, proxy.port);

  /** The worker is cut off meanwhile, and sees only what comes afterwards. */
  async function whileDown(work: () => Promise<void>, then: () => Promise<void>): Promise<void> {
    proxy.stall();
    await streams.server.kill();
    await work();
    await streams.restart();
    await then();
    proxy.resume();
    proxy.cut();
  }

  test('with its store, everything that is published later is loaded once', async () => {
    const [stream, table] = [await streams.make(), await database.table('id int')];
    await streams.publish(stream, ids(0, 60));
    await start(stream, table);
    await until(hasRows(table, 60));
    await whileDown(
      async () => undefined,
      () => streams.publish(stream, ids(60, 60)),
    );
    await until(hasRows(table, 120));
    expect(await idsOf(table)).toEqual(range(120));
  });

  test('without its store, the worker ends: there is no such stream', async () => {
    const [stream, table] = [await streams.make(), await database.table('id int')];
    await streams.publish(stream, ids(0, 60));
    const load = await start(stream, table);
    await until(hasRows(table, 60));
    await whileDown(
      () => rm(streams.server.store, { recursive: true }),
      async () => undefined,
    );
    await expect(load.finished).rejects.toMatchObject({
      name: 'LogError',
      failureClass: 'setup',
      message: expect.stringContaining(`no stream "${stream}"`) as string,
    });
    expect(await idsOf(table)).toEqual(range(60));
  });

  test.each([
    { name: 'and ends before what was read', later: 10 },
    { name: 'and has given their sequences to others', later: 200 },
  ])('without its last messages, $name, the worker ends', async ({ later }) => {
    const [stream, table] = [await streams.make(), await database.table('id int')];
    await streams.publish(stream, ids(0, 60));
    await streams.server.stopKeeping();
    const copy = `${streams.server.store}-copy`;
    await cp(streams.server.store, copy, { recursive: true });
    await streams.restart();
    await streams.publish(stream, ids(60, 40));
    const load = await start(stream, table);
    await until(hasRows(table, 100));
    await whileDown(
      async () => {
        await rm(streams.server.store, { recursive: true });
        await cp(copy, streams.server.store, { recursive: true });
      },
      () => streams.publish(stream, ids(1_000, later)),
    );
    await expect(load.finished).rejects.toMatchObject({
      name: 'LogError',
      failureClass: 'setup',
      message: expect.stringContaining('has lost its last messages') as string,
    });
    expect(await idsOf(table)).toEqual(range(100));
    await rm(copy, { recursive: true });
  });
});
