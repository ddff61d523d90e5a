/**
 * Inserts a batch without the rows that the table refuses. The search for them (`isolate`) runs in the batch's own transaction, behind a
 * savepoint.
 */

import { toError } from '../../common/thrown.js';
import type { Batch, FaultMemory, RowFailures } from '../copy/batch.js';
import type { BatchPacer } from '../copy/batch-pacer.js';
import type { BatchTransaction } from './batch-transaction.js';
import type { CopyError } from '../errors/copy-error.js';
import { copySlices, SendBuffer, type Slice } from '../copy/copy-slices.js';
import { describeSlowRow } from '../copy/copy-failure.js';
import { EncodedRows } from '../rows/encoded-rows.js';
import { isolate } from '../isolation/isolate.js';
import { refusedKey } from '../isolation/candidates.js';
import type { ByKind, Refusal, Prediction } from '../isolation/refusal.js';
import type { CopyClient } from '../protocol/pool.js';
import type { RowFault } from '../rows/row-fault.js';
import type { RowLayout } from '../rows/row-layout.js';
import { SentRows } from '../rows/sent-rows.js';
import { isCancel } from '../errors/sqlstate.js';
import { sequence, statement, type Statement } from '../sql/statement.js';

/** With more faults than this, the next batch is not tried as a whole first. */
const MANY_FAULTS = 4;
/**
 * The most rows and bytes that are only parsed. PostgreSQL inserts rows as soon as it has a thousand, or lines of more than 65 535 bytes, and
 * each row that it keeps until then costs more than the one before.
 */
const MOST_READ = { rows: 400, bytes: 60_000 };
/** A line with too many columns. */
const BAD_LINE = '22P04';
const SAVEPOINT = statement('SAVEPOINT spillway_rows');
const ROLLBACK_TO = statement('ROLLBACK TO SAVEPOINT spillway_rows');
const RELEASE = statement('RELEASE SAVEPOINT spillway_rows');
/** For each of the statements that an insert is cut into. */
const SUB_BATCH = statement('SAVEPOINT spillway_sub_batch');
const RELEASE_SUB_BATCH = statement('RELEASE SAVEPOINT spillway_sub_batch');
const UNDO_SUB_BATCH = sequence([statement('ROLLBACK TO SAVEPOINT spillway_sub_batch'), RELEASE_SUB_BATCH]);
/** Constraints that COMMIT would check are checked with each statement. */
const CHECK_AT_ONCE = statement('SET CONSTRAINTS ALL IMMEDIATE');

/**
 * Completes the transaction. Where the batch does not isolate its rows, looks for the first at fault and throws its error.
 *
 * @param first how the batch as a whole was refused; or the rows that there may be for each fault
 * @param predictions what is tried first in that case
 */
export async function isolateRows<T, Client extends CopyClient>(
  batch: Batch<T, Client>,
  transaction: BatchTransaction<T, Client>,
  first: Refusal<CopyError> | ByKind<number | undefined>,
  predictions: readonly Prediction[] = [],
): Promise<void> {
  const { isolates, items, layout, rows, valuesOf, memory, statementSize, onEncoded } = batch;
  const faults: RowFault[] = [];
  const { pacer } = transaction.copyContext;
  // A row that is refused for a value of its own is not sent again. It may be so long that each copy of it counts.
  const refused = 'error' in first && first.isOfValue ? first.row : undefined;
  const encoded =
    rows.kind === 'lines'
      ? new EncodedRows(rows.lines)
      : await EncodedRows.write(layout, items, valuesOf, faults, pacer, refused);
  await transaction.leaveOut(faults);
  if (layout.absent?.way === 'groups') await onEncoded(encoded.bytes, encoded.hasLeftOut);
  const search = new RowSearch(batch, transaction, encoded);
  let refusal = first;
  for (let isDeferred = transaction.stage === 'commit' || statementSize.checksAtOnce; ; isDeferred = true) {
    if ('error' in refusal) await transaction.restart();
    search.begin(isDeferred);
    const unpredicted = await isolate<CopyError>({
      count: items.length,
      first: refusal,
      predictions,
      faults: transaction.failures,
      isOrdered: layout.plan.isOrdered,
      mostFaults: isolates ? Infinity : 1,
      mostRows: () => statementSize.rows,
      insert: (rows) => search.insert(rows),
      dryRun: (slices) => search.dryRun(slices),
      parseOnly: (slices) => search.parseOnly(slices),
      mostParsed: Math.min(MOST_READ.rows, Math.ceil(MOST_READ.bytes / encoded.rowBytes)),
    });
    // Each row may have been accepted by itself: then the batch as a whole is refused.
    if (!isolates) {
      const found =
        transaction.leftOut().values().next().value ?? ('error' in first ? first.error : undefined);
      if (found !== undefined) throw found;
    } else {
      memory.faultSpacing = faultSpacingOf(unpredicted, items.length);
      memory.repeatedKey = repeatedKeyOf(transaction.failures, layout);
    }
    await search.end();
    try {
      await transaction.complete();
      statementSize.batchCommitted(search.slowestMs);
      return;
    } catch (thrown) {
      const again = isDeferred ? undefined : search.refusal(toError(thrown), transaction.includedRows());
      if (again === undefined || transaction.stage !== 'commit') throw thrown;
      refusal = again;
    }
  }
}

