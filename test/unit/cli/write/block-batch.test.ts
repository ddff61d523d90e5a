import { describe, expect, it } from 'vitest';
import { noteInserted, partsOf, resultOf } from '../../../../src/cli/write/block-batch.js';
import { RecordBlock } from '../../../../src/cli/records/record-block.js';
import { ReadRow, type SourceRow } from '../../../../src/cli/records/record-parser.js';

const FILE = { name: 'a.csv', path: undefined, sizeBytes: undefined };

/** Blocks with so many records, of ten bytes each. */
function blocksOf(counts: readonly number[]): RecordBlock[] {
  let ordinal = 0;
  return counts.map((records) => {
    const written = Buffer.alloc(10 * records);
    const block = new RecordBlock(FILE, ordinal + 1, ordinal, {
      kind: 'sent',
      records,
      linesBeforeLast: records - 1,
      written,
      sent: written,
      formats: [],
      lines: undefined,
    });
    ordinal += records;
    return block;
  });
}

const rowAt = (ordinal: number): SourceRow => new ReadRow([], FILE, ordinal + 1, ordinal);

describe('the parts of a batch', () => {
  it.each([
    ['as many records as a part may have', [3, 3, 2, 4], { records: 8, bytes: Infinity }, [[3, 3, 2], [4]]],
    ['as many bytes as a part may have', [3, 3, 3], { records: Infinity, bytes: 60 }, [[3, 3], [3]]],
    ['a block that is larger by itself', [9, 1, 9], { records: 8, bytes: Infinity }, [[9], [1], [9]]],
    ['no limit', [9, 1, 9], { records: Infinity, bytes: Infinity }, [[9, 1, 9]]],
    ['no block', [], { records: 8, bytes: 8 }, []],
  ])('are runs of blocks: %s', (_, counts, most, expected) => {
    const parts = partsOf(blocksOf(counts), most);
    expect(parts.map((part) => part.map(({ records }) => records))).toEqual(expected);
  });

  it('are the same for the blocks that are left after some of them', () => {
    const blocks = blocksOf([5, 3, 2, 2, 4, 1]);
    const most = { records: 8, bytes: Infinity };
    const [first, ...others] = partsOf(blocks, most);
    expect(partsOf(blocks.slice(first!.length), most)).toEqual(others);
  });
});

describe('what became of a batch', () => {
  it('is no failure if no row was rejected', () => {
    const blocks = blocksOf([2, 2]);
    noteInserted(blocks, []);
    expect(blocks.map(({ isInserted, rejected }) => [isInserted, rejected])).toEqual([
      [true, 0],
      [true, 0],
    ]);
    expect(resultOf(blocks)).toBeUndefined();
  });

  it('names each block with rejected rows once, with the error of its first one', () => {
    const blocks = blocksOf([2, 2, 2]);
    const errors = [0, 1, 2].map((index) => new Error(`error ${index}`));
    // Part by part.
    noteInserted(blocks.slice(0, 2), [
      [rowAt(2), errors[0]!],
      [rowAt(3), errors[1]!],
    ]);
    noteInserted(blocks.slice(2), [[rowAt(5), errors[2]!]]);
    expect(blocks.map(({ rejected }) => rejected)).toEqual([0, 2, 1]);
    const result = resultOf(blocks)!;
    expect([result.success, result.failed]).toEqual([1, 2]);
    expect(result.errors.map(({ message }) => message)).toEqual(['error 0', 'error 2']);
  });
});
