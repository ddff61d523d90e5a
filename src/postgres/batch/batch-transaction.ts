/**
 * The transaction of a batch, from BEGIN to COMMIT or ROLLBACK: its statements, its stage, and the rows that it leaves out. Its callers decide
 * what is sent between BEGIN and `complete()`, and what follows from a failure.
 */

import { forEachInTurns } from '../../common/turn-budget.js';
import type { Batch, BatchStage, OpenTransaction, RowFailures } from '../copy/batch.js';
import { BatchPacer } from '../copy/batch-pacer.js';
import type { ClientLease } from '../connection/client-lease.js';
import { Commit } from '../connection/commit.js';
import { TRANSACTION_ID, type ServerIdentity } from '../connection/commit-outcome.js';
import { expectOtherStatements } from '../protocol/own-query.js';
import type { CopyError } from '../errors/copy-error.js';
import { describeRowFault } from '../copy/copy-failure.js';
import { mergeStaged } from '../merge/staged-merge.js';
import type { TimeLimit } from '../copy/statement-size.js';
import type { CopyFormat } from '../merge/copy-plan.js';
import type { CopyContext } from '../copy/copy-rows.js';
import type { Refusal } from '../isolation/refusal.js';
import {
  AbortFault,
  CLEAN_UP_LIMIT_MS,
  TIMED_OUT,
  unlessAborted,
  type AnswerDeadline,
} from '../connection/answer-deadline.js';
import type { CopyClient } from '../protocol/pool.js';
import { refusalOf } from './row-refusal.js';
import type { RowFault } from '../rows/row-fault.js';
import type { SentRows } from '../rows/sent-rows.js';
import { isCancel, isTransactionTimeout } from '../errors/sqlstate.js';
import { runStatement, sequence, statement, type Statement } from '../sql/statement.js';

/** Timers of the server and of ours are not quite the same. */
const TIMER_SHARE = 0.98;

/** In milliseconds, as `pg_settings` has them. */
const TIME_LIMITS = statement(
  `SELECT (SELECT s.setting FROM pg_catalog.pg_settings s WHERE s.name OPERATOR(pg_catalog.=) 'statement_timeout'::pg_catalog.text) AS statement_ms,
  (SELECT s.setting FROM pg_catalog.pg_settings s WHERE s.name OPERATOR(pg_catalog.=) 'lock_timeout'::pg_catalog.text) AS lock_ms`,
);

function limitLockWait(ms: number): Statement {
  return statement(`SET LOCAL lock_timeout = ${ms}`);
}

export class BatchTransaction<T, Client extends CopyClient> {
  /** How COPYs are sent in it. */
  readonly copyContext: CopyContext;
  /** Rows that are left out, by their places in the batch. */
  readonly failures = new Map<number, CopyError>();
  /** Statements that are due before the next one: sent with it, which saves a round trip. */
  due: Statement[] = [];
  readonly #batch: Batch<T, Client>;
  readonly #lease: ClientLease<Client>;
  readonly #answerDeadline: AnswerDeadline;
  readonly #commitment: Commit;
  #stage: BatchStage = 'copy';
  /** When the last statement left. */
  #sentAt = performance.now();
  readonly #server: ServerIdentity | undefined;
  /** The transaction's id, once it is known. */
  #id: string | undefined;

