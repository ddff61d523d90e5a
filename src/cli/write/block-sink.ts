/**
 * Loads blocks of records.
 *
 * A batch goes to the server as bytes. If the server refuses it, its records are parsed here and sent as rows, so that the same rows are
 * inserted, and the others get the same messages, as in `RowSink`. For the library's stream an item is a block; metrics count rows.
 */

import { MIB } from '../../common/bytes.js';
import { ItemError } from '../../api/errors.js';
import type { SinkMetrics } from '../../api/metrics.js';
import type { Settlement } from '../../api/options.js';
import type { RowCopy } from '../../postgres/copy-into.js';
import { BackpressureWritable } from '../../stream/backpressure-writable.js';
import type { FlushContext, FlushFunction, FlushResult } from '../../api/flush-function.js';
import type { DropReason } from '../../api/states.js';
import { MOST_RECORDS_WITH_REJECTS } from '../records/block-sizer.js';
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
  /** Counts the JSON as well, which is kept beside the text that is sent. */
  ndjson: 4 * MIB,
};
const MAX_BUFFER_BYTES = 16 * MIB;
/** With rejects, a batch may become rows, which need many times as much memory. */
const SHARE_WITH_REJECTS = 1 / 4;
/** Chunks below this length are joined. */
const SHORT_BYTES = 16 * 1024;

export class BlockSink implements LoadSink {
  readonly stream: BackpressureWritable<RecordBlock>;
  readonly waitingFor: WaitingFor;
  readonly #copy: RowCopy<SourceRow>;
  readonly #open: OpenReader;
  readonly #rejects: RejectFile | undefined;
  readonly #lineOf: RejectLine;
  readonly #flushes = new OpenFlushes();
  readonly #offered: () => number;
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
    // A batch also has a limit of records, which is counted as bytes. With --batch-size blocks end where batches do. Without it, a limit
    // protects the server, and the memory here if a refused batch of short records becomes rows.
    const { batchSize } = options;
    const share = rejects === undefined ? 1 : SHARE_WITH_REJECTS;
    const batchBytes = share * BATCH_BYTES[options.format];
    const most = rejects === undefined ? this.#copy.defaults.batchSize! : MOST_RECORDS_WITH_REJECTS;
    const recordBytes = Math.ceil(batchBytes / (batchSize ?? most));
    const flush: FlushFunction<RecordBlock> = (blocks, context) =>
      this.#flushes.add(this.#flush(blocks, context));
    const defaults = {
      ...this.#copy.defaults,
      batchBytes,
      maxBufferBytes: share * MAX_BUFFER_BYTES,
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
      // A block with rejected rows counts as failed, but its other rows are inserted.
      const isInserted = outcome === 'flushed' || block.rejected > 0;
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
    const format = context.attempt > 1 || this.#expectsFaults ? undefined : commonFormat(blocks);
    let { attempt } = context;
    if (format !== undefined) {
      if (await this.#copyWritten(blocks, format, context)) return undefined;
      attempt += 1;
      this.#expectsFaults = true;
    }
    const rows: SourceRow[] = [];
    for (const block of blocks) {
      block.sendNoMore();
      for (const row of block.rows(this.#open)) rows.push(row);
    }
    const result = await this.#copy(rows, { ...context, attempt });
    const rejected = result?.errors.map((error) => rejectOf(error, rows)) ?? [];
    this.#expectsFaults = rejected.length > 0;
    if (rejected.length === 0) return undefined;
    this.#rejects?.queue(rejected.map(([row, error]) => this.#lineOf(row, error)));
    return resultOf(blocks, rejected);
  }

  #copyWritten(blocks: readonly RecordBlock[], { copy, textLines }: BlockFormat, { signal }: FlushContext) {
    let rows = 0;
    for (const { records } of blocks) rows += records;
    return this.#copy.copyWritten(
      {
        first: blocks[0]!.ordinal,
        last: blocks.at(-1)!.lastOrdinal,
        rows,
        format: copy,
        chunks: chunksOf(blocks),
        textLines,
      },
      signal,
    );
  }
}

/** Returns the blocks' bytes, with short ones joined: each chunk costs a message, and a pipe may deliver line by line. */
function chunksOf(blocks: readonly RecordBlock[]): Buffer[] {
  const chunks: Buffer[] = [];
  let short: Buffer[] = [];
  let shortBytes = 0;
  const join = (): void => {
    if (short.length > 0) chunks.push(short.length === 1 ? short[0]! : Buffer.concat(short));
    short = [];
    shortBytes = 0;
  };
  for (const block of blocks) {
    const { sent } = block.sent!;
    if (sent.length >= SHORT_BYTES) {
      join();
      chunks.push(sent);
      continue;
    }
    short.push(sent);
    shortBytes += sent.length;
    if (shortBytes >= SHORT_BYTES) join();
  }
  join();
  return chunks;
}

/** Returns the format that all blocks of a batch share, the best for the first of them. */
function commonFormat(blocks: readonly RecordBlock[]): BlockFormat | undefined {
  return blocks[0]!.sent?.formats.find((format) =>
    blocks.every(({ sent }) => sent?.formats.includes(format)),
  );
}

/** Names the blocks that have rejected rows. */
function resultOf(
  blocks: readonly RecordBlock[],
  rejected: readonly (readonly [SourceRow, Error])[],
): FlushResult {
  const errors: Error[] = [];
  let index = -1;
  for (const [row, cause] of rejected) {
    const before = index;
    while (index < 0 || row.ordinal > blocks[index]!.lastOrdinal) index += 1;
    if (index !== before) {
      blocks[index]!.rejected = 0;
      errors.push(new ItemError(index, { retryable: false, cause }));
    }
    blocks[index]!.rejected += 1;
  }
  return { success: blocks.length - errors.length, failed: errors.length, errors };
}
