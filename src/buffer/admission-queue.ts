import type { BackpressureState, DropReason } from '../api/states.js';
import { BufferedItems, type QueueObserver } from './buffered-items.js';
import { createAdmission, type Admission, type Outcome } from './drop-strategies.js';
import { ItemJudge, SHED } from './item-judge.js';
import type { ProducerMarks, QueueSettings } from './queue-settings.js';
import { takeItems, type TakenItems } from './ring-buffer.js';

/**
 * The queue of every stream and controller: admits items, and releases their capacity when they settle.
 *
 *     countArrival ──> waiting ──admit──> queued ──takeBatch──> in flight ──settle──> flushed | failed
 *                         │                 │                       └── returnToInFlight: a reader puts an item back
 *                         │                 ├──takeFlushed──> flushed: a reader takes it at once
 *                         │                 └──evicted──> dropped
 *                         └──shed, sampled, rejected, oversized, timeout, overflow, aborted──> dropped
 *
 * It and its fast path alone move items along these arrows, each of which moves one count of the ledger (invariant 2). Invariant 1: capacity
 * is free once an item settles, not when it is taken. Invariant 6: the ring is first in, first out.
 */
export class AdmissionQueue<T> extends BufferedItems<T> {
  readonly marks: ProducerMarks;
  /** Whether there is anything to ask the user about an item. */
  readonly asksUser: boolean;
  readonly #judge: ItemJudge<T> | undefined;
  readonly #admission: Admission<T>;
  /** Whether the strategy admits every item for which there is room: all do but `sample`. */
  readonly #fillsUp: boolean;
  /** Items that left before or without a decision: they have no place in the sequence. */
  #outOfSequence = 0;

  constructor(settings: QueueSettings<T>, observer: QueueObserver<T>) {
    super(settings, observer);
    this.marks = settings.marks;
    this.#admission = createAdmission<T>(settings);
    this.#fillsUp = settings.strategy !== 'sample';
    this.asksUser = settings.shed !== undefined || settings.sizeOf !== undefined;
    this.#judge = this.asksUser ? new ItemJudge(settings, this.errors) : undefined;
  }

  /** Under `sample`: offered items for which no kept item stands. */
  get unrepresented(): number {
    return this.sampling.unrepresented;
  }

  /** The fuller of items and bytes, 0 to 1 (above 1 only while an item larger than the byte budget is in, alone). */
  get utilization(): number {
    const { capacity, capacityBytes } = this.settings;
    return Math.max(this.ledger.load / capacity, this.ledger.loadBytes / capacityBytes);
  }

  /** Ordinal of the oldest queued item, or of the next one if none is queued. */
  get head(): number {
    return this.ledger.accepted - this.ledger.queued;
  }

  /** The queued item at `index`, counted from the oldest one. Only if there is one. */
  itemAt(index: number): T {
    return this.ring.itemAt(index);
  }

  /** When the oldest queued item was admitted. Only if one is queued. */
  get oldestTime(): number {
    return this.ring.oldestTime();
  }

  /** Counts an item that a producer offers; it waits until `admit` decides on it. */
  countArrival(): void {
    this.ledger.offered++;
    this.ledger.waiting++;
  }

  /** Takes `countArrival` back: the item is not offered after all, or is offered again later. */
  retractArrival(): void {
    this.ledger.offered--;
    this.ledger.waiting--;
  }

  /** Forgets items that wait: a method of a subclass has left them out. */
  skipWaiting(count: number): void {
    this.fastPath.endCredit();
    this.ledger.offered -= count;
    this.ledger.waiting -= count;
    this.#outOfSequence -= count;
  }

  /** Counts an item and drops it at once, ahead of those that wait. */
  dropOnArrival(item: T, reason: DropReason): void {
    this.countArrival();
    this.#outOfSequence++;
    this.dropWaiting(item, reason);
  }

  /** How many items have arrived; the sequence number of the last one. */
  get arrivedSeq(): number {
    return this.ledger.offered - this.#outOfSequence;
  }

  /** How many of them have been decided on: admitted or dropped, in the order in which they came. */
  get decidedSeq(): number {
    return this.arrivedSeq - this.ledger.waiting;
  }

  /** Asks `shed` and `sizeOf` about an item, once. Returns its bytes, or `SHED`; throws what they throw. */
  judge(item: T): number {
    return this.#judge === undefined ? 0 : this.#judge.judge(item, this.pressure.current);
  }

