/** Records that cannot be read, where reading goes on after them: which they are, how far each reaches, and how they travel. */

import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, expect, it } from 'vitest';
import { CsvRows } from '../../../../src/cli/csv/csv-rows.js';
import { InputError, type CliError } from '../../../../src/cli/common/errors.js';
import { NdjsonRows } from '../../../../src/cli/ndjson/rows/ndjson-rows.js';
import type { RecordFormat, SourceRow } from '../../../../src/cli/records/record-parser.js';
import { RowStream } from '../../../../src/cli/records/record-stream.js';
import type { SourceChunk, SourceFile } from '../../../../src/cli/input/source.js';
import { LONGEST_TEXT_BYTES } from '../../../../src/cli/common/text.js';
import type { TableColumn } from '../../../../src/postgres/table/catalogue.js';
import { keepCsv, keepNdjson, type CsvSettings } from '../../../support/cli-records.js';

/** The lines of rows as numbers, those of bad records with what is wrong. */
function outline(text: string | Buffer, settings: CsvSettings = {}): (number | string)[] {
  const whole = keepCsv(text, [], settings);
  const everyByte = Array.from({ length: Buffer.byteLength(text) }, (_, index) => index);
  for (const cuts of [[7], [3, 20, 41], everyByte]) expect(keepCsv(text, cuts, settings)).toEqual(whole);
  expect(whole.error).toBeUndefined();
  return whole.records.map((record) =>
    'row' in record ? record.line : record.fault.replace(/^f:(\d+: .{16}).*$/s, '$1'),
  );
}

