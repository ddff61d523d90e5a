import { describe, expect, test } from 'vitest';
import { groupRows, MOST_GROUPS } from '../../../../src/postgres/merge/absent-values.js';

describe('groupRows', () => {
  test('rows side by side that leave out the same are one group, in their order', () => {
    const lists = ['', '', '0', '0,1', '0,1', ''];
    expect(groupRows(lists, [0, 1, 2, 3, 4, 5])).toEqual([
      { absent: '', rows: [0, 1] },
      { absent: '0', rows: [2] },
      { absent: '0,1', rows: [3, 4] },
      { absent: '', rows: [5] },
    ]);
  });

  test('only the rows asked for are in a group', () => {
    expect(groupRows(['', '0', ''], [0, 2])).toEqual([{ absent: '', rows: [0, 2] }]);
    expect(groupRows(['', '0', ''], [])).toEqual([]);
  });

  test('more than the most groups: all that leave out the same are one', () => {
    const alternating = Array.from({ length: MOST_GROUPS + 1 }, (_, row) => (row % 2 === 0 ? '' : '0'));
    const rows = [...alternating.keys()];
    expect(groupRows(alternating, rows.slice(1))).toHaveLength(MOST_GROUPS);
    expect(groupRows(alternating, rows)).toEqual([
      { absent: '', rows: rows.filter((row) => row % 2 === 0) },
      { absent: '0', rows: rows.filter((row) => row % 2 === 1) },
    ]);
  });
});
