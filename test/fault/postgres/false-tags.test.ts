/** Command tags of the server that cannot be: no batch counts as delivered by them. */

import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import pg from 'pg';
import { afterEach, expect, test } from 'vitest';
import { loadRows } from '../../support/load-rows.js';
import { useTestDatabase } from '../../support/postgres.js';
import { message } from '../../support/scripted-server.js';

const database = useTestDatabase();
let close: () => Promise<void> = () => Promise.resolve();

afterEach(() => close());

/** A proxy that puts another command tag in the place of one of the server's, once. */
async function poolWith(tag: string, other: string): Promise<pg.Pool> {
  const [old, replaced] = [tag, other].map((text) => message('C', text).toString('latin1')) as [
    string,
    string,
  ];
  const { port, hostname } = new URL(database.url);
  const sockets = new Set<Socket>();
  let isDone = false;
  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
    }
    client.on('data', (chunk) => upstream.write(chunk)).on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
    upstream.on('data', (chunk) => {
      const text = chunk.toString('latin1');
      if (isDone || !text.includes(old)) return client.write(chunk);
      isDone = true;
      return client.write(Buffer.from(text.replace(old, replaced), 'latin1'));
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const target = new URL(database.url);
  target.port = String((server.address() as AddressInfo).port);
  const pool = new pg.Pool({ connectionString: target.href, max: 1 });
  pool.on('error', () => undefined);
  close = async () => {
    await pool.end();
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
  };
  return pool;
}

const TWO = [{ id: 1 }, { id: 2 }];

test.each([{}, { format: 'text' }, { onConflict: 'update', key: ['id'] }] as const)(
  'COPY counts more rows than were sent (%j): the batch fails before its COMMIT, and is sent again',
  async (options) => {
    const table = await database.table('id int PRIMARY KEY');
    const pool = await poolWith('COPY 2', 'COPY 99');
    const { failures, sink } = await loadRows(pool, { table, ...options }, TWO, 2);
    expect(failures).toEqual([]);
    // Without a COMMIT of the first attempt: its keys would be in the way of the second.
    expect(sink.getMetrics().retries).toBe(1);
    expect(await database.query(`SELECT id FROM ${table} ORDER BY id`)).toEqual(TWO);
  },
);

test('COPY counts fewer rows, as below a trigger that skips some: the batch is delivered', async () => {
  const table = await database.table('id int PRIMARY KEY');
  const { failures } = await loadRows(await poolWith('COPY 2', 'COPY 1'), { table }, TWO, 2);
  expect(failures).toEqual([]);
  expect(await database.query(`SELECT id FROM ${table} ORDER BY id`)).toEqual(TWO);
});

test('COMMIT is answered with ROLLBACK: the words name beforeCommit only where there is one', async () => {
  const table = await database.table('id int PRIMARY KEY');
  const { failures } = await loadRows(await poolWith('COMMIT', 'ROLLBACK'), { table }, TWO, 2);
  expect(String(failures[0]!.error)).toContain('answered COMMIT with ROLLBACK');
  expect(String(failures[0]!.error)).not.toContain('beforeCommit');
});