describe('CSV goes on after', () => {
  it.each<[string, string | Buffer, (number | string)[], CsvSettings?]>([
    ['text after a closing quote', '1,a\n2,"b"c\n3,d\n', [1, '2: text follows a c', 3]],
    ['a quote inside an unquoted field', '1,a\n2,5" disk\n3,d\n', [1, '2: a quote stands i', 3]],
    [
      'such quotes again and again',
      '1,5" a\n2,5" b\n3,x\n4,5" c\n',
      ['1: a quote stands i', '2: a quote stands i', 3, '4: a quote stands i'],
    ],
    ['a lone carriage return', '1,a\n2,b\rc\n3,"d"\n', [1, '2: a carriage retur', 3]],
    ['a lone carriage return beside quotes', '1,a\n"2",b\rc\n3,"d"\n', [1, '2: a carriage retur', 3]],
    ['a lone carriage return at the line’s end', '1,a\n2,b\r\r\n3,d\n', [1, '2: a carriage retur', 3]],
    [
      'a record with line breaks and a lone carriage return, which is bad as a whole',
      '"1\n1",a\rb\n3,c\n',
      ['1: a carriage retur', 3],
    ],
    [
      'a line that is not UTF-8',
      Buffer.from('1,a\n2,\xe9\n3,\xe9\n4,d\n', 'latin1'),
      [1, '2: not UTF-8: byte ', '3: not UTF-8: byte ', 4],
    ],
    [
      'a record with line breaks that is not UTF-8, as a whole',
      Buffer.from('1,a\n2,"\n\xe9\n,"\n5,b\n"6\n",b\n8,\xe9', 'latin1'),
      [1, '3: not UTF-8: byte ', 5, 6, '8: not UTF-8: byte '],
    ],
    [
      'an open quote that the next quote shows',
      '1,a\n2,"b\n3,c\n4,"d"\n5,e\n',
      [1, '2: text follows a c', 3, 4, 5],
    ],
    ['an open quote at the end', '1,a\n2,"b\n3,c\n4,d', [1, '2: a quote is not c', 3, 4]],
    ['an open quote in the last line', '1,a\n2,"b', [1, '2: a quote is not c']],
    [
      'two open quotes',
      '1,a\n2,"b\n3,"c\n4,d\n5,"e\n6,f\n',
      [1, '2: text follows a c', '3: text follows a c', 4, '5: a quote is not c', 6],
    ],
    [
      'an open quote, from the next line on, once the record is too long',
      `1,"a\n${'2,b\n'.repeat(10)}`,
      ['1: the record is lo', 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
      { maxRecordBytes: 20 },
    ],
    [
      'a long line',
      `1,a\n2,${'b'.repeat(100)}\n3,c\n`,
      [1, '2: the record is lo', 3],
      { maxRecordBytes: 20 },
    ],
    [
      'a long line in quotes',
      `1,a\n2,"${'b'.repeat(100)}"\n3,c\n`,
      [1, '2: the record is lo', 3],
      { maxRecordBytes: 20 },
    ],
    [
      'a long line at the end',
      `1,a\n2,${'b'.repeat(100)}`,
      [1, '2: the record is lo'],
      { maxRecordBytes: 20 },
    ],
    ['a NUL after a quote', '1,"a"\0\n2,b\n', ['1: text follows a c', 2]],
  ])('%s', (_, text, lines, settings) => {
    expect(outline(text, settings)).toEqual(lines);
  });

  it('a damaged record with line breaks at its next line, which is then a record of its own', () => {
    expect(keepCsv('1,"a\nb,c\nd"e\n5,f\n').records).toEqual([
      { line: 1, fault: expect.stringMatching(/^f:1: text follows/) as string, text: '1,"a' },
      { line: 2, row: ['b', 'c'] },
      { line: 3, fault: expect.stringMatching(/^f:3: a quote stands/) as string, text: 'd"e' },
      { line: 4, row: ['5', 'f'] },
    ]);
  });

  it('a bad record is passed on as it was written, without its line break', () => {
    const texts = (text: string | Buffer): unknown[] =>
      keepCsv(text).records.map((record) => ('text' in record ? record.text : undefined));
    expect(texts('2,"b"c\r\nx\n')).toEqual(['2,"b"c', undefined]);
    expect(texts('2,b\rc\r\nx\n')).toEqual(['2,b\rc', undefined]);
    expect(texts('"2",b\r\r\n')).toEqual(['"2",b\r']);
    expect(texts('2,"b\r')).toEqual(['2,"b']);
    expect(texts('é"\n')).toEqual(['é"']);
    expect(texts(Buffer.from('1,\xe9\r\n', 'latin1'))).toEqual(['1,\ufffd']);
  });

  it('a record of any length, of which it hands on the beginning, up to a whole character', () => {
    const limit = { maxRecordBytes: 100 };
    const [bad, next] = keepCsv(`x${'é'.repeat(200_000)}\n2,b\n`, [], limit).records;
    expect(bad).toMatchObject({ line: 1, text: `x${'é'.repeat(LONGEST_TEXT_BYTES / 2 - 1)}` });
    expect(next).toEqual({ line: 2, row: ['2', 'b'] });
    for (const length of [LONGEST_TEXT_BYTES, LONGEST_TEXT_BYTES + 1, LONGEST_TEXT_BYTES + 5]) {
      for (const lineBreak of ['', '\n', '\r\n']) {
        const [record] = keepCsv('x'.repeat(length) + lineBreak, [100, length], limit).records;
        expect(record).toMatchObject({ text: 'x'.repeat(LONGEST_TEXT_BYTES) });
      }
    }
    const short = 'x'.repeat(LONGEST_TEXT_BYTES - 1);
    expect(keepCsv(`${short}\r\n`, [], limit).records[0]).toMatchObject({ text: short });
    const wide = `${'x'.repeat(LONGEST_TEXT_BYTES - 3)}\r😀`;
    expect(keepCsv(`${wide}\n`).records[0]).toMatchObject({ text: wide.slice(0, -2) });
  });

  it('an open quote in a large file, in time that grows with the file and not with what the quote reaches', () => {
    // Each open quote reaches to the next one, or as far as a record may.
    const lines = Array.from({ length: 300_000 }, (_, index) =>
      index % 1_000 === 0 ? `${index},"a` : index % 3_000 < 2_000 ? `${index},b` : `${index},""`,
    );
    const bytes = Buffer.from(`${lines.join('\n')}\n`);
    const cuts = Array.from({ length: 80 }, (_, index) => index * 65_536);
    const { records, error } = keepCsv(bytes, cuts, { maxRecordBytes: 16 * 1024 * 1024 });
    expect(error).toBeUndefined();
    expect(records).toHaveLength(300_000);
    expect(records.filter((record) => 'fault' in record).map(({ line }) => line - 1)).toEqual(
      Array.from({ length: 300 }, (_, index) => index * 1_000),
    );
  });

  it('bad lines only, likewise', () => {
    const { records } = keepCsv('"a\n""b\n'.repeat(50_000));
    expect(records.filter((record) => 'fault' in record)).toHaveLength(100_000);
  });
});

const FILES: SourceFile[] = ['one', 'two'].map((name) => ({ name, path: name, sizeBytes: undefined }));

function csvFormat(columns: string[], { header = true } = {}): RecordFormat<unknown[]> {
  const options = { delimiter: ',', nullText: '', maxRecordBytes: 200, header, names: undefined, columns };
  return { delimiter: ',', maxRecordBytes: 200, open: (file) => new CsvRows(file, options) };
}

function ndjsonFormat(columns: string[]): RecordFormat<unknown[]> {
  const tableColumns = columns.map((name): TableColumn => ({
    name,
    typeName: 'text',
    isGenerated: false,
    type: { kind: 'scalar', name: 'text', category: 'S' },
  }));
  return {
    delimiter: undefined,
    maxRecordBytes: 400_000,
    open: (file) => new NdjsonRows(file, { columns: tableColumns, ignoresOtherKeys: false }),
  };
}

/** `texts`: those of the files. */
async function stream(
  format: RecordFormat<unknown[]>,
  texts: readonly (string | Buffer)[],
  { keepsBadRecords = true, chunkBytes = 1_000, isHeld = false } = {},
): Promise<{ rows: SourceRow[]; failure: CliError | undefined; lastRow: SourceRow | undefined }> {
  const chunks: SourceChunk[] = texts.flatMap((text, index) => {
    const file = FILES[index]!;
    const bytes = Buffer.from(text);
    const found: SourceChunk[] = [];
    for (let start = 0; start < bytes.length; start += chunkBytes) {
      found.push({ file, bytes: bytes.subarray(start, start + chunkBytes), last: false });
    }
    return [...found, { file, bytes: Buffer.alloc(0), last: true }];
  });
  const rows: SourceRow[] = [];
  let failure: CliError | undefined;
  const parser = new RowStream(format, (error) => (failure = error), { keepsBadRecords });
  const sink = new Writable({
    objectMode: true,
    ...(isHeld ? { highWaterMark: 1 } : {}),
    write(row: SourceRow, _encoding, callback) {
      rows.push(row);
      if (isHeld) setImmediate(callback);
      else callback();
    },
  });
  await pipeline(Readable.from(chunks), parser, sink);
  return { rows, failure, lastRow: parser.lastRow };
}

const shown = ({ values, file, line, ordinal, fault, text }: SourceRow): unknown[] =>
  fault === undefined
    ? [ordinal, `${file.name}:${line}`, values]
    : [ordinal, fault.message.slice(0, 40), text];

describe('a stream of rows', () => {
  it('counts the records of all files, and hands on bad ones in their place', async () => {
    const texts = ['a,b\n1,x\n2\n\n"3\n3",y\n4,"z"!\n', 'b,a\r\nx,5\r\ny,6,7\r\nz,8'];
    for (const chunkBytes of [1, 2, 3, 1_000]) {
      const { rows, failure, lastRow } = await stream(csvFormat(['a', 'b']), texts, { chunkBytes });
      expect(failure).toBeUndefined();
      expect(rows.map(shown)).toEqual([
        [0, 'one:2', ['1', 'x']],
        [1, 'one:3: expected 2 fields, got 1; --pad m', '2'],
        [2, 'one:4: expected 2 fields, got an empty l', ''],
        [3, 'one:5', ['3\n3', 'y']],
        [4, 'one:7: text follows a closing quote (fie', '4,"z"!'],
        [5, 'two:2', ['5', 'x']],
        [6, 'two:3: expected 2 fields, got 3; a field', 'y,6,7'],
        [7, 'two:4', ['8', 'z']],
      ]);
      expect(lastRow).toBe(rows.at(-1));
    }
  });

  it('has a bad record of well-written quotes as a whole, with all its lines', async () => {
    const { rows } = await stream(csvFormat(['a', 'b']), ['a,b\n"1\n2,x\n3"\n4,y\n']);
    expect(rows.map(shown)).toEqual([
      [0, 'one:2: expected 2 fields, got 1; --pad m', '"1\n2,x\n3"'],
      [1, 'one:5', ['4', 'y']],
    ]);
  });

  it('gives bad records no values, and all rows the same shape', async () => {
    const { rows } = await stream(csvFormat(['a', 'b']), ['a,b\n1\n2,x\n']);
    expect(rows[0]).toMatchObject({ values: [], fault: expect.any(InputError) as InputError });
    expect(Object.keys(rows[0]!)).toEqual(Object.keys(rows[1]!));
    expect(rows[1]).toMatchObject({ fault: undefined, text: undefined });
  });

  it('ends with the first bad record where they are not kept, after the rows before it', async () => {
    const texts = ['a,b\n1,x\n2\n3,y\n'];
    const { rows, failure } = await stream(csvFormat(['a', 'b']), texts, { keepsBadRecords: false });
    expect(rows.map(shown)).toEqual([[0, 'one:2', ['1', 'x']]]);
    expect(failure?.message).toBe(
      'one:3: expected 2 fields, got 1; --pad makes the fields that are missing NULL',
    );
  });

  it('passes on what an open quote had held up as it is read, not at once', async () => {
    const bytes = Buffer.from(`1,"x\n${'2,y\n'.repeat(50_000)}`);
    const options = {
      delimiter: ',',
      nullText: '',
      maxRecordBytes: 150_000,
      header: false,
      names: undefined,
    };
    const parser = new RowStream(
      {
        ...csvFormat([]),
        maxRecordBytes: 150_000,
        open: (file) => new CsvRows(file, { ...options, columns: ['a', 'b'] }),
      },
      () => undefined,
      { keepsBadRecords: true },
    );
    const chunks = Array.from({ length: 40 }, (_, index): SourceChunk => {
      const part = bytes.subarray(index * 8_000, (index + 1) * 8_000);
      return { file: FILES[0]!, bytes: part, last: index === 39 };
    });
    let most = 0;
    let rows = 0;
    await pipeline(Readable.from(chunks), parser, async (found: AsyncIterable<SourceRow>) => {
      for await (const row of found) {
        expect(row.ordinal).toBe(rows);
        rows += 1;
        most = Math.max(most, parser.readableLength);
      }
    });
    expect(rows).toBe(50_001);
    // Those of 64 KiB, though the quote held up those of more than twice as much.
    expect(most).toBeLessThanOrEqual(16_385);
  });

  it('goes on where a reader that is held takes its last row while what comes next is no row', async () => {
    const long = 'x'.repeat(300);
    for (let before = 1; before <= 4; before += 1) {
      const texts = [`a,b\n${'1,x\n'.repeat(before)}${long}\n${long}\n2,y\n`];
      const { rows } = await stream(csvFormat(['a', 'b']), texts, { isHeld: true });
      expect(rows.map(({ fault }) => fault === undefined)).toEqual([
        ...Array.from({ length: before }, () => true),
        false,
        false,
        true,
      ]);
    }
  });

  it.each<[string, string[], string[], string]>([
    ['a header twice', ['a,a\n1,2\n'], [], 'one:1: the header has "a" twice'],
    ['a header that is not CSV', ['a,b"\n1,2\n'], [], 'one:1: a quote stands inside an unquoted field'],
    ['a header that is too long', [`${'a'.repeat(300)}\n1\n`], [], 'one:1: the record is longer'],
    ['a header with an open quote', ['"a,b\n1,2\n'], [], 'one:1: a quote is not closed'],
    ['a header with a carriage return', ['a\rb\n1,2\n'], [], 'one:1: a carriage return stands alone'],
    ['no header', [''], [], 'one: is empty'],
    ['a header that differs', ['a,b\n1,2\n', 'a,c\n1,2\n'], ['1'], 'two:1: the header differs'],
    ['UTF-16', ['a,b\n1,2\n', '\xff\xfea\0'], ['1'], 'two:1: the text is UTF-16'],
  ])('ends in any case with what spoils a file: %s', async (_, texts, values, message) => {
    const bytes = texts.map((text) => Buffer.from(text, 'latin1'));
    for (const chunkBytes of [1, 1_000]) {
      const { rows, failure } = await stream(csvFormat(['a', 'b']), bytes, { chunkBytes });
      expect(failure?.message).toContain(message);
      expect(rows.map((row) => row.values[0])).toEqual(values);
    }
  });

  it('goes on after bad records of NDJSON', async () => {
    const deep = `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
    const long = `{"a":"${'x'.repeat(400_000)}"}`;
    const lines = [
      '{"a":1}',
      '{"a":',
      '[1]',
      '',
      '{"a":2,"c":3}',
      ' \t',
      '{"a":"\xe9"}',
      deep,
      long,
      '{"b":4}',
    ];
    const text = Buffer.from(lines.join('\r\n'), 'latin1');
    for (const chunkBytes of [1_000, 100_000]) {
      const { rows, failure } = await stream(ndjsonFormat(['a', 'b']), [text, '{"a":5}\n'], { chunkBytes });
      expect(failure).toBeUndefined();
      expect(rows.map(shown)).toEqual([
        [0, 'one:1', [1, undefined]],
        [1, 'one:2: not JSON: the text ends in the mi', '{"a":'],
        [2, 'one:3: expected a JSON object, got an ar', '[1]'],
        [3, 'one:5: the key "c" is not among those th', '{"a":2,"c":3}'],
        [4, 'one:7: not UTF-8: byte 0xE9 at byte 7 of', '{"a":"\ufffd"}'],
        [5, 'one:8: the record is nested too deeply', deep.slice(0, LONGEST_TEXT_BYTES)],
        [6, 'one:9: the record is longer than --max-r', long.slice(0, LONGEST_TEXT_BYTES)],
        [7, 'one:10', [undefined, 4]],
        [8, 'two:1', [5, undefined]],
      ]);
    }
  });

  it('reads NDJSON on after lines that are all bad, in time that grows with the file', () => {
    const { records } = keepNdjson(Buffer.from('\xff\n'.repeat(50_000), 'latin1'));
    expect(records.filter((record) => 'fault' in record)).toHaveLength(50_000);
  });
});
