import { describe, expect, it, test } from 'vitest';
import { InputError } from '../../../../src/cli/common/errors.js';
import { lineRows, writtenLines } from '../../../../src/cli/records/line-rows.js';
import { ReadRow } from '../../../../src/cli/records/record-parser.js';

test.each([
  ['ASCII', 'a,,c\n,12,\r\nx,y,z\n'],
  ['other letters', 'ä,,c\n,12,\r\nx,ß,€\n'],
])('a value by itself is that of all values: %s', (_, text) => {
  const of = { format: { copy: 'FORMAT text' }, delimiter: ',', nullText: '' };
  const file = { name: 'a.csv', path: undefined, sizeBytes: undefined };
  const rows = lineRows(Buffer.from(text), 3, of, { file, line: 1, ordinal: 0 });
  for (const row of rows) {
    expect(row.values).toHaveLength(3);
    for (const place of [0, 1, 2]) expect(row.valueAlone(place)[place]).toBe(row.values[place]);
  }
});

describe('lines to be sent again', () => {
  const of = { format: { copy: 'FORMAT text' }, delimiter: ',', nullText: '' };
  const file = { name: 'a.csv', path: undefined, sizeBytes: undefined };
  const lines = lineRows(Buffer.from('1,a\n2,b\n'), 2, of, { file, line: 1, ordinal: 0 });
  const unreadable = new ReadRow([], file, 3, 2, new InputError(file, 3, 'has too few fields'), '3');

  it('have no place for a record that could not be read, and name it as a fault', () => {
    const written = writtenLines([lines[0]!, unreadable, lines[1]!])!;
    expect([[...written.starts], [...written.ends]]).toEqual([
      [0, 0, 4],
      [4, 0, 8],
    ]);
    expect(written.faults?.map(({ row, cause }) => [row, cause])).toEqual([[1, unreadable.fault]]);
  });

  it('are none if a row is no line, or if no record could be read', () => {
    expect(writtenLines([lines[0]!, new ReadRow(['2', 'b'], file, 2, 1)])).toBeUndefined();
    expect(writtenLines([unreadable])).toBeUndefined();
  });
});
