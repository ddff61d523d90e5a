import type { Writable } from 'node:stream';
import type { AdmissionQueue } from '../../buffer/admission-queue.js';
import type { Outcome } from '../../buffer/drop-strategies.js';
import type { Ledger } from '../../buffer/ledger.js';
import type { ResolvedBuffer } from '../../settings/resolve-buffer.js';
import { nativeWritableLength, promiseDrain } from '../node/native-length.js';
import { DrainBarrier } from './drain-barrier.js';
import { FastWrites } from './fast-writes.js';
import { HeldCallback } from './held-callback.js';
import { OfferedWrites } from './offered-writes.js';
import { OverflowGuard } from './overflow-guard.js';
import type { WriteCallback } from './write-callbacks.js';
import type { WriteTarget } from './write-target.js';
import { YieldSchedule } from './yield-schedule.js';

/** The chunk that `_write` has, until it is admitted or dropped. */
interface Undecided<T> {
  readonly chunk: T;
  /** What `judge` returned, if it was asked. */
  bytes: number | undefined;
  /** While `_write` runs. After that the callback is held. */
  callback: WriteCallback | undefined;
}

/**
 * The writable side of both streams: decides how a chunk goes in, and whether the producer must wait.
 *
 *     write() ──fast path: nothing waits──────────────────────────> admitted or dropped
 *        └──────slow path──> Node's queue ──_write──> judged ──> admitted ──below the pause threshold──> callback
 *                                                       │           └──────at or above it──> held ──room──> callback
 *                                                       └──> no room: undecided, and held ──room──> admitted
 *
 * Under `block` it makes the producer wait by holding the callback of `_write`. Node then queues further writes and returns `false`. It emits
 * `'drain'` once the callback has been called and its queue is empty. Invariants 1, 4 and 11 depend on it.
 */
export class WriteSide<T> {
  readonly fast: FastWrites<T>;
  readonly #stream: Writable;
  readonly #target: WriteTarget<T>;
  readonly #settings: ResolvedBuffer<T>;
  readonly #blocks: boolean;
  readonly #objectMode: boolean;
  readonly #queue: AdmissionQueue<T>;
  readonly #ledger: Ledger;
  readonly #offers: OfferedWrites<T>;
  readonly #held: HeldCallback<T>;
  readonly #yields: YieldSchedule;
  readonly #overflow: OverflowGuard;
  readonly #barrier = new DrainBarrier();
  #open = true;
  #undecided: Undecided<T> | undefined;
  /** Length of the chunk that `_write` was called with last. */
  #chunkLength = 0;
  /** `shed` or `sizeOf` is being asked about the undecided chunk. */
  #isAsking = false;
  /** `write()` has returned `false`, and Node does not know of it. */
  #owesDrain = false;

  /** @param base the prototype of the class that is ours */
  constructor(stream: Writable, target: WriteTarget<T>, settings: ResolvedBuffer<T>, base: Writable) {
    this.#stream = stream;
    this.#target = target;
    this.#settings = settings;
    this.#blocks = settings.strategy === 'block';
    this.#objectMode = settings.objectMode;
    this.#queue = target.queue;
    this.#ledger = target.queue.ledger;
    this.#overflow = new OverflowGuard(stream, target.queue.errors, settings);
    this.#offers = new OfferedWrites(stream, target, base, settings.objectMode);
    this.#held = new HeldCallback(stream, target.queue, settings, () => this.#isDrainReached());
    this.#yields = new YieldSchedule(settings.marks.yieldEvery, this.#ledger, () => {
      // As in Node: none after the end.
      if (!this.#open) return;
      this.#overflow.countWoken();
      this.#held.runInOwnContext(() => stream.emit('drain'));
    });
    const { isSubclass } = this.#offers;
    this.fast = new FastWrites(stream, target, settings, this.#yields, isSubclass);
  }

  // ── what the producer sees ──

  get isHeld(): boolean {
    return this.#held.isHeld;
  }

  /** Cooperative yield: there is room, but the producer is to wait for 'drain'. */
  get isYielding(): boolean {
    return this.#yields.isYielding;
  }

  /** `write()` has returned `false`, and 'drain' will come, but not from Node. */
  get owesDrain(): boolean {
    return this.#open && (this.#owesDrain || this.#yields.isYielding);
  }

