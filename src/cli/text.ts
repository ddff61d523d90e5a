/** Bytes to text, with nothing replaced on the way: what is not UTF-8 is refused, with its place. */

import { isAscii, isUtf8 } from 'node:buffer';
import { InputError } from './errors.js';

const LINE_FEED = 0x0a;

/**
 * @param firstLine the number of the line on which `bytes` begin.
 * @throws {InputError} naming the line, and the place in it, of the first byte that is not UTF-8.
 */
export function decodeText(bytes: Buffer, file: string, firstLine: number): string {
  if (isAscii(bytes)) return bytes.toString('latin1');
  checkUtf8(bytes, file, firstLine);
  return bytes.toString('utf8');
}

/** As {@link decodeText}, without making a text. */
export function checkUtf8(bytes: Buffer, file: string, firstLine: number): void {
  if (isUtf8(bytes)) return;
  let line = firstLine;
  for (let start = 0; start < bytes.length; line += 1) {
    const lineFeed = bytes.indexOf(LINE_FEED, start);
    const end = lineFeed === -1 ? bytes.length : lineFeed + 1;
    const text = bytes.subarray(start, end);
    if (!isUtf8(text)) {
      const offset = firstInvalid(text);
      const byte = text[offset]!.toString(16).toUpperCase().padStart(2, '0');
      throw new InputError(file, line, `not UTF-8: byte 0x${byte} at byte ${offset + 1} of the line`);
    }
    start = end;
  }
}

/** Offset of the first byte that cannot be part of UTF-8, or of the sequence that is cut off by the end. */
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
  if (good < bytes.length) return good;
  // All of it is a beginning, and the end is missing: go back to where that character starts.
  let start = bytes.length - 1;
  while (start > 0 && (bytes[start]! & 0xc0) === 0x80) start -= 1;
  return start;
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
