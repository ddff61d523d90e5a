/** What it costs to write an item: a write loop that respects `'drain'`, bursts that never fill the buffer, and a stage of a pipeline. */

import { PassThrough, Readable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Writable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import { BackpressureStrategy, BackpressureTransform, BackpressureWritable } from 'spillway';
import type { Candidate, Comparison } from './support/comparison.js';
import { makeItems, type Item } from './support/counting.js';
import { BATCH_SIZE, bareWritable, candidate, HandWrittenBatching, writeAll } from './support/in-process.js';
import { HAND_WRITTEN, WRITE_LOOPS } from './support/write-loops.js';

const COUNT = 1_000_000;
const STRATEGIES = Object.values(BackpressureStrategy);

export function comparisons(count = COUNT): Comparison[] {
  const items = makeItems(count);
  return [writeLoop(items), bursts(items), stage(items), stageInBursts(items)];
}

function writeLoop(items: readonly Item[]): Comparison {
  return {
    title: `Write loop that respects drain, batches of ${BATCH_SIZE} into an async no-op`,
    unit: 'items',
    isInProcess: true,
    amount: items.length,
    baseline: HAND_WRITTEN,
    rounds: 15,
    warmUps: 3,
    candidates: Object.entries(WRITE_LOOPS).map(([name, makeSink]) =>
      candidate(items.length, name, (take, flush) => writeAll(makeSink(take, flush), items)),
    ),
  };
}

/** The buffer is never a tenth full, so that no strategy has anything to drop. */
function bursts(items: readonly Item[]): Comparison {
  const baseline = HAND_WRITTEN;
  return {
    title: `Bursts of ${BATCH_SIZE} writes and then a turn of the event loop, nothing is ever full`,
    unit: 'items',
    isInProcess: true,
    amount: items.length,
    baseline,
    rounds: 15,
    warmUps: 3,
    candidates: [
      candidate(items.length, 'bare Writable (no batches)', (take) =>
        writeInBursts(bareWritable(take), items),
      ),
      candidate(items.length, baseline, (_take, flush) =>
        writeInBursts(new HandWrittenBatching(flush), items),
      ),
      ...STRATEGIES.map((strategy) =>
        candidate(items.length, `BackpressureWritable '${strategy}'`, (_take, flush) =>
          writeInBursts(new BackpressureWritable<Item>(flush, { strategy, batchSize: BATCH_SIZE }), items),
        ),
      ),
    ],
  };
}

async function writeInBursts(sink: Writable, items: readonly Item[]): Promise<void> {
  let written = 0;
  for (const item of items) {
    if (!sink.write(item)) await new Promise<void>((resolve) => sink.once('drain', resolve));
    written += 1;
    if (written % BATCH_SIZE === 0) await nextTurn();
  }
  sink.end();
  await finished(sink);
}

/** A stage that is held asks its source to wait: none of this is for strategies that drop, which never ask. */
function stage(items: readonly Item[]): Comparison {
  const stageOf = through(items, () => Readable.from(generate(items)));
  return {
    title: 'A stage of a pipeline: generator → stage → Writable',
    ...aboutStages(items),
    candidates: [
      stageOf('no stage'),
      stageOf(PASS_THROUGH, () => new PassThrough({ objectMode: true })),
      stageOf("BackpressureTransform 'block'", () => new BackpressureTransform<Item>()),
    ],
  };
}

/** The reader keeps up over the turns, so that nothing is dropped and the work is the same for all. */
function stageInBursts(items: readonly Item[]): Comparison {
  const stageOf = through(items, () => burstsOf(items));
  return {
    title: `A stage of a pipeline: bursts of ${BATCH_SIZE} → stage → Writable, nothing is ever full`,
    ...aboutStages(items),
    candidates: [
      stageOf('no stage'),
      stageOf(PASS_THROUGH, () => new PassThrough({ objectMode: true })),
      ...STRATEGIES.map((strategy) =>
        stageOf(`BackpressureTransform '${strategy}'`, () => new BackpressureTransform<Item>({ strategy })),
      ),
    ],
  };
}

const PASS_THROUGH = 'PassThrough';

function aboutStages({ length }: readonly Item[]): Omit<Comparison, 'title' | 'candidates'> {
  return {
    unit: 'items',
    isInProcess: true,
    amount: length,
    baseline: PASS_THROUGH,
    rounds: 15,
    warmUps: 3,
  };
}

type MakeStage = () => PassThrough | BackpressureTransform<Item>;

function through(items: readonly Item[], makeSource: () => Readable) {
  return (name: string, ...stages: MakeStage[]): Candidate =>
    candidate(items.length, name, (take) =>
      pipeline([makeSource(), ...stages.map((make) => make()), bareWritable(take)]),
    );
}

function* generate(items: readonly Item[]): Generator<Item, void> {
  yield* items;
}

/** As a socket gives them: some at once, and the next in a later turn. */
function burstsOf(items: readonly Item[]): Readable {
  let next = 0;
  return new Readable({
    objectMode: true,
    highWaterMark: BATCH_SIZE,
    read() {
      setImmediate(() => {
        const end = Math.min(items.length, next + BATCH_SIZE);
        for (; next < end; next += 1) this.push(items[next]);
        if (next === items.length) this.push(null);
      });
    },
  });
}
