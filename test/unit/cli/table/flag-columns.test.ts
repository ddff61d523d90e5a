/** Which column a flag means. */

import { describe, expect, it } from 'vitest';
import { columnsByName, valuesByColumn } from '../../../../src/cli/table/flag-columns.js';

const COLUMNS = [
  { name: 'unit_price', written: 'Unit Price' },
  { name: 'id', written: 'ID' },
  { name: 'id_2', written: 'id' },
  { name: 'x', written: 'same' },
  { name: 'y', written: 'same' },
  { name: 'keyOfJson', columnName: 'key_of_json' },
];

describe('columnsByName', () => {
  it.each([
    ['unit_price', 'unit_price'],
    ['Unit Price', 'unit_price'],
    ['id', 'id'],
    ['ID', 'id'],
    ['id_2', 'id_2'],
    ['same', undefined],
    ['keyOfJson', 'keyOfJson'],
    ['key_of_json', 'keyOfJson'],
  ])('%s is %s', (name, expected) => {
    expect(columnsByName(COLUMNS).get(name)?.name).toBe(expected);
  });
});

describe('valuesByColumn', () => {
  it('has the names that records have', () => {
    expect(valuesByColumn('--type', { 'Unit Price': 1, key_of_json: 2 }, COLUMNS)).toEqual({
      unit_price: 1,
      keyOfJson: 2,
    });
  });

  it('refuses a column that is not there, and names a similar one', () => {
    expect(() => valuesByColumn('--type', { unit_pirce: 1 }, COLUMNS)).toThrow(
      '--type: "unit_pirce" is not among the columns that are loaded (did you mean "unit_price"?): unit_price, id, id_2, x, y, key_of_json',
    );
  });

  it('refuses two names of one column', () => {
    expect(() => valuesByColumn('--null-for', { ID: 1, id: 2 }, COLUMNS)).toThrow(
      '--null-for: the column "id" is named in two ways',
    );
  });

  it('takes names that every object has', () => {
    expect(() => valuesByColumn('--type', { constructor: 1 }, COLUMNS)).toThrow('"constructor" is not among');
    expect(valuesByColumn('--type', { constructor: 1 }, [{ name: 'constructor' }])).toEqual({
      constructor: 1,
    });
  });
});
