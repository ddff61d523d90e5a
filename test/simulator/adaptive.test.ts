import { describe, expect, it } from 'vitest';
import { linearCost, servers } from './capacity.js';
import { CHANGES, COMPARED_MODELS } from './compared-models.js';
import { compare, recover, TARGET_MS } from './comparison.js';
import { faultless } from './faults.js';
import { runSaturated, summarise } from './saturated-run.js';

const SECONDS = 1_000;
/** Nothing is to be seen of these until another load or number of slots is tried. */
const isUnseen = (name: string) => name.startsWith('knee') || name === 'cores double';

// Other seeds, kinds, noise and longer runs: npm run compare:adaptive.
describe('adaptive control, against the best fixed setting that keeps the latency target', () => {
  it.each(Object.keys(COMPARED_MODELS).map((model) => ({ model })))(
    'at least 0.95 of its throughput: $model',
    async ({ model }) => {
      // Before a knee flushes are short, so that a minute holds thousands.
      const [seeds, seconds] = model === 'latency knee' ? [[2], 45] : [[1, 2], 180];
      for (const seed of seeds) {
        const { adaptive } = await compare(model, seed, 0, seconds * SECONDS);
        expect(adaptive.share).toBeGreaterThanOrEqual(0.95);
        // Nobody can foresee the first slow flushes of a neighbour's.
        if (model !== 'noisy neighbour') expect(adaptive.p95Ms).toBeLessThanOrEqual(1.01 * TARGET_MS);
      }
    },
  );

  it('does not collapse where a call takes a third of the target or more whatever its size', async () => {
    for (const seed of [1, 2, 3]) {
      const { adaptive } = await compare('large fixed part', seed, 0, 120 * SECONDS);
      expect(adaptive.share).toBeGreaterThanOrEqual(0.9);
    }
  });

  it('does not shrink to single items where no batch keeps the target', async () => {
    const seconds = 120;
    for (const fixedMs of [480, 1_000]) {
      const throughput = async (options: object) => {
        const capacity = servers(linearCost({ fixedMs, perItemMs: 10 }), 3);
        const seen = await runSaturated(
          { capacity, faults: faultless, onSignal: 'stops' },
          options,
          seconds * SECONDS,
          1,
        );
        return summarise(seen, (seconds * SECONDS) / 2, seconds * SECONDS).itemsPerSecond;
      };
      const adaptive = await throughput({ adaptive: true, concurrency: 8, batchSize: 2_000 });
      expect(adaptive).toBeGreaterThan(0.4 * (await throughput({})));
    }
  });

  it.each(CHANGES.filter(({ name }) => !isUnseen(name) && name !== 'stall ends'))(
    'is back within 10 flushes, its interval within 30: $name',
    async (change) => {
      for (const seed of [1, 2]) {
        const { flushes, intervalFlushes } = await recover(change, seed);
        expect(flushes).toBeLessThanOrEqual(10);
        expect(intervalFlushes).toBeLessThanOrEqual(30);
      }
    },
  );

  it('brings the interval back in about as many flushes as it takes at the least, 25, after a stall, and then the throughput', async () => {
    for (const seed of [1, 2]) {
      const { flushes, intervalFlushes } = await recover(
        CHANGES.find(({ name }) => name === 'stall ends')!,
        seed,
      );
      expect(intervalFlushes).toBeLessThanOrEqual(32);
      expect(flushes).toBeLessThanOrEqual(60);
    }
  });

  it.each(CHANGES.filter(({ name }) => isUnseen(name)))(
    'finds by trials what cannot be seen: $name',
    async (change) => {
      for (const seed of [1, 3]) {
        const { flushes } = await recover(change, seed);
        expect(flushes).toBeLessThanOrEqual(change.name === 'knee moves down' ? 60 : 250);
      }
    },
    60_000,
  );
});
