import { describe, expect, it } from 'vitest';
import { BlockSizer } from '../../../../src/cli/records/block-sizer.js';
import { CsvBlocks, csvFormats } from '../../../../src/cli/csv/csv-blocks.js';
import { CopyFields, copyTexts } from '../../../../src/cli/csv/copy-fields.js';
import { scanCopy } from '../../../../src/cli/csv/copy-scan.js';
import type { BlockContent } from '../../../../src/cli/records/block-content.js';
import { RecordParser } from '../../../../src/cli/records/record-parser.js';
import { recordFormat } from '../../../../src/cli/csv/csv-reader.js';

const FILE = { name: 'events.copy', path: 'events.copy', sizeBytes: undefined };

function read(text: string, nullText = '\\N', hasFaults = false): unknown[] {
  const cutter = new CopyFields(text, '\t', nullText, hasFaults);
  const found: unknown[] = [];
  while (!cutter.isAtEnd) {
    const row = cutter.next();
    found.push(cutter.isEndMarker ? 'end' : (cutter.fault ?? row));
  }
  return found;
}

describe('a line of the text format of COPY', () => {
  it.each([
    ['plain fields', '1\ta b', ['1', 'a b']],
    ['an empty field', '1\t', ['1', '']],
    ['an empty line', '\n', ['']],
    ['NULL', '\\N\tx\t\\N', [null, 'x', null]],
    ['N after a backslash within a field', 'a\\N', ['aN']],
    ['two backslashes before N', '\\\\N', ['\\N']],
    ['named escapes', 'a\\b\\f\\n\\r\\t\\vz', ['a\b\f\n\r\t\vz']],
    ['doubled backslashes', 'C:\\\\dir\\\\', ['C:\\dir\\']],
    ['an escaped delimiter', 'a\\\tb\tc', ['a\tb', 'c']],
    ['any other escaped character', '\\q\\"', ['q"']],
    ['octal digits', '\\101\\1019\\7', ['AA9\x07']],
    ['octal digits above a byte', '\\501', ['A']],
    ['hexadecimal digits', '\\x41\\x4\\x414', ['A\x04A4']],
    ['an x without digits', '\\xyz\\X41', ['xyzX41']],
    ['a character by its bytes', '\\303\\251\\xc3\\xa9é', ['ééé']],
    ['quotes, which mean nothing', '"a""\tb"', ['"a""', 'b"']],
    ['a line break of CRLF', 'a\tb\r\n', ['a', 'b']],
  ])('has %s', (_, line, row) => {
    expect(read(line)).toEqual([row]);
  });

  it.each([
    ['bytes that are not UTF-8', 'a\tb\\xff', 'field 2 is not UTF-8, once its escapes are undone'],
    ['a carriage return', 'a\rb', 'a carriage return stands alone; in a value it is written as \\r'],
    [
      'a backslash at its end',
      'a\tb\\\nc',
      'a backslash stands at the end of the line; in a value, a line break is written as \\n',
    ],
    ['an end marker beside others', 'a\\.', '\\. does not stand alone on its line'],
  ])('with %s cannot be read', (_, text, fault) => {
    expect(read(text)[0]).toBe(fault);
  });

  it('is NULL by --null before its escapes are undone', () => {
    expect(read('NULL\t\t\\NULL', 'NULL')).toEqual([[null, '', 'NULL']]);
    expect(read('\t\\N', '')).toEqual([[null, 'N']]);
  });

  it('after the marker is known to be behind the end', () => {
    expect(read('a\n\\.\n')).toEqual([['a'], 'end']);
    expect(read('a\r\n\\.\r\n')).toEqual([['a'], 'end']);
  });

  it('says why a converter could not write it, but only of a converter', () => {
    expect(read('\0the reason\n', '\x01', true)).toEqual(['the reason']);
    expect(read('\0the reason\n', '\x01')).toEqual([['\0the reason']]);
  });

  it('of a header has texts only', () => {
    expect(copyTexts('id\t\\N\ta\\tb', '\t')).toEqual(['id', 'N', 'a\tb']);
  });
});

