/**
 * Copies one batch in one transaction: in binary if that is faster and possible, as text otherwise. If the table refuses a row and bad rows
 * are to be isolated, the same transaction inserts the others.
 */

import { toError } from '../../common/thrown.js';
import { BatchFailure, type Batch, type RowFailures, type WrittenRows } from '../copy/batch.js';
import { isolateRows } from './batch-isolation.js';
import { leaveOutInputFaults } from './input-faults.js';
import { BatchTransaction } from './batch-transaction.js';
import { BinaryRefusal } from '../encoding/binary/binary-chunk.js';
import { ClientLease } from '../connection/client-lease.js';
import type { BinaryFormat } from '../rows/copy-format.js';
import { CHUNK_BYTES, NONE } from '../encoding/text/chunk-writer.js';
import { BINARY_FORMAT, type CopyFormat } from '../merge/copy-plan.js';
import { identifyServer } from '../connection/commit-outcome.js';
import { copyChunks } from '../copy/copy-rows.js';
import { EncodedRows, type WrittenLines } from '../rows/encoded-rows.js';
import { repeatedKeys } from '../isolation/candidates.js';
import type { Prediction } from '../isolation/refusal.js';
import { LineTranscoder } from '../encoding/binary/line-transcoder.js';
import { AbortFault, AnswerDeadline } from '../connection/answer-deadline.js';
import type { CopyClient } from '../protocol/pool.js';
import type { RowFault } from '../rows/row-fault.js';
import { RowWriter } from '../rows/row-writer.js';
import { SentRows } from '../rows/sent-rows.js';
import { classify, isOfMessageReader, mayLeaveConnectionUsable } from '../errors/sqlstate.js';

/** In node-postgres' words, so that it is classified alike. */
const NO_ANSWER = 'Connection terminated: no answer to the end of a COPY that was given up';

/** @returns the rows that were left out @throws {BatchFailure} */
export async function copyBatch<T, Client extends CopyClient>(batch: Batch<T, Client>): Promise<RowFailures> {
  const answerDeadline = new AnswerDeadline(batch.signal);
  let transaction: BatchTransaction<T, Client> | undefined;
  let lease: ClientLease<Client> | undefined;
  try {
    lease = await ClientLease.take(batch.pool, batch.signal);
    // An import's checkpoint says the same, also after a change of servers.
    const asksOutcome = batch.scope.isFinal && batch.checkpoint === undefined;
    const server = asksOutcome ? await identifyServer(lease.client, answerDeadline) : undefined;
    transaction = new BatchTransaction(batch, lease, answerDeadline, server);
    await transaction.begin();
    await new BatchCopy(batch, transaction).run();
    lease.release();
    return transaction.leftOut();
  } catch (thrown) {
    const stage = transaction?.stage ?? 'connect';
    const error = lease?.reasonOf(toError(thrown)) ?? toError(thrown);
    const isCommitOpen = transaction?.isCommitOpen ?? false;
    const limit = await transaction?.rollBack(error);
    throw new BatchFailure(
      stage,
      error,
      isCommitOpen,
      limit,
      isCommitOpen ? transaction?.asOpen() : undefined,
    );
  } finally {
    answerDeadline.end();
  }
}

class BatchCopy<T, Client extends CopyClient> {
  readonly #batch: Batch<T, Client>;
  readonly #transaction: BatchTransaction<T, Client>;
  /** The server has refused the batch in binary. If it takes the batch as text, the layout is out of date. */
  #wasRefusedInBinary = false;
  /** Rows that cannot be sent. */
  #faults: readonly RowFault[] = [];
  /** The rows whose lines were sent. Undefined: values of all rows were. */
  #lines: readonly number[] | undefined;

  constructor(batch: Batch<T, Client>, transaction: BatchTransaction<T, Client>) {
    this.#batch = batch;
    this.#transaction = transaction;
  }

