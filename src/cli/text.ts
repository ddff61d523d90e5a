/** Bytes to text, with nothing replaced on the way: what is not UTF-8 is refused, with its place. */

import { isAscii, isUtf8 } from 'node:buffer';
import { InputError } from './errors.js';

const LINE_FEED = 0x0a;

/** Bytes that are known to be UTF-8, as a text. */
export function decodeUtf8(bytes: Buffer): string {
  return isAscii(bytes) ? bytes.toString('latin1') : bytes.toString('utf8');
}

/** The first line that is not UTF-8. */
export interface InvalidText {
  /** How many bytes there are before that line. */
  readonly before: number;
  /** Names the line, and the byte. */
  readonly error: InputError;
}

/** @param firstLine the number of the line on which `bytes` begin */
export function findInvalidText(bytes: Buffer, file: string, firstLine: number): InvalidText | undefined {
  if (isUtf8(bytes)) return undefined;
  let line = firstLine;
  for (let start = 0; start < bytes.length; line += 1) {
    const lineFeed = bytes.indexOf(LINE_FEED, start);
    const end = lineFeed === -1 ? bytes.length : lineFeed + 1;
    const text = bytes.subarray(start, end);
    if (!isUtf8(text)) {
      const offset = firstInvalid(text);
      const byte = text[offset]!.toString(16).toUpperCase().padStart(2, '0');
      const message = `not UTF-8: byte 0x${byte} at byte ${offset + 1} of the line`;
      return { before: start, error: new InputError(file, line, message) };
    }
    start = end;
  }
  return undefined;
}

/** Offset of the first byte that belongs to no whole character. */
function firstInvalid(bytes: Buffer): number {
  const begins = (length: number): boolean => {
    try {
      new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, length), { stream: true });
      return true;
    } catch {
      return false;
    }
  };
  let good = 0;
  let bad = bytes.length + 1;
  while (bad - good > 1) {
    const middle = (good + bad) >>> 1;
    if (middle <= bytes.length && begins(middle)) good = middle;
    else bad = middle;
  }
  // Up to here it may be the beginning of a character that does not go on: its first byte is the one to name.
  while (!isUtf8(bytes.subarray(0, good))) good -= 1;
  return good;
}

const BYTE_ORDER_MARKS: readonly (readonly [string, string])[] = [
  ['efbbbf', 'UTF-8'],
  ['fffe', 'UTF-16 (little endian)'],
  ['feff', 'UTF-16 (big endian)'],
];

/**
 * The beginning of a file without UTF-8's byte order mark.
 *
 * @throws {InputError} where the mark is that of UTF-16.
 */
export function withoutByteOrderMark(bytes: Buffer, file: string): Buffer {
  for (const [mark, encoding] of BYTE_ORDER_MARKS) {
    if (bytes.toString('hex', 0, mark.length / 2) !== mark) continue;
    if (encoding === 'UTF-8') return bytes.subarray(mark.length / 2);
    throw new InputError(file, 1, `the text is ${encoding}, by its byte order mark; it must be UTF-8`);
  }
  return bytes;
}
