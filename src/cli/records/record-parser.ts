/** From chunks of files to records: splits, reads, and passes each on with the place it came from. */

import {
  endOfRows,
  NESTED_TOO_DEEPLY,
  throwFault,
  tooLong,
  type BlockReader,
  type OnBadRecord,
  type OnRow,
} from './block-reader.js';
import type { InputError } from '../common/errors.js';
import { divideByWeight, mostValues, type WeightFault } from './record-weight.js';
import { count } from '../common/counted.js';
import type { SourceChunk, SourceFile } from '../input/source.js';
import { RecordSplitter, type SplitFault } from '../input/splitter.js';
import {
  LONGEST_MARK_BYTES,
  textAsWritten,
  withoutByteOrderMark,
  type FindRecordEnd,
} from '../common/text.js';

export interface RecordFormat<Row> {
  /** CSV: what divides the fields, one ASCII character. Undefined where quotes mean nothing, and every line is a record. */
  readonly delimiter: string | undefined;
  readonly maxRecordBytes: number;
  readonly open: (file: SourceFile) => BlockReader<Row>;
  /** Set if blocks are to be read by as many records as are made rows in one go. */
  readonly recordEnd?: FindRecordEnd;
}

/**
 * A row of the table, and where it begins; or, where `fault` says so, a record that could not be read. `ordinal` counts the records of all
 * files from 0, those that could not be read included, headers and blank lines of NDJSON not.
 */
export class SourceRow {
  readonly file: SourceFile;
  readonly line: number;
  readonly ordinal: number;
  /** Why the record could not be read. */
  readonly fault: InputError | undefined;
  /** The record that could not be read as it was written, without its line break; its first 64 KiB (`LONGEST_TEXT_BYTES`) at most. */
  readonly text: string | undefined;
  readonly #values: unknown[];

  constructor(
    values: unknown[],
    file: SourceFile,
    line: number,
    ordinal: number,
    fault?: InputError,
    text?: string,
  ) {
    this.#values = values;
    this.file = file;
    this.line = line;
    this.ordinal = ordinal;
    this.fault = fault;
    this.text = text;
  }

  /** Empty where the record could not be read. */
  get values(): unknown[] {
    return this.#values;
  }

  /** The value at this place, in its place. */
  valueAlone(place: number): unknown[] {
    const values: unknown[] = [];
    values[place] = this.values[place];
    return values;
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

/** What was found in a chunk, and is still to be read. */
type Unread =
  | { readonly block: Buffer; readonly fault?: undefined }
  | { readonly fault: SplitFault | WeightFault; readonly line: Buffer };

interface OpenFile {
  readonly file: SourceFile;
  readonly splitter: RecordSplitter;
  /** The next comes first. */
  readonly unread: Unread[];
  readonly read: (unread: Unread) => Buffer | undefined;
  readonly end: () => void;
  /** The file's first bytes, as long as they are too few to tell whether they are a byte order mark. */
  beginning: Buffer | undefined;
  /** Whether its last chunk has come. */
  last: boolean;
}

/** Takes the chunks of one file after another. */
export class RecordParser<Row> {
  readonly #format: RecordFormat<Row>;
  readonly #onRecord: OnRecord<Row>;
  readonly #onFault: OnFault | undefined;
  #open: OpenFile | undefined;
  #records = 0;

  /** Without `takeFault` the first record that cannot be read ends it. */
  constructor(format: RecordFormat<Row>, onRecord: OnRecord<Row>, onFault?: OnFault) {
    this.#format = format;
    this.#onRecord = onRecord;
    this.#onFault = onFault;
  }

  /** Takes each record that ends in the chunk. @throws {InputError} naming file and line. */
  add(chunk: SourceChunk): void {
    this.begin(chunk);
    while (this.step());
  }

  /** The same in portions: looks at the chunk with each `step()`, until that answers `false`. @throws {InputError} for UTF-16. */
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

  /** Answers whether there is more of the chunk. @throws {InputError} naming file and line. */
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
    const { delimiter, maxRecordBytes, open, recordEnd } = this.#format;
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
        reader.rejectLine(reasonOf(next.fault, maxRecordBytes), next.line, onBadRecord);
        return undefined;
      }
      const { block } = next;
      const end = recordEnd === undefined ? block.length : endOfRows(block, recordEnd);
      const bytes =
        reader.read(end === block.length ? block : block.subarray(0, end), onRow, onBadRecord) ?? end;
      return bytes === block.length ? undefined : block.subarray(bytes);
    };
    const unread: Unread[] = [];
    // At once, if nothing before it is left.
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
        if (delimiter !== undefined) add({ block });
        else divideByWeight(block, maxRecordBytes, (lines) => add({ block: lines }), onBadLine);
      },
      onBadLine,
    });
    const end = () => reader.end?.();
    return { file, splitter, unread, read, end, beginning: Buffer.alloc(0), last: false };
  }
}

function reasonOf(fault: SplitFault | WeightFault, maxRecordBytes: number): string {
  switch (fault) {
    case 'too_many_values':
      return `the record has more than ${count(mostValues(maxRecordBytes))} values and keys (one for each 16 bytes of --max-record-bytes)`;
    case 'too_deep':
      return NESTED_TOO_DEEPLY;
    case 'too_long':
      return tooLong(maxRecordBytes);
    case 'too_long_open_quote':
      return `${tooLong(maxRecordBytes)} (is a quote left open?)`;
    case 'open_quote':
      return 'a quote is not closed before the end of the file';
    case 'text_after_quote':
      return 'text follows a closing quote; a quote inside quotes must be doubled';
    case 'quote_in_field':
      return 'a quote stands inside an unquoted field; quote the whole field and double the quote';
  }
}
