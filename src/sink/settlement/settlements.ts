/** What happens when items settle: counters, `onSettled`, the committed position, and what is returned to the caller. */

import type { SinkEvents } from '../../api/events.js';
import type { FailedItem } from '../../api/options.js';
import type { DropReason } from '../../api/states.js';
import type { AdmissionQueue } from '../../buffer/admission-queue.js';
import type { ResolvedSink } from '../../settings/resolve-sink.js';
import type { Position } from '../../common/position.js';
import { CommittedPosition, type SpanOwner } from './committed-position.js';
import { failuresOf, SettlementLog, type WeighedItems } from './settlement-log.js';
import { UnsettledItems, type Part } from './unsettled-items.js';

/** Who is notified of single outcomes: the listeners of a stream or controller. */
interface SettlementObserver<T> {
  observesDrops(): boolean;
  emit<Name extends 'drop' | 'failed'>(event: Name, ...args: SinkEvents<T>[Name]): void;
}

/**
 * Every item of a sink leaves it by one of these methods, once:
 *
 *     in flight ──> flushed | failed    | returned, if no handler took it
 *     queued ─────> dropped (evicted)   | abort, or failAdmitted if it is admitted after that
 *     waiting ────> dropped             | abort, or returnWaiting after that
 *
 * What an abort ends, and what is returned, counts as failed (or dropped) and is kept for `takeUnsettled()`.
 */
export class Settlements<T> {
  readonly #queue: AdmissionQueue<T>;
  readonly #observer: SettlementObserver<T>;
  /** For `onSettled`, if there is one. */
  readonly #log: SettlementLog<T> | undefined;
  /** Made for the first that are returned: most sinks return none. */
  #unsettled: UnsettledItems<T> | undefined;
  readonly #positions: CommittedPosition<T> | undefined;
  /** Outcomes of large batches that are still being reported after a failure. */
  #reporting: Promise<void> | undefined;

  /** @param onThrow called when `onSettled` or `positionOf` fails */
  constructor(
    settings: ResolvedSink<T>,
    queue: AdmissionQueue<T>,
    observer: SettlementObserver<T>,
    onThrow: (name: string, thrown: unknown) => void,
  ) {
    this.#queue = queue;
    this.#observer = observer;
    const { onSettled, positionOf } = settings;
    this.#log =
      onSettled &&
      new SettlementLog<T>(onSettled, onThrow, (deliver) => queue.context.runInAsyncScope(deliver));
    this.#positions = positionOf && new CommittedPosition(positionOf, queue, onThrow);
  }

  // ── what can be read ──

  /** The position up to which everything has settled, if there are positions. */
  get committedPosition(): Position | undefined {
    return this.#positions?.current;
  }

  /** Outcomes are waiting for `deliver()`. */
  get hasPending(): boolean {
    return this.#log !== undefined && !this.#log.isEmpty;
  }

  /** How many returned items the caller has not taken yet. */
  get unsettledCount(): number {
    return this.#unsettled?.count ?? 0;
  }

  /** All returned items, in order, whether they have been taken or not. */
  allReturned(): T[] {
    return this.#unsettled?.everything() ?? [];
  }

  /** The returned items that have not been taken, in order, and `others` among them. */
  takeUnsettled(others?: Part<T>[]): T[] {
    return this.#returnedItems.takeAll(others);
  }

  get #returnedItems(): UnsettledItems<T> {
    return (this.#unsettled ??= new UnsettledItems<T>());
  }

  // ── positions ──

  /**
   * Calls `positionOf` for a batch that is about to leave the queue. Returns a function that begins its span, once it has left.
   *
   * @throws BackpressureError if `positionOf` failed, or if positions have gone down.
   */
  measureBatch(firstItem: T, lastItem: T): ((owner: SpanOwner) => void) | undefined {
    const positions = this.#positions;
    if (positions === undefined) return undefined;
    const span = positions.measure(firstItem, lastItem);
    return (owner) => positions.begin(owner, span);
  }

