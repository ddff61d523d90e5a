/** `copyInto` a real PostgreSQL, with the packages of its users. DATABASE_URL names the server, TLS_CA its certificates if it has TLS. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import { BackpressureError, BackpressureTransform, BackpressureWritable } from 'spillway';
import { CopyError, copyInto } from 'spillway/postgres';
import { runChecks } from './run-checks.js';

interface Row {
  id: number;
  name: string | null;
  seen: Date;
  tags: string[];
  info: unknown;
  bytes: Buffer;
}

const rowOf = (id: number): Row => ({
  id,
  name: id % 3 === 0 ? null : `name "${id}",\t\\ ü`,
  seen: new Date(Date.UTC(2026, 0, 1, 0, 0, 0, id)),
  tags: ['a', `b ${id}`],
  info: { nested: [id, null] },
  bytes: Buffer.from([0, 255, id % 256]),
});
const rows = (count: number): Row[] => Array.from({ length: count }, (_, index) => rowOf(index + 1));

const connectionString = process.env['DATABASE_URL'];
const schema = `run_${process.pid}`;
const pool = new pg.Pool({ connectionString, max: 4, options: `-c search_path=${schema}` });

async function table(columns: string): Promise<string> {
  const name = `t${Math.floor(Math.random() * 1e9)}`;
  await pool.query(`CREATE SCHEMA IF NOT EXISTS ${schema}; CREATE TABLE ${name} (${columns})`);
  return name;
}
const COLUMNS =
  'id int PRIMARY KEY CHECK (id > 0), name text, seen timestamptz, tags text[], info jsonb, bytes bytea';

async function countOf(name: string): Promise<number> {
  const { rows: counted } = await pool.query<{ n: number }>(`SELECT count(*)::int AS n FROM ${name}`);
  return counted[0]!.n;
}

const ofFormat = (format: 'auto' | 'text') => async (): Promise<void> => {
  const name = await table(COLUMNS);
  const sink = new BackpressureWritable<Row>(copyInto(pool, { table: name, format }));
  await pipeline(Readable.from(rows(3_000)), new BackpressureTransform<Row>(), sink);
  assert.equal(sink.getMetrics().eventsFlushed, 3_000);
  const stored = await pool.query<Row>(`SELECT * FROM ${name} ORDER BY id`);
  assert.deepEqual(stored.rows, rows(3_000));
};

const checks = {
  'rows are stored as they were': ofFormat('auto'),
  'rows are stored as they were, sent as text': ofFormat('text'),

  async 'numbers and dates are stored as they were, in binary format'() {
    const name = await table('id int, at timestamptz, value float8, large bigint');
    const all = Array.from({ length: 5000 }, (_, id) => ({
      id,
      at: rowOf(id).seen,
      value: id / 7,
      large: String(id * 1e9),
    }));
    await pipeline(
      Readable.from(all),
      new BackpressureWritable(copyInto(pool, { table: name, format: 'binary' })),
    );
    assert.deepEqual((await pool.query(`SELECT * FROM ${name} ORDER BY id`)).rows, all);
  },

  async 'bad rows cost only themselves'() {
    const name = await table(COLUMNS);
    const failed: [number, string | undefined][] = [];
    const sink = new BackpressureWritable<Row>(copyInto(pool, { table: name }), {
      onFailed: (failures) => {
        for (const { item, error } of failures) failed.push([item.id, (error.cause as CopyError).sqlState]);
      },
    });
    const twice = rowOf(7);
    const bad = [{ ...rowOf(1), id: -5 }, twice, { ...rowOf(1), id: 'x' as unknown as number }];
    await pipeline(Readable.from([...rows(2000), ...bad, rowOf(2001)]), sink);
    const byId = failed.sort(([a], [b]) => String(a).localeCompare(String(b)));
    assert.deepEqual(byId, [
      [-5, '23514'],
      [7, '23505'],
      ['x', '22P02'],
    ]);
    assert.equal(await countOf(name), 2001);
    assert.equal(sink.getMetrics().eventsFailed, 3);
  },

  async 'a bad row without onFailed ends the pipeline, and is named'() {
    const name = await table(COLUMNS);
    const sink = new BackpressureWritable<Row>(copyInto(pool, { table: name }));
    await assert.rejects(pipeline(Readable.from([rowOf(1), { ...rowOf(2), id: -1 }]), sink), (error) => {
      assert.ok(error instanceof BackpressureError && error.cause instanceof CopyError);
      assert.equal(error.cause.sqlState, '23514');
      return true;
    });
    assert.equal(await countOf(name), 0);
  },

  async 'an upsert keeps the newest row of a key'() {
    const name = await table('sensor text PRIMARY KEY, value int');
    const copy = copyInto<{ sensor: string; value: number }>(pool, {
      table: name,
      onConflict: 'update',
      key: ['sensor'],
    });
    const all = Array.from({ length: 1000 }, (_, value) => ({ sensor: `s${value % 3}`, value }));
    await pipeline(Readable.from(all), new BackpressureWritable(copy, { batchSize: 100 }));
    assert.deepEqual((await pool.query(`SELECT value FROM ${name} ORDER BY 1`)).rows, [
      { value: 997 },
      { value: 998 },
      { value: 999 },
    ]);
  },

  async 'an import stores each row once, though it is fed twice'() {
    const name = await table('id int');
    const items = Array.from({ length: 3000 }, (_, id) => ({ id }));
    for (const part of [items.slice(0, 2000), items]) {
      const copy = copyInto<{ id: number }>(pool, {
        table: name,
        importId: 'twice',
        positionOf: ({ id }) => id,
      });
      await pipeline(Readable.from(part), new BackpressureWritable(copy, { batchSize: 500 }));
    }
    assert.equal(await countOf(name), 3000);
  },

  async 'an abort leaves nothing open'() {
    const name = await table(COLUMNS);
    const abort = new AbortController();
    const blocker = await pool.connect();
    await blocker.query(`BEGIN; LOCK TABLE ${name}`);
    const sink = new BackpressureWritable<Row>(copyInto(pool, { table: name }), { signal: abort.signal });
    const ended = pipeline(Readable.from(rows(100)), sink);
    setTimeout(() => abort.abort(), 100);
    await assert.rejects(ended);
    await blocker.query('ROLLBACK');
    blocker.release();
    assert.equal(sink.takeUnsettled().length, 100);
    assert.equal(await countOf(name), 0);
  },

  async 'a backend that is terminated costs no row'() {
    const name = await table(COLUMNS);
    const copy = copyInto<Row>(pool, { table: name, beforeCommit: () => terminateOnce() });
    let terminated = false;
    const terminateOnce = async (): Promise<void> => {
      if (terminated) return;
      terminated = true;
      const other = new pg.Client({ connectionString });
      await other.connect();
      await other.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state LIKE 'idle in transaction' AND pid <> pg_backend_pid()
         AND query LIKE '%${name}%'`,
      );
      await other.end();
    };
    const sink = new BackpressureWritable<Row>(copy, { retry: { minDelayMs: 1 } });
    await pipeline(Readable.from(rows(500)), sink);
    assert.equal(await countOf(name), 500);
  },

  async 'a connection with TLS'() {
    const ca = process.env['TLS_CA'];
    if (ca === undefined) return;
    const url = new URL(connectionString!);
    const secure = new pg.Pool({ connectionString: url.href, ssl: { ca: readFileSync(ca, 'utf8') }, max: 2 });
    await secure.query(`CREATE SCHEMA IF NOT EXISTS ${schema}; CREATE TABLE ${schema}.tls (id int)`);
    const { rows: tls } = await secure.query('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()');
    assert.deepEqual(tls, [{ ssl: true }]);
    const items = Array.from({ length: 20_000 }, (_, id) => ({ id }));
    await pipeline(
      Readable.from(items),
      new BackpressureWritable(copyInto(secure, { table: 'tls', schema })),
    );
    await secure.end();
    assert.equal(await countOf(`${schema}.tls`), 20_000);
  },
};

pool.on('error', () => undefined);
void runChecks(checks).then(async () => {
  await pool.query(`DROP SCHEMA ${schema} CASCADE`);
  await pool.end();
});
