import type { DropReason, FailedItem, Settlement } from '../../src/index.js';
import type { DestinationCall, DestinationObserver } from './destination.js';
import type { Item } from './item.js';
import type { Journal } from './journal.js';

/** A batch on its way, as the destination sees it. */
interface BatchInFlight {
  startedAt: number;
  attempt: number;
  /** Items that have not settled. */
  open: number;
  lastCall: DestinationCall<Item>;
}

/** What a run promises of its items. */
export interface BookOptions {
  concurrency: number;
  abortGraceMs: number;
  attempts: number;
  maxElapsedMs: number;
  /** Calls that the breaker takes upon itself do not count. */
  hasBreaker: boolean;
  afterTimeout: boolean;
  /** A timer may come so early. */
  earlyMs: number;
}

/**
 * Knows of each item what the producer, the destination and the handlers were told of it, and whether that fits together: settled exactly
 * once, flushed only what the destination keeps, failed for certain only what it does not keep, batches in the order of admission.
 */
export class ItemBook implements DestinationObserver<Item> {
  offered = 0;
  readonly settled = { flushed: 0, failed: 0, dropped: 0 };
  readonly dropEvents = new Map<DropReason, number>();
  failedEvents = 0;
  calls = 0;
  /** Offered items that the batches stand for. */
  represented = 0;
  /** An answer did not name what it did not keep: the metrics then follow its counts. */
  sawUnnamed = false;
  lateAnswers = { certain: 0, possible: 0 };
  /** Nothing may be called any more. */
  isClosed = false;
  #unheard = 0;
  readonly #journal: Journal;
  readonly #options: BookOptions;
  readonly #batches = new Map<number, BatchInFlight>();
  /** From the oldest open item on, in the order in which they were offered. */
  #items: Item[] = [];
  #head = 0;
  /** The last item of the batch that began last. */
  lastBegun = -1;

  constructor(journal: Journal, options: BookOptions) {
    this.#journal = journal;
    this.#options = options;
  }

  get settledCount(): number {
    return this.settled.flushed + this.settled.failed + this.settled.dropped;
  }

  get batchesInFlight(): number {
    return this.#batches.size;
  }

  /** The number of the oldest item that has not settled; the next one's where none is open. */
  get oldestOpen(): number {
    const items = this.#items;
    while (this.#head < items.length && items[this.#head]!.outcome !== 'open') this.#head++;
    if (this.#head > 1_000 && this.#head * 2 > items.length) {
      this.#items = items.slice(this.#head);
      this.#head = 0;
    }
    return this.#items[this.#head]?.id ?? this.offered;
  }

  offer(item: Item): void {
    this.offered++;
    this.#items.push(item);
  }

  /** The producer was told whether its item was admitted. */
  answer(item: Item, admitted: boolean): void {
    item.answer = admitted;
    this.#checkAnswer(item);
  }

  // ── the destination ──

  onCall(call: DestinationCall<Item>): void {
    const { items, context } = call;
    this.calls++;
    this.#journal.note('call', items[0]?.id ?? -1, () => describeCall(call));
    this.#check(!this.isClosed, () => `flushed after the end: ${describeCall(call)}`);
    this.#check(items.length > 0, () => 'an empty batch');
    this.#check(!context.signal.aborted, () => 'the signal of a new call has fired');
    if (call.fate.kind === 'partial' && call.fate.named < call.fate.lost.length) this.sawUnnamed = true;
    if (context.attempt === 1) this.#begin(call);
    else this.#repeat(call);
    const weight = context.weights.reduce((sum, one) => sum + one, 0);
    this.#check(
      context.weights.length === items.length && weight === context.represents,
      () => `weights (${weight}) that are not what the batch represents (${context.represents})`,
    );
    for (const [index, item] of items.entries()) {
      this.#check(item.outcome === 'open', () => `item ${item.id} called after it was ${item.outcome}`);
      if (context.attempt === 1) item.weight = context.weights[index]!;
      else this.#check(item.weight === context.weights[index], () => `item ${item.id} changes its weight`);
    }
  }

