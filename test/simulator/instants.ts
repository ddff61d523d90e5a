import type { BackpressureState, DropReason, FlushReport, SinkMetrics } from '../../src/index.js';
import type { RunBounds } from './bounds.js';
import { InstantChecks } from './instant-checks.js';
import type { BreakerWatch } from './breaker-watch.js';
import type { ItemBook } from './item-book.js';
import { positionOf } from './item.js';
import { show, type Journal } from './journal.js';
import type { Surface } from './surface.js';

export interface InstantOptions {
  bounds: RunBounds;
  targetLatencyMs: number;
  /** A timer may come so late, rounding included. */
  lateMs: number;
  itemsPerPosition: number;
  /** The numbers of the metrics are those that were told to `onSettled`. */
  countsAreExact: () => boolean;
}

/**
 * Checks an engine at each instant: the ledger and the bounds in the middle of things, and, once all promises have had their turn, that the
 * state follows from the load and that whatever is due has begun. Works out by when the next thing must happen.
 */
export class Instants {
  state: BackpressureState = 'normal';
  /** A failure has ended it, or is about to: nothing is due any more but the end. */
  isFailing = false;
  /** Items offered before this number are waited for by a `flush()`. */
  flushMark = 0;
  /** The latest time by which the engine must have done something. */
  deadline = Infinity;
  whatIsDue = '';
  readonly #surface: Surface;
  readonly #book: ItemBook;
  readonly #breaker: BreakerWatch;
  readonly #journal: Journal;
  readonly #options: InstantOptions;
  readonly #bornAt: number;
  readonly #checks: InstantChecks;
  #reportedAt = 0;
  #latencyMs = 0;
  #isHealthy = true;
  #inside = 0;
  /** Items that had been offered at the last rest. */
  #offeredBefore = 0;
  #committed: number | bigint = -1;
  /** When the admitted items had become so many, oldest first. */
  #admissions: { at: number; accepted: number }[] = [{ at: 0, accepted: 0 }];

  constructor(
    watched: { surface: Surface; book: ItemBook; breaker: BreakerWatch; journal: Journal },
    options: InstantOptions,
    now: number,
  ) {
    this.#surface = watched.surface;
    this.#book = watched.book;
    this.#breaker = watched.breaker;
    this.#journal = watched.journal;
    this.#options = options;
    this.#bornAt = now;
    this.#checks = new InstantChecks(options.bounds);
  }

  onState(state: BackpressureState, previous: BackpressureState): void {
    this.#journal.note('state', state.length, () => `${previous} → ${state}`);
    this.#check(state !== previous, () => `a state event from ${previous} to ${state}`);
    this.#check(previous === this.state, () => `a state event from ${previous}, but it was ${this.state}`);
    this.state = state;
    this.within('state event');
  }

  onReport(report: FlushReport, now: number): void {
    this.#reportedAt = now;
    this.#latencyMs = report.latencyMs;
    this.#isHealthy = !report.transportFailure && report.latencyMs <= 1.5 * this.#options.targetLatencyMs;
    this.#check(report.success + report.failed === report.items, () => 'a report that does not add up');
  }

  /** In the middle of something: beside those in line, an item may just be being decided on. Every third time, for it costs most of a run. */
  within(where: string): void {
    if (this.#inside++ % 3 !== 0) return;
    const metrics = this.#surface.getMetrics();
    this.#fault(this.#checks.faultOf(metrics, 4), metrics, where);
  }

  /** All promises have had their turn. */
  atRest(now: number): void {
    const metrics = this.#surface.getMetrics();
    this.#fault(this.#checks.faultOf(metrics, 2), metrics, 'at rest');
    this.#fault(this.#checks.stateFaultOf(metrics), metrics, 'at rest');
    this.#checkCounts(metrics, now);
    this.#checkPosition(metrics.committedPosition);
    this.#noteAdmissions(metrics, now);
    this.#offeredBefore = metrics.eventsOffered;
    this.deadline = Infinity;
    // What fails with nobody to take it has ended everything.
    if (!this.isFailing && this.#book.unheardFailures === 0) this.#findDeadline(metrics, now);
  }

  #checkCounts(metrics: SinkMetrics, now: number): void {
    const book = this.#book;
    this.#check(metrics.state === this.state, () => `state ${metrics.state}, but told was ${this.state}`);
    this.#check(
      metrics.eventsOffered === book.offered,
      () => `${metrics.eventsOffered} offered by the metrics, but ${book.offered} by the producer`,
    );
    const settled = metrics.eventsFlushed + metrics.eventsFailed + metrics.eventsDropped;
    this.#check(
      settled === book.settledCount,
      () => `${settled} settled by the metrics, but ${book.settledCount} were told to onSettled`,
    );
    if (this.#options.countsAreExact())
      this.#check(
        metrics.eventsFlushed === book.settled.flushed && metrics.eventsFailed === book.settled.failed,
        () => `flushed or failed by the metrics are not what onSettled was told`,
      );
    for (const reason in metrics.dropsByReason) {
      const count = metrics.dropsByReason[reason as DropReason];
      const told = book.dropEvents.get(reason as DropReason) ?? 0;
      this.#check(count === told, () => `${count} drops for '${reason}', but ${told} events`);
    }
    let timeMs = 0;
    for (const state in metrics.timeInStateMs) timeMs += metrics.timeInStateMs[state as BackpressureState];
    this.#check(
      Math.abs(timeMs - (now - this.#bornAt)) < 1e-3,
      () => `timeInStateMs adds up to ${timeMs}, but ${now - this.#bornAt} ms have passed`,
    );
  }

