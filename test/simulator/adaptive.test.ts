import { describe, expect, it } from 'vitest';
import { CHANGES, COMPARED_MODELS } from './compared-models.js';
import { compare, recover, TARGET_MS } from './comparison.js';

const SECONDS = 1_000;

// Other seeds, noise and longer runs: npm run compare:adaptive.
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

  it.each(CHANGES.filter(({ name }) => !name.startsWith('knee')))(
    'is back within 10 flushes (after a stall: with its interval), its interval within 30: $name',
    async (change) => {
      for (const seed of [1, 2]) {
        const { flushes, intervalFlushes } = await recover(change, seed);
        // After a stall smaller batches bring the interval back first.
        expect(flushes).toBeLessThanOrEqual(change.name === 'stall ends' ? 30 : 10);
        expect(intervalFlushes).toBeLessThanOrEqual(30);
      }
    },
  );

  it('follows a knee that has moved, though not as soon', async () => {
    for (const change of CHANGES.filter(({ name }) => name.startsWith('knee')))
      expect((await recover(change, 3)).flushes).toBeLessThanOrEqual(500);
  }, 90_000);
});
