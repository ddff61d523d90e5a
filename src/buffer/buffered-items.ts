import { AsyncResource } from 'node:async_hooks';
import { StageErrors } from '../api/errors.js';
import type { BackpressureState, DropReason } from '../api/states.js';
import type { Clock } from '../common/clock.js';
import { Sampling, type AdmissionStore, type Outcome } from './drop-strategies.js';
import { admissionTime, FastAdmission } from './fast-admission.js';
import { Ledger } from './ledger.js';
import { PressureState, type StateObserver } from './pressure-state.js';
import type { QueueSettings } from './queue-settings.js';
import { RingBuffer } from './ring-buffer.js';

export interface QueueObserver<T> extends StateObserver {
  onDrop(item: T, reason: DropReason): void;
  /** Whether `onDrop` would do anything now. */
  observesDrops(): boolean;
}

/**
 * The items of a queue with their counts and state: what the strategies can see and do.
 *
 * Each method moves one count of the ledger (invariant 2). `fits` looks at queued + in flight, so capacity is free once an item settles, not
 * when it is taken (invariant 1).
 */
export class BufferedItems<T> implements AdmissionStore<T> {
  readonly ledger = new Ledger();
  readonly errors = new StageErrors();
  /** The asynchronous context (AsyncLocalStorage) in which the stream or controller was made. Flushes, timers and events run in it. */
  readonly context = new AsyncResource('SPILLWAY');
  readonly settings: QueueSettings<T>;
  readonly sampling: Sampling;
  /** The reader needs more than the capacity holds before it releases any item: the next one is admitted. */
  isStarved = false;
  /** The fast path of `admit`. */
  readonly fastPath: FastAdmission<T>;
  protected readonly ring: RingBuffer<T>;
  protected readonly pressure: PressureState;
  readonly #observer: QueueObserver<T>;
  readonly #clock: Clock;
  // Copies of what is needed for every item: V8 reads them faster than the settings, whose shape differs from stream to stream.
  readonly #capacity: number;
  readonly #capacityBytes: number;
  readonly #blocks: boolean;

  constructor(settings: QueueSettings<T>, observer: QueueObserver<T>) {
    this.settings = settings;
    this.sampling = new Sampling(settings);
    this.ring = new RingBuffer<T>({
      times: true,
      bytes: settings.sizeOf !== undefined,
      weights: settings.strategy === 'sample',
    });
    this.pressure = new PressureState(settings, observer);
    this.#observer = observer;
    this.#clock = settings.clock;
    this.#capacity = settings.capacity;
    this.#capacityBytes = settings.capacityBytes;
    this.#blocks = settings.strategy === 'block';
    const { ledger, ring, pressure, sampling } = this;
    this.fastPath = new FastAdmission(settings, { ledger, ring, pressure, sampling, observer });
  }

  get state(): BackpressureState {
    return this.pressure.current;
  }

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
    return this.pressure.isPressed;
  }

  enqueue(item: T, bytes: number, weight: number): Outcome {
    const ledger = this.ledger;
    this.ring.push(item, admissionTime(this.#clock), bytes, weight);
    this.isStarved = false;
    ledger.waiting--;
    ledger.accepted++;
    ledger.queued++;
    ledger.queuedBytes += bytes;
    this.updateState();
    return 'admitted';
  }

  evictOldest(): void {
    const { ledger } = this;
    const bytes = this.ring.bytesAt(0);
    const item = this.ring.shift();
    ledger.queued--;
    ledger.queuedBytes -= bytes;
    ledger.drops.evicted++;
    this.#observer.onDrop(item, 'evicted');
  }

  /** Returns how many offered items a dropped one stands for. Under `sample` a kept item stands for one that the strategy dropped. */
  weightOfDropped(reason: DropReason): number {
    if (this.settings.strategy !== 'sample') return 1;
    return reason === 'sampled' || reason === 'rejected' || reason === 'oversized' ? 0 : 1;
  }

  /** Drops an item that waits. */
  dropWaiting(item: T, reason: DropReason): Outcome {
    if (this.weightOfDropped(reason) === 0) this.sampling.unrepresented++;
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

  protected updateState(): void {
    const { ledger } = this;
    this.pressure.update(ledger.queued + ledger.inFlight, ledger.queuedBytes + ledger.inFlightBytes);
  }
}