  /** @param server the server on which the transaction's id is valid. Undefined: the id is not read. */
  constructor(
    batch: Batch<T, Client>,
    lease: ClientLease<Client>,
    answerDeadline: AnswerDeadline,
    server: ServerIdentity | undefined,
  ) {
    this.#server = server;
    this.#batch = batch;
    this.#lease = lease;
    this.#answerDeadline = answerDeadline;
    this.#commitment = new Commit(lease);
    const { signal, items, rows } = batch;
    this.copyContext = {
      lease,
      answerDeadline,
      signal,
      rows: rows.kind === 'written' ? rows.count : items.length,
      pacer: new BatchPacer(signal),
      ...(server !== undefined && { onValue: (id: string | null) => (this.#id = id ?? undefined) }),
    };
    this.#prepare(batch.scope.begin);
  }

  get stage(): BatchStage {
    return this.#stage;
  }

  /** COMMIT was sent, and its outcome is unknown. Never true in a transaction of somebody else, which may still be rolled back. */
  get isCommitOpen(): boolean {
    return this.#batch.scope.isFinal && this.#commitment.isOpen;
  }

  /** Returns what another connection needs to find out its outcome. */
  asOpen(): OpenTransaction | undefined {
    if (this.#id === undefined || this.#server === undefined) return undefined;
    return { identity: { id: this.#id, server: this.#server }, leftOut: this.leftOut() };
  }

  /** Its connection has not been thrown away. */
  get isOpen(): boolean {
    return this.#lease.isOut;
  }

  /** To be called before anything is sent. */
  begin(): Promise<void> {
    return this.#check(this.#batch.scope.begin);
  }

  /** Undoes what was done, and begins again. */
  restart(): Promise<void> {
    this.#stage = 'copy';
    this.#prepare(this.#batch.scope.restart);
    return this.#check(this.#batch.scope.restart);
  }

  /** Sends what begins the transaction, if something is to be checked before all else. */
  async #check(first: Statement): Promise<void> {
    const { check } = this.#batch.scope;
    if (check === undefined) return;
    // An error there is of no row.
    this.#stage = 'checkpoint';
    this.#sentAt = performance.now();
    const checked = await this.#answerDeadline.wait(check.run(this.#lease.client, first));
    if (checked === TIMED_OUT) throw new AbortFault(this.#batch.signal);
    this.#stage = 'copy';
  }

  #prepare(first: Statement): void {
    const { scope, layout } = this.#batch;
    const { staging } = layout.plan;
    this.due = [scope.check?.then ?? first, ...this.limitLockWait()];
    this.#id = undefined;
    if (staging !== undefined) this.due.push(staging.create);
  }

  /** With what is due before it. @param absent columns that the rows leave out @param then what follows the COPY at once */
  copyStatement(format: CopyFormat, absent?: string, ...then: Statement[]): Statement {
    this.#sentAt = performance.now();
    const copy = this.#batch.layout.plan.copy(format, absent);
    const statements = sequence([...this.due, copy, ...then, ...this.#identify()]);
    this.due = [];
    return statements;
  }

  #identify(): Statement[] {
    return this.#server === undefined || this.#id !== undefined ? [] : [TRANSACTION_ID];
  }

  /** From the temporary table into the table. */
  async merge(): Promise<void> {
    const { staging } = this.#batch.layout.plan;
    if (staging === undefined) return;
    this.#stage = 'merge';
    const merge = await this.#answerDeadline.wait(
      staging.planAgain?.(this.#lease.client) ?? Promise.resolve(staging.merge),
    );
    if (merge === TIMED_OUT) throw new AbortFault(this.#batch.signal);
    await mergeStaged((statements) => this.query(statements), merge, this.copyContext.pacer);
    this.#stage = 'copy';
  }

  /** Rows that cannot be sent. */
  leaveOut(faults: readonly RowFault[]): Promise<void> {
    const { layout, items } = this.#batch;
    return forEachInTurns(faults.length, (index) => {
      const fault = faults[index]!;
      this.failures.set(fault.row, describeRowFault(fault, layout, fault.row, items[fault.row]));
    });
  }

  /** The rows that are left out, in order. */
  leftOut(): RowFailures {
    return new Map([...this.failures].toSorted(([a], [b]) => a - b));
  }

  /** The places of the others. */
  includedRows(): number[] {
    const rows: number[] = [];
    for (let row = 0; row < this.#batch.items.length; row += 1) if (!this.failures.has(row)) rows.push(row);
    return rows;
  }

  /** Returns what an error means for the search for bad rows. Undefined: no row is known to be at fault. @param sent the rows that were refused */
  refusal(error: Error, sent: SentRows): Refusal<CopyError> | undefined {
    const refusal = refusalOf(error, this.#stage, sent, this.copyContext.pacer);
    // If the connection was lost behind the row's fault, the batch can be tried again: the next statement fails with that loss.
    return this.isOpen ? refusal : undefined;
  }

  /** What comes after the rows. */
  async complete(): Promise<void> {
    const { client } = this.#lease;
    const { beforeCommit, layout, checkpoint, signal, items, failsBatch } = this.#batch;
    if (failsBatch !== undefined) {
      // Past the stages in which the error would be taken for the server's, and its row searched.
      this.#stage = 'beforeCommit';
      for (const error of this.leftOut().values()) if (failsBatch(error)) throw error;
    }
    if (beforeCommit !== undefined) {
      const included = this.failures.size === 0 ? items : this.includedRows().map((row) => items[row]!);
      this.#stage = 'beforeCommit';
      expectOtherStatements(client);
      if (included.length > 0) await unlessAborted(signal, beforeCommit(client, included));
    }
    if (checkpoint !== undefined) {
      this.#stage = 'checkpoint';
      const written = await this.#answerDeadline.wait(checkpoint(client, this.leftOut()));
      if (written === TIMED_OUT) throw new AbortFault(signal);
    }
    // A batch that was given up must not commit beside its successor, which may have newer rows.
    if (signal.aborted && layout.plan.isOrdered) throw new AbortFault(signal);
    this.#stage = 'commit';
    await this.#commit();
  }

  async #commit(): Promise<void> {
    const result = await this.#commitment.run(() => this.query(this.#batch.scope.commit));
    // In a transaction that has failed, the response to COMMIT is ROLLBACK, and no error.
    if (result.command === 'ROLLBACK') {
      const isOfUser = this.#batch.beforeCommit !== undefined;
      throw new Error(
        isOfUser
          ? 'a statement of beforeCommit had failed, so the server rolled the batch back'
          : 'the server answered COMMIT with ROLLBACK, so nothing of the batch is in the table',
      );
    }
  }

  async query(text: Statement, values?: unknown[]): Promise<{ command: string; rows: unknown[] }> {
    this.#sentAt = performance.now();
    const result = await this.#answerDeadline.wait(runStatement(this.#lease.client, text, values));
    if (result === TIMED_OUT) throw new AbortFault(this.#batch.signal);
    return result;
  }

  /**
   * Rolls back after a failure. Unless the server responds in time, the connection is closed.
   *
   * @returns the time limit of the session that `error` reports
   */
  async rollBack(error: Error): Promise<TimeLimit | undefined> {
    const lease = this.#lease;
    const elapsedMs = performance.now() - this.#sentAt;
    const isAtCommit = this.#stage === 'commit';
    if (isTransactionTimeout(error)) {
      await this.#end(error);
      return { setting: 'transaction_timeout', ms: undefined, lockMs: 0, isAtCommit };
    }
    if (!isCancel(error) || !lease.isOut) return this.#end(error);
    try {
      const limit = await this.#limitBehind(error, this.#batch.scope.rollback, elapsedMs, isAtCommit);
      lease.release();
      return limit;
    } catch {
      lease.discard(error);
      return undefined;
    }
  }

  /**
   * Within the transaction: whether `error` says that the statement has exceeded the session's time limit.
   *
   * @param undo takes back what the statement has done
   * @throws `error`, if it is something else, or an `AbortFault` if the batch has been given up meanwhile
   */
  async limitOf(error: Error, undo: Statement): Promise<TimeLimit> {
    if (!isCancel(error) || !this.isOpen) throw error;
    if (this.#batch.signal.aborted) throw new AbortFault(this.#batch.signal);
    const limit = await this.#limitBehind(error, undo, performance.now() - this.#sentAt, false);
    if (limit === undefined) throw error;
    return limit;
  }

  async #limitBehind(
    error: Error,
    undo: Statement,
    elapsedMs: number,
    isAtCommit: boolean,
  ): Promise<TimeLimit | undefined> {
    const { client } = this.#lease;
    // A cancel may come before the savepoint is set: then there is none to return to, and the cancel is what is known.
    const undone = runStatement(client, undo).catch(() => TIMED_OUT);
    if ((await this.#answerDeadline.wait(undone, CLEAN_UP_LIMIT_MS)) === TIMED_OUT) throw error;
    const found = await this.#answerDeadline.wait(runStatement(client, TIME_LIMITS), CLEAN_UP_LIMIT_MS);
    const [limits] = found === TIMED_OUT ? [] : (found.rows as { statement_ms: string; lock_ms: string }[]);
    if (limits === undefined) throw error;
    const ms = Number(limits.statement_ms);
    // A cancel by somebody looks the same, and comes at any time.
    if (ms === 0 || elapsedMs < ms * TIMER_SHARE) return undefined;
    // Within the transaction it may be ours by now.
    const { lockMs = Number(limits.lock_ms) } = this.#batch.statementSize.limit ?? {};
    return { setting: 'statement_timeout', ms, lockMs, isAtCommit };
  }

  /** A wait for a lock does not count as work from here on. */
  limitLockWait(): Statement[] {
    const { lockLimitMs } = this.#batch.statementSize;
    return lockLimitMs === undefined ? [] : [limitLockWait(lockLimitMs)];
  }

  async #end(error: Error): Promise<undefined> {
    const lease = this.#lease;
    if (!lease.isOut) return;
    // An aborted beforeCommit may still be using the connection.
    const isInUse = this.#stage === 'beforeCommit' && error instanceof AbortFault;
    if (lease.isLost || isInUse) {
      lease.discard(error);
      return;
    }
    try {
      const answer = runStatement(lease.client, this.#batch.scope.rollback);
      const result = await this.#answerDeadline.wait(answer, CLEAN_UP_LIMIT_MS);
      if (result === TIMED_OUT) lease.discard(error);
      else lease.release();
    } catch {
      lease.discard(error);
    }
  }
}