  // ── in flight ──

  flushed(items: T[], bytes: number, weights: Float64Array | undefined): void {
    this.#queue.settle(items.length, 0, bytes);
    this.#log?.flushed(items, weights);
  }

  /** @param countedFlushed how many of `failures` did arrive by the flush function's count; which ones is not known */
  failed(failures: FailedItem<T>[], countedFlushed: number, bytes: number): void {
    this.#countFailed(failures, countedFlushed, bytes);
    this.#log?.failed(failures);
    this.#observer.emit('failed', failures);
  }

  /** As `failed`, if no handler took the items: they are returned to the caller. `first` orders them among others. */
  returned(failures: FailedItem<T>[], countedFlushed: number, bytes: number, first: number): void {
    this.#positions?.neverSettles(first);
    this.#returnedItems.addPart(
      first,
      failures.map(({ item }) => item),
    );
    this.#queue.ledger.returned += failures.length - countedFlushed;
    if (!this.#log?.isLong(failures.length)) return this.failed(failures, countedFlushed, bytes);
    this.#countFailed(failures, countedFlushed, bytes);
    this.#reporting = this.#log.failInTurns(failures, this.#reporting);
    this.#observer.emit('failed', failures);
  }

  #countFailed(failures: FailedItem<T>[], countedFlushed: number, bytes: number): void {
    this.#queue.settle(countedFlushed, failures.length - countedFlushed, bytes);
    // The items that did arrive, by the result's count, are among the ambiguous ones.
    let ambiguous = -countedFlushed;
    for (const failure of failures) if (failure.ambiguous) ambiguous++;
    this.#queue.ledger.ambiguous += ambiguous;
  }

  // ── not in flight ──

  /** The queue has dropped an item, and counted it. */
  dropped(item: T, reason: DropReason): void {
    this.#log?.dropped(item, this.#queue.weightOfDropped(reason), reason);
  }

  /** An item that waits is returned to the caller, because the sink has ended. */
  returnWaiting(item: T): void {
    this.#positions?.stopBefore(item);
    this.#returnedItems.addPart(Infinity, [item]);
    this.#queue.dropWaiting(item, 'aborted');
  }

  /** Items that are admitted after the sink has ended fail with its error. */
  failAdmitted(error: Error): void {
    const failed = this.#failQueue();
    this.#log?.failedLate(failuresOf(failed, error));
  }

  /** The sink ends: what is queued fails, what waits is dropped. Resolves when `onSettled` has been called with all of it. */
  abort(waiting: T[], error: Error): Promise<void> | undefined {
    const failed = this.#failQueue();
    const reported = this.#log?.failQueue(failed, waiting, error);
    if (waiting.length === 0) return reported;
    this.#positions?.stopBefore(waiting[0]!);
    this.#returnedItems.addPart(Infinity, waiting);
    this.#queue.countDropped(waiting.length, 'aborted');
    if (this.#observer.observesDrops()) {
      for (const item of waiting)
        this.#queue.context.runInAsyncScope(() => this.#observer.emit('drop', item, 'aborted'));
    }
    return reported;
  }

  #failQueue(): WeighedItems<T> {
    const queue = this.#queue;
    const first = queue.head;
    // Before they leave: a listener may read the committed position.
    if (queue.ledger.queued > 0) this.#positions?.stopBefore(queue.itemAt(0));
    const taken = queue.failQueued();
    this.#returnedItems.addPart(first, taken.items);
    return taken;
  }

  // ── reports ──

  /** Moves the committed position on, and calls `onSettled` with what is pending. */
  report(): void {
    this.#positions?.advance();
    this.#log?.deliver();
  }

  deliver(): void {
    this.#log?.deliver();
  }

  /** Resolves when every outcome has been reported, after an abort. */
  async reportAll(): Promise<void> {
    if (this.#reporting !== undefined) await this.#reporting;
    this.#log?.deliver();
  }
}
