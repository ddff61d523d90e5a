/** A time limit for what comes by I/O. */

import { LONGEST_DELAY_MS, type Clock, type TimerHandle } from '../clock.js';

/** Timers of a busy process come this late, and it means nothing. */
const PUNCTUAL_MS = 10;
/** The limit is looked at this often on the way, to see whether the process was held up. */
const LOOKS = 8;
const SHORTEST_SLICE_MS = 20;

/**
 * A time limit that takes no blocked event loop for a slow peer.
 *
 * Time during which the process could not look at its I/O does not count: it was blocked, stopped or asleep, which shows by a timer that
 * comes late. So that this is seen wherever in the limit it was, the limit is cut into slices of one timer each. If the process was held up
 * at the end, one more slice follows, for an answer that needs several round trips. Once the limit is over, the I/O that has arrived by then
 * is handled first.
 */
export class Deadline {
  readonly #clock: Clock;
  readonly #limitMs: number;
  readonly #isStrict: boolean;
  readonly #onExpired: () => void;
  /** Made with the first timer: many deadlines of short-lived streams are never set. */
  #onTimer: (() => void) | undefined;
  #timer: TimerHandle;
  /** As it was set, and as it was put off. */
  #at = Infinity;
  #dueAt = Infinity;
  #lookAt = Infinity;
  #hasHadMore = false;
  #turn = 0;

  /**
   * @param limitMs how long the limit is, from when it is set; 0 to `Infinity`
   * @param isStrict all time counts: only the I/O that has arrived comes first
   */
  constructor(clock: Clock, limitMs: number, onExpired: () => void, isStrict = false) {
    this.#clock = clock;
    this.#limitMs = limitMs;
    this.#isStrict = isStrict;
    this.#onExpired = onExpired;
  }

  /** From now on. */
  start(): void {
    const now = this.#clock.now();
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
    this.#lookAt = Math.min(this.#dueAt, now + this.#sliceMs);
    // Timers are whole milliseconds.
    this.#onTimer ??= () => this.#look();
    this.#timer = this.#clock.setTimeout(this.#onTimer, Math.ceil(Math.max(0, this.#lookAt - now)));
  }

  get #sliceMs(): number {
    return Math.min(LONGEST_DELAY_MS, Math.max(SHORTEST_SLICE_MS, this.#limitMs / LOOKS));
  }

  #look(): void {
    const now = this.#clock.now();
    const lateMs = now - this.#lookAt;
    if (lateMs > PUNCTUAL_MS && !this.#isStrict) {
      this.#dueAt += lateMs;
      if (now >= this.#dueAt && !this.#hasHadMore) {
        this.#hasHadMore = true;
        this.#dueAt = now + this.#sliceMs;
      }
    }
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
}
