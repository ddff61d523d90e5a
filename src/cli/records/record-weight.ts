/**
 * Rejects long JSON records that would take many times their bytes as objects. Pure.
 *
 * `[[],[],…]` takes 20 times its bytes, and each level of nesting 170 bytes. The check comes before parsing and in both pipelines, so that
 * both reject the same records.
 */

import {
  BACKSLASH,
  CLOSING_BRACE,
  CLOSING_BRACKET,
  COLON,
  COMMA,
  LINE_FEED,
  OPENING_BRACE,
  OPENING_BRACKET,
  QUOTE,
} from '../../common/bytes.js';

/** Bytes of `--max-record-bytes` for each value or key that a record may have. */
const BYTES_PER_VALUE = 16;
/** Most levels. Far more than can be stored: readers and writers of JSON are recursive. */
const MOST_LEVELS = 100_000;
/** Shorter records can do no harm. */
const LONG_BYTES = 64 * 1024;

export type WeightFault = 'too_many_values' | 'too_deep';

export function mostValues(maxRecordBytes: number): number {
  return Math.max(LONG_BYTES, Math.floor(maxRecordBytes / BYTES_PER_VALUE));
}

/** Passes on the lines of a block: each line that is too heavy by itself, the others together. */
export function divideByWeight(
  block: Buffer,
  maxRecordBytes: number,
  whole: (block: Buffer) => void,
  heavy: (fault: WeightFault, line: Buffer) => void,
): void {
  let from = 0;
  for (let start = 0; block.length - start > LONG_BYTES;) {
    // Jumps to the last line feed in reach: nearly all lines are short.
    const last = block.lastIndexOf(LINE_FEED, start + LONG_BYTES - 1);
    if (last >= start) {
      start = last + 1;
      continue;
    }
    const lineFeed = block.indexOf(LINE_FEED, start);
    const end = lineFeed === -1 ? block.length : lineFeed + 1;
    const line = block.subarray(start, end);
    const fault = weightFault(line, mostValues(maxRecordBytes));
    if (fault !== undefined) {
      if (start > from) whole(block.subarray(from, start));
      heavy(fault, line);
      from = end;
    }
    start = end;
  }
  if (from < block.length) whole(from === 0 ? block : block.subarray(from));
}

function weightFault(line: Buffer, most: number): WeightFault | undefined {
  let values = 0;
  let levels = 0;
  let isString = false;
  for (let i = 0; i < line.length; i += 1) {
    const byte = line[i]!;
    if (isString) {
      if (byte === BACKSLASH) i += 1;
      else if (byte === QUOTE) isString = false;
    } else if (byte === QUOTE) isString = true;
    else if (byte === COMMA || byte === COLON) values += 1;
    else if (byte === OPENING_BRACKET || byte === OPENING_BRACE) {
      values += 1;
      levels += 1;
      if (levels > MOST_LEVELS) return 'too_deep';
    } else if (byte === CLOSING_BRACKET || byte === CLOSING_BRACE) levels -= 1;
  }
  return values > most ? 'too_many_values' : undefined;
}
