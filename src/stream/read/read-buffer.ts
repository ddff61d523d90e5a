import type { Duplex } from 'node:stream';
import type { AdmissionQueue } from '../../buffer/admission-queue.js';
import { hasDataListener, nativeMethod } from '../node/native-length.js';
import { TextUnits } from './text-units.js';
import { UnreadItems, type RestOf } from './unread-items.js';

const unshift = nativeMethod<[unknown, BufferEncoding?]>('unshift');
const setEncoding = nativeMethod<[BufferEncoding]>('setEncoding');

/** What a value stands for. */
export interface SourceItems<In> {
  items: In[];
  bytes: number;
}

/**
 * Keeps account of what lies in the read buffer of Node: it is in flight until the reader has got it. A chunk that was read in part is in
 * flight until its last byte is read.
 */
export class ReadBuffer<In> {
  readonly #stream: Duplex;
  readonly #queue: AdmissionQueue<In>;
  readonly #objectMode: boolean;
  readonly #unread = new UnreadItems<In>();
  #text: TextUnits | undefined;

  constructor(stream: Duplex, queue: AdmissionQueue<In>, objectMode: boolean) {
    this.#stream = stream;
    this.#queue = queue;
    this.#objectMode = objectMode;
  }

  /** When the oldest item in it was admitted, or put back; `Infinity` if it is empty. */
  get oldestTime(): number {
    return this.#unread.oldestTime;
  }

  /** The items in it, oldest first; of the first one only what has not been read. */
  get items(): In[] {
    return this.#unread.toArray(this.#unreadUnits, this.#restOf);
  }

  /** All that is left is the beginning of a character, which cannot be read before the next chunk comes. */
  get isIncomplete(): boolean {
    return this.#text !== undefined && this.#text.begunUnits > 0 && this.#stream.readableLength === 0;
  }

  /** A flowing reader gets a value within `push()`: its items must be settled before. */
  get isDirect(): boolean {
    const stream = this.#stream;
    return (
      stream.readableFlowing === true &&
      stream.readableLength === 0 &&
      this.#text === undefined &&
      hasDataListener(stream)
    );
  }

  /** Pushes the oldest queued item as it is. Only if `isDirect`. Returns whether more may be pushed. */
  pushDirect(): boolean {
    return this.#stream.push(this.#queue.takeFlushed());
  }

  /**
   * Pushes a value that stands for `count` items in flight. Returns whether more may be pushed.
   *
   * @param isArray whether `source` is the array of the items, and not the only one
   * @param time when the oldest of them was admitted
   */
  push(
    value: unknown,
    source: In | In[],
    isArray: boolean,
    count: number,
    bytes: number,
    time: number,
  ): boolean {
    const { isDirect } = this;
    if (isDirect) this.#queue.settle(count, 0, bytes);
    else {
      this.#recordUnread(source, isArray, count, bytes);
      this.#unread.setTime(time);
    }
    const mayPushMore = this.#stream.push(value);
    if (!isDirect) this.settleRead();
    return mayPushMore;
  }

  /** Pushes the end of the input. */
  pushEnd(): void {
    if (this.#text !== undefined) this.#unread.lengthen(this.#text.end());
    this.#stream.push(null);
    this.settleRead();
  }

  /** Settles what the reader has got. Right inside a listener of 'data', too. */
  settleRead(): void {
    const unread = this.#unread;
    while (!unread.isEmpty && unread.isOldestRead(this.#unreadUnits)) {
      const { count, bytes } = unread.shift();
      this.#queue.settle(count, 0, bytes);
    }
  }

  /**
   * `unshift()`: what the reader puts back lies in front of all else, and is in flight again.
   *
   * @param findSource finds what a value stands for, in object mode
   */
  unshift(
    chunk: unknown,
    encoding: BufferEncoding | undefined,
    findSource: (value: unknown) => SourceItems<In>,
  ): boolean {
    this.settleRead();
    const before = this.#unreadUnits;
    const source = this.#objectMode && chunk !== null ? findSource(chunk) : undefined;
    const mayPushMore = unshift.call(this.#stream, chunk, encoding) as boolean;
    // A flowing reader has got it already.
    const units = this.#unreadUnits - before;
    if (units <= 0) return mayPushMore;
    if (source !== undefined) this.#putBack(source.items, true, source.items.length, source.bytes, units);
    else this.#putBackBytes(chunk as Uint8Array | string, encoding, units, before);
    return mayPushMore;
  }

  setEncoding(encoding: BufferEncoding): void {
    this.settleRead();
    const unread = this.#unreadUnits;
    const restOf = this.#restOf;
    setEncoding.call(this.#stream, encoding);
    // Node goes on with the text that it has, if an encoding was set before.
    if (this.#objectMode || this.#text !== undefined) return;
    const text = new TextUnits(this.#stream.readableEncoding ?? 'utf8');
    this.#unread.measureAgain(unread, restOf, text as TextUnits & { measure(chunk: In): number });
    this.#text = text;
  }

  /** Forgets everything. */
  clear(): void {
    while (!this.#unread.isEmpty) this.#unread.shift();
  }

  get #unreadUnits(): number {
    return this.#stream.readableLength + (this.#text?.begunUnits ?? 0);
  }

  readonly #restOf: RestOf<In> = (item, readUnits, begun) => {
    if (this.#objectMode) return item;
    const chunk = item as Uint8Array;
    if (this.#text !== undefined) return this.#text.restOf(chunk, readUnits, begun) as In;
    return (readUnits === 0 ? chunk : chunk.subarray(readUnits)) as In;
  };

  #recordUnread(source: In | In[], isArray: boolean, count: number, bytes: number): void {
    if (this.#objectMode) return this.#unread.push(source, isArray, count, bytes, 1);
    const chunk = source as Uint8Array;
    if (this.#text === undefined) return this.#unread.push(source, false, 1, bytes, chunk.byteLength);
    const begun = this.#text.begunBytes;
    this.#unread.push(source, false, 1, bytes, this.#text.measure(chunk), begun);
  }

  #putBack(source: In | In[], isArray: boolean, count: number, bytes: number, units: number): void {
    const taken = this.#queue.returnToInFlight(count, bytes);
    this.#unread.unshift(
      source,
      isArray,
      taken,
      taken > 0 ? bytes : 0,
      units,
      this.#queue.settings.clock.now(),
    );
  }

  /** @param before units that were unread before */
  #putBackBytes(
    chunk: Uint8Array | string,
    encoding: BufferEncoding | undefined,
    units: number,
    before: number,
  ): void {
    // A chunk that was read in part just has more unread units again.
    const front = units - this.#unread.readOfOldest(before);
    if (front <= 0) return;
    const bytes =
      typeof chunk === 'string'
        ? Buffer.from(chunk, encoding)
        : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const { readableEncoding } = this.#stream;
    const isText = readableEncoding !== null && typeof chunk === 'string';
    const piece = isText
      ? Buffer.from(bytes.toString(readableEncoding).slice(0, front), readableEncoding)
      : bytes.subarray(0, front);
    this.#putBack(piece as In, false, 1, piece.byteLength, front);
  }
}
