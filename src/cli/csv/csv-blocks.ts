/**
 * Reads CSV, or COPY's text format, as blocks that PostgreSQL parses itself.
 *
 * ```text
 *   block of whole records, up to the next one that the server would read otherwise
 *     │ fields are the columns, in order · UTF-8, no U+0000, no `\.` · the scan agrees (csv-scan.ts)
 *     ├── no ──▶ rows: parsed here (csv-reader.ts)
 *     │ yes
 *     ├── a rule may apply (field-rules.ts) ──▶ rewritten as COPY's text format (rewritten-records.ts), or rows if a field does not fit
 *     ├── quotes or backslashes ──▶ sent as CSV; COPY's text format as itself
 *     └── plain lines ────────────▶ sent as COPY's text format, or binary if the columns' types make that faster
 *                                     └── batch refused ──▶ lines, parsed one by one (records/line-rows.ts)
 * ```
 *
 * A block is valid for the server only if both readers find the same rows in it. The server would read these otherwise, or report them in
 * another message: another number of fields, a lone carriage return, line breaks of both kinds, `\.` (which may end the data up to
 * PostgreSQL 17), U+0000, bytes that are not UTF-8.
 *
 * Under `--create`, a field that has not the form of its column's type also makes rows of its block (field-fit.ts).
 *
 * Each step is measured against the next: sent as CSV instead of rows, a file with quotes takes a sixth of the client's CPU; text instead
 * of CSV takes 7 to 43 % less CPU of the server; binary instead of text takes a quarter less of it, for half as much again of the client's;
 * lines instead of rows take a third less of the client's CPU while 1 % of the rows are rejected.
 */

import { isUtf8 } from 'node:buffer';
import { BACKSLASH, CARRIAGE_RETURN, QUOTE } from '../../common/bytes.js';
import { delimitedFormat, TEXT_FORMAT } from '../../postgres/merge/copy-plan.js';
import type { BlockSizer } from '../records/block-sizer.js';
import { MOST_ROWS, type BlockReader, type OnBadRecord, type OnRow } from '../records/block-reader.js';
import { scanCopy } from './copy-scan.js';
import { recordFormat } from './csv-reader.js';
import { CsvRows, type CsvRowOptions } from './csv-rows.js';
import type { LineFormat } from '../records/block-content.js';
import type { FieldFit } from './field-fit.js';
import { scanCsv, scanLines, type CsvScan } from './csv-scan.js';
import { readAsRows } from '../records/record-block.js';
import type { BlockContent, BlockFormat, SentContent } from '../records/block-content.js';
import type { FieldRuleSet } from './field-rules.js';
import { rewriteRecords } from './rewritten-records.js';
import type { SourceFile } from '../input/source.js';

/** After so many records that can be sent, the next one that cannot is taken to be alone. */
const GOOD_RUN = 64;
const END_OF_DATA = '\\.';
/** One constant: blocks can be sent together if they share the object. */
const REWRITTEN: readonly BlockFormat[] = [{ copy: TEXT_FORMAT }];
const LINE_BREAKS = { lf: Buffer.from('\n'), crlf: Buffer.from('\r\n') };

/** The COPY formats of a load's blocks, by kind of line break. */
export interface CsvFormats {
  /** For blocks without quotes and backslashes, the best first: text format means the same there and is read faster. */
  readonly plain: Record<'lf' | 'crlf', readonly BlockFormat[]>;
  readonly any: Record<'lf' | 'crlf', readonly BlockFormat[]>;
  /** For reading a plain block again, line by line. */
  readonly lines: Record<'lf' | 'crlf', LineFormat>;
}

/** Returns undefined for a delimiter that the server's formats do not take as ours does. */
export function csvFormats(delimiter: string, nullText: string, isCopyText = false): CsvFormats | undefined {
  // Text format allows no letter, digit or dot, and a backslash means something else there.
  if (/[\\.a-zA-Z0-9]/.test(delimiter)) return undefined;
  const text = delimitedFormat('text', delimiter, nullText);
  const csv = delimitedFormat(isCopyText ? 'text' : 'csv', delimiter, nullText);
  // One object for each kind of line break: one COPY takes only one kind.
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
  /** Set if the types of the columns were inferred: a field of another form is for the rows to judge. */
  readonly fit?: FieldFit | undefined;
}

/** Reads one file. */
export class CsvBlocks implements BlockReader<BlockContent> {
  readonly #rows: CsvRows;
  readonly #options: CsvBlockOptions;
  readonly #delimiter: number;
  /** Records that become rows where a scan ends: a bad record is alone at first, then so many are that a block has few pieces. */
  #rowsAtOnce = 1;
  /** Kind of line break of the records so far. */
  #lineBreak: 'lf' | 'crlf' = 'lf';

