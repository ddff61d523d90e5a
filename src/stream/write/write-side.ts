import type { Writable } from 'node:stream';
import type { AdmissionQueue } from '../../buffer/admission-queue.js';
import type { Outcome } from '../../buffer/drop-strategies.js';
import type { FastAdmission } from '../../buffer/fast-admission.js';
import type { Ledger } from '../../buffer/ledger.js';
import { Deadline } from '../../common/deadline.js';
import type { ResolvedBuffer } from '../../settings/resolve-buffer.js';
import { nativeChunkCount, owesCallbacks, promiseDrain } from '../node/native-length.js';
import { isOverridden } from '../node/overrides.js';
import { CallerContexts } from './caller-contexts.js';
import { DrainBarrier } from './drain-barrier.js';
import { OverflowGuard } from './overflow-guard.js';
import { YieldSchedule } from './yield-schedule.js';
import type { LastArguments, WriteCallback } from './write-callbacks.js';

/** What chunks are written to: a batching sink, or a transform. */
export interface WriteTarget<T> {
  readonly queue: AdmissionQueue<T>;
  /** Decides on an item that has arrived; `bytes` is what `queue.judge` returned. */
  admit(item: T, bytes: number): Outcome;
  /** The stage has ended while the item, which waits, was being decided on. */
  returnToCaller(item: T): void;
  /** How many more items, and bytes, the queue may admit by itself, until the target changes the queue. */
  headroom(): number;
  headroomBytes(): number;
  /** A producer is made to wait, or no longer. */
  setHeld(held: boolean): void;
  /** Items that waited were skipped: a flush may have waited for them. */
  onSkipped(): void;
}

/**
 * The writable side of both streams: decides how a chunk goes in, and whether the producer must wait.
 *
 *     write() ──fast path: nothing waits──────────────────────────> admitted or dropped
 *        └──────slow path──> Node's queue ──_write──> judged ──> admitted ──below the pause threshold──> callback
 *                                                       │           └──────at or above it──> held ──room──> callback
 *                                                       └──> no room: pending, and held ──room──> admitted
 *
 * Under `block` it makes the producer wait by holding the callback of `_write`. Node then queues further writes and returns `false`. It emits
 * `'drain'` once the callback has been called and its queue is empty. Invariants 1, 4 and 11 depend on it.
 */
export class WriteSide<T> {
  readonly #stream: Writable;
  readonly #target: WriteTarget<T>;
  readonly #settings: ResolvedBuffer<T>;
  /** Length of Node's own queue, the chunk being written included. */
  readonly #nativeLength: () => number;
  readonly #base: Writable;
  readonly #isSubclass: boolean;
  readonly #blocks: boolean;
  readonly #objectMode: boolean;
  #pauseAt: number;
  readonly #pauseAtBytes: number;
  readonly #queue: AdmissionQueue<T>;
  readonly #ledger: Ledger;
  readonly #fastPath: FastAdmission<T>;
  readonly #asksUser: boolean;
  readonly #yields: YieldSchedule;
  #open = true;
  #held: WriteCallback | undefined;
  #heldLength = 0;
  /** The held callback has been let go, and is called on the next tick. */
  #isReleasing = false;
  /** `write()` has answered `false`, and Node does not know of it. */
  #owesDrain = false;
  readonly #overflow: OverflowGuard;
  /** The chunk of the held callback, while there is no room even for that one; `bytes`: what `judge` returned, if it was asked. */
  #pending: { chunk: T; bytes: number | undefined } | undefined;
  /** The user is being asked about `#askedChunk`, who may write, or destroy the stream: it waits until that is over. */
  #asking: WriteCallback | undefined;
  #askedChunk: T | undefined;
  /** `shed` or `sizeOf` is being asked about a chunk on the slow path. */
  #isJudging = false;
  readonly #contexts: CallerContexts;
  /** What the user said of the chunk that is about to take the slow path. */
  #judged: number | undefined;
  readonly #barrier = new DrainBarrier();
  readonly #blockDeadline: Deadline;

