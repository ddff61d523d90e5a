/**
 * Cuts a file's bytes into blocks of whole records, without parsing them.
 *
 * A record ends at a line feed; in CSV, at a line feed outside quotes. Later stages see whole records only, however the input was cut into
 * chunks, and in CSV no record whose quotes are wrong.
 *
 * States of `place`, which say where in a CSV record the next byte stands:
 *
 * ```text
 *              " at the start of a field                "
 *   UNQUOTED ───────────────────────────▶ QUOTED ◀─────────▶ AFTER_QUOTE ── CR ──▶ AFTER_QUOTE_AND_CR
 *    ▲    ▲                                                   │      │                     │
 *    │    └────────────── delimiter ─────────────────────────┘      │                     │
 *    └─────────────────── LF: the record ends ───────────────────────┴─────────────────────┘
 *
 *   UNQUOTED     " elsewhere           quote_in_field
 *   AFTER_QUOTE  anything else         text_after_quote
 *   QUOTED       end of the file       open_quote
 *   any          over maxRecordBytes   too_long, too_long_open_quote
 * ```
 *
 * Recovery: after a fault, the first line of the record goes to `onBadLine`, and the scan starts again behind that line, outside quotes. So
 * an open quote spoils its own line and not the rest of the file. Bytes are scanned twice at most up to the next quote or to
 * `maxRecordBytes`; time grows with the file, and memory is bounded by the longest record. Two limits of this rule: the further lines of a
 * damaged record with line breaks in quotes are read as records, and two damages can cancel each other out.
 *
 * Fast path: while the state is UNQUOTED, a chunk without a quote is cut at its last line feed (`#divideLines`), without a look at each
 * byte. It is valid only if the chunk and the partial record together have at most `maxRecordBytes`.
 *
 * A record with right quotes can still be bad: its number of fields, a lone carriage return, bytes that are not UTF-8. Readers reject such a
 * record as a whole, with all its lines.
 */

import { CARRIAGE_RETURN, LINE_FEED, QUOTE } from '../../common/bytes.js';
import { GrowingBuffer } from './growing-buffer.js';
import { LONGEST_TEXT_BYTES } from '../common/text.js';

const LINE_BREAK = Buffer.of(LINE_FEED);

/** Bytes of a bad line that are kept: the longest text, a line break, and one more that shows that it was cut. */
const MAX_BAD_LINE_BYTES = LONGEST_TEXT_BYTES + 3;

/** Length of the slices in which bytes are scanned again. */
const PORTION_BYTES = 64 * 1024;

export type SplitFault =
  'too_long' | 'too_long_open_quote' | 'open_quote' | 'text_after_quote' | 'quote_in_field';

/** Where the next byte stands in a CSV record: see the states above. */
const Place = { UNQUOTED: 0, QUOTED: 1, AFTER_QUOTE: 2, AFTER_QUOTE_AND_CR: 3 } as const;
type Place = (typeof Place)[keyof typeof Place];

export interface SplitterOptions {
  /** CSV: the character between fields. Undefined if every line is a record and quotes mean nothing. */
  readonly delimiter: string | undefined;
  /** Length of the longest record, without its line break. */
  readonly maxRecordBytes: number;
  /** `true`: read on after a bad line, which is reported whole. `false`: report it at once. */
  readonly skips: boolean;
  /** Receives whole records, in their order. */
  readonly onRecords: (block: Buffer) => void;
  /** Receives a bad line; of a long one only the beginning. */
  readonly onBadLine: (fault: SplitFault, line: Buffer) => void;
}

export class RecordSplitter {
  readonly #options: SplitterOptions;
  readonly #delimiter: number | undefined;
  /** Bytes to be scanned, as a stack: the last one is next. */
  readonly #waiting: Buffer[] = [];
  /** The beginning of a record that has not ended yet. */
  #partial: Buffer[] = [];
  #partialBytes = 0;
  /** Set if the first slice of `#partial`, or of a bad line, is a copy: this buffer holds it. */
  #copy: GrowingBuffer | undefined;
  #place: Place = Place.UNQUOTED;
  /** The byte before the next; a line feed if a record begins. */
  #previous = LINE_FEED;
  #endsInCarriageReturn = false;
  #ended = false;
  /** The bad line that is being skipped. */
  #skipped: { readonly fault: SplitFault; readonly slices: Buffer[]; sliceBytes: number } | undefined;

  constructor(options: SplitterOptions) {
    this.#options = options;
    this.#delimiter = options.delimiter?.charCodeAt(0);
  }

