/**
 * Whether a long record of JSON would take many times its bytes as objects: `[[],[],…]` takes 20 times as much, and each level of nesting 170
 * bytes. Looked at before it is parsed, and for every way that records go, so that all of them refuse the same. Pure.
 */

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPENING_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSING_BRACKET = 0x5d;
const OPENING_BRACE = 0x7b;
const CLOSING_BRACE = 0x7d;
const LINE_FEED = 0x0a;

/** A record may have one value or key for so many bytes of `--max-record-bytes`. */
const BYTES_PER_VALUE = 16;
/** What can be stored is far below: readers and writers of JSON call themselves for each level. */
const MOST_LEVELS = 100_000;
/** Shorter ones can do no harm. */
const LONG_BYTES = 64 * 1024;

export type WeightFault = 'too_many_values' | 'too_deep';

export function mostValues(maxRecordBytes: number): number {
  return Math.max(LONG_BYTES, Math.floor(maxRecordBytes / BYTES_PER_VALUE));
}

/** Passes on the lines of a block: those that are too heavy by themselves, the others together. */
export function divideByWeight(
  block: Buffer,
  maxRecordBytes: number,
  whole: (block: Buffer) => void,
  heavy: (fault: WeightFault, line: Buffer) => void,
): void {
  let from = 0;
  for (let start = 0; block.length - start > LONG_BYTES;) {
    // Not line by line: nearly all are short.
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
