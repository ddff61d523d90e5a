/** Reads blocks of whole lines as JSON objects. Numbers keep their digits as they are written. */

import { parse as parseLossless } from 'lossless-json';
import {
  NESTED_TOO_DEEPLY,
  throwFault,
  type BlockReader,
  type OnBadRecord,
  type OnRow,
} from '../../records/block-reader.js';
import { InputError, type InputName } from '../../common/errors.js';
import { OPENING_BRACE, OPENING_BRACKET } from '../../../common/bytes.js';
import { ByteOutput } from '../../json/byte-output.js';
import { ValueScanner } from '../../json/value-scanner.js';
import { JsonFault } from '../values/json-scan.js';
import { LONG_RECORD, parseLongRecord, WrittenJson, type SelectedKeys } from '../values/long-record.js';
import { numberAsWritten } from '../values/written-number.js';
import { decodeUtf8, divideByValidity, endOfLine, ENCODING_HELP, invalidText } from '../../common/text.js';

/**
 * A parsed record. A number that JavaScript would spell otherwise is a `WrittenNumber`; in a long record, objects and arrays are
 * `WrittenJson`.
 */
export type JsonRecord = Readonly<Record<string, unknown>>;

/**
 * Finds numbers that JavaScript may spell otherwise: many digits, trailing zeros, tiny ones, exponents, −0. A match within a string only
 * costs time.
 */
const UNUSUAL_NUMBER = /[:,[]\s*(?:-?(?:[\d.]{16}|\d+\.\d*0[\s,}\]]|0\.0{6}|\d[\d.]*[eE])|-0[\s,}\]])/;

/** Reads the blocks of one file, in their order. */
export class NdjsonReader implements BlockReader<JsonRecord> {
  /** The number of the line on which the next block begins. */
  nextLine = 1;
  readonly #file: InputName;
  readonly #kept: SelectedKeys | undefined;
  /** Text and range of the record that is being passed to `onRow`. */
  #text = '';
  #start = 0;
  #end = 0;

  /** @param kept which keys of long records are kept (default: all) */
  constructor(file: InputName, kept?: SelectedKeys) {
    this.#file = file;
    this.#kept = kept;
  }

  /** The record as it was written. Valid only within the callbacks. */
  get written(): string {
    return this.#text.slice(this.#start, this.#end);
  }

