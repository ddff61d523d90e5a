/**
 * One batch, one transaction: BEGIN, COPY, the caller's own statements, COMMIT. Where the table refuses a row and bad rows are to be
 * isolated, the same transaction lands the others, with a savepoint before each trial.
 */

import { toError } from '../errors.js';
import { ClientLease } from './client-lease.js';
import type { CopyError } from './copy-error.js';
import { blameRow, describeBatchFailure, describeRowFault } from './copy-failure.js';
import { BinaryRefusal } from './binary-chunk.js';
import type { BinaryFormat, FormatChoice } from './copy-format.js';
import { copyPieces, SendBuffer } from './copy-pieces.js';
import { BINARY_FORMAT, TEXT_FORMAT, type CopyFormat } from './copy-plan.js';
import { CLEAN_UP_LIMIT_MS, copyChunks } from './copy-rows.js';
import { EncodedRows, type WrittenLines } from './encoded-rows.js';
import { isolate, type ByKind, type Refusal } from './isolation.js';
import { LineTranscoder, type TextLines } from './line-transcoder.js';
import { AbortFault, LATE, Patience, unlessAborted } from './patience.js';
import type { CopyClient, CopyPool } from './pool.js';
import type { RowLayout } from './row-layout.js';
import { RowWriter, type RowFault, type ValuesOf } from './row-writer.js';
import { SentRows } from './sent-rows.js';
import { classify, isOfMessageReader, mayLeaveConnectionUsable } from './sqlstate.js';
import { repeatedKeys, suspectRows } from './suspects.js';
import type { TransactionScope } from './transaction-scope.js';

export type BatchStage = 'connect' | 'copy' | 'merge' | 'beforeCommit' | 'mark' | 'commit';

/** Why a batch failed, and where; `cause` is whatever was thrown. */
export class BatchFailure extends Error {
  override readonly name = 'BatchFailure';
  readonly stage: BatchStage;
  override readonly cause: Error;

  constructor(stage: BatchStage, cause: Error) {
    super(cause.message);
    this.stage = stage;
    this.cause = cause;
  }
}

/** Rows at fault by their places in the batch, in order. */
export type RowFailures = ReadonlyMap<number, CopyError>;

/** Shared by the batches of a table: where the last one had many rows at fault, the next one is not tried as a whole first. */
export interface FaultMemory {
  /** Rows for each fault, where they were many; undefined: of no kind were there many. */
  gaps: ByKind<number | undefined> | undefined;
}

/** More than this many in a batch. */
const MANY_FAULTS = 4;
/**
 * PostgreSQL puts rows into the table as soon as there are a thousand, or their lines have more than 65 535 bytes. Each that it keeps until
 * then costs it more than one behind it that goes to the same place.
 */
const MOST_READ = { rows: 400, bytes: 60_000 };
/** A line with too many columns. */
const BAD_LINE = '22P04';

/** Rows that are written already, in whatever format. */
export interface WrittenRows {
  format: CopyFormat;
  chunks: readonly Buffer[];
  /** Set where the chunks are lines of text, which can be read here, too. */
  textLines?: TextLines | undefined;
}

export interface Batch<T, Client extends CopyClient> {
  pool: CopyPool<Client>;
  layout: RowLayout;
  items: readonly T[];
  /** Stand in place of `items`; all of them land, or none. */
  written?: WrittenRows;
  /** The items, where they are written already. */
  lines?: WrittenLines | undefined;
  signal: AbortSignal;
  scope: TransactionScope;
  /** The row that an item stands for; undefined: itself. */
  valuesOf: ValuesOf | undefined;
  /** Rows at fault are found and left out. Otherwise the first one fails the batch. */
  isolates: boolean;
  memory: FaultMemory;
  format: FormatChoice;
  /** Learns how many bytes the rows have taken. */
  onEncoded: (bytes: number) => void;
  /** The table is perhaps no longer what the layout was made for. */
  onStaleLayout: () => void;
  beforeCommit: ((client: Client, items: readonly T[]) => Promise<unknown>) | undefined;
  /** Runs last in the transaction. */
  mark: ((client: Client, failures: RowFailures) => Promise<unknown>) | undefined;
}

/** @returns the rows that were left out @throws {BatchFailure} */
export async function copyBatch<T, Client extends CopyClient>(batch: Batch<T, Client>): Promise<RowFailures> {
  const patience = new Patience(batch.signal);
  let lease: ClientLease<Client> | undefined;
  let transaction: BatchTransaction<T, Client> | undefined;
  try {
    lease = await ClientLease.take(batch.pool, batch.signal);
    transaction = new BatchTransaction(batch, lease, patience);
    const failures = await transaction.run();
    lease.release();
    return failures;
  } catch (thrown) {
    const stage = transaction?.stage ?? 'connect';
    const error = toError(thrown);
    if (lease !== undefined) await cleanUp(lease, stage, error, batch.scope, patience);
    throw new BatchFailure(stage, error);
  } finally {
    patience.end();
  }
}

