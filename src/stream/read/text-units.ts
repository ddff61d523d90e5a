import { StringDecoder } from 'node:string_decoder';

/** Documented nowhere, and there since Node 0.10: how many bytes the character that has begun still lacks, and how many it has in all. */
type Decoder = StringDecoder & { lastNeed: number; lastTotal: number };

const NOTHING = Buffer.alloc(0);

/**
 * How many characters each chunk becomes, once an encoding is set: decodes beside Node, which tells only how much text it holds.
 *
 * A character may begin in one chunk and end in the next. The chunk in which it begins is read when that character is: it counts one unit
 * more, and the next chunk one less.
 */
export class TextUnits {
  readonly #encoding: BufferEncoding;
  #decoder: Decoder;
  /** Bytes of the character that has begun. */
  #begun: Buffer = NOTHING;

  constructor(encoding: BufferEncoding) {
    this.#encoding = encoding;
    this.#decoder = new StringDecoder(encoding) as Decoder;
  }

  /** Bytes of the character that has begun: the next chunk goes on with it. */
  get begunBytes(): Uint8Array {
    return this.#begun;
  }

  /** Units that are unread beside those in the buffer of Node: the character that has begun. */
  get begunUnits(): number {
    return this.#begun.length > 0 ? 1 : 0;
  }

  /** How many units a chunk adds, which comes after all others. */
  measure(chunk: Uint8Array): number {
    const before = this.#begun;
    const { length } = this.#decoder.write(chunk);
    const kept = this.#decoder.lastNeed > 0 ? this.#decoder.lastTotal - this.#decoder.lastNeed : 0;
    this.#begun = kept === 0 ? NOTHING : Buffer.from(Buffer.concat([before, chunk]).subarray(-kept));
    return length - Number(before.length > 0) + this.begunUnits;
  }

  /** At the end of the input: the units by which the last chunk is longer, now that nothing can follow. */
  end(): number {
    const { begunUnits } = this;
    this.#begun = NOTHING;
    return this.#decoder.end().length - begunUnits;
  }

  /** What is left of a chunk of which so many units have been read. `before`: `begunBytes` when the chunk came. */
  restOf(chunk: Uint8Array, readUnits: number, before: Uint8Array = NOTHING): Uint8Array {
    const decoder = new StringDecoder(this.#encoding) as Decoder;
    decoder.write(before);
    // The unit that belongs to the chunk before.
    let units = before.length > 0 ? -1 : 0;
    let read = 0;
    for (let at = 0; at < chunk.length && units <= readUnits; at++) {
      units += decoder.write(chunk.subarray(at, at + 1)).length;
      if (units <= readUnits && decoder.lastNeed === 0) read = at + 1;
    }
    return chunk.subarray(read);
  }
}
