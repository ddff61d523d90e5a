import type { Duplex } from 'node:stream';
import type { AdmissionQueue } from '../buffer/admission-queue.js';
import { isErrorLike } from '../common/thrown.js';
import type { ResolvedTransform } from '../resolve-options.js';
import { Mapper } from './mapper.js';
import { countAsRead, lowerReadMark, nativeMethod } from './native-length.js';
import { ReadBuffer, type Source } from './read-buffer.js';
import { ReadOut } from './read-out.js';

const read = nativeMethod<[number?]>('read');
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
  readonly #batchSize: number | undefined;
  readonly #mapper: Mapper<In> | undefined;
  readonly #mapsAhead: boolean;
  readonly #readOut = new ReadOut();
  readonly #buffer: ReadBuffer<In>;
  /** The reader has asked for more than it was given: an unanswered `_read`. */
  #wanted = false;
  /** So many bytes or characters `read(n)` has asked for in vain. */
  #demand = 0;
  #markIsRaised = false;
  #isScheduled = false;
  #isRunning = false;
  #inputHasEnded = false;
  #hasEnded = false;
  #isHalted = false;
  #onMappedAll: (() => void) | undefined;
  /** The value that was pushed last, where it does not tell its items. */
  #lastValue: unknown;
  #lastSource: Source<In> | undefined;
  readonly #task = () => {
    this.#isScheduled = false;
    this.#queue.endClearance();
    this.#run(false);
    this.#checkReadOut();
  };

  constructor(stream: Duplex, queue: AdmissionQueue<In>, settings: ResolvedTransform<In>, port: ReadPort) {
    this.#stream = stream;
    this.#queue = queue;
    this.#port = port;
    this.#objectMode = settings.objectMode;
    this.#buffer = new ReadBuffer(stream, queue, settings.objectMode);
    this.#batchSize = settings.batchSize;
    this.#mapsAhead = settings.map !== undefined && settings.strategy !== 'drop_oldest';
    if (settings.map === undefined) return;
    this.#mapper = new Mapper(settings.map, {
      onMapped: (isEmpty, bytes) => {
        if (!isEmpty) return;
        queue.settle(1, 0, bytes);
        port.onRoom();
      },
      onAnswer: () => this.schedule(),
      // What is an error ends the stream as it is, as in Node's Transform.
      onError: (thrown) =>
        stream.destroy(isErrorLike(thrown) ? thrown : queue.errors.handlerFailed('map', thrown)),
    });
  }

  /** Whether an item that is admitted now makes something happen. */
  get isWaiting(): boolean {
    return this.#wanted || this.#mapsAhead;
  }

  get isScheduled(): boolean {
    return this.#isScheduled;
  }

  /** Mapped, and not handed over: their count, and the bytes of their items. */
  get mapped(): { count: number; bytes: number } {
    return { count: this.#mapper?.size ?? 0, bytes: this.#mapper?.bytes ?? 0 };
  }

  /** Items that are in flight, oldest first; of the first one only what has not been read. */
  inFlightItems(): In[] {
    return [...this.#buffer.items, ...(this.#mapper?.items ?? [])];
  }

  /** Hands over from one loop outside `_read`: a push from within it would cost a tick each. */
  schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    process.nextTick(this.#task);
  }

  /** Resolves when as many items as `mark` have been decided on, and the reader has got them. */
  readUpTo(mark: number): Promise<void> {
    const read = this.#readOut.upTo(mark);
    // A short batch waits for the drain; and there may be nothing to read.
    this.schedule();
    return read;
  }

  /** Hands nothing more over: what is left has been reported. */
  halt(): void {
    this.#isHalted = true;
    this.#mapper?.freeze();
  }

  /** `_read`. Node does not ask again before it has been given something. */
  request(): void {
    this.#wanted = true;
    this.schedule();
  }

  read(size?: number): unknown {
    // What lies in the buffer of Node is handed back by `takeUnsettled()`, or was reported.
    if (this.#stream.destroyed || (this.#isHalted && this.#queue.ledger.load > 0)) return null;
    const isSized = size !== undefined && size > 0;
    if (isSized && this.#objectMode) return this.read();
    if (this.#wanted) {
      // A flowing reader gets items outside of `read()`, which is faster.
      if (this.#stream.readableFlowing !== true && size !== 0) this.#run(true, size);
      else this.schedule();
    }
    if (isSized) this.#markIsRaised = true;
    const chunk = read.call(this.#stream, size);
    this.#demand = isSized && chunk === null ? size : 0;
    if (chunk === null) return null;
    this.#queue.isStarved = false;
    if (this.#markIsRaised) {
      this.#markIsRaised = false;
      lowerReadMark(this.#stream);
    }
    if (isSized && typeof chunk === 'string' && chunk.length > size)
      countAsRead(this.#stream, chunk.length - size);
    this.settleRead();
    if (this.#port.isHeld()) this.#port.onRoom();
    if (this.#readOut.isAwaited) this.schedule();
    return chunk;
  }

  unshift(chunk: unknown, encoding?: BufferEncoding): boolean {
    return this.#buffer.unshift(chunk, encoding, (value) => this.#sourceOf(value));
  }

  setEncoding(encoding: BufferEncoding): void {
    this.#buffer.setEncoding(encoding);
  }

  /** `_final`: the input has ended. Calls back when everything has been mapped. */
  endInput(callback: () => void): void {
    this.#inputHasEnded = true;
    this.schedule();
    if (this.#mapper === undefined || this.#stream.destroyed) callback();
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
    this.#mapper?.close();
    const { ledger } = this.#queue;
    this.#queue.settle(0, ledger.inFlight, ledger.inFlightBytes);
    this.#lastValue = undefined;
    this.#lastSource = undefined;
    return items;
  }

  failReadOut(makeError: () => Error): void {
    if (this.#readOut.isAwaited) this.#readOut.fail(makeError());
  }

  // ── from the queue to the reader ──

  /** @param isRead within `read()`, which takes at least one value, or `size` bytes */
  #run(isRead: boolean, size = 1): void {
    // `map` may read.
    if (this.#isRunning) return;
    this.#isRunning = true;
    try {
      do this.#handOver(isRead, size);
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
  #takes(isRead: boolean, size: number): boolean {
    if (isRead) return this.#stream.readableLength < size;
    return this.#stream.readableFlowing === true || this.#stream.listenerCount('readable') > 0;
  }

  #handOver(isRead: boolean, size: number): void {
    const { ledger } = this.#queue;
    const isPlain = this.#batchSize === undefined && this.#mapper === undefined;
    while (this.#wanted && this.#takes(isRead, size) && this.#isOpen) {
      if (isPlain) {
        if (ledger.queued === 0) break;
        this.#pushOne();
      } else {
        if (!this.#isEnough()) break;
        if (this.#mapper === undefined) this.#pushArray();
        else this.#pushMapped(this.#mapper);
      }
    }
  }

  /** There is a value to hand over: an item, or as many as an array holds. */
  #isEnough(): boolean {
    const { queued } = this.#queue.ledger;
    const ready = this.#mapper?.size ?? queued;
    if (ready === 0 || this.#batchSize === undefined) return ready > 0;
    return ready >= this.#batchSize || (this.#isShortAllowed() && this.#isAllMapped());
  }

  /** A short array where nothing more will come: at the end, in a shutdown, or because the producer waits for room. */
  #isShortAllowed(): boolean {
    return this.#inputHasEnded || this.#port.isHeld() || this.#readOut.isAwaited;
  }

  #isAllMapped(): boolean {
    return this.#mapper === undefined || (this.#queue.ledger.queued === 0 && !this.#mapper.isBusy);
  }

  #pushOne(): void {
    const queue = this.#queue;
    const bytesBefore = queue.ledger.queuedBytes;
    const item = queue.takeOne();
    this.#push(item, item, false, 1, bytesBefore - queue.ledger.queuedBytes);
  }

  #pushArray(): void {
    const count = Math.min(this.#batchSize!, this.#queue.ledger.queued);
    const { items, bytes } = this.#queue.take(count);
    this.#push(items, items, true, count, bytes);
  }

  #pushMapped(mapper: Mapper<In>): void {
    if (this.#batchSize === undefined) {
      const { item, result, bytes } = mapper.shift();
      this.#remember(result, [item], bytes);
      return this.#push(result, item, false, 1, bytes);
    }
    const results: unknown[] = [];
    const items: In[] = [];
    let bytes = 0;
    for (let count = Math.min(this.#batchSize, mapper.size); count > 0; count--) {
      const mapped = mapper.shift();
      results.push(mapped.result);
      items.push(mapped.item);
      bytes += mapped.bytes;
    }
    this.#remember(results, items, bytes);
    this.#push(results, items, true, items.length, bytes);
  }

  #push(value: unknown, source: In | In[], isArray: boolean, count: number, bytes: number): void {
    this.#wanted = this.#buffer.push(value, source, isArray, count, bytes);
    if (this.#port.isHeld()) this.#port.onRoom();
  }

  #mapNext(isRead: boolean): boolean {
    const mapper = this.#mapper;
    const queue = this.#queue;
    if (mapper === undefined || mapper.isBusy || queue.ledger.queued === 0 || !this.#isOpen) return false;
    if (!this.#mapsAhead && !this.#inputHasEnded && !this.#isMapDue(mapper, isRead)) return false;
    const bytesBefore = queue.ledger.queuedBytes;
    const item = queue.takeOne();
    mapper.map(item, bytesBefore - queue.ledger.queuedBytes);
    return !mapper.isBusy;
  }

  /** Where items are not mapped as they come: the reader asks, and there will be enough for it. */
  #isMapDue(mapper: Mapper<In>, isRead: boolean): boolean {
    if (!this.#wanted || !this.#takes(isRead, 1)) return false;
    if (this.#batchSize === undefined) return mapper.size === 0;
    if (mapper.size >= this.#batchSize) return false;
    return mapper.size + this.#queue.ledger.queued >= this.#batchSize || this.#isShortAllowed();
  }

  #end(): void {
    const { queued } = this.#queue.ledger;
    if (this.#stream.destroyed) return;
    if (this.#inputHasEnded && this.#isAllMapped()) {
      const onMappedAll = this.#onMappedAll;
      this.#onMappedAll = undefined;
      onMappedAll?.();
      if (queued > 0 || (this.#mapper?.size ?? 0) > 0 || this.#hasEnded) return;
      this.#hasEnded = true;
      this.#buffer.pushEnd();
      return;
    }
    // A read(n) of more than the buffer holds would wait for ever.
    const { readableLength } = this.#stream;
    this.#queue.isStarved = this.#demand > readableLength && queued === 0 && this.#isOpen;
    if (this.#queue.isStarved) this.#port.onRoom();
  }

  #checkReadOut(): void {
    if (this.#readOut.isAwaited) this.#readOut.check(this.#queue.decided, this.#queue.ledger.load);
  }

  /** A mapped value does not tell its items. */
  #remember(value: unknown, items: In[], bytes: number): void {
    this.#lastValue = value;
    this.#lastSource = { items, bytes };
  }

  /** What a value stands for that the reader puts back. */
  #sourceOf(value: unknown): Source<In> {
    if (this.#mapper !== undefined) {
      const isLast = value === this.#lastValue && this.#lastSource !== undefined;
      return isLast ? this.#lastSource! : { items: [value as In], bytes: 0 };
    }
    const items = this.#batchSize !== undefined && Array.isArray(value) ? (value as In[]) : [value as In];
    let bytes = 0;
    for (const item of items) bytes += this.#queue.measure(item);
    return { items, bytes };
  }
}