/** In node-postgres' words, so that it is classified alike. */
const NO_ANSWER = 'Connection terminated: no answer to the end of a COPY that was given up';
const SAVEPOINT = 'SAVEPOINT spillway_rows';
const ROLLBACK_TO = 'ROLLBACK TO SAVEPOINT spillway_rows';
const RELEASE = 'RELEASE SAVEPOINT spillway_rows';

class BatchTransaction<T, Client extends CopyClient> {
  stage: BatchStage = 'copy';
  readonly #batch: Batch<T, Client>;
  readonly #lease: ClientLease<Client>;
  readonly #patience: Patience;
  #failures = new Map<number, CopyError>();
  /** Statements that are due before the next one: sent with it, which saves a round trip. */
  #due: string[] = [];
  /** The server has refused the batch in binary: where it takes it as text, the layout is out of date. */
  #isDoubtful = false;
  /** Rows that cannot be sent. */
  #faults: readonly RowFault[] = [];
  readonly #sendBuffer = new SendBuffer();

  constructor(batch: Batch<T, Client>, lease: ClientLease<Client>, patience: Patience) {
    this.#batch = batch;
    this.#lease = lease;
    this.#patience = patience;
  }

  async run(): Promise<RowFailures> {
    const { scope, isolates, memory, format, layout, written, lines, onStaleLayout } = this.#batch;
    const binary = lines === undefined ? layout.binary : undefined;
    this.#begin(scope.begin);
    if (written !== undefined) {
      await this.#land(written);
      return this.#failures;
    }
    if (isolates && memory.gaps !== undefined) {
      await this.#isolate(memory.gaps);
      return this.#inOrder();
    }
    try {
      if (format.isBinary(binary, 'values') && (await this.#landsInBinary(() => this.#copyAll(binary)))) {
        return this.#inOrder();
      }
      await this.#copyAll(undefined);
      await this.#complete();
      if (this.#isDoubtful) onStaleLayout();
      return this.#inOrder();
    } catch (thrown) {
      const refusal = this.#refusal(toError(thrown), undefined);
      if (refusal === undefined) throw thrown;
      // Where nobody takes bad rows, only the first is looked for, so that the error can name it.
      if (!isolates && refusal.row !== undefined) throw refusal.error;
      await this.#isolate(refusal);
      return this.#inOrder();
    }
  }

  async #land(written: WrittenRows): Promise<void> {
    const { format, layout, onStaleLayout } = this.#batch;
    const { chunks, textLines } = written;
    const { binary } = layout;
    if (textLines !== undefined && format.isBinary(binary, 'lines')) {
      const transcoder = new LineTranscoder(chunks, textLines, binary.encoders);
      const copy = async (): Promise<void> => {
        await this.#sendBinary(binary, () => transcoder.next());
        await this.#merge();
      };
      if (await this.#landsInBinary(copy)) return;
    }
    await this.#copyWritten(written);
    await this.#complete();
    if (this.#isDoubtful) onStaleLayout();
  }

  /** False: nothing has landed, and the same rows are to be sent as text: where one is at fault, that finds it, and its words are the text's. */
  async #landsInBinary(copy: () => Promise<void>): Promise<boolean> {
    const { scope, format, signal } = this.#batch;
    try {
      await copy();
      await this.#complete();
      format.landed();
      return true;
    } catch (thrown) {
      const error = toError(thrown);
      // That the rows are to go as text is no reason why the connection went.
      if (error instanceof BinaryRefusal && !this.#lease.isOut) {
        throw signal.aborted ? new AbortFault(signal) : new Error(NO_ANSWER);
      }
      if (!this.#mayLandAsText(error)) throw thrown;
      format.failed();
      this.#isDoubtful = !(error instanceof BinaryRefusal);
      this.stage = 'copy';
      this.#failures.clear();
      this.#begin(scope.restart);
      return false;
    }
  }

  /** Once all rows have been taken, and their types found right, no other format would change what follows. */
  #mayLandAsText(error: Error): boolean {
    if (!this.#lease.isOut || (this.stage !== 'copy' && this.stage !== 'merge')) return false;
    if (error instanceof BinaryRefusal || isOfMessageReader(error)) return true;
    return mayLeaveConnectionUsable(error) && classify(error) !== 'transport';
  }

  #inOrder(): RowFailures {
    return new Map([...this.#failures].toSorted(([a], [b]) => a - b));
  }

  #begin(statement: string): void {
    const { staging } = this.#batch.layout.plan;
    this.#due = [statement];
    if (staging !== undefined) this.#due.push(staging.create);
  }

  /** @param first how the batch as a whole was refused; or the rows that there may be for each fault */
  async #isolate(first: Refusal<CopyError> | ByKind<number | undefined>): Promise<void> {
    const { scope, isolates, items, layout, lines, valuesOf, memory } = this.#batch;
    const faults: RowFault[] = [];
    const encoded =
      lines === undefined ? EncodedRows.write(layout, items, valuesOf, faults) : new EncodedRows(lines);
    this.#leaveOut(faults);
    let refusal = first;
    for (let isDeferred = this.#stage() === 'commit'; ; isDeferred = true) {
      this.stage = 'copy';
      if ('error' in refusal) this.#begin(scope.restart);
      // A constraint that only COMMIT checks says nothing of rows: now it is checked with each trial.
      if (isDeferred) this.#due.push('SET CONSTRAINTS ALL IMMEDIATE');
      this.#due.push(SAVEPOINT);
      const surprises = await isolate<CopyError>({
        count: items.length,
        first: refusal,
        faults: this.#failures,
        mostFaults: isolates ? Infinity : 1,
        trial: (rows) => this.#trial(encoded, rows),
        probe: (pieces) => this.#probe(encoded, pieces),
        check: (pieces) => this.#check(encoded, pieces),
        mostChecked: Math.min(MOST_READ.rows, Math.ceil(MOST_READ.bytes / encoded.rowBytes)),
      });
      // By themselves all may have passed: then it is the batch as a whole that is refused.
      if (!isolates) throw this.#inOrder().values().next().value ?? (first as Refusal<CopyError>).error;
      memory.gaps = gapsOf(surprises, items.length);
      // The last trial may have failed, or none was needed to find all: what is due then must be done before anything else.
      if (this.#due[0] !== RELEASE) await this.#query(this.#due.join('; '));
      this.#due = [];
      try {
        await this.#complete();
        return;
      } catch (thrown) {
        const again = isDeferred ? undefined : this.#refusal(toError(thrown), this.#landed());
        if (again === undefined || this.#stage() !== 'commit') throw thrown;
        refusal = again;
      }
    }
  }

  /** For the compiler, which takes what was assigned last for what still holds. */
  #stage(): BatchStage {
    return this.stage;
  }

  async #copyWritten({ format, chunks }: WrittenRows): Promise<void> {
    let next = 0;
    await copyChunks(this.#way, this.#statement(format), () => chunks[next++]);
    await this.#merge();
  }

  /** The first attempt: all rows, written as they are sent. */
  async #copyAll(binary: BinaryFormat | undefined): Promise<void> {
    const { layout, lines, valuesOf, isolates, items, onEncoded } = this.#batch;
    if (lines !== undefined) {
      const encoded = new EncodedRows(lines);
      const rows = [...items.keys()];
      const bytes = Buffer.allocUnsafeSlow(encoded.bytesOf(rows));
      encoded.write(rows, bytes, 0);
      await this.#copyWritten({ format: lines.format, chunks: [bytes] });
      return;
    }
    const faults: RowFault[] = [];
    const writer = new RowWriter(layout, valuesOf, isolates ? faults : undefined, binary);
    try {
      let row = 0;
      let bytes = 0;
      const nextChunk = (): Buffer | undefined => {
        if (row === items.length) {
          onEncoded(bytes);
          return undefined;
        }
        row = writer.fill(items, row);
        bytes += writer.length;
        return writer.take();
      };
      if (binary === undefined) await copyChunks(this.#way, this.#statement(TEXT_FORMAT), nextChunk);
      else await this.#sendBinary(binary, nextChunk);
    } finally {
      this.#leaveOut(faults);
    }
    await this.#merge();
  }

  #sendBinary({ check }: BinaryFormat, nextChunk: () => Buffer | undefined): Promise<void> {
    const way = { ...this.#way, isKept: mayLeaveConnectionUsable };
    return copyChunks(way, this.#statement(BINARY_FORMAT, check), nextChunk);
  }

  async #trial(encoded: EncodedRows, rows: readonly number[]): Promise<Refusal<CopyError> | undefined> {
    try {
      const [error] = await copyPieces(this.#way, [{ statement: this.#statement(), rows }], encoded);
      if (error !== undefined) throw error;
      await this.#merge();
      this.#due = [RELEASE, ...this.#empty(), SAVEPOINT];
      return undefined;
    } catch (thrown) {
      return this.#undo(toError(thrown), rows);
    }
  }

  /** What is over the temporary table takes an answer more for each piece, and is tried piece by piece. */
  async #probe(
    encoded: EncodedRows,
    pieces: readonly (readonly number[])[],
  ): Promise<(Refusal<CopyError> | undefined)[]> {
    const refusals: (Refusal<CopyError> | undefined)[] = [];
    const { staging } = this.#batch.layout.plan;
    if (staging !== undefined) {
      for (const rows of pieces) {
        refusals.push(await this.#trial(encoded, rows));
        this.#due = [ROLLBACK_TO, staging.empty];
      }
      return refusals;
    }
    const errors = await this.#copySideBySide(encoded, pieces);
    for (const [index, error] of errors.entries()) {
      refusals.push(error === undefined ? undefined : this.#undo(error, pieces[index]!));
    }
    this.#due = [ROLLBACK_TO];
    return refusals;
  }

  /** Behind the rows comes a line that is refused in any case, so that none of them is put into the table. */
  async #check(
    encoded: EncodedRows,
    pieces: readonly (readonly number[])[],
  ): Promise<(Refusal<CopyError> | undefined)[]> {
    const { layout, items, valuesOf } = this.#batch;
    const end = encoded.refusedLine(layout.names.length);
    const errors = await this.#copySideBySide(encoded, pieces, end);
    const refusals = errors.map((error, index) => {
      const rows = pieces[index]!;
      const { code, where } = (error ?? {}) as { code?: unknown; where?: unknown };
      // The line behind the rows is none of them.
      const hasPassed =
        code === BAD_LINE && new SentRows(layout, items, rows, valuesOf).positionOf(where) === undefined;
      return error === undefined || hasPassed ? undefined : this.#undo(error, rows);
    });
    this.#due = [ROLLBACK_TO, ...this.#empty()];
    return refusals;
  }

  /** None of them is kept. @param end follows the rows of each */
  #copySideBySide(
    encoded: EncodedRows,
    pieces: readonly (readonly number[])[],
    end?: Buffer,
  ): Promise<(Error | undefined)[]> {
    // Valid whether the piece before was refused or not.
    const first = this.#statement();
    this.#due = [ROLLBACK_TO];
    const again = this.#statement();
    const sent = pieces.map((rows, index) => ({
      statement: index === 0 ? first : again,
      rows,
      ...(end === undefined ? {} : { end }),
    }));
    return copyPieces(this.#way, sent, encoded);
  }

  /** @throws `error` where it is no row's fault */
  #undo(error: Error, rows: readonly number[]): Refusal<CopyError> {
    const refusal = this.#refusal(error, rows);
    if (refusal === undefined) throw error;
    this.#due = [ROLLBACK_TO, ...this.#empty()];
    return refusal;
  }

  #empty(): string[] {
    const { staging } = this.#batch.layout.plan;
    return staging === undefined ? [] : [staging.empty];
  }

  get #way() {
    return {
      lease: this.#lease,
      patience: this.#patience,
      signal: this.#batch.signal,
      buffer: this.#sendBuffer,
    };
  }

  /** @param then what follows the COPY at once */
  #statement(format: CopyFormat = this.#batch.lines?.format ?? TEXT_FORMAT, ...then: string[]): string {
    const statement = [...this.#due, this.#batch.layout.plan.copy(format), ...then].join('; ');
    this.#due = [];
    return statement;
  }

  /** From the temporary table into the table. */
  async #merge(): Promise<void> {
    const { staging } = this.#batch.layout.plan;
    if (staging === undefined) return;
    this.stage = 'merge';
    await this.#query(staging.merge);
    this.stage = 'copy';
  }

