/**
 * Reads blocks of whole CSV records as rows of fields.
 *
 * NULL is as in PostgreSQL's CSV format: an unquoted field that equals the null text is NULL, a quoted one is that text. A block without
 * quotes is cut at delimiters and line breaks; one with quotes is parsed by csv-parse. Both return the same rows.
 */

import { CARRIAGE_RETURN, LINE_FEED, QUOTE } from '../../common/bytes.js';
import { parse } from 'csv-parse/sync';
import { throwFault, type BlockReader, type OnBadRecord, type OnRow } from '../records/block-reader.js';
import { InputError } from '../common/errors.js';
import { count } from '../common/counted.js';
import { decodeUtf8, divideByValidity, invalidText, textAsWritten } from '../common/text.js';

/**
 * Most fields of a record that are kept; one more shows that there were others. No record that can be loaded has as many: a table has at
 * most 1,600 columns, and the system limits the length of `--columns`.
 */
const MOST_FIELDS = 100_000;

/** Returns the number of a record's fields for a message. */
export function fieldsOfRow({ length }: CsvRow): string {
  return length > MOST_FIELDS ? `more than ${count(MOST_FIELDS)}` : count(length);
}

type CsvField = string | null;
export type CsvRow = CsvField[];

export interface CsvOptions {
  readonly delimiter: string;
  readonly nullText: string;
  readonly maxRecordBytes: number;
}

/** A record of csv-parse: its fields, and its text with the first character of the line break. */
interface CsvRecord {
  readonly record: CsvRow;
  readonly raw: string;
}

/** Reads the blocks of one file, in their order. */
export class CsvReader implements BlockReader<CsvRow> {
  /** The number of the line on which the next block begins. */
  nextLine = 1;
  readonly #file: string;
  readonly #options: CsvOptions;
  readonly #fields: FieldScanner;
  /** Text and range of the row that is being passed to `onRow`. */
  #text = '';
  #start = 0;
  #end = 0;

  constructor(file: string, options: CsvOptions) {
    this.#file = file;
    this.#options = options;
    this.#fields = new FieldScanner(options.delimiter);
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
        onBadRecord(invalidText(record, this.#file, this.nextLine), this.nextLine, record);
        this.nextLine += lineFeedsIn(record);
      },
    );
  }

  rejectLine(reason: string, written: Buffer, onBadRecord: OnBadRecord = throwFault): void {
    onBadRecord(new InputError(this.#file, this.nextLine, reason), this.nextLine, written);
    this.nextLine += 1;
  }

  #readText(records: Buffer, onRow: OnRow<CsvRow>, onBadRecord: OnBadRecord): void {
    if (records.includes(QUOTE)) this.#readQuoted(records, onRow, onBadRecord);
    else this.#readPlain(records, onRow, onBadRecord);
  }

  #readPlain(block: Buffer, onRow: OnRow<CsvRow>, onBadRecord: OnBadRecord): void {
    const { delimiter, nullText } = this.#options;
    const text = decodeUtf8(block);
    // Searched in the bytes: V8 hoists a search of the text into the loop and repeats it for every record (20 times slower).
    const carriageReturns = block.includes(CARRIAGE_RETURN);
    let nextDelimiter = text.indexOf(delimiter);
    let nextReturn = carriageReturns ? text.indexOf('\r') : -1;
    let fieldCount = 0;
    this.#text = text;
    for (let start = 0; start < text.length; this.nextLine += 1) {
      const lineFeed = text.indexOf('\n', start);
      const next = lineFeed === -1 ? text.length : lineFeed + 1;
      let end = lineFeed === -1 ? text.length : lineFeed;
      if (carriageReturns) {
        // Searched only behind the last one found: the next may be far away.
        if (nextReturn !== -1 && nextReturn < start) nextReturn = text.indexOf('\r', start);
        if (nextReturn !== -1 && nextReturn < end - 1) {
          onBadRecord(this.#loneCarriageReturn(), this.nextLine, text.slice(start, next));
          start = next;
          if (nextDelimiter !== -1 && nextDelimiter < start) nextDelimiter = text.indexOf(delimiter, start);
          continue;
        }
        if (nextReturn === end - 1) end = nextReturn;
      }
      this.#start = start;
      this.#end = end;
      // As long as the last row: an array that grows takes three times the memory.
      const row = new Array<CsvField>(fieldCount);
      let fields = 0;
      while (nextDelimiter !== -1 && nextDelimiter < end) {
        if (fields < MOST_FIELDS) {
          const field = text.slice(start, nextDelimiter);
          row[fields] = field === nullText ? null : field;
        }
        fields += 1;
        start = nextDelimiter + 1;
        nextDelimiter = text.indexOf(delimiter, start);
      }
      if (fields < MOST_FIELDS) {
        const field = text.slice(start, end);
        row[fields] = field === nullText ? null : field;
      }
      fields += 1;
      if (fields > MOST_FIELDS) row.length = MOST_FIELDS + 1;
      else if (fields !== fieldCount) row.length = fieldCount = fields;
      start = next;
      onRow(row, this.nextLine);
    }
  }

  #loneCarriageReturn(): InputError {
    return new InputError(
      this.#file,
      this.nextLine,
      'a carriage return stands alone outside quotes; lines must end in LF or CRLF',
    );
  }