  /** Never goes back, and never past an item that is open. */
  #checkPosition(position: number | bigint | undefined): void {
    if (position === undefined || position === this.#committed) return;
    const open = positionOf(this.#book.oldestOpen, this.#options.itemsPerPosition);
    // Positions may be shared with items that nobody had offered when this one was passed.
    const isKnown = this.#book.oldestOpen < this.#offeredBefore;
    this.#check(!isKnown || position < open, () => `committed up to ${position}, but ${open} is open`);
    this.#check(
      position >= this.#committed,
      () => `committed up to ${this.#committed}, then only ${position}`,
    );
    this.#committed = position;
  }

  #noteAdmissions({ eventsAccepted, bufferSize }: SinkMetrics, now: number): void {
    const log = this.#admissions;
    if (eventsAccepted > log.at(-1)!.accepted) log.push({ at: now, accepted: eventsAccepted });
    const oldest = eventsAccepted - bufferSize;
    let past = 0;
    while (past < log.length - 1 && log[past]!.accepted <= oldest) past++;
    if (past > 0) log.splice(0, past);
  }

  /** What is due beside a free slot, and by when. */
  #findDeadline(metrics: SinkMetrics, now: number): void {
    const { bufferSize, bufferBytes = 0, inFlight, waiting, currentFlushIntervalMs } = metrics;
    const { currentBatchSize, currentConcurrency } = metrics;
    const { bounds } = this.#options;
    const book = this.#book;
    const load = bufferSize + inFlight;
    if (waiting > 0 && load === 0) return this.#dueNow('the admission of those who wait for nothing');
    const isHeld = this.#surface.isHeld(metrics);
    if (isHeld && load + waiting === 0) return this.#dueNow("'drain' for an empty buffer");
    this.#dueAt(this.#breaker.deadline(metrics) - this.#options.lateMs, now, 'a change of the breaker');
    if (!this.#breaker.mayLaunch) return;
    if (this.#surface.isStopped || bufferSize === 0 || book.batchesInFlight >= currentConcurrency) return;
    if (metrics.state === 'draining') return this.#dueNow('a batch while draining');
    if (this.#breaker.state === 'half_open') return this.#dueNow('the probe');
    if (book.batchesInFlight === 0 && book.oldestOpen < this.flushMark)
      return this.#dueNow('a batch for flush()');
    const admittedAt = this.#admissions[0]!.at;
    this.#dueAt(admittedAt + currentFlushIntervalMs, now, `a batch whose oldest item came at ${admittedAt}`);
    const isFull = bufferSize >= currentBatchSize || bufferBytes >= bounds.batchBytes;
    if (!isFull && !isHeld) return;
    const what = isFull ? 'a full batch' : 'a batch for a held producer';
    if (this.#isHealthy) this.#dueNow(what);
    else this.#dueAt(this.#reportedAt + this.#latencyMs, now, what);
  }

  /** Needs no timer, so it has happened by now. */
  #dueNow(what: string): void {
    this.#journal.violated(`${what} is due, but not begun: ${show(this.#surface.getMetrics())}`);
  }

  #dueAt(at: number, now: number, what: string): void {
    const latest = at + this.#options.lateMs;
    this.#check(latest >= now, () => `${what} was due at ${at.toFixed(3)} ms, but not begun`);
    if (latest >= this.deadline) return;
    this.deadline = latest;
    this.whatIsDue = what;
  }

  /** Before the hands are turned to `nextAt`: nothing that is due may be slept through. */
  beforeStep(nextAt: number): void {
    this.#check(
      nextAt <= this.deadline,
      () => `${this.whatIsDue} is due by ${this.deadline.toFixed(3)} ms, but nothing happens until ${nextAt}`,
    );
  }

  #fault(fault: string | undefined, metrics: SinkMetrics, where: string): void {
    if (fault !== undefined) this.#journal.violated(`${where}: ${fault} in ${show(metrics)}`);
  }

  #check(holds: boolean, tell: () => string): void {
    this.#journal.check(holds, tell);
  }
}
