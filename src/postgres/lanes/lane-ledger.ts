/**
 * Keeps in the database which worker reads which lane of a log, and how far each has been loaded.
 *
 *              claim: run + 1, a lease            next > last
 *     free ─────────────────────────────> held ───────────────> finished ──> merged into the row of the finished lanes before it
 *       ▲                                  │
 *       └── release, or the lease is over ─┘      A worker that ends sets the end of its leases to now.
 *
 * A worker writes to a lane only as the run that it has claimed. Once another worker has claimed the lane, the earlier one changes nothing.
 * A step begins where the last one has ended, so that no commit can be left out that the database has lost, as after a failover.
 */

import { systemClock } from '../../common/clock.js';
import type { LogBounds, LogCopy, LogPosition } from '../../log/log.js';
import { CopyError } from '../errors/copy-error.js';
import { describeImportFailure } from '../imports/import-errors.js';
import { showImportId } from '../imports/import-id.js';
import { CheckedTables } from '../imports/checked-tables.js';
import { inTransaction, limitLockWait } from '../imports/import-transaction.js';
import type { CopyClient, CopyPool } from '../protocol/pool.js';
import { runStatement, type Statement } from '../sql/statement.js';
import type { TransactionScope } from '../sql/transaction-scope.js';
import { DeadLetters, type DeadLetter } from './dead-letters.js';
import {
  checkSource,
  joinImport,
  LOCK_TIMEOUT_MS,
  type JoinedImport,
  type LaneLedgerOptions,
} from './join-import.js';
import {
  beginTransaction,
  laneScope,
  laneStatements,
  type ClaimKey,
  type LaneStatements,
} from './lane-statements.js';
import { LetterCopies, type CopiedLetters } from './letter-copies.js';
import { laneTables } from './lane-tables.js';
import type { KeptStart } from './log-start.js';
import { stateOf, type LaneState } from './lane-state.js';
import { lanesToMake } from './new-lanes.js';

/** A lane, as this worker has claimed it. */
export interface LaneClaim extends ClaimKey {
  readonly first: LogPosition;
  readonly last: LogPosition;
  /** The first position that is not loaded. */
  readonly next: LogPosition;
}

/** Positions that are loaded together: from the first one to the one before `next`. */
export interface LaneStep {
  readonly from: LogPosition;
  readonly next: LogPosition;
}

/** What is recorded of a batch, in its own transaction. */
export interface BatchRecord extends LaneStep {
  /** What the next batch may take beyond the lease. */
  readonly extraMs: number;
  readonly rows: number;
  readonly letters: readonly DeadLetter[];
}

/** The lane is not as this worker has left it. What was done in the transaction is undone. */
export class LaneLost extends CopyError {
  constructor(lane: number) {
    super(
      `another worker has taken over lane ${lane}, or the database has lost its last commits; this worker begins again from what is there`,
      { failureClass: 'setup' },
    );
  }
}

export class LaneLedger<Client extends CopyClient = CopyClient> {
  readonly #pool: CopyPool<Client>;
  readonly #options: LaneLedgerOptions;
  readonly #statements: LaneStatements;
  readonly #tables: CheckedTables;
  readonly #deadLetters: DeadLetters;
  readonly #copies: LetterCopies | undefined;
  readonly #importRow: string;
  #isSourceChecked = false;
  /** Where the import begins, or has begun. */
  readonly start: KeptStart;
  /** The last lane that had a row when some were to be made. */
  lastLane: number | undefined;

  private constructor(
    pool: CopyPool<Client>,
    options: LaneLedgerOptions,
    { importRow, start }: JoinedImport,
  ) {
    this.#pool = pool;
    this.#options = options;
    this.#statements = laneStatements(options.schema);
    this.#tables = new CheckedTables(options, laneTables(options.deadLetters), systemClock);
    this.#deadLetters = new DeadLetters(options, importRow);
    const { deadLetterSubject } = options;
    if (deadLetterSubject !== undefined)
      this.#copies = new LetterCopies(options, importRow, deadLetterSubject);
    this.#importRow = importRow;
    this.start = start;
  }

  /**
   * Joins the import, or begins it.
   *
   * @throws {CopyError} `setup` for another table or log, or for tables that are not trusted
   */
  static async open<Client extends CopyClient>(
    pool: CopyPool<Client>,
    options: LaneLedgerOptions,
    signal: AbortSignal,
  ): Promise<LaneLedger<Client>> {
    return new LaneLedger(pool, options, await joinImport(pool, options, signal));
  }

