/**
 * NDJSON records to blocks of COPY's text, without a record being parsed. From the first record of a block on that cannot be loaded this way,
 * the block's records are read one by one, and judged by the same rules as ever.
 */

import { TEXT_FORMAT, TEXT_FORMAT_WITH_DEFAULTS } from '../../postgres/merge/copy-plan.js';
import type { BlockCut } from '../records/block-cut.js';
import type { BlockReader, RefuseRecord, TakeRow } from '../records/block-reader.js';
import type { NdjsonTranscoder, Transcoded } from './copy/ndjson-copy.js';
import { NdjsonRows, type NdjsonRowOptions } from './rows/ndjson-rows.js';
import { takeAsRows } from '../records/record-block.js';
import type { BlockContent, BlockFormat } from '../records/block-content.js';
import type { SourceFile } from '../input/source.js';
import { endOfLine } from '../common/text.js';

/** One object each, so that blocks of several files can be sent together. */
const FORMATS: readonly BlockFormat[] = [{ copy: TEXT_FORMAT }];
const FORMATS_WITH_DEFAULTS: readonly BlockFormat[] = [{ copy: TEXT_FORMAT_WITH_DEFAULTS }];

export interface NdjsonBlockOptions extends NdjsonRowOptions {
  readonly transcoder: NdjsonTranscoder;
  readonly cut: BlockCut;
  readonly keepsBadRecords: boolean;
}

/** Reads one file. */
export class NdjsonBlocks implements BlockReader<BlockContent> {
  readonly #rows: NdjsonRows;
  readonly #options: NdjsonBlockOptions;

  constructor(file: SourceFile, options: NdjsonBlockOptions) {
    this.#rows = new NdjsonRows(file, options);
    this.#options = options;
  }

  read(block: Buffer, take: TakeRow<BlockContent>): number {
    const { cut } = this.#options;
    let start = 0;
    while (start < block.length) {
      const end = endOfLines(block, start, cut.most);
      const transcoded = this.#takeTranscoded(block.subarray(start, end), take);
      start += transcoded.bytes;
      if (start === end) continue;
      if (transcoded.isPaused) return start;
      const rowsOptions = { ...this.#options, recordEnd: endOfLine };
      return start + takeAsRows(this.#rows, block.subarray(start), rowsOptions, take);
    }
    return start;
  }

  refuseLine(reason: string, written: Buffer, refuse?: RefuseRecord): void {
    this.#options.cut.add(1);
    this.#rows.refuseLine(reason, written, refuse);
  }

  #takeTranscoded(lines: Buffer, take: TakeRow<BlockContent>): Pick<Transcoded, 'bytes' | 'isPaused'> {
    const { transcoder, cut, takesDefaultMarker } = this.#options;
    const formats = takesDefaultMarker === true ? FORMATS_WITH_DEFAULTS : FORMATS;
    const transcoded = transcoder.transcode(lines);
    const { data, records, lines: lineCount, linesBeforeLast, bytes } = transcoded;
    const line = this.#rows.nextLine;
    this.#rows.nextLine += lineCount;
    if (records === 0) return transcoded;
    cut.add(records);
    const written = lines.subarray(0, bytes);
    take(
      { kind: 'sent', records, linesBeforeLast, written, sent: data, formats, lines: undefined },
      line,
      records,
    );
    return transcoded;
  }
}

/** Where so many lines from `start` on end; or the block, if it has no more. */
function endOfLines(block: Buffer, start: number, most: number): number {
  if (most === Infinity) return block.length;
  let end = start;
  for (let left = most; left > 0 && end < block.length; left -= 1) end = endOfLine(block, end);
  return end;
}
