import { AsyncResource } from 'node:async_hooks';
import type { Clock } from '../common/clock.js';
import { StageErrors } from '../api/errors.js';
import type { BackpressureState, DropReason } from '../api/states.js';
import {
  createAdmission,
  Sampling,
  type Admission,
  type AdmissionStore,
  type Outcome,
} from './drop-strategies.js';
import { admissionTime, FastAdmission } from './fast-admission.js';
import { ItemJudge, SHED } from './item-judge.js';
import { Ledger } from './ledger.js';
import { PressureState } from './pressure-state.js';
import type { ProducerMarks, QueueSettings } from './queue-settings.js';
import { RingBuffer } from './ring-buffer.js';
import { takeItems, type TakenItems } from './taken-items.js';

export interface QueueObserver<T> {
  onState(state: BackpressureState, previous: BackpressureState): void;
  onDrop(item: T, reason: DropReason): void;
  /** Whether `onDrop` would do anything now. */
  observesDrops(): boolean;
}

/**
 * The queue of every stream and controller: admits items, and releases their capacity when they settle.
 *
 *     countArrival ──> waiting ──admit──> queued ──takeBatch──> in flight ──settle──> flushed | failed
 *                         │                 │                       └── returnToInFlight: a reader puts an item back
 *                         │                 └──evicted──> dropped
 *                         └──shed, sampled, rejected, oversized──> dropped
 *
 * It alone changes the ledger and the state. Invariant 1: `admit` looks at queued + in flight, so capacity is free once an item settles, not
 * when it is taken. Invariant 2: each arrow moves one count of the ledger, and nothing else does. Invariant 6: the ring is first in, first out.
 */
export class AdmissionQueue<T> implements AdmissionStore<T> {
  readonly ledger = new Ledger();
  readonly errors = new StageErrors();
  /** The asynchronous context (AsyncLocalStorage) in which the stream or controller was made. Flushes, timers and events run in it. */
  readonly context = new AsyncResource('SPILLWAY');
  readonly settings: QueueSettings<T>;
  readonly marks: ProducerMarks;
  /** The reader needs more than the capacity holds before it releases any item: the next one is admitted. */
  isStarved = false;
  readonly sampling: Sampling;
  /** The fast path of `admit`. */
  readonly fastPath: FastAdmission<T>;
  readonly #judge: ItemJudge<T>;
  readonly #ring: RingBuffer<T>;
  readonly #observer: QueueObserver<T>;
  readonly #admission: Admission<T>;
  readonly #state: PressureState;
  readonly #clock: Clock;
  // Copies of what is needed for every item: V8 reads them faster than the settings, whose shape differs from stream to stream.
  readonly #capacity: number;
  readonly #capacityBytes: number;
  readonly #blocks: boolean;
  /** An item is admitted if there is room, whatever the strategy. */
  readonly #fillsUp: boolean;
  readonly asksUser: boolean;
  /** Items that left before or without a decision: they have no place in the sequence. */
  #outOfSequence = 0;

