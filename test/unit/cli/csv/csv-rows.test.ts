import { describe, expect, it } from 'vitest';
import { CsvRows, type CsvRowOptions } from '../../../../src/cli/csv/csv-rows.js';

const FILE = { name: 'events.csv', path: 'events.csv', sizeBytes: undefined };

function rowsOf(text: string, options: Partial<CsvRowOptions> = {}): { row: unknown[]; line: number }[] {
  const rows: { row: unknown[]; line: number }[] = [];
  const reader = new CsvRows(FILE, {
    delimiter: ',',
    nullText: '',
    maxRecordBytes: 1000,
    header: true,
    names: undefined,
    columns: ['a', 'b', 'c'],
    ...options,
  });
  if (text !== '') reader.read(Buffer.from(text), (row, line) => rows.push({ row, line }));
  reader.end();
  return rows;
}

describe('rows of CSV', () => {
  it('follow the header', () => {
    expect(rowsOf('a,b,c\n1,2,3\n')).toEqual([{ row: ['1', '2', '3'], line: 2 }]);
  });

  it('are brought into the order of the columns, where another file had them in another', () => {
    expect(rowsOf('c,a,b\n3,1,2\n')[0]!.row).toEqual(['1', '2', '3']);
  });

  it('need no header with --no-header', () => {
    expect(rowsOf('1,2,3\n', { header: false })).toEqual([{ row: ['1', '2', '3'], line: 1 }]);
    expect(rowsOf('', { header: false })).toEqual([]);
  });

  it('have the names of --columns in place of the header’s, and leave out what has an empty one', () => {
    const names = ['c', '', 'a'];
    const columns = ['c', 'a'];
    expect(rowsOf('x,y,z\n1,2,3\n', { names, columns })[0]!.row).toEqual(['1', '3']);
    expect(rowsOf('1,2,3\n', { names, columns, header: false })[0]!.row).toEqual(['1', '3']);
  });

  it.each<[string, string, Partial<CsvRowOptions>, string]>([
    ['too few fields', 'a,b,c\n1,2,3\n1,2\n', {}, 'events.csv:3: expected 3 fields, got 2'],
    ['too many fields', 'a,b,c\n1,2,3,4\n', {}, 'events.csv:2: expected 3 fields, got 4'],
    ['one field wanted', 'a\n1,2\n', { columns: ['a'] }, 'events.csv:2: expected 1 field, got 2'],
    ['an empty line', 'a,b,c\n\n', {}, 'events.csv:2: expected 3 fields, got an empty line'],
    [
      'fewer fields than --columns names',
      '1,2\n',
      { header: false },
      'events.csv:1: expected 3 fields, got 2',
    ],
    ['a name that comes twice', 'a,b,a\n', {}, 'events.csv:1: the header has "a" twice'],
    ['a name that is empty', 'a,,c\n', {}, "events.csv:1: the header's field 2 has no name"],
    [
      'a name more than in the first file',
      'a,b,c,d\n',
      {},
      'events.csv:1: the header differs from that of the first file: it has "d" besides',
    ],
    [
      'a name fewer',
      'a,b\n',
      {},
      'events.csv:1: the header differs from that of the first file: it lacks "c"',
    ],
    ['an empty file', '', {}, 'events.csv: is empty; a CSV file needs a header, or --no-header'],
  ])('are refused for %s', (_, text, options, message) => {
    expect(() => rowsOf(text, options)).toThrow(message);
  });

  it('may have a header that reads like NULL, and an empty line in a table of one column', () => {
    expect(rowsOf('a\n\n1\n', { columns: ['a'] }).map(({ row }) => row)).toEqual([[null], ['1']]);
    expect(rowsOf('NULL\nNULL\n', { columns: ['NULL'], nullText: 'NULL' }).map(({ row }) => row)).toEqual([
      [null],
    ]);
    const otherNulls = new Set(['NA']);
    expect(rowsOf('EU,NA\nNA,1\n', { columns: ['EU', 'NA'], otherNulls }).map(({ row }) => row)).toEqual([
      [null, '1'],
    ]);
  });

  it('of one column leave out what stands in place of comments, and no more', () => {
    expect(rowsOf('\0,\na\n\0,\n\n1\n', { columns: ['a'], isLenient: true })).toEqual([
      { row: [null], line: 4 },
      { row: ['1'], line: 5 },
    ]);
    expect(() => rowsOf('a\n"\0",\n', { columns: ['a'], isLenient: true })).toThrow(
      'events.csv:2: expected 1 field, got 2',
    );
    expect(rowsOf('a,b\n\0,\n', { columns: ['a', 'b'] })).toEqual([{ row: ['\0', null], line: 2 }]);
  });
});
