/** Batching engines side by side on the same work: small objects, in batches, into an async function that does nothing. */

import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { BackpressureWritable } from 'spillway';
import type { Candidate, Comparison } from './support/comparison.js';
import { makeItems, type Item } from './support/counting.js';
import { PEERS, type Work } from './support/engine-peers.js';
import { holdingOf } from './support/holding.js';
import { BATCH_SIZE, candidate, HandWrittenBatching, writeAll } from './support/in-process.js';
import { orMissing, versionOf } from './support/peer.js';

const COUNT = 1_000_000;

const BASELINE = 'hand-written batching Writable: write loop';

/** All take their items from a generator: an array would have in memory what an engine that pulls does not hold. */
const OURS: readonly (readonly [name: string, work: Work])[] = [
  [BASELINE, (source, flush) => writeAll(new HandWrittenBatching(flush), source)],
  [
    'hand-written batching Writable: pipeline',
    (source, flush) => pipeline(Readable.from(source), new HandWrittenBatching(flush)),
  ],
  [
    "BackpressureWritable 'block': write loop",
    (source, flush) => writeAll(new BackpressureWritable<Item>(flush, { batchSize: BATCH_SIZE }), source),
  ],
  [
    "BackpressureWritable 'block': pipeline",
    (source, flush) =>
      pipeline(Readable.from(source), new BackpressureWritable<Item>(flush, { batchSize: BATCH_SIZE })),
  ],
];

export async function* comparisons(count = COUNT): AsyncGenerator<Comparison, void> {
  const items = makeItems(count);
  const candidates: Candidate[] = [];
  for (const [name, work] of OURS) candidates.push(await engine(name, items, work));
  for (const { packageName, engine: what, remark, connect } of PEERS) {
    const version = await versionOf(packageName);
    const name = `${packageName} ${version ?? ''}`.trim() + `: ${what}`;
    const make = async (): Promise<Candidate> => engine(name, items, await connect(), remark);
    candidates.push({ ...(await orMissing(name, packageName, make)), isPeer: true });
  }
  yield {
    title: `Engines: batches of ${BATCH_SIZE} into an async no-op`,
    unit: 'items',
    isInProcess: true,
    amount: count,
    baseline: BASELINE,
    rounds: 7,
    candidates,
  };
}

/** How much it holds is measured here, apart from the timed runs, and becomes a remark. Who throws at that is broken, and is not timed. */
async function engine(
  name: string,
  items: readonly Item[],
  work: Work,
  peersRemark?: string,
): Promise<Candidate> {
  const timed = candidate(items.length, name, (_take, flush) => work(generate(items), flush));
  try {
    const holding = await holdingOf(items, work);
    return { ...timed, remark: [holding, ...(peersRemark === undefined ? [] : [peersRemark])].join('; ') };
  } catch (error) {
    return { ...timed, verify: () => Promise.reject(error) };
  }
}

function* generate(items: readonly Item[]): Generator<Item, void> {
  for (const item of items) yield item;
}
