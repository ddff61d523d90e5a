/** How long the process was held up: blocked, stopped or asleep, so that it could not look at its I/O. */

import { ownContext, type Clock } from './clock.js';

/** Timers of a busy process come this late, and it means nothing. */
const PUNCTUAL_MS = 10;

/** Those that are on, by clock and slice. */
const watches = new WeakMap<Clock, Map<number, HoldWatch>>();

/**
 * A timer that comes round each slice; what it is late by, the process was held up. Deadlines of one length share a watch: one of its own
 * would cost each of them a timer more.
 *
 *     made ──enter──> on ──timer, somebody is in──> on
 *                      └──timer, nobody is in──> gone
 *
 * Its timer does not hold the process.
 */
export class HoldWatch {
  readonly #clock: Clock;
  readonly #sliceMs: number;
  #heldMs = 0;
  /** Up to here, the time that the process was held up is counted. */
  #seenAt = -Infinity;
  /** When the timer is to fire; `Infinity`: there is none. */
  #timerAt = Infinity;
  #entered = 0;

  constructor(clock: Clock, sliceMs: number) {
    this.#clock = clock;
    this.#sliceMs = sliceMs;
  }

  /** Enters the watch of all deadlines that are looked at each `sliceMs`. `leave` it once. */
  static enter(clock: Clock, sliceMs: number, now: number): HoldWatch {
    let ofClock = watches.get(clock);
    if (ofClock === undefined) watches.set(clock, (ofClock = new Map<number, HoldWatch>()));
    let watch = ofClock.get(sliceMs);
    if (watch === undefined || watch.#isOverdue(now)) {
      ofClock.set(sliceMs, (watch = new HoldWatch(clock, sliceMs)));
      ownContext.runInAsyncScope(watch.#setTimer, watch, now);
    }
    watch.#entered++;
    return watch;
  }

  leave(): void {
    this.#entered--;
  }

  /** How long it was held up in all, by what is known now. Only the difference between two readings says something. */
  heldMsAt(now: number): number {
    return this.#heldMs + Math.max(0, now - Math.max(this.#timerAt, this.#seenAt));
  }

  /** A timer that was to fire at `at` fires now. Returns whether the process was held up until then. */
  note(at: number, now: number): boolean {
    const lateMs = now - Math.max(at, this.#seenAt);
    this.#seenAt = now;
    if (lateMs > PUNCTUAL_MS) this.#heldMs += lateMs;
    return now - at > PUNCTUAL_MS;
  }

  /** Its timer may never run: mocked timers go with their test. */
  #isOverdue(now: number): boolean {
    return now - this.#timerAt > this.#sliceMs;
  }

  #setTimer(now: number): void {
    this.#timerAt = now + this.#sliceMs;
    const timer = this.#clock.setTimeout(() => this.#look(), Math.ceil(this.#sliceMs));
    (timer as Partial<NodeJS.Timeout> | undefined)?.unref?.();
  }

  #look(): void {
    const now = this.#clock.now();
    this.note(this.#timerAt, now);
    this.#timerAt = Infinity;
    if (this.#entered > 0) this.#setTimer(now);
    else if (watches.get(this.#clock)!.get(this.#sliceMs) === this)
      watches.get(this.#clock)!.delete(this.#sliceMs);
  }
}
