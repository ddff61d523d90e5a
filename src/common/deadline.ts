/** A time limit for what comes by I/O. */

import { LONGEST_DELAY_MS, type Clock, type TimerHandle } from './clock.js';
import { HoldWatch } from './hold-watch.js';

/** The process is looked at this often on the way, to see whether it was held up. */
const LOOKS = 8;
const SHORTEST_SLICE_MS = 20;

/**
 * A time limit that takes no blocked event loop for a slow peer.
 *
 * Time during which the process could not look at its I/O does not count: it was blocked, stopped or asleep. A `HoldWatch` sees that wherever
 * in the limit it was. The deadline's own timer is set for the end at once, because mocked timers that jump there do not run what is set on
 * the way. If the process was held up at the end, one more slice follows, for a response that needs several round trips. Once the limit is
 * over, the I/O that has arrived by then is handled first.
 */
export class Deadline {
  readonly #clock: Clock;
  readonly #limitMs: number;
  /** Since it was set. */
  #watch!: HoldWatch;
  readonly #onExpired: () => void;
  #timer: TimerHandle;
  /** As it was set; `Infinity`: it is not. */
  #at = Infinity;
  /** When the timer is to fire. */
  #timerAt = Infinity;
  /** What the watch had counted when the deadline was set. */
  #heldBeforeMs = 0;
  /** The slice that follows where the process was held up at the end. */
  #moreMs = 0;
  #isShared = false;
  #turn = 0;

  /** @param limitMs how long the limit is, from when it is set; 0 to `Infinity` */
  constructor(clock: Clock, limitMs: number, onExpired: () => void) {
    this.#clock = clock;
    this.#limitMs = limitMs;
    this.#onExpired = onExpired;
  }

  /** From now on. */
  start(now = this.#clock.now()): void {
    this.#set(now + this.#limitMs, now);
  }

  /** Not before `at`, in place of when it was set for; `Infinity`: never. */
  set(at: number): void {
    if (at !== this.#at) this.#set(at, this.#clock.now());
  }

  #set(at: number, now: number): void {
    this.clear();
    if (at === Infinity) return;
    this.#at = at;
    this.#moreMs = 0;
    this.#beginWatch(now);
    this.#setTimer(at, now);
  }

  /** At the latest at `at`: where it is set for an earlier time, it stays so. */
  setBy(at: number): void {
    if (at < this.#at) this.set(at);
  }

  clear(): void {
    if (this.#at === Infinity) return;
    this.#at = Infinity;
    this.#turn++;
    this.#clock.clearTimeout(this.#timer);
    this.#endWatch();
  }

  #setTimer(at: number, now: number): void {
    this.#timerAt = at;
    const delayMs = Math.max(0, at - now);
    // Timers are whole milliseconds.
    this.#timer = this.#clock.setTimeout(() => this.#end(), Math.ceil(delayMs));
  }

  #beginWatch(now: number): void {
    const sliceMs = this.#sliceMs;
    // Otherwise what the timer itself is late by is all that can be seen.
    this.#isShared = this.#clock.afterIO !== undefined && now + sliceMs < this.#at;
    this.#watch = this.#isShared
      ? HoldWatch.enter(this.#clock, sliceMs, now)
      : new HoldWatch(this.#clock, sliceMs);
    this.#heldBeforeMs = this.#watch.heldMsAt(now);
  }

  #endWatch(): void {
    if (this.#isShared) this.#watch.leave();
    this.#isShared = false;
  }

  get #sliceMs(): number {
    return Math.min(LONGEST_DELAY_MS, Math.max(SHORTEST_SLICE_MS, this.#limitMs / LOOKS));
  }

  #end(): void {
    const now = this.#clock.now();
    const dueAt = this.#putOff(now);
    if (now < dueAt) return this.#setTimer(dueAt, now);
    this.#endWatch();
    const turn = ++this.#turn;
    const expire = () => {
      if (turn !== this.#turn) return;
      this.#at = Infinity;
      this.#onExpired();
    };
    if (this.#clock.afterIO === undefined) expire();
    else this.#clock.afterIO(expire);
  }

  /** The timer fires now. Returns when the limit is over, by the time that the process was held up. */
  #putOff(now: number): number {
    const watch = this.#watch;
    const wasHeld = watch.note(this.#timerAt, now);
    const dueAt = this.#at + Math.max(0, watch.heldMsAt(now) - this.#heldBeforeMs);
    if (wasHeld && now >= dueAt && this.#moreMs === 0) this.#moreMs = now - dueAt + this.#sliceMs;
    return dueAt + this.#moreMs;
  }
}
