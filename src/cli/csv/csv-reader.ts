/**
 * Reads blocks of whole CSV records as rows of fields.
 *
 * NULL is as in PostgreSQL's CSV format: an unquoted field that equals the null text is NULL, a quoted one is that text.
 */

import { CARRIAGE_RETURN, LINE_FEED, QUOTE } from '../../common/bytes.js';
import { MOST_FIELDS, RecordFields, type CsvField } from './record-fields.js';
import { throwFault, type BlockReader, type OnBadRecord, type OnRow } from '../records/block-reader.js';
import { InputError } from '../common/errors.js';
import { count } from '../common/counted.js';
import { decodeUtf8, divideByValidity, ENCODING_HELP, invalidText } from '../common/text.js';

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
}

/** Reads the blocks of one file, in their order. */
export class CsvReader implements BlockReader<CsvRow> {
  /** The number of the line on which the next block begins. */
  nextLine: number;
  readonly #file: string;
  readonly #options: CsvOptions;
  /** Text and range of the row that is being passed to `onRow`. */
  #text = '';
  #start = 0;
  #end = 0;

  constructor(file: string, options: CsvOptions) {
    this.#file = file;
    this.#options = options;
    this.nextLine = options.firstLine ?? 1;
  }

  /** The row as it was written. Valid only within the callbacks. */
  get written(): string {
    return this.#text.slice(this.#start, this.#end);
  }

  /** @throws {InputError} naming file and line of the first record that is not CSV, unless `onBadRecord` is given */
  read(block: Buffer, onRow: OnRow<CsvRow>, onBadRecord: OnBadRecord = throwFault): undefined {
    divideByValidity(
      block,
      endOfRecord,
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
    const { delimiter, nullText, otherNulls } = this.#options;
    const hasReturns = block.includes(CARRIAGE_RETURN);
    const fields = new RecordFields(decodeUtf8(block), delimiter, nullText, hasReturns, otherNulls);
    this.#text = fields.text;
    while (!fields.isAtEnd) {
      this.#start = fields.at;
      const row = fields.next();
      this.#end = fields.end;
      if (fields.hasLoneReturn) onBadRecord(this.#loneCarriageReturn(), this.nextLine, this.written);
      else onRow(row, this.nextLine);
      this.nextLine += fields.lines;
    }
    // Else a long text would stay in memory until the next block.
    this.#text = '';
  }

  #loneCarriageReturn(): InputError {
    return new InputError(
      this.#file,
      this.nextLine,
      "a carriage return stands alone outside quotes; lines must end in LF or CRLF; tr -d '\\r' <FILE | spillway load - … takes them out",
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
