/**
 * Loads one lane, batch after batch, as long as this worker holds it.
 *
 * Nothing of a batch is remembered across a failure: the lane's row says whether the batch was committed. It is read as the run that has
 * claimed the lane, and only after a transaction that still holds the row has ended.
 */

import type { LogMessage } from '../../log/log.js';
import { CopyError } from '../errors/copy-error.js';
import { LaneLost, type LaneClaim, type LaneLedger } from '../lanes/lane-ledger.js';
import type { ConsumeMetrics } from './consume-metrics.js';
import type { ConsumeSettings } from './consume-settings.js';
import type { FeedBatch, LaneFeed } from './lane-feed.js';
import { Outage } from './outage.js';

/** A batch that takes longer than this share of the lease is made smaller, so that a lease is never nearly over. */
const LONGEST_SHARE = 1 / 3;

/** A batch on its way into the table. */
export interface LaneBatch {
  readonly claim: LaneClaim;
  readonly messages: readonly LogMessage[];
  readonly next: number;
  /** What the next batch may take beyond the lease. */
  readonly extraMs: number;
}

/** Copies batches into the table. */
export interface LaneCopy {
  /**
   * Inserts rows, dead letters and the lane's position, all or nothing. Returns how many dead letters there were.
   *
   * @throws {LaneLost} another worker has the lane
   * @throws {CopyError}
   */
  copy(batch: LaneBatch, signal: AbortSignal): Promise<number>;
  /** How many dead letters the last batch was to write. */
  readonly lastDeadLetters: number;
}

export type LaneOutcome = 'finished' | 'lost' | 'stopped';

export interface WorkerContext {
  readonly ledger: Pick<LaneLedger, 'renew' | 'advance' | 'release'>;
  readonly copy: LaneCopy;
  readonly settings: ConsumeSettings;
  readonly metrics: ConsumeMetrics;
  /** Fires when no further batch is to begin. */
  readonly draining: AbortSignal;
  /** Fires when the batch in flight is to be given up. */
  readonly aborting: AbortSignal;
}

export class LaneWorker {
  readonly #context: WorkerContext;
  readonly #claim: LaneClaim;
  readonly #feed: LaneFeed;
  readonly #outage: Outage;
  #next: number;
  /** When the lease was renewed at the latest, on this worker's clock: before the server did it. */
  #renewedAt: number;
  /** How long the last batch has taken. */
  #lastMs = 0;

  /** @param claimedAt when the lane was about to be claimed */
  constructor(context: WorkerContext, claim: LaneClaim, feed: LaneFeed, claimedAt: number) {
    this.#context = context;
    this.#claim = claim;
    this.#feed = feed;
    this.#next = claim.next;
    this.#renewedAt = claimedAt;
    this.#outage = new Outage(context.settings, context.metrics);
  }

  /** @throws what neither passes nor concerns single messages */
  async run(): Promise<LaneOutcome> {
    try {
      while (this.#next <= this.#claim.last) {
        // Undefined at once if the worker is to drain: the feed is closed then.
        const batch = await this.#feed.take(this.#context.settings.leaseMs / 3);
        if (this.#isDraining()) return 'stopped';
        if (batch === undefined) await this.#renew();
        else if (batch.messages.length === 0) await this.#advance(batch.next);
        else await this.#load(batch);
      }
      return 'finished';
    } catch (error) {
      if (error instanceof LaneLost) return 'lost';
      // What is not committed stays in the log.
      if (this.#isDraining()) return 'stopped';
      throw error;
    }
  }

  #isDraining(): boolean {
    return this.#context.draining.aborted;
  }

  async #load(batch: FeedBatch): Promise<void> {
    const { clock, leaseMs } = this.#context.settings;
    // A process that was stopped has missed that time has passed.
    if (clock.now() - this.#renewedAt > leaseMs / 2) await this.#renew();
    const startedAt = clock.now();
    await this.#copy(batch.messages, batch.next);
    this.#feed.settle(batch);
    this.#lastMs = clock.now() - startedAt;
    if (this.#lastMs > leaseMs * LONGEST_SHARE) this.#feed.batchSize = batch.messages.length >> 1;
    else if (this.#lastMs < (leaseMs * LONGEST_SHARE) / 2) this.#feed.batchSize *= 2;
  }

  /** Copies messages until they are committed. */
  async #copy(all: readonly LogMessage[], next: number): Promise<void> {
    const { copy, settings, draining, aborting } = this.#context;
    for (let messages = all; ;) {
      const startedAt = settings.clock.now();
      const batch = { claim: this.#claim, messages, next, extraMs: this.#extraMs() };
      try {
        const deadLetters = await copy.copy(batch, aborting);
        this.#committed(messages.length, deadLetters, next);
        this.#renewedAt = startedAt;
        this.#outage.end();
        return;
      } catch (error) {
        if (isOfRows(error) && messages.length > 1) return this.#halve(messages, next);
        await this.#outage.wait(error, draining);
      }
      await this.#renew();
      if (this.#next >= next) {
        this.#committed(messages.length, copy.lastDeadLetters, next);
        return;
      }
      messages = messages.filter(({ position }) => position >= this.#next);
    }
  }

  /** No row of the batch is known to be at fault, and the batch as a whole is refused. */
  async #halve(messages: readonly LogMessage[], next: number): Promise<void> {
    const middle = messages.length >> 1;
    await this.#copy(messages.slice(0, middle), messages[middle]!.position);
    await this.#copy(messages.slice(middle), next);
  }

  #committed(messages: number, deadLetters: number, next: number): void {
    const { metrics } = this.#context;
    metrics.batches += 1;
    metrics.deadLetters += deadLetters;
    metrics.rowsLoaded += messages - deadLetters;
    this.#next = next;
  }

  /** Commits that take longer than the lease must not lose the lane between two batches. */
  #extraMs(): number {
    return this.#lastMs > this.#context.settings.leaseMs / 2 ? this.#lastMs : 0;
  }

  async #renew(): Promise<void> {
    const { ledger, aborting } = this.#context;
    await this.#owning(() => ledger.renew(this.#claim, this.#extraMs(), aborting));
  }

  async #advance(next: number): Promise<void> {
    const { ledger, aborting } = this.#context;
    await this.#owning(() => ledger.advance(this.#claim, next, aborting));
  }

  async #owning(ask: () => Promise<number>): Promise<void> {
    const { settings, draining } = this.#context;
    await this.#outage.retry(draining, async () => {
      const askedAt = settings.clock.now();
      this.#next = await ask();
      this.#renewedAt = askedAt;
    });
  }
}

function isOfRows(error: unknown): boolean {
  return error instanceof CopyError && error.failureClass === 'row';
}