  constructor(settings: QueueSettings<T>, observer: QueueObserver<T>) {
    this.settings = settings;
    this.marks = settings.marks;
    this.#observer = observer;
    this.#ring = new RingBuffer<T>({
      times: true,
      bytes: settings.sizeOf !== undefined,
      weights: settings.strategy === 'sample',
    });
    this.#state = new PressureState(settings, (state, previous) => observer.onState(state, previous));
    this.sampling = new Sampling(settings);
    this.#admission = createAdmission<T>(settings);
    this.#capacity = settings.capacity;
    this.#capacityBytes = settings.capacityBytes;
    this.#blocks = settings.strategy === 'block';
    this.#fillsUp = settings.strategy !== 'sample';
    this.#clock = settings.clock;
    this.#judge = new ItemJudge(settings, this.errors);
    this.asksUser = this.#judge.asksUser;
    this.fastPath = new FastAdmission(settings, {
      ledger: this.ledger,
      ring: this.#ring,
      pressure: this.#state,
      sampling: this.sampling,
      observesDrops: () => observer.observesDrops(),
    });
  }

  get state(): BackpressureState {
    return this.#state.current;
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
    return this.#ring.itemAt(index);
  }

  /** When the oldest queued item was admitted. Only if one is queued. */
  get oldestTime(): number {
    return this.#ring.oldestTime();
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
    if (reason === 'rejected') this.rejectWaiting(item);
    else this.dropWaiting(item, reason);
  }

  /** Rejects an item that waits, without asking the strategy. */
  rejectWaiting(item: T): Outcome {
    if (this.settings.strategy === 'sample') this.sampling.unrepresented++;
    return this.dropWaiting(item, 'rejected');
  }

  /** How many offered items a dropped one stands for. Under `sample` a kept item stands for one that the strategy dropped. */
  weightOfDropped(reason: DropReason): number {
    if (this.settings.strategy !== 'sample') return 1;
    return reason === 'sampled' || reason === 'rejected' || reason === 'oversized' ? 0 : 1;
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
    return this.asksUser ? this.#judge.judge(item, this.#state.current) : 0;
  }

  /** Asks `sizeOf` alone. */
  measure(item: T): number {
    return this.#judge.measure(item);
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
    const bytes = this.#ring.bytesAt(0);
    ledger.queued--;
    ledger.inFlight++;
    ledger.queuedBytes -= bytes;
    ledger.inFlightBytes += bytes;
    return this.#ring.shift();
  }

  /** Takes the oldest item out, and counts it as flushed. */
  takeFlushed(): T {
    const { ledger } = this;
    this.fastPath.endCredit();
    ledger.queued--;
    ledger.queuedBytes -= this.#ring.bytesAt(0);
    ledger.flushed++;
    const item = this.#ring.shift();
    this.#updateState();
    return item;
  }

  /** How many of the oldest items make a batch of at most `maxItems` and `maxBytes`: at least one. */
  batchLength(maxItems: number, maxBytes: number): number {
    const most = Math.min(maxItems, this.ledger.queued);
    if (maxBytes >= this.ledger.queuedBytes) return most;
    let bytes = this.#ring.bytesAt(0);
    let length = 1;
    while (length < most && (bytes += this.#ring.bytesAt(length)) <= maxBytes) length++;
    return length;
  }

  /** How many of the `count` oldest items were admitted within `ms` of the first. */
  arrivedWithin(ms: number, count: number): number {
    return this.#ring.countUntil(this.#ring.oldestTime() + ms, count);
  }

  takeBatch(count: number): TakenItems<T> {
    const { ledger } = this;
    this.fastPath.endCredit();
    const taken = takeItems(this.#ring, this.head, count);
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
    this.#updateState();
  }

  /** Puts at most `count` flushed items back in flight. Returns how many. */
  returnToInFlight(count: number, bytes: number): number {
    const { ledger } = this;
    this.fastPath.endCredit();
    const taken = Math.min(count, ledger.flushed);
    ledger.flushed -= taken;
    ledger.inFlight += taken;
    if (taken > 0) ledger.inFlightBytes += bytes;
    this.#updateState();
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
    this.#state.setDraining(draining);
  }

  /** A copy. */
  queuedItems(): T[] {
    return this.#ring.toArray();
  }

  timeInStateMs(): Record<BackpressureState, number> {
    return this.#state.timesMs();
  }

  // ── AdmissionStore: what the strategies can see and do ──

  fits(bytes: number): boolean {
    const { ledger } = this;
    if (ledger.queued + ledger.inFlight >= this.#capacity) return false;
    const loadBytes = ledger.queuedBytes + ledger.inFlightBytes;
    // Larger than the whole budget: alone, or never.
    if (loadBytes + bytes <= this.#capacityBytes) return true;
    if (this.isStarved && bytes <= this.#capacityBytes) return true;
    return this.#blocks && (ledger.load === 0 || this.isStarved);
  }

  isOversized(bytes: number): boolean {
    return bytes > this.#capacityBytes;
  }

  fitsBesideInFlight(bytes: number): boolean {
    const { ledger } = this;
    return ledger.inFlight < this.#capacity && ledger.inFlightBytes + bytes <= this.#capacityBytes;
  }

  isPressed(): boolean {
    return this.#state.isPressed;
  }

  enqueue(item: T, bytes: number, weight: number): Outcome {
    const ledger = this.ledger;
    this.#push(item, bytes, weight);
    this.isStarved = false;
    ledger.waiting--;
    ledger.accepted++;
    ledger.queued++;
    ledger.queuedBytes += bytes;
    this.#updateState();
    return 'admitted';
  }

  evictOldest(): void {
    const { ledger } = this;
    const bytes = this.#ring.bytesAt(0);
    const item = this.#ring.shift();
    ledger.queued--;
    ledger.queuedBytes -= bytes;
    ledger.drops.evicted++;
    this.#observer.onDrop(item, 'evicted');
  }

  /** Drops an item that waits. */
  dropWaiting(item: T, reason: DropReason): Outcome {
    this.countDropped(1, reason);
    this.#observer.onDrop(item, reason);
    return 'dropped';
  }

  /** Counts items that wait as dropped, and notifies nobody. */
  countDropped(count: number, reason: DropReason): void {
    this.fastPath.endCredit();
    this.ledger.waiting -= count;
    this.ledger.drops[reason] += count;
  }

  #push(item: T, bytes: number, weight: number): void {
    this.#ring.push(item, admissionTime(this.#clock), bytes, weight);
  }

  #updateState(): void {
    const { ledger } = this;
    this.#state.update(ledger.queued + ledger.inFlight, ledger.queuedBytes + ledger.inFlightBytes);
  }
}
