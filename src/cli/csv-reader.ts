/**
 * Blocks of whole CSV records to rows of fields, with the NULLs of PostgreSQL's own CSV format: an unquoted field that equals the null
 * text is NULL, a quoted one is that text.
 *
 * A block without any quote is only cut at delimiters and line breaks; one with quotes goes to csv-parse. Both give the same rows.
 */

import { parse, type CsvError } from 'csv-parse/sync';
import { InputError } from './errors.js';
import { decodeUtf8, findInvalidText } from './text.js';

const QUOTE = 0x22;
const CARRIAGE_RETURN = 0x0d;

export type CsvField = string | null;
export type CsvRow = CsvField[];
/** Takes a row and the number of the line on which it begins. */
export type TakeRow<Row> = (row: Row, line: number) => void;

export interface CsvOptions {
  readonly delimiter: string;
  readonly nullText: string;
  readonly maxRecordBytes: number;
}

/** As csv-parse gives it: the fields, and the record as it was written, with the first character of its line break. */
interface CsvRecord {
  readonly record: CsvRow;
  readonly raw: string;
}

/** Reads the blocks of one file, in their order. */
export class CsvReader {
  /** The number of the line on which the next block begins. */
  nextLine = 1;
  readonly #file: string;
  readonly #options: CsvOptions;
  readonly #fields: FieldScanner;

  constructor(file: string, options: CsvOptions) {
    this.#file = file;
    this.#options = options;
    this.#fields = new FieldScanner(options.delimiter);
  }

  /** @throws {InputError} naming file and line of the first record that is not CSV. */
  read(block: Buffer, take: TakeRow<CsvRow>): void {
    // Only the last block can end without a line feed; a carriage return there is a line break that lost its other half.
    const records = block.at(-1) === CARRIAGE_RETURN ? block.subarray(0, -1) : block;
    const invalid = findInvalidText(records, this.#file, this.nextLine);
    if (invalid === undefined) this.#readText(records, take);
    else {
      this.#readText(records.subarray(0, invalid.before), take, true);
      throw invalid.error;
    }
  }

  /** Says what is wrong with a record that grew too long: an unclosed quote is the usual cause. */
  refuseOversized(beginning: Buffer): never {
    if (beginning.includes(QUOTE)) {
      this.#readQuoted(withoutCutCharacter(beginning), () => undefined, true);
      const cause = ' (is a quote left open?)';
      throw new InputError(this.#file, this.nextLine, `${tooLong(this.#options.maxRecordBytes)}${cause}`);
    }
    throw new InputError(this.#file, this.nextLine, tooLong(this.#options.maxRecordBytes));
  }

  /** `beginning`: the last record may be cut off, which is then not complained about. */
  #readText(records: Buffer, take: TakeRow<CsvRow>, beginning = false): void {
    if (records.includes(QUOTE)) this.#readQuoted(records, take, beginning);
    else this.#readPlain(records, take);
  }

  #readPlain(block: Buffer, take: TakeRow<CsvRow>): void {
    const { delimiter, nullText } = this.#options;
    const text = decodeUtf8(block);
    const limit = block.length > this.#options.maxRecordBytes ? this.#options.maxRecordBytes : Infinity;
    // Asked of the bytes: V8 takes a search in the text for free of effects, and repeats it for every record (measured: 20 times slower).
    const carriageReturns = block.includes(CARRIAGE_RETURN);
    let nextDelimiter = text.indexOf(delimiter);
    let fieldCount = 0;
    for (let start = 0; start < text.length; this.nextLine += 1) {
      const lineFeed = text.indexOf('\n', start);
      const next = lineFeed === -1 ? text.length : lineFeed + 1;
      let end = lineFeed === -1 ? text.length : lineFeed;
      if (carriageReturns) end = this.#withoutCarriageReturn(text, start, end);
      if (end - start > limit / 4) this.#checkLength(text.slice(start, end));
      // As long as the last one: an array that grows takes three times the memory.
      const row = new Array<CsvField>(fieldCount);
      let count = 0;
      while (nextDelimiter !== -1 && nextDelimiter < end) {
        const field = text.slice(start, nextDelimiter);
        row[count++] = field === nullText ? null : field;
        start = nextDelimiter + 1;
        nextDelimiter = text.indexOf(delimiter, start);
      }
      const field = text.slice(start, end);
      row[count++] = field === nullText ? null : field;
      if (count !== fieldCount) row.length = fieldCount = count;
      start = next;
      take(row, this.nextLine);
    }
  }

  #withoutCarriageReturn(text: string, start: number, end: number): number {
    const found = text.indexOf('\r', start);
    if (found === -1 || found >= end) return end;
    if (found < end - 1) this.#refuseCarriageReturn();
    return found;
  }

