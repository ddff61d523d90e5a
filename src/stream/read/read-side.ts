import { getDefaultHighWaterMark, type Duplex } from 'node:stream';
import type { AdmissionQueue } from '../../buffer/admission-queue.js';
import { isErrorLike } from '../../common/thrown.js';
import type { ResolvedTransform } from '../../settings/resolve-transform.js';
import {
  countAsRead,
  dropEmptyText,
  lowerReadMark,
  nativeMethod,
  withholdReadable,
} from '../node/native-length.js';
import { ReadBuffer } from './read-buffer.js';
import { ReadWaiter } from './read-waiter.js';
import { OutputSource } from './output-source.js';

const read = nativeMethod<[number?]>('read');

/**
 * A parameter that no call can give, and that `for await` does not overlook: `void`, which may be left out, only while the compiler compares
 * overloads, for which it takes every type parameter as `any`.
 */
// eslint-disable-next-line @typescript-eslint/no-invalid-void-type -- a parameter of type void may be left out
export type OnlyIfErased<Parameter> = 0 extends 1 & Parameter ? void : never;

/** What the readable side needs of the writable one. */
export interface ReadPort {
  /** A producer is made to wait. */
  isHeld(): boolean;
  /** Load has gone down. */
  onRoom(): void;
}

/**
 * The readable side of a transform: hands items over to the reader, mapped if there is a `map`, and settles them when they are read.
 *
 *     queue ──(map)──> results ──push()──> read buffer of Node ──> reader
 *       evictable        └──────────── in flight ───────────┘      flushed
 *
 * Items are pushed only if the reader takes them now: it flows, it listens for 'readable', or it calls `read()`. Everything else stays
 * where `drop_oldest` can evict it. A flowing reader gets each item within `push()`; the read buffer of Node then stays empty.
 *
 * With `map`, items are mapped as they come. Under `drop_oldest`, where most of them may never be read, they are mapped when the reader
 * asks, and after the end of the input.
 */
export class ReadSide<In> {
  readonly #stream: Duplex;
  readonly #queue: AdmissionQueue<In>;
  readonly #port: ReadPort;
  readonly #objectMode: boolean;
  readonly #output: OutputSource<In>;
  readonly #readWaiter = new ReadWaiter();
  readonly #buffer: ReadBuffer<In>;
  /** The reader has asked for more than it was given: an unanswered `_read`. */
  #wanted = false;
  /** A listener of 'readable' has taken all that there was, and has not asked for more. */
  #owesReadable = false;
  /** The bytes or characters that `read(n)` has asked for and not got. */
  #demand = 0;
  #markIsRaised = false;
  #isScheduled = false;
  #isRunning = false;
  #inputHasEnded = false;
  #hasEnded = false;
  #isHalted = false;
  #onMappedAll: (() => void) | undefined;
  // Runs in the transform's own context, as `map` does, and not in a writer's or reader's.
  readonly #task = () => this.#queue.context.runInAsyncScope(this.#deliver, this);