/** A COPY that was refused. */
interface RefusedRows {
  readonly error: Error;
  readonly rows: readonly number[];
}

/** Inserts, dry runs and parse-only runs of the search, as COPYs of the batch's transaction. */
class RowSearch<T, Client extends CopyClient> {
  readonly #batch: Batch<T, Client>;
  readonly #transaction: BatchTransaction<T, Client>;
  readonly #encoded: EncodedRows;
  readonly #sendBuffer = new SendBuffer();
  /** The duration of the slowest statement that has inserted its rows. */
  slowestMs = 0;
  /** Waits for locks end before a statement's time is over. */
  #limitsLocks = false;

  constructor(batch: Batch<T, Client>, transaction: BatchTransaction<T, Client>, encoded: EncodedRows) {
    this.#batch = batch;
    this.#transaction = transaction;
    this.#encoded = encoded;
  }

  begin(isDeferred: boolean): void {
    // A constraint that only COMMIT checks names no rows: now it is checked with each statement.
    if (isDeferred) this.#transaction.due.push(CHECK_AT_ONCE);
    this.#limitsLocks = this.#batch.statementSize.limit !== undefined;
    this.#transaction.due.push(SAVEPOINT);
  }

  async end(): Promise<void> {
    const { due } = this.#transaction;
    // If the last statement failed, or none was needed, the statements that are due must run before anything else.
    if (due[0] !== RELEASE) await this.#transaction.query(sequence(due));
    this.#transaction.due = [];
  }

  async insert(rows: readonly number[]): Promise<Refusal<CopyError> | undefined> {
    const refused = await this.#attempt(rows);
    if (refused !== undefined) {
      if (!isCancel(refused.error)) return this.#undo(refused);
      return this.#insertSubBatches(rows, await this.#makeSmaller(refused, rows, ROLLBACK_TO));
    }
    this.#transaction.due = [RELEASE, ...this.#empty(), SAVEPOINT];
    return undefined;
  }

