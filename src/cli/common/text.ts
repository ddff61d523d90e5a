/** Bytes to text, with nothing replaced on the way: what is not UTF-8 is refused, with its place. */

import { isAscii, isUtf8 } from 'node:buffer';
import { InputError } from './errors.js';

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/** Bytes that are known to be UTF-8, as a text. */
export function decodeUtf8(bytes: Buffer): string {
  return isAscii(bytes) ? bytes.toString('latin1') : bytes.toString('utf8');
}

/** Where the record that begins at `start` ends, its line feed included. */
export type FindRecordEnd = (bytes: Buffer, start: number) => number;

export function endOfLine(bytes: Buffer, start: number): number {
  const lineFeed = bytes.indexOf(LINE_FEED, start);
  return lineFeed === -1 ? bytes.length : lineFeed + 1;
}

/** Cuts whole records where UTF-8 ends and begins again: what is UTF-8 in runs as long as they come, what is not record by record. */
export function divideByValidity(
  bytes: Buffer,
  recordEnd: FindRecordEnd,
  valid: (run: Buffer) => void,
  invalid: (record: Buffer) => void,
): void {
  if (isUtf8(bytes)) {
    valid(bytes);
    return;
  }
  let runStart = 0;
  for (let start = 0; start < bytes.length;) {
    const end = recordEnd(bytes, start);
    const record = bytes.subarray(start, end);
    if (!isUtf8(record)) {
      if (start > runStart) valid(bytes.subarray(runStart, start));
      invalid(record);
      runStart = end;
    }
    start = end;
  }
  if (runStart < bytes.length) valid(bytes.subarray(runStart));
}

/** Names the line, and the byte. `record` is not UTF-8 and begins on line `firstLine`. */
export function invalidText(record: Buffer, file: string, firstLine: number): InputError {
  let line = firstLine;
  let start = 0;
  let end = endOfLine(record, start);
  while (isUtf8(record.subarray(start, end))) {
    line += 1;
    start = end;
    end = endOfLine(record, start);
  }
  const offset = firstInvalid(record.subarray(start, end));
  const byte = record[start + offset]!.toString(16).toUpperCase().padStart(2, '0');
  return new InputError(file, line, `not UTF-8: byte 0x${byte} at byte ${offset + 1} of the line`);
}

/** Offset of the first byte that belongs to no whole character. There is one. */
function firstInvalid(bytes: Buffer): number {
  const replaced = Buffer.from(bytes.toString('utf8'));
  let offset = 0;
  while (bytes[offset] === replaced[offset]) offset += 1;
  // It may begin as U+FFFD does, which stands in its place: its first byte is the one to name.
  while (!isUtf8(bytes.subarray(0, offset))) offset -= 1;
  return offset;
}

/** The most of a record that cannot be read which is kept as its text. */
export const LONGEST_TEXT_BYTES = 64 * 1024;

/**
 * A record as it was written, without its line break, as a text of its own, so that no block stays in memory for it: its first
 * {@link LONGEST_TEXT_BYTES} at most, up to a whole character. What is not UTF-8 has become U+FFFD.
 */
export function textAsWritten(record: string | Buffer): string {
  // A character has a byte at least.
  const bytes = typeof record === 'string' ? Buffer.from(record.slice(0, LONGEST_TEXT_BYTES)) : record;
  let end = bytes.length;
  if (bytes[end - 1] === LINE_FEED) end -= bytes[end - 2] === CARRIAGE_RETURN ? 2 : 1;
  return bytes.toString('utf8', 0, end <= LONGEST_TEXT_BYTES ? end : wholeCharacters(bytes));
}

/** As many bytes up to the limit as do not end within a character. */
function wholeCharacters(bytes: Buffer): number {
  let end = LONGEST_TEXT_BYTES;
  // A continuation byte goes on with a character; one has at most three.
  while (end > LONGEST_TEXT_BYTES - 3 && (bytes[end]! & 0xc0) === 0x80) end -= 1;
  return end;
}

/** What a file must have shown of itself before it can be told whether it begins with a byte order mark. */
export const LONGEST_MARK_BYTES = 3;

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
