/**
 * Reads the sample in one dialect, whether it fits or not. Faults are counted: they say that the dialect is another one.
 *
 * The loader has a stricter and faster reader of its own. This one only judges.
 */

import type { Dialect, LineBreak } from './reading.js';

export interface SampleRecord {
  readonly fields: readonly string[];
  /** For each field: it was in quotes. */
  readonly quoted: readonly boolean[];
  /** Counted from 0. */
  readonly line: number;
  /** `damaged`: a quote is not closed, or text follows it. `stray`: a quote stands within an unquoted field. */
  readonly fault: 'damaged' | 'stray' | undefined;
}

export interface Sample {
  readonly text: string;
  /** The file ends with the sample. Otherwise the last record is cut off, and left out. */
  readonly isWhole: boolean;
  readonly lineBreak: LineBreak;
  /** White space at both ends of fields is left out, and that around quotes. */
  readonly trim?: boolean | undefined;
}

/** A record can have many more fields than any table has columns. */
const MOST_FIELDS = 5_000;

/** Reads at most `most` records, blank lines among them: such a record has one empty field. */
export function readSample(sample: Sample, dialect: Dialect, most: number): SampleRecord[] {
  const reader = new SampleReader(sample, dialect);
  const records: SampleRecord[] = [];
  while (records.length < most) {
    const record = reader.next();
    if (record === undefined) break;
    records.push(record);
  }
  return records;
}

class SampleReader {
  readonly #sample: Sample;
  readonly #dialect: Dialect;
  readonly #end: string;
  #at = 0;
  #line = 0;
  #fault: SampleRecord['fault'];
  /** The next line end and delimiter that are known: each is looked for once, and not for every field of a long line. */
  #knownEnd = -1;
  #knownDelimiter = -1;

  constructor(sample: Sample, dialect: Dialect) {
    this.#sample = sample;
    this.#dialect = dialect;
    this.#end = sample.lineBreak === 'cr' ? '\r' : '\n';
  }

