/** Files in random dialects: the detection finds the table, or refuses; it never finds another one. */

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { CsvRows } from '../../../../src/cli/csv/csv-rows.js';
import { InputError } from '../../../../src/cli/common/errors.js';
import { detectReading, Undecided } from '../../../../src/cli/detect/detect-reading.js';
import { converterFor } from '../../../../src/cli/input/read-as.js';
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
}

const dialects: fc.Arbitrary<Dialect> = fc.record({
  delimiter: fc.constantFrom(',', ';', '\t', '|'),
  quote: fc.constantFrom('"' as const, '"' as const, '"' as const, "'" as const),
  escape: fc.constantFrom('', '', '', '\\'),
  lineEnd: fc.constantFrom('\n', '\r\n', '\r'),
  encoding: fc.constantFrom('utf-8' as const, 'utf-16le' as const, 'windows-1252' as const),
  preamble: fc.constantFrom('', '', '# made in 2024', 'Report of May\n'),
  hasHeader: fc.boolean(),
  quotesAll: fc.boolean(),
  endsInBlank: fc.boolean(),
});

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
  const lines = [...(dialect.hasHeader ? [names] : []), ...rows].map((row) => row.map(field).join(delimiter));
  // Above one column, a title would be its name.
  const hasPreamble = dialect.preamble.startsWith('#') || (dialect.preamble !== '' && names.length > 1);
  const preamble = hasPreamble ? dialect.preamble.split('\n') : [];
  // In one column, a blank line is a record.
  const end = dialect.endsInBlank && names.length > 1 ? lineEnd : '';
  const text = [...preamble, ...lines].join(lineEnd) + lineEnd + end;
  if (encoding === 'windows-1252') return Buffer.from(text, 'latin1');
  return Buffer.from(text, encoding === 'utf-8' ? 'utf8' : 'utf16le');
}

/** Reads as a load does. */
async function read(bytes: Buffer): Promise<(string | null)[][]> {
  const reading = await detectReading(bytes, true, {});
  const delimiter = reading.delimiter ?? '\x1f';
  const converter = converterFor({ ...reading, delimiter, maxRecordBytes: LIMIT })?.(FILE);
  const rows: (string | null)[][] = [];
  if (reading.header && reading.names !== undefined) rows.push([...reading.names]);
  const columns = Array.from({ length: reading.fieldCount }, (_, index) => `c${index}`);
  const options = { delimiter, nullText: '', maxRecordBytes: LIMIT, isLenient: true, columns, names: columns, header: false };
  const parser = new RecordParser(
    { delimiter, maxRecordBytes: LIMIT, recordEnd: endOfRecord, open: () => new CsvRows(FILE, options) },
    (row) => rows.push(row as (string | null)[]),
  );
  const converted = converter?.convert(bytes, true) ?? bytes;
  parser.add({ file: FILE, bytes: converted, last: true });
  return rows;
} // prettier-ignore

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
      const texts =
        dialect.escape === ''
          ? table.rows
          : table.rows.map((row) => row.map((text) => text.replaceAll('\\', '/')));
      const expected = [...(dialect.hasHeader ? [table.names] : []), ...texts];
      let rows: (string | null)[][];
      try {
        rows = await read(write(table, dialect));
      } catch (error) {
        if (!(error instanceof Undecided || error instanceof InputError)) throw error;
        refused += 1;
        return;
      }
      read_ += 1;
      // Blank lines are no records where there are several columns; a value that is empty is quoted, and no NULL.
      expect(rows.map((row) => row.map((value) => value ?? ''))).toEqual(expected);
    }),
    fastCheckRuns(2_000),
  );
  // The test tests something.
  expect(refused).toBeLessThan(read_ / 4);
});
