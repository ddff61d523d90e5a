/** The streams whose write loop is timed, beside others and alone. */

import type { Writable } from 'node:stream';
import { BackpressureWritable } from 'spillway';
import type { Item } from './counting.js';
import { BATCH_SIZE, bareWritable, HandWrittenBatching } from './in-process.js';

type MakeSink = (take: (item: Item) => void, flush: (batch: Item[]) => Promise<void>) => Writable;

export const HAND_WRITTEN = 'hand-written batching Writable';

export const WRITE_LOOPS: Readonly<Record<string, MakeSink>> = {
  'bare Writable (no batches)': bareWritable,
  [HAND_WRITTEN]: (_take, flush) => new HandWrittenBatching(flush),
  "BackpressureWritable 'block'": (_take, flush) =>
    new BackpressureWritable<Item>(flush, { batchSize: BATCH_SIZE }),
};
