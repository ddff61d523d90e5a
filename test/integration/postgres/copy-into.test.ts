import { expect, test } from 'vitest';
import { copyInto } from '../../../src/postgres/index.js';
import { flushContext, useTestDatabase } from '../../support/postgres.js';

const database = useTestDatabase();

test('objects arrive, and columns that the first row does not name keep their defaults', async () => {
  const table = await database.table('id serial, name text, at timestamptz DEFAULT now()');
  const copy = copyInto(database.pool(), { table });
  await copy([{ name: 'one' }, { name: 'two' }, {}], flushContext());
  const rows = await database.query(`SELECT id, name, at IS NOT NULL AS has FROM ${table} ORDER BY id`);
  expect(rows).toEqual([
    { id: 1, name: 'one', has: true },
    { id: 2, name: 'two', has: true },
    { id: 3, name: null, has: true },
  ]);
});