  #begin(call: DestinationCall<Item>): void {
    const { items, context, number } = call;
    for (const item of items) {
      this.#check(item.batch === -1, () => `item ${item.id} begins a second time`);
      this.#check(item.id > this.lastBegun, () => `item ${item.id} begins after item ${this.lastBegun}`);
      item.batch = number;
      this.lastBegun = item.id;
    }
    this.represented += context.represents;
    this.#batches.set(number, { startedAt: call.at, attempt: 1, open: items.length, lastCall: call });
    this.#check(
      this.#batches.size <= this.#options.concurrency,
      () => `${this.#batches.size} batches under way at concurrency ${this.#options.concurrency}`,
    );
  }

  #repeat(call: DestinationCall<Item>): void {
    const { items, context } = call;
    const batch = this.#batches.get(items[0]!.batch);
    if (batch === undefined) return this.#journal.violated(`a retry of nothing: ${describeCall(call)}`);
    const { attempts, abortGraceMs, earlyMs, afterTimeout } = this.#options;
    const last = batch.lastCall;
    this.#checkPause(batch, call);
    batch.attempt++;
    batch.lastCall = call;
    this.#check(context.attempt === batch.attempt, () => `attempt ${context.attempt}, not ${batch.attempt}`);
    this.#check(
      context.attempt <= (this.#options.hasBreaker && attempts > 1 ? Infinity : attempts),
      () => `attempt ${context.attempt} of ${attempts}`,
    );
    const wasGivenUp = last.signalledAt + abortGraceMs - earlyMs <= call.at && afterTimeout;
    this.#check(last.answeredAt < Infinity || wasGivenUp, () => 'a retry beside the call that it repeats');
    // The call that was given up may still store them.
    if (last.answeredAt === Infinity) for (const item of items) item.wasUncertain = true;
    this.#check(items.length === batch.open, () => `a retry of ${items.length}, but ${batch.open} are open`);
    for (const [index, item] of items.entries()) {
      this.#check(item.batch === items[0]!.batch, () => `item ${item.id} changes its batch`);
      this.#check(
        index === 0 || item.id > items[index - 1]!.id,
        () => `item ${item.id} retried out of order`,
      );
    }
  }

  /** Without a breaker a batch's calls keep their distance, and come to an end. */
  #checkPause({ startedAt, lastCall }: BatchInFlight, { at }: DestinationCall<Item>): void {
    const { hasBreaker, maxElapsedMs, earlyMs } = this.#options;
    if (hasBreaker) return;
    const { fate, answeredAt } = lastCall;
    this.#check(at - startedAt <= maxElapsedMs + 1e-6, () => `a retry after ${at - startedAt} ms`);
    const pauseMs = fate.kind === 'refused' ? (fate.retryAfterMs ?? 0) : 0;
    this.#check(
      answeredAt === Infinity || at - answeredAt >= pauseMs - earlyMs || lastCall.signalledAt < Infinity,
      () => `a retry after ${at - answeredAt} ms, but the destination asked for ${pauseMs}`,
    );
  }

  onKept(item: Item, call: DestinationCall<Item>): void {
    this.#check(
      item.kept === 0 || item.wasUncertain,
      () => `item ${item.id} stored twice, though the destination had answered (call ${call.number})`,
    );
    item.kept++;
    this.#checkKept(item);
  }

  onAnswer(call: DestinationCall<Item>, answer: string): void {
    const { signalledAt, answeredAt } = call;
    const graceEnds = signalledAt + this.#options.abortGraceMs;
    if (answeredAt > graceEnds + 10) this.lateAnswers.certain++;
    if (answeredAt >= graceEnds - this.#options.earlyMs) this.lateAnswers.possible++;
    if (call.isUncertain || signalledAt < Infinity) for (const item of call.items) item.wasUncertain = true;
    this.#journal.note('answer', call.number, () => `of call ${call.number}: ${answer}`);
  }

  // ── what the user is told ──

  onSettled(settlements: readonly Settlement<Item>[]): void {
    const first = settlements[0]!;
    this.#journal.note(
      'settled',
      settlements.length,
      () => `${settlements.length} from item ${first.item.id} (${first.outcome}) on`,
    );
    for (const settlement of settlements) {
      const { item, outcome } = settlement;
      this.#check(item.outcome === 'open', () => `item ${item.id}: ${item.outcome}, then ${outcome}`);
      item.outcome = outcome;
      this.settled[outcome]++;
      if (outcome === 'failed') item.isAmbiguous = settlement.ambiguous === true;
      if (outcome === 'failed' && !item.wasHandled) this.#unheard++;
      if (outcome === 'dropped') this.#checkDropped(item, settlement.reason);
      else this.#checkAnswer(item);
      this.#checkKept(item);
      this.#leaveBatch(item);
    }
  }

  onDrop(item: Item, reason: DropReason): void {
    this.dropEvents.set(reason, (this.dropEvents.get(reason) ?? 0) + 1);
    this.#check(!item.wasDropped, () => `item ${item.id} dropped twice`);
    item.wasDropped = true;
    this.#checkDropped(item, reason);
  }

  onFailed(failures: readonly FailedItem<Item>[]): void {
    for (const { item } of failures) {
      this.#check(item.outcome === 'open', () => `onFailed for item ${item.id}, which was ${item.outcome}`);
      this.#check(!item.wasHandled, () => `onFailed twice for item ${item.id}`);
      item.wasHandled = true;
    }
  }

  /** Items that failed, and neither did a handler get them nor were they returned. */
  get unheardFailures(): number {
    return this.#unheard;
  }

  /** `takeUnsettled()`: each once, in order. */
  handedBack(items: readonly Item[]): void {
    for (const { outcome, wasHandled } of items) if (outcome === 'failed' && !wasHandled) this.#unheard--;
    for (const [index, item] of items.entries()) {
      this.#check(!item.wasHandedBack, () => `item ${item.id} returned twice`);
      item.wasHandedBack = true;
      this.#check(
        item.outcome === 'failed' || item.outcome === 'dropped',
        () => `item ${item.id} returned, but ${item.outcome}`,
      );
      const before = items[index - 1];
      this.#check(
        before === undefined || item.id > before.id,
        () => `item ${item.id} returned after item ${before!.id}`,
      );
    }
  }

  #checkDropped(item: Item, reason: DropReason): void {
    this.#check(item.batch === -1, () => `item ${item.id} dropped (${reason}) after it was called`);
    this.#check(
      item.answer !== true || reason === 'evicted',
      () => `item ${item.id} was admitted, then dropped (${reason})`,
    );
  }

  #checkAnswer(item: Item): void {
    this.#check(
      item.answer !== false || item.outcome === 'dropped' || item.outcome === 'open',
      () => `item ${item.id} was refused, but ${item.outcome}`,
    );
  }

  #checkKept(item: Item): void {
    const { outcome } = item;
    this.#check(outcome !== 'flushed' || item.kept > 0, () => `item ${item.id} flushed, but never stored`);
    this.#check(outcome !== 'dropped' || item.kept === 0, () => `item ${item.id} dropped, but stored`);
    this.#check(
      outcome !== 'failed' || item.isAmbiguous || item.kept === 0,
      () => `item ${item.id} failed for certain, but stored`,
    );
  }

  #leaveBatch(item: Item): void {
    const batch = this.#batches.get(item.batch);
    if (batch !== undefined && --batch.open === 0) this.#batches.delete(item.batch);
  }

  #check(holds: boolean, tell: () => string): void {
    this.#journal.check(holds, tell);
  }
}

function describeCall({ number, items, context, fate }: DestinationCall<Item>): string {
  const { attempt, reason } = context;
  return `${number}, attempt ${attempt} (${reason}): ${items.length} items, ${items[0]?.id} to ${items.at(-1)?.id}; fate: ${fate.kind}`;
}
