/** Turns chunks of files into records: splits, reads, and passes each on with its place in the input. */

import { endOfRows, throwFault, type BlockReader, type OnBadRecord, type OnRow } from './block-reader.js';
import type { InputError } from '../common/errors.js';
import { divideByWeight, type WeightFault } from './record-weight.js';
import { reasonOf } from './split-faults.js';
import type { SourceChunk, SourceFile } from '../input/source.js';
import { RecordSplitter, type SplitFault } from '../input/splitter.js';
import {
  LONGEST_MARK_BYTES,
  textAsWritten,
  withoutByteOrderMark,
  type FindRecordEnd,
} from '../common/text.js';

export interface RecordFormat<Row> {
  /** CSV: the ASCII character between fields. Undefined if every line is a record and quotes mean nothing. */
  readonly delimiter: string | undefined;
  readonly maxRecordBytes: number;
  readonly open: (file: SourceFile) => BlockReader<Row>;
  /** Every line is a record of COPY's text format, and not of JSON. */
  readonly isCopyText?: boolean;
  /** Set if blocks become rows: they are read in steps of a few thousand records. */
  readonly recordEnd?: FindRecordEnd | undefined;
}

/**
 * A row of the table with its place in the input, or a record that could not be read (`fault` is set).
 *
 * `ordinal` counts the records of all files from 0. It counts records that could not be read, but no headers and no blank lines of NDJSON.
 */
export abstract class SourceRow {
  abstract readonly file: SourceFile;
  abstract readonly line: number;
  abstract readonly ordinal: number;
  /** Why the record could not be read. */
  abstract readonly fault: InputError | undefined;
  /** Text of the record that could not be read, without its line break: at most `LONGEST_TEXT_BYTES` (64 KiB). */
  abstract readonly text: string | undefined;
  /** The row's values; empty if the record could not be read. */
  abstract readonly values: unknown[];

  /** Returns an array that has only the value at this index. */
  valueAlone(place: number): unknown[] {
    const values = new Array<unknown>(place + 1);
    values[place] = this.values[place];
    return values;
  }
}

/** A row whose values have been read. */
export class ReadRow extends SourceRow {
  readonly file: SourceFile;
  readonly line: number;
  readonly ordinal: number;
  readonly fault: InputError | undefined;
  readonly text: string | undefined;
  readonly values: unknown[];

  constructor(
    values: unknown[],
    file: SourceFile,
    line: number,
    ordinal: number,
    fault?: InputError,
    text?: string,
  ) {
    super();
    this.values = values;
    this.file = file;
    this.line = line;
    this.ordinal = ordinal;
    this.fault = fault;
    this.text = text;
  }
}

export type OnRecord<Row> = (row: Row, line: number, file: SourceFile, ordinal: number) => void;
export type OnFault = (
  fault: InputError,
  line: number,
  file: SourceFile,
  ordinal: number,
  text: string,
) => void;

/** Part of a chunk that is still to be read. */
type Unread =
  | { readonly block: Buffer; readonly fault?: undefined }
  | { readonly fault: SplitFault | WeightFault; readonly line: Buffer };

interface OpenFile {
  readonly file: SourceFile;
  readonly splitter: RecordSplitter;
  /** A queue: the next one is first. */
  readonly unread: Unread[];
  readonly read: (unread: Unread) => Buffer | undefined;
  readonly end: () => void;
  /** The file's first bytes, while they are too few to show a byte order mark. */
  beginning: Buffer | undefined;
  /** The file's last chunk has come. */
  last: boolean;
}

/** Parses the chunks of one file after another. */
export class RecordParser<Row> {
  readonly #format: RecordFormat<Row>;
  readonly #onRecord: OnRecord<Row>;
  readonly #onFault: OnFault | undefined;
  #open: OpenFile | undefined;
  #records = 0;

  /** @param onFault receives records that cannot be read; without it, the first one is thrown */
  constructor(format: RecordFormat<Row>, onRecord: OnRecord<Row>, onFault?: OnFault) {
    this.#format = format;
    this.#onRecord = onRecord;
    this.#onFault = onFault;
  }

  /** Reads all records that end in the chunk. @throws {InputError} naming file and line */
  add(chunk: SourceChunk): void {
    this.begin(chunk);
    while (this.step());
  }

  /** Begins a chunk, which is then read by `step()` until that returns `false`. @throws {InputError} for UTF-16 */
  begin(chunk: SourceChunk): void {
    const open = (this.#open ??= this.#openFile(chunk.file));
    let { bytes } = chunk;
    if (open.beginning !== undefined) {
      bytes = Buffer.concat([open.beginning, bytes]);
      open.beginning = bytes;
      if (bytes.length < LONGEST_MARK_BYTES && !chunk.last) return;
      bytes = withoutByteOrderMark(bytes, open.file.name);
      open.beginning = undefined;
    }
    open.splitter.add(bytes);
    if (!chunk.last) return;
    open.splitter.end();
    open.last = true;
  }

  /** Reads on. Returns whether there is more of the chunk. @throws {InputError} naming file and line */
  step(): boolean {
    const open = this.#open!;
    const { unread } = open;
    const next = unread.shift();
    if (next !== undefined) {
      const rest = open.read(next);
      if (rest !== undefined) unread.unshift({ block: rest });
      return true;
    }
    if (open.splitter.step() || unread.length > 0) return true;
    if (open.last) {
      open.end();
      this.#open = undefined;
    }
    return false;
  }

  #openFile(file: SourceFile): OpenFile {
    const { delimiter, maxRecordBytes, open, recordEnd, isCopyText = false } = this.#format;
    const reader = open(file);
    const onFault = this.#onFault;
    const onRow: OnRow<Row> = (row, line, records = 1) => {
      const ordinal = this.#records;
      this.#records += records;
      this.#onRecord(row, line, file, ordinal);
    };
    const onBadRecord: OnBadRecord =
      onFault === undefined
        ? throwFault
        : (fault, line, written) => onFault(fault, line, file, this.#records++, textAsWritten(written));
    const read = (next: Unread): Buffer | undefined => {
      if (next.fault !== undefined) {
        const { fault, line } = next;
        reader.rejectLine(reasonOf(fault, { line, delimiter, maxRecordBytes }), line, onBadRecord);
        return undefined;
      }
      const { block } = next;
      const end = recordEnd === undefined ? block.length : endOfRows(block, recordEnd);
      const bytes =
        reader.read(end === block.length ? block : block.subarray(0, end), onRow, onBadRecord) ?? end;
      return bytes === block.length ? undefined : block.subarray(bytes);
    };
    const unread: Unread[] = [];
    // Read at once if nothing is queued before it.
    const add = (next: Unread): void => {
      const rest = unread.length === 0 ? read(next) : undefined;
      if (rest !== undefined) unread.push({ block: rest });
      else if (unread.length > 0) unread.push(next);
    };
    const onBadLine = (fault: SplitFault | WeightFault, line: Buffer): void => add({ fault, line });
    const splitter = new RecordSplitter({
      delimiter,
      maxRecordBytes,
      skips: onFault !== undefined,
      onRecords: (block) => {
        if (delimiter !== undefined || isCopyText) add({ block });
        else divideByWeight(block, maxRecordBytes, (lines) => add({ block: lines }), onBadLine);
      },
      onBadLine,
    });
    const end = () => reader.end?.();
    return { file, splitter, unread, read, end, beginning: Buffer.alloc(0), last: false };
  }
}
