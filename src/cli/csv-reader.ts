/**
 * Blocks of whole CSV records to rows of fields, with the NULLs of PostgreSQL's own CSV format: an unquoted field that equals the null
 * text is NULL, a quoted one is that text.
 *
 * A block without any quote is only cut at delimiters and line breaks; one with quotes goes to csv-parse. Both give the same rows.
 */

import { parse } from 'csv-parse/sync';
import { throwFault, type BlockReader, type RefuseRecord, type TakeRow } from './block-reader.js';
import { InputError } from './errors.js';
import { decodeUtf8, divideByValidity, invalidText } from './text.js';

const QUOTE = 0x22;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

export type CsvField = string | null;
export type CsvRow = CsvField[];

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
export class CsvReader implements BlockReader<CsvRow> {
  /** The number of the line on which the next block begins. */
  nextLine = 1;
  readonly #file: string;
  readonly #options: CsvOptions;
  readonly #fields: FieldScanner;
  /** Where the row that is being taken was written. */
  #text = '';
  #start = 0;
  #end = 0;

  constructor(file: string, options: CsvOptions) {
    this.#file = file;
    this.#options = options;
    this.#fields = new FieldScanner(options.delimiter);
  }

  /** The row that is being taken, as it was written. Only to be asked for then. */
  get written(): string {
    return this.#text.slice(this.#start, this.#end);
  }

  /** @throws {InputError} naming file and line of the first record that is not CSV, unless `refuse` takes it. */
  read(block: Buffer, take: TakeRow<CsvRow>, refuse: RefuseRecord = throwFault): void {
    divideByValidity(
      block,
      endOfRecord,
      (run) => this.#readText(run, take, refuse),
      (record) => {
        refuse(invalidText(record, this.#file, this.nextLine), this.nextLine, record);
        this.nextLine += lineFeedsIn(record);
      },
    );
  }

  refuseLine(reason: string, written: Buffer, refuse: RefuseRecord = throwFault): void {
    refuse(new InputError(this.#file, this.nextLine, reason), this.nextLine, written);
    this.nextLine += 1;
  }

  #readText(records: Buffer, take: TakeRow<CsvRow>, refuse: RefuseRecord): void {
    if (records.includes(QUOTE)) this.#readQuoted(records, take, refuse);
    else this.#readPlain(records, take, refuse);
  }

  #readPlain(block: Buffer, take: TakeRow<CsvRow>, refuse: RefuseRecord): void {
    const { delimiter, nullText } = this.#options;
    const text = decodeUtf8(block);
    // Asked of the bytes: V8 takes a search in the text for free of effects, and repeats it for every record (measured: 20 times slower).
    const carriageReturns = block.includes(CARRIAGE_RETURN);
    let nextDelimiter = text.indexOf(delimiter);
    let fieldCount = 0;
    this.#text = text;
    for (let start = 0; start < text.length; this.nextLine += 1) {
      const lineFeed = text.indexOf('\n', start);
      const next = lineFeed === -1 ? text.length : lineFeed + 1;
      let end = lineFeed === -1 ? text.length : lineFeed;
      if (carriageReturns) {
        const found = text.indexOf('\r', start);
        if (found !== -1 && found < end - 1) {
          refuse(this.#loneCarriageReturn(), this.nextLine, text.slice(start, next));
          start = next;
          if (nextDelimiter !== -1 && nextDelimiter < start) nextDelimiter = text.indexOf(delimiter, start);
          continue;
        }
        if (found === end - 1) end = found;
      }
      this.#start = start;
      this.#end = end;
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

  #loneCarriageReturn(): InputError {
    return new InputError(
      this.#file,
      this.nextLine,
      'a carriage return stands alone outside quotes; lines must end in LF or CRLF',
    );
  }

  #readQuoted(block: Buffer, take: TakeRow<CsvRow>, refuse: RefuseRecord): void {
    const { nullText } = this.#options;
    for (const { record, raw } of this.#parse(block)) {
      const text = raw.endsWith('\n') || raw.endsWith('\r') ? raw.slice(0, -1) : raw;
      if (this.#fields.hasLoneCarriageReturn(text)) refuse(this.#loneCarriageReturn(), this.nextLine, text);
      else {
        if (record.includes(nullText)) this.#fields.setNulls(record, text, nullText);
        this.#text = text;
        this.#start = 0;
        this.#end = text.length;
        take(record, this.nextLine);
      }
      this.nextLine += 1 + lineFeedsIn(text);
    }
  }

  /** The splitter lets no record through whose quotes are wrong. */
  #parse(block: Buffer): CsvRecord[] {
    return parse(block, {
      delimiter: this.#options.delimiter,
      record_delimiter: ['\n', '\r\n'],
      relax_column_count: true,
      raw: true,
    }) as unknown as CsvRecord[];
  }
}

/** Where the record that begins at `start` ends. Its quotes are right: counting them is enough, for a doubled one closes and opens again. */
export function endOfRecord(bytes: Buffer, start: number): number {
  let quoted = false;
  for (let i = start; i < bytes.length; i += 1) {
    const byte = bytes[i];
    if (byte === QUOTE) quoted = !quoted;
    else if (byte === LINE_FEED && !quoted) return i + 1;
  }
  return bytes.length;
}

function lineFeedsIn(text: string | Buffer): number {
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
