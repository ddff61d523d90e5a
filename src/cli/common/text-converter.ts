/** Turns a file's bytes into UTF-8, in slices. Bytes that do not fit are an error with their line: nothing is replaced. */

import { InputError } from './errors.js';
import { createDecoder, type SliceDecoder } from './text-decoder.js';

export interface TextConverterOptions {
  readonly file: string;
  readonly encoding: string;
  /** The byte that ends lines, once they are UTF-8. */
  readonly lineEnd: number;
}

export class TextConverter {
  readonly #options: TextConverterOptions;
  readonly #decoder: SliceDecoder;
  /** Lines that were decoded, for messages. */
  #lines = 0;

  constructor(options: TextConverterOptions) {
    this.#options = options;
    this.#decoder = createDecoder(options.encoding);
  }

  /** @throws {InputError} for a byte that does not fit, naming its line */
  convert(bytes: Buffer, isLast: boolean): Buffer {
    const { file, encoding, lineEnd } = this.#options;
    try {
      const decoded = Buffer.from(this.#decoder.decode(bytes) + (isLast ? this.#decoder.end() : ''));
      this.#lines += linesIn(decoded, lineEnd);
      return decoded;
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      const line = this.#lines + 1 + linesIn(Buffer.from(textBeforeFault(bytes, encoding)), lineEnd);
      const reason = `a byte is not ${encoding}, as the beginning of the file is; give --encoding`;
      throw new InputError(file, line, reason, error);
    }
  }
}

/** Decodes byte by byte, as an error does not tell its place. */
function textBeforeFault(bytes: Buffer, encoding: string): string {
  const decoder = createDecoder(encoding);
  let text = '';
  try {
    for (let at = 0; at < bytes.length; at += 1) text += decoder.decode(bytes.subarray(at, at + 1));
    return text;
  } catch {
    return text;
  }
}

function linesIn(bytes: Buffer, lineEnd: number): number {
  let lines = 0;
  for (let at = bytes.indexOf(lineEnd); at !== -1; at = bytes.indexOf(lineEnd, at + 1)) lines += 1;
  return lines;
}
