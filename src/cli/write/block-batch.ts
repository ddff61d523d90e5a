/** A batch of blocks: how it is sent as a whole, how it is divided into parts, and what became of it. Pure, but for what blocks keep. */

import { ItemError } from '../../api/errors.js';
import type { FlushResult } from '../../api/flush-function.js';
import type { WrittenRange } from '../../postgres/batch-checkpoints.js';
import type { BlockFormat } from '../records/block-content.js';
import type { RecordBlock } from '../records/record-block.js';
import type { SourceRow } from '../records/record-parser.js';

/** Chunks below this length are joined. */
const SHORT_BYTES = 16 * 1024;

/** Returns the place of a batch in the input. */
export function rangeOf(blocks: readonly RecordBlock[]): WrittenRange & { readonly first: number } {
  let rows = 0;
  for (const { records } of blocks) rows += records;
  return { first: blocks[0]!.ordinal, last: blocks.at(-1)!.lastOrdinal, rows };
}

/** Returns the blocks' bytes, with short ones joined: each chunk costs a message, and a pipe may deliver line by line. */
export function chunksOf(blocks: readonly RecordBlock[]): Buffer[] {
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
export function commonFormat(blocks: readonly RecordBlock[]): BlockFormat | undefined {
  return blocks[0]!.sent?.formats.find((format) =>
    blocks.every(({ sent }) => sent?.formats.includes(format)),
  );
}

/** The most that becomes rows at a time. One block may be larger. */
export interface PartSize {
  readonly records: number;
  readonly bytes: number;
}

/** Divides a batch between its blocks. From the same block on, it is always divided alike. */
export function partsOf(blocks: readonly RecordBlock[], most: PartSize): RecordBlock[][] {
  const parts: RecordBlock[][] = [];
  let records = 0;
  let bytes = 0;
  for (const block of blocks) {
    records += block.records;
    bytes += block.bytes;
    if (parts.length === 0 || records > most.records || bytes > most.bytes) {
      parts.push([]);
      ({ records, bytes } = block);
    }
    parts.at(-1)!.push(block);
  }
  return parts;
}

/** Notes in the blocks that they are inserted, but for the rejected rows. */
export function noteInserted(
  blocks: readonly RecordBlock[],
  rejected: readonly (readonly [SourceRow, Error])[],
): void {
  for (const block of blocks) {
    block.isInserted = true;
    block.rejected = 0;
  }
  let index = 0;
  for (const [row, error] of rejected) {
    while (row.ordinal > blocks[index]!.lastOrdinal) index += 1;
    const block = blocks[index]!;
    if (block.rejected === 0) block.fault = error.message;
    block.rejected += 1;
  }
}

/** Names the blocks that have rejected rows. */
export function resultOf(blocks: readonly RecordBlock[]): FlushResult | undefined {
  const errors = blocks.flatMap(({ rejected, fault }, index) =>
    rejected === 0 ? [] : [new ItemError(index, { message: fault })],
  );
  if (errors.length === 0) return undefined;
  return { success: blocks.length - errors.length, failed: errors.length, errors };
}
