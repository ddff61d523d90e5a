/** Real faults, cause by cause: what the error says, what the table holds, and that no client is leaked or comes back dirty. */

import { createServer, type AddressInfo } from 'node:net';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { copyInto, CopyError, type CopyFunction } from '../../../src/postgres/index.js';
import { startProxy, type TestProxy } from '../../support/postgres-proxy.js';
import { flushContext, startOwnServer, useTestDatabase } from '../../support/postgres.js';

interface Row {
  a: number;
  b: string;
}

const database = useTestDatabase();
let proxy: TestProxy;

beforeEach(async () => {
  proxy = await startProxy(database.url);
});
// Before the database's own check, which must find nothing left: hooks run in reverse order.
afterEach(() => proxy.close());

/** More than the sockets between hold, so that a batch is certainly under way when something happens to it. */
function largeBatch(): Row[] {
  return Array.from({ length: 120_000 }, (_, a) => ({ a, b: 'x'.repeat(200) }));
}

async function failureOf(flush: Promise<unknown>): Promise<CopyError> {
  const error = await flush.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(CopyError);
  return error as CopyError;
}

async function countOf(table: string): Promise<number> {
  const [row] = await database.query<{ n: number }>(`SELECT count(*)::int AS n FROM ${table}`);
  return row!.n;
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 10_000; !(await condition());) {
    if (Date.now() > deadline) throw new Error('the condition did not become true');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A pool through the proxy, with idle clients' errors listened to as its owner should. */
function poolThroughProxy(config: pg.PoolConfig = {}): { pool: pg.Pool; poolErrors: Error[] } {
  const pool = database.pool({
    connectionString: database.urlVia(proxy.host, proxy.port),
    max: 2,
    ...config,
  });
  const poolErrors: Error[] = [];
  pool.on('error', (error) => poolErrors.push(error));
  return { pool, poolErrors };
}

async function expectHealthy(copy: CopyFunction<Row>, pool: pg.Pool, table: string): Promise<void> {
  await database.query(`TRUNCATE ${table}`);
  await copy([{ a: 1, b: 'after' }], flushContext());
  expect(await countOf(table)).toBe(1);
  expect({ out: pool.totalCount - pool.idleCount, waiting: pool.waitingCount }).toEqual({
    out: 0,
    waiting: 0,
  });
}

describe('the connection is lost', () => {
  test('a backend that is terminated in the middle of a batch', async () => {
    const table = await database.table('a int, b text');
    const { pool, poolErrors } = poolThroughProxy();
    const copy = copyInto<Row>(pool, { table });
    await copy([{ a: 0, b: '' }], flushContext());
    const sent = proxy.received;
    const flush = failureOf(copy(largeBatch(), flushContext()));
    await until(() => proxy.received > sent + 1_000_000);
    await database.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'BEGIN; COPY%' AND pid <> pg_backend_pid() AND datname = current_database()`,
    );
    expect(await flush).toMatchObject({
      failureClass: 'transport',
      retryable: true,
      ambiguous: false,
      row: undefined,
    });
    expect(await countOf(table)).toBe(1);
    expect(poolErrors).toEqual([]);
    await expectHealthy(copy, pool, table);
  });

  test('a backend that is told to cancel: the client stays', async () => {
    const table = await database.table('a int, b text');
    const { pool } = poolThroughProxy({ max: 1 });
    const copy = copyInto<Row>(pool, { table });
    await copy([{ a: 0, b: '' }], flushContext());
    const sent = proxy.received;
    const flush = failureOf(copy(largeBatch(), flushContext()));
    await until(() => proxy.received > sent + 1_000_000);
    await database.query(
      `SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'BEGIN; COPY%' AND pid <> pg_backend_pid() AND datname = current_database()`,
    );
    expect(await flush).toMatchObject({ failureClass: 'transport', retryable: true, sqlState: '57014' });
    expect(pool.totalCount).toBe(1);
    await expectHealthy(copy, pool, table);
  });

  test('a network that resets the connection in the middle of a batch', async () => {
    const table = await database.table('a int, b text');
    const { pool, poolErrors } = poolThroughProxy();
    const copy = copyInto<Row>(pool, { table });
    await copy([{ a: 0, b: '' }], flushContext());
    const sent = proxy.received;
    const flush = failureOf(copy(largeBatch(), flushContext()));
    await until(() => proxy.received > sent + 1_000_000);
    proxy.cut();
    expect(await flush).toMatchObject({ failureClass: 'transport', retryable: true, ambiguous: false });
    expect(poolErrors).toEqual([]);
    await expectHealthy(copy, pool, table);
  });

  test('between the statements: after the look-up, before the first answer of a batch, in beforeCommit', async () => {
    const table = await database.table('a int, b text');
    const { pool } = poolThroughProxy();
    // A connection that is reset while the pool keeps it idle is the pool's to report; here it is used at the same moment.
    for (const marker of ['pg_class', 'BEGIN; COPY', 'SELECT 42']) {
      proxy.onData = (chunk) => {
        if (!chunk.includes(marker)) return undefined;
        setImmediate(() => proxy.cut());
        return 'drop';
      };
      const copy = copyInto<Row>(pool, { table, beforeCommit: (client) => client.query('SELECT 42') });
      expect(await failureOf(copy([{ a: 1, b: '' }], flushContext()))).toMatchObject({
        failureClass: 'transport',
        retryable: true,
        ambiguous: false,
      });
      proxy.onData = () => undefined;
      expect(await countOf(table)).toBe(0);
      await expectHealthy(copy, pool, table);
      await database.query(`TRUNCATE ${table}`);
    }
  });

  test('after COMMIT was sent, whether or not it arrived, the outcome is unknown and the error says so', async () => {
    for (const arrives of [false, true]) {
      const table = await database.table('a int, b text');
      const { pool } = poolThroughProxy();
      const copy = copyInto<Row>(pool, { table });
      await copy([{ a: 0, b: '' }], flushContext());
      let isCommitting = false;
      proxy.onData = (chunk) => {
        if (!chunk.includes('COMMIT')) return undefined;
        isCommitting = true;
        if (arrives) return undefined;
        setImmediate(() => proxy.cut());
        return 'drop';
      };
      proxy.onAnswer = () => {
        if (!isCommitting) return undefined;
        setImmediate(() => proxy.cut());
        return 'drop';
      };
      const error = await failureOf(copy([{ a: 1, b: '' }], flushContext()));
      expect(error).toMatchObject({ failureClass: 'transport', retryable: true, ambiguous: true });
      expect(error.message).toContain('may have arrived or not');
      expect(await countOf(table)).toBe(arrives ? 2 : 1);
      proxy.onData = () => undefined;
      proxy.onAnswer = () => undefined;
      await expectHealthy(copy, pool, table);
    }
  });

  test('many losses in a row leave no client behind and starve nobody', async () => {
    const table = await database.table('a int, b text');
    const { pool } = poolThroughProxy({ max: 2 });
    const copy = copyInto<Row>(pool, { table });
    await copy([{ a: 0, b: '' }], flushContext());
    for (let round = 0; round < 20; round += 1) {
      const flushes = [1, 2, 3, 4].map((a) => copy([{ a, b: '' }], flushContext()).catch(() => undefined));
      await new Promise((resolve) => setTimeout(resolve, round % 4));
      proxy.cut();
      await Promise.all(flushes);
    }
    await expectHealthy(copy, pool, table);
  });

  test('a server that goes down and comes back', async () => {
    const server = await startOwnServer({ settings: { fsync: 'off' } });
    const pool = new pg.Pool({ connectionString: server.url, max: 2 });
    pool.on('error', () => undefined);
    try {
      await pool.query('CREATE TABLE t (a int, b text)');
      const copy = copyInto<Row>(pool, { table: 't' });
      await copy([{ a: 0, b: '' }], flushContext());
      const flush = failureOf(copy(largeBatch(), flushContext()));
      await server.stop();
      expect(await flush).toMatchObject({ failureClass: 'transport', retryable: true });
      const refused = await failureOf(copy([{ a: 1, b: '' }], flushContext()));
      expect(refused).toMatchObject({ failureClass: 'transport', retryable: true });
    } finally {
      await pool.end();
      await server.stop();
    }
  });
});

describe('the batch is aborted', () => {
  test('in the middle: rolled back at once, and the client stays', async () => {
    const table = await database.table('a int, b text');
    const { pool } = poolThroughProxy({ max: 1 });
    const copy = copyInto<Row>(pool, { table });
    await copy([{ a: 0, b: '' }], flushContext());
    const sent = proxy.received;
    const abort = new AbortController();
    const reason = new Error('enough');
    const flush = failureOf(copy(largeBatch(), flushContext(abort.signal)));
    await until(() => proxy.received > sent + 1_000_000);
    abort.abort(reason);
    expect(await flush).toMatchObject({
      failureClass: 'aborted',
      ambiguous: false,
      retryable: true,
      cause: reason,
    });
    expect(await countOf(table)).toBe(1);
    expect(pool.totalCount).toBe(1);
    await expectHealthy(copy, pool, table);
  });

  test('before it starts: nothing is asked of the pool', async () => {
    const { pool } = poolThroughProxy();
    const copy = copyInto<Row>(pool, { table: 'never' });
    const flush = copy([{ a: 1, b: '' }], flushContext(AbortSignal.abort(new Error('never'))));
    expect(await failureOf(flush)).toMatchObject({ failureClass: 'aborted', ambiguous: false });
    expect(pool.totalCount).toBe(0);
  });

  test('while it waits for a client: the client that comes too late goes back', async () => {
    const table = await database.table('a int, b text');
    const { pool } = poolThroughProxy({ max: 1 });
    const copy = copyInto<Row>(pool, { table });
    await copy([{ a: 0, b: '' }], flushContext());
    const busy = await pool.connect();
    const abort = new AbortController();
    const flush = failureOf(copy([{ a: 1, b: '' }], flushContext(abort.signal)));
    abort.abort();
    expect(await flush).toMatchObject({ failureClass: 'aborted' });
    busy.release();
    await expectHealthy(copy, pool, table);
  });

  test('while it waits for a lock on the table: given up within the grace', async () => {
    const table = await database.table('a int, b text');
    const { pool } = poolThroughProxy();
    const copy = copyInto<Row>(pool, { table });
    await copy([{ a: 0, b: '' }], flushContext());
    const locker = new pg.Client(database.url);
    await locker.connect();
    await locker.query(`BEGIN; LOCK TABLE ${table}`);
    const abort = new AbortController();
    const flush = failureOf(copy([{ a: 1, b: '' }], flushContext(abort.signal)));
    await until(
      async () =>
        (await database.query(`SELECT 1 FROM pg_locks WHERE NOT granted AND relation = '${table}'::regclass`))
          .length > 0,
    );
    const start = performance.now();
    abort.abort();
    expect(await flush).toMatchObject({ failureClass: 'aborted', ambiguous: false });
    expect(performance.now() - start).toBeLessThan(3_000);
    await locker.query('ROLLBACK');
    await locker.end();
    await expectHealthy(copy, pool, table);
  });

  test('in beforeCommit: the connection goes, with whatever was on it', async () => {
    const table = await database.table('a int, b text');
    const { pool } = poolThroughProxy();
    const abort = new AbortController();
    let calls = 0;
    const copy = copyInto<Row>(pool, {
      table,
      beforeCommit: async (client) => {
        calls += 1;
        if (calls > 1) return;
        await client.query('SELECT pg_sleep(60)');
      },
    });
    const flush = failureOf(copy([{ a: 1, b: '' }], flushContext(abort.signal)));
    const sleeping = `SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active' AND datname = current_database()`;
    await until(async () => (await database.query(sleeping)).length > 0);
    abort.abort();
    expect(await flush).toMatchObject({ failureClass: 'aborted', ambiguous: false });
    await database.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND datname = current_database()`,
    );
    expect(await countOf(table)).toBe(0);
    await expectHealthy(copy, pool, table);
  });

  test('in beforeCommit that goes on all the same: what it still does reaches nothing', async () => {
    const table = await database.table('a int, b text');
    const { pool } = poolThroughProxy({ max: 1 });
    const abort = new AbortController();
    let rest: Promise<unknown> | undefined;
    const copy = copyInto<Row>(pool, {
      table,
      beforeCommit: (client) => {
        if (rest !== undefined) return Promise.resolve();
        rest = (async () => {
          abort.abort();
          await client.query('SELECT pg_sleep(0.1)');
          await client.query(`INSERT INTO ${table} VALUES (99)`);
        })();
        return rest;
      },
    });
    expect(await failureOf(copy([{ a: 1, b: '' }], flushContext(abort.signal)))).toMatchObject({
      failureClass: 'aborted',
    });
    await expect(rest).rejects.toThrow();
    expect(await countOf(table)).toBe(0);
    await expectHealthy(copy, pool, table);
  });

  test('after COMMIT was sent: an answer within the grace is the outcome, else it is unknown', async () => {
    for (const answers of [true, false]) {
      const table = await database.table('a int, b text');
      const { pool } = poolThroughProxy();
      const copy = copyInto<Row>(pool, { table });
      await copy([{ a: 0, b: '' }], flushContext());
      const abort = new AbortController();
      proxy.onData = (chunk) => {
        if (chunk.includes('COMMIT')) {
          abort.abort();
          if (!answers) proxy.onAnswer = () => 'drop';
        }
        return undefined;
      };
      const flush = copy([{ a: 1, b: '' }], flushContext(abort.signal));
      if (answers) await flush;
      else
        expect(await failureOf(flush)).toMatchObject({
          failureClass: 'aborted',
          ambiguous: true,
          retryable: false,
        });
      proxy.onData = () => undefined;
      proxy.onAnswer = () => undefined;
      expect(await countOf(table)).toBe(2);
      await expectHealthy(copy, pool, table);
    }
  });

  test('during a look-up that others wait for: they still get it', async () => {
    const table = await database.table('a int, b text');
    const { pool } = poolThroughProxy();
    const copy = copyInto<Row>(pool, { table });
    const abort = new AbortController();
    proxy.onData = (chunk) => {
      if (chunk.includes('pg_class')) abort.abort();
      return undefined;
    };
    const first = failureOf(copy([{ a: 1, b: '' }], flushContext(abort.signal)));
    const second = copy([{ a: 2, b: '' }], flushContext());
    expect(await first).toMatchObject({ failureClass: 'aborted' });
    await second;
    expect(await countOf(table)).toBe(1);
  });
});

describe('the peer stops answering', () => {
  test.each([
    ['in the middle of the rows', (chunk: Buffer) => chunk.length > 10_000],
    ['when the COPY is opened', (chunk: Buffer) => chunk.includes('BEGIN; COPY')],
    ['when COMMIT is sent', (chunk: Buffer) => chunk.includes('COMMIT')],
    ['when the table is looked up', (chunk: Buffer) => chunk.includes('pg_class')],
  ])('%s: an abort ends it within the grace, and the pool goes on', async (_name, isTheMoment) => {
    const table = await database.table('a int, b text');
    const { pool } = poolThroughProxy({ max: 1 });
    const copy = copyInto<Row>(pool, { table });
    let hasStalled = false;
    proxy.onData = (chunk) => {
      if (hasStalled || !isTheMoment(chunk)) return undefined;
      hasStalled = true;
      proxy.stall();
      return 'drop';
    };
    const abort = new AbortController();
    const flush = failureOf(copy(largeBatch(), flushContext(abort.signal)));
    await until(() => hasStalled);
    const start = performance.now();
    abort.abort();
    const error = await flush;
    expect(performance.now() - start).toBeLessThan(3_000);
    expect(error).toMatchObject({ failureClass: 'aborted' });
    proxy.resume();
    proxy.cut();
    await expectHealthy(copy, pool, table);
  });

  test('while nothing is under way on it: a caller that waits for a client gets one', async () => {
    const table = await database.table('a int, b text');
    const { pool } = poolThroughProxy({ max: 1 });
    const abort = new AbortController();
    let calls = 0;
    const copy = copyInto<Row>(pool, {
      table,
      beforeCommit: () => {
        calls += 1;
        if (calls > 1) return Promise.resolve();
        // From here on the peer hears nothing of this connection, not even a farewell.
        proxy.onData = () => 'drop';
        setImmediate(() => {
          abort.abort();
        });
        return new Promise(() => undefined);
      },
    });
    const first = failureOf(copy([{ a: 1, b: '' }], flushContext(abort.signal)));
    await until(() => calls === 1);
    const second = copy([{ a: 2, b: '' }], flushContext());
    expect(await first).toMatchObject({ failureClass: 'aborted', ambiguous: false });
    proxy.onData = () => undefined;
    await second;
    proxy.cut();
    expect(await countOf(table)).toBe(1);
  });

  test("at a row's fault: the batch fails once the clean-up is given up", async () => {
    const table = await database.table('a int, b text');
    const { pool } = poolThroughProxy({ max: 1 });
    const copy = copyInto<Row>(pool, { table });
    await copy([{ a: 0, b: '' }], flushContext());
    let hasStalled = false;
    proxy.onData = (chunk) => {
      if (!chunk.includes('BEGIN; COPY')) return undefined;
      hasStalled = true;
      proxy.stall();
      return 'drop';
    };
    const abort = new AbortController();
    const flush = failureOf(copy([{ a: {} as number, b: '' }], flushContext(abort.signal)));
    await until(() => hasStalled);
    abort.abort();
    expect(await flush).toMatchObject({ failureClass: 'row', row: 0 });
    proxy.resume();
    proxy.cut();
    proxy.onData = () => undefined;
    await expectHealthy(copy, pool, table);
  });

  test('at a value that is to go as text after all: the abort is told, and not the value', async () => {
    const table = await database.table('a int, b text');
    const { pool } = poolThroughProxy({ max: 1 });
    const copy = copyInto<Row>(pool, { table, format: 'binary' });
    await copy([{ a: 0, b: '' }], flushContext());
    let hasStalled = false;
    proxy.onData = (chunk) => {
      if (!chunk.includes('BEGIN; COPY')) return undefined;
      hasStalled = true;
      proxy.stall();
      return 'drop';
    };
    const abort = new AbortController();
    const flush = failureOf(copy([{ a: ' 1' as never, b: '' }], flushContext(abort.signal)));
    await until(() => hasStalled);
    abort.abort();
    expect(await flush).toMatchObject({ failureClass: 'aborted', retryable: true });
    proxy.resume();
    proxy.cut();
    proxy.onData = () => undefined;
    await expectHealthy(copy, pool, table);
  });

  test('lost at a value that is to go as text after all: another attempt is worth it', async () => {
    const table = await database.table('a int, b text');
    const { pool } = poolThroughProxy({ max: 1 });
    const copy = copyInto<Row>(pool, { table, format: 'binary' });
    await copy([{ a: 0, b: '' }], flushContext());
    proxy.onData = (chunk) => {
      if (!chunk.includes('the batch was given up')) return undefined;
      proxy.cut();
      return 'drop';
    };
    const flush = failureOf(copy([{ a: ' 1' as never, b: '' }], flushContext()));
    expect(await flush).toMatchObject({ failureClass: 'transport', retryable: true, ambiguous: false });
    proxy.onData = () => undefined;
    await expectHealthy(copy, pool, table);
  });
});

test('a server whose farewell comes together with its readiness is a lost connection, and no uncaught error', async () => {
  const message = (type: string, ...parts: (string | number[])[]): Buffer => {
    const body = Buffer.concat(parts.map((part) => Buffer.from(part as string)));
    const head = Buffer.alloc(5);
    head.write(type);
    head.writeUInt32BE(body.length + 4, 1);
    return Buffer.concat([head, body]);
  };
  const farewell = message('E', 'SFATAL\0VFATAL\0C57P01\0Mterminating connection\0\0');
  const server = createServer((socket) => {
    socket.once('data', () =>
      socket.end(Buffer.concat([message('R', [0, 0, 0, 0]), message('Z', 'I'), farewell])),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const pool = new pg.Pool({ host: '127.0.0.1', port, user: 'anyone', database: 'any' });
  const copy = copyInto<Row>(pool, { table: 't' });
  const error = await failureOf(Promise.resolve(copy([{ a: 1, b: 'x' }], flushContext())));
  expect(error).toMatchObject({ failureClass: 'transport', retryable: true });
  await pool.end();
  server.close();
});
