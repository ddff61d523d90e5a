/**
 * Writes an array of JSON values as PostgreSQL's array literal, byte by byte. Pure.
 *
 * An array of nothing but arrays is a dimension; any other has its elements between quotes:
 *
 * ```text
 *   [["a",1],[{"b":null}]]   →   {{"\"a\"",1},{"{\"b\":null}"}}
 * ```
 */

import {
  BACKSLASH,
  CLOSING_BRACE,
  CLOSING_BRACKET,
  COMMA,
  LETTER_T,
  MINUS,
  OPENING_BRACE,
  OPENING_BRACKET,
  QUOTE,
} from '../../../common/bytes.js';
import { MARKED_BRACKET, valueEnd, writeQuoted } from './literal-bytes.js';

/** @param json without white space @param delimiter between elements of the literal */
export function jsonLiteral(json: string, delimiter: number): string {
  const source = Buffer.from(json);
  if (source[1] === OPENING_BRACKET) markDimensions(source);
  // At worst, `""` becomes `"\"\""`. What is not written takes no memory.
  const bytes = Buffer.allocUnsafeSlow(3 * source.length);
  let to = 0;
  /** Within an array that is no dimension. */
  let isValues = false;
  for (let at = 0; at < source.length;) {
    const byte = source[at]!;
    if (!isValues && (byte === MARKED_BRACKET || byte === OPENING_BRACKET)) {
      isValues = byte === OPENING_BRACKET;
      bytes[to++] = OPENING_BRACE;
      at += 1;
    } else if (byte === CLOSING_BRACKET) {
      isValues = false;
      bytes[to++] = CLOSING_BRACE;
      at += 1;
    } else if (byte === COMMA) {
      bytes[to++] = delimiter;
      at += 1;
    } else if (byte >= MINUS && byte <= LETTER_T && byte !== OPENING_BRACKET) {
      // Numbers and literals need no quotes. NULL may be written in small letters.
      while (source[at] !== COMMA && source[at] !== CLOSING_BRACKET) bytes[to++] = source[at++]!;
    } else {
      const end = valueEnd(source, at);
      to = writeQuoted(source, at, end, bytes, to);
      at = end;
    }
  }
  return bytes.toString('utf8', 0, to);
}

/** Marks each array of nothing but arrays, empty ones excepted. */
function markDimensions(source: Uint8Array): void {
  /** Where the open arrays begin, the innermost last; -1 for one with another value, and for an object. */
  const open: number[] = [];
  for (let at = 0; at < source.length; at += 1) {
    const byte = source[at]!;
    if (byte === COMMA) continue;
    if (byte === OPENING_BRACKET) open.push(source[at + 1] === OPENING_BRACKET ? at : -1);
    else if (byte === CLOSING_BRACKET || byte === CLOSING_BRACE) {
      const start = open.pop()!;
      if (start >= 0) source[start] = MARKED_BRACKET;
    } else {
      open[open.length - 1] = -1;
      if (byte === OPENING_BRACE) open.push(-1);
      else if (byte === QUOTE) while (source[++at] !== QUOTE) if (source[at] === BACKSLASH) at += 1;
    }
  }
}
