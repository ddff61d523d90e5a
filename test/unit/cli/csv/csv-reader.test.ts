import { parse } from 'csv-parse/sync';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readCsv, type CsvSettings } from '../../../support/cli-records.js';

function rowsOf(text: string, settings?: CsvSettings): unknown[] {
  const { rows, error } = readCsv(text, [], settings);
  expect(error).toBeUndefined();
  return rows.map(({ row }) => row);
}

function linesOf(text: string): number[] {
  return readCsv(text).rows.map(({ line }) => line);
}

describe('CSV fields', () => {
  it.each<[string, string, unknown[]]>([
    [
      'plain',
      'a,b\n1,2\n',
      [
        ['a', 'b'],
        ['1', '2'],
      ],
    ],
    [
      'no line break at the end',
      'a,b\n1,2',
      [
        ['a', 'b'],
        ['1', '2'],
      ],
    ],
    [
      'CRLF',
      'a,b\r\n1,2\r\n',
      [
        ['a', 'b'],
        ['1', '2'],
      ],
    ],
    ['LF and CRLF', 'a\r\nb\nc\r\n', [['a'], ['b'], ['c']]],
    ['half a CRLF at the end', 'a,b\r', [['a', 'b']]],
    [
      'quotes',
      '"a","b"\n"1",2\n',
      [
        ['a', 'b'],
        ['1', '2'],
      ],
    ],
    ['quotes in quotes', '"a ""b"" c"\n""""\n', [['a "b" c'], ['"']]],
    ['delimiter and line breaks in quotes', '"a,b\n\nc\r\nd",2\r\n', [['a,b\n\nc\r\nd', '2']]],
    ['spaces belong to the field', ' a ,\tb\n', [[' a ', '\tb']]],
    ['an empty line is a row with one empty field', 'a\n\nb\n', [['a'], [null], ['b']]],
    ['ragged rows are as they are', 'a,b\n1\n1,2,3\n', [['a', 'b'], ['1'], ['1', '2', '3']]],
    ['no ASCII', 'é,"日本"\n😀\n', [['é', '日本'], ['😀']]],
    ['nothing', '', []],
    ['a byte order mark', '\ufeffa,b\n', [['a', 'b']]],
    ['a byte order mark before a quote', '\ufeff"a",b\n', [['a', 'b']]],
    ['backslashes and the old end marker', '\\.\n\\N,"\\."\n', [['\\.'], ['\\N', '\\.']]],
  ])('%s', (_, text, rows) => {
    expect(rowsOf(text)).toEqual(rows);
  });

  it('are NULL when they equal the null text and are not quoted', () => {
    expect(rowsOf('1,,""\n')).toEqual([['1', null, '']]);
    expect(rowsOf('1,,x\n')).toEqual([['1', null, 'x']]);
    expect(rowsOf('NULL,"NULL",\n', { nullText: 'NULL' })).toEqual([[null, 'NULL', '']]);
    expect(rowsOf('NULL,,x\n', { nullText: 'NULL' })).toEqual([[null, '', 'x']]);
    expect(rowsOf('"a""",,"",""""\n')).toEqual([['a"', null, '', '"']]);
  });

  it.each(['\t', ';', '|', ']', '^', '\\', '-', ' '])('can be divided by %j', (delimiter) => {
    const text = `1${delimiter}${delimiter}"x${delimiter}y"${delimiter}""\n1${delimiter}\n`;
    expect(rowsOf(text, { delimiter })).toEqual([
      ['1', null, `x${delimiter}y`, ''],
      ['1', null],
    ]);
  });

  it('know the line on which their record begins', () => {
    expect(linesOf('a\nb\n\nc')).toEqual([1, 2, 3, 4]);
    expect(linesOf('"a\nb"\nc\n"d\r\n\r\n",\ne\n')).toEqual([1, 3, 4, 7]);
    expect(linesOf('"a\rb"\nc\n')).toEqual([1, 2]);
  });
});

