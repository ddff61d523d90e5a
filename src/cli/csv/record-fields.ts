/** Cuts a text of whole CSV records, whose quotes are right, into fields. Pure. */

import { CARRIAGE_RETURN, QUOTE } from '../../common/bytes.js';

export type CsvField = string | null;

/** Cuts a text into records, one after another. */
export interface FieldCutter {
  readonly text: string;
  /** Where the next record begins. */
  readonly at: number;
  /** Where the last record began. */
  readonly start: number;
  /** Where it ended, without its line break. */
  readonly end: number;
  /** How many lines it took. */
  readonly lines: number;
  /** Why it cannot be read. */
  readonly fault: string | undefined;
  /** It is the marker at the end of the data. */
  readonly isEndMarker: boolean;
  readonly isAtEnd: boolean;
  next(): CsvField[];
}

/**
 * Most fields of a record that are kept; one more shows that there were others. No record that can be loaded has as many: a table has at
 * most 1,600 columns, and the system limits the length of `--columns`.
 */
export const MOST_FIELDS = 100_000;

const LONE_RETURN =
  "a carriage return stands alone outside quotes; lines must end in LF or CRLF; tr -d '\\r' <FILE | spillway load - … takes them out";

/**
 * Reads the records one after another. The next delimiter, line feed and carriage return are remembered, as they may be far away: each is
 * searched again only once it has been passed.
 */
export class RecordFields implements FieldCutter {
  readonly text: string;
  readonly #delimiter: string;
  readonly #nullText: string;
  readonly #otherNulls: ReadonlySet<string> | undefined;
  readonly isEndMarker = false;
  at = 0;
  start = 0;
  end = 0;
  lines = 1;
  fault: string | undefined;
  #fieldCount = 0;
  #nextDelimiter: number;
  #nextLineFeed: number;
  #nextReturn: number;

  /** @param otherNulls further unquoted texts that mean NULL */
  constructor(
    text: string,
    delimiter: string,
    nullText: string,
    hasReturns: boolean,
    otherNulls?: ReadonlySet<string>,
  ) {
    this.text = text;
    this.#delimiter = delimiter;
    this.#nullText = nullText;
    this.#otherNulls = otherNulls;
    this.#nextDelimiter = text.indexOf(delimiter);
    this.#nextLineFeed = text.indexOf('\n');
    this.#nextReturn = hasReturns ? text.indexOf('\r') : -1;
  }

  get isAtEnd(): boolean {
    return this.at >= this.text.length;
  }

  next(): CsvField[] {
    const { text } = this;
    // As long as the last record: an array that grows takes three times the memory.
    const fields = new Array<CsvField>(this.#fieldCount);
    this.start = this.at;
    this.lines = 1;
    this.fault = undefined;
    let count = 0;
    for (let at = this.at, isLast = false; !isLast; count += 1) {
      const quoted = text.charCodeAt(at) === QUOTE ? this.#readQuoted(at) : undefined;
      const nextDelimiter = this.#nextDelimiter;
      const lineEnd = this.#nextLineFeed === -1 ? text.length : this.#nextLineFeed;
      isLast = nextDelimiter === -1 || nextDelimiter > lineEnd;
      let end = isLast ? lineEnd : nextDelimiter;
      const next = end + 1;
      if (isLast) {
        this.at = next;
        this.#nextLineFeed = text.indexOf('\n', next);
      } else this.#nextDelimiter = text.indexOf(this.#delimiter, next);
      if (this.#nextReturn !== -1 && this.#nextReturn < end) end = this.#passReturns(end, isLast);
      if (count < MOST_FIELDS) {
        const field = quoted ?? text.slice(at, end);
        fields[count] = quoted === undefined && this.#isNull(field) ? null : field;
      }
      this.end = end;
      at = next;
    }
    if (count > MOST_FIELDS) fields.length = MOST_FIELDS + 1;
    else if (count !== this.#fieldCount) fields.length = this.#fieldCount = count;
    return fields;
  }

  #isNull(field: string): boolean {
    return field === this.#nullText || this.#otherNulls?.has(field) === true;
  }

  /** Passes carriage returns before `end`. Returns where the field ends: without the line break. */
  #passReturns(end: number, isLast: boolean): number {
    const { text } = this;
    const isLineBreak = isLast && end < text.length && text.charCodeAt(end - 1) === CARRIAGE_RETURN;
    const fieldEnd = isLineBreak ? end - 1 : end;
    if (this.#nextReturn < fieldEnd) this.fault = LONE_RETURN;
    this.#nextReturn = text.indexOf('\r', end);
    return fieldEnd;
  }

  /** Returns what is in quotes, and passes the delimiters and line breaks within. */
  #readQuoted(at: number): string {
    const { text } = this;
    let hasDoubled = false;
    let close = text.indexOf('"', at + 1);
    while (close !== -1 && text.charCodeAt(close + 1) === QUOTE) {
      hasDoubled = true;
      close = text.indexOf('"', close + 2);
    }
    if (this.#nextDelimiter !== -1 && this.#nextDelimiter < close)
      this.#nextDelimiter = text.indexOf(this.#delimiter, close);
    if (this.#nextReturn !== -1 && this.#nextReturn < close) this.#nextReturn = text.indexOf('\r', close);
    while (this.#nextLineFeed !== -1 && this.#nextLineFeed < close) {
      this.lines += 1;
      this.#nextLineFeed = text.indexOf('\n', this.#nextLineFeed + 1);
    }
    const value = text.slice(at + 1, close);
    return hasDoubled ? withoutDoubled(value) : value;
  }
}

/** Cuts one record, without its line break, into fields of which none is NULL. */
export function fieldTexts(record: string, delimiter: string): string[] {
  // No field without quotes is a line feed.
  return new RecordFields(record, delimiter, '\n', false).next() as string[];
}

/** In characters. `replaceAll` keeps a list of all that it finds. */
const SHORT_TEXT = 64 * 1024;

/** Makes one quote of each two. */
function withoutDoubled(text: string): string {
  if (text.length <= SHORT_TEXT) return text.replaceAll('""', '"');
  const bytes = Buffer.from(text);
  let to = 0;
  for (let at = 0; at < bytes.length; at += 1) {
    bytes[to++] = bytes[at]!;
    if (bytes[at] === QUOTE) at += 1;
  }
  return bytes.toString('utf8', 0, to);
}
