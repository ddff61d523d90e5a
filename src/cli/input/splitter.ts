/**
 * Cuts a file's bytes into blocks of whole records, without parsing them: a record ends at a line feed, in CSV at one outside quotes.
 * Later steps then see whole records only, wherever the chunks of the input were cut, and in CSV no record whose quotes are wrong.
 *
 * The rule for what is no record: its first line is left out, and reading begins anew after that line's feed, outside quotes. So a quote
 * that is left open spoils its own line, and not all that follows; what is within its reach, up to the next quote or to as much as a record
 * may have, is looked at once more. That bounds both time, which grows with the file, and memory: the bytes of the longest record. There is
 * a price: where a damaged record had line breaks within quotes, its further lines are read as records of their own; and two damages may
 * heal each other, where one leaves a quote open and the other ends a field with one.
 *
 * A record whose quotes are right may still be bad (its number of fields, a lone carriage return, not UTF-8). It is bad as a whole, with all
 * its lines: the readers see to that.
 */

import { GrowingBuffer } from './growing-buffer.js';
import { LONGEST_TEXT_BYTES } from '../common/text.js';

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const QUOTE = 0x22;
const LINE_BREAK = Buffer.of(LINE_FEED);

/** So much that it can be seen, beside a line break, that a text of the greatest length was longer. */
const MAX_BAD_LINE_BYTES = LONGEST_TEXT_BYTES + 3;

/** Of what is looked at once more. */
const PORTION_BYTES = 64 * 1024;

export type SplitFault =
  'too_long' | 'too_long_open_quote' | 'open_quote' | 'text_after_quote' | 'quote_in_field';

/** Within a record of CSV. */
const Place = { UNQUOTED: 0, QUOTED: 1, AFTER_QUOTE: 2, AFTER_QUOTE_AND_CR: 3 } as const;
type Place = (typeof Place)[keyof typeof Place];

export interface SplitterOptions {
  /** CSV: what divides fields. Undefined where quotes mean nothing, and every line is a record. */
  readonly delimiter: string | undefined;
  /** Of a record, without its line break. */
  readonly maxRecordBytes: number;
  /** Whether a line that is no record is read to its end, and what follows it after that; otherwise it is told as soon as it is known. */
  readonly skips: boolean;
  /** Takes whole records, one after another. */
  readonly onRecords: (block: Buffer) => void;
  /** Takes a line that is no record; of a long one the beginning. */
  readonly onBadLine: (fault: SplitFault, line: Buffer) => void;
}

export class RecordSplitter {
  readonly #options: SplitterOptions;
  readonly #delimiter: number | undefined;
  /** What is still to be looked at; the next is the last. */
  readonly #waiting: Buffer[] = [];
  /** The beginning of a record that has not ended yet, in pieces. */
  #partial: Buffer[] = [];
  #partialBytes = 0;
  /** Set if the first of the pieces, or of what is kept of a line that is being left out, is a copy: it holds these. */
  #copy: GrowingBuffer | undefined;
  #place: Place = Place.UNQUOTED;
  /** The byte before the next; a line feed where a record begins. */
  #previous = LINE_FEED;
  #endsInCarriageReturn = false;
  #ended = false;
  /** The line that is being left out. */
  #skipped: { readonly fault: SplitFault; readonly slices: Buffer[]; sliceBytes: number } | undefined;

  constructor(options: SplitterOptions) {
    this.#options = options;
    this.#delimiter = options.delimiter?.charCodeAt(0);
  }

  /** Takes a chunk; `step()` looks at it. Once that has looked at all of it, nothing of it is held here: what is kept, is a copy. */
  add(chunk: Buffer): void {
    if (chunk.length > 0) this.#endsInCarriageReturn = chunk.at(-1) === CARRIAGE_RETURN;
    this.#waiting.unshift(chunk);
  }