  /** Returns undefined at the end of the sample. */
  next(): SampleRecord | undefined {
    const { text, isWhole } = this.#sample;
    if (this.#at >= text.length) return undefined;
    const line = this.#line;
    const fields: string[] = [];
    const quoted: boolean[] = [];
    this.#fault = undefined;
    for (;;) {
      if (this.#sample.trim === true) this.#skipSpaces();
      const isQuoted = this.#dialect.quote !== undefined && text[this.#at] === this.#dialect.quote;
      const field = isQuoted ? this.#readQuoted() : this.#readPlain();
      fields.push(this.#sample.trim === true ? field.trim() : field);
      quoted.push(isQuoted);
      const separator = text[this.#at];
      this.#at += 1;
      if (separator === this.#end || separator === undefined) break;
      if (fields.length > MOST_FIELDS) this.#at = Math.max(this.#at, this.#lineEnd(this.#at));
    }
    this.#line += 1;
    const isCut = this.#at > text.length && !isWhole;
    if (isCut) return undefined;
    return { fields, quoted, line, fault: this.#fault };
  }

  /** Passes white space of the line that divides no fields. */
  #skipSpaces(): void {
    const { text } = this.#sample;
    const { delimiter } = this.#dialect;
    while (text[this.#at] !== delimiter && /[^\S\r\n]/.test(text[this.#at] ?? '')) this.#at += 1;
  }

  /** Reads up to a delimiter, a line break or the end. */
  #readPlain(): string {
    const { text } = this.#sample;
    const { quote } = this.#dialect;
    const start = this.#at;
    const lineEnd = this.#lineEnd(start);
    const found = this.#nextDelimiter(start);
    const isDelimited = found < lineEnd;
    this.#at = isDelimited ? found : lineEnd;
    const field = text.slice(start, isDelimited ? found : this.#contentEnd(lineEnd, start));
    if (quote !== undefined && field.includes(quote)) this.#fault ??= 'stray';
    return field;
  }

  #readQuoted(): string {
    const { text } = this.#sample;
    const { escape } = this.#dialect;
    const quote = this.#dialect.quote!;
    let field = '';
    let from = this.#at + 1;
    for (;;) {
      const close = this.#closingQuote(from);
      if (close === -1) {
        this.#fault = 'damaged';
        field += text.slice(from);
        this.#at = text.length;
        return field;
      }
      this.#line += this.#lineBreaksIn(text.slice(from, close));
      field += text.slice(from, close);
      if (escape === quote && text[close + 1] === quote) {
        field += quote;
        from = close + 2;
        continue;
      }
      this.#at = close + 1;
      break;
    }
    const lineEnd = this.#lineEnd(this.#at);
    const found = this.#nextDelimiter(this.#at);
    const isDelimited = found < lineEnd;
    const rest = text.slice(this.#at, isDelimited ? found : this.#contentEnd(lineEnd, this.#at));
    const isDamaged = this.#sample.trim === true ? rest.trim() !== '' : rest !== '';
    if (isDamaged) this.#fault = 'damaged';
    this.#at = isDelimited ? found : lineEnd;
    return field + rest;
  }

  /** Returns the place of the next quote that is not escaped by another character than itself; -1 without one. */
  #closingQuote(from: number): number {
    const { text } = this.#sample;
    const { quote, escape } = this.#dialect;
    let close = text.indexOf(quote!, from);
    if (escape === quote || escape === undefined) return close;
    while (close !== -1) {
      let escapes = 0;
      while (close - escapes - 1 >= from && text[close - escapes - 1] === escape) escapes += 1;
      if (escapes % 2 === 0) return close;
      close = text.indexOf(quote!, close + 1);
    }
    return -1;
  }

  #lineEnd(from: number): number {
    if (this.#knownEnd < from) this.#knownEnd = this.#find(this.#end, from);
    return this.#knownEnd;
  }

  #nextDelimiter(from: number): number {
    const { delimiter } = this.#dialect;
    if (this.#knownDelimiter < from) {
      this.#knownDelimiter = delimiter === undefined ? Infinity : this.#find(delimiter, from);
    }
    return this.#knownDelimiter;
  }

  /** Returns the end of the sample if the character is not found. */
  #find(character: string, from: number): number {
    const found = this.#sample.text.indexOf(character, from);
    return found === -1 ? this.#sample.text.length : found;
  }

  /** Without the carriage return of a CRLF. */
  #contentEnd(lineEnd: number, start: number): number {
    const isCrLf = this.#end === '\n' && lineEnd > start && this.#sample.text[lineEnd - 1] === '\r';
    return isCrLf ? lineEnd - 1 : lineEnd;
  }

  #lineBreaksIn(text: string): number {
    let found = 0;
    for (let at = text.indexOf(this.#end); at !== -1; at = text.indexOf(this.#end, at + 1)) found += 1;
    return found;
  }
}

export function isBlank({ fields, quoted }: SampleRecord): boolean {
  return fields.length === 1 && fields[0]!.trim() === '' && !quoted[0]!;
}

export function isComment({ fields, quoted }: SampleRecord, comment: string | undefined): boolean {
  return comment !== undefined && !quoted[0]! && fields[0]!.startsWith(comment);
}

/** A field in quotes of either kind. */
const QUOTED = /(?<=^|[,;|\t\r\n])(["'])(?:(?!\1)[^]|\1\1)*\1(?=[,;|\t\r\n]|$)/g;
/** Its other quote is behind the end of the sample. */
const CUT_OFF = /(?<=^|[,;|\t\r\n])"(?:[^"]|"")*$/;

/** Returns which line break ends lines: the one that is most frequent outside of quotes. */
export function lineBreakOf(text: string, isWhole: boolean): LineBreak {
  const plain = text.replace(QUOTED, '');
  const found = countLineBreaks(isWhole ? plain : plain.replace(CUT_OFF, ''));
  if (found.cr > found.lf + found.crlf) return 'cr';
  return found.crlf > found.lf ? 'crlf' : 'lf';
}

function countLineBreaks(text: string): Record<LineBreak, number> {
  const found = { lf: 0, crlf: 0, cr: 0 };
  for (const [lineBreak] of text.matchAll(/\r\n|\r|\n/g)) {
    found[lineBreak === '\r' ? 'cr' : lineBreak === '\n' ? 'lf' : 'crlf'] += 1;
  }
  return found;
}