  /** Asks `sizeOf` alone. */
  measure(item: T): number {
    return this.#judge === undefined ? 0 : this.#judge.measure(item);
  }

  /** Decides on an item that has arrived; `bytes` is what `judge` returned. */
  admit(item: T, bytes: number): Outcome {
    this.fastPath.endCredit();
    if (bytes === SHED) return this.dropWaiting(item, 'shed');
    // If there is room, most strategies do the same: one call less for each item.
    if (this.#fillsUp && this.fits(bytes)) return this.enqueue(item, bytes, 1);
    return this.#admission(this, item, bytes);
  }

  /** True at or above the pause threshold: a producer under `block` is to wait. */
  get mustPause(): boolean {
    const { ledger, marks } = this;
    if (this.isStarved) return false;
    return (
      ledger.queued + ledger.inFlight >= marks.pauseAt ||
      ledger.queuedBytes + ledger.inFlightBytes >= marks.pauseAtBytes
    );
  }

  /** True at or below the resume threshold. */
  get mayResume(): boolean {
    const { ledger, marks } = this;
    return this.isStarved || (ledger.load <= marks.resumeAt && ledger.loadBytes <= marks.resumeAtBytes);
  }

  /** Takes the oldest item out; the caller settles it. */
  takeOne(): T {
    const { ledger } = this;
    this.fastPath.endCredit();
    const bytes = this.ring.bytesAt(0);
    ledger.queued--;
    ledger.inFlight++;
    ledger.queuedBytes -= bytes;
    ledger.inFlightBytes += bytes;
    return this.ring.shift();
  }

  /** Takes the oldest item out, and counts it as flushed. */
  takeFlushed(): T {
    const { ledger } = this;
    this.fastPath.endCredit();
    ledger.queued--;
    ledger.queuedBytes -= this.ring.bytesAt(0);
    ledger.flushed++;
    const item = this.ring.shift();
    this.updateState();
    return item;
  }

  /** How many of the oldest items make a batch of at most `maxItems` and `maxBytes`: at least one. */
  batchLength(maxItems: number, maxBytes: number): number {
    const most = Math.min(maxItems, this.ledger.queued);
    if (maxBytes >= this.ledger.queuedBytes) return most;
    let bytes = this.ring.bytesAt(0);
    let length = 1;
    while (length < most && (bytes += this.ring.bytesAt(length)) <= maxBytes) length++;
    return length;
  }

  /** How many of the `count` oldest items were admitted within `ms` of the first. */
  arrivedWithin(ms: number, count: number): number {
    return this.ring.countUntil(this.ring.oldestTime() + ms, count);
  }

  takeBatch(count: number): TakenItems<T> {
    const { ledger } = this;
    this.fastPath.endCredit();
    const taken = takeItems(this.ring, this.head, count);
    ledger.queued -= count;
    ledger.inFlight += count;
    ledger.queuedBytes -= taken.bytes;
    ledger.inFlightBytes += taken.bytes;
    return taken;
  }

  /** Items in flight have settled: their capacity is free. */
  settle(flushed: number, failed: number, bytes: number): void {
    const { ledger } = this;
    this.fastPath.endCredit();
    ledger.inFlight -= flushed + failed;
    ledger.inFlightBytes -= bytes;
    ledger.flushed += flushed;
    ledger.failed += failed;
    this.updateState();
  }

  /** Puts at most `count` flushed items back in flight. Returns how many. */
  returnToInFlight(count: number, bytes: number): number {
    const { ledger } = this;
    this.fastPath.endCredit();
    const taken = Math.min(count, ledger.flushed);
    ledger.flushed -= taken;
    ledger.inFlight += taken;
    if (taken > 0) ledger.inFlightBytes += bytes;
    this.updateState();
    return taken;
  }

  /** Settles everything queued as failed, and returns it. */
  failQueued(): TakenItems<T> {
    const taken = this.takeBatch(this.ledger.queued);
    this.ledger.returned += taken.items.length;
    this.settle(0, taken.items.length, taken.bytes);
    return taken;
  }

  /** DRAINING is laid over the level, or lifted again. */
  setDraining(draining: boolean): void {
    this.pressure.setDraining(draining);
  }

  /** A copy. */
  queuedItems(): T[] {
    return this.ring.toArray();
  }

  timeInStateMs(): Record<BackpressureState, number> {
    return this.pressure.timesMs();
  }
}
