/**
 * Rewrites CSV of another dialect as the one that the loader reads: quotes are `"`, a quote within is doubled, lines end in a line feed.
 *
 * Values stay as they are; line breaks within quotes, too. So line numbers are those of the file.
 *
 * ```text
 *   'it''s'   ─▶  "it's"          a "b" c  ─▶  "a ""b"" c"   (a dialect in which " means nothing)
 *   "a \" b"  ─▶  "a "" b"        …CR      ─▶  …LF           (outside quotes)
 * ```
 */

import { CARRIAGE_RETURN, LINE_FEED, QUOTE } from '../../common/bytes.js';
import { LEFT_OUT } from '../common/text.js';
import { afterSpaces, beforeSpaces } from '../values/white-space.js';
import { GrowingBuffer } from './growing-buffer.js';

const NOTHING = Buffer.alloc(0);
const NO_BYTE = -1;

export interface CsvDialect {
  /** Undefined: each line is one field. */
  readonly delimiter: string | undefined;
  /** Undefined: quotes are part of the text. */
  readonly quote: string | undefined;
  readonly escape: string | undefined;
  readonly lineBreak: 'lf' | 'crlf' | 'cr';
  /** Lines that begin with it become lines that the loader skips: blank ones, or `LEFT_OUT` in a table of one column. */
  readonly comment?: string | undefined;
  readonly fieldCount?: number | undefined;
  /** White space at both ends of fields is left out, and that around quotes. Line breaks stay. */
  readonly trim?: boolean | undefined;
}

/** Returns whether the loader reads this dialect as it is. */
export function isCanonical({ quote, escape, lineBreak, comment, trim }: CsvDialect): boolean {
  const hasPlainQuotes = quote === '"' && escape === '"';
  return hasPlainQuotes && lineBreak !== 'cr' && comment === undefined && trim !== true;
}

export class CsvTranslator {
  readonly #delimiter: number;
  readonly #quote: number;
  readonly #escape: number;
  readonly #lineEnd: number;
  readonly #comment: Buffer | undefined;
  readonly #leftOut: Buffer;
  readonly #mostFieldBytes: number;
  readonly #trims: boolean;
  /** Quotes and escapes are the loader's: only lines and comments differ. */
  readonly #hasPlainQuotes: boolean;
  /** A record begins with the next byte. */
  #isRecordStart = true;
  /** The beginning of a field whose end has not come yet. */
  #rest = NOTHING;
  /** Where the search for the closing quote goes on in it. */
  #searched = 0;

  /** @param mostFieldBytes a longer field is passed on as it is, so that the loader rejects it by its own limit */
  constructor(dialect: CsvDialect, mostFieldBytes: number) {
    const { delimiter, quote, escape, lineBreak, comment, fieldCount, trim = false } = dialect;
    this.#trims = trim;
    this.#comment = comment === undefined ? undefined : Buffer.from(comment);
    this.#leftOut = fieldCount === 1 ? Buffer.from(`${LEFT_OUT}${delimiter ?? ''}`) : NOTHING;
    this.#delimiter = delimiter?.charCodeAt(0) ?? NO_BYTE;
    this.#quote = quote?.charCodeAt(0) ?? NO_BYTE;
    this.#escape = escape?.charCodeAt(0) ?? NO_BYTE;
    this.#hasPlainQuotes = this.#quote === QUOTE && this.#escape === QUOTE;
    this.#lineEnd = lineBreak === 'cr' ? CARRIAGE_RETURN : LINE_FEED;
    this.#mostFieldBytes = mostFieldBytes;
  }

