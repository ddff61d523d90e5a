/** Reads bytes from chunks, by number. */

import type { ByteChunk } from '../../common/chunk-memory.js';
import { endsInTheMiddle } from './compressed-data-error.js';

const NOTHING = Buffer.alloc(0);

export class ByteReader {
  readonly #chunks: AsyncIterator<ByteChunk, void>;
  readonly #container: string;
  #rest: Buffer = NOTHING;

  /** @param container names the kind of data in errors */
  constructor(chunks: AsyncIterable<ByteChunk>, container: string) {
    this.#chunks = chunks[Symbol.asyncIterator]() as AsyncIterator<ByteChunk, void>;
    this.#container = container;
  }

  /** Returns between 1 and `most` bytes; undefined at the end. */
  async readSome(most: number): Promise<Buffer | undefined> {
    while (this.#rest.length === 0) {
      const { done, value } = await this.#chunks.next();
      if (done === true) return undefined;
      this.#rest = value.bytes;
    }
    const bytes = this.#rest.subarray(0, most);
    this.#rest = this.#rest.subarray(bytes.length);
    return bytes;
  }

  /** Returns up to `length` bytes: fewer only at the end. */
  async readUpTo(length: number): Promise<Buffer> {
    const pieces: Buffer[] = [];
    for (let missing = length; missing > 0;) {
      const piece = await this.readSome(missing);
      if (piece === undefined) break;
      pieces.push(piece);
      missing -= piece.length;
    }
    return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
  }

  /** @throws {CompressedDataError} if there are fewer */
  async read(length: number): Promise<Buffer> {
    const bytes = await this.readUpTo(length);
    if (bytes.length < length) throw endsInTheMiddle(this.#container);
    return bytes;
  }

  /** Puts bytes back, which are read next. */
  unread(bytes: Buffer): void {
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([bytes, this.#rest]);
  }

  /** Yields exactly so many bytes. */
  async *slices(length: number): AsyncGenerator<Buffer, void> {
    for (let missing = length; missing > 0;) {
      const piece = await this.readSome(missing);
      if (piece === undefined) throw endsInTheMiddle(this.#container);
      missing -= piece.length;
      yield piece;
    }
  }
}
