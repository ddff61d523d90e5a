/**
 * Reads the pages of a chunk of a column, one after another: a row group may have any length, and a page is about a megabyte.
 *
 * Reads are synchronous: to undo a page's compression takes longer, and values are needed in the middle of a row.
 */

import { readSync } from 'node:fs';
import type { ColumnMetaData, PageHeader } from 'hyparquet';
import { crc32 } from '../input/compression/crc.js';
import type { Decompress, Library } from './library.js';

/** Bytes that are read to find a page's header. It has the least and the greatest value, which may be long. */
const HEADER_BYTES = [16 * 1024, 1024 * 1024, 64 * 1024 * 1024];
/** A page is held whole. */
const LARGEST_PAGE_BYTES = 512 * 1024 * 1024;

const NOTHING = Buffer.alloc(0);

export interface Page {
  readonly header: PageHeader;
  /** Without compression. */
  readonly bytes: Buffer;
}

export interface PageReaderOptions {
  readonly fd: number;
  readonly library: Library;
  readonly decompress: Decompress;
  readonly onBytes: (bytes: number) => void;
}

export class PageReader {
  readonly #options: PageReaderOptions;
  #at: number;
  readonly #end: number;
  /** Bytes of the file from `#windowStart` on. */
  #window = NOTHING;
  #windowStart = 0;

  constructor(
    { data_page_offset, dictionary_page_offset, total_compressed_size }: ColumnMetaData,
    options: PageReaderOptions,
  ) {
    this.#options = options;
    const data = Number(data_page_offset);
    const dictionary = Number(dictionary_page_offset ?? 0n);
    // Some writers give 0 for a dictionary that is not there.
    this.#at = dictionary > 0 && dictionary < data ? dictionary : data;
    this.#end = this.#at + Number(total_compressed_size);
  }

  /** Returns undefined at the end of the chunk. @throws {Error} if the page is damaged */
  next(): Page | undefined {
    if (this.#at >= this.#end) return undefined;
    const { header, length } = this.#readHeader();
    const { compressed_page_size: size, crc } = header;
    const start = this.#at + length;
    if (!(size >= 0) || start + size > this.#end) throw new Error('a page is longer than its column');
    const body = this.#bytesAt(start, size);
    if (body.length < size) throw new Error('a page ends too early');
    if (crc !== undefined && (crc32(body, 0) | 0) !== (crc | 0))
      throw new Error('the checksum of a page differs');
    this.#at = start + size;
    this.#options.onBytes(length + size);
    return { header, bytes: this.#decompressed(header, body) };
  }

  #readHeader(): { header: PageHeader; length: number } {
    for (const [attempt, most] of HEADER_BYTES.entries()) {
      const bytes = this.#bytesAt(this.#at, Math.min(most, this.#end - this.#at));
      const reader = { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length), offset: 0 };
      try {
        return { header: this.#options.library.parquetHeader(reader), length: reader.offset };
      } catch (error) {
        // It may be longer.
        if (bytes.length < most || attempt === HEADER_BYTES.length - 1) throw error;
      }
    }
    throw new Error('a page has no header');
  }

  /** Returns fewer bytes at the end of the file. */
  #bytesAt(position: number, length: number): Buffer {
    const start = position - this.#windowStart;
    if (start >= 0 && start + length <= this.#window.length)
      return this.#window.subarray(start, start + length);
    // What comes next is read together with it, if both are short.
    const wanted = Math.max(length, Math.min(HEADER_BYTES[0]!, this.#end - position));
    const bytes = Buffer.allocUnsafeSlow(wanted);
    let filled = 0;
    while (filled < wanted) {
      const read = readSync(this.#options.fd, bytes, filled, wanted - filled, position + filled);
      if (read === 0) break;
      filled += read;
    }
    const found = bytes.subarray(0, filled);
    if (length <= HEADER_BYTES[0]!) {
      this.#window = found;
      this.#windowStart = position;
    }
    return found.subarray(0, length);
  }

  #decompressed(header: PageHeader, body: Buffer): Buffer {
    const { data_page_header_v2: v2, uncompressed_page_size: size } = header;
    if (!(size >= 0 && size <= LARGEST_PAGE_BYTES)) throw new Error('a page has more than 512 MiB');
    // Of this kind, levels come first and are not compressed.
    const levels = v2 === undefined ? 0 : v2.repetition_levels_byte_length + v2.definition_levels_byte_length;
    if (levels > size || levels > body.length) throw new Error('the levels of a page are longer than it');
    if (v2?.is_compressed === false || size === levels) return body;
    const plain = this.#options.decompress(body.subarray(levels), size - levels);
    if (plain.length !== size - levels) throw new Error('a page is not as long as its header says');
    const bytes = Buffer.from(plain.buffer, plain.byteOffset, plain.length);
    return levels === 0 ? bytes : Buffer.concat([body.subarray(0, levels), bytes]);
  }
}
