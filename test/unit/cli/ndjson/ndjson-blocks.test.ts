import { describe, expect, it } from 'vitest';
import { BlockSizer } from '../../../../src/cli/records/block-sizer.js';
import { NdjsonBlocks } from '../../../../src/cli/ndjson/ndjson-blocks.js';
import { NdjsonTranscoder } from '../../../../src/cli/ndjson/copy/transcoder.js';
import { NdjsonRows } from '../../../../src/cli/ndjson/rows/ndjson-rows.js';
import { RecordBlock, type OpenReader } from '../../../../src/cli/records/record-block.js';
import type { BlockContent } from '../../../../src/cli/records/block-content.js';
import { BlockStream } from '../../../../src/cli/records/record-stream.js';
import { TEXT_FORMAT } from '../../../../src/postgres/merge/copy-plan.js';
import { columnOf } from '../../../support/ndjson-reference.js';

const FILE = { name: 'events.ndjson', path: 'events.ndjson', sizeBytes: undefined };
const ROW_OPTIONS = { columns: [columnOf('a', 'int4'), columnOf('b', 'text')], ignoresOtherKeys: false };

interface Choice {
  batchSize?: number;
  keepsBadRecords?: boolean;
}

function openBlocks({ batchSize, keepsBadRecords = false }: Choice = {}): NdjsonBlocks {
  return new NdjsonBlocks(FILE, {
    ...ROW_OPTIONS,
    transcoder: new NdjsonTranscoder(ROW_OPTIONS),
    sizer: new BlockSizer(batchSize),
    keepsBadRecords,
  });
}

/** Each block in short: its line, and what is sent of it, or the number of its rows. */
function blocksOf(texts: string | Buffer | string[], choice?: Choice): unknown[] {
  const found: unknown[] = [];
  const reader = openBlocks(choice);
  const take = (content: BlockContent, line: number, records?: number): void => {
    found.push([line, content.kind === 'sent' ? content.sent.toString() : content.rows.length]);
    expect(records).toBe(content.kind === 'sent' ? content.records : content.rows.length);
  };
  try {
    for (const text of Array.isArray(texts) ? texts : [texts]) reader.read(Buffer.from(text), take);
  } catch (error) {
    found.push((error as Error).message);
  }
  return found;
}

describe('blocks of NDJSON', () => {
  it('are sent as text of COPY, and go on where the one before ended', () => {
    expect(blocksOf(['{"a":1,"b":"x\\t"}\n{"b":"y"}\r\n', '\n{"a":2}'])).toEqual([
      [1, '1\tx\\t\n\\N\ty\n'],
      [3, '2\t\\N\n'],
    ]);
  });

  it('blank lines of NDJSON make no block, but count as lines', () => {
    expect(blocksOf(['\n \n', '{"a":1}\n'])).toEqual([[3, '1\t\\N\n']]);
  });

  it('tell the line of their last record, whatever blank lines there are', () => {
    const stream = new BlockStream(
      { delimiter: undefined, maxRecordBytes: 1000, open: () => openBlocks() },
      () => new NdjsonRows(FILE, ROW_OPTIONS),
      () => undefined,
    );
    stream.write({ file: FILE, bytes: Buffer.from('\n{"a":1}\n\n{"a":2}\n\n\n'), last: false });
    expect(stream.lastRow).toEqual({ file: FILE, line: 4 });
    expect(stream.passed).toBe(2);
  });

  it('end where batches of --batch-size do', () => {
    const text = '{"a":1}\n{"a":2}\n\n{"a":3}\n{"a":4}\n{"a":5}\n';
    expect(blocksOf(text, { batchSize: 2 })).toEqual([
      [1, '1\t\\N\n2\t\\N\n'],
      [3, '3\t\\N\n'],
      [5, '4\t\\N\n'],
      [6, '5\t\\N\n'],
    ]);
    expect(blocksOf('{"a":1}\n{}}\n{"a":2}\n{"a":3}\n', { batchSize: 2, keepsBadRecords: true })).toEqual([
      [1, '1\t\\N\n'],
      [2, 1],
      [3, 2],
    ]);
  });

  it.each([
    ['{"a":', 'not JSON: the text ends in the middle of a value'],
    ['[]', 'expected a JSON object, got an array'],
    ['{"c":1}', 'the key "c" is not among those that are loaded; name all in --columns'],
  ])('end with the first record that cannot be read: those before it pass', (bad, reason) => {
    const text = `{"a":1}\n\n${bad}\n{"a":2}\n`;
    expect(blocksOf(text)).toEqual([[1, '1\t\\N\n'], `events.ndjson:3: ${reason}`]);
    expect(blocksOf(text, { keepsBadRecords: true })).toEqual([
      [1, '1\t\\N\n'],
      [3, 2],
    ]);
  });

  it('are rows from the first record on that a column cannot take', () => {
    expect(blocksOf(['{"a":1}\n{"a":1.5}\n{"a":2}\n', '{"a":3}\n'])).toEqual([
      [1, '1\t\\N\n'],
      [2, 2],
      [4, '3\t\\N\n'],
    ]);
  });

  it('hold no more than what is sent of them, where a record follows that is read', () => {
    const written: string[] = [];
    openBlocks().read(Buffer.from('{"a":1}\n\n{"a":1.5}\n'), (content) => {
      if (content.kind === 'sent') written.push(content.written.toString());
    });
    expect(written).toEqual(['{"a":1}\n\n']);
  });

  it('count what the splitter refuses', () => {
    const reader = openBlocks({ batchSize: 2 });
    const refused: number[] = [];
    reader.rejectLine('too long', Buffer.from('x'), (_, line) => refused.push(line));
    const lines: number[] = [];
    reader.read(Buffer.from('{"a":1}\n{"a":2}\n'), (_, line) => lines.push(line));
    expect([refused, lines]).toEqual([[1], [2, 3]]);
  });

  it('are the rows that a reader makes of them, and hold both', () => {
    const text = '\n{"a":1}\n\n \n{"b":"é","a":20000000000000000000}\n\n';
    const blocks: RecordBlock[] = [];
    openBlocks().read(Buffer.from(text), (content, line) => {
      if (content.kind === 'sent') blocks.push(new RecordBlock(FILE, line, 7, content));
    });
    const open: OpenReader = (file, firstLine) => {
      const rows = new NdjsonRows(file, ROW_OPTIONS);
      rows.nextLine = firstLine;
      return rows;
    };
    const [block] = blocks;
    expect(block!.rows(open).map(({ values, line, ordinal }) => [values, line, ordinal])).toEqual([
      [[1, undefined], 2, 7],
      [['20000000000000000000', 'é'], 5, 8],
    ]);
    expect(block!.bytes).toBe(
      Buffer.byteLength(text) + Buffer.byteLength('1\t\\N\n20000000000000000000\té\n'),
    );
  });
});

