/** How many items an engine holds at once, and whether it loses any, when the destination is slower than the producer. */

import { setTimeout as delay } from 'node:timers/promises';
import type { Item } from './counting.js';
import type { Work } from './engine-peers.js';

/** Ten times what any of the engines is told to hold. */
const ITEMS = 100_000;
const ANSWER_MS = 2;
const HOLDS_ALL = 0.9;

/**
 * Counted exactly, at every item that leaves the source and every batch whose flush has ended: what left it and is not finished is held,
 * in the engine, in a stream before it or in a flush.
 *
 * @throws whatever the engine throws; what it loses is no error.
 */
export async function holdingOf(items: readonly Item[], work: Work): Promise<string> {
  const count = Math.min(ITEMS, items.length);
  let taken = 0;
  let finished = 0;
  let most = 0;
  let batches = 0;
  const source = function* (): Generator<Item, void> {
    for (let place = 0; place < count; place += 1) {
      taken += 1;
      most = Math.max(most, taken - finished);
      yield items[place]!;
    }
  };
  await work(source(), async (batch) => {
    batches += 1;
    await delay(ANSWER_MS);
    finished += batch.length;
  });
  const shown = (value: number): string => Math.round(value).toLocaleString('en-GB');
  const size = `batches of ${shown(finished / batches)}`;
  if (finished !== count)
    return `loses ${shown(count - finished)} of ${shown(count)} at a slow destination; ${size}`;
  return most >= HOLDS_ALL * count ? `no bound; ${size}` : `holds ${shown(most)} at most; ${size}`;
}
