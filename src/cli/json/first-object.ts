/** Decides what the first object of a file is: a record, or the wrapper of a list of records. */

import { OPENING_BRACE, OPENING_BRACKET } from '../../common/bytes.js';
import { GrowingBuffer } from '../input/growing-buffer.js';
import { ByteOutput } from './byte-output.js';
import { afterSpace, forEachMember, isListOfObjects, textOf } from './members.js';
import { ValueScanner } from './value-scanner.js';

/** What the first object is. */
export type FirstObjectKind =
  /** Objects follow one another. */
  | { readonly kind: 'records' }
  /** It has these lists of objects. Empty: it is too long for a record, and its lists are not known. */
  | { readonly kind: 'wrapper'; readonly lists: readonly string[] }
  | { readonly kind: 'open' };

/** Keeps the file's bytes from the first object on, until it is known what that is. */
export class FirstObject {
  readonly #maxRecordBytes: number;
  readonly #scanner: ValueScanner;
  readonly #kept: GrowingBuffer;
  readonly #unused = new ByteOutput();
  #lists: readonly string[] = [];

  constructor(file: string, line: number, maxRecordBytes: number) {
    this.#maxRecordBytes = maxRecordBytes;
    this.#kept = new GrowingBuffer(maxRecordBytes);
    this.#scanner = new ValueScanner(file);
    this.#scanner.line = line;
    this.#scanner.begin(OPENING_BRACE);
  }

  /** All bytes so far. */
  get bytes(): Buffer {
    return this.#kept.bytes;
  }

  /**
   * Returns what the object is, or undefined if more bytes are needed.
   *
   * @param isLast the file ends with these bytes
   */
  append(bytes: Buffer, isLast: boolean): FirstObjectKind | undefined {
    let at = this.#kept.bytes.length;
    this.#kept.append(bytes);
    const input = this.#kept.bytes;
    if (!this.#scanner.isWhole) {
      at = this.#scanner.scan(input, at, this.#unused);
      this.#unused.clear();
      if (!hasEnded(this.#scanner)) {
        if (isLast) return { kind: 'open' };
        return input.length > this.#maxRecordBytes ? { kind: 'wrapper', lists: [] } : undefined;
      }
      this.#lists = listsOf(input.subarray(0, at));
      if (this.#lists.length === 0) return { kind: 'records' };
    }
    if (afterSpace(input, at) < input.length) return { kind: 'records' };
    return isLast ? { kind: 'wrapper', lists: this.#lists } : undefined;
  }
}

function hasEnded({ isWhole }: ValueScanner): boolean {
  return isWhole;
}

/**
 * Returns the keys of an object's lists of objects. Of a FeatureCollection it is `features` alone.
 *
 * @param bytes the whole object
 */
function listsOf(bytes: Buffer): readonly string[] {
  const lists: string[] = [];
  /** The last one counts. */
  const types: (string | undefined)[] = [];
  const features: boolean[] = [];
  // Of a damaged object, up to the damage. The cutter finds it again, with its line.
  forEachMember(bytes, (key, start, end) => {
    if (key === 'type') types.push(textOf(bytes.subarray(start, end)));
    if (key === FEATURES) features.push(bytes[start] === OPENING_BRACKET);
    if (isListOfObjects(bytes, start)) lists.push(key);
  });
  return types.at(-1) === COLLECTION && features.length === 1 && features[0] === true ? [FEATURES] : lists;
}

export const COLLECTION = 'FeatureCollection';
export const FEATURES = 'features';
