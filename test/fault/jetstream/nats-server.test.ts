/** A NATS server that goes down under a worker, and comes back with all of its store, some or nothing. */

import { cp, rm } from 'node:fs/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { jetStreamLog } from '../../../src/jetstream/index.js';
import { consumeLog, type ConsumeOptions, type LogLoad } from '../../../src/postgres/index.js';
import { noNatsServer } from '../../support/nats-server.js';
import { useTestDatabase } from '../../support/postgres.js';
import { startProxy, type TestProxy } from '../../support/postgres-proxy.js';
import { range } from '../../support/range.js';
import { useTestStreams } from '../../support/test-streams.js';
import { until } from '../../support/until.js';

describe.skipIf(noNatsServer)(`when NATS goes down (${noNatsServer ?? 'on a server of its own'})`, () => {
  const database = useTestDatabase();
  const loads = new Set<LogLoad>();
  let proxy: TestProxy | undefined;

  // After all others: the last requests go through it.
  afterEach(async () => {
    await proxy?.close();
    proxy = undefined;
  });

  const streams = useTestStreams();

  afterEach(async () => {
    for (const load of loads) await load.stop().catch(() => undefined);
    loads.clear();
  });

  async function start(
    stream: string,
    table: string,
    options: Partial<ConsumeOptions> = {},
  ): Promise<LogLoad> {
    proxy ??= await startProxy(`nats://127.0.0.1:${streams.server.port}`);
    const log = jetStreamLog(await streams.connect(proxy.port), { stream, laneSize: 1_000 });
    const load = consumeLog(log, database.pool(), { table, importId: table, leaseMs: 1_000, ...options });
    load.finished.catch(() => undefined);
    loads.add(load);
    return load;
  }

  const ids = (first: number, count: number): { id: number }[] => range(count, first).map((id) => ({ id }));

  async function idsOf(table: string): Promise<number[]> {
    return (await database.query<{ id: number }>(`SELECT id FROM ${table} ORDER BY id`)).map(({ id }) => id);
  }

  const hasRows = (table: string, count: number) => async (): Promise<boolean> =>
    (await idsOf(table)).length >= count;

  /** The worker is cut off meanwhile, and sees only what comes afterwards. */
  async function whileDown(work: () => Promise<void>, then: () => Promise<void>): Promise<void> {
    proxy!.stall();
    await streams.server.kill();
    await work();
    await streams.restart();
    await then();
    proxy!.resume();
    proxy!.cut();
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
