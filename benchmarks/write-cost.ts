/** What it costs to write an item: a write loop that respects `'drain'`, a burst while full, and a stage of a pipeline. */

import { PassThrough, Readable, Writable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import {
  BackpressureTransform,
  BackpressureWritable,
  type BackpressureStrategy,
  type FlushFunction,
} from 'spillway';
import type { Candidate, Comparison } from './support/comparison.js';
import { countFault, Inspector, makeItems, type Item } from './support/counting.js';

const COUNT = 1_000_000;
const BATCH_SIZE = 1_000;
const CAPACITY = 10_000;

export function comparisons(): Comparison[] {
  const items = makeItems(COUNT);
  return [writeLoop(items), burst(items), stage(items)];
}

/** What anybody would write who needs batches: collect, hand over, wait. */
class HandWrittenBatching extends Writable {
  readonly #flush: (batch: Item[]) => Promise<void>;
  #batch: Item[] = [];

  constructor(flush: (batch: Item[]) => Promise<void>) {
    super({ objectMode: true });
    this.#flush = flush;
  }

  override _write(item: Item, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#batch.push(item);
    if (this.#batch.length < BATCH_SIZE) callback();
    else this.#handOver(callback);
  }

  override _final(callback: (error?: Error | null) => void): void {
    if (this.#batch.length === 0) callback();
    else this.#handOver(callback);
  }

  #handOver(callback: (error?: Error | null) => void): void {
    const batch = this.#batch;
    this.#batch = [];
    this.#flush(batch).then(() => callback(), callback);
  }
}

function bareWritable(take: (item: Item) => void): Writable {
  return new Writable({
    objectMode: true,
    write(item: Item, _encoding, callback) {
      take(item);
      callback();
    },
  });
}

async function writeAll(sink: Writable, items: readonly Item[]): Promise<void> {
  for (const item of items) {
    if (!sink.write(item)) await new Promise<void>((resolve) => sink.once('drain', resolve));
  }
  sink.end();
  await finished(sink);
}

/** A candidate whose destination takes single items or batches; when it is timed, it only counts them. */
function candidate(
  name: string,
  work: (take: (item: Item) => void, flush: (batch: Item[]) => Promise<void>) => Promise<void>,
): Candidate {
  let received = 0;
  const count = (): void => {
    received += 1;
  };
  const countBatch = async (batch: Item[]): Promise<void> => {
    received += batch.length;
  };
  return {
    name,
    async verify() {
      const inspector = new Inspector();
      await work(inspector.take, async (batch) => batch.forEach(inspector.take));
      return inspector.verdict(COUNT);
    },
    run() {
      received = 0;
      return work(count, countBatch);
    },
    confirm: () => countFault(received, COUNT),
  };
}

function writeLoop(items: readonly Item[]): Comparison {
  const baseline = 'hand-written batching Writable';
  return {
    title: `Write loop that respects drain, batches of ${BATCH_SIZE} into an async no-op`,
    unit: 'items',
    isInProcess: true,
    amount: COUNT,
    baseline,
    rounds: 15,
    warmUps: 3,
    candidates: [
      candidate('bare Writable (no batches)', (take) => writeAll(bareWritable(take), items)),
      candidate(baseline, (_take, flush) => writeAll(new HandWrittenBatching(flush), items)),
      candidate("BackpressureWritable 'block'", (_take, flush) =>
        writeAll(new BackpressureWritable<Item>(flush, { batchSize: BATCH_SIZE }), items),
      ),
    ],
  };
}

/** What the strategy must have kept of the whole burst, of which only the first `CAPACITY` items found room. */
type Rule = (kept: readonly Item[], represented: number) => string | undefined;

function burst(items: readonly Item[]): Comparison {
  const baseline = 'bare Writable (keeps nothing)';
  return {
    title: `A burst of ${COUNT.toLocaleString('en-GB')} writes in one turn, a capacity of ${CAPACITY.toLocaleString('en-GB')}: all but the first find it full`,
    unit: 'items',
    isInProcess: true,
    amount: COUNT,
    baseline,
    rounds: 15,
    warmUps: 3,
    candidates: [
      candidate(baseline, (take) => writeBurst(bareWritable(take), items)),
      dropping('drop_oldest', items, (kept) => mustBe(kept, items.slice(-CAPACITY))),
      dropping('drop_newest', items, (kept) => mustBe(kept, items.slice(0, CAPACITY))),
      dropping('sample', items, (kept, represented) => {
        if (kept.length > CAPACITY) return `kept ${kept.length} items, more than fit`;
        return represented === COUNT
          ? undefined
          : `what was kept stands for ${represented} items of ${COUNT}`;
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
    fault = eventsFlushed + eventsDropped === eventsOffered ? countFault(eventsOffered, COUNT) : 'lost items';
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

function stage(items: readonly Item[]): Comparison {
  const baseline = 'PassThrough';
  const through = (name: string, ...stages: (() => PassThrough | BackpressureTransform<Item>)[]): Candidate =>
    candidate(name, (take) =>
      pipeline([Readable.from(generate(items)), ...stages.map((make) => make()), bareWritable(take)]),
    );
  return {
    title: 'A stage of a pipeline: generator → stage → Writable',
    unit: 'items',
    isInProcess: true,
    amount: COUNT,
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
        () => new BackpressureTransform<Item>({ strategy: 'drop_oldest', maxBufferSize: COUNT }),
      ),
    ],
  };
}

function* generate(items: readonly Item[]): Generator<Item, void> {
  yield* items;
}