  /** @param isLast the file ends with these bytes */
  translate(bytes: Buffer, isLast: boolean): Buffer {
    const input = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    const output = new GrowingBuffer(2 * input.length + 2);
    const rewrites = this.#quote !== QUOTE && input.includes(QUOTE);
    let start = 0;
    /** What is before it has been written. Fields that stay as they are wait, to be copied together. */
    let written = 0;
    while (start < input.length) {
      if (!isLast && this.#mayBecomeComment(input, start)) break;
      const isComment = this.#isCommentAt(input, start);
      const from =
        isComment || !this.#trims ? start : afterSpaces(input, start, input.length, this.#delimiter);
      const end = isComment ? this.#lineEndAfter(input, start) : this.#fieldEnd(input, from, start === 0);
      const isWhole = end < input.length || isLast || end - start > this.#mostFieldBytes;
      if (!isWhole) break;
      const isQuoted = !isComment && input[from] === this.#quote;
      const field = this.#trims && !isComment ? this.#trimmed(input, start, from, end) : undefined;
      if (isComment || field !== undefined || (isQuoted ? !this.#hasPlainQuotes : rewrites)) {
        output.append(input.subarray(written, start));
        if (isComment) output.append(this.#leftOut);
        else this.#writeField(field ?? input.subarray(start, end), output);
        written = end;
      }
      this.#searched = 0;
      this.#isRecordStart = end < input.length && input[end] === this.#lineEnd;
      if (this.#isRecordStart && this.#lineEnd !== LINE_FEED) {
        output.append(input.subarray(written, end));
        output.append(LINE_BREAK);
        written = end + 1;
      }
      start = end + 1;
    }
    output.append(input.subarray(written, start));
    // A copy: the memory of a chunk is used again.
    this.#rest = start >= input.length ? NOTHING : Buffer.from(input.subarray(start));
    return output.bytes;
  }

  #isCommentAt(input: Buffer, start: number): boolean {
    const comment = this.#comment;
    if (comment === undefined || !this.#isRecordStart) return false;
    return comment.equals(input.subarray(start, start + comment.length));
  }

  /** The input ends within what may be the mark of a comment. */
  #mayBecomeComment(input: Buffer, start: number): boolean {
    const comment = this.#comment;
    const there = input.length - start;
    if (comment === undefined || !this.#isRecordStart || there >= comment.length) return false;
    return comment.subarray(0, there).equals(input.subarray(start));
  }

  #lineEndAfter(input: Buffer, start: number): number {
    const end = input.indexOf(this.#lineEnd, start);
    return end === -1 ? input.length : end;
  }

  /** Returns where the field's delimiter or line end stands; the length of the input if it is not there yet. */
  #fieldEnd(input: Buffer, start: number, isFirst: boolean): number {
    const delimiter = this.#delimiter;
    const lineEnd = this.#lineEnd;
    let at = start;
    if (input[at] === this.#quote) at = this.#afterQuotes(input, start, isFirst ? this.#searched : 0);
    for (; at < input.length; at += 1) {
      const byte = input[at];
      if (byte === delimiter || byte === lineEnd) return at;
    }
    return input.length;
  }

  /**
   * Returns a field without white space at its ends; undefined if it has none.
   *
   * @param start of the field, white space included
   * @param from after it
   */
  #trimmed(input: Buffer, start: number, from: number, end: number): Buffer | undefined {
    // The carriage return of a line break stays.
    const hasReturn = this.#lineEnd === LINE_FEED && end > from && input[end - 1] === CARRIAGE_RETURN;
    const lineEnd = hasReturn ? end - 1 : end;
    const to = beforeSpaces(input, from, lineEnd);
    const isPlain = start === from && to === lineEnd;
    const hasQuotes = to - from > 1 && input[from] === this.#quote && input[to - 1] === this.#quote;
    // What follows a closing quote is an error, which the loader reports.
    if (!hasQuotes || this.#afterQuotes(input.subarray(0, to), from) !== to)
      return isPlain ? undefined : Buffer.concat([input.subarray(from, to), input.subarray(lineEnd, end)]);
    const textStart = afterSpaces(input, from + 1, to - 1, NO_BYTE);
    const textEnd = beforeSpaces(input, textStart, to - 1);
    if (isPlain && textStart === from + 1 && textEnd === to - 1) return undefined;
    const quote = input.subarray(from, from + 1);
    return Buffer.concat([quote, input.subarray(textStart, textEnd), quote, input.subarray(lineEnd, end)]);
  }

  /** Returns the place after the closing quote. @param searched so many bytes of the field have none */
  #afterQuotes(input: Buffer, start: number, searched = 0): number {
    const quote = this.#quote;
    const escape = this.#escape;
    let at = start + Math.max(1, searched);
    for (; at < input.length; at += 1) {
      const byte = input[at];
      if (byte === escape && escape !== quote) {
        if (at + 1 === input.length) break;
        at += 1;
      } else if (byte === quote) {
        // The next byte may double it: it must be there before the field can end.
        if (at + 1 === input.length) {
          this.#searched = at - start;
          return at + 1;
        }
        if (escape !== quote || input[at + 1] !== quote) return at + 1;
        at += 1;
      }
    }
    this.#searched = at - start;
    return input.length;
  }

  #writeField(field: Buffer, output: GrowingBuffer): void {
    const isQuoted = field.length > 1 && field[0] === this.#quote;
    if (isQuoted) this.#writeQuoted(field, output);
    else if (field.includes(QUOTE) && this.#quote !== QUOTE) {
      output.append(MARK);
      writeDoubled(withoutReturn(field), output);
      output.append(MARK);
      if (field.at(-1) === CARRIAGE_RETURN) output.append(RETURN);
    } else output.append(field);
  }

  #writeQuoted(field: Buffer, output: GrowingBuffer): void {
    const end = this.#afterQuotes(field, 0);
    // What follows a closing quote is an error of the record, which the loader reports.
    const isClosed = end - 1 > 0 && field[end - 1] === this.#quote;
    output.append(MARK);
    this.#writeContent(field.subarray(1, isClosed ? end - 1 : end), output);
    if (isClosed) output.append(MARK);
    output.append(field.subarray(end));
  }

  /** Undoes the dialect's escapes, and doubles quotes. */
  #writeContent(content: Buffer, output: GrowingBuffer): void {
    let from = 0;
    for (let at = 0; at < content.length - 1; at += 1) {
      const next = content[at + 1];
      if (content[at] !== this.#escape || (next !== this.#quote && next !== this.#escape)) continue;
      writeDoubled(content.subarray(from, at), output);
      from = at + 1;
      at += 1;
    }
    writeDoubled(content.subarray(from), output);
  }
}

const MARK = Buffer.from('"');
const RETURN = Buffer.from('\r');
const LINE_BREAK = Buffer.from('\n');

function withoutReturn(field: Buffer): Buffer {
  return field.at(-1) === CARRIAGE_RETURN ? field.subarray(0, -1) : field;
}

function writeDoubled(text: Buffer, output: GrowingBuffer): void {
  let from = 0;
  for (let at = text.indexOf(QUOTE); at !== -1; at = text.indexOf(QUOTE, at + 1)) {
    output.append(text.subarray(from, at + 1));
    from = at;
  }
  output.append(text.subarray(from));
}
