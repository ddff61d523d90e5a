/** A time limit for what comes by I/O. */

import { LONGEST_DELAY_MS, type Clock, type TimerHandle } from './clock.js';

/** Timers of a busy process come this late, and it means nothing. */
const PUNCTUAL_MS = 10;
/** The limit is looked at this often on the way, to see whether the process was held up. */
const LOOKS = 8;
const SHORTEST_SLICE_MS = 20;

/**
 * A time limit that takes no blocked event loop for a slow peer.
 *
 *     set ────slice────slice────slice────┤ due
 *             look     look     look     end      one timer, for the next of these
 *
 * Time during which the process could not look at its I/O does not count: it was blocked, stopped or asleep, which shows by a timer that
 * comes late. So that this is seen wherever in the limit it was, the timer fires for each slice. If the process was held up at the end, one
 * more slice follows, for a response that needs several round trips. Once the limit is over, the I/O that has arrived by then is handled
 * first.
 */
export class Deadline {
  readonly #clock: Clock;
  readonly #limitMs: number;
  readonly #isStrict: boolean;
  readonly #onExpired: () => void;
  #timer: TimerHandle;
  /** As it was set, and as it was put off. */
  #at = Infinity;
  #dueAt = Infinity;
  /** When the timer is to fire. */
  #timerAt = Infinity;
  /** Up to here, the time that the process was held up is known. */
  #seenAt = -Infinity;
  #hasHadMore = false;
  #turn = 0;

  /**
   * @param limitMs how long the limit is, from when it is set; 0 to `Infinity`
   * @param isStrict all time counts: only the I/O that has arrived comes first
   */
  constructor(clock: Clock, limitMs: number, onExpired: () => void, isStrict = false) {
    this.#clock = clock;
    this.#limitMs = limitMs;
    this.#onExpired = onExpired;
    this.#isStrict = isStrict;
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
    this.#at = this.#dueAt = at;
    this.#seenAt = now;
    this.#hasHadMore = false;
    this.#setTimer(now);
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
  }

  #setTimer(now: number): void {
    const isWatched = !this.#isStrict && this.#clock.afterIO !== undefined;
    this.#timerAt = isWatched ? Math.min(this.#dueAt, now + this.#sliceMs) : this.#dueAt;
    // Timers are whole milliseconds.
    this.#timer = this.#clock.setTimeout(() => this.#onTimer(), Math.ceil(Math.max(0, this.#timerAt - now)));
  }

  get #sliceMs(): number {
    return Math.min(LONGEST_DELAY_MS, Math.max(SHORTEST_SLICE_MS, this.#limitMs / LOOKS));
  }

  #onTimer(): void {
    const now = this.#clock.now();
    if (!this.#isStrict && now - this.#timerAt > PUNCTUAL_MS) this.#onHeld(now);
    this.#seenAt = now;
    if (now < this.#dueAt) return this.#setTimer(now);
    const turn = ++this.#turn;
    const expire = () => {
      if (turn !== this.#turn) return;
      this.#at = Infinity;
      this.#onExpired();
    };
    if (this.#clock.afterIO === undefined) expire();
    else this.#clock.afterIO(expire);
  }

  /** The timer comes late: the process was held up. */
  #onHeld(now: number): void {
    const lateMs = now - Math.max(this.#timerAt, this.#seenAt);
    if (lateMs > PUNCTUAL_MS) this.#dueAt += lateMs;
    if (now < this.#dueAt || this.#hasHadMore) return;
    this.#hasHadMore = true;
    this.#dueAt = now + this.#sliceMs;
  }
}
