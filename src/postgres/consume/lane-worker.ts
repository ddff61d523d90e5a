/**
 * Loads one lane, batch after batch, as long as this worker holds it.
 *
 * Nothing of a batch is remembered across a failure: the lane's row says whether the batch was committed. It is read as the run that has
 * claimed the lane, and only after a transaction that still holds the row has ended.
 */

import type { FlushReason } from '../../api/flush-function.js';
import type { FailedItem } from '../../api/options.js';
import { toError } from '../../common/thrown.js';
import type { LogMessage } from '../../log/log.js';
import { CopyError } from '../errors/copy-error.js';
import { LaneLost, type LaneClaim, type LaneLedger, type LaneStep } from '../lanes/lane-ledger.js';
import { ATTEMPT_LIMIT_MS } from './consume-settings.js';
import type { FeedBatch, LaneFeed } from './lane-feed.js';
import { mayPass, Outage, type ConsumeParts } from './outage.js';
import { limited } from './wait.js';

/** How long a batch may take, in leases and at the least. Then its connection is given up, and it is cut in two. */
const LEASES = 4;
const SHORTEST_LIMIT_MS = 60_000;
/** A lane without messages for so long has had its turn. */
const TURN_MS = 500;

/** A batch on its way into the table. */
export interface LaneBatch extends LaneStep {
  readonly claim: LaneClaim;
  readonly messages: readonly LogMessage[];
  /** What the next batch may take beyond the lease. */
  readonly extraMs: number;
  /** Called before the position is recorded, which renews the lease. Then comes COMMIT. */
  readonly onRecording: () => void;
}

/** Copies batches into the table. */
export interface LaneCopy {
  /**
   * Inserts rows, dead letters and the lane's position, all or nothing. Returns the dead letters.
   *
   * @throws {LaneLost} another worker has the lane
   * @throws {CopyError}
   */
  copy(batch: LaneBatch, signal: AbortSignal): Promise<FailedItem<LogMessage>[]>;
  /** The dead letters that the last batch was to write. */
  readonly lastDeadLetters: FailedItem<LogMessage>[];
}

/** A batch, or a part of one. */
interface LanePart extends LaneStep {
  readonly messages: readonly LogMessage[];
  readonly reason: FlushReason;
}

export type LaneOutcome = 'finished' | 'lost' | 'laid down' | 'stopped';

export interface WorkerContext extends ConsumeParts {
  readonly ledger: Pick<LaneLedger, 'renew' | 'advance' | 'release'>;
  readonly copy: LaneCopy;
  /** Fires when no further batch is to begin. */
  readonly draining: AbortSignal;
  /** Fires when the batch in flight is to be given up. */
  readonly aborting: AbortSignal;
  /** Called between two batches. Returns true if the lane is to be laid down for another one. */
  readonly isToLayDown: () => boolean;
  /** Called when some have been committed. */
  readonly onDeadLetters: () => void;
}

export class LaneWorker {
  readonly #context: WorkerContext;
  readonly #claim: LaneClaim;
  readonly #feed: LaneFeed;
  readonly #outage: Outage;
  #next: number;
  /** When the lease was renewed at the latest, on this worker's clock: before the server did it. */
  #renewedAt: number;
  /** How long the last COMMIT has taken, from when the lease was renewed. */
  #commitMs = 0;

  /** @param claimedAt when the lane was about to be claimed */
  constructor(context: WorkerContext, claim: LaneClaim, feed: LaneFeed, claimedAt: number) {
    this.#context = context;
    this.#claim = claim;
    this.#feed = feed;
    this.#next = claim.next;
    this.#renewedAt = claimedAt;
    this.#outage = new Outage(context);
  }