  #leaveOut(faults: readonly RowFault[]): void {
    const { layout, items } = this.#batch;
    this.#faults = faults;
    for (const fault of faults) {
      this.#failures.set(fault.row, describeRowFault(fault, layout, fault.row, items[fault.row]));
    }
  }

  /** What comes after the rows. */
  async #complete(): Promise<void> {
    const { client } = this.#lease;
    const { beforeCommit, mark, signal, items } = this.#batch;
    if (beforeCommit !== undefined) {
      const landed = this.#failures.size === 0 ? items : this.#landed().map((row) => items[row]!);
      this.stage = 'beforeCommit';
      if (landed.length > 0) await unlessAborted(signal, beforeCommit(client, landed));
    }
    if (mark !== undefined) {
      this.stage = 'mark';
      const marked = await this.#patience.wait(mark(client, this.#inOrder()));
      if (marked === LATE) throw new AbortFault(signal);
    }
    this.stage = 'commit';
    await this.#commit();
  }

  async #commit(): Promise<void> {
    const result = await this.#query(this.#batch.scope.commit);
    // A transaction that has failed answers COMMIT with ROLLBACK, and no error.
    if (result.command === 'ROLLBACK') {
      throw new Error('a statement of beforeCommit had failed, so the server rolled the batch back');
    }
  }

  async #query(statement: string): Promise<{ command: string }> {
    const result = await this.#patience.wait(this.#lease.client.query(statement));
    if (result === LATE) throw new AbortFault(this.#batch.signal);
    return result;
  }

  #landed(): number[] {
    const rows: number[] = [];
    for (let row = 0; row < this.#batch.items.length; row += 1) if (!this.#failures.has(row)) rows.push(row);
    return rows;
  }

  /** What a row's fault says, or undefined where it is none, or none that can be laid on a row. */
  #refusal(error: Error, rows: readonly number[] | undefined): Refusal<CopyError> | undefined {
    const { stage } = this;
    if (stage !== 'copy' && stage !== 'merge' && stage !== 'commit') return undefined;
    const { layout, items, valuesOf } = this.#batch;
    // A piece is made of rows that can be sent.
    const sent = new SentRows(layout, items, rows, valuesOf, rows === undefined ? this.#faults : []);
    const described = describeBatchFailure({ stage, cause: error }, layout, sent);
    // Where the connection was lost after the row's fault had come, the next statement tells, and the batch can be tried again.
    if (described.failureClass !== 'row' || !this.#lease.isOut) return undefined;
    const alone = sent.length === 1 && described.row === undefined ? sent.rowAt(0) : undefined;
    return {
      error: alone === undefined ? described : blameRow(described, alone, items[alone]),
      row: described.row,
      suspects: () => suspectRows(error, described.row, described.column, sent),
      // Of the whole batch: what one piece says of a key holds for all.
      ...(isOfKey(described.sqlState) && {
        pairs: () => repeatedKeys(error, new SentRows(layout, items, undefined, valuesOf)),
      }),
      mayPassLater: mayPassLater(described.sqlState, layout),
      isOfValue: isOfValue(error, described, layout),
      isOnReading: described.row !== undefined && !isOfKey(described.sqlState),
    };
  }
}

