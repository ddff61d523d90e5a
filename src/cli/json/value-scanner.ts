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
  RECORD_SEPARATOR,
  SPACE,
  TAB,
} from '../../common/bytes.js';
import { InputError } from '../common/errors.js';
import type { ByteOutput } from './byte-output.js';

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
    let at = start;
    /** Bytes from here on are copied together, up to white space or the end. */
    let run = start;
    while (at < input.length && !this.isWhole) {
      if (this.#place === Place.TOKENS) {
        if (at === run) this.#dropSpaceBefore(input[at]!, output);
        at = this.#passTokens(input, at);
        if (this.#isAtSpace(input, at)) {
          if (at > run) this.#copy(input, run, at, output);
          run = at = this.#passSpace(input, at, output);
        }
      } else if (this.#place === Place.STRING) {
        at = nextOf(TEXT_ENDS, input, at);
        if (at < input.length) at = this.#stepInText(input[at]!, at);
      } else if (this.#place === Place.ESCAPED) {
        if (input[at] !== RECORD_SEPARATOR) this.#place = Place.STRING;
        at =
          input[at] === LINE_FEED || input[at] === RECORD_SEPARATOR
            ? this.#stepInText(input[at]!, at)
            : at + 1;
      } else {
        at = nextOf(SCALAR_ENDS, input, at);
        this.isWhole = at < input.length;
      }
    }
    if (at > run) this.#copy(input, run, at, output);
    return at;
  }

  /** Between tokens of a value that goes on. */
  #isAtSpace(input: Buffer, at: number): boolean {
    return this.#place === Place.TOKENS && !this.isWhole && at < input.length && isWhiteSpace(input[at]!);
  }

  #copy(input: Buffer, start: number, end: number, output: ByteOutput): void {
    const { bytes, length } = output;
    // A call of native code takes as long as some bytes.
    if (end - start > LONGEST_COPIED_HERE) input.copy(bytes, length, start, end);
    else for (let at = start, to = length; at < end; at += 1, to += 1) bytes[to] = input[at]!;
    output.length += end - start;
    this.#previous = input[end - 1]!;
  }

  /** Leaves white space out, or makes one space of it if two tokens would else be one. Returns the offset behind it. */
  #passSpace(input: Buffer, start: number, output: ByteOutput): number {
    let at = start;
    for (; at < input.length && isWhiteSpace(input[at]!); at += 1)
      if (input[at] === LINE_FEED) this.line += 1;
    const previous = this.#previous;
    if (previous !== SPACE && previous !== QUOTE && IS_MARK[previous] !== 1) {
      output.bytes[output.length++] = this.#previous = SPACE;
    }
    return at;
  }

  #dropSpaceBefore(byte: number, output: ByteOutput): void {
    const isClosing = byte === CLOSING_BRACE || byte === CLOSING_BRACKET;
    if (
      isClosing &&
      this.#previous === SPACE &&
      output.length > 0 &&
      output.bytes[output.length - 1] === SPACE
    )
      output.length -= 1;
  }

  /** Returns the offset of white space, of text that goes on beyond the input, or behind the value. */
  #passTokens(input: Buffer, start: number): number {
    let at = start;
    let depth = this.#depth;
    for (; at < input.length; at += 1) {
      const byte = input[at]!;
      if (TOKEN_ENDS[byte] === 0) continue;
      if (byte === QUOTE) {
        at = nextOf(TEXT_ENDS, input, at + 1);
        if (input[at] !== QUOTE) {
          this.#place = Place.STRING;
          break;
        }
      } else if (byte === OPENING_BRACE || byte === OPENING_BRACKET) depth += 1;
      else if (byte === CLOSING_BRACE || byte === CLOSING_BRACKET) depth -= 1;
      else {
        // What a record separator cuts off is damaged: the reader of the record says so.
        this.isWhole = byte === RECORD_SEPARATOR;
        break;
      }
      if (depth === 0) {
        this.isWhole = true;
        at += 1;
        break;
      }
    }
    this.#depth = depth;
    return at;
  }

  #stepInText(byte: number, at: number): number {
    if (byte === LINE_FEED) this.#failInText();
    if (byte === RECORD_SEPARATOR) {
      this.isWhole = true;
      return at;
    }
    if (byte === BACKSLASH) this.#place = Place.ESCAPED;
    else {
      this.#place = Place.TOKENS;
      this.isWhole = this.#depth === 0;
    }
    return at + 1;
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

/** In bytes. */
const LONGEST_COPIED_HERE = 48;

/** Tables by byte: 1 for bytes that end a run. */
function tableOf(bytes: readonly number[]): Uint8Array {
  const table = new Uint8Array(256);
  for (const byte of bytes) table[byte] = 1;
  return table;
}

const WHITE_SPACE = [SPACE, LINE_FEED, CARRIAGE_RETURN, TAB];
const BRACKETS = [OPENING_BRACE, OPENING_BRACKET, CLOSING_BRACE, CLOSING_BRACKET];
const TOKEN_ENDS = tableOf([...WHITE_SPACE, ...BRACKETS, QUOTE, RECORD_SEPARATOR]);
const TEXT_ENDS = tableOf([QUOTE, BACKSLASH, LINE_FEED, RECORD_SEPARATOR]);
const SCALAR_ENDS = tableOf([...WHITE_SPACE, ...BRACKETS, COMMA, COLON, QUOTE, RECORD_SEPARATOR]);

function nextOf(ends: Uint8Array, input: Buffer, start: number): number {
  let at = start;
  while (at < input.length && ends[input[at]!] === 0) at += 1;
  return at;
}

/** Returns the offset behind a value that begins here, without a look at what it is made of. */
export function endOfValue(input: Buffer, start: number): number {
  const first = input[start] ?? 0;
  if (!BEGINNINGS.has(first)) return nextOf(SCALAR_ENDS, input, start);
  let depth = 0;
  for (let at = start; at < input.length; at += 1) {
    const byte = input[at]!;
    if (byte === QUOTE) {
      for (at += 1; at < input.length && input[at] !== QUOTE; at += 1) if (input[at] === BACKSLASH) at += 1;
    } else if (byte < OPENING_BRACKET) continue;
    else if (byte === OPENING_BRACE || byte === OPENING_BRACKET) depth += 1;
    else if (byte === CLOSING_BRACE || byte === CLOSING_BRACKET) depth -= 1;
    else continue;
    if (depth === 0) return Math.min(at + 1, input.length);
  }
  return input.length;
}