  /** @param base the prototype of the class that is ours */
  constructor(
    stream: Writable,
    target: WriteTarget<T>,
    settings: ResolvedBuffer<T>,
    nativeLength: () => number,
    base: Writable,
  ) {
    this.#stream = stream;
    this.#base = base;
    this.#isSubclass = isOverridden(stream, base);
    this.#target = target;
    this.#settings = settings;
    this.#nativeLength = nativeLength;
    this.#blocks = settings.strategy === 'block';
    this.#objectMode = settings.objectMode;
    // In byte mode the size is the chunk's own.
    this.#contexts = new CallerContexts(
      settings.shed !== undefined || (settings.objectMode && settings.sizeOf !== undefined),
    );
    this.#overflow = new OverflowGuard(stream, settings.maxWaiting);
    this.#queue = target.queue;
    this.#ledger = target.queue.ledger;
    this.#fastPath = target.queue.fastPath;
    this.#asksUser = target.queue.asksUser;
    this.#blockDeadline = new Deadline(settings.clock, settings.maxBlockTimeMs ?? Infinity, () =>
      this.#onBlockedTooLong(),
    );
    this.#pauseAt = this.#usualPauseAt;
    this.#pauseAtBytes = this.#blocks ? settings.marks.pauseAtBytes : Infinity;
    this.#yields = new YieldSchedule(settings.marks.yieldEvery, this.#ledger, () => {
      // As in Node: none after the end.
      if (!this.#open) return;
      this.#overflow.countWoken();
      this.#runInOwnContext(() => stream.emit('drain'));
    });
  }

  /** What `write()` returns, if Node's own has returned `mayGoOn`. */
  writeResult(mayGoOn: boolean): boolean {
    if (this.isHeld) {
      // An empty chunk is what Node's own never refuses.
      this.#owesDrain ||= mayGoOn;
      this.#checkOverflow();
      return false;
    }
    if (!mayGoOn || this.#isBehind()) {
      this.#checkOverflow();
      // Node before 20.12 answers from what it knew before `_write` had run.
      if (!this.#open || this.#ledger.waiting > 0) return false;
    }
    // A write with a callback takes the slow path, and counts all the same.
    return !this.#yields.checkAfterOffer();
  }

  get isHeld(): boolean {
    return this.#held !== undefined;
  }

  /** There are methods in the place of ours: each write goes through Node, and may be left out, put off or made into several. */
  #isOverridden(): boolean {
    return this.#isSubclass || this.#stream._write !== this.#base._write;
  }

  /** A dropping strategy never asks to wait; but what `_construct` or `_write` of a subclass puts off would pile up before it. */
  #isBehind(): boolean {
    if (this.#blocks || this.#ledger.waiting === 0 || !this.#isOverridden()) return false;
    if (this.#waitingLength < this.#settings.marks.highWaterMark) return false;
    promiseDrain(this.#stream);
    return true;
  }

  /** `write()` has answered `false`, and 'drain' will come, but not from Node. */
  get owesDrain(): boolean {
    return this.#open && (this.#owesDrain || this.#yields.isYielding);
  }

  /** Cooperative yield: there is room, but the producer is to wait for 'drain'. */
  get isYielding(): boolean {
    return this.#yields.isYielding;
  }

  get #usualPauseAt(): number {
    return this.#blocks ? this.#settings.marks.pauseAt : Infinity;
  }

  /** All that the first of the drains under way is to settle has been let in: whatever comes now came after it began. */
  #isDrainReached(): boolean {
    return this.#barrier.isReached(this.#queue.decidedSeq);
  }

  /** Everything that was written and has not settled: items, or bytes in byte mode. */
  get length(): number {
    const { ledger } = this.#queue;
    return this.#objectMode ? ledger.load + ledger.waiting : ledger.loadBytes + this.#waitingLength;
  }

  get #waitingLength(): number {
    if (this.#objectMode) return this.#queue.ledger.waiting;
    const native = this.#nativeLength();
    const isHeld = this.#held !== undefined || this.#isReleasing;
    const bytes = isHeld && this.#pending === undefined ? native - this.#heldLength : native;
    // Empty chunks have no length for Node, but take memory all the same.
    return Math.max(bytes, this.#ledger.waiting);
  }

  /** Fast path: bypasses Node's queue if nothing is waiting. Returns `false` if the chunk must go through `_write`. */
  tryFastPath(chunk: T): boolean {
    if (chunk === null) return false;
    return this.#asksUser ? this.#tryAsking(chunk) : this.#fastPath.tryOffer(chunk) || this.#tryAsking(chunk);
  }

  #tryAsking(chunk: T): boolean {
    if (this.#ledger.waiting > 0 || (!this.#fastPath.hasCredit && this.#needsSlowPath())) return false;
    this.#queue.countArrival();
    return this.#judgeAndAdmit(chunk);
  }

  #judgeAndAdmit(chunk: T): boolean {
    const ledger = this.#ledger;
    const queue = this.#queue;
    try {
      const bytes = queue.judge(chunk);
      if (this.#fastPath.tryAdmit(chunk, bytes)) return true;
      const loadBytes = ledger.queuedBytes + ledger.inFlightBytes;
      if (loadBytes + bytes >= this.#pauseAtBytes && !this.#stream.destroyed) {
        queue.retractArrival();
        this.#judged = bytes;
        return false;
      }
      if (this.#target.admit(chunk, bytes) === 'full') {
        // By what the user has written meanwhile: it waits behind that.
        queue.retractArrival();
        this.#judged = bytes;
        return false;
      }
      if (!this.#yields.checkAfterOffer()) this.#grantCredit();
      return true;
    } catch (thrown) {
      // Before it threw, the user may have written more: one of those may be the pending chunk, and `close` finds only that one.
      this.#stream.destroy(this.#queue.errors.handlerFailed('admission', thrown));
      this.#target.returnToCaller(chunk);
      return false;
    }
  }

  #needsSlowPath(): boolean {
    // In byte mode Node must make bytes of strings first.
    if (!this.#open || this.#held !== undefined || !this.#objectMode || this.#isOverridden()) return true;
    // The write that makes the producer wait: Node has to know of it, to emit 'drain'.
    const { queued, inFlight } = this.#ledger;
    return queued + inFlight + 1 >= this.#pauseAt;
  }

  /** What would be asked for the next ones, too, is asked once. */
  #grantCredit(): void {
    const ledger = this.#ledger;
    // A listener may have done anything meanwhile.
    if (!this.#fastPath.isPossible || !this.#open || ledger.waiting > 0 || this.#held !== undefined) return;
    this.#fastPath.grant(
      Math.min(this.#target.headroom(), this.#pauseAt - 1 - ledger.load, this.#yields.itemsUntilCheck),
      Math.min(this.#target.headroomBytes(), this.#pauseAtBytes - 1 - ledger.loadBytes),
    );
  }

  /** Counts a chunk that is given to `write` or `end`. Returns `false` if Node will refuse it. */
  offer(chunk: unknown): boolean {
    const judged = this.#judged;
    this.#judged = undefined;
    if (!this.#open || chunk === null) return false;
    this.#fastPath.endCredit();
    this.#queue.countArrival();
    this.#contexts.capture(judged);
    return true;
  }

  /** The offer was refused with an exception. */
  retractOffer(): void {
    this.#queue.retractArrival();
    this.#contexts.retract();
  }

  /** After a `write` that returned `false`. */
  #checkOverflow(): void {
    if (this.#stream.destroyed) return;
    // The chunk that found no room, or is being decided on, was written while the producer might go on.
    const pending = this.#pending === undefined && this.#asking === undefined ? 0 : 1;
    const length = this.#waitingLength - pending * this.#heldLength;
    if (!this.#overflow.isExceeded(this.#ledger.waiting - pending, length)) return;
    const unit = this.#objectMode ? 'items' : 'bytes';
    const { maxWaiting } = this.#settings;
    const message = `the producer ignored write() answering false: more than maxWaiting (${maxWaiting}) ${unit} wait`;
    this.#stream.destroy(this.#queue.errors.create('ERR_BACKPRESSURE_OVERFLOW', message));
  }

  /** No more chunks are offered: `end` was called. */
  onEnd(): void {
    this.#open = false;
    this.#fastPath.endCredit();
  }

  /** `_write`. */
  writeSlowPath(chunk: T, callback: WriteCallback): void {
    // An override has made several of one chunk.
    if (this.#ledger.waiting === 0) this.#queue.countArrival();
    const judged = this.#isOverridden()
      ? this.#contexts.nextOf(nativeChunkCount(this.#stream), this.#mayBePart)
      : this.#contexts.next();
    const { offered } = this.#ledger;
    if (this.#isDrainReached()) return this.#deferUntilDrained(chunk, callback, judged);
    this.#asking = callback;
    this.#askedChunk = chunk;
    this.#heldLength = this.#lengthOf(chunk);
    const bytes = judged ?? this.#judge(chunk);
    if (bytes === undefined) return;
    this.#asking = undefined;
    this.#askedChunk = undefined;
    let outcome: Outcome | undefined;
    try {
      outcome = this.#target.admit(chunk, bytes);
    } catch (thrown) {
      // `random` or the clock, which the user may give.
      this.#asking = callback;
      this.#askedChunk = chunk;
      this.#stream.destroy(this.#queue.errors.handlerFailed('admission', thrown));
    }
    if (outcome === undefined) return;
    if (outcome === 'full') this.#pending = { chunk, bytes };
    else if (!this.#blocks || !(this.#queue.mustPause || this.#isDrainReached())) {
      if (this.#ledger.offered === offered) return callback();
      // Within it the user has written more: Node would call the callbacks of that first.
      this.#heldLength = this.#lengthOf(chunk);
      return this.#callOnTick(callback, null);
    }
    this.#hold(chunk, callback);
  }

  /** Node passes chunks one by one, and its count of them is right meanwhile: a chunk more is one that an override has made. */
  get #mayBePart(): boolean {
    return this.#objectMode && !this.#stream._writev;
  }

  /** The last arguments of a write, so that what an override leaves out is noticed when Node is through with it. */
  watchCallback(encoding: unknown, callback: unknown): LastArguments {
    if (!this.#isOverridden()) return [encoding, callback];
    const [given, where] = typeof encoding === 'function' ? [encoding, undefined] : [callback, encoding];
    const watched: WriteCallback = (error) => {
      this.skipLeftOut();
      if (typeof given === 'function') (given as WriteCallback)(error);
    };
    return [where, watched];
  }

  /** Chunks that Node has nothing to do with any more, and that never came to `writeSlowPath`. */
  skipLeftOut(): void {
    const chunks = nativeChunkCount(this.#stream);
    this.#contexts.keepLast(chunks);
    const leftOut = this.#ledger.waiting - chunks;
    if (leftOut <= 0 || this.#stream.destroyed) return;
    this.#queue.skipWaiting(leftOut);
    this.#target.onSkipped();
  }

  /** What the user says of a chunk, in the context of its write. Returns `undefined` if the stream is destroyed: `close` has returned the chunk. */
  #judge(chunk: T): number | undefined {
    if (!this.#queue.asksUser) return 0;
    let bytes: number | undefined;
    this.#isJudging = true;
    try {
      bytes = this.#contexts.run(() => this.#queue.judge(chunk));
    } catch (thrown) {
      // Not through the callback: Node would throw away what it has queued before `close` is asked for it.
      this.#stream.destroy(this.#queue.errors.handlerFailed('admission', thrown));
    }
    this.#isJudging = false;
    return this.#stream.destroyed ? undefined : bytes;
  }

  /** A drain is under way, and this chunk was written after it began. */
  #deferUntilDrained(chunk: T, callback: WriteCallback, judged: number | undefined): void {
    if (this.#blocks) {
      this.#pending = { chunk, bytes: judged };
      this.#hold(chunk, callback);
    } else {
      this.#queue.rejectWaiting(chunk);
      callback();
    }
  }

  /**
   * Begins a drain. Returns its mark, for `endDrain`: the number of items that have arrived so far. Those are admitted as before. Later ones
   * wait until the drain is over, and so does a producer once the last of the earlier ones is admitted.
   */
  beginDrain(): number {
    const mark = this.#queue.arrivedSeq;
    this.#barrier.begin(mark);
    // No write takes the fast path meanwhile. So the fast path need not ask whether there is a drain.
    this.#pauseAt = 0;
    this.#fastPath.endCredit();
    return mark;
  }

  endDrain(mark: number): void {
    this.#barrier.end(mark);
    if (!this.#barrier.isDraining) this.#pauseAt = this.#usualPauseAt;
    this.onRoom();
    if (this.#held !== undefined) this.#setBlockDeadline();
  }

  /** A shutdown is over: ends the stream as `reason` says, if anything is open, and lets the producer go on. */
  endFor(reason: string, isIdle: boolean, mark: number | undefined): void {
    const stream = this.#stream;
    if (stream.destroyed) return;
    if (!isIdle) {
      const message = `${reason}: ended with items unsettled`;
      stream.destroy(this.#queue.errors.create('ERR_BACKPRESSURE_ABORTED', message));
    } else if (!stream.writableEnded) stream.destroy();
    // 'finish' (and 'end') is all that is missing.
    else if (mark !== undefined) this.endDrain(mark);
  }

  /** Copies of the items that wait, in order; of those only that had stood in line at `mark`. */
  waitingItems(mark = Infinity): T[] {
    if (this.#ledger.waiting === 0) return [];
    // Node leaves holes behind while it works the queue off.
    const { writableBuffer } = this.#stream as Writable & { writableBuffer?: ({ chunk: T } | null)[] };
    const waiting: T[] = [];
    if (this.#pending !== undefined) waiting.push(this.#pending.chunk);
    if (this.#asking !== undefined) waiting.push(this.#askedChunk as T);
    // A loop: there may be as many as the buffer has room for.
    for (const write of writableBuffer ?? []) if (write !== null) waiting.push(write.chunk);
    const count = mark - this.#queue.decidedSeq;
    return count < waiting.length ? waiting.slice(0, Math.max(0, count)) : waiting;
  }

  /** Load has gone down. */
  onRoom(): void {
    // Asked about the pending chunk, the user may make room: it is admitted after that.
    if (this.#held === undefined || this.#isJudging) return;
    const { queue } = this.#target;
    if (this.#pending !== undefined) {
      const { chunk, bytes: judged } = this.#pending;
      if (judged === undefined && this.#isDrainReached()) return;
      const bytes = judged ?? this.#judge(chunk);
      if (bytes === undefined) return;
      // A listener may destroy the stream while the chunk is admitted: `close` must not find it here as well.
      this.#pending = undefined;
      if (this.#target.admit(chunk, bytes) === 'full') this.#pending = { chunk, bytes };
      else if (!queue.mustPause && !this.#isDrainReached() && this.isHeld) this.#release();
    } else if (queue.mayResume && !this.#isDrainReached()) {
      this.#release();
    }
  }

  /** The stream is destroyed. Answers with the chunks that were never admitted. */
  close(reason: Error | null): T[] {
    this.#open = false;
    this.#fastPath.endCredit();
    const waiting = this.waitingItems();
    const admitted = this.#pending === undefined;
    this.#pending = undefined;
    // Node answers the callbacks of the other writes only once this one has been called.
    if (this.#held !== undefined) this.#release(admitted ? null : reason);
    // Within `_write`: what has been written meanwhile comes after it.
    if (this.#asking !== undefined) process.nextTick(this.#asking, reason);
    this.#asking = undefined;
    this.#askedChunk = undefined;
    return waiting;
  }

  #hold(chunk: T, callback: WriteCallback): void {
    this.#held = callback;
    this.#heldLength = this.#lengthOf(chunk);
    // It has gone on all the same: Node emits 'drain' when there is room.
    this.#yields.cancelYield();
    this.#target.setHeld(true);
    this.#setBlockDeadline();
  }

  #lengthOf(chunk: T): number {
    return this.#objectMode ? 1 : (chunk as Uint8Array).byteLength;
  }

  #setBlockDeadline(): void {
    const { clock, maxBlockTimeMs } = this.#settings;
    if (maxBlockTimeMs === undefined || maxBlockTimeMs === Infinity) return;
    const deadline = this.#blockDeadline;
    // A timer keeps the context alive in which it is set.
    this.#queue.context.runInAsyncScope(() => deadline.setBy(clock.now() + maxBlockTimeMs));
  }

  #onBlockedTooLong(): void {
    // It is the drain that makes the producer wait: its time for room begins when that is over.
    if (this.#isDrainReached()) return;
    const message = `no room for longer than maxBlockTimeMs (${this.#settings.maxBlockTimeMs} ms)`;
    this.#stream.destroy(this.#queue.errors.create('ERR_BACKPRESSURE_BLOCK_TIMEOUT', message));
  }

  #release(error: Error | null = null): void {
    const callback = this.#held!;
    this.#held = undefined;
    this.#target.setHeld(false);
    this.#blockDeadline.clear();
    this.#overflow.countWoken();
    if (this.#owesDrain) promiseDrain(this.#stream);
    this.#owesDrain = false;
    if (!owesCallbacks(this.#stream)) return this.#runInOwnContext(() => callback(error));
    // A callback that comes late is called at once, ahead of those of earlier writes that Node has put off to the next tick.
    this.#callOnTick(callback, error);
  }

  #callOnTick(callback: WriteCallback, error: Error | null): void {
    this.#isReleasing = true;
    process.nextTick(() => {
      this.#isReleasing = false;
      this.#runInOwnContext(() => callback(error));
    });
  }

  /** Does what calls the producer's listeners. */
  #runInOwnContext(release: () => unknown): void {
    try {
      this.#queue.context.runInAsyncScope(release);
    } catch (thrown) {
      this.#stream.destroy(this.#queue.errors.handlerFailed("listener of 'drain'", thrown));
    }
  }
}
