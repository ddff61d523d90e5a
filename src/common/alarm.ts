import { LONGEST_DELAY_MS, type Clock, type TimerHandle } from './clock.js';

/** One timer, for a point in time that moves. */
export class Alarm {
  readonly #clock: Clock;
  readonly #onTime: () => void;
  #timer: TimerHandle;
  #at = Infinity;

  constructor(clock: Clock, onTime: () => void) {
    this.#clock = clock;
    this.#onTime = onTime;
  }

  /** Not before `at`, in place of when it was set for; `Infinity`: never. */
  set(at: number): void {
    if (at === this.#at) return;
    this.clear();
    if (at === Infinity) return;
    this.#at = at;
    // Timers are whole milliseconds; one beyond the longest delay, if only by the rounding, would fire at once.
    const delayMs = Math.ceil(Math.max(0, at - this.#clock.now()));
    this.#timer = this.#clock.setTimeout(
      () => {
        this.#at = Infinity;
        this.#onTime();
      },
      Math.min(LONGEST_DELAY_MS, delayMs),
    );
  }

  /** At the latest at `at`: where it is set for an earlier time, it stays so. */
  setBy(at: number): void {
    if (at < this.#at) this.set(at);
  }

  clear(): void {
    if (this.#at === Infinity) return;
    this.#clock.clearTimeout(this.#timer);
    this.#at = Infinity;
  }
}