  /** @throws what neither passes nor concerns single messages */
  async run(): Promise<LaneOutcome> {
    const { clock, leaseMs } = this.#context.settings;
    const begunAt = clock.now();
    try {
      while (this.#next <= this.#claim.last) {
        const hasHadTurn = this.#next > this.#claim.next || clock.now() - begunAt >= TURN_MS;
        if (hasHadTurn && this.#context.isToLayDown()) return 'laid down';
        // Undefined at once if the worker is to drain: the feed is closed then.
        const batch = await this.#feed.take(Math.min(TURN_MS, leaseMs / 3));
        if (this.#isDraining()) {
          if (batch !== undefined) this.#feed.settle(batch);
          return 'stopped';
        }
        if (batch === undefined) {
          if (clock.now() - this.#renewedAt >= leaseMs / 3) await this.#renew();
        } else if (batch.messages.length === 0) await this.#advance(batch);
        else await this.#load(batch);
      }
      return 'finished';
    } catch (error) {
      if (error instanceof LaneLost) return 'lost';
      // What is not committed stays in the log.
      if (this.#isDraining()) return 'stopped';
      throw error;
    } finally {
      this.#outage.end();
    }
  }

  #isDraining(): boolean {
    return this.#context.draining.aborted;
  }

  async #load(batch: FeedBatch): Promise<void> {
    const { clock, leaseMs } = this.#context.settings;
    try {
      // A process that was stopped has missed that time has passed.
      if (clock.now() - this.#renewedAt > leaseMs / 2) await this.#renew();
      await this.#copy(batch);
    } finally {
      this.#feed.settle(batch);
    }
  }

  /** Copies messages until they are committed. */
  async #copy(batch: LanePart, attempt = 1): Promise<void> {
    const { messages, next } = batch;
    const { copy, settings, draining } = this.#context;
    const startedAt = settings.clock.now();
    let error: unknown;
    try {
      await this.#attempt(batch, attempt);
      return;
    } catch (thrown) {
      error = thrown;
    }
    if (isOfRows(error) && messages.length > 1) return this.#halve(batch);
    const isTooSlow = settings.clock.now() - startedAt > settings.leaseMs;
    await this.#outage.wait(error, draining, messages.length);
    await this.#renew();
    if (this.#next >= next) {
      this.#committed(messages.length, copy.lastDeadLetters, next);
      return;
    }
    // Others may have ended it, because its lease was over and its session waited for this worker.
    if (isTooSlow && messages.length > 1) await this.#halve(batch);
    else await this.#copy(batch, attempt + 1);
  }

  async #attempt(part: LanePart, attempt: number): Promise<void> {
    const { clock } = this.#context.settings;
    let recordedAt = clock.now();
    const onRecording = (): void => {
      recordedAt = clock.now();
    };
    const { messages, next } = part;
    this.#committed(messages.length, await this.#flush(part, attempt, onRecording), next);
    this.#renewedAt = recordedAt;
    this.#commitMs = clock.now() - recordedAt;
    this.#outage.pass();
  }

  /** One transaction, which is reported. Returns its dead letters. */
  async #flush(
    { messages, reason, from, next }: LanePart,
    attempt: number,
    onRecording: () => void,
  ): Promise<FailedItem<LogMessage>[]> {
    const { copy, settings, aborting, observer } = this.#context;
    const { clock, leaseMs } = settings;
    const startedAt = clock.now();
    const batch = { claim: this.#claim, messages, from, next, extraMs: this.#extraMs(), onRecording };
    const limitMs = Math.max(SHORTEST_LIMIT_MS, LEASES * leaseMs);
    const run = () => limited(clock, limitMs, aborting, (signal) => copy.copy(batch, signal));
    const trace = observer.traceFlush({ items: messages, lane: this.#claim.lane, attempt, reason });
    const report = (failed: number, error: Error | undefined, transportFailure: boolean): void => {
      const items = messages.length;
      const latencyMs = clock.now() - startedAt;
      const result = {
        attempt,
        reason,
        items,
        success: items - failed,
        failed,
        latencyMs,
        transportFailure,
        error,
      };
      trace?.end(result);
      observer.onFlush(result);
    };
    let deadLetters: FailedItem<LogMessage>[];
    try {
      deadLetters = await (trace === undefined ? run() : (trace.run(run) as ReturnType<typeof run>));
    } catch (thrown) {
      report(messages.length, toError(thrown), mayPass(thrown));
      throw thrown;
    }
    report(deadLetters.length, deadLetters[0]?.error, false);
    return deadLetters;
  }

  /** The batch as a whole is refused, or takes too long. */
  async #halve({ messages, reason, from, next }: LanePart): Promise<void> {
    const middle = messages.length >> 1;
    const between = messages[middle]!.position;
    await this.#copy({ messages: messages.slice(0, middle), reason, from, next: between });
    await this.#copy({ messages: messages.slice(middle), reason, from: between, next });
  }

  #committed(messages: number, deadLetters: FailedItem<LogMessage>[], next: number): void {
    const { metrics, observer } = this.#context;
    metrics.batches += 1;
    metrics.deadLetters += deadLetters.length;
    metrics.rowsLoaded += messages - deadLetters.length;
    this.#next = next;
    if (deadLetters.length === 0) return;
    observer.onFailed(deadLetters);
    this.#context.onDeadLetters();
  }

  /** Commits that take longer than the lease must not lose the lane between two batches. Other workers wait for so much longer if this one is killed. */
  #extraMs(): number {
    return this.#commitMs > this.#context.settings.leaseMs / 2 ? this.#commitMs : 0;
  }

  async #renew(): Promise<void> {
    await this.#owning((signal) => this.#context.ledger.renew(this.#claim, this.#extraMs(), signal));
  }

  async #advance(step: LaneStep): Promise<void> {
    await this.#owning((signal) => this.#context.ledger.advance(this.#claim, step, signal));
  }

  async #owning(ask: (signal: AbortSignal) => Promise<number>): Promise<void> {
    const { settings, draining, aborting } = this.#context;
    const { clock } = settings;
    await this.#outage.retry(draining, async () => {
      const askedAt = clock.now();
      const next = await limited(clock, ATTEMPT_LIMIT_MS, aborting, ask);
      if (next < this.#next) throw new LaneLost(this.#claim.lane);
      this.#next = next;
      this.#renewedAt = askedAt;
    });
  }
}

function isOfRows(error: unknown): boolean {
  return error instanceof CopyError && error.failureClass === 'row';
}
