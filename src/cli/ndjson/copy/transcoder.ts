/**
 * Encodes blocks of NDJSON lines as COPY's text format, mostly without parsing them.
 *
 * ```text
 *   line ──▶ fast path: compare the bytes between values with the learned steps (steps.ts),
 *     │      copy each value as it is written (text.ts, nested.ts)
 *     │        keys in the columns' order ──▶ straight into the text
 *     │        keys in another order ───────▶ into `#loose`, then in the columns' order into the text
 *     │ SLOW_PATH
 *     ├─▶ blank line: skipped
 *     │
 *     └─▶ slow path: parse, then write by the columns' encoders (slow-path.ts)
 *           │ fault
 *           └─▶ stop before this record: the caller reads the rest as rows, which report the fault
 * ```
 *
 * The fast path is valid only if it writes the same bytes as the slow path would. A record takes the slow path for:
 *
 * - an escaped key, a key that comes twice, an unknown key (unless `--columns` leaves it out), a step of more than 1,024 bytes;
 * - a value that the column does not take as it is written (see `CopyColumn`), for example `1e3` for an integer, or an object for an array;
 * - in JSON columns: nesting deeper than 64 levels, keys that begin with a digit, escapes that JSON's writer would spell otherwise;
 * - an absent key whose column has a default, unless COPY's text has a marker for it;
 * - U+0000 and halves of surrogate pairs, and all that is not JSON.
 *
 * `test/support/ndjson-reference.ts` is the slow path alone; tests compare both over random records.
 */

import { isUtf8 } from 'node:buffer';
import { DEFAULT_MARKER } from '../../../postgres/merge/absent-values.js';
import { LINE_FEED } from '../../../common/bytes.js';
import { SLOW_PATH, startsWith } from './scans.js';
import { copyColumn, JSON_VALUE, type CopyColumn } from './column.js';
import { SlowPath } from './slow-path.js';
import { END_OF_RECORD, IGNORED, skipBlankLine, Steps } from './steps.js';
import { CopyText } from './text.js';
import type { NdjsonRowOptions } from '../rows/ndjson-rows.js';
import { endOfLine } from '../../common/text.js';

/** The rows of a block, up to the first record that cannot be loaded. */
export interface Transcoded {
  /** Rows in COPY's text format. The caller owns it. */
  readonly data: Buffer;
  readonly records: number;
  /** Lines that were read, blank ones included. */
  readonly lines: number;
  /** How many of these lines come before the last record. */
  readonly linesBeforeLast: number;
  /** Bytes of the block that were read. If some are left and `isPaused` is `false`, the next record cannot be loaded. */
  readonly bytes: number;
  /** `true`: call again with the rest of the block. Slow lines end a call early, so that it stays short. */
  readonly isPaused: boolean;
}

const LINE_BREAK = Buffer.of(LINE_FEED);
const NULL_FIELD = Buffer.from('\\N\t');
const DEFAULT_FIELD = Buffer.from(`${DEFAULT_MARKER}\t`);
/** Bytes of COPY's text that one byte of JSON can become: in JSON columns each backslash is escaped. */
const MAX_GROWTH = 2;
/** A buffer that has grown beyond this is not reused for the next block. */
const MAX_REUSED_BYTES = 4 * 1024 * 1024;
/** Most blank lines and slow records in one call: each takes many times as long as a fast record. */
const MOST_SLOW_LINES = 4096;
/** Returned in place of an offset: the keys are not in the columns' order. */
const OUT_OF_ORDER = -2;

export class NdjsonTranscoder {
  readonly #columns: readonly CopyColumn[];
  /** Field of a column whose key is absent. Undefined: such a record takes the slow path. */
  readonly #absentFields: readonly (Buffer | undefined)[];
  readonly #steps: Steps;
  readonly #slowPath: SlowPath;
  #text = new CopyText();
  /** Values of a record whose keys are not in the columns' order. A start below 0 means that the key is absent. */
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

  /** How many records have taken the slow path. */
  get slowPathRecords(): number {
    return this.#slowPath.records;
  }

  /** @param block whole lines; the last one may lack its line feed */
  transcode(block: Buffer): Transcoded {
    const valid = validLines(block);
    // Every loop over the source ends at this line feed.
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
    // A buffer that is not reused need not be copied.
    const data = this.#slowPath.mergeInto(written) ?? (isKept ? Buffer.from(written) : written);
    if (isKept) this.#text.length = 0;
    else this.#text = new CopyText();
    if (this.#loose.bytes.length > MAX_REUSED_BYTES) this.#loose = new CopyText();
    return data;
  }

  /** Returns where the next record begins, or `SLOW_PATH`. */
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
    /** Index of the next column to be written. */
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
        at = text.writeValue(source, at, JSON_VALUE);
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
      at = loose.writeValue(source, at, place === IGNORED ? JSON_VALUE : this.#columns[place]!);
      if (at === SLOW_PATH) return SLOW_PATH;
      if (place === IGNORED) continue;
      // A key comes twice: the slow path knows which value counts.
      if (starts[place]! >= 0) return SLOW_PATH;
      starts[place] = length;
      ends[place] = loose.length;
      isInOrder &&= place > last;
      last = place;
    }
    this.#isInOrder = isInOrder;
    return this.#writeLoose() ? at : SLOW_PATH;
  }

  /** Returns `false` if COPY's text has no way to say that the column gets its default. */
  #writeAbsent(place: number): boolean {
    const field = this.#absentFields[place];
    if (field === undefined) return false;
    this.#text.copyFrom(field, 0, field.length);
    return true;
  }

  /** Returns `false` as `#writeAbsent` does. */
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

/** Returns the lines before the first one that is not UTF-8. */
function validLines(block: Buffer): Buffer {
  if (isUtf8(block)) return block;
  let end = 0;
  for (;;) {
    const next = endOfLine(block, end);
    if (!isUtf8(block.subarray(end, next))) return block.subarray(0, end);
    end = next;
  }
}