describe('blocks of NDJSON for a table with dates', () => {
  const columns = [
    columnOf('a', 'timestamptz'),
    columnOf('b', 'text'),
    columnOf('c', 'text'),
    columnOf('d', 'text'),
  ];

  it.each([
    ['a date and a text', '{"a":"2001-01-01T00:00:00Z","b":"x","c":"","d":"N"}', true],
    ['NULLs', '{"a":"2001-01-01T00:00:00Z","b":null,"d":"x"}', true],
    ['more NULLs than pay', '{"a":"2001-01-01T00:00:00Z"}', false],
    ['a tab', '{"a":"2001-01-01T00:00:00Z","b":"x\\ty","c":"","d":""}', false],
    ['a line feed', '{"a":"2001-01-01T00:00:00Z","b":"\\n","c":"","d":""}', false],
    ['the text \\N', '{"a":"2001-01-01T00:00:00Z","b":"\\\\N","c":"","d":""}', false],
    ['a backslash at the end', '{"a":"2001-01-01T00:00:00Z","b":"","c":"","d":"\\\\"}', false],
  ])('may go in binary if nothing is escaped but NULL: %s', (_, line, isPlain) => {
    for (const takesDefaultMarker of [false, true]) {
      const options = { columns, ignoresOtherKeys: false, takesDefaultMarker };
      const reader = new NdjsonBlocks(FILE, {
        ...options,
        transcoder: new NdjsonTranscoder(options),
        sizer: new BlockSizer(undefined),
        keepsBadRecords: false,
      });
      const found: unknown[] = [];
      reader.read(Buffer.from(`${line}\n`), (content) => {
        if (content.kind === 'sent') found.push(content.formats.map(({ textLines }) => textLines));
      });
      expect(found).toEqual([isPlain ? [{ delimiter: '\t', nullText: '\\N' }, undefined] : [undefined]]);
    }
  });

  it('of one load can be sent together as text, whether they may go in binary or not', () => {
    const options = { columns: columns.slice(0, 2), ignoresOtherKeys: false };
    const formats = ['x', '\\t'].map((text) => {
      const found: unknown[] = [];
      new NdjsonBlocks(FILE, {
        ...options,
        transcoder: new NdjsonTranscoder(options),
        sizer: new BlockSizer(undefined),
        keepsBadRecords: false,
      }).read(Buffer.from(`{"a":"2001-01-01T00:00:00Z","b":"${text}"}\n`), (content) => {
        if (content.kind === 'sent') found.push(content.formats.at(-1));
      });
      return found[0];
    });
    expect(formats[0]).toEqual({ copy: TEXT_FORMAT });
    expect(formats[1]).toBe(formats[0]);
  });
});
