/** Several hosts in one connection string: what is said of them after the first has gone. */

import { expect, it } from 'vitest';
import { connect } from '../../../../src/cli/server/connection.js';
import { startProxy } from '../../../support/postgres-proxy.js';
import { useTestDatabase } from '../../../support/postgres.js';

const database = useTestDatabase();

it('names the server that the pool has gone over to, once the first one is lost', async () => {
  const [first, second] = [await startProxy(database.url), await startProxy(database.url)];
  const { username, password, pathname } = new URL(database.url);
  const text = `postgres://${username}:${password}@127.0.0.1:${first.port},127.0.0.1:${second.port}${pathname}`;
  const connection = await connect({ kind: 'server', text, where: '--to' }, 1, { HOME: '/nowhere' });
  try {
    const name = pathname.slice(1);
    expect(connection.label).toBe(`127.0.0.1:${first.port}/${name}`);
    await first.close();
    await expect
      .poll(() =>
        connection.pool.query('SELECT 1').then(
          ({ rowCount }) => rowCount,
          () => 0,
        ),
      )
      .toBe(1);
    expect(connection.label).toBe(`127.0.0.1:${second.port}/${name}`);
  } finally {
    await connection.close();
    await second.close();
  }
});
