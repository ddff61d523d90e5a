/** Turns a file's bytes into what the loader reads: UTF-8, without the lines before the table, in its own dialect of CSV. */

import { InputError } from '../common/errors.js';
import { CsvTranslator, isCanonical, type CsvDialect } from './csv-translator.js';
import type { ByteConverter, SourceFile } from './source.js';
import { createDecoder, type SliceDecoder } from '../common/text-decoder.js';

export interface ReadAs extends CsvDialect {
  readonly encoding: string;
  /** Lines at the beginning of each file that are left out. */
  readonly skip: number;
  readonly maxRecordBytes: number;
}

/** Returns undefined if the files are read as they are. */
export function converterFor(reading: ReadAs): ((file: SourceFile) => ByteConverter) | undefined {
  const isPlain = reading.encoding === 'utf-8' && reading.skip === 0 && isCanonical(reading);
  return isPlain ? undefined : (file) => new FileConverter(file, reading);
}

const NOTHING = Buffer.alloc(0);
/** The byte order mark in UTF-8. */
const MARK = Buffer.from('\ufeff');

class FileConverter implements ByteConverter {
  readonly #file: SourceFile;
  readonly #encoding: string;
  readonly #decoder: SliceDecoder | undefined;
  readonly #translator: CsvTranslator | undefined;
  readonly #lineEnd: number;
  #toSkip: number;
  /** Bytes that may be a byte order mark; undefined after it. */
  #beginning: Buffer | undefined = NOTHING;
  /** Lines that were decoded, for messages. */
  #lines = 0;

  constructor(file: SourceFile, reading: ReadAs) {
    this.#file = file;
    this.#encoding = reading.encoding;
    this.#decoder = reading.encoding === 'utf-8' ? undefined : createDecoder(reading.encoding);
    this.#translator = isCanonical(reading) ? undefined : new CsvTranslator(reading, reading.maxRecordBytes);
    this.#lineEnd = reading.lineBreak === 'cr' ? 0x0d : 0x0a;
    this.#toSkip = reading.skip;
  }

  convert(bytes: Buffer, isLast: boolean): Buffer {
    const text =
      this.#decoder === undefined
        ? this.#withoutMark(bytes, isLast)
        : this.#decode(this.#decoder, bytes, isLast);
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

  #decode(decoder: SliceDecoder, bytes: Buffer, isLast: boolean): Buffer {
    try {
      const text = decoder.decode(bytes) + (isLast ? decoder.end() : '');
      const decoded = Buffer.from(text);
      this.#lines += linesIn(decoded, this.#lineEnd);
      return decoded;
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      throw new InputError(
        this.#file.name,
        this.#lines + 1 + this.#linesBeforeFault(bytes),
        `a byte is not ${this.#encoding}, as the beginning of the file is; give --encoding`,
        error,
      );
    }
  }

  /** Decodes byte by byte, as an error does not tell its place. */
  #linesBeforeFault(bytes: Buffer): number {
    const decoder = createDecoder(this.#encoding);
    let at = 0;
    try {
      for (; at < bytes.length; at += 1) decoder.decode(bytes.subarray(at, at + 1));
    } catch {
      return linesIn(bytes.subarray(0, at), this.#lineEnd);
    }
    return linesIn(bytes, this.#lineEnd);
  }

  #withoutSkipped(text: Buffer): Buffer {
    let start = 0;
    while (this.#toSkip > 0) {
      const end = text.indexOf(this.#lineEnd, start);
      if (end === -1) return text.subarray(text.length);
      start = end + 1;
      this.#toSkip -= 1;
    }
    return text.subarray(start);
  }
}

function linesIn(bytes: Buffer, lineEnd: number): number {
  let lines = 0;
  for (let at = bytes.indexOf(lineEnd); at !== -1; at = bytes.indexOf(lineEnd, at + 1)) lines += 1;
  return lines;
}