  #deliver(): void {
    this.#isScheduled = false;
    this.#queue.fastPath.endCredit();
    this.#run(false);
    this.#emitReadable();
    this.#resolveReadWaiter();
  }

  constructor(stream: Duplex, queue: AdmissionQueue<In>, settings: ResolvedTransform<In>, port: ReadPort) {
    this.#stream = stream;
    this.#queue = queue;
    this.#port = port;
    this.#objectMode = settings.objectMode;
    this.#buffer = new ReadBuffer(stream, queue, settings.objectMode);
    this.#output = new OutputSource(queue, settings, {
      isShortAllowed: () => this.#inputHasEnded || port.isHeld() || this.#readWaiter.isPending,
      onMapped: (isEmpty, bytes) => {
        if (!isEmpty) return;
        queue.settle(1, 0, bytes);
        port.onRoom();
      },
      onAnswer: () => this.schedule(),
      // What is an error ends the stream as it is, as in Transform of Node.
      onError: (thrown) =>
        stream.destroy(isErrorLike(thrown) ? thrown : queue.errors.handlerFailed('map', thrown)),
    });
  }

  /** Whether an item that is admitted now makes something happen. */
  get isWaiting(): boolean {
    return this.#wanted || this.#output.mapsAhead || this.#owesReadable;
  }

  get isScheduled(): boolean {
    return this.#isScheduled;
  }

  /** Mapped, and not emitted yet: their count, and the bytes of their items. */
  get mapped(): { count: number; bytes: number } {
    return this.#output.mapped;
  }

  /** When the oldest item in flight was admitted; `Infinity` if there is none. */
  get oldestTime(): number {
    return Math.min(this.#buffer.oldestTime, this.#output.oldestTakenTime);
  }

  /** Items that are in flight, oldest first; of the first one only what has not been read. */
  inFlightItems(): In[] {
    return [...this.#buffer.items, ...this.#output.takenItems];
  }

  /** Emits from one loop outside `_read`: a push from within it would cost a tick each. */
  schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    process.nextTick(this.#task);
  }

  /** Resolves when as many items as `mark` have been decided on, and the reader has got them. */
  readUpTo(mark: number): Promise<void> {
    const read = this.#readWaiter.waitUntilRead(mark);
    // A short batch waits for the drain; and there may be nothing to read.
    this.schedule();
    return read;
  }

  /** Hands nothing more over: what is left has been reported. */
  halt(): void {
    this.#isHalted = true;
    this.#output.freeze();
  }

  /** `_read`. Node does not ask again before it has been given something. */
  request(): void {
    this.#wanted = true;
    this.#owesReadable = false;
    this.schedule();
  }

  read(size?: number): unknown {
    // `takeUnsettled()` returns what lies in Node's buffer, or it was reported.
    if (this.#stream.destroyed || (this.#isHalted && this.#queue.ledger.load > 0)) return null;
    const isSized = size !== undefined && size > 0;
    if (isSized && this.#objectMode) return this.read();
    // A flowing reader gets items outside of `read()`, which is faster.
    if (this.#stream.readableFlowing !== true && size !== 0) {
      // Node asks by `_read` only once it has nothing left, which would cost each value a tick and a second `read()`.
      if (this.#stream.readableLength < (size ?? 1)) {
        this.#wanted = true;
        if (this.#objectMode) withholdReadable(this.#stream);
        this.#run(true, size);
      }
    } else if (this.#wanted) this.schedule();
    if (isSized) this.#markIsRaised = true;
    const chunk = read.call(this.#stream, size);
    this.#demand = isSized && chunk === null ? size : 0;
    if (chunk === null) return null;
    this.#queue.isStarved = false;
    if (this.#markIsRaised) {
      this.#markIsRaised = false;
      lowerReadMark(this.#stream);
    }
    if (isSized && typeof chunk === 'string') {
      if (chunk.length > size) countAsRead(this.#stream, chunk.length - size);
      dropEmptyText(this.#stream);
    }
    this.settleRead();
    if (this.#port.isHeld()) this.#port.onRoom();
    this.#owesReadable = this.#hasTakenAll();
    if (this.#owesReadable || this.#readWaiter.isPending) this.schedule();
    return chunk;
  }

  unshift(chunk: unknown, encoding?: BufferEncoding): boolean {
    return this.#buffer.unshift(chunk, encoding, (value) => this.#output.itemsBehind(value));
  }

  setEncoding(encoding: BufferEncoding): void {
    this.#buffer.setEncoding(encoding);
  }

  /** `_final`: the input has ended. Calls back when everything has been mapped. */
  endInput(callback: () => void): void {
    this.#inputHasEnded = true;
    this.schedule();
    if (!this.#output.maps || this.#stream.destroyed) callback();
    else this.#onMappedAll = callback;
  }

  /** Settles what the reader has got. Right inside a listener of 'data', too. */
  settleRead(): void {
    this.#buffer.settleRead();
  }

  /** The stream is destroyed. Returns what the reader did not get: those items have failed. */
  close(): In[] {
    this.settleRead();
    const items = this.inFlightItems();
    this.#buffer.clear();
    this.#output.close();
    const { ledger } = this.#queue;
    ledger.returned += ledger.inFlight;
    this.#queue.settle(0, ledger.inFlight, ledger.inFlightBytes);
    return items;
  }

  rejectReadWaiter(makeError: () => Error): void {
    if (this.#readWaiter.isPending) this.#readWaiter.rejectPending(makeError());
  }

  // ── from the queue to the reader ──

  /** @param isRead within `read()`, which takes at least one value, or `size` bytes */
  #run(isRead: boolean, size = 1): void {
    // `map` may read.
    if (this.#isRunning) return;
    this.#isRunning = true;
    try {
      do this.#pushValues(isRead, size);
      while (this.#mapNext(isRead));
      this.#end();
    } finally {
      this.#isRunning = false;
    }
  }

  get #isOpen(): boolean {
    return !this.#isHalted && !this.#stream.destroyed;
  }

  /** The reader takes what it is given now. */
  #readerTakes(isRead: boolean, size: number): boolean {
    if (isRead) return this.#stream.readableLength < size;
    return this.#stream.readableFlowing === true || this.#stream.listenerCount('readable') > 0;
  }

  #pushValues(isRead: boolean, size: number): void {
    const output = this.#output;
    const { ledger } = this.#queue;
    const buffer = this.#buffer;
    // Apart, because it is the usual case: a flowing reader of plain items.
    while (output.isPlain && this.#wanted && ledger.queued > 0 && this.#isOpen && buffer.isDirect) {
      this.#wanted = buffer.pushDirect();
      if (this.#port.isHeld()) this.#port.onRoom();
    }
    while (this.#wanted && this.#readerTakes(isRead, size) && this.#isOpen) {
      if (output.isPlain ? ledger.queued === 0 : !output.isReady) break;
      this.#wanted = output.pushNext(buffer);
      if (this.#port.isHeld()) this.#port.onRoom();
    }
  }

  #mapNext(isRead: boolean): boolean {
    const output = this.#output;
    if (!this.#isOpen) return false;
    const isAhead = output.mapsAhead || this.#inputHasEnded;
    return (isAhead || (this.#wanted && this.#readerTakes(isRead, 1) && output.isMapDue)) && output.mapNext();
  }

  #end(): void {
    const { queued } = this.#queue.ledger;
    if (this.#stream.destroyed) return;
    if (this.#inputHasEnded && this.#output.isAllMapped) {
      const onMappedAll = this.#onMappedAll;
      this.#onMappedAll = undefined;
      onMappedAll?.();
      if (!this.#output.isEmpty || this.#hasEnded) return;
      this.#hasEnded = true;
      this.#buffer.pushEnd();
      return;
    }
    // A read(n) of more than the buffer holds would wait for ever, and so would a character of which a part is missing.
    const isInNeed =
      this.#demand > this.#stream.readableLength || (this.#wanted && this.#buffer.isIncomplete);
    this.#queue.isStarved = isInNeed && queued === 0 && this.#isOpen;
    if (this.#queue.isStarved) this.#port.onRoom();
  }

  #hasTakenAll(): boolean {
    const { readableLength, readableFlowing } = this.#stream;
    if (this.#wanted || readableLength > 0 || readableFlowing === true) return false;
    return this.#stream.listenerCount('readable') > 0;
  }

  /**
   * With a read mark of 0 Node asks for the next value only when it is read. A listener that reads once per event, or that finds its value
   * taken by another reader, would wait for ever. Nothing is pushed: what nobody reads stays within reach of `drop_oldest`.
   */
  #emitReadable(): void {
    if (!this.#owesReadable || !this.#isOpen || !this.#hasTakenAll()) return;
    if (this.#output.isEmpty) return;
    this.#owesReadable = false;
    this.#stream.emit('readable');
  }

  #resolveReadWaiter(): void {
    if (this.#readWaiter.isPending)
      this.#readWaiter.resolveIfRead(this.#queue.decidedSeq, this.#queue.ledger.load);
  }
}

/**
 * What web readers hold themselves: `Readable.toWeb()` makes room for so much. With nothing it would hang as soon as two reads wait. With
 * `drop_oldest` it is as little as possible, for what lies there is out of reach.
 */
export function readableMark({
  objectMode,
  strategy,
  capacity,
  capacityBytes,
}: ResolvedTransform<never>): number {
  if (strategy === 'drop_oldest') return 1;
  return Math.min(getDefaultHighWaterMark(objectMode), objectMode ? capacity : capacityBytes);
}
