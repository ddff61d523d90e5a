/** Rows as COPY's text, kept so that any part of them can be sent again without being written again. */

import { CHUNK_BYTES } from './chunk-writer.js';
import type { RowLayout } from './row-layout.js';
import { RowWriter, type RowFault, type ValuesOf } from './row-writer.js';

export class EncodedRows {
  readonly #chunks: Buffer[] = [];
  /** For each row its chunk, and where in it the row begins and ends; an empty row cannot be sent. */
  readonly #chunkOf: Uint32Array;
  readonly #starts: Uint32Array;
  readonly #ends: Uint32Array;

  /** @param faults gathers the rows that cannot be written */
  constructor(
    layout: RowLayout,
    items: readonly unknown[],
    valuesOf: ValuesOf | undefined,
    faults: RowFault[],
  ) {
    this.#chunkOf = new Uint32Array(items.length);
    this.#starts = new Uint32Array(items.length);
    this.#ends = new Uint32Array(items.length);
    const writer = new RowWriter(layout, valuesOf, faults);
    for (let row = 0; row < items.length; row += 1) {
      this.#chunkOf[row] = this.#chunks.length;
      this.#starts[row] = writer.length;
      writer.writeRow(items, row);
      this.#ends[row] = writer.length;
      if (writer.length >= CHUNK_BYTES || row === items.length - 1) this.#chunks.push(writer.take());
    }
  }

  /** The text of some rows, in ascending order, behind so many free bytes. */
  join(rows: readonly number[], before: number): Buffer {
    let length = before;
    for (const row of rows) length += this.#ends[row]! - this.#starts[row]!;
    const joined = Buffer.allocUnsafe(length);
    let at = before;
    for (let index = 0; index < rows.length;) {
      // Rows that lie side by side are copied together.
      const chunk = this.#chunkOf[rows[index]!]!;
      const start = this.#starts[rows[index]!]!;
      let end = this.#ends[rows[index]!]!;
      for (index += 1; index < rows.length; index += 1) {
        const row = rows[index]!;
        if (this.#chunkOf[row] !== chunk || this.#starts[row] !== end) break;
        end = this.#ends[row]!;
      }
      at += this.#chunks[chunk]!.copy(joined, at, start, end);
    }
    return joined;
  }
}