  /** Everything that was written and has not settled: items, or bytes in byte mode. */
  get length(): number {
    const { ledger } = this.#queue;
    return this.#objectMode ? ledger.load + ledger.waiting : ledger.loadBytes + this.#waitingLength;
  }

  get #waitingLength(): number {
    if (this.#objectMode) return this.#ledger.waiting;
    const native = nativeWritableLength(this.#stream);
    const isAdmitted = this.#held.isBeforeNode && this.#undecided === undefined;
    // Empty chunks have no length for Node, but take memory all the same.
    return Math.max(isAdmitted ? native - this.#chunkLength : native, this.#ledger.waiting);
  }

  /** What `write()` returns, if Node's own has returned `mayGoOn`. */
  writeResult(mayGoOn: boolean): boolean {
    if (this.#held.isHeld) {
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

  /** A dropping strategy never asks to wait; but what `_construct` or `_write` of a subclass puts off would pile up before it. */
  #isBehind(): boolean {
    if (this.#blocks || this.#ledger.waiting === 0 || !this.#offers.isOverridden) return false;
    if (this.#waitingLength < this.#settings.marks.highWaterMark) return false;
    promiseDrain(this.#stream);
    return true;
  }

  /** After a `write` that returned `false`. */
  #checkOverflow(): void {
    // The undecided chunk was written while the producer might go on.
    const undecided = this.#undecided === undefined ? 0 : 1;
    this.#overflow.check(
      this.#ledger.waiting - undecided,
      this.#waitingLength - undecided * this.#chunkLength,
    );
  }

  // ── slow path: from `write` or `end` through Node's queue to `_write` ──

  /** Counts a chunk that is given to Node. Returns `undefined` if Node will refuse it. */
  offer(chunk: unknown): OfferedWrites<T> | undefined {
    const judged = this.fast.takeJudged();
    if (!this.#open || chunk === null) return undefined;
    this.#queue.fastPath.endCredit();
    this.#offers.add(judged);
    return this.#offers;
  }

  /** No more chunks are offered: `end` was called, or the stream is destroyed. */
  endOffers(): void {
    this.#open = false;
    this.fast.close();
  }

  skipLeftOut(): void {
    this.#offers.skipLeftOut();
  }

  /** `_write`. */
  writeSlowPath(chunk: T, callback: WriteCallback): void {
    const bytes = this.#offers.next();
    const { offered } = this.#ledger;
    this.#chunkLength = this.#lengthOf(chunk);
    if (this.#isDrainReached()) {
      // It was written after the drain began.
      if (this.#blocks) return this.#hold({ chunk, bytes, callback: undefined }, callback);
      this.#queue.dropWaiting(chunk, 'rejected');
      return callback();
    }
    this.#undecided = { chunk, bytes, callback };
    const outcome = this.#decide(this.#undecided);
    if (outcome === undefined) return;
    // A listener may have destroyed the stream: then nobody would let go of the callback.
    const mayWait = this.#blocks && !this.#stream.destroyed;
    if (outcome === 'full' || (mayWait && (this.#queue.mustPause || this.#isDrainReached())))
      this.#hold(this.#undecided, callback);
    else if (this.#ledger.offered === offered) callback();
    else {
      // Within it the user has written more: Node would call the callbacks of that first.
      this.#held.callOnTick(callback, null);
    }
  }

  /**
   * Asks about the undecided chunk, unless that was done, and admits it. Returns `undefined` if the stream was destroyed before a decision:
   * `close` has returned the chunk.
   */
  #decide(undecided: Undecided<T>): Outcome | undefined {
    const { chunk } = undecided;
    try {
      const bytes = undecided.bytes ?? this.#ask(chunk);
      if (this.#stream.destroyed) return undefined;
      // A listener may destroy the stream while the chunk is admitted: `close` must not find it here as well.
      this.#undecided = undefined;
      const outcome = this.#target.admit(chunk, bytes);
      if (outcome === 'full') this.#undecided = { chunk, bytes, callback: undefined };
      return outcome;
    } catch (thrown) {
      // By `shed`, `sizeOf`, `random` or the clock. Not through the callback: Node would throw away what it has queued before `close` is
      // asked for it.
      this.#undecided = undecided;
      this.#stream.destroy(this.#queue.errors.handlerFailed('admission', thrown));
      return undefined;
    }
  }

  /** Returns what the user says of a chunk, in the context of its write. */
  #ask(chunk: T): number {
    if (!this.#queue.asksUser) return 0;
    this.#isAsking = true;
    try {
      return this.#offers.run(() => this.#queue.judge(chunk));
    } finally {
      this.#isAsking = false;
    }
  }

  #lengthOf(chunk: T): number {
    return this.#objectMode ? 1 : (chunk as Uint8Array).byteLength;
  }

  // ── how a producer waits ──

  #hold(undecided: Undecided<T> | undefined, callback: WriteCallback): void {
    this.#undecided = undecided;
    this.#held.hold(callback);
    this.fast.close();
    // It has gone on all the same: Node emits 'drain' when there is room.
    this.#yields.cancelYield();
    this.#target.setHeld(true);
  }

  /** Load has gone down, or a drain is over. */
  onRoom(): void {
    // Asked about the undecided chunk, the user may make room: it is admitted after that.
    if (!this.#held.isHeld || this.#isAsking || this.#isDrainReached()) return;
    if (this.#undecided === undefined) {
      if (this.#queue.mayResume) this.#release();
      return;
    }
    const outcome = this.#decide(this.#undecided);
    if (outcome === undefined || outcome === 'full') return;
    if (!this.#queue.mustPause && !this.#isDrainReached()) this.#release();
  }

  #release(error: Error | null = null): void {
    if (!this.#held.isHeld) return;
    const callback = this.#held.take();
    this.#reopenFast();
    this.#target.setHeld(false);
    this.#overflow.countWoken();
    if (this.#owesDrain) promiseDrain(this.#stream);
    this.#owesDrain = false;
    this.#held.call(callback, error);
  }

  /** The fast path is closed while a producer is held, during a drain and after the end, so that it need not ask about them. */
  #reopenFast(): void {
    if (this.#open && !this.#held.isHeld && !this.#barrier.isDraining) this.fast.reopen();
  }

  // ── drains ──

  /** All that the first of the drains under way is to settle has been decided on: whatever comes now came after it began. */
  #isDrainReached(): boolean {
    return this.#barrier.isReached(this.#queue.decidedSeq);
  }

  /**
   * Begins a drain. Returns its mark, for `endDrain`: the number of items that have arrived so far. Those are admitted as before. Later ones
   * wait until the drain is over, and so does a producer once the last of the earlier ones is admitted.
   */
  beginDrain(): number {
    const mark = this.#queue.arrivedSeq;
    this.#barrier.begin(mark);
    this.fast.close();
    return mark;
  }

  endDrain(mark: number): void {
    this.#barrier.end(mark);
    this.#reopenFast();
    this.onRoom();
    this.#held.startDeadline();
  }

  /** Begins a drain of what has arrived since another one began, if there was one, and ends that. */
  renewDrain(previous: number | undefined): number {
    const mark = this.beginDrain();
    if (previous !== undefined) this.endDrain(previous);
    return mark;
  }

  // ── the end ──

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

  /** Copies of the items that wait, in order; of those only the ones that had arrived at `mark`. */
  waitingItems(mark = Infinity): T[] {
    if (this.#ledger.waiting === 0) return [];
    // Node leaves holes behind while it works the queue off.
    const { writableBuffer } = this.#stream as Writable & { writableBuffer?: ({ chunk: T } | null)[] };
    const waiting: T[] = [];
    if (this.#undecided !== undefined) waiting.push(this.#undecided.chunk);
    // A loop: there may be as many as the buffer has room for.
    for (const write of writableBuffer ?? []) if (write !== null) waiting.push(write.chunk);
    const count = mark - this.#queue.decidedSeq;
    return count < waiting.length ? waiting.slice(0, Math.max(0, count)) : waiting;
  }

  /** The stream is destroyed. Returns the chunks that were never admitted. */
  close(reason: Error | null): T[] {
    this.endOffers();
    const waiting = this.waitingItems();
    const undecided = this.#undecided;
    this.#undecided = undefined;
    // Node calls the callbacks of the other writes only once this one has been called.
    this.#release(undecided === undefined ? null : reason);
    // Within `_write`: what has been written meanwhile comes after it.
    if (undecided?.callback !== undefined) process.nextTick(undecided.callback, reason);
    return waiting;
  }
}
