/** Records that stay together from the reader to the table: bytes that the server parses, or rows where it would read something else. */

import { MIB } from '../../common/bytes.js';
import type { BlockContent, ReadRecord, SentContent } from './block-content.js';
import type { BlockSizer } from './block-sizer.js';
import type { ChunkMemory } from '../common/chunk-memory.js';
import { endOfRows, throwFault, type BlockReader, type OnBadRecord, type OnRow } from './block-reader.js';
import { lineRows } from './line-rows.js';
import { ConvertedField } from '../values/converted-field.js';
import { WrittenArray } from '../ndjson/values/written-array.js';
import { ReadRow, type SourceRow } from './record-parser.js';
import type { SourceFile } from '../input/source.js';
import { textAsWritten, type FindRecordEnd } from '../common/text.js';

/** Opens a reader that parses the records of a block again. */
export type OpenReader = (file: SourceFile, firstLine: number) => BlockReader<unknown[]>;

export class RecordBlock {
  readonly file: SourceFile;
  /** Line on which it begins. */
  readonly line: number;
  /** Ordinal of the first record: see {@link SourceRow}. */
  readonly ordinal: number;
  /** Set if its records are bytes for the server. */
  #sent: SentContent | undefined;
  /** How many of its records the table has rejected. */
  rejected = 0;
  /** The message of the first one. Not its error, which holds the row. */
  fault = '';
  /** Its other records are in the table: their transaction is committed. */
  isInserted = false;
  #rows: readonly SourceRow[];
  #memory: ChunkMemory | undefined;

  constructor(file: SourceFile, line: number, ordinal: number, content: SentContent | readonly SourceRow[]) {
    this.file = file;
    this.line = line;
    this.ordinal = ordinal;
    this.#sent = 'kind' in content ? content : undefined;
    this.#rows = 'kind' in content ? [] : content;
  }

  /** Holds the memory of its records. Rows need it, too: they may be parsed only when their values are read. */
  hold(memory: ChunkMemory | undefined): void {
    memory?.hold();
    this.#memory = memory;
  }

  /** Releases the memory: its records are inserted or rejected, and are not read again. */
  release(): void {
    this.#memory?.release();
    this.#memory = undefined;
  }

  /** The bytes for the server and their formats. Undefined for rows. */
  get sent(): SentContent | undefined {
    return this.#sent;
  }

  /** From now on its records are only read one by one. Frees what is needed for sending only. */
  sendNoMore(): void {
    const sent = this.#sent;
    // Lines are read from the bytes that were to be sent.
    if (sent !== undefined && sent.lines === undefined)
      this.#sent = { ...sent, sent: sent.written, formats: [] };
  }

  get records(): number {
    return this.sent?.records ?? this.#rows.length;
  }

  get lastOrdinal(): number {
    return this.sent === undefined ? this.#rows.at(-1)!.ordinal : this.ordinal + this.sent.records - 1;
  }

  /** Bytes that it holds in memory; an estimate for rows. */
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

  /** It has a long record: each copy of that counts, and is collected as soon as nobody needs it. */
  get isLarge(): boolean {
    return this.bytes > LARGE_BYTES;
  }

  /** Returns its records one by one. */
  rows(open: OpenReader): readonly SourceRow[] {
    const { sent } = this;
    if (sent === undefined) return this.#rows;
    if (sent.lines !== undefined) return lineRows(sent.sent, sent.records, sent.lines, this);
    const rows = rowsOf(readRecords(open(this.file, this.line), sent.written, true), this.file, this.ordinal);
    // They replace the bytes of a long record.
    if (this.isLarge) {
      this.#rows = rows;
      this.#sent = undefined;
    }
    return rows;
  }
}

const LARGE_BYTES = 4 * MIB;
/** Memory of a row, and of each value, beside their texts: estimated. */
const ROW_BYTES = 100;
const VALUE_BYTES = 24;
/** Memory of a record that cannot be read, beside its text: its fault and its reject line. Measured. */
export const FAULT_BYTES = 1024;

function sizeOf(values: readonly unknown[]): number {
  let bytes = ROW_BYTES;
  for (const value of values) bytes += VALUE_BYTES + textLength(value);
  return bytes;
}

function textLength(value: unknown): number {
  if (typeof value === 'string') return value.length;
  if (value instanceof ConvertedField) return 2 * value.written.length + VALUE_BYTES;
  return value instanceof WrittenArray ? value.text.length : 0;
}

/** Reads all records of a block. @param before receives the rows before a fault that is thrown */
function readRecords(
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
 * Reads the first records of a block as rows, and passes them on in blocks of the right size. Rows before a fault that is thrown are passed
 * on, too.
 *
 * @param most records
 * @returns the number of bytes that were read
 */
export function readAsRows(
  reader: BlockReader<unknown[]>,
  block: Buffer,
  { keepsBadRecords, sizer, recordEnd }: RowsOptions,
  onRow: OnRow<BlockContent>,
  most?: number,
): number {
  const passRows = (rows: readonly ReadRecord[]): void => {
    for (let start = 0; start < rows.length;) {
      const some = rows.slice(start, start + sizer.remaining);
      sizer.countRecords(some.length);
      start += some.length;
      onRow({ kind: 'rows', rows: some }, some[0]!.line, some.length);
    }
  };
  const end = endOfRows(block, recordEnd, most);
  passRows(readRecords(reader, block.subarray(0, end), keepsBadRecords, passRows));
  return end;
}

export function rowsOf(records: readonly ReadRecord[], file: SourceFile, ordinal: number): SourceRow[] {
  return records.map(
    ({ line, values, fault, text }, index) => new ReadRow(values, file, line, ordinal + index, fault, text),
  );
}
