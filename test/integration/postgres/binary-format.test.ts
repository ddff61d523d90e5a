/** The tests of COPY once more, with each batch tried in binary first wherever its columns' types allow it: nothing may differ. */

import { describe, expect, test, vi } from 'vitest';
import type * as copyFormat from '../../../src/postgres/rows/copy-format.js';
import { copyInto } from '../../../src/postgres/index.js';
import { flushContext, useTestDatabase } from '../../support/postgres.js';

vi.mock('../../../src/postgres/rows/copy-format.js', async (original) => {
  const { alwaysBinary } = await import('../../support/always-binary.js');
  return alwaysBinary(await original<typeof copyFormat>());
});

describe('the batches of this file', () => {
  const database = useTestDatabase();

  test('go in binary, text alone too', async () => {
    const table = await database.table('t text');
    const pool = database.pool({ max: 1 });
    const sent: unknown[] = [];
    pool.on('connect', (client) => {
      const send = client.query.bind(client) as (...args: unknown[]) => unknown;
      client.query = ((...args: unknown[]) => {
        sent.push((args[0] as { text?: unknown }).text);
        return send(...args);
      }) as never;
    });
    await copyInto(pool, { table })([{ t: 'x' }], flushContext());
    expect(sent).toContainEqual(expect.stringContaining('FORMAT binary'));
  });
});

describe('copyInto', () => import('./copy-into.test.js') as Promise<never>);
describe('isolation', () => import('./isolation.test.js') as Promise<never>);
describe('isolation in other tables', () => import('./isolation-tables.test.js') as Promise<never>);
describe('upsert', () => import('./upsert.test.js') as Promise<never>);
describe('exactly once', () => import('./exactly-once.test.js') as Promise<never>);
describe('round trip', () => import('./round-trip.test.js') as Promise<never>);
describe('round trip of random values', () => import('./round-trip-property.test.js') as Promise<never>);
