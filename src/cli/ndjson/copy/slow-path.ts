/** Writes single records of a block by the slow path: parsed as JSON, and written by the columns' encoders. */

import { ChunkWriter } from '../../../postgres/encoding/text/chunk-writer.js';
import { AbsentRefusal } from '../../../postgres/merge/absent-values.js';
import { compileEncoder, type ValueEncoder } from '../../../postgres/encoding/text/text-encoders.js';
import { NdjsonRows, type NdjsonRowOptions } from '../rows/ndjson-rows.js';

export class SlowPath {
  /** How many records have been written. */
  records = 0;
  readonly #rows: NdjsonRows;
  readonly #encoders: readonly ValueEncoder[];
  readonly #takesDefaultMarker: boolean;
  readonly #hasDefault: readonly boolean[];
  readonly #writer = new ChunkWriter();
  /** For each run of slow records two numbers: its offset in the text of the fast path, and where its own text ends. */
  #runs: number[] = [];

  constructor(options: NdjsonRowOptions) {
    this.#rows = new NdjsonRows({ name: '', path: undefined, sizeBytes: undefined }, options);
    this.#takesDefaultMarker = options.takesDefaultMarker === true;
    this.#hasDefault = options.columns.map(({ hasDefault }) => hasDefault === true);
    this.#encoders = options.columns.map(({ type }) => compileEncoder(type));
  }

  /**
   * Writes the record of a line. Returns the number of records, which is 0 for a blank line, or undefined if the record has a fault.
   *
   * @param place offset of the record in the text of the fast path
   */
  write(line: Buffer, place: number): number | undefined {
    const { length } = this.#writer;
    const before = this.records;
    try {
      this.#rows.read(line, (row) => this.#writeRow(row));
    } catch {
      this.#writer.rewind(length);
      return undefined;
    }
    const runs = this.#runs;
    if (runs.at(-2) === place) runs[runs.length - 1] = this.#writer.length;
    else runs.push(place, this.#writer.length);
    return this.records - before;
  }

  #writeRow(row: readonly unknown[]): void {
    const writer = this.#writer;
    for (const [index, value] of row.entries()) {
      if (value === undefined && this.#hasDefault[index]) this.#writeDefault();
      else if (value === null || value === undefined) writer.writeNull();
      else this.#encoders[index]!.write(writer, value);
      writer.endField();
    }
    writer.endRow();
    this.records += 1;
  }

  /** @throws {AbsentRefusal} if COPY's text has no marker for a default: such a record must become a row */
  #writeDefault(): void {
    if (!this.#takesDefaultMarker) throw new AbsentRefusal();
    this.#writer.writeDefault();
  }

  /** Returns a copy of the fast path's text with the slow records in their places; undefined if there are none. */
  mergeInto(text: Buffer): Buffer | undefined {
    const runs = this.#runs;
    if (runs.length === 0) return undefined;
    const own = this.#writer.take();
    this.#runs = [];
    if (text.length === 0) return own;
    const merged = Buffer.allocUnsafe(text.length + own.length);
    let place = 0;
    let start = 0;
    for (let index = 0; index < runs.length; index += 2) {
      const end = runs[index + 1]!;
      text.copy(merged, place + start, place, runs[index]);
      place = runs[index]!;
      own.copy(merged, place + start, start, end);
      start = end;
    }
    text.copy(merged, place + start, place);
    return merged;
  }
}
