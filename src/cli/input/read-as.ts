/** Turns a file's bytes into what the loader reads: UTF-8, without the lines before the table, in its own dialect of CSV. */

import { CARRIAGE_RETURN, LINE_FEED } from '../../common/bytes.js';
import { InputError } from '../common/errors.js';
import { CsvTranslator, isCanonical, type CsvDialect } from './csv-translator.js';
import { withoutNul } from './nul.js';
import type { ByteConverter, SourceFile } from './source.js';
import type { NulAction } from '../values/value-flags.js';
import { TextConverter } from '../common/text-converter.js';

export interface ReadAs extends CsvDialect {
  readonly encoding: string;
  /** Lines at the beginning of each file that are left out. */
  readonly skip: number;
  /** The number of lines was found in the first file. In another one, such a line must not look like a record. */
  readonly isSkipDetected?: boolean | undefined;
  readonly maxRecordBytes: number;
  /** What is done with U+0000. Undefined: it stays, and the record is refused. */
  readonly nul?: NulAction | undefined;
}

/** Returns undefined if the files are read as they are. */
export function converterFor(reading: ReadAs): ((file: SourceFile) => ByteConverter) | undefined {
  const { encoding, skip, nul } = reading;
  const isPlain = encoding === 'utf-8' && skip === 0 && nul === undefined && isCanonical(reading);
  if (isPlain) return undefined;
  let skipped: string[] | undefined;
  return (file) => {
    const converter = new FileConverter(file, reading, skipped);
    skipped ??= converter.skipped;
    return converter;
  };
}

const NOTHING = Buffer.alloc(0);
/** The byte order mark in UTF-8. */
const MARK = Buffer.from('\ufeff');

class FileConverter implements ByteConverter {
  readonly #file: SourceFile;
  readonly #decoder: TextConverter | undefined;
  readonly #translator: CsvTranslator | undefined;
  readonly #lineEnd: number;
  readonly #nul: NulAction | undefined;
  readonly #delimiter: string | undefined;
  /** Of the first file; undefined if the lines need not be compared. */
  readonly #expected: readonly string[] | undefined;
  /** The lines that were left out. */
  readonly skipped: string[] = [];
  #toSkip: number;
  /** The beginning of a line to leave out. */
  #line = '';
  /** Bytes that may be a byte order mark; undefined after it. */
  #beginning: Buffer | undefined = NOTHING;

  /** @param skipped by the converter of the first file */
  constructor(file: SourceFile, reading: ReadAs, skipped: readonly string[] | undefined) {
    this.#delimiter = reading.fieldCount === 1 ? undefined : reading.delimiter;
    this.#expected = reading.isSkipDetected === true ? skipped : undefined;
    this.#file = file;
    const { encoding, lineBreak, maxRecordBytes } = reading;
    const lineEnd = lineBreak === 'cr' ? CARRIAGE_RETURN : LINE_FEED;
    this.#decoder =
      encoding === 'utf-8' ? undefined : new TextConverter({ file: file.name, encoding, lineEnd });
    this.#translator = isCanonical(reading) ? undefined : new CsvTranslator(reading, maxRecordBytes);
    this.#lineEnd = lineEnd;
    this.#toSkip = reading.skip;
    this.#nul = reading.nul;
  }

  convert(bytes: Buffer, isLast: boolean): Buffer {
    const decoded = this.#decoder?.convert(bytes, isLast) ?? this.#withoutMark(bytes, isLast);
    const text = this.#nul === undefined ? decoded : withoutNul(decoded, this.#nul);
    const table = this.#toSkip === 0 ? text : this.#withoutSkipped(text);
    return this.#translator === undefined ? table : this.#translator.translate(table, isLast);
  }

  /** A byte order mark is no part of the first field, which may begin with a quote. A decoder leaves it out itself. */
  #withoutMark(bytes: Buffer, isLast: boolean): Buffer {
    if (this.#beginning === undefined) return bytes;
    const beginning = Buffer.concat([this.#beginning, bytes]);
    if (beginning.length < MARK.length && !isLast) {
      this.#beginning = beginning;
      return NOTHING;
    }
    this.#beginning = undefined;
    return beginning.subarray(0, MARK.length).equals(MARK) ? beginning.subarray(MARK.length) : beginning;
  }

  /** @throws {InputError} for a line that may be a record: one with a delimiter, which the first file does not have in its place */
  #leaveOut(line: string): void {
    const number = this.skipped.push(line);
    const expected = this.#expected?.[number - 1];
    if (expected === undefined || line === '' || line === expected) return;
    const isComment = line.startsWith('#') && expected.startsWith('#');
    const isTitle = this.#delimiter !== undefined && !line.includes(this.#delimiter) && !line.startsWith('#');
    if (isComment || (isTitle && expected !== '')) return;
    throw new InputError(
      this.#file.name,
      number,
      `may be a record, and in the first file the line is none, and left out; --skip ${this.#toSkip + number - 1} leaves it out here, too`,
    );
  }

  #withoutSkipped(text: Buffer): Buffer {
    let start = 0;
    while (this.#toSkip > 0) {
      const end = text.indexOf(this.#lineEnd, start);
      const isWhole = end !== -1;
      if (this.#line.length < MOST_COMPARED)
        this.#line += text.toString('utf8', start, isWhole ? end : undefined);
      if (!isWhole) return text.subarray(text.length);
      this.#leaveOut(this.#line.trim());
      start = end + 1;
      this.#toSkip -= 1;
      this.#line = '';
    }
    return text.subarray(start);
  }
}

/** Of a line that is left out. */
const MOST_COMPARED = 64 * 1024;
