/** Walks through the values of one column, over all pages and row groups of the file. */

import type { ColumnMetaData, PageHeader } from 'hyparquet';
import { HybridDecoder } from './hybrid-decoder.js';
import { PageReader, type Page, type PageReaderOptions } from './page-reader.js';
import { Dictionary, openValues, type LeafWriter, type NextText, type ValueOptions } from './page-values.js';
import type { LeafNode } from './schema.js';
import type { Text } from './value-text.js';

export interface CursorOptions extends Omit<PageReaderOptions, 'decompress'> {
  readonly decompressFor: (chunk: ColumnMetaData) => PageReaderOptions['decompress'];
}

/** What a page's header says, of either kind of page. */
interface PageShape {
  readonly count: number;
  readonly encoding: NonNullable<PageHeader['data_page_header']>['encoding'];
  readonly repetition: HybridDecoder | undefined;
  readonly definition: HybridDecoder | undefined;
  /** Where the values begin. */
  readonly start: number;
}

export class LeafCursor {
  /** Levels of the value that is next; see `schema.ts`. */
  repetition = 0;
  definition = 0;
  /** No value is next. */
  isAtEnd = false;
  /** The levels of the next value were read, and not the value. */
  #isAhead = false;
  readonly #leaf: LeafNode;
  /** One for each row group. */
  readonly #chunks: readonly ColumnMetaData[];
  readonly #options: CursorOptions;
  readonly #valueOptions: ValueOptions;
  #nextChunk = 0;
  #pages: PageReader | undefined;
  #dictionary: Dictionary | undefined;
  #repetitions: HybridDecoder | undefined;
  #definitions: HybridDecoder | undefined;
  #values: NextText | undefined;
  /** Values of the page whose levels were not read yet. */
  #left = 0;
  /** Values of the chunk in pages that were not read yet. */
  #chunkLeft = 0;

  constructor(leaf: LeafNode, writer: LeafWriter, chunks: readonly ColumnMetaData[], options: CursorOptions) {
    this.#leaf = leaf;
    this.#chunks = chunks;
    this.#options = options;
    this.#valueOptions = { element: leaf.element, writer };
  }

  /** Of a column without repeated parts: returns the next row's value. */
  nextFlat(): Text | null {
    if (this.#left === 0 && !this.#loadPage()) throw new Error('a column ends too early');
    this.#left -= 1;
    const isThere = this.#definitions === undefined || this.#definitions.next() === this.#leaf.definition;
    return isThere ? this.#values!() : null;
  }

  /** @throws {Error} if there are more values: those of other columns belong to other rows */
  assertEnd(): void {
    if (this.#isAhead || this.#left > 0 || this.#loadPage())
      throw new Error('a column has more rows than the file');
  }

  /** Reads the levels of the next value. Must be called once before `take()`. */
  advance(): void {
    if (this.#left === 0 && !this.#loadPage()) {
      this.isAtEnd = true;
      this.#isAhead = false;
      this.repetition = 0;
      return;
    }
    this.#isAhead = true;
    this.#left -= 1;
    this.repetition = this.#repetitions?.next() ?? 0;
    this.definition = this.#definitions?.next() ?? this.#leaf.definition;
  }

  /** Returns the value that is next; `null` if it is not there. */
  take(): Text | null {
    if (this.isAtEnd) throw new Error('a column ends too early');
    const value = this.definition === this.#leaf.definition ? this.#values!() : null;
    this.advance();
    return value;
  }

  /** Goes on to the next page that has values. Returns `false` at the end of the file. */
  #loadPage(): boolean {
    while (this.#left === 0) {
      const page = this.#pages?.next();
      if (page !== undefined) this.#begin(page);
      else if (this.#chunkLeft > 0) throw new Error('a column has fewer values than its row group says');
      else if (!this.#openChunk()) return false;
    }
    return true;
  }

  #openChunk(): boolean {
    const chunk = this.#chunks[this.#nextChunk];
    if (chunk === undefined) return false;
    this.#nextChunk += 1;
    this.#dictionary = undefined;
    this.#chunkLeft = Number(chunk.num_values);
    // Without values, writers give places at which no data page is.
    this.#pages = undefined;
    if (this.#chunkLeft === 0) return true;
    const decompress = this.#options.decompressFor(chunk);
    this.#pages = new PageReader(chunk, { ...this.#options, decompress });
    return true;
  }

  #begin({ header, bytes }: Page): void {
    const { dictionary_page_header: dictionary, type } = header;
    if (dictionary !== undefined) {
      this.#dictionary = new Dictionary(bytes, dictionary.num_values, this.#valueOptions);
      return;
    }
    if (type === 'INDEX_PAGE') return;
    const { count, encoding, repetition, definition, start } = this.#shapeOf(header, bytes);
    this.#repetitions = repetition;
    this.#definitions = definition;
    this.#values = openValues(bytes, start, count, encoding, this.#valueOptions, this.#dictionary);
    this.#left = count;
    this.#chunkLeft -= count;
    if (this.#chunkLeft < 0) throw new Error('a column has more values than its row group says');
  }

  #shapeOf({ data_page_header: v1, data_page_header_v2: v2 }: PageHeader, bytes: Buffer): PageShape {
    const { repetition, definition } = this.#leaf;
    if (v2 !== undefined) {
      const { repetition_levels_byte_length: middle, definition_levels_byte_length: length } = v2;
      return {
        count: v2.num_values,
        encoding: v2.encoding,
        repetition: levels(bytes, 0, middle, repetition),
        definition: levels(bytes, middle, middle + length, definition),
        start: middle + length,
      };
    }
    if (v1 === undefined) throw new Error('a page has no header');
    const { definition_level_encoding: ofDefinition, repetition_level_encoding: ofRepetition } = v1;
    for (const [most, encoding] of [
      [definition, ofDefinition],
      [repetition, ofRepetition],
    ] as const)
      if (most > 0 && encoding !== 'RLE')
        throw new Error(`the encoding ${encoding} of levels is not supported`);
    let start = 0;
    const read = (most: number): HybridDecoder | undefined => {
      if (most === 0) return undefined;
      const from = start + 4;
      start = from + bytes.readUInt32LE(start);
      return levels(bytes, from, start, most);
    };
    return {
      count: v1.num_values,
      encoding: v1.encoding,
      repetition: read(repetition),
      definition: read(definition),
      start,
    };
  }
}

function levels(bytes: Buffer, start: number, end: number, most: number): HybridDecoder | undefined {
  return most === 0 ? undefined : new HybridDecoder(bytes, start, end, 32 - Math.clz32(most));
}
