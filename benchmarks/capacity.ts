/** The same work at capacities from a hundred to a million: the cost of an item must not depend on it. */

import { finished } from 'node:stream/promises';
import { BackpressureWritable } from 'spillway';
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
      title: `'drop_oldest', a burst of ${count.toLocaleString('en-GB')} writes in one turn, batches of ${BATCH_SIZE}`,
      baseline,
      candidates: CAPACITIES.map((capacity) => burst(capacity, items)),
    },
  ];
}

const nameOf = (capacity: number): string => `capacity ${capacity.toLocaleString('en-GB')}`;

function burst(capacity: number, items: readonly Item[]): Candidate {
  let fault: string | undefined;
  const work = async (): Promise<string | undefined> => {
    const sink = new BackpressureWritable<Item>(async () => undefined, {
      strategy: 'drop_oldest',
      batchSize: BATCH_SIZE,
      maxBufferSize: capacity,
    });
    for (const item of items) sink.write(item);
    sink.end();
    await finished(sink);
    const { eventsFlushed, eventsDropped } = sink.getMetrics();
    const kept = Math.min(capacity, items.length);
    fault =
      countFault(eventsFlushed + eventsDropped, items.length) ??
      (eventsFlushed === kept ? undefined : `${eventsFlushed} items in place of ${kept} were kept`);
    return fault;
  };
  return {
    name: nameOf(capacity),
    verify: work,
    async run() {
      await work();
    },
    confirm: () => fault,
  };
}