  #readQuoted(block: Buffer, onRow: OnRow<CsvRow>, onBadRecord: OnBadRecord): void {
    if (block.length <= MOST_FIELDS || countOf(block, this.#options.delimiter) <= MOST_FIELDS) {
      this.#readParsed(block, onRow, onBadRecord);
      return;
    }
    // Record by record, as one may have millions of fields.
    for (let start = 0; start < block.length;) {
      const record = block.subarray(start, endOfRecord(block, start));
      const fields = record.length <= MOST_FIELDS ? 0 : fieldsOf(record, this.#options.delimiter);
      if (fields <= MOST_FIELDS) this.#readParsed(record, onRow, onBadRecord);
      else {
        this.#text = textAsWritten(record);
        this.#start = 0;
        this.#end = this.#text.length;
        const row: CsvRow = [];
        row.length = MOST_FIELDS + 1;
        onRow(row, this.nextLine);
        this.nextLine += lineFeedsIn(record);
      }
      start += record.length;
    }
  }

  #readParsed(block: Buffer, onRow: OnRow<CsvRow>, onBadRecord: OnBadRecord): void {
    const { nullText } = this.#options;
    for (const { record, raw } of this.#parse(block)) {
      const text = raw.endsWith('\n') || raw.endsWith('\r') ? raw.slice(0, -1) : raw;
      if (this.#fields.hasLoneCarriageReturn(text))
        onBadRecord(this.#loneCarriageReturn(), this.nextLine, text);
      else {
        if (record.includes(nullText)) this.#fields.setNulls(record, text, nullText);
        this.#text = text;
        this.#start = 0;
        this.#end = text.length;
        onRow(record, this.nextLine);
      }
      this.nextLine += 1 + lineFeedsIn(text);
    }
  }

  /** Cannot fail: the splitter passes on only records whose quotes are right. */
  #parse(block: Buffer): CsvRecord[] {
    return parse(block, {
      delimiter: this.#options.delimiter,
      record_delimiter: ['\n', '\r\n'],
      relax_column_count: true,
      raw: true,
    }) as unknown as CsvRecord[];
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

function countOf(bytes: Buffer, delimiter: string): number {
  const code = delimiter.charCodeAt(0);
  let found = 0;
  for (let i = 0; i < bytes.length; i += 1) if (bytes[i] === code) found += 1;
  return found;
}

function fieldsOf(record: Buffer, delimiter: string): number {
  const code = delimiter.charCodeAt(0);
  let fields = 1;
  let quoted = false;
  for (let i = 0; i < record.length; i += 1) {
    if (record[i] === QUOTE) quoted = !quoted;
    else if (record[i] === code && !quoted) fields += 1;
  }
  return fields;
}

function lineFeedsIn(text: string | Buffer): number {
  let found = 0;
  for (let i = text.indexOf('\n'); i !== -1; i = text.indexOf('\n', i + 1)) found += 1;
  return found;
}

/**
 * Finds out whether fields of parsed records were quoted: csv-parse reports that only at a high cost.
 *
 * Written by hand, as a regular expression needs stack for each doubled quote of a field.
 */
class FieldScanner {
  readonly #delimiter: string;

  constructor(delimiter: string) {
    this.#delimiter = delimiter;
  }

  hasLoneCarriageReturn(text: string): boolean {
    let found = text.indexOf('\r');
    let quotes = 0;
    for (let quote = text.indexOf('"'); found !== -1;) {
      for (; quote !== -1 && quote < found; quote = text.indexOf('"', quote + 1)) quotes += 1;
      if (quotes % 2 === 0) return true;
      // Within quotes: continue after the next quote.
      found = quote === -1 ? -1 : text.indexOf('\r', quote);
    }
    return false;
  }

  /** Sets each unquoted field of `record` that equals `nullText` to NULL. @param text the record as it was written */
  setNulls(record: CsvRow, text: string, nullText: string): void {
    let start = 0;
    for (let i = 0; i < record.length; i += 1) {
      const isQuoted = text[start] === '"';
      if (!isQuoted && record[i] === nullText) record[i] = null;
      const end = isQuoted ? afterQuotes(text, start) : start;
      const delimiter = text.indexOf(this.#delimiter, end);
      start = delimiter === -1 ? text.length : delimiter + 1;
    }
  }
}

/** Returns the index after the closing quote of the field whose opening quote is at `start`. */
function afterQuotes(text: string, start: number): number {
  for (let at = start + 1; ; at += 2) {
    at = text.indexOf('"', at);
    if (at === -1) return text.length;
    if (text[at + 1] !== '"') return at + 1;
  }
}