  async #attempt(rows: readonly number[]): Promise<RefusedRows | undefined> {
    const startedAt = performance.now();
    const [refused] = await this.#refusals([rows]);
    if (refused !== undefined) return refused;
    try {
      await this.#transaction.merge();
    } catch (thrown) {
      return { error: toError(thrown), rows };
    }
    this.slowestMs = Math.max(this.slowestMs, performance.now() - startedAt);
    return undefined;
  }

  /**
   * Inserts in several statements what takes too long in one. Each is as large as the time limit allows. Rows that were inserted stay; the row
   * at which the time was over is tried alone.
   *
   * @param slowest place in `rows` of that row. Undefined: unknown.
   */
  async #insertSubBatches(
    rows: readonly number[],
    slowest: number | undefined,
  ): Promise<Refusal<CopyError> | undefined> {
    const { statementSize } = this.#batch;
    let stop = slowest ?? rows.length;
    for (let start = 0; start < rows.length;) {
      const subBatch = rows.slice(
        start,
        start === stop ? start + 1 : Math.min(start + statementSize.rows, stop),
      );
      this.#transaction.due.push(SUB_BATCH);
      const refused = await this.#attempt(subBatch);
      if (refused === undefined) {
        start += subBatch.length;
        if (start > stop) stop = rows.length;
        this.#transaction.due = [RELEASE_SUB_BATCH, ...this.#empty()];
      } else if (isCancel(refused.error)) {
        const done = await this.#makeSmaller(refused, subBatch, UNDO_SUB_BATCH);
        if (done !== undefined) stop = start + done;
      } else return this.#undo(refused);
    }
    this.#transaction.due = [RELEASE_SUB_BATCH, RELEASE, ...this.#empty(), SAVEPOINT];
    return undefined;
  }

  /**
   * Learns from a statement that took too long.
   *
   * @returns how many of its rows it had done by then. Undefined: unknown.
   * @throws {CopyError} `setup`, if one row alone takes too long; or the error itself, if it is not about the time limit
   */
  async #makeSmaller(
    refused: RefusedRows,
    rows: readonly number[],
    undo: Statement,
  ): Promise<number | undefined> {
    const { statementSize } = this.#batch;
    const limit = await this.#transaction.limitOf(refused.error, undo);
    const sent = this.#sent(refused.rows);
    const row = sent.positionOf((refused.error as { where?: unknown }).where)?.row;
    const done = row === undefined ? undefined : rows.indexOf(row);
    statementSize.tookTooLong(rows.length, limit, done);
    // The first time it may have been a wait for a lock.
    if (rows.length === 1 && this.#limitsLocks) throw describeSlowRow(refused.error, limit, this.#sent(rows));
    this.#limitsLocks = true;
    this.#transaction.due = [...this.#empty(), ...this.#transaction.limitLockWait()];
    return done;
  }

  /** With a temporary table, each slice needs a round trip of its own for the merge. */
  async dryRun(slices: readonly (readonly number[])[]): Promise<(Refusal<CopyError> | undefined)[]> {
    const refusals: (Refusal<CopyError> | undefined)[] = [];
    const { staging } = this.#batch.layout.plan;
    if (staging !== undefined) {
      for (const rows of slices) {
        refusals.push(await this.insert(rows));
        this.#transaction.due = [ROLLBACK_TO, staging.empty];
      }
      return refusals;
    }
    refusals.push(...(await this.#undoAll(await this.#refusals(slices))));
    this.#transaction.due = [ROLLBACK_TO];
    return refusals;
  }

  /** Ends each slice with a line that is always refused, so that no row of it is inserted. */
  async parseOnly(slices: readonly (readonly number[])[]): Promise<(Refusal<CopyError> | undefined)[]> {
    const { names, absent } = this.#batch.layout;
    const end = this.#encoded.refusedLine(names.length + (absent?.way === 'list' ? 1 : 0));
    const refusals = await this.#undoAll(await this.#refusals(slices, end));
    this.#transaction.due = [ROLLBACK_TO, ...this.#empty()];
    return refusals;
  }

  /** Returns undefined if the error is no row's fault. @param rows the rows that were refused */
  refusal(error: Error, rows: readonly number[]): Refusal<CopyError> | undefined {
    return this.#transaction.refusal(error, this.#sent(rows));
  }

  /**
   * Copies slices, each in as many COPYs as its rows need. Of several slices none is kept.
   *
   * @param end a line that is refused in any case, behind the rows of each COPY
   * @returns for each slice the first error that is about its rows, and the rows of that COPY
   */
  async #refusals(
    slices: readonly (readonly number[])[],
    end?: Buffer,
  ): Promise<(RefusedRows | undefined)[]> {
    const sent: (Slice & { index: number })[] = [];
    for (const [index, rows] of slices.entries()) {
      for (const [place, group] of this.#encoded.groups(rows).entries()) {
        // Valid whether the slice before was refused or not.
        if (sent.length > 0 && (place === 0 || end !== undefined)) this.#transaction.due = [ROLLBACK_TO];
        const statement = this.#transaction.copyStatement(this.#encoded.format, group.absent);
        sent.push({ index, statement, rows: group.rows, ...(end !== undefined && { end }) });
      }
    }
    const context = { ...this.#transaction.copyContext, buffer: this.#sendBuffer };
    const errors = await copySlices(context, sent, this.#encoded);
    const refusals = new Array<RefusedRows | undefined>(slices.length).fill(undefined);
    for (const [place, { index, rows }] of sent.entries()) {
      const error = errors[place];
      if (error !== undefined && (end === undefined || !this.#isOfEnd(error, rows)))
        refusals[index] ??= { error, rows };
      if (this.#pacer.isTurnSpent()) await this.#pacer.nextTurn();
    }
    return refusals;
  }

  /** Returns whether an error is about the line behind the rows. */
  #isOfEnd(error: Error, rows: readonly number[]): boolean {
    const { code, where } = error as { code?: unknown; where?: unknown };
    return code === BAD_LINE && this.#sent(rows).positionOf(where) === undefined;
  }

  async #undoAll(refused: readonly (RefusedRows | undefined)[]): Promise<(Refusal<CopyError> | undefined)[]> {
    const refusals: (Refusal<CopyError> | undefined)[] = [];
    for (const one of refused) {
      refusals.push(one && this.#undo(one));
      if (this.#pacer.isTurnSpent()) await this.#pacer.nextTurn();
    }
    return refusals;
  }

  get #pacer(): BatchPacer {
    return this.#transaction.copyContext.pacer;
  }

  /** @throws the error, if it is no row's fault */
  #undo({ error, rows }: RefusedRows): Refusal<CopyError> {
    const refusal = this.refusal(error, rows);
    if (refusal === undefined) throw error;
    const limits = this.#limitsLocks ? this.#transaction.limitLockWait() : [];
    this.#transaction.due = [ROLLBACK_TO, ...limits, ...this.#empty()];
    return refusal;
  }

  /** A slice is made of rows that can be sent. */
  #sent(rows: readonly number[]): SentRows {
    const { layout, items, valuesOf } = this.#batch;
    return new SentRows(layout, items, rows, valuesOf);
  }

  #empty(): Statement[] {
    const { staging } = this.#batch.layout.plan;
    return staging === undefined ? [] : [staging.empty];
  }
}

function repeatedKeyOf(failures: RowFailures, layout: RowLayout): readonly string[] | undefined {
  for (const { cause } of failures.values()) {
    const key = refusedKey(toError(cause), { layout });
    if (key !== undefined) return key;
  }
  return undefined;
}

function faultSpacingOf(faults: ByKind<number>, rows: number): FaultMemory['faultSpacing'] {
  const { reading, writing } = faults;
  if (reading <= MANY_FAULTS && writing <= MANY_FAULTS) return undefined;
  const spacingOf = (count: number) => (count > MANY_FAULTS ? rows / count : undefined);
  return { reading: spacingOf(reading), writing: spacingOf(writing) };
}
