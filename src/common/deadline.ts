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
 * Time during which the process could not look at its I/O does not count: it was blocked, stopped or asleep, which shows by a timer that
 * comes late. So that this is seen wherever in the limit it was, a second timer watches, slice by slice. The first is set for the end at
 * once, because mocked timers that jump there do not run what is set on the way. If the process was held up at the end, one more slice
 * follows, for a response that needs several round trips. Once the limit is over, the I/O that has arrived by then is handled first.
 */
export class Deadline {
  readonly #clock: Clock;
  readonly #limitMs: number;
  readonly #isStrict: boolean;
  readonly #onExpired: () => void;
  #timer: TimerHandle;
  #watch: TimerHandle;
  /** As it was set, and as it was put off. */
  #at = Infinity;
  #dueAt = Infinity;
  /** When the timers are to fire. */
  #timerAt = Infinity;
  #watchAt = Infinity;
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
    this.#setWatch(now);
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
    this.#clearWatch();
  }

  #setTimer(now: number): void {
    this.#timerAt = this.#dueAt;
    const delayMs = Math.max(0, this.#dueAt - now);
    // Timers are whole milliseconds.
    this.#timer = this.#clock.setTimeout(() => this.#end(), Math.ceil(delayMs));
  }

  #setWatch(now: number): void {
    this.#watchAt = now + this.#sliceMs;
    const isWatched = !this.#isStrict && this.#clock.afterIO !== undefined;
    if (!isWatched || this.#watchAt >= this.#dueAt) {
      this.#watchAt = Infinity;
      return;
    }
    this.#watch = this.#clock.setTimeout(() => this.#look(), Math.ceil(this.#sliceMs));
  }

  #clearWatch(): void {
    if (this.#watchAt !== Infinity) this.#clock.clearTimeout(this.#watch);
    this.#watchAt = Infinity;
  }

  get #sliceMs(): number {
    return Math.min(LONGEST_DELAY_MS, Math.max(SHORTEST_SLICE_MS, this.#limitMs / LOOKS));
  }

  #look(): void {
    const now = this.#clock.now();
    this.#noteHeld(this.#watchAt, now);
    this.#setWatch(now);
  }

  /** A timer that was to fire at `at` fires now. Returns whether the process was held up until then. */
  #noteHeld(at: number, now: number): boolean {
    const lateMs = now - Math.max(at, this.#seenAt);
    this.#seenAt = now;
    const wasHeld = now - at > PUNCTUAL_MS;
    if (lateMs > PUNCTUAL_MS) this.#dueAt += lateMs;
    return wasHeld;
  }

  #end(): void {
    const now = this.#clock.now();
    if (!this.#isStrict && this.#noteHeld(this.#timerAt, now) && now >= this.#dueAt && !this.#hasHadMore) {
      this.#hasHadMore = true;
      this.#dueAt = now + this.#sliceMs;
    }
    if (now < this.#dueAt) return this.#setTimer(now);
    this.#clearWatch();
    const turn = ++this.#turn;
    const expire = () => {
      if (turn !== this.#turn) return;
      this.#at = Infinity;
      this.#onExpired();
    };
    if (this.#clock.afterIO === undefined) expire();
    else this.#clock.afterIO(expire);
  }
}
