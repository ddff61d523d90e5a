/** The same work at capacities from a hundred to a million: the cost of an item must not depend on it. */

import { setImmediate as nextTurn } from 'node:timers/promises';
import { finished } from 'node:stream/promises';
import { BackpressureWritable, BoundedBuffer } from 'spillway';
import type { Candidate, Comparison } from './support/comparison.js';
import { countFault, makeItems, type Item } from './support/counting.js';
import { candidate, writeAll } from './support/in-process.js';

const COUNT = 1_000_000;
const CAPACITIES = [100, 1_000, 10_000, 100_000, 1_000_000];
const BASELINE_CAPACITY = 10_000;
/** Small enough for the smallest capacity. */
const BATCH_SIZE = 25;

export function comparisons(count = COUNT): Comparison[] {
  const items = makeItems(count);
  const about = { unit: 'items', isInProcess: true, amount: count, warmUps: 3, rounds: 9 } as const;
  const baseline = nameOf(BASELINE_CAPACITY);
  return [
    {
      ...about,
      title: `'block', a write loop, batches of ${BATCH_SIZE}`,
      baseline,
      candidates: CAPACITIES.map((capacity) =>
        candidate(count, nameOf(capacity), (_take, flush) =>
          writeAll(
            new BackpressureWritable<Item>(flush, { batchSize: BATCH_SIZE, maxBufferSize: capacity }),
            items,
          ),
        ),
      ),
    },
    {
      ...about,
      title: "A full BackpressureWritable, 'drop_oldest': each write evicts the oldest",
      baseline,
      candidates: CAPACITIES.map((capacity) => evictingWrites(capacity, items)),
    },
    {
      ...about,
      title: 'A full BoundedBuffer: each push evicts the oldest',
      baseline,
      candidates: CAPACITIES.map((capacity) => evictions(capacity, items)),
    },
  ];
}

const nameOf = (capacity: number): string => `capacity ${capacity.toLocaleString('en-GB')}`;

/**
 * The stream is full before the time starts, and its destination does not answer until it has ended, so that each write evicts. What is
 * left in the buffer is flushed after the time: there is more of it the larger the capacity.
 */
function evictingWrites(capacity: number, items: readonly Item[]): Candidate {
  let answer: (() => void) | undefined;
  let sink: BackpressureWritable<Item>;
  const prepare = async (): Promise<void> => {
    const answered = new Promise<void>((resolve) => {
      answer = resolve;
    });
    sink = new BackpressureWritable<Item>(() => answered, {
      strategy: 'drop_oldest',
      batchSize: BATCH_SIZE,
      maxBufferSize: capacity,
      flushTimeoutMs: Infinity,
    });
    for (let place = 0; place < capacity; place += 1) sink.write(items[place % items.length]!);
    await nextTurn();
  };
  const run = async (): Promise<void> => {
    for (const item of items) sink.write(item);
  };
  const confirm = async (): Promise<string | undefined> => {
    const { bufferUtilization, eventsDropped } = sink.getMetrics();
    answer!();
    sink.end();
    await finished(sink);
    if (bufferUtilization !== 1) return 'the stream is not full';
    return countFault(eventsDropped, items.length);
  };
  return {
    name: nameOf(capacity),
    async verify() {
      await prepare();
      await run();
      return confirm();
    },
    prepare,
    run,
    confirm,
  };
}

/** The buffer is full before the time starts, so that each push evicts, whatever the capacity. */
function evictions(capacity: number, items: readonly Item[]): Candidate {
  let buffer = new BoundedBuffer<Item>(capacity);
  let evicted = 0;
  const prepare = async (): Promise<void> => {
    buffer = new BoundedBuffer<Item>(capacity);
    for (let place = 0; place < capacity; place += 1) buffer.push(items[place % items.length]!);
    evicted = 0;
  };
  const run = async (): Promise<void> => {
    for (const item of items) if (buffer.pushWithEviction(item) !== undefined) evicted += 1;
  };
  const confirm = (): string | undefined =>
    countFault(evicted, items.length) ?? (buffer.isFull() ? undefined : 'the buffer is not full');
  return {
    name: nameOf(capacity),
    async verify() {
      await prepare();
      await run();
      return confirm();
    },
    prepare,
    run,
    confirm,
  };
}
