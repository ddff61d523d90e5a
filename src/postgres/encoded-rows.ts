/** Rows as COPY's text, kept so that any part of them can be sent again without being written again. */

import { CHUNK_BYTES } from './chunk-writer.js';
import { TEXT_FORMAT, type CopyFormat } from './copy-plan.js';
import type { RowLayout } from './row-layout.js';
import { RowWriter, type RowFault, type ValuesOf } from './row-writer.js';

/** Each row is one line, as the server counts them. */
export interface WrittenLines {
  readonly format: CopyFormat;
  readonly chunks: readonly Buffer[];
  /** For each row its chunk, and where in it the row begins and ends; an empty row cannot be sent. */
  readonly chunkOf: Uint32Array;
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
}

export class EncodedRows {
  readonly #lines: WrittenLines;

  constructor(lines: WrittenLines) {
    this.#lines = lines;
  }

  /** @param faults gathers the rows that cannot be written */
  static write(
    layout: RowLayout,
    items: readonly unknown[],
    valuesOf: ValuesOf | undefined,
    faults: RowFault[],
  ): EncodedRows {
    const chunks: Buffer[] = [];
    const chunkOf = new Uint32Array(items.length);
    const starts = new Uint32Array(items.length);
    const ends = new Uint32Array(items.length);
    const writer = new RowWriter(layout, valuesOf, faults);
    for (let row = 0; row < items.length; row += 1) {
      chunkOf[row] = chunks.length;
      starts[row] = writer.length;
      writer.writeRow(items, row);
      ends[row] = writer.length;
      if (writer.length >= CHUNK_BYTES || row === items.length - 1) chunks.push(writer.take());
    }
    return new EncodedRows({ format: TEXT_FORMAT, chunks, chunkOf, starts, ends });
  }

  /** The text of some rows, in ascending order, behind so many free bytes. */
  join(rows: readonly number[], before: number): Buffer {
    const { chunks, chunkOf, starts, ends } = this.#lines;
    let length = before;
    for (const row of rows) length += ends[row]! - starts[row]!;
    const joined = Buffer.allocUnsafe(length);
    let at = before;
    for (let index = 0; index < rows.length;) {
      // Rows that lie side by side are copied together.
      const chunk = chunkOf[rows[index]!]!;
      const start = starts[rows[index]!]!;
      let end = ends[rows[index]!]!;
      for (index += 1; index < rows.length; index += 1) {
        const row = rows[index]!;
        if (chunkOf[row] !== chunk || starts[row] !== end) break;
        end = ends[row]!;
      }
      at += chunks[chunk]!.copy(joined, at, start, end);
    }
    return joined;
  }
}