  /** The file has ended; its last record may lack a line break. */
  end(): void {
    // There, a carriage return is a line break that lost its other half.
    if (this.#endsInCarriageReturn) this.add(LINE_BREAK);
    this.#ended = true;
  }

  /**
   * Looks at one chunk, or at the rest of one, and tells of all records that end in it. After a record that is none there may be as many as
   * the longest record has, so that whoever takes the records can have them in portions. Answers whether there is more to do.
   */
  step(): boolean {
    const bytes = this.#waiting.pop();
    if (bytes !== undefined) {
      if (this.#skipped !== undefined) this.#skip(bytes);
      else if (bytes.length > 0) this.#scan(bytes);
    } else if (this.#ended) this.#stepAtEnd();
    if (this.#waiting.length === 0) this.#copyUnfinished();
    return (
      this.#waiting.length > 0 || (this.#ended && (this.#skipped !== undefined || this.#partialBytes > 0))
    );
  }

  /** Once for a chunk: where many records are none, what comes after each of them is kept for a moment, again and again. */
  #copyUnfinished(): void {
    const slices = this.#skipped?.slices ?? this.#partial;
    if (slices.length > (this.#copy === undefined ? 0 : 1))
      slices.splice(0, slices.length, this.#join(slices));
  }

  /** As one buffer, which is no view of a chunk. Only what is no copy yet is copied. */
  #join(slices: readonly Buffer[]): Buffer {
    const first = this.#copy === undefined ? 0 : 1;
    // The line break that ends a record is kept with it.
    this.#copy ??= new GrowingBuffer(this.#options.maxRecordBytes + 2);
    for (let index = first; index < slices.length; index += 1) this.#copy.append(slices[index]!);
    return this.#copy.bytes;
  }

  #stepAtEnd(): void {
    if (this.#skipped !== undefined) this.#endSkipped();
    else if (this.#partialBytes > 0) {
      const fault = this.#faultAtEnd();
      if (fault === undefined) this.#emitRest();
      else this.#rejectRecord(fault);
    }
  }

  /** Moves on over `bytes`: tells of the records that end in them, and keeps the rest. */
  #scan(bytes: Buffer): void {
    const { maxRecordBytes } = this.#options;
    const mayBeTooLong = this.#partialBytes + bytes.length > maxRecordBytes;
    const firstQuote = this.#delimiter === undefined ? -1 : bytes.indexOf(QUOTE);
    if (this.#place !== Place.UNQUOTED) this.#scanFields(bytes, 0);
    else if (firstQuote !== -1) this.#scanFields(bytes, mayBeTooLong ? 0 : firstQuote);
    else if (mayBeTooLong) this.#scanLines(bytes);
    else this.#divideLines(bytes);
    // Two more: the line break that may follow does not belong to the record.
    if (this.#partialBytes >= maxRecordBytes + 2) this.#rejectRecord('too_long');
  }

  /** Where there is no quote, and no record that is too long: only a record of which a piece was kept is copied. */
  #divideLines(bytes: Buffer): void {
    const first = this.#partialBytes === 0 ? 0 : bytes.indexOf(LINE_FEED) + 1;
    if (first > 0) this.#divide(bytes.subarray(0, first), first);
    const rest = bytes.subarray(first);
    if (rest.length > 0) this.#divide(rest, rest.lastIndexOf(LINE_FEED) + 1);
  }

  /** `from`: there is no quote before it, and no record that is too long. */
  #scanFields(bytes: Buffer, from: number): void {
    const { maxRecordBytes } = this.#options;
    let place = this.#place;
    let end = from === 0 ? 0 : bytes.lastIndexOf(LINE_FEED, from) + 1;
    let start = end === 0 ? -this.#partialBytes : end;
    for (let i = from; i < bytes.length; i += 1) {
      const byte = bytes[i]!;
      let fault: SplitFault | undefined;
      if (place === Place.QUOTED) {
        if (byte === QUOTE) place = Place.AFTER_QUOTE;
      } else if (byte === LINE_FEED) {
        if (i - start > maxRecordBytes && this.#isTooLong(bytes, start, i)) fault = 'too_long';
        else {
          place = Place.UNQUOTED;
          start = end = i + 1;
        }
      } else if (place === Place.UNQUOTED) {
        if (byte === QUOTE) {
          if (this.#beginsField(this.#before(bytes, i))) place = Place.QUOTED;
          else fault = 'quote_in_field';
        }
      } else if (place === Place.AFTER_QUOTE && byte === QUOTE) place = Place.QUOTED;
      else if (place === Place.AFTER_QUOTE && byte === this.#delimiter) place = Place.UNQUOTED;
      else if (place === Place.AFTER_QUOTE && byte === CARRIAGE_RETURN) place = Place.AFTER_QUOTE_AND_CR;
      else fault = 'text_after_quote';
      if (fault !== undefined) {
        this.#divide(bytes, end);
        this.#rejectRecord(i - start >= maxRecordBytes ? 'too_long' : fault);
        return;
      }
    }
    this.#divide(bytes, end);
    this.#place = place;
  }

  /** Where there is no quote. */
  #scanLines(bytes: Buffer): void {
    let end = 0;
    for (;;) {
      const lineFeed = bytes.indexOf(LINE_FEED, end);
      if (lineFeed === -1) break;
      if (this.#isTooLong(bytes, end === 0 ? -this.#partialBytes : end, lineFeed)) {
        this.#divide(bytes, end);
        this.#rejectRecord('too_long');
        return;
      }
      end = lineFeed + 1;
    }
    this.#divide(bytes, end);
  }

  /** Of a record that begins at `start`, which is negative where pieces of it were kept, and ends with the line feed at `end`. */
  #isTooLong(bytes: Buffer, start: number, end: number): boolean {
    const lineBreak = this.#before(bytes, end) === CARRIAGE_RETURN ? 1 : 0;
    return end - start - lineBreak > this.#options.maxRecordBytes;
  }

  #before(bytes: Buffer, offset: number): number {
    return offset === 0 ? this.#previous : bytes[offset - 1]!;
  }

  #beginsField(previous: number): boolean {
    return previous === this.#delimiter || previous === LINE_FEED;
  }

  /** Tells of the records that end before `end`, if it is not 0, and keeps what comes after it. */
  #divide(bytes: Buffer, end: number): void {
    if (end > 0) {
      const whole = bytes.subarray(0, end);
      const block = this.#partialBytes === 0 ? whole : this.#join([...this.#partial, whole]);
      this.#forget();
      this.#options.onRecords(block);
    }
    this.#previous = bytes[bytes.length - 1]!;
    if (end === bytes.length) return;
    this.#partial.push(bytes.subarray(end));
    this.#partialBytes += bytes.length - end;
  }

  #forget(): void {
    this.#partial = [];
    this.#partialBytes = 0;
    this.#copy = undefined;
    this.#place = Place.UNQUOTED;
    this.#previous = LINE_FEED;
  }

  /** The record that was kept is none: its first line is left out, and what follows is looked at anew. */
  #rejectRecord(fault: SplitFault): void {
    const partial = this.#partial;
    const reported = fault === 'too_long' && this.#leavesQuoteOpen() ? 'too_long_open_quote' : fault;
    if (!this.#options.skips) this.#options.onBadLine(reported, partial[0]!);
    this.#skipped = { fault: reported, slices: [], sliceBytes: 0 };
    for (let i = partial.length - 1; i >= 0; i -= 1) this.#waitInPortions(partial[i]!);
    this.#forget();
  }

  /** What was kept lies together, and its records are not to come all at once. */
  #waitInPortions(slice: Buffer): void {
    const last = Math.max(0, Math.ceil(slice.length / PORTION_BYTES) - 1);
    for (let portion = last; portion >= 0; portion -= 1)
      this.#waiting.push(slice.subarray(portion * PORTION_BYTES, (portion + 1) * PORTION_BYTES));
  }

