/** Names for columns that the header leaves without one, or gives the same one. */

import { describe, expect, it } from 'vitest';
import { numberedNames, repairNames } from '../../../../src/cli/csv/column-names.js';

describe('repairNames', () => {
  it.each<[string, string[], string[]]>([
    ['keeps names that differ', ['id', 'name'], ['id', 'name']],
    ['keeps names that differ in case', ['id', 'ID'], ['id', 'ID']],
    ['gives an empty name its place', ['', 'speed', ''], ['column1', 'speed', 'column3']],
    ['numbers a name that comes again', ['id', 'id', 'id'], ['id', 'id_2', 'id_3']],
    ['leaves a name to the column that has it', ['id', 'id', 'id_2'], ['id', 'id_3', 'id_2']],
    ['leaves a place to the column that has it', ['', 'column1'], ['column1_2', 'column1']],
  ])('%s', (_title, header, expected) => {
    expect(repairNames(header).names).toEqual(expected);
  });

  it('says what it changed', () => {
    expect(repairNames(['id', '', 'id']).notes).toEqual([
      expect.stringContaining('column2'),
      expect.stringContaining('id_2'),
    ]);
    expect(repairNames(['id', 'name']).notes).toEqual([]);
  });
});

describe('numberedNames', () => {
  it('counts from 1', () => {
    expect(numberedNames(3)).toEqual(['column1', 'column2', 'column3']);
  });
});
