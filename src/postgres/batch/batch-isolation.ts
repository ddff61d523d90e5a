/**
 * Lands a batch without the rows that the table refuses. What the search for them wants to know is tried in the batch's own transaction,
 * behind a savepoint.
 */

import { toError } from '../../common/thrown.js';
import type { Batch, FaultMemory } from '../copy/batch.js';
import type { BatchPacer } from '../copy/batch-pacer.js';
import type { BatchTransaction } from './batch-transaction.js';
import type { CopyError } from '../errors/copy-error.js';
import { copyPieces, SendBuffer, type Piece } from '../copy/copy-pieces.js';
import { describeSlowRow } from '../copy/copy-failure.js';
import { EncodedRows } from '../rows/encoded-rows.js';
import { isolate } from '../isolation/isolate.js';
import type { ByKind, Refusal } from '../isolation/refusal.js';
import type { CopyClient } from '../protocol/pool.js';
import type { RowFault } from '../rows/row-writer.js';
import { SentRows } from '../rows/sent-rows.js';
import { isCancel } from '../errors/sqlstate.js';
import { sequence, statement, type Statement } from '../sql/statement.js';

/** More than this many in a batch. */
const MANY_FAULTS = 4;
/**
 * PostgreSQL puts rows into the table as soon as there are a thousand, or their lines have more than 65 535 bytes. Each that it keeps until
 * then costs it more than one behind it that goes to the same place.
 */
const MOST_READ = { rows: 400, bytes: 60_000 };
/** A line with too many columns. */
const BAD_LINE = '22P04';
const SAVEPOINT = statement('SAVEPOINT spillway_rows');
const ROLLBACK_TO = statement('ROLLBACK TO SAVEPOINT spillway_rows');
const RELEASE = statement('RELEASE SAVEPOINT spillway_rows');
/** Of the statements that a trial is cut into. */
const SLICE = statement('SAVEPOINT spillway_slice');
const RELEASE_SLICE = statement('RELEASE SAVEPOINT spillway_slice');
const UNDO_SLICE = sequence([statement('ROLLBACK TO SAVEPOINT spillway_slice'), RELEASE_SLICE]);
/** What only COMMIT would check is checked with each statement. */
const CHECK_AT_ONCE = statement('SET CONSTRAINTS ALL IMMEDIATE');

/**
 * Completes the transaction. Where the batch does not isolate its rows, looks for the first at fault and throws its error.
 *
 * @param first how the batch as a whole was refused; or the rows that there may be for each fault
 */
