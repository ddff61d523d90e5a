import { Readable, Writable } from 'node:stream';

const lengthOf = nativeGetter<number>('writableLength');
const needsDrain = nativeGetter<boolean>('writableNeedDrain');

/** What `writableLength` would say of Node's own queue (of a Duplex too), the chunk being written included. */
export function nativeWritableLength(stream: Writable): number {
  return lengthOf.call(stream);
}

export function nativeWritableNeedDrain(stream: Writable): boolean {
  return needsDrain.call(stream);
}

/** Makes Node emit 'drain' once its own queue is empty, as if its own `write()` had returned `false`. */
export function promiseDrain(stream: Writable): void {
  writableState(stream).needDrain = true;
}

/** Node raises the read mark to what `read(n)` asked for. Lowers it again, so that nothing more is read ahead. */
export function lowerReadMark(stream: Readable): void {
  readableState(stream).highWaterMark = 0;
}

/**
 * Keeps Node from emitting 'readable' for a value that is pushed within `read()`, which takes it: the event would cost each value a tick.
 * If it takes all that there is, Node's own `read()` asks for the event again.
 */
export function withholdReadable(stream: Readable): void {
  readableState(stream).needReadable = false;
}

/**
 * Node 20 keeps an empty text if `read(n)` of several texts takes the last of them whole. `read()` then finds nothing in front, for ever.
 */
export function dropEmptyText(stream: Readable): void {
  const state = readableState(stream);
  if (state.buffer[state.bufferIndex] === '') state.bufferIndex++;
}

/** Node 20 may return more characters than `read(n)` asks for, and then counts the rest of them as unread. */
export function countAsRead(stream: Readable, characters: number): void {
  readableState(stream).length -= characters;
}

/**
 * Makes the stream fail for `finished()` and `pipeline()`, without an `'error'` event. They take "ended, and nothing in the queue of Node"
 * for a success, although what was written has not all been dealt with.
 */
export function failQuietly(stream: Writable, error: Error): void {
  writableState(stream).errored = error;
}

interface WritableState {
  needDrain: boolean;
  errored: Error | null;
  readonly pendingcb: number;
  readonly bufferedRequestCount: number;
  readonly writing: boolean;
}

function writableState(stream: Writable): WritableState {
  return (stream as Writable & { _writableState: WritableState })._writableState;
}

interface ReadableState {
  highWaterMark: number;
  needReadable: boolean;
  length: number;
  readonly buffer: unknown[];
  bufferIndex: number;
}

function readableState(stream: Readable): ReadableState {
  return (stream as Readable & { _readableState: ReadableState })._readableState;
}

/** Chunks in Node's own queue, the one being written included. */
export function nativeChunkCount(stream: Writable): number {
  if (stream.writableObjectMode) return nativeWritableLength(stream);
  const { bufferedRequestCount, writing } = writableState(stream);
  return bufferedRequestCount + (writing ? 1 : 0);
}

/** While a write is under way: whether Node is to call the callbacks of earlier ones, which are done, on its next tick. */
export function owesCallbacks(stream: Writable): boolean {
  const { pendingcb, bufferedRequestCount } = writableState(stream);
  return pendingcb > bufferedRequestCount + 1;
}

/** Both streams tell the truth of what they hold, which Node's own getters do not know. */
export function defineWritableGetters<S extends Writable>(
  prototype: S,
  getters: {
    writableLength: (stream: S) => number;
    writableHighWaterMark: (stream: S) => number;
    writableNeedDrain: (stream: S) => boolean;
  },
): void {
  for (const [name, read] of Object.entries(getters)) defineGetter(prototype, name as keyof S & string, read);
}

/** A method of Node that a subclass overrides. */
export function nativeMethod<Args extends unknown[]>(
  name: 'on' | 'read' | 'unshift' | 'setEncoding',
): (this: Readable, ...args: Args) => unknown {
  const methods = Readable.prototype as unknown as Record<string, (this: Readable, ...args: Args) => unknown>;
  return methods[name]!;
}

/** Defines a getter that the types of Node declare as a property, so that a class cannot override it with an accessor. */
export function defineGetter<S>(prototype: S, name: keyof S & string, read: (stream: S) => unknown): void {
  Object.defineProperty(prototype, name, {
    get(this: S) {
      return read(this);
    },
    configurable: true,
  });
}

/** Calls `onReadable` after a listener of 'readable' was added: Node asks for no data if it has asked already. */
export function watchReadable<S extends Readable>(prototype: S, onReadable: (stream: S) => void): void {
  const add = nativeMethod<[string | symbol, () => void]>('on');
  const value = function (this: S, event: string | symbol, listener: () => void): S {
    add.call(this, event, listener);
    if (event === 'readable') onReadable(this);
    return this;
  };
  for (const name of ['on', 'addListener'])
    Object.defineProperty(prototype, name, { value, configurable: true, writable: true });
}

function nativeGetter<V>(name: keyof Writable): (this: Writable) => V {
  return (Object.getOwnPropertyDescriptor(Writable.prototype, name) as { get: () => V }).get;
}

/** As `listenerCount('data') > 0`, which takes longer than all else that is asked for each item. */
export function hasDataListener(stream: Readable): boolean {
  return (stream as unknown as { _events: { data?: unknown } })._events.data !== undefined;
}