describe('what is no CSV is refused with its line, after the rows before it', () => {
  it.each<[string, string, number, RegExp]>([
    ['text after a closing quote', 'a,b\n1,2\n3,"4"5\n6,7\n', 2, /^f:3: text follows a closing quote/],
    [
      'a quote within an unquoted field',
      'a,b\n1,5" disk\n',
      1,
      /^f:2: a quote stands inside an unquoted field/,
    ],
    ['an open quote', 'a,b\n"1\n2",3\n4,"5\n6,7\n', 2, /^f:4: a quote is not closed/],
    ['a lone carriage return', 'a,b\n1,x\ry\n', 1, /^f:2: a carriage return stands alone/],
    ['the same beside quotes', '"a",b\n1,x\ry\n', 1, /^f:2: a carriage return stands alone/],
    ['an old Mac file', 'a,b\r1,2\r', 0, /^f:1: a carriage return stands alone/],
  ])('%s', (_, text, rowCount, message) => {
    const { rows, error } = readCsv(text);
    expect(error).toMatch(message);
    expect(rows).toHaveLength(rowCount);
  });

  it.each<[string, number[], number, string]>([
    [
      'a byte that begins nothing',
      [0x61, 0x0a, 0x62, 0xff, 0x0a],
      1,
      'f:2: not UTF-8: byte 0xFF at byte 2 of the line; --encoding says how the file is encoded',
    ],
    [
      'a character cut by the line break',
      [0x61, 0x0a, 0xe2, 0x82, 0x0a],
      1,
      'f:2: not UTF-8: byte 0xE2 at byte 1 of the line; --encoding says how the file is encoded',
    ],
    [
      'a character cut by the end',
      [0x61, 0x0a, 0x62, 0xe2, 0x82],
      1,
      'f:2: not UTF-8: byte 0xE2 at byte 2 of the line; --encoding says how the file is encoded',
    ],
    [
      'a character that begins as the one in its place does',
      [0x61, 0xef, 0xbf, 0x61],
      0,
      'f:1: not UTF-8: byte 0xEF at byte 2 of the line; --encoding says how the file is encoded',
    ],
    [
      'the same at the end',
      [0xef, 0xbf],
      0,
      'f:1: not UTF-8: byte 0xEF at byte 1 of the line; --encoding says how the file is encoded',
    ],
    [
      'half a surrogate pair',
      [0xed, 0xa0, 0x80],
      0,
      'f:1: not UTF-8: byte 0xED at byte 1 of the line; --encoding says how the file is encoded',
    ],
    [
      'Latin-1 within quotes',
      [0x61, 0x0a, 0x22, 0x0a, 0xe9, 0x22, 0x0a],
      1,
      'f:3: not UTF-8: byte 0xE9 at byte 1 of the line; --encoding says how the file is encoded',
    ],
    [
      'UTF-16',
      [0xff, 0xfe, 0x61, 0x00],
      0,
      'f:1: the text is UTF-16 (little endian), by its byte order mark; it must be UTF-8; iconv -f UTF-16 -t UTF-8 FILE | spillway load - … makes it so',
    ],
  ])('%s', (_, bytes, rowCount, message) => {
    const { rows, error } = readCsv(Buffer.from(bytes));
    expect(error).toBe(message);
    expect(rows).toHaveLength(rowCount);
  });

  it.each<[string, string, RegExp]>([
    ['plain', `a\n${'x'.repeat(101)}\n`, /^f:2: the record is longer than --max-record-bytes \(100\)$/],
    ['quoted', `a\n"${'x'.repeat(99)}"\n`, /^f:2: the record is longer than --max-record-bytes \(100\)$/],
    ['in bytes, not in characters', `a\n${'é'.repeat(51)}\n`, /^f:2: the record is longer/],
    ['without an end', `a\n${'x'.repeat(500)}`, /^f:2: the record is longer/],
    ['by a quote that is left open', `a\n"${'x\n'.repeat(200)}`, /^f:2: /],
  ])('a record over --max-record-bytes: %s', (_, text, message) => {
    for (const cuts of [[], [10], [50, 120], Array.from({ length: text.length }, (__, index) => index)]) {
      const { rows, error } = readCsv(text, cuts, { maxRecordBytes: 100 });
      expect(error).toMatch(message);
      expect(rows).toHaveLength(1);
    }
  });

  it('takes a record of exactly --max-record-bytes', () => {
    for (const text of [`${'x'.repeat(100)}\r\n`, `"${'x'.repeat(98)}"\n`, 'é'.repeat(50)]) {
      for (const cuts of [[], [50], [99, 100, 101]]) {
        expect(readCsv(text, cuts, { maxRecordBytes: 100 })).toMatchObject({
          error: undefined,
          rows: [{ line: 1 }],
        });
      }
    }
  });

  it('counts the limit for each record, however many quoted ones there are', () => {
    const text = '"x\n""y",1\n'.repeat(100);
    const { rows, error } = readCsv(
      text,
      Array.from({ length: 110 }, (_, index) => index * 10),
      { maxRecordBytes: 20 },
    );
    expect(error).toBeUndefined();
    expect(rows).toHaveLength(100);
  });

  it('says what is wrong where a misplaced quote makes all that follows look like one record', () => {
    const text = `a,b\n1,5" disk\n${'2,x\n'.repeat(500)}`;
    for (const cuts of [[], [20], [20, 300, 900]]) {
      expect(readCsv(text, cuts, { maxRecordBytes: 100 }).error).toMatch(
        /^f:2: a quote stands inside an unquoted field/,
      );
    }
  });
});

