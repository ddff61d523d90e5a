/**
 * Loads blocks of records.
 *
 * A batch goes to the server as bytes. If the server refuses it, its records are parsed here and sent as rows, so that the same rows are
 * inserted, and the others get the same messages, as in `RowSink`. For the library's stream an item is a block; metrics count rows.
 */

import { MIB } from '../../common/bytes.js';
import type { SinkMetrics } from '../../api/metrics.js';
import type { Settlement } from '../../api/options.js';
import type { RowCopy } from '../../postgres/copy-into.js';
import { CopyError } from '../../postgres/errors/copy-error.js';
import { BackpressureWritable } from '../../stream/backpressure-writable.js';
import type { FlushContext, FlushFunction, FlushResult } from '../../api/flush-function.js';
import type { DropReason } from '../../api/states.js';
import { MOST_RECORDS_WITH_REJECTS } from '../records/block-sizer.js';
import { collectGarbage, expectBadRows } from '../common/bounded-garbage.js';
import { causesOf } from '../common/errors.js';
import {
  chunksOf,
  commonFormat,
  noteInserted,
  partsOf,
  rangeOf,
  resultOf,
  type PartSize,
} from './block-batch.js';
import { createRowCopy, OpenFlushes, type LoadSink, type LoadTarget } from './load-sink.js';
import type { LoadOptions } from '../args/options.js';
import type { OpenReader, RecordBlock } from '../records/record-block.js';
import type { BlockFormat } from '../records/block-content.js';
import type { SourceRow } from '../records/record-parser.js';
import { WaitingFor } from '../report/waiting-for.js';
import type { RejectFile } from '../rejects/reject-file.js';
import { rejectLines, type RejectLine } from '../rejects/reject.js';
import { checkRejects, rejectOf } from './row-sink.js';

/** Measured on two cores against PostgreSQL 18: see benchmarks. */
const BATCH_BYTES = {
  csv: 2 * MIB,
  copy: 2 * MIB,
  /** Counts the JSON as well, which is kept beside the text that is sent. */
  ndjson: 4 * MIB,
};
const MAX_BUFFER_BYTES = 16 * MIB;
/**
 * With rejects, a batch goes to the server as it does without them. If it is refused, it becomes rows part by part: these need many times as
 * much memory, so that the buffer has less.
 */
const WITH_REJECTS = {
  batchBytes: 2 * MIB,
  maxBufferBytes: 6 * MIB,
  partBytes: { csv: MIB / 2, copy: MIB / 2, ndjson: MIB },
};

export class BlockSink implements LoadSink {
  readonly stream: BackpressureWritable<RecordBlock>;
  readonly waitingFor: WaitingFor;
  readonly #copy: RowCopy<SourceRow>;
  readonly #open: OpenReader;
  readonly #rejects: RejectFile | undefined;
  readonly #onRejects: LoadTarget['onRejects'];
  readonly #lineOf: RejectLine;
  readonly #flushes = new OpenFlushes();
  readonly #offered: () => number;
  readonly #partSize: PartSize;
  /** The first blocks of batches whose COMMIT was not answered: the server knows of them as a whole. */
  readonly #unanswered = new WeakSet<RecordBlock>();
  readonly #rows = { flushed: 0, failed: 0, dropped: new Map<DropReason, number>() };
  /** After a refused batch, batches become rows at once, until one of them has no bad row: bad rows seldom come alone. */
  #expectsFaults = false;

