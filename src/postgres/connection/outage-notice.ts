/**
 * Warns once if a pool gives no connection for a while: a sink waits for a server that may still start, and a wrong host or port looks the
 * same. The warning is not repeated while the outage lasts, nor for other sinks of the pool.
 */

import { systemClock, type Clock, type TimerHandle } from '../../common/clock.js';
import { firstOf, messageOf } from '../../common/thrown.js';
import type { CopyPool } from '../protocol/pool.js';
import { AbortFault } from './answer-deadline.js';
import { classify } from '../errors/sqlstate.js';
import { redact } from '../errors/redact.js';

const WARN_AFTER_MS = 5_000;
/** The same message for another pool is not repeated within this time. */
const REPEAT_AFTER_MS = 60_000;

const OUTAGE_WARNING = 'SPILLWAY_NO_CONNECTION';

type Warn = (message: string) => void;

const notices = new WeakMap<object, OutageNotice>();
const lastWarning = { message: '', at: -Infinity };

export class OutageNotice {
  readonly #pool: object;
  readonly #clock: Clock;
  readonly #warn: Warn;
  #waiting = 0;
  #timer: TimerHandle;
  #isOut = false;
  #error: Error | undefined;

  constructor(pool: object, clock: Clock = systemClock, warn: Warn = emitWarning) {
    this.#pool = pool;
    this.#clock = clock;
    this.#warn = warn;
  }

  /** From now on the pool is watched. */
  static watch(pool: CopyPool): void {
    if (!notices.has(pool)) notices.set(pool, new OutageNotice(pool));
  }

  /** Returns `undefined` for a pool that is not watched. */
  static of(pool: object): OutageNotice | undefined {
    return notices.get(pool);
  }

  /** Watches one request for a connection. */
  async during<T>(connecting: Promise<T>): Promise<T> {
    this.#begin();
    try {
      const client = await connecting;
      this.#end();
      return client;
    } catch (error) {
      this.#waiting -= 1;
      if (error instanceof AbortFault) {
        // Nobody wants a connection any more.
        if (this.#waiting === 0 && this.#error === undefined) this.#clear();
      } else if (classify(error as Error) === 'transport') this.#error = error as Error;
      // Any other error ends the sink, which reports it.
      else this.#clear();
      throw error;
    }
  }

  #begin(): void {
    this.#waiting += 1;
    if (this.#isOut) return;
    this.#isOut = true;
    this.#timer = this.#clock.setTimeout(() => this.#report(), WARN_AFTER_MS);
    (this.#timer as { unref?: () => void } | undefined)?.unref?.();
  }

  #end(): void {
    this.#waiting -= 1;
    this.#clear();
  }

  #clear(): void {
    this.#clock.clearTimeout(this.#timer);
    this.#isOut = false;
    this.#error = undefined;
  }

  #report(): void {
    const reason =
      this.#error === undefined ? 'the pool has not answered yet' : messageOf(firstOf(this.#error));
    const message = redact(
      `no connection to PostgreSQL for ${WARN_AFTER_MS / 1000} s: ${reason}`,
      this.#pool,
    );
    const now = this.#clock.now();
    if (lastWarning.message === message && now - lastWarning.at < REPEAT_AFTER_MS) return;
    Object.assign(lastWarning, { message, at: now });
    this.#warn(message);
  }
}

function emitWarning(message: string): void {
  process.emitWarning(message, { type: 'SpillwayWarning', code: OUTAGE_WARNING });
}
