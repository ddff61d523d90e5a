/** How far an ordered source has settled. Called once a batch, never for single items. */

import type { AdmissionQueue } from '../../buffer/admission-queue.js';
import type { BackpressureError } from '../../api/errors.js';
import { describeOutOfOrder, type Position } from '../../common/position.js';
import { refusePromise } from '../../guards/user-callbacks.js';
import { show } from '../../guards/validate.js';

/** A delivery, as far as it matters here. */
export interface SpanOwner {
  /** Orders it among others. */
  readonly first: number;
  /** Its items that have not settled. */
  readonly openItems: readonly unknown[];
}

/** Items that came one after another, and the positions of the first and the last of them. */
interface Span {
  from: Position;
  to: Position;
  /** The last position known below `to`: what is safe while another item with the position `to` is open. */
  below: Position | undefined;
  /** Whose items they are; `undefined` once all have settled. */
  owner: SpanOwner | undefined;
}

/**
 * The position up to which everything has settled.
 *
 * Several items may share a position, as the parts of one record do: it is passed when the last of them has settled. So an item that is
 * open holds back its own position too, and the queue's oldest item is looked at where there is no later batch.
 */
export class CommittedPosition<T> {
  readonly #positionOf: (item: T) => Position;
  readonly #queue: AdmissionQueue<T>;
  readonly #onThrow: (name: string, thrown: unknown) => void;
  /** Batches in order, from the first one that is open on; neighbours that have settled are one. */
  #spans: Span[] = [];
  /** Everything before `#spans`. */
  #done: Span | undefined;
  #highest: Position | undefined;
  #committed: Position | undefined;
  /** That of the first item that is returned to the caller without ever having been in a batch; `undefined` where it cannot be read. */
  #stoppedBefore: { position: Position | undefined } | undefined;

  constructor(
    positionOf: (item: T) => Position,
    queue: AdmissionQueue<T>,
    onThrow: (name: string, thrown: unknown) => void,
  ) {
    this.#positionOf = positionOf;
    this.#queue = queue;
    this.#onThrow = onThrow;
  }

  /** `undefined` before there is one. */
  get current(): Position | undefined {
    this.#commit();
    return this.#committed;
  }

  /**
   * The positions of a batch that is about to leave the queue.
   *
   * @throws BackpressureError if `positionOf` failed, or if they have gone down.
   */
  measure(firstItem: T, lastItem: T): { from: Position; to: Position } {
    const from = this.#read(firstItem);
    if (this.#highest !== undefined && from < this.#highest) throw this.#decreased(from, this.#highest);
    const to = this.#read(lastItem);
    if (to < from) throw this.#decreased(to, from);
    return { from, to };
  }

  begin(owner: SpanOwner, { from, to }: { from: Position; to: Position }): void {
    this.#highest = to;
    this.#spans.push({ from, to, below: undefined, owner });
    this.#commit();
  }

  /** Something has settled. */
  advance(): void {
    const spans: Span[] = [];
    for (const span of this.#spans) {
      if (span.owner?.openItems.length === 0) span.owner = undefined;
      const before = spans.at(-1);
      if (span.owner !== undefined || before?.owner !== undefined) spans.push(span);
      else if (before !== undefined) spans[spans.length - 1] = join(before, span);
      else if (spans.length === 0) this.#done = this.#done === undefined ? span : join(this.#done, span);
    }
    this.#spans = spans;
    this.#commit();
  }

  /** The items of a delivery are returned to the caller: it never settles. */
  neverSettles(first: number): void {
    for (const span of this.#spans)
      if (span.owner?.first === first) span.owner = { first, openItems: [undefined] };
  }

  /** This item, and all after it, are returned to the caller, and were in no batch. */
  stopBefore(item: T): void {
    this.#stoppedBefore ??= { position: this.#tryRead(item) };
  }

  #commit(): void {
    const done = this.#done;
    if (done === undefined || this.#committed === done.to) return;
    const safe = this.#isPassed(done.to) ? done.to : done.below;
    if (safe !== undefined && (this.#committed === undefined || safe > this.#committed))
      this.#committed = safe;
  }

  /** No open item has this position. */
  #isPassed(position: Position): boolean {
    const span = this.#spans[0];
    if (span !== undefined) return span.from > position;
    const { ledger } = this.#queue;
    // What waits with nobody before it cannot be looked at: it will be in a moment.
    if (this.#stoppedBefore === undefined && ledger.queued === 0) return ledger.waiting === 0;
    const next =
      this.#stoppedBefore === undefined ? this.#tryRead(this.#queue.itemAt(0)) : this.#stoppedBefore.position;
    return next !== undefined && next > position;
  }

  #read(item: T): Position {
    const { errors } = this.#queue;
    let position: unknown;
    try {
      position = this.#positionOf(item);
    } catch (thrown) {
      throw errors.handlerFailed('positionOf', thrown);
    }
    if (typeof position === 'bigint' || (typeof position === 'number' && !Number.isNaN(position)))
      return position;
    refusePromise('positionOf', position, errors);
    throw errors.create(
      'ERR_BACKPRESSURE_HANDLER_FAILED',
      `positionOf must return a number or a bigint; got ${show(position)}`,
    );
  }

  #decreased(position: Position, before: Position): BackpressureError {
    return this.#queue.errors.create(
      'ERR_BACKPRESSURE_HANDLER_FAILED',
      describeOutOfOrder(position, before, true),
    );
  }

  #tryRead(item: T): Position | undefined {
    try {
      return this.#read(item);
    } catch (thrown) {
      this.#onThrow('positionOf', thrown);
      return undefined;
    }
  }
}

/** Two spans that have settled, one after the other. */
function join(before: Span, after: Span): Span {
  const below = after.below ?? (after.from > before.to ? before.to : before.below);
  return { from: before.from, to: after.to, below, owner: undefined };
}