  constructor(file: SourceFile, options: CsvBlockOptions) {
    this.#rows = new CsvRows(file, options);
    this.#options = options;
    this.#delimiter = options.delimiter.charCodeAt(0);
  }

  read(block: Buffer, onRow: OnRow<BlockContent>): number {
    const { recordEnd } = recordFormat(this.#options);
    const rowsOptions = { ...this.#options, recordEnd };
    let start = 0;
    // Blank lines may stand before the header.
    while (this.#rows.awaitsHeader && start < block.length) {
      const end = recordEnd(block, start);
      readAsRows(this.#rows, block.subarray(start, end), rowsOptions, onRow);
      start = end;
    }
    const { rules, sizer } = this.#options;
    const isSame =
      this.#rows.areFieldsColumns &&
      !this.#rows.hasEnded &&
      !this.#rows.mayHaveComments(block) &&
      isReadAlike(block);
    const rewrites = isSame && rules?.mayApplyTo(block) === true ? rules : undefined;
    // Chosen once for the whole block, which may be cut into many.
    const scanBlock = this.#scannerFor(block);
    while (start < block.length) {
      if (!isSame) return start + readAsRows(this.#rows, block.subarray(start), rowsOptions, onRow);
      const most = rewrites === undefined ? sizer.remaining : Math.min(sizer.remaining, MOST_ROWS);
      const scan = scanBlock(block, start, most, this.#delimiter, this.#rows.fieldCount);
      if (scan === undefined) {
        const rows = this.#rowsAtOnce;
        start += readAsRows(this.#rows, block.subarray(start), rowsOptions, onRow, rows);
        this.#rowsAtOnce = Math.min(2 * rows, MOST_ROWS);
        if (rows === MOST_ROWS) return start;
        continue;
      }
      const content = this.#contentOf(block.subarray(start, scan.end), scan, rewrites);
      if (content === undefined)
        return start + readAsRows(this.#rows, block.subarray(start), rowsOptions, onRow);
      if (scan.records >= GOOD_RUN) this.#rowsAtOnce = 1;
      const line = this.#rows.nextLine;
      this.#rows.nextLine += scan.lines;
      sizer.countRecords(content.records);
      onRow(content, line, content.records);
      start = scan.end;
      // It takes a turn of its own.
      if (rewrites !== undefined) break;
    }
    return start;
  }

  #scannerFor(block: Buffer): typeof scanCsv {
    const isCopyText = this.#options.isCopyText === true;
    const special = isCopyText ? BACKSLASH : QUOTE;
    if (!block.includes(special) && !block.includes(CARRIAGE_RETURN)) return scanLines;
    return isCopyText ? scanCopy : scanCsv;
  }

  rejectLine(reason: string, written: Buffer, onBadRecord?: OnBadRecord): void {
    this.#options.sizer.countRecords(1);
    this.#rows.rejectLine(reason, written, onBadRecord);
  }

  end(): void {
    this.#rows.end();
  }

  /** Returns undefined if the records must be read as rows. */
  #contentOf(written: Buffer, scan: CsvScan, rules: FieldRuleSet | undefined): SentContent | undefined {
    const { fit } = this.#options;
    const { records, linesBeforeLast, hasQuotes } = scan;
    this.#lineBreak = scan.lineBreak ?? this.#lineBreak;
    const content = { kind: 'sent', records, linesBeforeLast, written } as const;
    if (rules === undefined)
      return fit?.fits(written, hasQuotes) === false
        ? undefined
        : { ...content, ...this.#asWritten(written, scan) };
    const sent = rewriteRecords(written, { ...this.#options, rules, fit });
    return sent && { ...content, sent, formats: REWRITTEN, lines: undefined };
  }

  #asWritten(
    written: Buffer,
    { hasQuotes, isComplete }: CsvScan,
  ): Pick<SentContent, 'sent' | 'formats' | 'lines'> {
    const { formats } = this.#options;
    const lineBreak = this.#lineBreak;
    const isPlain = !hasQuotes && !written.includes(BACKSLASH);
    return {
      sent: isComplete ? written : Buffer.concat([written, LINE_BREAKS[lineBreak]]),
      formats: (isPlain ? formats.plain : formats.any)[lineBreak],
      lines: isPlain ? formats.lines[lineBreak] : undefined,
    };
  }
}

/** Returns whether the server reads the block as we do, as far as the scan does not find out. */
function isReadAlike(block: Buffer): boolean {
  return !block.includes(0) && !block.includes(END_OF_DATA) && isUtf8(block);
}