  #refuseCarriageReturn(): never {
    throw new InputError(
      this.#file,
      this.nextLine,
      'a carriage return stands alone outside quotes; lines must end in LF or CRLF',
    );
  }

  #checkLength(record: string): void {
    if (Buffer.byteLength(record) <= this.#options.maxRecordBytes) return;
    throw new InputError(this.#file, this.nextLine, tooLong(this.#options.maxRecordBytes));
  }

  #readQuoted(block: Buffer, take: TakeRow<CsvRow>, beginning: boolean): void {
    const { nullText, maxRecordBytes } = this.#options;
    const { records, fault } = this.#parse(block);
    for (const { record, raw } of records) {
      const text = raw.endsWith('\n') || raw.endsWith('\r') ? raw.slice(0, -1) : raw;
      if (text.length > maxRecordBytes / 4) this.#checkLength(text);
      if (this.#fields.hasLoneCarriageReturn(text)) this.#refuseCarriageReturn();
      if (record.includes(nullText)) this.#fields.setNulls(record, text, nullText);
      take(record, this.nextLine);
      this.nextLine += 1 + lineFeedsIn(text);
    }
    if (fault === undefined || (beginning && fault.code === 'CSV_QUOTE_NOT_CLOSED')) return;
    throw new InputError(this.#file, this.nextLine, CSV_FAULTS[fault.code]!, fault);
  }

  /** All records up to the first that is no CSV, and what is wrong with that one. */
  #parse(block: Buffer): { records: CsvRecord[]; fault: CsvError | undefined } {
    try {
      return { records: this.#csvParse(block), fault: undefined };
    } catch (error) {
      const fault = error as CsvError & { records?: number };
      if (!(fault.code in CSV_FAULTS) || fault.records === undefined) throw error;
      return { records: fault.records === 0 ? [] : this.#csvParse(block, fault.records), fault };
    }
  }

  #csvParse(block: Buffer, records?: number): CsvRecord[] {
    return parse(block, {
      delimiter: this.#options.delimiter,
      record_delimiter: ['\n', '\r\n'],
      relax_column_count: true,
      raw: true,
      ...(records === undefined ? {} : { to: records }),
    }) as unknown as CsvRecord[];
  }
}

const CSV_FAULTS: Readonly<Record<string, string>> = {
  CSV_QUOTE_NOT_CLOSED: 'a quote is not closed before the end of the file',
  CSV_INVALID_CLOSING_QUOTE: 'text follows a closing quote; a quote inside quotes must be doubled',
  INVALID_OPENING_QUOTE:
    'a quote stands inside an unquoted field; quote the whole field and double the quote',
};

/** A chunk may end within a character. */
function withoutCutCharacter(bytes: Buffer): Buffer {
  let end = bytes.length;
  while (end > 0 && bytes.length - end < 4 && (bytes[end - 1]! & 0x80) !== 0) end -= 1;
  return bytes.subarray(0, end);
}

export function tooLong(maxRecordBytes: number): string {
  return `the record is longer than --max-record-bytes (${maxRecordBytes})`;
}

function lineFeedsIn(text: string): number {
  let count = 0;
  for (let i = text.indexOf('\n'); i !== -1; i = text.indexOf('\n', i + 1)) count += 1;
  return count;
}

/** Looks at records that csv-parse has found to be well-formed: whether a field was quoted is not to be had from it at a bearable cost. */
class FieldScanner {
  readonly #field: RegExp;

  constructor(delimiter: string) {
    const character = delimiter.replace(/[\\\]^-]/, '\\$&');
    this.#field = new RegExp(`("(?:[^"]|"")*"|[^${character}]*)(?:[${character}]|$)`, 'y');
  }

  hasLoneCarriageReturn(text: string): boolean {
    return text.includes('\r') && text.replace(/"[^"]*"/g, '').includes('\r');
  }

  /** Makes NULL of each unquoted field of `record` that equals `nullText`. `text` is the record as it was written. */
  setNulls(record: CsvRow, text: string, nullText: string): void {
    this.#field.lastIndex = 0;
    for (let i = 0; i < record.length; i += 1) {
      const written = this.#field.exec(text)?.[1];
      if (record[i] === nullText && written === nullText) record[i] = null;
    }
  }
}