  async run(): Promise<void> {
    const { isolates, items, memory, format, layout, statementSize, rows } = this.#batch;
    if (rows.kind === 'written') return this.#copyWrittenRows(rows.written);
    const predictions = await this.#predictFaults();
    const { binary } = layout;
    const isGrouped = layout.absent?.way === 'groups';
    if (
      items.length > statementSize.rows ||
      statementSize.lockLimitMs !== undefined ||
      (isGrouped && !isolates)
    ) {
      return isolateRows(this.#batch, this.#transaction, { reading: undefined, writing: undefined });
    }
    if (isolates && (memory.faultSpacing !== undefined || predictions.length > 0 || isGrouped)) {
      const spacing = memory.faultSpacing ?? { reading: undefined, writing: undefined };
      return isolateRows(this.#batch, this.#transaction, spacing, predictions);
    }
    try {
      const isBinary =
        (rows.kind === 'values' || rows.lines.nullText !== undefined) && format.isBinary(binary, rows.kind);
      if (isBinary && (await this.#tryInBinary(() => this.#copyAll(binary)))) return;
      await this.#sendAsText(() => this.#copyAll(undefined));
    } catch (thrown) {
      const refusal = this.#transaction.refusal(toError(thrown), this.#sent());
      if (refusal === undefined) throw thrown;
      // Without isolation, only the first bad row is looked for, so that the error can name it.
      if (!isolates && refusal.row !== undefined) throw refusal.error;
      await isolateRows(this.#batch, this.#transaction, refusal);
    }
  }

  async #copyWrittenRows(written: WrittenRows): Promise<void> {
    const { format, layout } = this.#batch;
    const { chunks, textLines } = written;
    const { binary } = layout;
    if (textLines !== undefined && format.isBinary(binary, 'lines')) {
      const transcoder = new LineTranscoder(chunks, textLines, binary.encoders);
      const copy = async (): Promise<void> => {
        await this.#sendBinary(binary, () => transcoder.next());
        await this.#transaction.merge();
      };
      if (await this.#tryInBinary(copy)) return;
    }
    await this.#sendAsText(() => this.#copyWritten(written));
  }

  /** Returns `false` if nothing is inserted and the rows are to be sent as text, which also finds a row at fault and its message. */
  async #tryInBinary(copy: () => Promise<void>): Promise<boolean> {
    const { format, signal } = this.#batch;
    try {
      await copy();
      await this.#transaction.complete();
      format.succeeded();
      return true;
    } catch (thrown) {
      const error = toError(thrown);
      // That the rows are to go as text is no reason why the connection went.
      if (error instanceof BinaryRefusal && !this.#transaction.isOpen) {
        throw signal.aborted ? new AbortFault(signal) : new Error(NO_ANSWER);
      }
      if (!this.#mayRetryAsText(error)) throw thrown;
      format.failed();
      this.#wasRefusedInBinary = !(error instanceof BinaryRefusal);
      // Values are looked at again.
      if (this.#batch.rows.kind === 'values') this.#transaction.failures.clear();
      await this.#transaction.restart();
      return false;
    }
  }

  async #sendAsText(copy: () => Promise<void>): Promise<void> {
    await copy();
    await this.#transaction.complete();
    if (this.#wasRefusedInBinary) this.#batch.onStaleLayout();
  }

  /** Once all rows have been taken, and their types found right, no other format would change what follows. */
  #mayRetryAsText(error: Error): boolean {
    const { isOpen, stage } = this.#transaction;
    if (!isOpen || (stage !== 'copy' && stage !== 'merge')) return false;
    if (error instanceof BinaryRefusal || isOfMessageReader(error)) return true;
    return mayLeaveConnectionUsable(error) && classify(error) !== 'transport';
  }

  async #copyWritten({ format, chunks }: WrittenRows): Promise<void> {
    let next = 0;
    await this.#send(format, () => chunks[next++]);
    await this.#transaction.merge();
  }

  /** Leaves out lines that cannot be sent or read. Returns what else the table will probably refuse. */
  async #predictFaults(): Promise<Prediction[]> {
    const { rows, isolates, memory, layout, items, valuesOf } = this.#batch;
    const predictions = rows.kind === 'lines' ? await this.#leaveOutBadLines(rows.lines) : [];
    // There a row at fault takes others with it: all rows are better tried ahead.
    if (layout.refersToItself) return [];
    if (!isolates || memory.repeatedKey === undefined || layout.plan.isOrdered) return predictions;
    const sent = new SentRows(layout, items, undefined, valuesOf);
    const pairs = await repeatedKeys(memory.repeatedKey, sent, this.#transaction.copyContext.pacer);
    if (pairs.length === 0) memory.repeatedKey = undefined;
    return [...predictions, ...pairs];
  }

  async #leaveOutBadLines(lines: WrittenLines): Promise<Prediction[]> {
    const { faults = [] } = lines;
    if (!this.#batch.isolates) {
      if (faults.length > 0) throw faults[0]!;
      return [];
    }
    await this.#transaction.leaveOut(faults);
    return leaveOutInputFaults(this.#batch, this.#transaction, lines);
  }

  /** The first attempt: all rows, written as they are sent. */
  async #copyAll(binary: BinaryFormat | undefined): Promise<void> {
    const { layout, rows, valuesOf, isolates, items, onEncoded } = this.#batch;
    if (rows.kind === 'lines') return this.#copyLines(rows.lines, binary);
    const faults: RowFault[] = [];
    const writer = new RowWriter(layout, valuesOf, isolates ? faults : undefined, binary);
    let row = 0;
    let bytes = 0;
    try {
      const nextChunk = (): Buffer | undefined => {
        if (row === items.length) return undefined;
        row = writer.fill(items, row);
        // Only the turn is spent: a chunk that is sent early costs as much memory as a full one.
        if (row < items.length && writer.length < CHUNK_BYTES) return NONE;
        bytes += writer.length;
        return writer.take();
      };
      if (binary === undefined) await this.#send(layout.textFormat, nextChunk);
      else await this.#sendBinary(binary, nextChunk);
    } finally {
      this.#faults = faults;
      await this.#transaction.leaveOut(faults);
      if (row === items.length) await onEncoded(bytes, writer.hasLeftOut);
    }
    await this.#transaction.merge();
  }

  /** Lines of the items, which may be some of the lines of their source, are sent in one piece of memory as text. */
  async #copyLines(lines: WrittenLines, binary: BinaryFormat | undefined): Promise<void> {
    const encoded = new EncodedRows(lines);
    const rows = this.#transaction.includedRows();
    this.#lines = rows;
    const { delimiter, nullText = '' } = lines;
    if (binary !== undefined) {
      const transcoder = new LineTranscoder(encoded.slicesOf(rows), { delimiter, nullText }, binary.encoders);
      await this.#sendBinary(binary, () => transcoder.next());
      return this.#transaction.merge();
    }
    const bytes = Buffer.allocUnsafeSlow(encoded.bytesOf(rows));
    encoded.write(rows, bytes, 0);
    return this.#copyWritten({ format: lines.format, chunks: [bytes] });
  }

  #send(format: CopyFormat, nextChunk: () => Buffer | undefined): Promise<void> {
    return copyChunks(this.#transaction.copyContext, this.#transaction.copyStatement(format), nextChunk);
  }

  #sendBinary({ check }: BinaryFormat, nextChunk: () => Buffer | undefined): Promise<void> {
    const context = { ...this.#transaction.copyContext, isKept: mayLeaveConnectionUsable };
    return copyChunks(context, this.#transaction.copyStatement(BINARY_FORMAT, '', check), nextChunk);
  }

  /** Returns the rows that the last attempt was to send. */
  #sent(): SentRows {
    const { layout, items, valuesOf } = this.#batch;
    return new SentRows(layout, items, this.#lines, valuesOf, this.#faults);
  }
}
