import type { Clock } from '../common/clock.js';
import type { Sampling } from './drop-strategies.js';
import type { Ledger } from './ledger.js';
import type { PressureState } from './pressure-state.js';
import type { QueueSettings } from './queue-settings.js';
import type { RingBuffer } from './ring-buffer.js';

/** What happens to every item that the credit covers, or to the oldest item in its place. */
type CreditOutcome = 'queued' | 'evicted' | 'rejected' | 'sampled';

/** Small integers, which V8 keeps without a box. */
const MAX_ITEMS = 1e6;
const MAX_BYTES = 1e9;

/** The parts of an admission queue that its fast path works on. */
export interface FastAdmissionParts<T> {
  readonly ledger: Ledger;
  readonly ring: RingBuffer<T>;
  readonly pressure: PressureState;
  readonly sampling: Sampling;
  /** Whether anybody has to hear of a dropped item now. */
  readonly observer: { observesDrops(): boolean };
}

/**
 * The fast path of admission: decides on many items by one look ahead.
 *
 * *Admission credit* is a number of items, and of bytes, for which the outcome is already known and changes no state:
 *
 *     load < capacity                       queued     until the state rises, or the capacity is reached
 *     load = capacity, `drop_newest`        rejected   until load goes down
 *     load = capacity, `drop_oldest`        evicted    until an item leaves
 *     above NORMAL, `sample`                sampled    until the next item that is kept
 *
 * An item on credit costs two comparisons and its place in the ring. Any other change of the queue ends the credit, so what held
 * for the first item holds for all of them. Invariants 1 and 2 hold as on the slow path: a property test compares both item by item.
 */
export class FastAdmission<T> {
  #items = 0;
  #bytes = 0;
  #outcome: CreditOutcome = 'queued';
  readonly #ledger: Ledger;
  readonly #ring: RingBuffer<T>;
  readonly #pressure: PressureState;
  readonly #sampling: Sampling;
  readonly #observer: { observesDrops(): boolean };
  readonly #clock: Clock;
  readonly #capacity: number;
  readonly #capacityBytes: number;
  readonly #strategy: QueueSettings<T>['strategy'];
  readonly #isMeasured: boolean;
  /** Without one, no credit is ever granted: `shed` decides on each item by itself. */
  readonly isPossible: boolean;

  constructor(settings: QueueSettings<T>, parts: FastAdmissionParts<T>) {
    this.#ledger = parts.ledger;
    this.#ring = parts.ring;
    this.#pressure = parts.pressure;
    this.#sampling = parts.sampling;
    this.#observer = parts.observer;
    this.#clock = settings.clock;
    this.#capacity = settings.capacity;
    this.#capacityBytes = settings.capacityBytes;
    this.#strategy = settings.strategy;
    this.#isMeasured = settings.sizeOf !== undefined;
    this.isPossible = settings.shed === undefined && settings.capacity !== Infinity;
  }

  get hasCredit(): boolean {
    return this.#items > 0;
  }

  /** Grants credit for at most so many items and bytes; both may be negative. */
  grant(items: number, bytes: number): void {
    this.#items = 0;
    if (!this.isPossible) return;
    const sampling = this.#sampling;
    const { load, loadBytes, queued } = this.#ledger;
    if (this.#strategy === 'sample' && (sampling.isOpen || this.#pressure.isPressed)) {
      if (!this.#isMeasured && !this.#observer.observesDrops())
        this.#set('sampled', Math.min(items, sampling.skips), 0);
    } else if (load < this.#capacity) {
      // The next item has a weight of its own: a listener of the drop has made room.
      if (sampling.unrepresented > 0) return;
      this.#set(
        'queued',
        Math.min(items, this.#capacity - load, this.#pressure.itemsUntilRise(load)),
        this.#isMeasured
          ? Math.min(bytes, this.#capacityBytes - loadBytes, this.#pressure.bytesUntilRise(loadBytes))
          : 0,
      );
    } else if (this.#isMeasured || this.#observer.observesDrops()) {
      // Its size decides what becomes of an item for which there is no room; and somebody wants to hear of each that is dropped.
    } else if (this.#strategy === 'drop_newest') {
      this.#set('rejected', items, 0);
    } else if (this.#strategy === 'drop_oldest' && queued > 0) {
      this.#set('evicted', items, 0);
    }
  }

  #set(outcome: CreditOutcome, items: number, bytes: number): void {
    this.#outcome = outcome;
    this.#items = Math.min(items, MAX_ITEMS);
    this.#bytes = Math.min(bytes, MAX_BYTES);
  }

  endCredit(): void {
    this.#items = 0;
  }

  /** Counts and decides on an item that nobody is asked about. Returns `false`, and does nothing, if there is no credit. */
  tryOffer(item: T): boolean {
    if (this.#items <= 0) return false;
    let time;
    try {
      time = admissionTime(this.#clock);
    } catch {
      // The slow path reads the clock again, and reports that it failed.
      return false;
    }
    const ledger = this.#ledger;
    if (this.#outcome === 'queued') {
      this.#ring.push(item, time);
      this.#items--;
      ledger.accepted++;
      ledger.queued++;
    } else if (!this.#tryDrop(item, time)) return false;
    ledger.offered++;
    return true;
  }

  /** Decides on an item that has arrived and been measured. Returns `false` if the credit does not cover it. */
  tryAdmit(item: T, bytes: number): boolean {
    if (this.#items <= 0 || bytes > this.#bytes) return false;
    // First: the clock, which the user may give, may throw.
    const time = admissionTime(this.#clock);
    const ledger = this.#ledger;
    if (this.#outcome !== 'queued') {
      if (!this.#tryDrop(item, time)) return false;
      ledger.waiting--;
      return true;
    }
    this.#ring.push(item, time, bytes);
    this.#items--;
    this.#bytes -= bytes;
    ledger.waiting--;
    ledger.accepted++;
    ledger.queued++;
    ledger.queuedBytes += bytes;
    return true;
  }

  #tryDrop(item: T, time: number): boolean {
    if (this.#observer.observesDrops()) return false;
    const ledger = this.#ledger;
    if (this.#outcome === 'evicted') {
      ledger.drops.evicted++;
      this.#ring.shift();
      ledger.accepted++;
      this.#ring.push(item, time);
    } else if (this.#outcome === 'sampled') {
      ledger.drops.sampled++;
      this.#sampling.skipNext();
      this.#sampling.unrepresented++;
    } else {
      ledger.drops.rejected++;
    }
    this.#items--;
    return true;
  }
}

/** The time that an item keeps: that of the turn, if the clock has it, because a look at the clock costs as much as all the rest. */
export function admissionTime(clock: Clock): number {
  return clock.turnNow === undefined ? clock.now() : clock.turnNow();
}