  /**
   * @param open reads the rows of a block
   * @param offered returns how many records the stream was offered
   */
  constructor(target: LoadTarget, options: LoadOptions, open: OpenReader, offered: () => number) {
    this.#offered = offered;
    const { rejects, columns } = target;
    this.#lineOf = rejectLines(columns, options.format);
    this.#copy = createRowCopy(target, options, this.#lineOf);
    this.#open = open;
    this.#rejects = rejects;
    this.#onRejects = target.onRejects;
    const { batchSize, format } = options;
    const hasRejects = rejects !== undefined;
    this.#partSize = hasRejects
      ? { records: batchSize ?? MOST_RECORDS_WITH_REJECTS, bytes: WITH_REJECTS.partBytes[format] }
      : { records: Infinity, bytes: Infinity };
    // A batch also has a limit of records, which is counted as bytes. With --batch-size blocks end where batches do. Without it, a limit
    // protects the server.
    const batchBytes = Math.min(BATCH_BYTES[format], hasRejects ? WITH_REJECTS.batchBytes : Infinity);
    const recordBytes = Math.ceil(batchBytes / (batchSize ?? this.#copy.defaults.batchSize!));
    const flush: FlushFunction<RecordBlock> = (blocks, context) =>
      this.#flushes.add(this.#flush(blocks, context));
    const defaults = {
      ...this.#copy.defaults,
      batchBytes,
      maxBufferBytes: hasRejects ? WITH_REJECTS.maxBufferBytes : MAX_BUFFER_BYTES,
      sizeOf: (block: RecordBlock) => Math.max(block.bytes, block.records * recordBytes),
    };
    this.stream = new BackpressureWritable<RecordBlock>(Object.assign(flush, { defaults }), {
      strategy: options.strategy,
      onSettled: (settlements) => this.#settle(settlements),
      ...(batchSize === undefined ? {} : { batchBytes: batchSize * recordBytes }),
      ...(options.connections === undefined ? {} : { concurrency: options.connections }),
      ...(rejects === undefined ? {} : { onFailed: (failures) => checkRejects(failures, rejects) }),
    });
    this.waitingFor = new WaitingFor(this.stream);
  }

  metrics(): SinkMetrics {
    const metrics = this.stream.getMetrics();
    const { flushed, failed, dropped } = this.#rows;
    const dropsByReason = { ...metrics.dropsByReason };
    let eventsDropped = 0;
    for (const [reason, rows] of dropped) {
      dropsByReason[reason] = rows;
      eventsDropped += rows;
    }
    return {
      ...metrics,
      eventsOffered: this.#offered(),
      eventsFlushed: flushed,
      eventsFailed: failed,
      eventsDropped,
      dropsByReason,
    };
  }

  ended(): Promise<void> {
    return this.#flushes.ended();
  }

  #settle(settlements: readonly Settlement<RecordBlock>[]): void {
    const rows = this.#rows;
    for (const settlement of settlements) {
      const { item: block, outcome } = settlement;
      // A block with rejected rows counts as failed, but its other rows are inserted. So are those of the parts before the one that failed.
      const isInserted = outcome === 'flushed' || block.isInserted;
      const inserted = isInserted ? block.records - block.rejected : 0;
      // The bytes of any other block may still be needed for sending.
      if (isInserted) block.release();
      rows.flushed += inserted;
      if (outcome === 'dropped') {
        const { reason } = settlement;
        rows.dropped.set(reason, (rows.dropped.get(reason) ?? 0) + block.records);
      } else rows.failed += block.records - inserted;
    }
  }

  async #flush(blocks: RecordBlock[], context: FlushContext): Promise<FlushResult | undefined> {
    if (context.attempt === 1) {
      const format = this.#expectsFaults ? undefined : commonFormat(blocks);
      if (format === undefined) this.#copy.begin(rangeOf(blocks));
      else if (await this.#copyWritten(blocks, format, context)) return undefined;
    }
    const left = blocks.filter(({ isInserted }) => !isInserted);
    const parts = this.#unanswered.has(blocks[0]!) ? [left] : partsOf(left, this.#partSize);
    for (const part of parts) await this.#copyRows(part, context);
    const result = resultOf(blocks);
    this.#expectsFaults = result !== undefined;
    return result;
  }

  async #copyWritten(
    blocks: readonly RecordBlock[],
    { copy, textLines }: BlockFormat,
    { signal }: FlushContext,
  ): Promise<boolean> {
    const written = { ...rangeOf(blocks), format: copy, chunks: chunksOf(blocks), textLines };
    try {
      if (await this.#copy.copyWritten(written, signal)) return true;
      this.#expectsFaults = true;
      return false;
    } catch (error) {
      const isOpen = causesOf(error).some((cause) => cause instanceof CopyError && cause.ambiguous);
      if (isOpen) this.#unanswered.add(blocks[0]!);
      throw error;
    }
  }

  /** Inserts blocks row by row, in a transaction of their own, without the rows that the table rejects. */
  async #copyRows(blocks: readonly RecordBlock[], context: FlushContext): Promise<void> {
    if (this.#rejects !== undefined) expectBadRows();
    const isLarge = blocks.some((block) => block.isLarge);
    for (const block of blocks) block.sendNoMore();
    // What was sent, and what the server has quoted of it.
    if (isLarge) collectGarbage();
    const rows = ([] as SourceRow[]).concat(...blocks.map((block) => block.rows(this.#open)));
    // The batch has begun as a whole.
    const result = await this.#copy(rows, { ...context, attempt: context.attempt + 1 });
    // The rows as they were sent. Lines for the file of rejects are made next.
    if (isLarge) collectGarbage();
    const rejected = result?.errors.map((error) => rejectOf(error, rows)) ?? [];
    noteInserted(blocks, rejected);
    if (rejected.length === 0) return;
    this.#onRejects?.(rejected);
    this.#rejects?.queue(rejected.map(([row, error]) => this.#lineOf(row, error)));
    this.#rejects?.assertWithinLimit();
  }
}
