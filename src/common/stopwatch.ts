import type { Clock } from './clock.js';

/** Adds up the time between `start` and `stop`. */
export class Stopwatch {
  readonly #clock: Clock;
  #since: number | undefined;
  #totalMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get isRunning(): boolean {
    return this.#since !== undefined;
  }

  get totalMs(): number {
    return this.#totalMs + (this.#since === undefined ? 0 : this.#clock.now() - this.#since);
  }

  start(): void {
    this.#since ??= this.#clock.now();
  }

  stop(): void {
    this.#totalMs = this.totalMs;
    this.#since = undefined;
  }
}
