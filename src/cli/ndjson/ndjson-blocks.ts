/**
 * Reads NDJSON as blocks of COPY's text format, which may go on as binary if the table has dates: to read one as text costs the server
 * several times as much as it costs here.
 *
 * From the first record on that cannot be loaded so, the rest of the block is read as rows, which report what is wrong with it.
 */

import { BACKSLASH } from '../../common/bytes.js';
import type { TextLines } from '../../postgres/encoding/binary/line-transcoder.js';
import { TEXT_FORMAT, TEXT_FORMAT_WITH_DEFAULTS } from '../../postgres/merge/copy-plan.js';
import type { FieldFit } from '../csv/field-fit.js';
import type { BlockSizer } from '../records/block-sizer.js';
import type { BlockReader, OnBadRecord, OnRow } from '../records/block-reader.js';
import type { NdjsonTranscoder, Transcoded } from './copy/transcoder.js';
import { NdjsonRows, type NdjsonRowOptions } from './rows/ndjson-rows.js';
import { readAsRows } from '../records/record-block.js';
import type { BlockContent, BlockFormat } from '../records/block-content.js';
import type { SourceFile } from '../input/source.js';
import { endOfLine } from '../common/text.js';

/** Fields of COPY's text format in which nothing is escaped. */
const TAB_LINES: TextLines = { delimiter: '\t', nullText: '\\N' };

interface Formats {
  readonly any: readonly BlockFormat[];
  /** Of lines in which nothing but NULL has a backslash, the best first: their dates may go in binary. */
  readonly plain: readonly BlockFormat[];
}

/** One constant each: blocks of several files can be sent together if they share the object. */
const [TEXT, WITH_DEFAULTS] = [TEXT_FORMAT, TEXT_FORMAT_WITH_DEFAULTS].map((copy): Formats => {
  const any = { copy };
  return { any: [any], plain: [{ copy, textLines: TAB_LINES }, any] };
}) as [Formats, Formats];

/** Types that are faster in binary, so that it pays to look for backslashes. */
const DATES: ReadonlySet<string> = new Set(['date', 'timestamp', 'timestamptz']);
/** To look at a NULL takes a tenth of what binary saves for a date. */
const MOST_NULLS_PER_RECORD = 2;
/** Text writes a line feed as a small letter. */
const CAPITAL_N = 0x4e;

export interface NdjsonBlockOptions extends NdjsonRowOptions {
  readonly transcoder: NdjsonTranscoder;
  readonly sizer: BlockSizer;
  readonly keepsBadRecords: boolean;
  /** Set if the types of the columns were inferred: a value of another form is for the rows to judge. */
  readonly fit?: FieldFit | undefined;
}

/** Reads one file. */
export class NdjsonBlocks implements BlockReader<BlockContent> {
  readonly #rows: NdjsonRows;
  readonly #options: NdjsonBlockOptions;
  readonly #formats: Formats;
  readonly #hasDates: boolean;

  constructor(file: SourceFile, options: NdjsonBlockOptions) {
    this.#rows = new NdjsonRows(file, options);
    this.#options = options;
    this.#formats = options.takesDefaultMarker === true ? WITH_DEFAULTS : TEXT;
    this.#hasDates = options.columns.some(({ type }) => type.kind === 'scalar' && DATES.has(type.name));
  }

  read(block: Buffer, onRow: OnRow<BlockContent>): number {
    const { sizer } = this.#options;
    let start = 0;
    while (start < block.length) {
      const end = endOfLines(block, start, sizer.remaining);
      const transcoded = this.#passTranscoded(block.subarray(start, end), onRow);
      start += transcoded.bytes;
      if (start === end) continue;
      if (transcoded.isPaused) return start;
      const rowsOptions = { ...this.#options, recordEnd: endOfLine };
      return start + readAsRows(this.#rows, block.subarray(start), rowsOptions, onRow);
    }
    return start;
  }

  rejectLine(reason: string, written: Buffer, onBadRecord?: OnBadRecord): void {
    this.#options.sizer.countRecords(1);
    this.#rows.rejectLine(reason, written, onBadRecord);
  }

  #passTranscoded(lines: Buffer, onRow: OnRow<BlockContent>): Pick<Transcoded, 'bytes' | 'isPaused'> {
    const { transcoder, sizer, fit } = this.#options;
    const transcoded = transcoder.transcode(lines);
    const { data, records, lines: lineCount, linesBeforeLast, bytes } = transcoded;
    if (records > 0 && fit?.fits(data, false) === false) return { bytes: 0, isPaused: false };
    const line = this.#rows.nextLine;
    this.#rows.nextLine += lineCount;
    if (records === 0) return transcoded;
    sizer.countRecords(records);
    const written = lines.subarray(0, bytes);
    const isPlain = this.#hasDates && arePlain(data, MOST_NULLS_PER_RECORD * records);
    const formats = isPlain ? this.#formats.plain : this.#formats.any;
    onRow(
      { kind: 'sent', records, linesBeforeLast, written, sent: data, formats, lines: undefined },
      line,
      records,
    );
    return transcoded;
  }
}

/** Returns whether each backslash is that of a NULL, and these are at most `mostNulls`. */
function arePlain(text: Buffer, mostNulls: number): boolean {
  let found = text.indexOf(BACKSLASH);
  for (let left = mostNulls; left > 0 && found !== -1 && text[found + 1] === CAPITAL_N; left -= 1)
    found = text.indexOf(BACKSLASH, found + 2);
  return found === -1;
}

/** Returns where `most` lines from `start` on end, or the end of the block. */
function endOfLines(block: Buffer, start: number, most: number): number {
  if (most === Infinity) return block.length;
  let end = start;
  for (let left = most; left > 0 && end < block.length; left -= 1) end = endOfLine(block, end);
  return end;
}