function gapsOf(faults: ByKind<number>, rows: number): FaultMemory['gaps'] {
  const { reading, writing } = faults;
  if (reading <= MANY_FAULTS && writing <= MANY_FAULTS) return undefined;
  const gap = (count: number) => (count > MANY_FAULTS ? rows / count : undefined);
  return { reading: gap(reading), writing: gap(writing) };
}

/** A unique key may be taken by a row that is at fault itself; a row may refer to one of the same table that comes later. */
function mayPassLater(sqlState: string | undefined, layout: RowLayout): boolean {
  return sqlState === '23503' ? layout.refersToItself : isOfKey(sqlState);
}

/** Unique, or excluding others: looked at when rows are put into the table, many of them together. */
function isOfKey(sqlState: string | undefined): boolean {
  return sqlState === '23505' || sqlState === '23P01';
}

/** Whether no other row has a part in it. Without triggers only unique keys, and foreign keys to the table itself, look at other rows. */
function isOfValue(error: Error, { sqlState, column }: CopyError, layout: RowLayout): boolean {
  if (sqlState === undefined) return false;
  // Where a value is read, only the context names its column: what a trigger raises may name one, too.
  const isNamedByContext = column !== undefined && (error as { column?: unknown }).column === undefined;
  if (sqlState.startsWith('22') && isNamedByContext) return true;
  if (layout.hasTriggers) return false;
  if (sqlState === '23503') return !layout.refersToItself;
  return sqlState.startsWith('22') || sqlState === '23502' || sqlState === '23514';
}

async function cleanUp(
  lease: ClientLease<CopyClient>,
  stage: BatchStage,
  error: Error,
  scope: TransactionScope,
  patience: Patience,
): Promise<void> {
  if (!lease.isOut) return;
  // An aborted beforeCommit may still be using the connection.
  const isInUse = stage === 'beforeCommit' && error instanceof AbortFault;
  if (lease.isLost || isInUse) {
    lease.discard(error);
    return;
  }
  try {
    const result = await patience.wait(lease.client.query(scope.rollback), CLEAN_UP_LIMIT_MS);
    if (result === LATE) lease.discard(error);
    else lease.release();
  } catch {
    lease.discard(error);
  }
}
