/** `row` and `weightColumn`: what is stored for an item. */

import { describe, expect, test } from 'vitest';
import { copyInto } from '../../../src/postgres/index.js';
import { loadRows } from '../../support/load-rows.js';
import { flushContext, useTestDatabase } from '../../support/postgres.js';

const database = useTestDatabase();

const weighted = (weights: number[]) => ({
  ...flushContext(),
  weights,
  represents: weights.reduce((sum, weight) => sum + weight, 0),
  takesFailures: true,
});

describe('weightColumn', () => {
  test.each(['text', 'binary', 'auto'] as const)(
    'as %s: each row has its own weight, also beside bad rows',
    async (format) => {
      const table = await database.table('n int, weight float8 NOT NULL, m int');
      const copy = copyInto<object>(database.pool({ max: 2 }), { table, weightColumn: 'weight', format });
      const answer = await copy([{ n: 1 }, { n: 'bad' }, { n: 3 }], weighted([10, 20, 30]));
      expect(answer).toMatchObject({ success: 2, errors: [{ index: 1 }] });
      await copy([{ n: 4 }], flushContext());
      expect(await database.query(`SELECT n, weight FROM ${table} ORDER BY n`)).toEqual([
        { n: 1, weight: 10 },
        { n: 3, weight: 30 },
        { n: 4, weight: 1 },
      ]);
    },
  );

  test('weightColumn of rows that are arrays stands at its place in the table', async () => {
    const table = await database.table('a int, weight int, b int');
    const copy = copyInto<number[]>(database.pool({ max: 2 }), { table, weightColumn: 'weight' });
    await copy([[1, 2]], weighted([7]));
    expect(await database.query(`SELECT * FROM ${table}`)).toEqual([{ a: 1, weight: 7, b: 2 }]);
  });

  test('under an upsert with an import every row keeps its weight', async () => {
    const table = await database.table('k int PRIMARY KEY, weight int');
    const copy = copyInto<{ k: number }>(database.pool({ max: 2 }), {
      ...{ table, weightColumn: 'weight', onConflict: 'update', key: ['k'] },
      ...{ importId: 'w', positionOf: ({ k }) => k },
    });
    await copy([{ k: 1 }, { k: 2 }], weighted([5, 6]));
    expect(await database.query(`SELECT * FROM ${table} ORDER BY k`)).toEqual([
      { k: 1, weight: 5 },
      { k: 2, weight: 6 },
    ]);
  });

  test('a value of the row itself, a type that is no number, and no such column are refused by name', async () => {
    const table = await database.table('n int, weight int, t text');
    const load = (weightColumn: string, row: object) =>
      copyInto<object>(database.pool({ max: 1 }), { table, weightColumn })([row], flushContext());
    await expect(load('weight', { n: 1, weight: 2 })).rejects.toThrow(
      /"weight", which the option 'weightColumn' fills/,
    );
    await expect(load('t', { n: 1 })).rejects.toThrow(/'weightColumn' names "t".*its type is text/);
    await expect(load('w', { n: 1 })).rejects.toThrow(/has no column "w"/);
    const options = { table, columns: ['n', 'weight'], weightColumn: 'weight' };
    expect(() => copyInto(database.pool({ max: 1 }), options)).toThrow(/must not be among 'columns'/);
  });
});

describe('row', () => {
  test('an item is stored as the row that the function returns, and what it throws is a fault of that row', async () => {
    const table = await database.table('n int, t text');
    const row = ({ id }: { id: number }) => {
      if (id === 2) throw new Error('no row of mine');
      return { n: id, t: `item ${id}` };
    };
    const items = [1, 2, 3].map((id) => ({ id }));
    const { failures } = await loadRows(database.pool({ max: 2 }), { table, row }, items, 10);
    expect(failures.map(({ item, error }) => [item, (error.cause as Error).message])).toEqual([
      [{ id: 2 }, expect.stringContaining('no row of mine')],
    ]);
    expect(await database.query(`SELECT * FROM ${table} ORDER BY n`)).toEqual([
      { n: 1, t: 'item 1' },
      { n: 3, t: 'item 3' },
    ]);
  });
});
