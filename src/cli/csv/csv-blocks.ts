/**
 * CSV records to blocks that PostgreSQL reads itself: the fields are the columns, so nothing is to be done with them. Only where both read
 * the same: whatever else there is in a block, its records are read here, and judged by the same rules as ever.
 *
 * What the server would read in another way, or refuse in other words: another number of fields; a carriage return by itself, or line
 * breaks of both kinds; a backslash with a dot, which up to PostgreSQL 17 may end the data; U+0000; what is not UTF-8.
 */

import { isUtf8 } from 'node:buffer';
import { delimitedFormat } from '../../postgres/merge/copy-plan.js';
import type { BlockSizer } from '../records/block-sizer.js';
import type { BlockReader, OnBadRecord, OnRow } from '../records/block-reader.js';
import { endOfRecord } from './csv-reader.js';
import { CsvRows, type CsvRowOptions } from './csv-rows.js';
import type { LineFormat } from '../records/block-content.js';
import { scanCsv, scanLines, type CsvScan } from './csv-scan.js';
import { readAsRows } from '../records/record-block.js';
import type { BlockContent, BlockFormat } from '../records/block-content.js';
import type { SourceFile } from '../input/source.js';

const CARRIAGE_RETURN = 0x0d;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const END_OF_DATA = '\\.';
const LINE_BREAKS = { lf: Buffer.from('\n'), crlf: Buffer.from('\r\n') };

/** The formats of all blocks of a load. */
export interface CsvFormats {
  /** Of blocks without quotes and backslashes, the best first: the server's text format means the same there, and is read faster. */
  readonly plain: Record<'lf' | 'crlf', readonly BlockFormat[]>;
  readonly any: Record<'lf' | 'crlf', readonly BlockFormat[]>;
  /** Of plain blocks, line by line. */
  readonly lines: Record<'lf' | 'crlf', LineFormat>;
}

/** Undefined where the server's CSV knows no such delimiter. */
export function csvFormats(delimiter: string, nullText: string): CsvFormats | undefined {
  // In text format it takes no letter, digit or dot, and a backslash has another meaning.
  if (/[\\.a-zA-Z0-9]/.test(delimiter)) return undefined;
  const text = delimitedFormat('text', delimiter, nullText);
  const csv = delimitedFormat('csv', delimiter, nullText);
  // Objects of their own: the server takes line breaks of one kind only.
  const [lf, crlf] = [{ copy: csv }, { copy: csv }];
  const textLines = { delimiter, nullText };
  const [textLf, textCrlf] = [
    { copy: text, textLines },
    { copy: text, textLines },
  ];
  return {
    plain: { lf: [textLf, lf], crlf: [textCrlf, crlf] },
    any: { lf: [lf], crlf: [crlf] },
    lines: {
      lf: { format: textLf, delimiter, nullText },
      crlf: { format: textCrlf, delimiter, nullText },
    },
  };
}

export interface CsvBlockOptions extends CsvRowOptions {
  readonly formats: CsvFormats;
  readonly sizer: BlockSizer;
  readonly keepsBadRecords: boolean;
}

/** Reads one file. */
export class CsvBlocks implements BlockReader<BlockContent> {
  readonly #rows: CsvRows;
  readonly #options: CsvBlockOptions;
  readonly #delimiter: number;
  /** That of the records so far. */
  #lineBreak: 'lf' | 'crlf' = 'lf';

  constructor(file: SourceFile, options: CsvBlockOptions) {
    this.#rows = new CsvRows(file, options);
    this.#options = options;
    this.#delimiter = options.delimiter.charCodeAt(0);
  }

  read(block: Buffer, onRow: OnRow<BlockContent>): number {
    const rowsOptions = { ...this.#options, recordEnd: endOfRecord };
    let start = 0;
    if (this.#rows.awaitsHeader) {
      start = endOfRecord(block, 0);
      readAsRows(this.#rows, block.subarray(0, start), rowsOptions, onRow);
    }
    const isSame = this.#rows.areFieldsColumns && isReadAlike(block);
    // For the whole block, which may be cut into many.
    const scanBlock = block.includes(QUOTE) || block.includes(CARRIAGE_RETURN) ? scanCsv : scanLines;
    while (start < block.length) {
      const { sizer } = this.#options;
      const scan = isSame
        ? scanBlock(block, start, sizer.remaining, this.#delimiter, this.#rows.fieldCount)
        : undefined;
      if (scan === undefined)
        return start + readAsRows(this.#rows, block.subarray(start), rowsOptions, onRow);
      this.#passScanned(block.subarray(start, scan.end), scan, onRow);
      start = scan.end;
    }
    return start;
  }

  rejectLine(reason: string, written: Buffer, onBadRecord?: OnBadRecord): void {
    this.#options.sizer.countRecords(1);
    this.#rows.rejectLine(reason, written, onBadRecord);
  }

  end(): void {
    this.#rows.end();
  }

  #passScanned(written: Buffer, scan: CsvScan, onRow: OnRow<BlockContent>): void {
    const { formats, sizer } = this.#options;
    const { records, lines, linesBeforeLast, hasQuotes, isComplete } = scan;
    const lineBreak = scan.lineBreak ?? this.#lineBreak;
    this.#lineBreak = lineBreak;
    const isPlain = !hasQuotes && !written.includes(BACKSLASH);
    const line = this.#rows.nextLine;
    this.#rows.nextLine += lines;
    sizer.countRecords(records);
    const sent = isComplete ? written : Buffer.concat([written, LINE_BREAKS[lineBreak]]);
    const content: BlockContent = {
      kind: 'sent',
      records,
      linesBeforeLast,
      written,
      sent,
      formats: (isPlain ? formats.plain : formats.any)[lineBreak],
      lines: isPlain ? formats.lines[lineBreak] : undefined,
    };
    onRow(content, line, records);
  }
}

/** Whether there is nothing in a block that the server reads in another way, but for what a scan finds. */
function isReadAlike(block: Buffer): boolean {
  return !block.includes(0) && !block.includes(END_OF_DATA) && isUtf8(block);
}
