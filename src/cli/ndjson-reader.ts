/** Blocks of whole lines to JSON objects. Numbers that a JavaScript number cannot hold exactly keep their digits. */

import { isSafeNumber, LosslessNumber, parse as parseLossless } from 'lossless-json';
import { tooLong, type TakeRow } from './csv-reader.js';
import { InputError } from './errors.js';
import { decodeUtf8, findInvalidText } from './text.js';

/** Values are JSON's, and `LosslessNumber` where a number has more digits than a JavaScript number keeps. */
export type JsonRecord = Readonly<Record<string, unknown>>;

/** A number that may lose digits, or its size, as a JavaScript number. May match within a string too: that costs time only. */
const LONG_NUMBER = /[\d.]{16}|\d[eE][+-]?\d{3}/;

/** Reads the blocks of one file, in their order. */
export class NdjsonReader {
  /** The number of the line on which the next block begins. */
  nextLine = 1;
  readonly #file: string;
  readonly #maxRecordBytes: number;

  constructor(file: string, maxRecordBytes: number) {
    this.#file = file;
    this.#maxRecordBytes = maxRecordBytes;
  }

  /** @throws {InputError} naming file and line of the first line that is neither blank nor a JSON object. */
  read(block: Buffer, take: TakeRow<JsonRecord>): void {
    const invalid = findInvalidText(block, this.#file, this.nextLine);
    this.#readText(invalid === undefined ? block : block.subarray(0, invalid.before), take);
    if (invalid !== undefined) throw invalid.error;
  }

  #readText(block: Buffer, take: TakeRow<JsonRecord>): void {
    const text = decodeUtf8(block);
    const mayBeTooLong = block.length > this.#maxRecordBytes;
    const mayHaveLongNumbers = LONG_NUMBER.test(text);
    for (let start = 0; start < text.length; this.nextLine += 1) {
      const lineFeed = text.indexOf('\n', start);
      const line = text.slice(start, lineFeed === -1 ? text.length : lineFeed);
      start = lineFeed === -1 ? text.length : lineFeed + 1;
      if (mayBeTooLong && Buffer.byteLength(line) > this.#maxRecordBytes) this.refuseOversized();
      const value = this.#parse(line, mayHaveLongNumbers);
      if (value !== undefined) take(value, this.nextLine);
    }
  }

  refuseOversized(): never {
    throw new InputError(this.#file, this.nextLine, tooLong(this.#maxRecordBytes));
  }

  /** The call stack was too short for the record: the readers of JSON, and its writers, call themselves for each level. */
  refuseNested(line: number, error: RangeError): never {
    throw new InputError(this.#file, line, 'the record is nested too deeply', error);
  }

  #parse(line: string, mayHaveLongNumbers: boolean): JsonRecord | undefined {
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch (error) {
      if (error instanceof RangeError) this.refuseNested(this.nextLine, error);
      if (line.trim() === '') return undefined;
      throw new InputError(this.#file, this.nextLine, `not JSON: ${whyNotJson(error as Error)}`, error);
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new InputError(this.#file, this.nextLine, `expected a JSON object, got ${nameOf(value)}`);
    }
    // Parsed a second time, so that what is accepted never hangs on the length of a number.
    if (mayHaveLongNumbers && LONG_NUMBER.test(line)) value = this.#parseLossless(line);
    return value as JsonRecord;
  }

  #parseLossless(line: string): unknown {
    try {
      return parseLossless(line, undefined, LOSSLESS);
    } catch (error) {
      if (error instanceof RangeError) this.refuseNested(this.nextLine, error);
      throw error;
    }
  }
}

const LOSSLESS = {
  parseNumber: (text: string) => (isSafeNumber(text) ? Number(text) : new LosslessNumber(text)),
  // The last one wins, as in JSON.parse.
  onDuplicateKey: ({ newValue }: { newValue: unknown }) => newValue,
};

function nameOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'an array' : `a ${typeof value}`;
}

/** The parser's own reason without what it quotes from the line: that is data. */
function whyNotJson(error: Error): string {
  if (/end of JSON input|Unterminated string/.test(error.message))
    return 'the text ends in the middle of a value';
  const placed = /^(.*?)(?: in JSON)? at position (\d+)/.exec(error.message);
  if (placed !== null)
    return `${placed[1]!.replace(/^./, (letter) => letter.toLowerCase())} at character ${Number(placed[2]) + 1}`;
  return /^Unexpected token '.+?'/s.exec(error.message)?.[0].replace('Un', 'un') ?? 'unexpected text';
}
