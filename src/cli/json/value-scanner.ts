/**
 * Finds the end of a JSON value, and copies it without line breaks.
 *
 * It counts brackets and knows what is text. Everything else is checked by the reader of the records, so each byte of a token is copied as it
 * is. White space between tokens is left out, or becomes one space if two tokens would else be one.
 *
 * ```text
 *             "                   \
 *   TOKENS ◀─────▶ STRING ◀─────────────▶ ESCAPED        SCALAR (a number or a word that stands alone)
 *      │              │                                      │
 *      └── depth 0 ───┴─────────────▶ the end ◀── , ] } and white space (not part of it)
 * ```
 */

import {
  BACKSLASH,
  CARRIAGE_RETURN,
  CLOSING_BRACE,
  CLOSING_BRACKET,
  COMMA,
  COLON,
  LINE_FEED,
  OPENING_BRACE,
  OPENING_BRACKET,
  QUOTE,
  SPACE,
  TAB,
} from '../../common/bytes.js';
import { InputError } from '../common/errors.js';
import type { ByteOutput } from './byte-output.js';

/** Stands before each record of RFC 7464. It cannot be part of JSON. */
export const RECORD_SEPARATOR = 0x1e;

const Place = { TOKENS: 0, STRING: 1, ESCAPED: 2, SCALAR: 3 } as const;
type Place = (typeof Place)[keyof typeof Place];

export class ValueScanner {
  /** Line of the next byte. */
  line = 1;
  /** The value has ended. */
  isWhole = false;
  readonly #file: string;
  #place: Place = Place.TOKENS;
  #depth = 0;
  /** The last byte that was copied, or a space. */
  #previous = SPACE;

  constructor(file: string) {
    this.#file = file;
  }

  /** @param depth brackets that are open before it */
  begin(firstByte: number, depth = 0): void {
    const isScalar = depth === 0 && !BEGINNINGS.has(firstByte);
    this.#place = isScalar ? Place.SCALAR : Place.TOKENS;
    this.#depth = depth;
    this.#previous = SPACE;
    this.isWhole = false;
  }

  /**
   * Returns the offset behind the value, or the length if it goes on.
   *
   * @throws {InputError} for a line break within text
   */
  scan(input: Buffer, start: number, output: ByteOutput): number {
    output.reserve(input.length - start);
    const { bytes } = output;
    const first = output.length;
    let to = first;
    let place = this.#place;
    let depth = this.#depth;
    let previous = this.#previous;
    let at = start;
    for (; at < input.length && !this.isWhole; at += 1) {
      const byte = input[at]!;
      if (byte === RECORD_SEPARATOR) {
        // The value before it was cut off. The reader of the record says so.
        this.isWhole = true;
        break;
      }
      if (place === Place.STRING) {
        if (byte === QUOTE) {
          place = Place.TOKENS;
          this.isWhole = depth === 0;
        } else if (byte === BACKSLASH) place = Place.ESCAPED;
        else if (byte === LINE_FEED) this.#failInText();
      } else if (place === Place.ESCAPED) {
        if (byte === LINE_FEED) this.#failInText();
        place = Place.STRING;
      } else if (place === Place.SCALAR) {
        if (isWhiteSpace(byte) || IS_MARK[byte] === 1 || byte === QUOTE) {
          this.isWhole = true;
          break;
        }
      } else if (isWhiteSpace(byte)) {
        if (byte === LINE_FEED) this.line += 1;
        if (previous === SPACE || previous === QUOTE || IS_MARK[previous] === 1) continue;
        bytes[to] = previous = SPACE;
        to += 1;
        continue;
      } else if (byte === QUOTE) place = Place.STRING;
      else if (byte === OPENING_BRACE || byte === OPENING_BRACKET) depth += 1;
      else if (byte === CLOSING_BRACE || byte === CLOSING_BRACKET) {
        if (previous === SPACE && to > first && bytes[to - 1] === SPACE) to -= 1;
        depth -= 1;
        this.isWhole = depth === 0;
      }
      bytes[to] = previous = byte;
      to += 1;
    }
    output.length = to;
    this.#place = place;
    this.#depth = depth;
    this.#previous = previous;
    return at;
  }

  #failInText(): never {
    throw new InputError(
      this.#file,
      this.line,
      'not JSON: a line break within text; is a quote missing, or should it be \\n?',
    );
  }
}

export function isWhiteSpace(byte: number): boolean {
  return byte === SPACE || byte === LINE_FEED || byte === CARRIAGE_RETURN || byte === TAB;
}

/** Returns whether a byte that is no white space stands behind or between values. */
export function beginsNoValue(byte: number): boolean {
  return IS_MARK[byte] === 1 && byte !== OPENING_BRACE && byte !== OPENING_BRACKET;
}

/** Returns a byte for people. */
export function showByte(byte: number): string {
  return byte > SPACE && byte < 0x7f ? String.fromCharCode(byte) : `byte 0x${byte.toString(16)}`;
}

const BEGINNINGS = new Set([OPENING_BRACE, OPENING_BRACKET, QUOTE]);

/** By byte: 1 for what stands between values. */
const IS_MARK = new Uint8Array(256);
for (const mark of [OPENING_BRACE, OPENING_BRACKET, CLOSING_BRACE, CLOSING_BRACKET, COMMA, COLON])
  IS_MARK[mark] = 1;
