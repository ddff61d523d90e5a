import { turnBudget } from '../../common/turn-budget.js';
import type { FailedItem, Settlement, SinkOptions } from '../../api/options.js';
import { settlementOf } from '../../guards/user-callbacks.js';
import type { DropReason } from '../../api/states.js';

/** `onSettled` gets at most so many outcomes of drops, or of what an abort ends, in one call: they must neither pile up nor block. */
const MAX_REPORTED_AT_ONCE = 1_000;

export interface WeighedItems<T> {
  readonly items: readonly T[];
  readonly weights?: Float64Array | undefined;
}

export function failuresOf<T>({ items, weights }: WeighedItems<T>, error: Error): FailedItem<T>[] {
  return items.map((item, place) => ({ item, error, weight: weights?.[place] ?? 1 }));
}

/** Gathers outcomes and reports them to `onSettled` in batches, in order. */
export class SettlementLog<T> {
  readonly #onSettled: NonNullable<SinkOptions<T>['onSettled']>;
  readonly #onThrow: (name: string, thrown: unknown) => void;
  readonly #runInContext: (deliver: () => void) => void;
  #pending: Settlement<T>[] = [];
  /** What is dropped, or admitted late, while the outcomes of a queue that has failed are reported: it comes after them. */
  #behindQueue: Settlement<T>[] | undefined;

  /** @param runInContext calls a function in the context of the sink: a drop comes in that of the write */
  constructor(
    onSettled: NonNullable<SinkOptions<T>['onSettled']>,
    onThrow: (name: string, thrown: unknown) => void,
    runInContext: (deliver: () => void) => void = (deliver) => deliver(),
  ) {
    this.#onSettled = onSettled;
    this.#runInContext = runInContext;
    this.#onThrow = onThrow;
  }

  get isEmpty(): boolean {
    return this.#pending.length === 0;
  }

  /** @param weights of `items`; without them each weighs 1 */
  flushed(items: T[], weights: ArrayLike<number> | undefined): void {
    for (const [place, item] of items.entries())
      this.#pending.push({ item, weight: weights?.[place] ?? 1, outcome: 'flushed' });
  }

  failed(failures: FailedItem<T>[]): void {
    for (const failure of failures) this.#pending.push({ ...failure, outcome: 'failed' });
  }

  /** The same for items that are admitted when the sink has ended. */
  failedLate(failures: FailedItem<T>[]): void {
    const kept = this.#behindQueue ?? this.#pending;
    for (const failure of failures) kept.push({ ...failure, outcome: 'failed' });
  }

  dropped(item: T, weight: number, reason: DropReason): void {
    const kept = this.#behindQueue ?? this.#pending;
    kept.push({ item, weight, outcome: 'dropped', reason });
    if (this.#pending.length >= MAX_REPORTED_AT_ONCE) this.#runInContext(() => this.deliver());
  }

  /** There are so many outcomes that they are reported in several turns of the event loop. */
  isLong(count: number): boolean {
    return count > MAX_REPORTED_AT_ONCE;
  }

  /**
   * The queue has failed as a whole, and what waited before it is dropped: reports the items by the thousand, in as many turns of the event
   * loop as it takes. What was in flight is reported as it settles, because `committedPosition` counts it. Never rejects.
   */
  async failQueue({ items, weights }: WeighedItems<T>, waiting: readonly T[], error: Error): Promise<void> {
    this.#behindQueue = [];
    // Not from within the call that has ended the sink.
    await Promise.resolve();
    await this.#reportInTurns(items.length, (start, end) => {
      const slice = { items: items.slice(start, end), weights: weights?.subarray(start, end) };
      return failuresOf(slice, error).map((failure) => ({ ...failure, outcome: 'failed' }));
    });
    await this.#reportInTurns(waiting.length, (start, end) =>
      waiting.slice(start, end).map((item) => ({ item, weight: 1, outcome: 'dropped', reason: 'aborted' })),
    );
    this.#pending = this.#pending.concat(this.#behindQueue);
    this.#behindQueue = undefined;
    this.deliver();
  }

  /** Reports failures by the thousand, after `before`, in as many turns of the event loop as it takes. Never rejects. */
  async failInTurns(failures: readonly FailedItem<T>[], before: Promise<void> | undefined): Promise<void> {
    await before;
    await this.#reportInTurns(failures.length, (start, end) =>
      failures.slice(start, end).map((failure) => ({ ...failure, outcome: 'failed' })),
    );
  }

  async #reportInTurns(
    count: number,
    settle: (start: number, end: number) => Settlement<T>[],
  ): Promise<void> {
    for (let start = 0; start < count; start += MAX_REPORTED_AT_ONCE) {
      this.deliver();
      this.#report(settle(start, Math.min(count, start + MAX_REPORTED_AT_ONCE)));
      if (turnBudget.isSpent) await turnBudget.nextTurn();
    }
  }

  deliver(): void {
    const settlements = this.#pending;
    this.#pending = [];
    this.#report(settlements);
  }

  #report(settlements: Settlement<T>[]): void {
    if (settlements.length === 0) return;
    const fail = (thrown: unknown) => this.#onThrow('onSettled', thrown);
    try {
      const answer = this.#onSettled(settlements);
      // Not awaited, but a rejection must not become nobody's.
      if (answer !== undefined) void settlementOf(answer, fail);
    } catch (thrown) {
      fail(thrown);
    }
  }
}
