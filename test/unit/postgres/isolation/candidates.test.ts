import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { WorkPacer } from '../../../../src/common/turn-budget.js';
import { planLayout } from '../../../../src/postgres/rows/row-layout.js';
import { SentRows } from '../../../../src/postgres/rows/sent-rows.js';
import { refusedKey, repeatedKeys } from '../../../../src/postgres/isolation/candidates.js';
import { range } from '../../../support/range.js';

const LAYOUT = planLayout(
  {
    schema: 'public',
    table: 'flights',
    columns: ['a', 'b'].map((name) => ({
      name,
      typeName: 'text',
      type: { kind: 'scalar', name: 'text', category: 'S' },
      isGenerated: false,
    })),
    refersToItself: false,
    hasTriggers: false,
  },
  { names: ['a', 'b'], source: 'option' },
);

function repeated(keys: readonly (string | null)[], columns = ['a']) {
  const rows = keys.map((key, row) => ({ a: key, b: String(row) }));
  return repeatedKeys(columns, new SentRows(LAYOUT, rows), new WorkPacer());
}

describe('rows with the key of an earlier one', () => {
  test('each with the first one that has it, whatever the keys; NULL equals nothing', async () => {
    const key = fc.option(fc.oneof(fc.nat(30).map(String), fc.string()), { nil: null });
    await fc.assert(
      fc.asyncProperty(fc.array(key, { maxLength: 300 }), async (keys) => {
        const expected = keys.flatMap((value, row) => {
          const first = keys.indexOf(value);
          return value === null || first === row ? [] : [[first, row]];
        });
        expect(await repeated(keys)).toEqual(expected);
      }),
    );
  });

  test('keys that repeat within 30 000 rows are each found with their first row', async () => {
    const keys = range(30_000).map((row) => String(row % 29_900));
    expect(await repeated(keys)).toEqual(range(100).map((row) => [row, 29_900 + row]));
  });

  test('a key of several columns is all of them together', async () => {
    expect(await repeated(['1', '1'], ['a', 'b'])).toEqual([]);
  });
});

describe('the unique key that an error names', () => {
  test.each([
    ['Key (a)=(1) already exists.', ['a']],
    ['Schlüssel „(a, b)=(1, 0)“ existiert bereits.', ['a', 'b']],
    ['Key (c)=(1) already exists.', undefined],
    ['Key (lower(a))=(x) already exists.', undefined],
    [undefined, undefined],
  ])('of %j it is %j', (detail, columns) => {
    const error = Object.assign(new Error('duplicate key'), { code: '23505', detail });
    expect(refusedKey(error, { layout: LAYOUT })).toEqual(columns);
  });

  test('an error about another constraint names none', () => {
    const error = Object.assign(new Error('no such row'), { code: '23503', detail: 'Key (a)=(1) …' });
    expect(refusedKey(error, { layout: LAYOUT })).toBeUndefined();
  });
});
