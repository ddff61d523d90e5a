/** Rows of plain CSV lines that are parsed only when their values are read: most rows of a refused batch are sent again as they are. */

import { isAscii } from 'node:buffer';
import { CARRIAGE_RETURN, LINE_FEED } from '../../common/bytes.js';
import type { WrittenLines } from '../../postgres/rows/encoded-rows.js';
import { unreadValues, type RowFault } from '../../postgres/rows/row-fault.js';
import type { LineFormat } from './block-content.js';
import { SourceRow } from './record-parser.js';
import type { SourceFile } from '../input/source.js';

/** Where the first line of a block is. */
interface LinePlace {
  readonly file: SourceFile;
  readonly line: number;
  readonly ordinal: number;
}

/** The lines of a block, each with its line break. */
class Lines {
  readonly bytes: Buffer;
  readonly of: LineFormat;
  readonly first: LinePlace;
  /** Where each line begins, and at the end the length. */
  readonly starts: Uint32Array;
  /** ASCII only: the whole text, made when the first row is read. */
  #text: string | undefined;
  readonly #isAscii: boolean;

  constructor(bytes: Buffer, count: number, of: LineFormat, first: LinePlace) {
    this.bytes = bytes;
    this.#isAscii = isAscii(bytes);
    this.of = of;
    this.first = first;
    this.starts = new Uint32Array(count + 1);
    for (let index = 1; index <= count; index += 1) {
      this.starts[index] = bytes.indexOf(LINE_FEED, this.starts[index - 1]) + 1;
    }
  }

  values(index: number): unknown[] {
    const { delimiter, nullText } = this.of;
    const fields: unknown[] = this.#lineAt(index).split(delimiter);
    for (let field = 0; field < fields.length; field += 1)
      if (fields[field] === nullText) fields[field] = null;
    return fields;
  }

  valueAlone(index: number, place: number): unknown[] {
    const text = this.#lineAt(index);
    const { delimiter, nullText } = this.of;
    let start = 0;
    for (let field = 0; field < place; field += 1) start = text.indexOf(delimiter, start) + 1;
    const end = text.indexOf(delimiter, start);
    const value = text.slice(start, end === -1 ? text.length : end);
    const values = new Array<unknown>(place + 1);
    values[place] = value === nullText ? null : value;
    return values;
  }

  /** Returns a line without its line break. */
  #lineAt(index: number): string {
    const start = this.starts[index]!;
    let end = this.starts[index + 1]! - 1;
    if (end > start && this.bytes[end - 1] === CARRIAGE_RETURN) end -= 1;
    return this.#textOf(start, end);
  }

  #textOf(start: number, end: number): string {
    if (!this.#isAscii) return this.bytes.toString('utf8', start, end);
    this.#text ??= this.bytes.toString('latin1');
    return this.#text.slice(start, end);
  }
}

/** There are many of them at a time: each has only its place among the lines. */
export class LineRow extends SourceRow {
  readonly lines: Lines;
  readonly index: number;

  constructor(lines: Lines, index: number) {
    super();
    this.lines = lines;
    this.index = index;
  }

  override get file(): SourceFile {
    return this.lines.first.file;
  }

  override get line(): number {
    return this.lines.first.line + this.index;
  }

  override get ordinal(): number {
    return this.lines.first.ordinal + this.index;
  }

  override get fault(): undefined {
    return undefined;
  }

  override get text(): undefined {
    return undefined;
  }

  /** Parsed at each access. */
  override get values(): unknown[] {
    return this.lines.values(this.index);
  }

  override valueAlone(place: number): unknown[] {
    return this.lines.valueAlone(this.index, place);
  }
}

/** Returns lazy rows. @param bytes lines of `file` from `line` on, as the server reads them */
export function lineRows(
  bytes: Buffer,
  count: number,
  of: LineFormat,
  { file, line, ordinal }: LinePlace,
): LineRow[] {
  // Not the block itself, whose memory an error with one row would hold.
  const lines = new Lines(bytes, count, of, { file, line, ordinal });
  const rows: LineRow[] = [];
  for (let index = 0; index < count; index += 1) {
    rows.push(new LineRow(lines, index));
  }
  return rows;
}

/**
 * Returns the rows as lines, to be sent again; undefined if not all are lines of one format, or records that could not be read, or if none is a
 * line.
 */
export function writtenLines(rows: readonly SourceRow[]): WrittenLines | undefined {
  const of = rows.find((row) => row instanceof LineRow)?.lines.of;
  if (of === undefined) return undefined;
  const { format, delimiter, nullText } = of;
  const chunks: Buffer[] = [];
  const faults: RowFault[] = [];
  const chunkOf = new Uint32Array(rows.length);
  const starts = new Uint32Array(rows.length);
  const ends = new Uint32Array(rows.length);
  let current: Lines | undefined;
  for (let place = 0; place < rows.length; place += 1) {
    const row = rows[place]!;
    if (row.fault !== undefined) {
      faults.push(unreadValues(place, row.fault));
      continue;
    }
    if (!(row instanceof LineRow) || row.lines.of.format !== format) return undefined;
    const { lines, index } = row;
    if (lines !== current) {
      current = lines;
      chunks.push(lines.bytes);
    }
    chunkOf[place] = chunks.length - 1;
    starts[place] = lines.starts[index]!;
    ends[place] = lines.starts[index + 1]!;
  }
  return { format: format.copy, delimiter, nullText, chunks, chunkOf, starts, ends, faults };
}
