import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BackpressureController } from '../../../../src/controller/backpressure-controller.js';
import type { SizeOf } from '../../../../src/api/flush-function.js';

interface Item {
  readonly held: number;
}

/** A destination that notes its batches; each item is sent as a share of what it holds. */
function run(share: () => number, items: readonly Item[], options: object, look = () => {}) {
  const batches: Item[][] = [];
  const sizeOf: SizeOf<Item> = Object.assign((item: Item) => item.held, { sentShare: share });
  const flush = (batch: Item[]) => {
    batches.push(batch);
    look();
    return Promise.resolve();
  };
  const controller = new BackpressureController<Item>(
    Object.assign(flush, { defaults: { sizeOf, batchBytes: 1_000, batchSize: 1_000 } }),
    options,
  );
  controller.start();
  const done = (async () => {
    for (const item of items) {
      await controller.push(item);
      look();
    }
    await controller.drain();
  })();
  return { controller, batches, done };
}

const heldOf = (batch: readonly Item[]) => batch.reduce((sum, { held }) => sum + held, 0);

test('a batch takes as many bytes as batchBytes is by what is sent', async () => {
  const items = Array.from({ length: 1_000 }, () => ({ held: 100 }));
  const { batches, done } = run(() => 0.25, items, { maxBufferBytes: 1_000_000 });
  await done;
  expect(batches.flat()).toHaveLength(1_000);
  expect(Math.max(...batches.map(heldOf))).toBe(4_000);
});

test('a share that is learnt later counts from the next batch on', async () => {
  let share = 1;
  const items = Array.from({ length: 2_000 }, () => ({ held: 100 }));
  const { batches, done } = run(() => (share = Math.max(0.1, share * 0.99)), items, {
    maxBufferBytes: 1_000_000,
  });
  await done;
  expect(batches.flat()).toHaveLength(2_000);
  expect(heldOf(batches[0]!)).toBeLessThanOrEqual(1_100);
  expect(Math.max(...batches.map(heldOf))).toBeGreaterThan(1_500);
});

test.each<[string, () => number]>([
  [
    'throws',
    () => {
      throw new Error('no share');
    },
  ],
  ['is 0', () => 0],
  ['is below 0', () => -1],
  ['is no number', () => NaN],
  ['is infinite', () => Infinity],
])('a share that %s counts as all of it', async (_, share) => {
  const items = Array.from({ length: 100 }, () => ({ held: 100 }));
  const { batches, done } = run(share, items, { maxBufferBytes: 1_000_000 });
  await done;
  expect(batches.flat()).toHaveLength(100);
  expect(Math.max(...batches.map(heldOf))).toBe(1_000);
});

test.each([1, 2, 4])(
  'nothing is dropped beside an idle slot of %i, if batchBytes is given',
  async (concurrency) => {
    let batches = 0;
    const abort = new AbortController();
    const sizeOf: SizeOf<Item> = Object.assign((item: Item) => item.held, { sentShare: () => 0.1 });
    const flush = () => new Promise<void>(() => batches++);
    const controller = new BackpressureController<Item>(Object.assign(flush, { defaults: { sizeOf } }), {
      strategy: 'drop_newest',
      batchSize: 1_000,
      batchBytes: 1_000,
      maxBufferBytes: 4_000,
      concurrency,
      signal: abort.signal,
      abortGraceMs: 0,
    });
    controller.start();
    while (controller.tryPush({ held: 100 })) await Promise.resolve();
    expect(batches).toBe(concurrency);
    abort.abort();
    await controller.flush().catch(() => undefined);
  },
);

test('whatever the share, what is held stays within maxBufferBytes, and no item is lost', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ held: fc.integer({ min: 1, max: 900 }) }), { maxLength: 200 }),
      fc.infiniteStream(fc.double({ min: 0.001, max: 2, noNaN: true })),
      fc.integer({ min: 1_000, max: 20_000 }),
      fc.integer({ min: 1, max: 4 }),
      async (items, shares, maxBufferBytes, concurrency) => {
        const share = () => shares.next().value as number;
        let most = 0;
        const look = ({ bufferBytes, inFlightBytes }: ReturnType<typeof controller.getMetrics>) => {
          most = Math.max(most, bufferBytes! + inFlightBytes!);
        };
        const { controller, batches, done } = run(share, items, { maxBufferBytes, concurrency }, () =>
          look(controller.getMetrics()),
        );
        await done;
        expect(batches.flat()).toEqual(items);
        expect(most).toBeLessThanOrEqual(maxBufferBytes);
      },
    ),
    { numRuns: 60 },
  );
});
