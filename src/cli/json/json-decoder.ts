/** JSON that is not UTF-8: UTF-16 and UTF-32, which the first bytes say, or what `--encoding` says. */

import { LINE_FEED } from '../../common/bytes.js';
import { TextConverter } from '../common/text-converter.js';
import type { ByteConverter, SourceFile } from '../input/source.js';

const NOTHING = Buffer.alloc(0);
/** Bytes that decide. */
const HEAD_BYTES = 4;

/**
 * Returns the encoding by the first bytes, and `utf-8` if nothing else is seen.
 *
 * JSON begins with an ASCII character, and after it comes one in most files: so zeros say the encoding also without a byte order mark
 * (RFC 4627, section 3).
 */
export function jsonEncodingOf(head: Buffer): string {
  const pattern = [...head.subarray(0, HEAD_BYTES)].map((byte) => (byte === 0 ? '0' : 'x')).join('');
  const hex = head.toString('hex', 0, HEAD_BYTES);
  if (hex === 'fffe0000' || pattern === 'x000') return 'utf-32le';
  if (hex === '0000feff' || pattern === '000x') return 'utf-32be';
  if (hex.startsWith('fffe') || /^x0(?:x|$)/.test(pattern)) return 'utf-16le';
  if (hex.startsWith('feff') || pattern.startsWith('0x')) return 'utf-16be';
  return 'utf-8';
}

/** Reads one file. UTF-8 is passed on as it is. */
export class JsonDecoder implements ByteConverter {
  readonly #file: string;
  #encoding: string | undefined;
  #converter: TextConverter | undefined;
  /** The file's first bytes, while they are too few. */
  #beginning: Buffer | undefined = NOTHING;

  /** @param encoding undefined: the first bytes say it */
  constructor({ name }: SourceFile, encoding: string | undefined) {
    this.#file = name;
    this.#encoding = encoding;
  }

  /** @throws {InputError} for a byte that does not fit, naming its line */
  convert(bytes: Buffer, isLast: boolean): Buffer {
    const input = this.#beginning === undefined ? bytes : this.#begin(this.#beginning, bytes, isLast);
    return this.#converter?.convert(input, isLast) ?? input;
  }

  /** Returns nothing until there are enough bytes to decide. */
  #begin(before: Buffer, bytes: Buffer, isLast: boolean): Buffer {
    const input = before.length === 0 ? bytes : Buffer.concat([before, bytes]);
    if (input.length < HEAD_BYTES && !isLast) {
      this.#beginning = Buffer.from(input);
      return NOTHING;
    }
    this.#beginning = undefined;
    this.#encoding ??= jsonEncodingOf(input);
    if (this.#encoding !== 'utf-8')
      this.#converter = new TextConverter({ file: this.#file, encoding: this.#encoding, lineEnd: LINE_FEED });
    return input;
  }
}
