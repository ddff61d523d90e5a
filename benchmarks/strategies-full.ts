/** Each strategy when the buffer is full: a burst at a stream that cannot take it, and a producer that is held by a slow destination. */

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { BackpressureWritable, type BackpressureStrategy, type FlushFunction } from 'spillway';
import type { Candidate, Comparison } from './support/comparison.js';
import { countFault, makeItems, type Item } from './support/counting.js';
import { BATCH_SIZE, bareWritable, candidate, HandWrittenBatching, writeAll } from './support/in-process.js';

const COUNT = 1_000_000;
const CAPACITY = 10_000;

export function comparisons(count = COUNT): Comparison[] {
  const items = makeItems(count);
  return [burst(items), held(items)];
}

/** What the strategy must have kept of the whole burst, of which only the first `CAPACITY` items found room. */
type Rule = (kept: readonly Item[], represented: number) => string | undefined;

function burst(items: readonly Item[]): Comparison {
  const baseline = 'bare Writable (keeps nothing)';
  return {
    title: `A burst of ${items.length.toLocaleString('en-GB')} writes in one turn, a capacity of ${CAPACITY.toLocaleString('en-GB')}: all but the first find it full`,
    unit: 'items',
    isInProcess: true,
    amount: items.length,
    baseline,
    rounds: 15,
    warmUps: 3,
    candidates: [
      candidate(items.length, baseline, (take) => writeBurst(bareWritable(take), items)),
      dropping('drop_oldest', items, (kept) => mustBe(kept, items.slice(-CAPACITY))),
      dropping('drop_newest', items, (kept) => mustBe(kept, items.slice(0, CAPACITY))),
      dropping('sample', items, (kept, represented) => {
        if (kept.length > CAPACITY) return `kept ${kept.length} items, more than fit`;
        return represented === items.length
          ? undefined
          : `what was kept stands for ${represented} items of ${items.length}`;
      }),
    ],
  };
}

function mustBe(kept: readonly Item[], expected: readonly Item[]): string | undefined {
  if (kept.length !== expected.length) return `kept ${kept.length} items in place of ${expected.length}`;
  const index = kept.findIndex((item, place) => item !== expected[place]);
  return index === -1 ? undefined : `kept ${kept[index]!.id} in place of ${expected[index]!.id}`;
}

async function writeBurst(sink: Writable, items: readonly Item[]): Promise<void> {
  for (const item of items) {
    if (!sink.write(item)) throw new Error('the stream asked to wait');
  }
  sink.end();
  await finished(sink);
}

function dropping(strategy: BackpressureStrategy, items: readonly Item[], rule: Rule): Candidate {
  let fault: string | undefined;
  const work = async (flush: FlushFunction<Item>): Promise<number> => {
    const sink = new BackpressureWritable<Item>(flush, {
      strategy,
      batchSize: BATCH_SIZE,
      maxBufferSize: CAPACITY,
    });
    await writeBurst(sink, items);
    const { eventsOffered, eventsFlushed, eventsDropped, unrepresented } = sink.getMetrics();
    fault =
      eventsFlushed + eventsDropped === eventsOffered
        ? countFault(eventsOffered, items.length)
        : 'lost items';
    return unrepresented;
  };
  return {
    name: `BackpressureWritable '${strategy}'`,
    async verify() {
      const kept: Item[] = [];
      let represented = 0;
      const unrepresented = await work(async (batch, context) => {
        kept.push(...batch);
        represented += context.represents;
      });
      return fault ?? rule(kept, represented + unrepresented);
    },
    async run() {
      await work(async () => undefined);
    },
    confirm: () => fault,
  };
}

/** The destination answers in a later turn of the event loop, so that the buffer fills and the producer has to wait. */
function held(items: readonly Item[]): Comparison {
  const count = items.length;
  const baseline = 'hand-written batching Writable';
  const slow = (flush: (batch: Item[]) => Promise<void>) => async (batch: Item[]) => {
    await nextTurn();
    await flush(batch);
  };
  return {
    title: `The producer is held: 'block', full, batches of ${BATCH_SIZE} into a destination that answers in a later turn`,
    unit: 'items',
    isInProcess: true,
    amount: count,
    baseline,
    rounds: 15,
    warmUps: 3,
    candidates: [
      candidate(count, 'bare Writable (no batches, never held)', (take) =>
        writeAll(bareWritable(take), items),
      ),
      candidate(count, baseline, (_take, flush) => writeAll(new HandWrittenBatching(slow(flush)), items)),
      candidate(count, "BackpressureWritable 'block'", (_take, flush) =>
        writeAll(
          new BackpressureWritable<Item>(slow(flush), { batchSize: BATCH_SIZE, maxBufferSize: CAPACITY }),
          items,
        ),
      ),
    ],
  };
}
