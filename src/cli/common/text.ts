/** Decodes bytes as text. Nothing is replaced: bytes that are not UTF-8 are an error with their place. */

import { isAscii, isUtf8 } from 'node:buffer';
import { CARRIAGE_RETURN, LINE_FEED } from '../../common/bytes.js';
import { InputError, type InputName } from './errors.js';

/**
 * First field of two that stand in place of a comment where each line, also a blank one, is a record of one field. No value has U+0000.
 */
export const LEFT_OUT = '\0';

export const ENCODING_HELP = '; --encoding says how the file is encoded';

/** Decodes bytes that are known to be UTF-8. */
export function decodeUtf8(bytes: Buffer): string {
  return isAscii(bytes) ? bytes.toString('latin1') : bytes.toString('utf8');
}

/** Returns where the record at `start` ends, its line feed included. */
export type FindRecordEnd = (bytes: Buffer, start: number) => number;

export function endOfLine(bytes: Buffer, start: number): number {
  const lineFeed = bytes.indexOf(LINE_FEED, start);
  return lineFeed === -1 ? bytes.length : lineFeed + 1;
}

/** Divides whole records by validity: valid UTF-8 in runs as long as possible, the rest record by record. */
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

/**
 * Returns an error that names line and byte.
 *
 * @param record not UTF-8, begins on line `firstLine`
 * @param help what can be done about it
 */
export function invalidText(record: Buffer, file: InputName, firstLine: number, help = ''): InputError {
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
  return new InputError(file, line, `not UTF-8: byte 0x${byte} at byte ${offset + 1} of the line${help}`);
}

/** Returns the offset of the first byte that is not part of a whole character. */
function firstInvalid(bytes: Buffer): number {
  const replaced = Buffer.from(bytes.toString('utf8'));
  let offset = 0;
  while (bytes[offset] === replaced[offset]) offset += 1;
  // The bad bytes may begin as U+FFFD does, which replaces them: step back to their first byte.
  while (!isUtf8(bytes.subarray(0, offset))) offset -= 1;
  return offset;
}

/** Bytes of a record that cannot be read which are kept as its text. */
export const LONGEST_TEXT_BYTES = 64 * 1024;

/**
 * Returns a record's text without its line break: at most {@link LONGEST_TEXT_BYTES}, up to a whole character. Bytes that are not UTF-8
 * become U+FFFD. The text is a copy, so that it does not keep the block in memory.
 */
export function textAsWritten(record: string | Buffer): string {
  // Each character has at least one byte.
  const bytes = typeof record === 'string' ? Buffer.from(record.slice(0, LONGEST_TEXT_BYTES)) : record;
  let end = bytes.length;
  if (bytes[end - 1] === LINE_FEED) end -= bytes[end - 2] === CARRIAGE_RETURN ? 2 : 1;
  return bytes.toString('utf8', 0, end <= LONGEST_TEXT_BYTES ? end : wholeCharacters(bytes));
}

/** Returns the length up to the limit that does not end within a character. */
function wholeCharacters(bytes: Buffer): number {
  let end = LONGEST_TEXT_BYTES;
  // A continuation byte goes on with a character; one has at most three.
  while (end > LONGEST_TEXT_BYTES - 3 && (bytes[end]! & 0xc0) === 0x80) end -= 1;
  return end;
}

/** Bytes that are needed to recognise a byte order mark. */
export const LONGEST_MARK_BYTES = 3;

const BYTE_ORDER_MARKS: readonly (readonly [string, string])[] = [
  ['efbbbf', 'UTF-8'],
  ['fffe', 'UTF-16 (little endian)'],
  ['feff', 'UTF-16 (big endian)'],
];

/**
 * Removes UTF-8's byte order mark from the beginning of a file.
 *
 * @throws {InputError} for a byte order mark of UTF-16
 */
export function withoutByteOrderMark(bytes: Buffer, file: string): Buffer {
  for (const [mark, encoding] of BYTE_ORDER_MARKS) {
    if (bytes.toString('hex', 0, mark.length / 2) !== mark) continue;
    if (encoding === 'UTF-8') return bytes.subarray(mark.length / 2);
    throw new InputError(
      file,
      1,
      `the text is ${encoding}, by its byte order mark; it must be UTF-8; iconv -f UTF-16 -t UTF-8 FILE | spillway load - … makes it so`,
    );
  }
  return bytes;
}
