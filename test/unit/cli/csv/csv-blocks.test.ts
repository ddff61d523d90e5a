import { describe, expect, it } from 'vitest';
import { BlockSizer } from '../../../../src/cli/records/block-sizer.js';
import { CsvBlocks, csvFormats } from '../../../../src/cli/csv/csv-blocks.js';
import { CsvRows } from '../../../../src/cli/csv/csv-rows.js';
import { scanCsv } from '../../../../src/cli/csv/csv-scan.js';
import { RecordBlock, rowsOf } from '../../../../src/cli/records/record-block.js';
import type { BlockContent } from '../../../../src/cli/records/block-content.js';
import { delimitedFormat } from '../../../../src/postgres/merge/copy-plan.js';

const FILE = { name: 'events.csv', path: 'events.csv', sizeBytes: undefined };
const ROW_OPTIONS = {
  delimiter: ',',
  nullText: '',
  maxRecordBytes: 1000,
  header: false,
  names: undefined,
  columns: ['a', 'b'],
};

interface Choice {
  header?: boolean;
  columns?: string[];
  batchSize?: number;
  keepsBadRecords?: boolean;
}

/** Each block in short: its line, `sent` with format and bytes, or the number of its rows. */
function blocksOf(text: string | Buffer, choice: Choice = {}): unknown[] {
  const { batchSize, keepsBadRecords = false, ...rows } = choice;
  const found: unknown[] = [];
  const reader = new CsvBlocks(FILE, {
    ...ROW_OPTIONS,
    ...rows,
    formats: csvFormats(',', '')!,
    sizer: new BlockSizer(batchSize),
    keepsBadRecords,
  });
  const take = (content: BlockContent, line: number, records?: number): void => {
    if (content.kind === 'rows') found.push([line, 'rows', records]);
    else found.push([line, content.formats[0]!.copy.slice(7, 11).trim(), content.sent.toString('latin1')]);
  };
  try {
    reader.read(Buffer.from(text), take);
  } catch (error) {
    found.push((error as Error).message);
  }
  return found;
}

