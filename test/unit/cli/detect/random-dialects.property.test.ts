/** Files in random dialects: the detection finds the table, or refuses; it never finds another one. */

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { CsvRows } from '../../../../src/cli/csv/csv-rows.js';
import { InputError } from '../../../../src/cli/common/errors.js';
import { kindOf } from '../../../../src/cli/detect/cells/cell-kind.js';
import { detectReading, Undecided } from '../../../../src/cli/detect/detect-reading.js';
import { converterFor } from '../../../../src/cli/input/read-as.js';
import type { Reading } from '../../../../src/cli/detect/reading.js';
import type { SourceFile } from '../../../../src/cli/input/source.js';
import { RecordParser } from '../../../../src/cli/records/record-parser.js';
import { endOfRecord } from '../../../../src/cli/csv/csv-reader.js';
import { fastCheckRuns } from '../../../support/test-runs.js';

const FILE: SourceFile = { name: 'f.csv', path: undefined, sizeBytes: undefined };
const LIMIT = 1_000_000;

/** Values that look like something else: numbers of other countries, delimiters, quotes, comments. */
const TEXTS = [
  'x',
  'Smith, John',
  'a;b',
  'a|b',
  "it's",
  '5" pipe',
  '"q"',
  '# no',
  'NA',
  '1,5',
  '2024-01-02',
  'é',
  'two\nlines',
  'yes',
  '-',
  'C:\\dir\\',
  'a\tb',
  '',
  'Smith, Ann',
  'https://a.example/x?y=1',
  'A-1',
  'ann@example.org',
  '$ 5.00',
  '12:30',
  '0012',
  'N/A',
];
const NUMBERS = ['1', '20', '-3', '4.5', '1000000', '0', '7'];

interface Dialect {
  readonly delimiter: string;
  readonly quote: '"' | "'";
  readonly escape: string;
  readonly lineEnd: string;
  readonly encoding: 'utf-8' | 'utf-16le' | 'windows-1252';
  readonly preamble: string;
  readonly hasHeader: boolean;
  readonly quotesAll: boolean;
  readonly endsInBlank: boolean;
  /** Each record ends in a delimiter: the header too, or not. */
  readonly trailing: 'none' | 'all' | 'records';
  /** A line behind the table. */
  readonly note: string;
  readonly hasMark: boolean;
}

const dialects: fc.Arbitrary<Dialect> = fc.record({
  delimiter: fc.constantFrom(',', ';', '\t', '|'),
  quote: fc.constantFrom('"' as const, '"' as const, '"' as const, "'" as const),
  escape: fc.constantFrom('', '', '', '\\'),
  lineEnd: fc.constantFrom('\n', '\r\n', '\r'),
  encoding: fc.constantFrom('utf-8' as const, 'utf-16le' as const, 'windows-1252' as const),
  preamble: fc.constantFrom('', '', '', '# made in 2024', 'Report of May\n', '3,2,x,y'),
  hasHeader: fc.boolean(),
  quotesAll: fc.boolean(),
  endsInBlank: fc.boolean(),
  trailing: fc.constantFrom('none' as const, 'none' as const, 'none' as const, 'all' as const, 'records' as const),
  note: fc.constantFrom('', '', '', '', 'Source: a survey'),
  hasMark: fc.boolean(),
}); // prettier-ignore

