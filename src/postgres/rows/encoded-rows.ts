/** Rows as COPY's text, kept so that any part of them can be sent again without being written again. */

import type { WorkPacer } from '../../common/turn-budget.js';
import { CHUNK_BYTES } from '../encoding/text/chunk-writer.js';
import { groupRows, type AbsentGroup } from '../merge/absent-values.js';
import type { CopyFormat } from '../merge/copy-plan.js';
import type { RowLayout } from './row-layout.js';
import type { RowFault } from './row-fault.js';
import { RowWriter, type ValuesOf } from './row-writer.js';

/** Each row is one line, as the server counts them, but for those at fault. */
export interface WrittenLines {
  /** Rows that have no line, in order. */
  readonly faults?: readonly RowFault[];
  readonly format: CopyFormat;
  /** Between the columns of a row. */
  readonly delimiter: string;
  /** The text of a field that is NULL, if no line has a backslash. */
  readonly nullText?: string;
  readonly chunks: readonly Buffer[];
  /** For each row its chunk, and the places in it at which the row begins and ends. An empty row cannot be sent. */
  readonly chunkOf: Uint32Array;
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
}

export class EncodedRows {
  readonly #lines: WrittenLines;
  readonly #absent: readonly string[] | undefined;

  /** @param absent what each row leaves out, as `absentList` makes it. Undefined: nothing that its COPY would have to leave out. */
  constructor(lines: WrittenLines, absent?: readonly string[]) {
    this.#lines = lines;
    this.#absent = absent;
  }

  /**
   * Writes rows in as many turns of the event loop as it takes.
   *
   * @param faults gathers the rows that cannot be written
   * @param never the place of a row that is never sent
   * @throws what `pacer` throws, if the batch was given up meanwhile
   */
  static async write(
    layout: RowLayout,
    items: readonly unknown[],
    valuesOf: ValuesOf | undefined,
    faults: RowFault[],
    pacer: WorkPacer,
    never?: number,
  ): Promise<EncodedRows> {
    const chunks: Buffer[] = [];
    const chunkOf = new Uint32Array(items.length);
    const starts = new Uint32Array(items.length);
    const ends = new Uint32Array(items.length);
    const writer = new RowWriter(layout, valuesOf, faults);
    const absent: string[] | undefined = layout.absent?.way === 'groups' ? [] : undefined;
    for (let row = 0; row < items.length; row += 1) {
      chunkOf[row] = chunks.length;
      starts[row] = writer.length;
      if (row !== never) writer.writeRow(items, row);
      ends[row] = writer.length;
      absent?.push(writer.lastLeftOut);
      if (writer.length >= CHUNK_BYTES || row === items.length - 1) chunks.push(writer.take());
      if (pacer.isTurnSpent()) await pacer.nextTurn();
    }
    const lines = { format: layout.textFormat, delimiter: '\t', chunks, chunkOf, starts, ends };
    return new EncodedRows(lines, absent);
  }

  /** Returns the groups of rows that are sent by one COPY each. */
  groups(rows: readonly number[]): readonly AbsentGroup[] {
    return this.#absent === undefined ? [{ absent: '', rows }] : groupRows(this.#absent, rows);
  }

  /** A row leaves out a column that its COPY must not name. */
  get hasLeftOut(): boolean {
    return this.#absent?.some((list) => list !== '') === true;
  }

  get format(): CopyFormat {
    return this.#lines.format;
  }

  /** Of all rows. */
  get bytes(): number {
    return this.#lines.chunks.reduce((bytes, { length }) => bytes + length, 0);
  }

  /** About, on average. */
  get rowBytes(): number {
    return this.bytes / Math.max(1, this.#lines.starts.length);
  }

  /** Returns a line with too many columns, which the server refuses before it reads a value of it. */
  refusedLine(columns: number): Buffer {
    return Buffer.from(`${this.#lines.delimiter.repeat(columns)}\n`);
  }

  bytesOf(rows: readonly number[]): number {
    const { starts, ends } = this.#lines;
    let length = 0;
    for (const row of rows) length += ends[row]! - starts[row]!;
    return length;
  }

  /** Returns the text of some rows, in ascending order, as it lies in memory. */
  slicesOf(rows: readonly number[]): Buffer[] {
    const { chunks, chunkOf, starts, ends } = this.#lines;
    const slices: Buffer[] = [];
    for (let index = 0; index < rows.length;) {
      const first = rows[index]!;
      let until = ends[first]!;
      for (index += 1; index < rows.length; index += 1) {
        const row = rows[index]!;
        if (chunkOf[row] !== chunkOf[first] || starts[row] !== until) break;
        until = ends[row]!;
      }
      slices.push(chunks[chunkOf[first]!]!.subarray(starts[first], until));
    }
    return slices;
  }

  /** Writes the text of some rows, in ascending order. Returns the place in `to` behind it. */
  write(rows: readonly number[], to: Buffer, start: number): number {
    let at = start;
    // Rows that lie side by side are copied together.
    for (const slice of this.slicesOf(rows)) at += slice.copy(to, at);
    return at;
  }
}
