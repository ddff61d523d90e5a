/** What it costs to write an item: a write loop that respects `'drain'`, and a stage of a pipeline. */

import { PassThrough, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { BackpressureTransform, BackpressureWritable } from 'spillway';
import type { Candidate, Comparison } from './support/comparison.js';
import { makeItems, type Item } from './support/counting.js';
import { BATCH_SIZE, bareWritable, candidate, HandWrittenBatching, writeAll } from './support/in-process.js';

const COUNT = 1_000_000;

export function comparisons(count = COUNT): Comparison[] {
  const items = makeItems(count);
  return [writeLoop(items), stage(items)];
}

function writeLoop(items: readonly Item[]): Comparison {
  const baseline = 'hand-written batching Writable';
  return {
    title: `Write loop that respects drain, batches of ${BATCH_SIZE} into an async no-op`,
    unit: 'items',
    isInProcess: true,
    amount: items.length,
    baseline,
    rounds: 15,
    warmUps: 3,
    candidates: [
      candidate(items.length, 'bare Writable (no batches)', (take) => writeAll(bareWritable(take), items)),
      candidate(items.length, baseline, (_take, flush) => writeAll(new HandWrittenBatching(flush), items)),
      candidate(items.length, "BackpressureWritable 'block'", (_take, flush) =>
        writeAll(new BackpressureWritable<Item>(flush, { batchSize: BATCH_SIZE }), items),
      ),
    ],
  };
}

function stage(items: readonly Item[]): Comparison {
  const baseline = 'PassThrough';
  const through = (name: string, ...stages: (() => PassThrough | BackpressureTransform<Item>)[]): Candidate =>
    candidate(items.length, name, (take) =>
      pipeline([Readable.from(generate(items)), ...stages.map((make) => make()), bareWritable(take)]),
    );
  return {
    title: 'A stage of a pipeline: generator → stage → Writable',
    unit: 'items',
    isInProcess: true,
    amount: items.length,
    baseline,
    rounds: 15,
    warmUps: 3,
    candidates: [
      through('no stage'),
      through(baseline, () => new PassThrough({ objectMode: true })),
      through("BackpressureTransform 'block'", () => new BackpressureTransform<Item>()),
      // With room for all, so that it may drop nothing and the work is the same.
      through(
        "BackpressureTransform 'drop_oldest'",
        () => new BackpressureTransform<Item>({ strategy: 'drop_oldest', maxBufferSize: items.length }),
      ),
    ],
  };
}

function* generate(items: readonly Item[]): Generator<Item, void> {
  yield* items;
}
