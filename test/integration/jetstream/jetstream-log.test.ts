/** Messages of a real nats-server, into a real PostgreSQL. */

import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { headers } from '@nats-io/transport-node';
import type pg from 'pg';
import { describe, expect, test } from 'vitest';
import { jetStreamLog, type JetStreamLogOptions } from '../../../src/jetstream/index.js';
import { consumeLog, type ConsumeOptions, type LogLoad } from '../../../src/postgres/index.js';
import { noNatsServer } from '../../support/nats-server.js';
import { useTestDatabase } from '../../support/postgres.js';
import { range } from '../../support/range.js';
import { useTestStreams } from '../../support/test-streams.js';
import { until } from '../../support/until.js';

describe.skipIf(noNatsServer)(`jetStreamLog (${noNatsServer ?? 'on a server of its own'})`, () => {
  const database = useTestDatabase();
  const streams = useTestStreams();

  const publish = (stream: string, ids: readonly number[], subject?: string): Promise<void> =>
    streams.publish(
      stream,
      ids.map((id) => ({ id, n: 1 })),
      subject,
    );

  function load(
    stream: string,
    table: string,
    options: Partial<ConsumeOptions<pg.PoolClient>> = {},
    logOptions: Partial<JetStreamLogOptions> = {},
  ): LogLoad {
    const log = jetStreamLog(streams.nats, { stream, laneSize: 1_000, ...logOptions });
    const base = { table, importId: table, leaseMs: 2_000, untilCaughtUp: true };
    return consumeLog(log, database.pool(), { ...base, ...options });
  }

  async function idsOf(table: string): Promise<number[]> {
    return (await database.query<{ id: number }>(`SELECT id FROM ${table} ORDER BY id`)).map(({ id }) => id);
  }

  test('each message of a stream becomes a row once, by two workers and then by a third', async () => {
    const [stream, table] = [await streams.make(), await database.table('id int, n int')];
    await publish(stream, range(4_500));
    const workers = [load(stream, table), load(stream, table)];
    await Promise.all(workers.map(({ finished }) => finished));
    expect(await idsOf(table)).toEqual(range(4_500));
    await publish(stream, range(100, 4_500));
    const third = load(stream, table);
    await third.finished;
    expect(third.getMetrics()).toMatchObject({ rowsLoaded: 100, deadLetters: 0 });
    expect(await idsOf(table)).toEqual(range(4_600));
  });

  test('from a time or a sequence begins at its message, with a filter, too', async () => {
    const stream = await streams.make();
    await publish(stream, range(1_500));
    // Servers count nanoseconds, and clocks milliseconds.
    await new Promise((resolve) => setTimeout(resolve, 5));
    const time = new Date();
    await new Promise((resolve) => setTimeout(resolve, 5));
    await publish(stream, range(10, 1_500), 'b');
    await publish(stream, range(1_490, 1_510));
    const starts: [ConsumeOptions['from'], Partial<JetStreamLogOptions>, number[]][] = [
      [time, {}, range(1_500, 1_500)],
      [time.toISOString(), { filter: `${stream}.a` }, range(1_490, 1_510)],
      [new Date(0), {}, range(3_000)],
      [new Date(), {}, []],
      [2_990, {}, range(11, 2_989)],
      [3_001, {}, []],
    ];
    for (const [from, logOptions, ids] of starts) {
      const table = await database.table('id int, n int');
      await load(stream, table, { from }, logOptions).finished;
      expect(await idsOf(table)).toEqual(ids);
    }
    const manager = await jetstreamManager(streams.nats);
    // They are removed without waiting for it.
    await until(async () => (await manager.streams.info(stream)).state.consumer_count === 0);
  });

  test('copies of dead letters are in another stream once, with headers that neither mislead the server nor break', async () => {
    const [stream, dead] = [await streams.make(), await streams.make()];
    const table = await database.table('id int, n int');
    const client = jetstream(streams.nats);
    const trace = headers();
    trace.append('Trace', 'a');
    trace.append('Trace', 'b');
    trace.append('Nats-Expected-Stream', stream);
    await client.publish(`${stream}.a`, 'nonsense', { headers: trace, msgID: 'original' });
    await client.publish(`${stream}.a`, 'x'.repeat(streams.nats.info!.max_payload - 100));
    await client.publish(`${stream}.a`, JSON.stringify({ id: 1, n: 1 }));
    const row: ConsumeOptions['row'] = (message) => {
      if (message.position < 3) throw new Error('a reason\r\nof two lines, with ä');
      return message.json() as object;
    };
    const options = { deadLetterSubject: `${dead}.copies`, row };
    const worker = load(stream, table, options);
    await worker.finished;
    expect(worker.getMetrics()).toMatchObject({ rowsLoaded: 1, deadLetters: 2, deadLettersCopied: 2 });
    // As after a crash between the copy and its record.
    await database.query(
      `UPDATE spillway_dead_letters SET copy_to = $2 WHERE import = (SELECT id FROM spillway_imports WHERE import_id = $1)`,
      [table, `${dead}.copies`],
    );
    await load(stream, table, options).finished;
    const manager = await jetstreamManager(streams.nats);
    expect((await manager.streams.info(dead)).state.messages).toBe(2);
    const first = (await manager.streams.getMessage(dead, { seq: 1 }))!;
    const second = (await manager.streams.getMessage(dead, { seq: 2 }))!;
    const [small, large] = first.header.get('Spillway-Position') === '1' ? [first, second] : [second, first];
    expect(small.subject).toBe(`${dead}.copies`);
    expect(small.string()).toBe('nonsense');
    expect(Object.fromEntries(small.header)).toMatchObject({
      Trace: ['a', 'b'],
      'Spillway-Subject': [`${stream}.a`],
      'Spillway-Error': [expect.stringContaining('a reason of two lines, with ä')],
    });
    expect(small.header.get('Nats-Msg-Id')).toMatch(/^spillway:/);
    expect(small.header.has('Nats-Expected-Stream')).toBe(false);
    expect(small.header.has('Spillway-Body')).toBe(false);
    expect(large.data).toHaveLength(0);
    expect(large.header.get('Spillway-Body')).toBe('omitted');
  });

  test('copies of dead letters that nobody stores, or that would be read again, are refused', async () => {
    const [stream, table] = [await streams.make(), await database.table('id int, n int')];
    const refusal = (
      deadLetterSubject: string,
      logOptions: Partial<JetStreamLogOptions> = {},
    ): Promise<unknown> =>
      load(stream, table, { deadLetterSubject }, logOptions).finished.catch((error: unknown) => error);
    const setup = (text: string) => ({
      name: 'LogError',
      failureClass: 'setup',
      message: expect.stringContaining(text) as string,
    });
    expect(await refusal('nobody.listens')).toMatchObject(
      setup('no stream stores the subject "nobody.listens"'),
    );
    expect(await refusal(`${stream}.dead`)).toMatchObject(setup('would read copies of dead letters'));
    expect(await refusal(`${stream}.dead`, { filter: `${stream}.*` })).toMatchObject(
      setup('narrow the filter'),
    );
    expect(await refusal(`${stream}.*`)).toMatchObject(setup('is no subject'));
    expect(await refusal(`${stream}.dead`, { filter: `${stream}.a` })).toBeUndefined();
  });

  test('progress counts and dates messages that the filter wants, from the first that is not loaded', async () => {
    const [stream, table] = [await streams.make(), await database.table('id int, n int')];
    await publish(stream, range(30), 'wanted');
    const before = Date.now();
    await publish(stream, range(50), 'other');
    await publish(stream, range(20, 30), 'wanted');
    // From the first one on.
    let isHeld = false;
    let proceed = (): void => undefined;
    const held = new Promise<void>((resolve) => (proceed = resolve));
    const options = { untilCaughtUp: false, leaseMs: 60_000, connections: 1, batchSize: 30 };
    const worker = load(
      stream,
      table,
      {
        ...options,
        beforeCommit: async (_client, messages) => {
          if (messages[0]!.position < 31) return;
          isHeld = true;
          await held;
        },
      },
      { filter: `${stream}.wanted`, laneSize: 40 },
    );
    await until(() => isHeld);
    const progress = await worker.progress();
    expect(progress).toMatchObject({ lagMessages: 20, lanesHeldHere: 1, rowsLoaded: 30, deadLetters: 0 });
    expect(progress.lagMs).toBeGreaterThan(0);
    expect(progress.lagMs).toBeLessThanOrEqual(Date.now() - before);
    proceed();
    await until(async () => (await worker.progress()).lagMessages === 0);
    expect(await worker.progress()).toMatchObject({ lagMs: 0, rowsLoaded: 50 });
    await worker.drain();
  });

  test('a filter loads its subjects only, and comes to the end of lanes without any of them', async () => {
    const [stream, table] = [await streams.make(), await database.table('id int, n int')];
    await publish(stream, range(10), 'wanted');
    await publish(stream, range(3_500), 'other');
    await publish(stream, range(10, 10), 'wanted');
    await publish(stream, range(50), 'other');
    await load(stream, table, {}, { filter: `${stream}.wanted` }).finished;
    expect(await idsOf(table)).toEqual(range(20));
  });

  test('bodies and headers of any kind arrive, or are dead letters with all that they had', async () => {
    const [stream, table] = [await streams.make(), await database.table('id int, text text, trace text')];
    const client = jetstream(streams.nats);
    const long = 'x'.repeat(300_000);
    const bad = [
      new Uint8Array(),
      Uint8Array.of(0xff, 0xfe, 0),
      Buffer.from('{"id":1,"text":"\\u0000"}'),
      Buffer.from('{"id":"\xff"}', 'latin1'),
    ];
    const trace = headers();
    trace.append('Trace', 'a');
    trace.append('Trace', 'b');
    await client.publish(`${stream}.a`, JSON.stringify({ id: 0, text: long }), { headers: trace });
    for (const body of bad) await client.publish(`${stream}.bad`, body, { headers: trace });
    await client.publish(`${stream}.a`, JSON.stringify({ id: 1, text: 'ä€😀' }));
    await client.publish(`${stream}.a`, JSON.stringify({ id: 2, text: long }));
    const row: ConsumeOptions['row'] = (message) => {
      const { id, text } = message.json() as { id: number; text: string };
      return { id, text, trace: message.headers?.['Trace']?.join(' ') };
    };
    // Messages that are larger than a batch may be, too.
    const worker = load(stream, table, { batchBytes: 1_000, row });
    await worker.finished;
    expect(worker.getMetrics()).toMatchObject({ rowsLoaded: 3, deadLetters: 4 });
    expect(await database.query(`SELECT id, text, trace FROM ${table} ORDER BY id`)).toEqual([
      { id: 0, text: long, trace: 'a b' },
      { id: 1, text: 'ä€😀', trace: null },
      { id: 2, text: long, trace: null },
    ]);
    const letters = await database.query(
      `SELECT body, subject, headers, published_at > now() - interval '1 hour' AS recent FROM spillway_dead_letters
        WHERE import = (SELECT id FROM spillway_imports WHERE import_id = $1) ORDER BY position`,
      [table],
    );
    const common = { subject: `${stream}.bad`, headers: { Trace: ['a', 'b'] }, recent: true };
    expect(letters).toEqual(bad.map((body) => ({ body: Buffer.from(body), ...common })));
  });

  test('messages that were deleted one by one are no loss, also at the end of a lane', async () => {
    const [stream, table] = [await streams.make(), await database.table('id int, n int')];
    await publish(stream, range(60));
    const manager = await jetstreamManager(streams.nats);
    for (const sequence of [2, 19, 20, 21, 35, 36, 37, 38, 39, 40, 60])
      await manager.streams.deleteMessage(stream, sequence);
    await load(stream, table, {}, { laneSize: 20 }).finished;
    const gone = [1, 18, 19, 20, 34, 35, 36, 37, 38, 39, 59];
    expect(await idsOf(table)).toEqual(range(60).filter((id) => !gone.includes(id)));
  });

  test('a stream that deletes what is acknowledged is refused', async () => {
    const [stream, table] = [await streams.make({ retention: 'workqueue' }), await database.table('id int')];
    await expect(load(stream, table).finished).rejects.toMatchObject({
      failureClass: 'setup',
      message: expect.stringMatching(/"workqueue".*retention "limits".*let this one source it/) as string,
    });
    await expect(load('missing', table).finished).rejects.toMatchObject({
      message: expect.stringContaining('there is no stream "missing"') as string,
    });
  });

  test('messages that the stream has deleted before they were loaded end the load, unless gaps are allowed', async () => {
    const [stream, table] = [await streams.make(), await database.table('id int, n int')];
    await publish(stream, range(100));
    await load(stream, table).finished;
    await publish(stream, range(100, 100));
    const manager = await jetstreamManager(streams.nats);
    await manager.streams.purge(stream, { seq: 151 });
    await expect(load(stream, table).finished).rejects.toMatchObject({
      failureClass: 'loss',
      message: expect.stringContaining('positions 101 to 150 of lane 0') as string,
    });
    const second = load(stream, table, { allowGaps: true });
    await second.finished;
    expect(second.getMetrics().positionsLost).toBe(50);
    expect(await idsOf(table)).toEqual([...range(100), ...range(50, 150)]);
  });

  test('a stream that was deleted and made again is another one', async () => {
    const [stream, table] = [await streams.make(), await database.table('id int, n int')];
    await publish(stream, range(10));
    await load(stream, table).finished;
    const manager = await jetstreamManager(streams.nats);
    await manager.streams.delete(stream);
    await manager.streams.add({ name: stream, subjects: [`${stream}.>`] });
    await expect(load(stream, table).finished).rejects.toThrow(/created was/);
  });
});
