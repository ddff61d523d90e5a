/**
 * Converts lines of COPY's text format to its binary format. Most fields are converted from their bytes, without a JavaScript value.
 *
 * To read a date as text costs the server several times as much as it costs here.
 */

import { CARRIAGE_RETURN, LINE_FEED } from '../../../common/bytes.js';
import { WorkPacer } from '../../../common/turn-budget.js';
import { BinaryChunk, BinaryRefusal } from './binary-chunk.js';
import type { BinaryEncoder } from './binary-encoders.js';
import { CHUNK_BYTES, NONE } from '../text/chunk-writer.js';

/** How lines are written. Each is whole, has as many fields as there are columns, and no backslash. */
export interface TextLines {
  /** One byte. */
  readonly delimiter: string;
  /** The text of a field that is NULL, as it is written. */
  readonly nullText: string;
}

/** Bytes between two looks at the clock. One look costs as much as a short field. */
const BYTES_BETWEEN_LOOKS = 1024;
/** Bytes that no field of such lines has. */
const NO_FIELD = /[\\\n]/;

export class LineTranscoder {
  readonly #delimiterText: string;
  readonly #delimiter: number;
  readonly #nullText: Buffer;
  readonly #encoders: readonly BinaryEncoder[];
  readonly #chunk: BinaryChunk;
  readonly #lines: readonly Buffer[];
  readonly #pacer: WorkPacer;
  #source: Buffer = NONE;
  #at = 0;
  /** Index of the next chunk of `lines`. */
  #next = 0;
  #isDone = false;

  /** @param lines UTF-8 without U+0000. Each line ends with LF or CRLF. */
  constructor(
    lines: readonly Buffer[],
    { delimiter, nullText }: TextLines,
    encoders: readonly BinaryEncoder[],
    pacer = new WorkPacer(),
  ) {
    this.#pacer = pacer;
    this.#lines = lines;
    this.#delimiterText = delimiter;
    this.#delimiter = delimiter.charCodeAt(0);
    this.#nullText = Buffer.from(nullText);
    this.#encoders = encoders;
    this.#chunk = new BinaryChunk(encoders.length);
  }

  /**
   * Returns the next chunk, which the caller owns; undefined after the last. It is empty if the turn of the event loop is spent before a row
   * was written.
   *
   * @throws {BinaryRefusal} for what can only be sent as text
   */
  next(): Buffer | undefined {
    if (this.#isDone) return undefined;
    const chunk = this.#chunk;
    while (chunk.length < CHUNK_BYTES) {
      if (this.#at < this.#source.length) {
        const stop = Math.min(this.#at + BYTES_BETWEEN_LOOKS, this.#source.length);
        while (this.#at < stop && chunk.length < CHUNK_BYTES) this.#writeRow();
        if (this.#pacer.isTurnSpent() && chunk.length < CHUNK_BYTES) return NONE;
      } else if (this.#next < this.#lines.length) {
        this.#source = this.#lines[this.#next]!;
        this.#next += 1;
        this.#at = 0;
      } else {
        chunk.end();
        this.#isDone = true;
        break;
      }
    }
    return chunk.take();
  }

  #writeRow(): void {
    const source = this.#source;
    const encoders = this.#encoders;
    const chunk = this.#chunk;
    const delimiter = this.#delimiter;
    const nullStart = this.#nullText[0];
    let at = this.#at;
    chunk.startRow();
    for (let column = 0; column < encoders.length; column += 1) {
      const stop = column === encoders.length - 1 ? LINE_FEED : delimiter;
      const encoder = encoders[column]!;
      // Most fields have none of these bytes.
      const byte = source[at];
      const isNull =
        (byte === nullStart || byte === stop || byte === CARRIAGE_RETURN) && this.#isNull(at, stop);
      if (!isNull && encoder.copyField !== undefined) {
        const { length } = chunk;
        const end = encoder.copyField(chunk, source, at, delimiter);
        if (source[end] === stop && end > at) {
          at = end + 1;
          continue;
        }
        chunk.rewind(length);
      }
      at = this.#writeField(encoder, at, stop, isNull);
    }
    this.#at = at;
  }

  /** Writes a field of any kind. Returns where the next one begins. */
  #writeField(encoder: BinaryEncoder, start: number, stop: number, isNull: boolean): number {
    const source = this.#source;
    const next = source.indexOf(stop, start) + 1;
    if (next === 0) throw new BinaryRefusal('a line of another form');
    let end = next - 1;
    if (stop === LINE_FEED && end > start && source[end - 1] === CARRIAGE_RETURN) end -= 1;
    if (isNull) this.#chunk.writeNull();
    else {
      const text = source.toString('utf8', start, end);
      if (NO_FIELD.test(text) || text.includes(this.#delimiterText)) {
        throw new BinaryRefusal('a line of another form');
      }
      encoder.write(this.#chunk, text);
    }
    return next;
  }

  #isNull(start: number, stop: number): boolean {
    const source = this.#source;
    const nullText = this.#nullText;
    for (let index = 0; index < nullText.length; index += 1) {
      if (source[start + index] !== nullText[index]) return false;
    }
    const end = start + nullText.length;
    if (source[end] === stop) return true;
    return stop === LINE_FEED && source[end] === CARRIAGE_RETURN && source[end + 1] === LINE_FEED;
  }
}