  /** @throws {InputError} naming file and line of the first line that is neither blank nor a JSON object, unless `onBadRecord` is given */
  read(block: Buffer, onRow: OnRow<JsonRecord>, onBadRecord: OnBadRecord = throwFault): undefined {
    divideByValidity(
      block,
      endOfLine,
      (run) => this.#readText(run, onRow, onBadRecord),
      (record) => {
        onBadRecord(invalidText(record, this.#file, this.nextLine, ENCODING_HELP), this.nextLine, record);
        this.nextLine += 1;
      },
    );
  }

  rejectLine(reason: string, written: Buffer, onBadRecord: OnBadRecord = throwFault): void {
    const hint = this.#hintFor(written.toString('latin1', 0, 1));
    onBadRecord(new InputError(this.#file, this.nextLine, reason + hint), this.nextLine, written);
    this.nextLine += 1;
  }

  #readText(block: Buffer, onRow: OnRow<JsonRecord>, onBadRecord: OnBadRecord): void {
    const text = decodeUtf8(block);
    const mayHaveUnusualNumbers = UNUSUAL_NUMBER.test(text);
    this.#text = text;
    this.#end = 0;
    for (let start = 0; start < text.length; start = this.#end, this.nextLine += 1) {
      const lineFeed = text.indexOf('\n', start);
      const line = text.slice(start, lineFeed === -1 ? text.length : lineFeed);
      this.#start = start;
      this.#end = lineFeed === -1 ? text.length : lineFeed + 1;
      // JSON's reader throws for a blank line, which takes as long as reading a record.
      if (isBlank(line)) continue;
      const record = this.#parse(line, mayHaveUnusualNumbers, onBadRecord);
      if (record !== undefined) onRow(record, this.nextLine);
    }
    // Else a long text would stay in memory until the next block.
    this.#text = '';
  }

  /** Returns the fault of a record for which the call stack was too short: JSON's readers and writers are recursive. */
  nestedTooDeeply(line: number, error: RangeError): InputError {
    return new InputError(this.#file, line, NESTED_TOO_DEEPLY, error);
  }

  /** Returns nothing for a line that was passed to `onBadRecord`. */
  #parse(line: string, mayHaveUnusualNumbers: boolean, onBadRecord: OnBadRecord): JsonRecord | undefined {
    let value: unknown;
    try {
      value =
        line.length < LONG_RECORD
          ? parseShort(line, mayHaveUnusualNumbers)
          : parseLongRecord(line, this.#kept);
    } catch (error) {
      onBadRecord(this.#faultOf(error as Error, line), this.nextLine, this.written);
      return undefined;
    }
    if (isObject(value)) return value;
    const fault = new InputError(
      this.#file,
      this.nextLine,
      `expected a JSON object, got ${nameOf(value)}${this.#hintFor(line)}`,
    );
    onBadRecord(fault, this.nextLine, this.written);
    return undefined;
  }

  #faultOf(error: Error, text: string): InputError {
    return error instanceof RangeError
      ? this.nestedTooDeeply(this.nextLine, error)
      : new InputError(this.#file, this.nextLine, reasonOf(error) + this.#hintFor(text), error);
  }

  /** Returns what to do if the file is JSON, but not one object a line: then its first line is the beginning of something. */
  #hintFor(text: string): string {
    const countsRecords = typeof this.#file === 'object' && this.#file.countsRecords === true;
    if (this.nextLine > 1 || countsRecords || !isBeginningOfMore(text)) return '';
    return '; if it is JSON that is not one object on each line, give --format json';
  }
}

/**
 * Reads a text that is one object, with or without line breaks.
 *
 * @param kept which keys of a long record are kept (default: all)
 * @throws {Error} saying what else it is
 */
export function readObject(text: string, kept?: SelectedKeys): JsonRecord {
  let value: unknown;
  try {
    value = text.length < LONG_RECORD ? parseShort(text, true) : parseLongRecord(text, kept);
  } catch (error) {
    throw new Error(reasonOf(error as Error), { cause: error });
  }
  if (isObject(value)) return value;
  throw new Error(`expected a JSON object, got ${nameOf(value)}`);
}

function reasonOf(error: Error): string {
  return error instanceof RangeError ? NESTED_TOO_DEEPLY : `not JSON: ${whyNotJson(error)}`;
}

/** Returns whether a line is an array, or a part of a value. */
function isBeginningOfMore(line: string): boolean {
  const bytes = Buffer.from(line.trimStart());
  if (bytes[0] === OPENING_BRACKET) return true;
  if (bytes[0] !== OPENING_BRACE) return false;
  const scanner = new ValueScanner('');
  scanner.begin(OPENING_BRACE);
  scanner.scan(bytes, 0, new ByteOutput());
  return !scanner.isWhole;
}

/** Checks the first character first: most lines have a brace there. */
function isBlank(line: string): boolean {
  const first = line.charCodeAt(0);
  return line === '' || first === 0x20 || first < 0x0e || first > 0x7f ? line.trim() === '' : false;
}

function isObject(value: unknown): value is JsonRecord {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof WrittenJson)
  );
}

const LOSSLESS = {
  parseNumber: numberAsWritten,
  // The last one wins, as in JSON.parse.
  onDuplicateKey: ({ newValue }: { newValue: unknown }) => newValue,
};

function parseShort(line: string, mayHaveUnusualNumbers: boolean): unknown {
  const value: unknown = JSON.parse(line);
  if (!mayHaveUnusualNumbers || !isObject(value) || !UNUSUAL_NUMBER.test(line)) return value;
  // A second parse, so that the same texts are accepted whatever their numbers are.
  return parseLossless(line, undefined, LOSSLESS);
}

function nameOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) || value instanceof WrittenJson ? 'an array' : `a ${typeof value}`;
}

/** Returns the parser's reason without its quotes from the line, which are the user's data. */
function whyNotJson(error: Error): string {
  if (error instanceof JsonFault) return error.message;
  if (/end of JSON input|Unterminated string/.test(error.message))
    return 'the text ends in the middle of a value';
  const placed = /^(.*?)(?: in JSON)? at position (\d+)/.exec(error.message);
  if (placed !== null)
    return `${placed[1]!.replace(/^./, (letter) => letter.toLowerCase())} at character ${Number(placed[2]) + 1}`;
  return /^Unexpected token '.+?'/s.exec(error.message)?.[0].replace('Un', 'un') ?? 'unexpected text';
}
