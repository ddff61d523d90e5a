import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import pg from 'pg';
import { describe, expect, it, test } from 'vitest';
import { InvalidOptionError } from '../../../../src/api/errors.js';
import { CopyError, copyInto } from '../../../../src/postgres/index.js';
import type { CopyPool } from '../../../../src/postgres/protocol/pool.js';
import { flushContext } from '../../../support/postgres.js';

/** The shape of `pg.native`'s, which needs libpq: see node_modules/pg/lib/native/client.js. */
class NativeClient {
  readonly native = {};
  readonly connectionParameters = {};
  _hasActiveQuery() {
    return false;
  }
  _pulseQueryQueue() {
    // Nothing is queued.
  }
}

const construct = (pool: unknown) => () => copyInto(pool as CopyPool, { table: 't' });

describe('copyInto refuses at once', () => {
  it('a pool of pg.native', () => {
    class NativePool extends pg.Pool {
      readonly Client = NativeClient;
    }
    expect(construct(new NativePool())).toThrow(InvalidOptionError);
    expect(construct(new NativePool())).toThrow(/pg\.native/);
  });

  it('a pool that has been ended', async () => {
    const pool = new pg.Pool();
    await pool.end();
    expect(construct(pool)).toThrow(/has been ended/);
  });

  it('a client', () => {
    expect(construct(new pg.Client())).toThrow(/single client/);
    expect(construct(new NativeClient())).toThrow(InvalidOptionError);
  });

  it('no pool of node-postgres', async () => {
    class OwnClient extends pg.Client {}
    for (const pool of [new pg.Pool(), new pg.Pool({ Client: OwnClient })]) {
      expect(construct(pool)).not.toThrow();
      await pool.end();
    }
  });
});

test('the client of pg.native is told by a method that it has, and the other one by one that it has not', () => {
  const file = createRequire(import.meta.url).resolve('pg/lib/native/client.js');
  const source = readFileSync(file, 'utf8');
  expect(source).toContain('Client.prototype._hasActiveQuery =');
  expect(source).not.toContain('getStartupConf');
  expect('getStartupConf' in pg.Client.prototype).toBe(true);
});

describe('what connect() answers with', () => {
  const method = () => undefined;
  test.each([
    ['nothing', undefined, /has returned undefined/],
    ['null', null, /has returned null/],
    ['a thing without on()', { query: method, release: method }, /something without on\(\)/],
    [
      'a native client',
      { native: {}, query: method, on: method, removeListener: method, release: method },
      /pg\.native/,
    ],
  ])('%s is an error of the set-up', async (_, client, words) => {
    const pool = { connect: () => Promise.resolve(client) } as unknown as CopyPool;
    const failure = Promise.resolve(copyInto(pool, { table: 't' })([{ a: 1 }], flushContext()));
    await expect(failure).rejects.toThrow(words);
    await failure.catch((error: unknown) => {
      expect(error).toBeInstanceOf(CopyError);
      expect(error).toMatchObject({ failureClass: 'setup', retryable: false });
    });
  });
});
