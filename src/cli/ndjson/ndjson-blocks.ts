/**
 * Reads NDJSON as blocks of COPY's text format.
 *
 * From the first record on that cannot be loaded so, the rest of the block is read as rows, which report what is wrong with it.
 */

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

/** One constant each: blocks of several files can be sent together if they share the object. */
const FORMATS: readonly BlockFormat[] = [{ copy: TEXT_FORMAT }];
const FORMATS_WITH_DEFAULTS: readonly BlockFormat[] = [{ copy: TEXT_FORMAT_WITH_DEFAULTS }];

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

  constructor(file: SourceFile, options: NdjsonBlockOptions) {
    this.#rows = new NdjsonRows(file, options);
    this.#options = options;
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
    const { transcoder, sizer, takesDefaultMarker, fit } = this.#options;
    const formats = takesDefaultMarker === true ? FORMATS_WITH_DEFAULTS : FORMATS;
    const transcoded = transcoder.transcode(lines);
    const { data, records, lines: lineCount, linesBeforeLast, bytes } = transcoded;
    if (records > 0 && fit?.fits(data, false) === false) return { bytes: 0, isPaused: false };
    const line = this.#rows.nextLine;
    this.#rows.nextLine += lineCount;
    if (records === 0) return transcoded;
    sizer.countRecords(records);
    const written = lines.subarray(0, bytes);
    onRow(
      { kind: 'sent', records, linesBeforeLast, written, sent: data, formats, lines: undefined },
      line,
      records,
    );
    return transcoded;
  }
}

/** Returns where `most` lines from `start` on end, or the end of the block. */
function endOfLines(block: Buffer, start: number, most: number): number {
  if (most === Infinity) return block.length;
  let end = start;
  for (let left = most; left > 0 && end < block.length; left -= 1) end = endOfLine(block, end);
  return end;
}
