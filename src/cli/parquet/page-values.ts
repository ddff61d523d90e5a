/** Reads the values of a page, one at a time, as texts. */

import { isAscii } from 'node:buffer';
import type { Encoding, ParquetType, SchemaElement } from 'hyparquet';
import { DeltaDecoder, deltaBytes, deltaLengths } from './delta-decoder.js';
import { HybridDecoder } from './hybrid-decoder.js';
import type { OfBytes, OfNumber } from './leaf-type.js';
import type { RawNumber, Text } from './value-text.js';

/** How a column's values become texts. The one for its physical type is set. */
export interface LeafWriter {
  readonly ofNumber: OfNumber | undefined;
  readonly ofBytes: OfBytes | undefined;
}

export type NextText = () => Text;

export interface ValueOptions {
  readonly element: SchemaElement;
  readonly writer: LeafWriter;
}

/**
 * @param bytes of the page, its values from `start` on
 * @param most values that it has: fewer, if some are NULL
 */
export function openValues(
  bytes: Buffer,
  start: number,
  most: number,
  encoding: Encoding,
  options: ValueOptions,
  dictionary: Dictionary | undefined,
): NextText {
  switch (encoding) {
    case 'PLAIN':
      return plainValues(bytes, start, options);
    case 'PLAIN_DICTIONARY':
    case 'RLE_DICTIONARY': {
      if (dictionary === undefined) throw new Error('a page refers to a dictionary that is not there');
      const places = new HybridDecoder(bytes, start + 1, bytes.length, bytes.readUInt8(start));
      return () => dictionary.textAt(places.next());
    }
    case 'RLE': {
      const booleans = new HybridDecoder(bytes, start + 4, bytes.length, 1);
      const ofNumber = options.writer.ofNumber!;
      return () => ofNumber(booleans.next());
    }
    case 'DELTA_BINARY_PACKED': {
      const deltas = new DeltaDecoder(bytes, start, options.element.type === 'INT32' ? 32 : 64, most);
      const ofNumber = options.writer.ofNumber!;
      return () => ofNumber(deltas.next());
    }
    case 'DELTA_LENGTH_BYTE_ARRAY':
      return bytesOf(deltaLengths(bytes, start, most), options.writer);
    case 'DELTA_BYTE_ARRAY':
      return bytesOf(deltaBytes(bytes, start, most), options.writer);
    case 'BYTE_STREAM_SPLIT':
      return splitValues(bytes, start, options);
    case 'BIT_PACKED':
    case 'GROUP_VAR_INT':
      throw new Error(`the encoding ${encoding} is not supported`);
  }
}

/** @returns values one after another, of a page whose lengths come before its bytes */
function bytesOf(next: () => Buffer, { ofBytes }: LeafWriter): NextText {
  return () => {
    const bytes = next();
    return ofBytes!(bytes, 0, bytes.length, false);
  };
}

/** The first bytes of all values come first, then the second ones. */
function splitValues(bytes: Buffer, start: number, options: ValueOptions): NextText {
  const { width, textAt } = readerAt(options);
  const count = Math.floor((bytes.length - start) / width);
  const value = Buffer.alloc(width);
  let at = 0;
  return () => {
    if (at === count) throw new Error('the values of a page end too early');
    for (let byte = 0; byte < width; byte += 1) value[byte] = bytes[start + byte * count + at]!;
    at += 1;
    return textAt(value, 0);
  };
}

const WIDTHS: Readonly<Partial<Record<ParquetType, number>>> = {
  INT32: 4,
  INT64: 8,
  INT96: 12,
  FLOAT: 4,
  DOUBLE: 8,
};

type ReadNumber = (bytes: Buffer, at: number) => RawNumber;

const NUMBER_READERS: Readonly<Partial<Record<ParquetType, ReadNumber>>> = {
  INT32: (bytes, at) => bytes.readInt32LE(at),
  INT64: (bytes, at) => {
    const high = bytes.readInt32LE(at + 4);
    // A bigint costs many times as much.
    if (high >= -0x200000 && high < 0x200000) return high * 2 ** 32 + bytes.readUInt32LE(at);
    return bytes.readBigInt64LE(at);
  },
  FLOAT: (bytes, at) => bytes.readFloatLE(at),
  DOUBLE: (bytes, at) => bytes.readDoubleLE(at),
};

/** Reads a value at a place. Values of a fixed width only. */
function readerAt({ element, writer }: ValueOptions): {
  width: number;
  textAt: (bytes: Buffer, at: number) => Text;
} {
  const type = element.type!;
  const width = (type === 'FIXED_LEN_BYTE_ARRAY' ? element.type_length : WIDTHS[type]) ?? 0;
  const read = NUMBER_READERS[type];
  const { ofNumber, ofBytes } = writer;
  if (read !== undefined) return { width, textAt: (bytes, at) => ofNumber!(read(bytes, at)) };
  if (width === 0) throw new Error(`values of ${type} have no length`);
  return {
    width,
    textAt: (bytes, at) => {
      if (at + width > bytes.length) throw new Error('the values of a page end too early');
      return ofBytes!(bytes, at, at + width, false);
    },
  };
}

function plainValues(bytes: Buffer, start: number, options: ValueOptions): NextText {
  const { type } = options.element;
  const { ofNumber, ofBytes } = options.writer;
  let at = start;
  if (type === 'BOOLEAN') {
    let bit = 8 * start;
    return () => {
      const value = (bytes.readUInt8(bit >> 3) >> (bit & 7)) & 1;
      bit += 1;
      return ofNumber!(value);
    };
  }
  if (type === 'BYTE_ARRAY') {
    const isPageAscii = isAscii(bytes.subarray(start));
    return () => {
      const from = at + 4;
      at = from + bytes.readUInt32LE(at);
      if (at > bytes.length) throw new Error('the values of a page end too early');
      return ofBytes!(bytes, from, at, isPageAscii);
    };
  }
  const { width, textAt } = readerAt(options);
  return () => {
    const text = textAt(bytes, at);
    at += width;
    return text;
  };
}

/** The values that a column's pages refer to. Each becomes a text once. */
export class Dictionary {
  readonly #texts: (Text | undefined)[] = [];
  readonly #write: (place: number) => Text;

  /** @param bytes of its page */
  constructor(bytes: Buffer, count: number, options: ValueOptions) {
    this.#write = dictionaryWriter(bytes, count, options);
    this.#texts.length = count;
  }

  textAt(place: number): Text {
    const known = this.#texts[place];
    if (known !== undefined) return known;
    if (place >= this.#texts.length) throw new Error('a page refers to a value that its dictionary has not');
    return (this.#texts[place] = this.#write(place));
  }
}

function dictionaryWriter(bytes: Buffer, count: number, options: ValueOptions): (place: number) => Text {
  if (options.element.type !== 'BYTE_ARRAY') {
    const { width, textAt } = readerAt(options);
    return (place) => textAt(bytes, place * width);
  }
  const starts = startsOf(bytes, count);
  const isPageAscii = isAscii(bytes);
  const ofBytes = options.writer.ofBytes!;
  return (place) => ofBytes(bytes, starts[place]! + 4, starts[place + 1]!, isPageAscii);
}

/** Where each value begins, and at the end the length. */
function startsOf(bytes: Buffer, count: number): Uint32Array {
  const starts = new Uint32Array(count + 1);
  let at = 0;
  for (let index = 0; index < count; index += 1) {
    starts[index] = at;
    at += 4 + bytes.readUInt32LE(at);
  }
  if (at > bytes.length) throw new Error('a dictionary ends too early');
  starts[count] = at;
  return starts;
}
