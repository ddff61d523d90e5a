import { expect, it } from 'vitest';
import { BackpressureController } from '../../../src/index.js';
import { range } from '../../support/range.js';
import { ManualClock } from '../../support/manual-clock.js';

it('drop_oldest with a byte budget evicts while a batch is in flight, and rejects nothing', async () => {
  const clock = new ManualClock();
  const drops: string[] = [];
  const controller = new BackpressureController<number>(() => new Promise(() => {}), {
    ...{ strategy: 'drop_oldest', sizeOf: () => 10, maxBufferBytes: 100, batchBytes: 100, clock },
  });
  controller.on('drop', (_item, reason) => drops.push(reason));
  controller.start();
  for (const item of range(10, 1)) void controller.push(item);
  await clock.advance(100);
  for (const item of range(20, 11)) void controller.push(item);
  expect(drops.length).toBeGreaterThan(10);
  expect(new Set(drops)).toEqual(new Set(['evicted']));
});
