import { expect, test } from 'vitest';
import { lineRows } from '../../../../src/cli/records/line-rows.js';

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