  /** Queues a chunk for `step()`. When all of it is scanned, the splitter holds only copies of its bytes. */
  add(chunk: Buffer): void {
    if (chunk.length > 0) this.#endsInCarriageReturn = chunk.at(-1) === CARRIAGE_RETURN;
    this.#waiting.unshift(chunk);
  }

  /** The file has ended; its last record may lack a line break. */
  end(): void {
    // A carriage return at the end of a file is a line break without its line feed.
    if (this.#endsInCarriageReturn) this.add(LINE_BREAK);
    this.#ended = true;
  }

  /**
   * Scans one chunk, or the rest of one, and passes on the records that end in it. Returns whether there is more to scan: after a bad
   * line, up to `maxRecordBytes` come back in slices, so that one call stays short.
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

  /** Copies the unfinished rest, once for each chunk: with many bad lines, a copy for each would be quadratic. */
  #copyUnfinished(): void {
    const slices = this.#skipped?.slices ?? this.#partial;
    if (slices.length > (this.#copy === undefined ? 0 : 1))
      slices.splice(0, slices.length, this.#join(slices));
  }

  /** Joins slices in a buffer of their own, which is no view of a chunk. What was copied before is not copied again. */
  #join(slices: readonly Buffer[]): Buffer {
    const first = this.#copy === undefined ? 0 : 1;
    // Two more, for the line break of the record.
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

  /** Passes on the records that end in `bytes`, and keeps the rest. */
  #scan(bytes: Buffer): void {
    const { maxRecordBytes } = this.#options;
    const mayBeTooLong = this.#partialBytes + bytes.length > maxRecordBytes;
    const firstQuote = this.#delimiter === undefined ? -1 : bytes.indexOf(QUOTE);
    if (this.#place !== Place.UNQUOTED) this.#scanFields(bytes, 0);
    else if (firstQuote !== -1) this.#scanFields(bytes, mayBeTooLong ? 0 : firstQuote);
    else if (mayBeTooLong) this.#scanLines(bytes);
    else this.#divideLines(bytes);
    // Two more, for a line break that may follow: it does not count.
    if (this.#partialBytes >= maxRecordBytes + 2) this.#rejectRecord('too_long');
  }

  /** Fast path: no quote, and no record that is too long. Copies only a record that began in an earlier chunk. */
  #divideLines(bytes: Buffer): void {
    const first = this.#partialBytes === 0 ? 0 : bytes.indexOf(LINE_FEED) + 1;
    if (first > 0) this.#divide(bytes.subarray(0, first), first);
    const rest = bytes.subarray(first);
    if (rest.length > 0) this.#divide(rest, rest.lastIndexOf(LINE_FEED) + 1);
  }

  /** @param from no quote stands before it, and no record before it is too long */
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

  /** Scans bytes without a quote, some of whose records may be too long. */
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

  /** @param start of the record; negative if it began in an earlier chunk @param end offset of its line feed */
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

  /** Passes on the bytes before `end`, which are whole records, and keeps the others. */
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

  /** Rejects the partial record: skips its first line, and queues its bytes for another scan. */
  #rejectRecord(fault: SplitFault): void {
    const partial = this.#partial;
    const reported = fault === 'too_long' && this.#leavesQuoteOpen() ? 'too_long_open_quote' : fault;
    // It may be cut off, and may have further lines.
    if (!this.#options.skips)
      this.#options.onBadLine(
        reported,
        Buffer.concat(partial, Math.min(this.#partialBytes, MAX_BAD_LINE_BYTES)),
      );
    this.#skipped = { fault: reported, slices: [], sliceBytes: 0 };
    for (let i = partial.length - 1; i >= 0; i -= 1) this.#waitInPortions(partial[i]!);
    this.#forget();
  }

  /** Queues bytes in slices, so that their records do not come all at once. */
  #waitInPortions(slice: Buffer): void {
    const last = Math.max(0, Math.ceil(slice.length / PORTION_BYTES) - 1);
    for (let portion = last; portion >= 0; portion -= 1)
      this.#waiting.push(slice.subarray(portion * PORTION_BYTES, (portion + 1) * PORTION_BYTES));
  }

  /** Returns whether the first line ends within quotes. A line that is too long by itself does not count. */
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
    const slice = bytes.subarray(0, Math.min(end, MAX_BAD_LINE_BYTES - skipped.sliceBytes));
    if (slice.length > 0) skipped.slices.push(slice);
    skipped.sliceBytes += slice.length;
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
