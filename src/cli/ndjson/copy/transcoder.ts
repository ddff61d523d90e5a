/**
 * The fast path of NDJSON: blocks of lines become COPY's text without being parsed. What it cannot do exactly as the slow path would (parsed
 * by `NdjsonRows`, written by the columns' encoders), it has done by that way, record by record. Where that finds a fault, it stops, so that
 * whoever asked can have the record read in the way that tells of faults.
 */

import { isUtf8 } from 'node:buffer';
import { DEFAULT_MARKER } from '../../../postgres/merge/absent-values.js';
import { LINE_FEED, SLOW_PATH, startsWith } from './bytes.js';
import { copyColumn, IGNORED_VALUE, type CopyColumn } from './column.js';
import { SlowPath } from './slow-path.js';
import { END_OF_RECORD, IGNORED, skipBlankLine, Steps } from './steps.js';
import { CopyText } from './text.js';
import type { NdjsonRowOptions } from '../rows/ndjson-rows.js';
import { endOfLine } from '../../common/text.js';

/** What has become of a block, up to the first record that cannot be loaded. */
export interface Transcoded {
  /** Rows in COPY's text format. The caller owns it. */
  readonly data: Buffer;
  readonly records: number;
  /** Lines that were read, blank ones included. */
  readonly lines: number;
  /** Of these, how many come before the last record. */
  readonly linesBeforeLast: number;
  /** Bytes of the block that were read. If not all, and not `isPaused`, a record follows that cannot be read, or that a column cannot take. */
  readonly bytes: number;
  /** Whether it is to be called again with the rest: many lines of it took their time. */
  readonly isPaused: boolean;
}

const LINE_BREAK = Buffer.of(LINE_FEED);
const NULL_FIELD = Buffer.from('\\N\t');
const DEFAULT_FIELD = Buffer.from(`${DEFAULT_MARKER}\t`);
/** So many bytes of COPY's text one of JSON may become: JSON within JSON has its backslashes escaped. */
const MAX_GROWTH = 2;
/** A buffer that became larger for one block is not kept for the next. */
const MAX_REUSED_BYTES = 4 * 1024 * 1024;
/** Most lines in one call that are blank, or whose records take the slow path: these take many times as long. */
const MOST_SLOW_LINES = 4096;
/** In place of an offset: the keys are not in the columns' order. */
const OUT_OF_ORDER = -2;

export class NdjsonTranscoder {
  readonly #columns: readonly CopyColumn[];
  /** What is written for a column that a record leaves out. Undefined: the record goes another way. */
  readonly #absentFields: readonly (Buffer | undefined)[];
  readonly #steps: Steps;
  readonly #slowPath: SlowPath;
  #text = new CopyText();
  /** The values of a record whose keys are not in the columns' order, and where each one is; at a start below 0 there is none. */
  #loose = new CopyText();
  readonly #starts: Int32Array;
  readonly #ends: Int32Array;
  /** Whether the keys of the record before were in the columns' order. */
  #isInOrder = true;