describe('a scan of COPY text', () => {
  const scan = (text: string, fieldCount: number, most = Infinity, delimiter = 9) =>
    scanCopy(Buffer.from(text), 0, most, delimiter, fieldCount);

  it('counts lines, and passes escaped delimiters', () => {
    expect(scan('a\\\tb\t\\N\n\\\\\t2\nx\ty', 2)).toEqual({
      end: 16,
      records: 3,
      lines: 2,
      linesBeforeLast: 2,
      lineBreak: 'lf',
      isComplete: false,
      hasQuotes: false,
    });
    expect(scan('a\tb\r\nc\td\r\ne\tf\r\n', 2, 2)).toMatchObject({ end: 10, records: 2, lineBreak: 'crlf' });
  });

  it.each([
    ['another number of fields', 'a\tb\nc\n'],
    ['another number of fields in the last line', 'a\tb\nc'],
    ['an escaped line break', 'a\tb\\\n'],
    ['a backslash at the end', 'a\tb\\'],
    ['a carriage return alone', 'a\tb\rc\n'],
    ['line breaks of both kinds', 'a\tb\r\na\tb\n'],
  ])('leaves %s to the reader', (_, text) => {
    expect(scan(text, 2)).toBeUndefined();
  });
});

const OPTIONS = {
  delimiter: '\t',
  nullText: '\\N',
  maxRecordBytes: 100_000,
  header: false,
  names: undefined,
  columns: ['a', 'b'],
  isCopyText: true,
  isLenient: true,
};

/** Each block in short. */
function blocksOf(chunks: readonly string[]): unknown[] {
  const found: unknown[] = [];
  const formats = csvFormats('\t', '\\N', true)!;
  const options = { ...OPTIONS, formats, sizer: new BlockSizer(), keepsBadRecords: false };
  const format = {
    ...recordFormat(OPTIONS),
    recordEnd: undefined,
    open: () => new CsvBlocks(FILE, options),
  };
  const parser = new RecordParser<BlockContent>(format, (content) => {
    if (content.kind === 'rows') found.push(content.rows.map(({ values }) => values));
    else found.push([content.formats.length, content.lines !== undefined, content.sent.toString()]);
  });
  try {
    for (const chunk of chunks) parser.add({ file: FILE, bytes: Buffer.from(chunk), last: false });
    parser.add({ file: FILE, bytes: Buffer.alloc(0), last: true });
  } catch (error) {
    found.push((error as Error).message);
  }
  return found;
}

describe('blocks of COPY text', () => {
  it('are sent as they stand in the file, as lines if they have no backslash', () => {
    expect(blocksOf(['1\t"a\n', '2\t\\N\n'])).toEqual([
      [2, true, '1\t"a\n'],
      [1, false, '2\t\\N\n'],
    ]);
  });

  it('share a format, whether they have a backslash or not', () => {
    const { plain, any } = csvFormats('\t', '\\N', true)!;
    expect(plain.lf).toContain(any.lf[0]);
    expect(any.lf[0]!.copy).toMatch(/^FORMAT text/);
  });

  it('end at the marker, and blank lines behind it are no records', () => {
    expect(blocksOf(['1\ta\n\\.\n', '\n\n'])).toEqual([[['1', 'a']]]);
  });

  it('end with an error if text follows the marker, also in a later chunk', () => {
    const message = 'events.copy:3: text follows the end of the data, which \\. marks on line 2';
    expect(blocksOf(['1\ta\n\\.\n2\tb\n'])).toEqual([[['1', 'a']], message]);
    expect(blocksOf(['1\ta\n\\.\n', '2\tb\n'])).toEqual([[['1', 'a']], message]);
  });

  it('of a long line with many commas are not weighed as JSON', () => {
    const long = ','.repeat(80_000);
    expect(blocksOf([`1\t${long}\n`])).toEqual([[2, true, `1\t${long}\n`]]);
  });
});