describe('blocks of CSV', () => {
  it('are sent as they stand there: in text format where there is neither quote nor backslash', () => {
    expect(blocksOf('1,2\n,x\n')).toEqual([[1, 'text', '1,2\n,x\n']]);
    expect(blocksOf('1,2\n"a\nb",x\n')).toEqual([[1, 'csv,', '1,2\n"a\nb",x\n']]);
    expect(blocksOf('1,a\\b\n')).toEqual([[1, 'csv,', '1,a\\b\n']]);
    expect(blocksOf('1,2\r\n3,4\r\n')).toEqual([[1, 'text', '1,2\r\n3,4\r\n']]);
  });

  it('leave the header out', () => {
    expect(blocksOf('a,b\n1,2\n', { header: true })).toEqual([[2, 'text', '1,2\n']]);
    expect(blocksOf('"a",b\n', { header: true })).toEqual([]);
  });

  it('end with a line break of the kind that the others have', () => {
    expect(blocksOf('1,2')).toEqual([[1, 'text', '1,2\n']]);
    expect(blocksOf('1,2\r\n3,4')).toEqual([[1, 'text', '1,2\r\n3,4\r\n']]);
  });

  it('end where batches of --batch-size do', () => {
    expect(blocksOf('1,2\n3,4\n5,6\n', { batchSize: 2 })).toEqual([
      [1, 'text', '1,2\n3,4\n'],
      [3, 'text', '5,6\n'],
    ]);
    expect(blocksOf('1,2\n3\n5,6\n', { batchSize: 2, keepsBadRecords: true })).toEqual([
      [1, 'text', '1,2\n'],
      [2, 'rows', 1],
      [3, 'text', '5,6\n'],
    ]);
  });

  it.each([
    ['line breaks of both kinds', '1,2\n3,4\r\n'],
    ['a backslash with a dot', '1,a\\.b\n2,3\n'],
    ['the end of data within quotes', '1,"\n\\.\n"\n'],
    ['U+0000', '1,\0\n'],
  ])('are read here, with %s', (_, text) => {
    expect((blocksOf(text) as unknown[][])[0]!.slice(0, 2)).toEqual([1, 'rows']);
  });

  it('are read here where the fields are in another order than the columns', () => {
    expect(blocksOf('b,a\n1,2\n', { header: true })).toEqual([[2, 'rows', 1]]);
  });

  it.each([
    ['1,2\n3\n4,5\n', 'events.csv:2: expected 2 fields, got 1; --pad makes the fields that are missing NULL'],
    ['1,2\n3,4,5\n', 'events.csv:2: expected 2 fields, got 3; a field with "," in it must be in quotes'],
    [
      '1,2\n3,\r4\n',
      "events.csv:2: a carriage return stands alone outside quotes; lines must end in LF or CRLF; tr -d '\\r' <FILE | spillway load - … takes them out",
    ],
  ])('end with the first record that cannot be read: those before it pass', (text, message) => {
    expect(blocksOf(text)).toEqual([[1, 'text', '1,2\n'], message]);
  });

  it('keep such a record in its place with --rejects', () => {
    expect(blocksOf('1,2\n3\n4,5\n', { keepsBadRecords: true })).toEqual([
      [1, 'text', '1,2\n'],
      [2, 'rows', 1],
      [3, 'text', '4,5\n'],
    ]);
    expect(blocksOf(Buffer.from('1,2\n3,\xff\n', 'latin1'), { keepsBadRecords: true })).toEqual([
      [1, 'rows', 2],
    ]);
  });

  it('become rows in growing steps while good and bad records alternate', () => {
    const pairs = 4_000;
    const blocks = blocksOf('1,2\n3\n'.repeat(pairs), { keepsBadRecords: true }) as unknown[][];
    expect(blocks.length).toBeLessThan(40);
    const records = blocks.map(([, kind, of]) => (kind === 'rows' ? (of as number) : 1));
    expect(records.reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(2 * 1024);
  });

  it('become rows one by one again after a run of good records', () => {
    const text = '3\n'.repeat(7) + '1,2\n'.repeat(64) + '3\n' + '1,2\n';
    const blocks = blocksOf(text, { keepsBadRecords: true }) as unknown[][];
    expect(blocks.map(([line, kind, of]) => [line, kind, kind === 'rows' ? of : undefined])).toEqual([
      [1, 'rows', 1],
      [2, 'rows', 2],
      [4, 'rows', 4],
      [8, 'text', undefined],
      [72, 'rows', 1],
      [73, 'text', undefined],
    ]);
  });

  it('are the rows that a reader makes of them', () => {
    const text = '1,2\n,é\nNULL,"a\nb"\n';
    for (const [bytes, isPlain] of [
      [text, false],
      [text.replaceAll('"', ''), true],
    ] as const) {
      // prettier-ignore
      const part = isPlain ? bytes.slice(0, bytes.indexOf('NULL')) : bytes;
      const blocks: RecordBlock[] = [];
      const options = {
        ...ROW_OPTIONS,
        formats: csvFormats(',', '')!,
        sizer: new BlockSizer(),
        keepsBadRecords: false,
      };
      new CsvBlocks(FILE, options).read(Buffer.from(part), (content, line) => {
        const rows = content.kind === 'sent' ? content : rowsOf(content.rows, FILE, 7);
        blocks.push(new RecordBlock(FILE, line, 7, rows));
      });
      const open = (): CsvRows => new CsvRows(FILE, ROW_OPTIONS);
      expect(blocks[0]!.sent?.lines === undefined).toBe(!isPlain);
      const expected: unknown[] = [];
      open().read(Buffer.from(part), (values, line) => expected.push([values, line, 7 + expected.length]));
      expect(blocks[0]!.rows(open).map(({ values, line, ordinal }) => [values, line, ordinal])).toEqual(
        expected,
      );
    }
  });
});

describe('a scan of CSV', () => {
  it('counts records and lines, and ends after as many as are asked for', () => {
    const bytes = Buffer.from('1,"\n\n"\n2,3\n4,5');
    expect(scanCsv(bytes, 0, Infinity, 44, 2)).toMatchObject({
      end: 14,
      records: 3,
      linesBeforeLast: 4,
      isComplete: false,
    });
    expect(scanCsv(bytes, 0, 1, 44, 2)).toMatchObject({
      end: 7,
      records: 1,
      lines: 3,
      linesBeforeLast: 0,
      isComplete: true,
    });
    expect(scanCsv(bytes, 7, Infinity, 44, 2)).toMatchObject({
      records: 2,
      hasQuotes: false,
      linesBeforeLast: 1,
    });
  });

  it.each([
    ['another number of fields', '1,"\n"\n3,4\n5\n6,7\n'],
    ['another number of fields in the last record', '1,"\n"\n3,4\n5'],
    ['a lone carriage return', '1,"\n"\n3,4\n5,\r6\n7,8\n'],
  ])('ends before a record with %s', (_, text) => {
    const bytes = Buffer.from(text);
    expect(scanCsv(bytes, 0, Infinity, 44, 2)).toMatchObject({
      end: 10,
      records: 2,
      lines: 3,
      linesBeforeLast: 2,
      lineBreak: 'lf',
      isComplete: true,
    });
    expect(scanCsv(bytes, 10, Infinity, 44, 2)).toBeUndefined();
  });
});

describe('the formats of blocks', () => {
  it('are none where the server knows no such delimiter', () => {
    for (const delimiter of ['x', '7', '.', '\\']) expect(csvFormats(delimiter, '')).toBeUndefined();
    expect(csvFormats('\t', '')).toMatchObject({ lines: { lf: { delimiter: '\t', nullText: '' } } });
  });

  it('quote what the user gave', () => {
    expect(delimitedFormat('csv', "'", '\\N')).toBe(
      "FORMAT csv, DELIMITER '''', NULL E'\\\\N', ENCODING 'UTF8'",
    );
  });

  it('name their file where a header is wrong', () => {
    expect(blocksOf('a,c\n1,2\n', { header: true })[0]).toMatch(/^events\.csv:1: the header differs/);
  });
});