  constructor(options: NdjsonRowOptions) {
    const { columns, ignoresOtherKeys } = options;
    this.#columns = columns.map((column) => copyColumn(column));
    this.#steps = new Steps(
      columns.map(({ name }) => name),
      ignoresOtherKeys,
    );
    const defaultField = options.takesDefaultMarker === true ? DEFAULT_FIELD : undefined;
    this.#absentFields = columns.map(({ hasDefault }) => (hasDefault === true ? defaultField : NULL_FIELD));
    this.#slowPath = new SlowPath(options);
    this.#starts = new Int32Array(columns.length);
    this.#ends = new Int32Array(columns.length);
  }

  /** How many records had to take the slow path, so far. */
  get slowPathRecords(): number {
    return this.#slowPath.records;
  }

  /** @param block whole lines; the last one may lack its line feed */
  transcode(block: Buffer): Transcoded {
    const valid = validLines(block);
    // Its line feed is what ends every loop over the source.
    const source = valid.at(-1) === LINE_FEED ? valid : Buffer.concat([valid, LINE_BREAK]);
    const end = valid.length;
    const text = this.#text;
    let at = 0;
    let lines = 0;
    let linesBeforeLast = 0;
    let records = 0;
    let slowLines = 0;
    while (at < end && slowLines < MOST_SLOW_LINES) {
      const { length } = text;
      const recordsBefore = records;
      text.reserve(MAX_GROWTH * (source.length - at) + NULL_FIELD.length * this.#columns.length);
      let next = this.#writeRecord(source, at);
      if (next >= 0) records += 1;
      else {
        text.length = length;
        slowLines += 1;
        next = skipBlankLine(source, at);
        if (next === SLOW_PATH) {
          next = endOfLine(source, at);
          const written = this.#slowPath.write(source.subarray(at, next), length);
          if (written === undefined) return this.#transcoded(records, lines, linesBeforeLast, at, false);
          records += written;
        }
      }
      at = next;
      if (records > recordsBefore) linesBeforeLast = lines;
      lines += 1;
    }
    const bytes = Math.min(at, end);
    return this.#transcoded(records, lines, linesBeforeLast, bytes, bytes < end);
  }

  #transcoded(
    records: number,
    lines: number,
    linesBeforeLast: number,
    bytes: number,
    isPaused: boolean,
  ): Transcoded {
    return { data: this.#takeText(), records, lines, linesBeforeLast, bytes, isPaused };
  }

  #takeText(): Buffer {
    const { bytes, length } = this.#text;
    const isKept = bytes.length <= MAX_REUSED_BYTES;
    const written = bytes.subarray(0, length);
    // What is not kept for the next block need not be copied.
    const data = this.#slowPath.mergeInto(written) ?? (isKept ? Buffer.from(written) : written);
    if (isKept) this.#text.length = 0;
    else this.#text = new CopyText();
    if (this.#loose.bytes.length > MAX_REUSED_BYTES) this.#loose = new CopyText();
    return data;
  }

  /** Answers where the next record begins, or `LONG_WAY`. */
  #writeRecord(source: Buffer, at: number): number {
    if (this.#isInOrder) {
      const { length } = this.#text;
      const end = this.#writeInOrder(source, at);
      if (end !== OUT_OF_ORDER) return end;
      this.#text.length = length;
    }
    return this.#writeInAnyOrder(source, at);
  }

  #writeInOrder(source: Buffer, start: number): number {
    const text = this.#text;
    const columns = this.#columns;
    const steps = this.#steps;
    let at = start;
    /** Of the next column to be written. */
    let place = 0;
    let step = steps.start;
    for (;;) {
      let { next } = step;
      if (next === undefined || !startsWith(source, at, next.bytes)) {
        next = steps.find(step, source, at);
        if (next === undefined) return SLOW_PATH;
      }
      step = next;
      at += step.bytes.length;
      const found = step.place;
      if (found >= 0) {
        if (found < place) return OUT_OF_ORDER;
        for (; place < found; place += 1) if (!this.#writeAbsent(place)) return SLOW_PATH;
        at = text.writeValue(source, at, columns[found]!);
        text.endField();
        place += 1;
      } else if (found === IGNORED) {
        const { length } = text;
        at = text.writeValue(source, at, IGNORED_VALUE);
        text.length = length;
      } else break;
      if (at === SLOW_PATH) return SLOW_PATH;
    }
    for (; place < columns.length; place += 1) if (!this.#writeAbsent(place)) return SLOW_PATH;
    text.endRow();
    return at;
  }

  #writeInAnyOrder(source: Buffer, start: number): number {
    const loose = this.#loose;
    const starts = this.#starts.fill(-1);
    const ends = this.#ends;
    loose.length = 0;
    loose.reserve(MAX_GROWTH * (source.length - start));
    let at = start;
    let last = -1;
    let isInOrder = true;
    let step = this.#steps.start;
    for (;;) {
      let { next } = step;
      if (next === undefined || !startsWith(source, at, next.bytes)) {
        next = this.#steps.find(step, source, at);
        if (next === undefined) return SLOW_PATH;
      }
      step = next;
      at += step.bytes.length;
      const { place } = step;
      if (place === END_OF_RECORD) break;
      const { length } = loose;
      at = loose.writeValue(source, at, place === IGNORED ? IGNORED_VALUE : this.#columns[place]!);
      if (at === SLOW_PATH) return SLOW_PATH;
      if (place === IGNORED) continue;
      // The key comes twice.
      if (starts[place]! >= 0) return SLOW_PATH;
      starts[place] = length;
      ends[place] = loose.length;
      isInOrder &&= place > last;
      last = place;
    }
    this.#isInOrder = isInOrder;
    return this.#writeLoose() ? at : SLOW_PATH;
  }

  /** Answers `false` if only rows can say that the column gets its default. */
  #writeAbsent(place: number): boolean {
    const field = this.#absentFields[place];
    if (field === undefined) return false;
    this.#text.copyFrom(field, 0, field.length);
    return true;
  }

  /** Answers `false` if only rows can say that a column gets its default. */
  #writeLoose(): boolean {
    const text = this.#text;
    const starts = this.#starts;
    for (let place = 0; place < starts.length; place += 1) {
      const start = starts[place]!;
      if (start < 0) {
        if (!this.#writeAbsent(place)) return false;
      } else {
        text.copyFrom(this.#loose.bytes, start, this.#ends[place]!);
        text.endField();
      }
    }
    text.endRow();
    return true;
  }
}

/** As far as it is UTF-8. */
function validLines(block: Buffer): Buffer {
  if (isUtf8(block)) return block;
  let end = 0;
  for (;;) {
    const next = endOfLine(block, end);
    if (!isUtf8(block.subarray(end, next))) return block.subarray(0, end);
    end = next;
  }
}