interface Table {
  readonly names: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

const tables: fc.Arbitrary<Table> = fc
  .array(fc.constantFrom('number', 'text', 'mixed'), { minLength: 1, maxLength: 5 })
  .chain((kinds) =>
    fc.record({
      names: fc.constant(kinds.map((kind, index) => `${kind}_${index}`)),
      rows: fc.array(
        fc.tuple(...kinds.map((kind) => fc.constantFrom(...(kind === 'number' ? NUMBERS : kind === 'text' ? TEXTS : [...TEXTS, ...NUMBERS])))),
        { minLength: kinds.length === 1 ? 3 : 1, maxLength: 30 },
      ),
    }),
  ); // prettier-ignore

function write({ names, rows }: Table, dialect: Dialect): Buffer {
  const { quote, delimiter, lineEnd, encoding, quotesAll } = dialect;
  const escape = dialect.escape === '' ? quote : dialect.escape;
  const field = (text: string): string => {
    // Whether a backslash escapes another one cannot be seen, unless one escapes a quote.
    const value = escape === quote ? text : text.replaceAll('\\', '/');
    // Unquoted, such a value would be one in double quotes.
    const isNeeded =
      value.startsWith('"') ||
      value.startsWith("'") ||
      value.includes(delimiter) ||
      value.includes(quote) ||
      /[\r\n]/.test(value) ||
      value === '';
    if (!quotesAll && !isNeeded) return value;
    return quote + value.replaceAll(quote, escape + quote) + quote;
  };
  const { trailing, hasHeader } = dialect;
  const last = (isName: boolean) => (trailing === 'none' || (isName && trailing === 'records') ? [] : ['']);
  const line = (row: readonly string[], isName: boolean) =>
    [...row.map(field), ...last(isName)].join(delimiter);
  const lines = [...(hasHeader ? [line(names, true)] : []), ...rows.map((row) => line(row, false))];
  // Above one column, a title would be its name.
  const hasPreamble = dialect.preamble.startsWith('#') || (dialect.preamble !== '' && names.length > 1);
  const preamble = hasPreamble ? dialect.preamble.split('\n') : [];
  // In one column, a blank line is a record.
  const end = dialect.endsInBlank && names.length > 1 ? lineEnd : '';
  const note = dialect.note !== '' && names.length > 1 ? dialect.note + lineEnd : '';
  const mark = dialect.hasMark && encoding !== 'windows-1252' ? '\ufeff' : '';
  const text = mark + [...preamble, ...lines].join(lineEnd) + lineEnd + end + note;
  if (encoding === 'windows-1252') return Buffer.from(text, 'latin1');
  return Buffer.from(text, encoding === 'utf-8' ? 'utf8' : 'utf16le');
}

/** Reads as a load does. */
async function read(bytes: Buffer): Promise<{ reading: Reading; rows: (string | null)[][] }> {
  const reading = await detectReading(bytes, true, {});
  const delimiter = reading.delimiter ?? '\x1f';
  const converter = converterFor({ ...reading, delimiter, maxRecordBytes: LIMIT })?.(FILE);
  const rows: (string | null)[][] = [];
  const columns = Array.from({ length: reading.fieldCount }, (_, index) => `c${index}`);
  const options = { delimiter, nullText: '', maxRecordBytes: LIMIT, isLenient: true, columns, names: columns, header: reading.header };
  const parser = new RecordParser(
    { delimiter, maxRecordBytes: LIMIT, recordEnd: endOfRecord, open: () => new CsvRows(FILE, options) },
    (row) => rows.push(row as (string | null)[]),
  );
  const converted = converter?.convert(bytes, true) ?? bytes;
  parser.add({ file: FILE, bytes: converted, last: true });
  return { reading, rows };
} // prettier-ignore

/** A table of texts has a header by the rule, but not if its first record has a number, or a text that comes again below it. */
function mayHaveHeader([first, ...rest]: readonly (readonly string[])[]): boolean {
  const numbers = first!.filter((value) => kindOf(value) === 'number').map(Number);
  // Such numbers may be names.
  if (numbers.length > 1 && numbers.every((number, at) => number === numbers[0]! + at)) return true;
  return first!.every((value, column) => {
    const again = rest.filter((row) => row[column] === value).length;
    return kindOf(value) === 'empty' || (kindOf(value) !== 'number' && again < 2);
  });
}

it('a file in a random dialect is read as it was written, or refused', async () => {
  let read_ = 0;
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(tables, dialects, async (table, dialect) => {
      // A first line that begins with a # is a comment, unless it has as many fields as the table.
      fc.pre(!(table.names.length === 1 && !dialect.hasHeader && table.rows[0]![0]!.startsWith('#')));
      // Where each value has a delimiter of its own, there are as many columns.
      const isPlain = table.rows.some(([value]) => !/[,;|\t]/.test(value!));
      fc.pre(table.names.length > 1 || dialect.hasHeader || isPlain);
      // Such a line above records as long may be the first one.
      const isLike = table.names.length + (dialect.trailing === 'none' ? 0 : 1) === 4;
      fc.pre(!dialect.preamble.startsWith('3') || (dialect.hasHeader && !isLike));
      // A title, a note and a record or two are no table.
      fc.pre(dialect.note === '' || table.rows.length > 2);
      // Of one column, such lines may as well be its values.
      fc.pre(table.names.length > 1 || dialect.trailing === 'none');
      let found: Awaited<ReturnType<typeof read>>;
      try {
        found = await read(write(table, dialect));
      } catch (error) {
        if (!(error instanceof Undecided || error instanceof InputError)) throw error;
        refused += 1;
        return;
      }
      read_ += 1;
      const { reading, rows } = found;
      const rest = dialect.trailing === 'none' ? [] : [''];
      const expected = table.rows.map((row) => [
        ...row.map((text) => (dialect.escape === '' ? text : text.replaceAll('\\', '/'))),
        ...rest,
      ]);
      if (reading.header && !dialect.hasHeader) {
        expect(mayHaveHeader(table.rows)).toBe(true);
        expected.shift();
      } else expect(reading.header).toBe(dialect.hasHeader);
      // Blank lines are no records where there are several columns; a value that is empty is quoted, and no NULL.
      expect(rows.map((row) => row.map((value) => value ?? ''))).toEqual(expected);
      const isShort = dialect.hasHeader && dialect.trailing === 'records';
      expect(reading.names).toEqual(isShort ? [...table.names, ''] : undefined);
    }),
    fastCheckRuns(2_000),
  );
  // The test tests something.
  expect(refused).toBeLessThan(read_ / 2);
});
