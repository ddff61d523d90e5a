/** A session that falls silent while it has locked an import must not keep others waiting for ever. One that is only slow may go on. */

import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { ImportLog } from '../../../src/postgres/imports/import-log.js';
import { startProxy } from '../../support/postgres-proxy.js';
import { useTestDatabase } from '../../support/postgres.js';

const database = useTestDatabase();

test.concurrent.each([
  [
    'reads what was committed',
    'FOR NO KEY UPDATE',
    (log: ImportLog, signal: AbortSignal) => log.refresh(signal),
  ],
  ['finishes the import', 'SET finished_at', (log: ImportLog, signal: AbortSignal) => log.finish(signal)],
] as const)(
  'a session that falls silent while it %s is ended by the server, and the next run begins',
  async (importId, statement, call) => {
    const options = { importId, schema: 'public', table: await database.table('a int') };
    const proxy = await startProxy(database.url);
    const pool = database.pool({ connectionString: database.urlVia(proxy.host, proxy.port) });
    const log = await ImportLog.open(pool, options);
    let hasAsked = false;
    proxy.onData = (chunk) => {
      hasAsked ||= chunk.includes(statement);
      return undefined;
    };
    const silent = new Promise<() => void>((resolve) => {
      proxy.onAnswer = () => {
        // The lock is held. The next statement does not get through, and so neither does the end of the connection behind it.
        if (hasAsked) setImmediate(() => resolve(proxy.silence()));
        hasAsked = false;
        return undefined;
      };
    });
    const abort = new AbortController();
    const refused = expect(call(log, abort.signal)).rejects.toMatchObject({ failureClass: 'aborted' });
    const release = await silent;
    // Time for that statement.
    setTimeout(() => abort.abort(), 500);
    await refused;
    const next = await ImportLog.open(database.pool(), options);
    expect(next.isFinished).toBe(false);
    release();
    await proxy.close();
  },
);

test.concurrent(
  'a program that takes longer than that over the rejects it reads is not cut off',
  async () => {
    const options = { importId: 'slow', schema: 'public', table: await database.table('a int') };
    const pool = database.pool();
    const log = await ImportLog.open(pool, options);
    const client = await pool.connect();
    await client.query('BEGIN');
    await log.writeCheckpoint(client, 0, 9, 9, [{ position: 5, reject: 'bad' }]);
    await client.query('COMMIT');
    client.release();
    const rejects: unknown[] = [];
    await log.readRejects(async (reject) => {
      rejects.push(reject);
      await delay(21_000);
    });
    expect(rejects).toEqual(['bad']);
  },
);
