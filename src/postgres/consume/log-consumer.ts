/**
 * Claims lanes and loads them, as many at a time as there are connections.
 *
 *     starting ──> running ──drain, caught up or a failure──> draining ──> ended
 *
 * In `draining` no batch begins; those in flight are committed, and the lanes are released.
 */

import { setMaxListeners } from 'node:events';
import { toError } from '../../common/thrown.js';
import { handled } from '../../guards/user-callbacks.js';
import { LogError } from '../../log/log-error.js';
import type { Log, LogBounds, LogPublisher, OpenLog } from '../../log/log.js';
import type { LaneLedger } from '../lanes/lane-ledger.js';
import { boundsStart, missingAtStart } from '../lanes/log-start.js';
import { emptyCounts, type ConsumeCounts } from './consume-metrics.js';
import type { ConsumeObserver } from './consume-observer.js';
import { ImportProgress, type ConsumeProgress } from './consume-progress.js';
import { ATTEMPT_LIMIT_MS, POLL_MS, type ConsumeSettings } from './consume-settings.js';
import { LaneClaims, type FoundLane } from './lane-claims.js';
import { checkEnds, isReached } from '../lanes/lane-ends.js';
import { LaneFeed } from './lane-feed.js';
import { LetterCourier, publisherOf } from './letter-courier.js';
import { LaneWorker, type LaneCopy } from './lane-worker.js';
import { mayPass, Outage, type ConsumeParts } from './outage.js';
import { limited, pause } from './wait.js';

const PROGRESS_LIMIT_MS = 10_000;
const NEVER = new AbortController().signal;

/** What the consumer needs of the database. */
export interface ConsumerDestination {
  open(log: OpenLog, signal: AbortSignal): Promise<LaneLedger>;
  /** For one lane at a time. */
  copier(ledger: LaneLedger): LaneCopy;
}

export class LogConsumer {
  readonly metrics: ConsumeCounts = emptyCounts();
  /** Resolves when everything is over; rejects with what has ended it. */
  readonly finished: Promise<void>;
  readonly #log: Log;
  readonly #destination: ConsumerDestination;
  readonly #settings: ConsumeSettings;
  readonly #parts: ConsumeParts;
  readonly #draining = new AbortController();
  readonly #aborting = new AbortController();
  #failure: { readonly error: unknown } | undefined;
  #courier: LetterCourier | undefined;
  #isOver = false;
  readonly #opened: Promise<ImportProgress>;
  #onOpened!: (progress: ImportProgress) => void;
  #onEnded!: (error: Error) => void;