/** Texts that are likely to be CSV, and to be cut at a bad place. */
const pieces = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom('a', '1', 'é', '😀', ' ', 'x,y', 'abc,def\n', '\\N') },
    { weight: 4, arbitrary: fc.constantFrom(',', '\n', '\r\n', ',,') },
    { weight: 3, arbitrary: fc.constantFrom('"a"', '""', '"b\nc"', '"d""e"', '"é,\r\n"', ',"",') },
    { weight: 1, arbitrary: fc.constantFrom('"', '\r', '\ufeff') },
  ),
  { maxLength: 40 },
);
const cutsIn = (bytes: Buffer) => fc.array(fc.nat({ max: bytes.length }), { maxLength: 12 });
const textWithCuts = pieces
  .map((parts) => Buffer.from(parts.join('')))
  .chain((bytes) => fc.tuple(fc.constant(bytes), cutsIn(bytes)));

describe('CSV in chunks', () => {
  it('gives the same rows, lines and errors wherever the bytes are cut', () => {
    fc.assert(
      fc.property(textWithCuts, ([bytes, cuts]) => {
        expect(readCsv(bytes, cuts)).toEqual(readCsv(bytes));
      }),
      { numRuns: 2000 },
    );
  });

  it('cut before every byte, too', () => {
    fc.assert(
      fc.property(pieces, (parts) => {
        const bytes = Buffer.from(parts.join(''));
        const cuts = Array.from(bytes.keys());
        expect(readCsv(bytes, cuts)).toEqual(readCsv(bytes));
      }),
      { numRuns: 500 },
    );
  });

  it('CSV with bytes that are no UTF-8 is read alike in chunks, with a limit on records', () => {
    const bytesWithCuts = fc
      .array(fc.constantFrom(0x61, 0x2c, 0x0a, 0x0d, 0x22, 0xc3, 0xa9, 0xff, 0xe2, 0x82, 0xac), {
        maxLength: 60,
      })
      .map((bytes) => Buffer.from(bytes))
      .chain((bytes) => fc.tuple(fc.constant(bytes), cutsIn(bytes)));
    fc.assert(
      fc.property(bytesWithCuts, ([bytes, cuts]) => {
        expect(readCsv(bytes, cuts)).toEqual(readCsv(bytes));
      }),
      { numRuns: 2000 },
    );
  });
});

describe('CSV against csv-parse', () => {
  it('has the same fields, but for NULL', () => {
    const table = fc.array(
      fc.array(fc.tuple(fc.string({ unit: 'grapheme-composite', maxLength: 6 }), fc.boolean()), {
        minLength: 1,
        maxLength: 5,
      }),
      { maxLength: 8 },
    );
    fc.assert(
      fc.property(
        table,
        fc.constantFrom('\n', '\r\n'),
        fc.constantFrom('', 'a', '0'),
        (records, lineBreak, nullText) => {
          const write = ([text, quoted]: [string, boolean]): string =>
            quoted || /[",\r\n\0]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
          const text = records.map((fields) => fields.map(write).join(',') + lineBreak).join('');
          // A mark at the very beginning is no data.
          fc.pre(!text.startsWith('\ufeff'));
          const reference = parse(text, { relax_column_count: true, record_delimiter: ['\n', '\r\n'] });
          const { rows, error } = readCsv(text, [], { nullText });
          expect(error).toBeUndefined();
          expect(rows.map(({ row }) => row.map((field) => field ?? nullText))).toEqual(reference);
          // Which fields are NULL is known from how they were written.
          const nulls = records.map((fields) =>
            fields.map((field) => field[0] === nullText && !write(field).startsWith('"')),
          );
          expect(rows.map(({ row }) => row.map((field) => field === null))).toEqual(nulls);
        },
      ),
      { numRuns: 2000 },
    );
  });
});