  /** Whether the first line ends within quotes. (One that is too long by itself is too long without them.) */
  #leavesQuoteOpen(): boolean {
    if (this.#delimiter === undefined) return false;
    let left = this.#options.maxRecordBytes;
    let quoted = false;
    for (const slice of this.#partial) {
      for (let i = 0; i < slice.length; i += 1, left -= 1) {
        if (left === 0) return false;
        if (slice[i] === LINE_FEED) return quoted;
        if (slice[i] === QUOTE) quoted = !quoted;
      }
    }
    return false;
  }

  #skip(bytes: Buffer): void {
    const skipped = this.#skipped!;
    const lineFeed = bytes.indexOf(LINE_FEED);
    const end = lineFeed === -1 ? bytes.length : lineFeed + 1;
    const slices = bytes.subarray(0, Math.min(end, MAX_BAD_LINE_BYTES - skipped.sliceBytes));
    if (slices.length > 0) skipped.slices.push(slices);
    skipped.sliceBytes += slices.length;
    if (lineFeed === -1) return;
    this.#waiting.push(bytes.subarray(end));
    this.#endSkipped();
  }

  #endSkipped(): void {
    const { fault, slices } = this.#skipped!;
    this.#skipped = undefined;
    const line = slices.length === 1 ? slices[0]! : this.#join(slices);
    this.#copy = undefined;
    this.#options.onBadLine(fault, line);
  }

  #faultAtEnd(): SplitFault | undefined {
    if (this.#partialBytes > this.#options.maxRecordBytes) return 'too_long';
    return this.#place === Place.QUOTED ? 'open_quote' : undefined;
  }

  #emitRest(): void {
    const block = this.#partial.length === 1 ? this.#partial[0]! : this.#join(this.#partial);
    this.#forget();
    this.#options.onRecords(block);
  }
}