  constructor(
    log: Log,
    destination: ConsumerDestination,
    settings: ConsumeSettings,
    observer: ConsumeObserver,
  ) {
    this.#parts = { settings, metrics: this.metrics, observer };
    this.#log = log;
    this.#destination = destination;
    this.#settings = settings;
    // Each slot listens to them.
    setMaxListeners(0, this.#draining.signal, this.#aborting.signal);
    this.#opened = handled(
      new Promise((resolve, reject) => {
        this.#onOpened = resolve;
        this.#onEnded = reject;
      }),
    );
    this.finished = this.#run();
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Begins no further batch. `finished` resolves once those in flight are committed. */
  drain(): void {
    this.#draining.abort();
  }

  /** Gives up the batches in flight, too. */
  abort(): void {
    this.#draining.abort();
    this.#aborting.abort();
  }

  /** Waits until log and database have been opened. Also after the end. */
  async progress(): Promise<ConsumeProgress> {
    const progress = await this.#opened;
    return progress.get((work) => limited(this.#settings.clock, PROGRESS_LIMIT_MS, NEVER, work));
  }

  async #run(): Promise<void> {
    try {
      await this.#consume();
    } catch (error) {
      if (!this.#draining.signal.aborted || this.#failure !== undefined) this.#fail(error);
    } finally {
      this.#isOver = true;
      this.#onEnded(toError(this.#failure?.error ?? new Error('the load has ended before it began')));
    }
    if (this.#failure !== undefined) throw toError(this.#failure.error);
  }

  async #consume(): Promise<void> {
    const { connections } = this.#settings;
    const log = await this.#retry((signal) => this.#log.open(signal));
    this.#parts.observer.source = log.source;
    // Before anything is made in the database.
    const publish = await this.#openPublisher(log);
    const ledger = await this.#retry((signal) => this.#destination.open(log, signal));
    const state = await this.#retry((signal) => ledger.state(signal));
    // After the state: meanwhile the log has only grown.
    const target = await this.#retry((signal) => log.bounds(signal));
    checkEnds(state, target, log.hasOneOrder);
    this.#onOpened(new ImportProgress(log, ledger, this.#settings.clock, () => this.metrics.lanesHeld));
    if (state.through === undefined) await this.#begin(log, ledger);
    if (publish !== undefined) this.#courier = this.#courierOf(ledger, publish);
    const claims = this.#claimsOf(log, ledger);
    const slots = Array.from({ length: connections }, () => this.#slot(log, ledger, claims));
    await Promise.all([...slots, this.#watch(ledger, target), this.#takeOver(claims), this.#copyLetters()]);
    await this.#courier?.finish();
  }

  /** @throws {LogError} `setup`, if the log cannot copy dead letters to the subject */
  async #openPublisher(log: OpenLog): Promise<LogPublisher | undefined> {
    const { deadLetterSubject: subject } = this.#settings;
    return subject === undefined ? undefined : this.#retry((signal) => publisherOf(log, subject, signal));
  }

  #courierOf(ledger: LaneLedger, publish: LogPublisher): LetterCourier {
    return new LetterCourier(ledger, publish, this.#parts, this.#aborting.signal);
  }

  #claimsOf(log: OpenLog, ledger: LaneLedger): LaneClaims {
    return new LaneClaims({
      log,
      ledger,
      settings: this.#settings,
      draining: this.#draining.signal,
      aborting: this.#aborting.signal,
      retry: (work, parent) => this.#retry(work, parent),
    });
  }

  async #takeOver(claims: LaneClaims): Promise<void> {
    try {
      await claims.takeOver();
    } catch (error) {
      if (!this.#draining.signal.aborted) this.#fail(error);
    }
  }

  async #copyLetters(): Promise<void> {
    const { signal } = this.#draining;
    try {
      await this.#courier?.run(signal);
    } catch (error) {
      if (!signal.aborted) this.#fail(error);
    }
  }

  /** Makes the first lanes, from where the import begins. Another worker may do so at the same time. */
  async #begin(log: OpenLog, ledger: LaneLedger): Promise<void> {
    const { start } = ledger;
    const whole = await this.#retry((signal) => log.bounds(signal));
    const missing = missingAtStart(start, whole, log.hasOneOrder);
    if (missing > 0) this.#lose(missing, whole);
    const bounds = await this.#retry((signal) => log.bounds(signal, boundsStart(start)));
    await this.#retry((signal) => ledger.extend(bounds, log.hasOneOrder, signal));
  }

  /** @throws {LogError} `loss`, unless gaps are allowed */
  #lose(count: number, bounds: LogBounds): void {
    const { oldest } = bounds.lane(bounds.lastLane);
    if (!this.#settings.allowGaps) {
      throw new LogError(
        'loss',
        `the log has deleted positions ${oldest - count} to ${oldest - 1}, with which the import was to begin; ` +
          `to begin at the oldest message, set 'from' to 'first' (--from); to go on without them, set 'allowGaps' (--allow-gaps)`,
      );
    }
    this.metrics.positionsLost += count;
  }

  /** @param parent gives up an attempt, too */
  #retry<Result>(
    work: (signal: AbortSignal) => Promise<Result>,
    parent = this.#draining.signal,
  ): Promise<Result> {
    const outage = new Outage(this.#parts);
    const attempt = (): Promise<Result> => limited(this.#settings.clock, ATTEMPT_LIMIT_MS, parent, work);
    return outage.retry(this.#draining.signal, attempt);
  }

  /** The first failure ends all slots. */
  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.metrics.isFailed = true;
    this.#draining.abort();
  }

  async #slot(log: OpenLog, ledger: LaneLedger, claims: LaneClaims): Promise<void> {
    const copy = this.#destination.copier(ledger);
    let takenOver: FoundLane | undefined;
    const isToLayDown = (): boolean => (takenOver = claims.takeWaiting()) !== undefined;
    try {
      for (;;) {
        const found = takenOver ?? (await claims.next());
        if (found === undefined) return;
        takenOver = undefined;
        const isLogAtFault = await this.#work(log, ledger, copy, claims, found, isToLayDown);
        if (isLogAtFault) await this.#awaitLog(log);
      }
    } catch (error) {
      if (!this.#draining.signal.aborted) this.#fail(error);
    }
  }

  /** Resolves when the log responds. A lane that was claimed before would stay with this worker until its lease is over. */
  async #awaitLog(log: OpenLog): Promise<void> {
    await pause(this.#settings.clock, POLL_MS, this.#draining.signal);
    if (!this.#draining.signal.aborted) await this.#retry((signal) => log.bounds(signal));
  }

  /** Returns true if the lane was given up because the log could not be read. */
  async #work(
    log: OpenLog,
    ledger: LaneLedger,
    copy: LaneCopy,
    claims: LaneClaims,
    { claim, at, bounds }: FoundLane,
    isToLayDown: () => boolean,
  ): Promise<boolean> {
    const { metrics } = this;
    const reader = log.reader(bounds.lane(claim.lane), claim.next);
    const feed = new LaneFeed(reader, claim, this.#settings, metrics);
    const onDrain = (): void => feed.close();
    const draining = this.#draining.signal;
    draining.addEventListener('abort', onDrain, { once: true });
    // It may have begun since the lane was claimed.
    if (draining.aborted) feed.close();
    metrics.lanesHeld += 1;
    let isHeld = true;
    try {
      const context = {
        ledger,
        copy,
        ...this.#parts,
        draining,
        aborting: this.#aborting.signal,
        isToLayDown,
        onDeadLetters: () => this.#courier?.wake(),
      };
      const outcome = await new LaneWorker(context, claim, feed, at).run();
      isHeld = outcome !== 'finished';
      if (outcome === 'finished') metrics.lanesFinished += 1;
      if (outcome === 'lost') metrics.lanesLost += 1;
      return false;
    } catch (error) {
      const isPassing = error instanceof LogError && mayPass(error);
      if (!isPassing) this.#fail(error);
      const reason = toError(error);
      metrics.lastError = reason;
      metrics.retries += 1;
      if (isPassing) this.#parts.observer.onRetry({ error: reason, attempt: 1, delayMs: POLL_MS, items: 0 });
      return isPassing;
    } finally {
      metrics.lanesHeld -= 1;
      draining.removeEventListener('abort', onDrain);
      feed.close();
      if (isHeld) await claims.release(claim);
      // With lanes in order, the next one is free now.
      claims.wake();
    }
  }

  /** With `untilCaughtUp`: drains once all that was in the log at the start is loaded, by this worker or others. */
  async #watch(ledger: LaneLedger, target: LogBounds): Promise<void> {
    const { untilCaughtUp, clock } = this.#settings;
    const { signal } = this.#draining;
    try {
      while (untilCaughtUp && !signal.aborted) {
        if (!isReached(target, await this.#retry((attempt) => ledger.state(attempt)))) {
          await pause(clock, POLL_MS / 2, signal);
          continue;
        }
        await this.#courier?.copyAll(signal);
        this.drain();
      }
    } catch (error) {
      if (!signal.aborted) this.#fail(error);
    }
  }
}
