/**
 * Decides how many rows a statement may hold, so that it stays within the time limits of the server.
 *
 *     a statement takes too long     ¾ of the rows that the server had done by then; ⅛ of all if it does not name the row it was at
 *     a batch is committed           × 2 if its statements took less than ¼ of the limit; × 8 if less than 1/16
 *
 * Pure: durations are passed in.
 */

type TimeLimitSetting = 'statement_timeout' | 'transaction_timeout';

/** A time limit of the session that a batch has exceeded. */
export interface TimeLimit {
  readonly setting: TimeLimitSetting;
  /** Undefined if the session ended before it could be asked. */
  readonly ms: number | undefined;
  /** The session's `lock_timeout`; 0: none. */
  readonly lockMs: number;
  /** It was COMMIT that took too long: what it checks can be checked with each statement. */
  readonly isAtCommit: boolean;
}

/** A wait for a lock ends after this share of the limit: a statement that waits is not too large. */
const LOCK_SHARE = 0.75;
const FAST_SHARE = 0.25;
const VERY_FAST_SHARE = 1 / 16;
/** Of the rows done within the limit. */
const SAFE_SHARE = 0.75;
/** A step down wastes a whole time limit. Too small a size costs only round trips. So there are few and long steps. */
const STEP = 8;

export class StatementSize {
  #rows = Infinity;
  #limit: TimeLimit | undefined;
  #checksAtOnce = false;

  /** The most rows of a statement. */
  get rows(): number {
    return this.#rows;
  }

  /** Constraints that COMMIT would check are checked with each statement. */
  get checksAtOnce(): boolean {
    return this.#checksAtOnce;
  }

  /** How long a statement may wait for a lock, so that the wait does not count as work. Undefined: as the session has it. */
  get lockLimitMs(): number | undefined {
    const { ms, lockMs = 0 } = this.#limit ?? {};
    if (ms === undefined || this.#rows === Infinity) return undefined;
    const longest = Math.max(1, Math.floor(ms * LOCK_SHARE));
    return lockMs > 0 && lockMs <= longest ? undefined : longest;
  }

  /** The limit that makes statements smaller, if one does. */
  get limit(): TimeLimit | undefined {
    return this.#rows === Infinity ? undefined : this.#limit;
  }

  /**
   * A statement of so many rows took too long.
   *
   * @param done rows that the server had done by then. Default: unknown.
   * @returns whether smaller statements may help
   */
  tookTooLong(rows: number, limit: TimeLimit, done?: number): boolean {
    // Within one transaction smaller statements take no less time.
    if (limit.setting === 'transaction_timeout') return false;
    const before = Math.min(rows, this.#rows);
    // The one row may have waited for a lock, which another attempt shows.
    if (before === 1 && this.#limit !== undefined) return false;
    this.#limit = limit;
    this.#checksAtOnce ||= limit.isAtCommit;
    // The first row took the whole time. It is tried alone, and says nothing of the others.
    if (done === 0 && this.#rows !== Infinity) return true;
    this.#rows = Math.max(1, Math.ceil(done === undefined || done === 0 ? before / STEP : done * SAFE_SHARE));
    return true;
  }

  /**
   * Called when a batch is committed. The size grows only then: within a batch, rows that are slow again and again would restart it for ever.
   *
   * @param slowestMs duration of its slowest statement
   */
  batchCommitted(slowestMs: number): void {
    const limitMs = this.#limit?.ms ?? 0;
    if (slowestMs <= limitMs * VERY_FAST_SHARE) this.#rows *= STEP;
    else if (slowestMs <= limitMs * FAST_SHARE) this.#rows *= 2;
  }
}