export async function isolateRows<T, Client extends CopyClient>(
  batch: Batch<T, Client>,
  transaction: BatchTransaction<T, Client>,
  first: Refusal<CopyError> | ByKind<number | undefined>,
): Promise<void> {
  const { isolates, items, layout, lines, valuesOf, memory, pieces, onEncoded } = batch;
  const faults: RowFault[] = [];
  const encoded =
    lines === undefined
      ? await EncodedRows.write(layout, items, valuesOf, faults, transaction.way.pacer)
      : new EncodedRows(lines);
  await transaction.leaveOut(faults);
  if (layout.absent?.way === 'groups') await onEncoded(encoded.bytes, encoded.hasLeftOut);
  const trials = new RowTrials(batch, transaction, encoded);
  let refusal = first;
  for (let isDeferred = transaction.stage === 'commit' || pieces.checksAtOnce; ; isDeferred = true) {
    if ('error' in refusal) transaction.restart();
    trials.begin(isDeferred);
    const surprises = await isolate<CopyError>({
      count: items.length,
      first: refusal,
      faults: transaction.failures,
      isOrdered: layout.plan.isOrdered,
      mostFaults: isolates ? Infinity : 1,
      mostRows: () => pieces.rows,
      trial: (rows) => trials.trial(rows),
      probe: (pieces) => trials.probe(pieces),
      check: (pieces) => trials.check(pieces),
      mostChecked: Math.min(MOST_READ.rows, Math.ceil(MOST_READ.bytes / encoded.rowBytes)),
    });
    // By themselves all may have passed: then it is the batch as a whole that is refused.
    if (!isolates) {
      const found =
        transaction.leftOut().values().next().value ?? ('error' in first ? first.error : undefined);
      if (found !== undefined) throw found;
    } else memory.gaps = gapsOf(surprises, items.length);
    await trials.end();
    try {
      await transaction.complete();
      pieces.batchLanded(trials.slowestMs);
      return;
    } catch (thrown) {
      const again = isDeferred ? undefined : trials.refusal(toError(thrown), transaction.landed());
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

/** What the search asks, asked of the server. */
class RowTrials<T, Client extends CopyClient> {
  readonly #batch: Batch<T, Client>;
  readonly #transaction: BatchTransaction<T, Client>;
  readonly #encoded: EncodedRows;
  readonly #sendBuffer = new SendBuffer();
  /** How long the slowest trial that has landed its rows took. */
  slowestMs = 0;
  /** Waits for locks end before a statement's time is over. */
  #limitsLocks = false;

  constructor(batch: Batch<T, Client>, transaction: BatchTransaction<T, Client>, encoded: EncodedRows) {
    this.#batch = batch;
    this.#transaction = transaction;
    this.#encoded = encoded;
  }

  begin(isDeferred: boolean): void {
    // A constraint that only COMMIT checks says nothing of rows: now it is checked with each trial.
    if (isDeferred) this.#transaction.due.push(CHECK_AT_ONCE);
    this.#limitsLocks = this.#batch.pieces.limit !== undefined;
    this.#transaction.due.push(SAVEPOINT);
  }

  async end(): Promise<void> {
    const { due } = this.#transaction;
    // The last trial may have failed, or none was needed to find all: what is due then must be done before anything else.
    if (due[0] !== RELEASE) await this.#transaction.query(sequence(due));
    this.#transaction.due = [];
  }

  async trial(rows: readonly number[]): Promise<Refusal<CopyError> | undefined> {
    const refused = await this.#attempt(rows);
    if (refused !== undefined) {
      if (!isCancel(refused.error)) return this.#undo(refused);
      return this.#trySlices(rows, await this.#makeSmaller(refused, rows, ROLLBACK_TO));
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
   * A trial that takes longer than one statement may: in several, each as large as the time limit allows. What has landed stays; the row at
   * which the time was over is tried alone.
   *
   * @param slowest place in `rows` of that row. Undefined: unknown.
   */
  async #trySlices(
    rows: readonly number[],
    slowest: number | undefined,
  ): Promise<Refusal<CopyError> | undefined> {
    const { pieces } = this.#batch;
    let stop = slowest ?? rows.length;
    for (let start = 0; start < rows.length;) {
      const slice = rows.slice(start, start === stop ? start + 1 : Math.min(start + pieces.rows, stop));
      this.#transaction.due.push(SLICE);
      const refused = await this.#attempt(slice);
      if (refused === undefined) {
        start += slice.length;
        if (start > stop) stop = rows.length;
        this.#transaction.due = [RELEASE_SLICE, ...this.#empty()];
      } else if (isCancel(refused.error)) {
        const done = await this.#makeSmaller(refused, slice, UNDO_SLICE);
        if (done !== undefined) stop = start + done;
      } else return this.#undo(refused);
    }
    this.#transaction.due = [RELEASE_SLICE, RELEASE, ...this.#empty(), SAVEPOINT];
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
    const { pieces } = this.#batch;
    const limit = await this.#transaction.limitOf(refused.error, undo);
    const sent = this.#sent(refused.rows);
    const row = sent.positionOf((refused.error as { where?: unknown }).where)?.row;
    const done = row === undefined ? undefined : rows.indexOf(row);
    pieces.tookTooLong(rows.length, limit, done);
    // The first time it may have been a wait for a lock.
    if (rows.length === 1 && this.#limitsLocks) throw describeSlowRow(refused.error, limit, this.#sent(rows));
    this.#limitsLocks = true;
    this.#transaction.due = [...this.#empty(), ...this.#transaction.limitLockWait()];
    return done;
  }

  /** What is over the temporary table takes an answer more for each piece, and is tried piece by piece. */
  async probe(pieces: readonly (readonly number[])[]): Promise<(Refusal<CopyError> | undefined)[]> {
    const refusals: (Refusal<CopyError> | undefined)[] = [];
    const { staging } = this.#batch.layout.plan;
    if (staging !== undefined) {
      for (const rows of pieces) {
        refusals.push(await this.trial(rows));
        this.#transaction.due = [ROLLBACK_TO, staging.empty];
      }
      return refusals;
    }
    refusals.push(...(await this.#undoAll(await this.#refusals(pieces))));
    this.#transaction.due = [ROLLBACK_TO];
    return refusals;
  }

  /** Behind the rows comes a line that is refused in any case, so that none of them is put into the table. */
  async check(pieces: readonly (readonly number[])[]): Promise<(Refusal<CopyError> | undefined)[]> {
    const { names, absent } = this.#batch.layout;
    const end = this.#encoded.refusedLine(names.length + (absent?.way === 'list' ? 1 : 0));
    const refusals = await this.#undoAll(await this.#refusals(pieces, end));
    this.#transaction.due = [ROLLBACK_TO, ...this.#empty()];
    return refusals;
  }

  /** Undefined where it is no row's fault. @param rows those that were refused */
  refusal(error: Error, rows: readonly number[]): Refusal<CopyError> | undefined {
    return this.#transaction.refusal(error, this.#sent(rows));
  }

  /**
   * Copies pieces, each in as many COPYs as its rows need. Of several pieces none is kept.
   *
   * @param end a line that is refused in any case, behind the rows of each COPY
   * @returns for each piece the first error that is about its rows, and the rows of that COPY
   */
  async #refusals(
    pieces: readonly (readonly number[])[],
    end?: Buffer,
  ): Promise<(RefusedRows | undefined)[]> {
    const sent: (Piece & { index: number })[] = [];
    for (const [index, rows] of pieces.entries()) {
      for (const [place, group] of this.#encoded.groups(rows).entries()) {
        // Valid whether the piece before was refused or not.
        if (sent.length > 0 && (place === 0 || end !== undefined)) this.#transaction.due = [ROLLBACK_TO];
        const statement = this.#transaction.copyStatement(this.#encoded.format, group.absent);
        sent.push({ index, statement, rows: group.rows, ...(end !== undefined && { end }) });
      }
    }
    const way = { ...this.#transaction.way, buffer: this.#sendBuffer };
    const errors = await copyPieces(way, sent, this.#encoded);
    const refusals = new Array<RefusedRows | undefined>(pieces.length).fill(undefined);
    for (const [place, { index, rows }] of sent.entries()) {
      const error = errors[place];
      if (error !== undefined && (end === undefined || !this.#isOfEnd(error, rows)))
        refusals[index] ??= { error, rows };
      if (this.#pacer.isTurnSpent()) await this.#pacer.nextTurn();
    }
    return refusals;
  }

  /** The line behind the rows is none of them. */
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
    return this.#transaction.way.pacer;
  }

  /** @throws the error, if it is no row's fault */
  #undo({ error, rows }: RefusedRows): Refusal<CopyError> {
    const refusal = this.refusal(error, rows);
    if (refusal === undefined) throw error;
    const limits = this.#limitsLocks ? this.#transaction.limitLockWait() : [];
    this.#transaction.due = [ROLLBACK_TO, ...limits, ...this.#empty()];
    return refusal;
  }

  /** A piece is made of rows that can be sent. */
  #sent(rows: readonly number[]): SentRows {
    const { layout, items, valuesOf } = this.#batch;
    return new SentRows(layout, items, rows, valuesOf);
  }

  #empty(): Statement[] {
    const { staging } = this.#batch.layout.plan;
    return staging === undefined ? [] : [staging.empty];
  }
}

function gapsOf(faults: ByKind<number>, rows: number): FaultMemory['gaps'] {
  const { reading, writing } = faults;
  if (reading <= MANY_FAULTS && writing <= MANY_FAULTS) return undefined;
  const gap = (count: number) => (count > MANY_FAULTS ? rows / count : undefined);
  return { reading: gap(reading), writing: gap(writing) };
}
