/** What the end of a full sink costs one turn of the event loop: settlements are told by the thousand, the count is right at once. */

import { once } from 'node:events';
import { expect, test, vi } from 'vitest';
import { BackpressureController, BackpressureWritable, type Settlement } from '../../../../src/index.js';
import { turnBudget } from '../../../../src/common/turn-budget.js';
import { inOrder, UnsettledItems } from '../../../../src/sink/settlement/unsettled-items.js';
import { range } from '../../../support/range.js';

test('destroy() of a long queue: the ledger is right at once, onSettled gets at most 1,000 outcomes a call, in order', async () => {
  const told: Settlement<number>[][] = [];
  const sink = new BackpressureWritable<number>(() => new Promise(() => undefined), {
    maxBufferSize: 20_000,
    batchSize: 10,
    abortGraceMs: 1,
    onSettled: (settlements) => void told.push([...settlements]),
  });
  sink.on('error', () => undefined);
  for (let item = 0; item < 12_345; item += 1) sink.write(item);
  await vi.waitFor(() => expect(sink.getMetrics().inFlight).toBe(10));
  const closed = once(sink, 'close').catch(() => undefined);
  sink.destroy(new Error('enough'));
  expect(sink.getMetrics()).toMatchObject({ eventsFailed: 12_335, inFlight: 10, bufferSize: 0 });
  await closed;
  const items = told.flat().map(({ item }) => item);
  expect(items).toHaveLength(12_345);
  expect(new Set(items).size).toBe(12_345);
  expect(items.filter((item) => item >= 10)).toEqual(range(12_335, 10));
  expect(Math.max(...told.map(({ length }) => length))).toBeLessThanOrEqual(1_000);
  expect(sink.takeUnsettled()).toHaveLength(12_345);
});

test('destroy() with large batches in flight, a queue and writes that wait: onSettled gets at most 1,000 outcomes a call', async () => {
  const told: Settlement<number>[][] = [];
  const sink = new BackpressureWritable<number>(
    (_items, { signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error));
      }),
    {
      maxBufferSize: 50_000,
      batchSize: 15_000,
      concurrency: 2,
      onSettled: (settlements) => void told.push([...settlements]),
    },
  );
  sink.on('error', () => undefined);
  for (let item = 0; item < 50_000; item += 1) sink.write(item);
  await vi.waitFor(() => expect(sink.getMetrics().inFlight).toBe(30_000));
  expect(sink.getMetrics().waiting).toBeGreaterThan(5_000);
  let dropped = 0;
  sink.on('drop', () => (dropped += 1));
  const closed = once(sink, 'close').catch(() => undefined);
  sink.destroy(new Error('enough'));
  const { eventsDropped, dropsByReason, waiting } = sink.getMetrics();
  expect({ waiting, dropsByReason }).toMatchObject({ waiting: 0, dropsByReason: { aborted: dropped } });
  await closed;
  expect(Math.max(...told.map(({ length }) => length))).toBeLessThanOrEqual(1_000);
  const all = told.flat();
  expect(new Set(all.map(({ item }) => item)).size).toBe(50_000);
  expect(all.filter(({ outcome }) => outcome === 'dropped')).toHaveLength(eventsDropped);
  const inOrderOfBatches = (from: number, to: number) =>
    all.map(({ item }) => item).filter((item) => item >= from && item < to);
  for (const [from, to] of [
    [0, 15_000],
    [15_000, 30_000],
    [30_000, 50_000],
  ] as const)
    expect(inOrderOfBatches(from, to)).toEqual(Array.from({ length: to - from }, (_, n) => from + n));
  expect(sink.takeUnsettled()).toEqual(range(50_000));
});

test('a batch of 20,000 items that fails as a whole: onFailed gets all of them, in order, in one call', async () => {
  const calls: number[][] = [];
  const sink = new BackpressureWritable<number>(() => Promise.reject(new Error('refused')), {
    maxBufferSize: 40_000,
    batchSize: 20_000,
    retry: { attempts: 1 },
    onFailed: (failures) => void calls.push(failures.map(({ item }) => item)),
  });
  for (let item = 0; item < 20_000; item += 1) sink.write(item);
  sink.end();
  await once(sink, 'finish');
  expect(calls).toEqual([range(20_000)]);
  expect(sink.getMetrics()).toMatchObject({ eventsFailed: 20_000, inFlight: 0 });
});

test('a batch of 20,000 items that is called again as a whole: nothing is done for single items, in no further turn', async () => {
  const nextTurn = vi.spyOn(turnBudget, 'nextTurn');
  const controller = new BackpressureController<number>(
    (_items, { attempt }) => (attempt === 1 ? Promise.reject(new Error('busy')) : Promise.resolve()),
    { maxBufferSize: 40_000, batchSize: 20_000, retry: { attempts: 2, minDelayMs: 0 } },
  );
  for (let item = 0; item < 20_000; item += 1) controller.tryPush(item);
  controller.start();
  await controller.flush();
  expect(controller.getMetrics()).toMatchObject({ eventsFlushed: 20_000, retries: 1 });
  expect(nextTurn).not.toHaveBeenCalled();
  controller.stop();
});

test('items that are arrays, or say that they may be spread, come back as they are', () => {
  const spreadable = { [Symbol.isConcatSpreadable]: true, length: 1, 0: 'inner' };
  const unsettled = new UnsettledItems<unknown>();
  unsettled.addPart(2, [[1, 2], spreadable]);
  unsettled.addPart(0, [[]]);
  expect(unsettled.takeAll()).toEqual([[], [1, 2], spreadable]);
  const all = inOrder([{ first: 0, items: [1] }]);
  all.pop();
  expect(unsettled.everything()).toHaveLength(3);
});