  /** The transaction of a batch of this claim. */
  scopeOf(claim: ClaimKey): TransactionScope {
    const { schema, leaseMs } = this.#options;
    return laneScope(schema, claim, leaseMs, (client, first) => this.#tables.check(client, first));
  }

  /**
   * Claims the first lane that is free, or whose lease is over. Undefined: there is none.
   *
   * @param isOver only one whose lease is over
   */
  claim(signal: AbortSignal, { isOver = false } = {}): Promise<LaneClaim | undefined> {
    const { claim, claimInOrder, claimOver, claimOverInOrder } = this.#statements;
    const { isOrdered, leaseMs } = this.#options;
    const [any, over] = isOrdered ? [claimInOrder, claimOverInOrder] : [claim, claimOver];
    return this.#run('claim a lane of', signal, async (client) => {
      const values = [this.#importRow, String(leaseMs)];
      const { rows } = await runStatement(client, isOver ? over : any, values);
      const [row] = rows as { lane: string; first: string; last: string; next: string; run: string }[];
      if (row === undefined) return undefined;
      // Until there were lanes, another run may have replaced the source. Now it cannot any more.
      if (!this.#isSourceChecked) await this.#checkSource(client);
      this.#isSourceChecked = true;
      const [lane, first, last] = [Number(row.lane), Number(row.first), Number(row.last)];
      return { importRow: this.#importRow, lane, first, last, next: Number(row.next), run: Number(row.run) };
    });
  }

  /**
   * Makes rows for lanes that the log has now, unless some are free: others may have made them just now. Merges those that are finished. Returns how
   * many there are to claim.
   */
  extend(bounds: LogBounds, hasOneOrder: boolean, signal: AbortSignal): Promise<number> {
    const { findMade, insertLanes, merge } = this.#statements;
    return this.#run('make lanes of', signal, async (client) => {
      await this.#lockImport(client);
      const { rows: found } = await runStatement(client, findMade, [this.#importRow]);
      const { through, free } = found[0] as { through: string | null; free: string };
      const made = through === null ? undefined : Number(through);
      if (made === undefined) await this.#checkSource(client);
      const isEnough = hasOneOrder && Number(free) > 0;
      const lanes = isEnough ? [] : lanesToMake(bounds, made, this.start, hasOneOrder);
      if (lanes.length > 0) {
        await runStatement(client, insertLanes, [this.#importRow, JSON.stringify(lanes)]);
      }
      if (hasOneOrder) await runStatement(client, merge, [this.#importRow]);
      this.lastLane = lanes.at(-1)?.[0] ?? made;
      // In order, only the first of them may be claimed.
      return lanes.length > 0 || this.#options.isOrdered ? lanes.length : Number(free);
    });
  }

  /**
   * Ends sessions that hold a lane whose lease is over, and that have been waiting for their worker for as long as a lease. Returns in how many
   * milliseconds the next lease is over: below 0, one is. Undefined: no lane is held.
   */
  checkLeases(signal: AbortSignal): Promise<number | undefined> {
    return this.#run('free lanes of', signal, async (client) => {
      const values = [this.#importRow, String(this.#options.leaseMs)];
      await runStatement(client, this.#statements.endStalled, values);
      const { rows } = await runStatement(client, this.#statements.nextLeaseEnd, [this.#importRow]);
      const [row] = rows as { in_ms: string | null }[];
      return row?.in_ms == null ? undefined : Number(row.in_ms);
    });
  }

  /** Returns what is not loaded yet. */
  state(signal: AbortSignal): Promise<LaneState> {
    return this.#run('look at', signal, async (client) => {
      const { rows } = await runStatement(client, this.#statements.findImportRow, [this.#importRow]);
      if (rows.length === 0) throw this.#isGone();
      return stateOf(await runStatement(client, this.#statements.readLanes, [this.#importRow]));
    });
  }

  /** Renews the lease. Returns the first position that is not loaded. @throws {LaneLost} */
  renew(claim: ClaimKey, extraMs: number, signal: AbortSignal): Promise<LogPosition> {
    return this.#run('renew the lease of a lane of', signal, (client) =>
      this.#own(client, this.#statements.renew, claim, [this.#leaseOf(extraMs)]),
    );
  }

  /** Records that there is nothing in the step that would have to be loaded. @throws {LaneLost} */
  advance(claim: ClaimKey, { from, next }: LaneStep, signal: AbortSignal): Promise<LogPosition> {
    const record = { from, next, extraMs: 0, rows: 0, letters: [] };
    return this.#run('move a lane of', signal, (client) => this.#record(client, claim, record));
  }

  /**
   * Frees a lane at once, if it is still this worker's.
   *
   * @param isLeaving the worker ends: its lease is over, so that workers without a free slot take the lane over, too
   */
  release({ importRow, lane, run }: ClaimKey, isLeaving: boolean, signal: AbortSignal): Promise<void> {
    const { release, leave } = this.#statements;
    return this.#run('release a lane of', signal, async (client) => {
      await runStatement(client, isLeaving ? leave : release, [importRow, String(lane), String(run)]);
    });
  }

  /** Copies some of the dead letters that have to be copied. */
  copyLetters(publish: (copy: LogCopy) => Promise<void>, signal: AbortSignal): Promise<CopiedLetters> {
    return this.#run('copy dead letters of', signal, async (client) => {
      const none = { copied: 0, mayHaveMore: false, failure: undefined };
      return (await this.#copies?.copySome(client, publish)) ?? none;
    });
  }

  /** Writes a single message to the dead letters that is not worth a batch. @throws {LaneLost} */
  bury(
    claim: ClaimKey,
    step: LaneStep,
    extraMs: number,
    letter: DeadLetter,
    signal: AbortSignal,
  ): Promise<void> {
    return this.#run('write a dead letter of', signal, (client) =>
      this.writeBatch(client, claim, { ...step, extraMs, rows: 0, letters: [letter] }),
    );
  }

  /** Writes what belongs to a batch into its own transaction, before COMMIT. @throws {LaneLost} the batch must be rolled back */
  async writeBatch(client: CopyClient, claim: ClaimKey, batch: BatchRecord): Promise<void> {
    const { maxRejects } = this.#options;
    if (batch.letters.length > 0 && maxRejects !== undefined) {
      // Others count theirs when this transaction has ended.
      await this.#lockImport(client);
      await this.#deadLetters.checkLimit(client, batch.letters, maxRejects);
    }
    await this.#deadLetters.write(client, batch.letters);
    await this.#record(client, claim, batch);
  }

  #record(
    client: CopyClient,
    claim: ClaimKey,
    { from, next, extraMs, rows, letters }: BatchRecord,
  ): Promise<LogPosition> {
    const values = [this.#leaseOf(extraMs), next, from, rows, letters.length].map(String);
    return this.#own(client, this.#statements.advance, claim, values);
  }

  #leaseOf(extraMs: number): string {
    return String(Math.ceil(this.#options.leaseMs + extraMs));
  }

  async #own(
    client: CopyClient,
    text: Statement,
    { importRow, lane, run }: ClaimKey,
    values: readonly string[],
  ): Promise<LogPosition> {
    const { rows } = await runStatement(client, text, [importRow, String(lane), String(run), ...values]);
    const [row] = rows as { next: string }[];
    if (row === undefined) throw new LaneLost(lane);
    return Number(row.next);
  }

  #checkSource(client: CopyClient): Promise<void> {
    return checkSource(client, this.#statements, this.#options, this.start);
  }

  /** Until the end of the transaction. */
  async #lockImport(client: CopyClient): Promise<void> {
    const { rows } = await runStatement(client, this.#statements.lockImport, [this.#importRow]);
    if (rows.length === 0) throw this.#isGone();
  }

  #isGone(): CopyError {
    const { importId, table } = this.#options;
    const message = `import ${showImportId(importId)} was deleted from the table of imports; this worker writes nothing more`;
    return new CopyError(message, { failureClass: 'setup', table });
  }

  async #run<Result>(
    what: string,
    signal: AbortSignal,
    work: (client: Client) => Promise<Result>,
  ): Promise<Result> {
    try {
      return await inTransaction(
        this.#pool,
        beginTransaction(this.#options.leaseMs),
        signal,
        async (client) => {
          await limitLockWait(client, LOCK_TIMEOUT_MS);
          await this.#tables.check(client);
          return work(client);
        },
      );
    } catch (error) {
      throw describeImportFailure(error, what, this.#options.importId);
    }
  }
}
