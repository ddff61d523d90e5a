/** Batching engines side by side on the same work: small objects, in batches, into an async function that does nothing. */

import { BackpressureWritable } from 'spillway';
import type { Candidate, Comparison } from './support/comparison.js';
import { makeItems, type Item } from './support/counting.js';
import { PEERS } from './support/engine-peers.js';
import { BATCH_SIZE, candidate, HandWrittenBatching, writeAll } from './support/in-process.js';
import { orMissing, versionOf } from './support/peer.js';

const COUNT = 1_000_000;
const BOUND = 'bounds memory';

export async function* comparisons(count = COUNT): AsyncGenerator<Comparison, void> {
  const items = makeItems(count);
  const baseline = 'hand-written batching Writable';
  const peers: Candidate[] = [];
  for (const { packageName, engine, remark, connect } of PEERS) {
    const version = await versionOf(packageName);
    const name = `${packageName} ${version ?? ''}`.trim() + `: ${engine}`;
    const make = async (): Promise<Candidate> => {
      const work = await connect();
      return candidate(count, name, (_take, flush) => work(items, flush));
    };
    peers.push({ ...(await orMissing(name, packageName, make)), remark, isPeer: true });
  }
  yield {
    title: `Engines: batches of ${BATCH_SIZE} into an async no-op`,
    unit: 'items',
    isInProcess: true,
    amount: count,
    baseline,
    rounds: 5,
    candidates: [
      {
        ...candidate(count, baseline, (_take, flush) => writeAll(new HandWrittenBatching(flush), items)),
        remark: BOUND,
      },
      {
        ...candidate(count, "BackpressureWritable 'block'", (_take, flush) =>
          writeAll(new BackpressureWritable<Item>(flush, { batchSize: BATCH_SIZE }), items),
        ),
        remark: BOUND,
      },
      ...peers,
    ],
  };
}
