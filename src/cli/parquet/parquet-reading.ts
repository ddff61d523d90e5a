/** What is said of Parquet files that were read. */

import { count, counted } from '../common/counted.js';
import type { ParquetFile } from './parquet-file.js';

export interface ParquetReadingJson {
  readonly format: 'parquet';
  /** Of all files that were opened. */
  readonly rows: number;
  readonly rowGroups: number;
  /** How pages are compressed. */
  readonly codecs: readonly string[];
}

/** Filled while the files are read. */
export class ParquetReading {
  #rows = 0;
  #rowGroups = 0;
  readonly #codecs = new Set<string>();

  add({ rows, rowGroups, codecs }: ParquetFile): void {
    this.#rows += rows;
    this.#rowGroups += rowGroups;
    for (const codec of codecs) this.#codecs.add(codec.toLowerCase());
  }

  toJson(): ParquetReadingJson {
    return { format: 'parquet', rows: this.#rows, rowGroups: this.#rowGroups, codecs: [...this.#codecs] };
  }

  /** Returns one line for people. */
  describe(): string {
    const codecs = [...this.#codecs].filter((codec) => codec !== 'uncompressed');
    const compression = codecs.length === 0 ? '' : `, compressed by ${codecs.join(' and ')}`;
    return `read as Parquet: ${counted(this.#rows, 'row')} in ${count(this.#rowGroups)} row group${this.#rowGroups === 1 ? '' : 's'}${compression}`;
  }
}
