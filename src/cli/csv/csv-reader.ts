/**
 * Reads blocks of whole records of CSV, or of COPY's text format, as rows of fields.
 *
 * NULL is as in PostgreSQL's CSV format: an unquoted field that equals the null text is NULL, a quoted one is that text.
 */

import { CARRIAGE_RETURN, LINE_FEED, QUOTE } from '../../common/bytes.js';
import { CopyFields, copyTexts } from './copy-fields.js';
import { fieldTexts, MOST_FIELDS, RecordFields, type CsvField, type FieldCutter } from './record-fields.js';
import type { RecordFormat } from '../records/record-parser.js';
import { throwFault, type BlockReader, type OnBadRecord, type OnRow } from '../records/block-reader.js';
import { InputError, type InputName } from '../common/errors.js';
import { count } from '../common/counted.js';
import {
  decodeUtf8,
  divideByValidity,
  ENCODING_HELP,
  endOfLine,
  invalidText,
  type FindRecordEnd,
} from '../common/text.js';

/** Returns the number of a record's fields for a message. */
export function fieldsOfRow({ length }: readonly unknown[]): string {
  return length > MOST_FIELDS ? `more than ${count(MOST_FIELDS)}` : count(length);
}

export type CsvRow = CsvField[];

export interface CsvOptions {
  readonly delimiter: string;
  readonly nullText: string;
  /** Further unquoted texts that mean NULL. */
  readonly otherNulls?: ReadonlySet<string> | undefined;
  readonly maxRecordBytes: number;
  /** The line on which the text begins: lines before it were left out. Default 1. */
  readonly firstLine?: number | undefined;
  /** The text is that of COPY's text format. */
  readonly isCopyText?: boolean | undefined;
}

/** Returns how records are found. */
export function recordFormat({ delimiter, maxRecordBytes, isCopyText = false }: CsvOptions): Pick<
  RecordFormat<unknown>,
  'delimiter' | 'maxRecordBytes' | 'isCopyText'
> & {
  readonly recordEnd: FindRecordEnd;
} {
  return isCopyText
    ? { delimiter: undefined, maxRecordBytes, isCopyText, recordEnd: endOfLine }
    : { delimiter, maxRecordBytes, recordEnd: endOfRecord };
}

/** Reads the blocks of one file, in their order. */
export class CsvReader implements BlockReader<CsvRow> {
  /** The number of the line on which the next block begins. */
  nextLine: number;
  readonly #file: InputName;
  readonly #options: CsvOptions;
  /** Text and range of the row that is being passed to `onRow`. */
  #text = '';
  #start = 0;
  #end = 0;
  /** Line of the marker at the end of the data. */
  #endLine: number | undefined;

  constructor(file: InputName, options: CsvOptions) {
    this.#file = file;
    this.#options = options;
    this.nextLine = options.firstLine ?? 1;
  }

  /** The row as it was written. Valid only within the callbacks. */
  get written(): string {
    return this.#text.slice(this.#start, this.#end);
  }

  /** The row's fields, none of them NULL. Valid only within the callbacks. */
  get texts(): string[] {
    const { delimiter, isCopyText } = this.#options;
    return isCopyText === true ? copyTexts(this.written, delimiter) : fieldTexts(this.written, delimiter);
  }

  /** The marker at the end of the data was read. */
  get hasEnded(): boolean {
    return this.#endLine !== undefined;
  }

  /** @throws {InputError} naming file and line of the first record that cannot be read, unless `onBadRecord` is given */
  read(block: Buffer, onRow: OnRow<CsvRow>, onBadRecord: OnBadRecord = throwFault): undefined {
    divideByValidity(
      block,
      this.#options.isCopyText === true ? endOfLine : endOfRecord,
      (run) => this.#readText(run, onRow, onBadRecord),
      (record) => {
        onBadRecord(invalidText(record, this.#file, this.nextLine, ENCODING_HELP), this.nextLine, record);
        this.nextLine += lineFeedsIn(record);
      },
    );
  }

  rejectLine(reason: string, written: Buffer, onBadRecord: OnBadRecord = throwFault): void {
    onBadRecord(new InputError(this.#file, this.nextLine, reason), this.nextLine, written);
    this.nextLine += 1;
  }

  /** Cannot fail at quotes: the splitter passes on only records whose quotes are right. */
  #readText(block: Buffer, onRow: OnRow<CsvRow>, onBadRecord: OnBadRecord): void {
    const fields = this.#cutterOf(block);
    this.#text = fields.text;
    while (!fields.isAtEnd) {
      const row = fields.next();
      this.#start = fields.start;
      this.#end = fields.end;
      const { fault } = fields;
      if (this.#endLine !== undefined) this.#assertBlank(this.#endLine);
      else if (fields.isEndMarker) this.#endLine = this.nextLine;
      else if (fault === undefined) onRow(row, this.nextLine);
      else onBadRecord(new InputError(this.#file, this.nextLine, fault), this.nextLine, this.written);
      this.nextLine += fields.lines;
    }
    // Else a long text would stay in memory until the next block.
    this.#text = '';
  }

  #cutterOf(block: Buffer): FieldCutter {
    const { delimiter, nullText, otherNulls, isCopyText } = this.#options;
    const text = decodeUtf8(block);
    if (isCopyText === true) {
      const hasFaults = typeof this.#file === 'object' && this.#file.countsRecords === true;
      return new CopyFields(text, delimiter, nullText, hasFaults);
    }
    return new RecordFields(text, delimiter, nullText, block.includes(CARRIAGE_RETURN), otherNulls);
  }

  /** What follows the end is not loaded: it may be another table. */
  #assertBlank(endLine: number): void {
    if (this.written.trim() === '') return;
    throw new InputError(
      this.#file,
      this.nextLine,
      `text follows the end of the data, which \\. marks on line ${endLine}`,
    );
  }
}

/** Returns where the record at `start` ends. Quotes are only counted: they are right, and a doubled one closes and opens again. */
export function endOfRecord(bytes: Buffer, start: number): number {
  let quoted = false;
  for (let i = start; i < bytes.length; i += 1) {
    const byte = bytes[i];
    if (byte === QUOTE) quoted = !quoted;
    else if (byte === LINE_FEED && !quoted) return i + 1;
  }
  return bytes.length;
}

function lineFeedsIn(bytes: Buffer): number {
  let found = 0;
  for (let i = bytes.indexOf(LINE_FEED); i !== -1; i = bytes.indexOf(LINE_FEED, i + 1)) found += 1;
  return found;
}
