/**
 * Records that stay together on their way: as bytes that the server reads as they are, or as rows, where it would read something else than
 * we do.
 */

import type { BlockContent, ReadRecord, SentContent } from './block-content.js';
import type { BlockSizer } from './block-sizer.js';
import type { ChunkMemory } from '../input/chunk-memory.js';
import { endOfRows, throwFault, type BlockReader, type OnBadRecord, type OnRow } from './block-reader.js';
import { lineRows } from './line-rows.js';
import { WrittenArray } from '../ndjson/values/written-array.js';
import { SourceRow } from './record-parser.js';
import type { SourceFile } from '../input/source.js';
import { textAsWritten, type FindRecordEnd } from '../common/text.js';

/** Reads records again that came as bytes. */
export type OpenReader = (file: SourceFile, firstLine: number) => BlockReader<unknown[]>;

export class RecordBlock {
  readonly file: SourceFile;
  /** On which it begins. */
  readonly line: number;
  /** Of the first record: see {@link SourceRow}. */
  readonly ordinal: number;
  /** Set if its records came as bytes. */
  #sent: SentContent | undefined;
  /** How many of its records the table has refused. */
  rejected = 0;
  readonly #rows: readonly SourceRow[];
  #memory: ChunkMemory | undefined;

  constructor(file: SourceFile, line: number, ordinal: number, content: SentContent | readonly SourceRow[]) {
    this.file = file;
    this.line = line;
    this.ordinal = ordinal;
    this.#sent = 'kind' in content ? content : undefined;
    this.#rows = 'kind' in content ? [] : content;
  }

  /** Its records are in these bytes, also those that are rows: such a row may be read only when it is asked for its values. */
  hold(memory: ChunkMemory | undefined): void {
    memory?.hold();
    this.#memory = memory;
  }

  /** Its records have landed, or are refused for good: nobody asks for them any more. */
  release(): void {
    this.#memory?.release();
    this.#memory = undefined;
  }

  /** What the server is to get, and in which formats. Undefined for records that were read. */
  get sent(): SentContent | undefined {
    return this.#sent;
  }

  /** It was refused as it is, or may be: from now on its records are only read one by one. Frees what is not needed for that. */
  sendNoMore(): void {
    const sent = this.#sent;
    // Lines are read from what was to be sent.
    if (sent !== undefined && sent.lines === undefined)
      this.#sent = { ...sent, sent: sent.written, formats: [] };
  }

  get records(): number {
    return this.sent?.records ?? this.#rows.length;
  }

  get lastOrdinal(): number {
    return this.sent === undefined ? this.#rows.at(-1)!.ordinal : this.ordinal + this.sent.records - 1;
  }

  /** What it holds in memory; about as much, where its records have been read. */
  get bytes(): number {
    const { sent: content } = this;
    if (content !== undefined) {
      const { sent, written } = content;
      return sent.length + (sent === written ? 0 : written.length);
    }
    let bytes = 0;
    for (const { values, text } of this.#rows)
      bytes += text === undefined ? sizeOf(values) : FAULT_BYTES + text.length;
    return bytes;
  }

  /** Its records one by one. */
  rows(open: OpenReader): readonly SourceRow[] {
    const { sent } = this;
    if (sent === undefined) return this.#rows;
    if (sent.lines !== undefined) return lineRows(sent.sent, sent.records, sent.lines, this);
    return rowsOf(readRecords(open(this.file, this.line), sent.written, true), this.file, this.ordinal);
  }
}

/** So much memory a row takes beside its texts, and each of its values: estimated. */
const ROW_BYTES = 100;
const VALUE_BYTES = 24;
/** So much one that cannot be read takes beside its text: its fault, and what becomes of that on the way to the file of rejects. Measured. */
export const FAULT_BYTES = 1024;

function sizeOf(values: readonly unknown[]): number {
  let bytes = ROW_BYTES;
  for (const value of values) bytes += VALUE_BYTES + textLength(value);
  return bytes;
}

function textLength(value: unknown): number {
  if (typeof value === 'string') return value.length;
  return value instanceof WrittenArray ? value.text.length : 0;
}

/** Reads all records of a block. Where bad ones are not kept, what was read before the first of them is passed to `before`. */
export function readRecords(
  reader: BlockReader<unknown[]>,
  block: Buffer,
  keepsBadRecords: boolean,
  before?: (rows: ReadRecord[]) => void,
): ReadRecord[] {
  const rows: ReadRecord[] = [];
  const onRow = (values: unknown[], line: number): void => {
    rows.push({ line, values, fault: undefined, text: undefined });
  };
  const keep: OnBadRecord = (fault, line, written) => {
    rows.push({ line, values: [], fault, text: textAsWritten(written) });
  };
  try {
    reader.read(block, onRow, keepsBadRecords ? keep : throwFault);
  } catch (error) {
    before?.(rows);
    throw error;
  }
  return rows;
}

export interface RowsOptions {
  readonly keepsBadRecords: boolean;
  readonly sizer: BlockSizer;
  readonly recordEnd: FindRecordEnd;
}

/**
 * The same as contents for the stream, of the first records of a block. What was read before a fault that ends the reading is taken, too.
 *
 * @returns the number of bytes that were read
 */
export function readAsRows(
  reader: BlockReader<unknown[]>,
  block: Buffer,
  { keepsBadRecords, sizer, recordEnd }: RowsOptions,
  onRow: OnRow<BlockContent>,
): number {
  const passRows = (rows: readonly ReadRecord[]): void => {
    for (let start = 0; start < rows.length;) {
      const some = rows.slice(start, start + sizer.remaining);
      sizer.countRecords(some.length);
      start += some.length;
      onRow({ kind: 'rows', rows: some }, some[0]!.line, some.length);
    }
  };
  const end = endOfRows(block, recordEnd);
  passRows(readRecords(reader, block.subarray(0, end), keepsBadRecords, passRows));
  return end;
}

export function rowsOf(records: readonly ReadRecord[], file: SourceFile, ordinal: number): SourceRow[] {
  return records.map(
    ({ line, values, fault, text }, index) => new SourceRow(values, file, line, ordinal + index, fault, text),
  );
}
