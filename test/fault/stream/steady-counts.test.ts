import { getEventListeners } from 'node:events';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { expect, it } from 'vitest';
import { BackpressureTransform, BackpressureWritable } from '../../../src/index.js';
import { ManualClock } from '../../support/manual-clock.js';
import { CollectingDestination } from '../../support/destinations.js';
import { range } from '../../support/range.js';
import { closed, turn } from '../../support/stream.js';

/** Open handles and timers of the process. Those of the test runner are among them, and may end meanwhile. */
function resources(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind !== 'Immediate').length;
}

function processListeners(): number {
  return process.eventNames().reduce((sum, name) => sum + process.listenerCount(name as string), 0);
}

it('1 000 streams that share a signal leave no listener, timer or handle behind, however they end', async () => {
  const { signal } = new AbortController();
  const clock = new ManualClock();
  const never = () => new Promise<never>(() => undefined);
  const before = { resources: resources(), listeners: processListeners() };
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => void warnings.push(warning);
  process.on('warning', onWarning);
  for (const round of range(1_000)) {
    const fails = round % 4 === 1;
    const hangs = round % 4 === 2;
    const stream = new BackpressureWritable<number>(
      hangs ? never : async () => (fails ? Promise.reject(new Error('no')) : undefined),
      { signal, ...(hangs ? { clock } : {}), strategy: round % 2 ? 'block' : 'drop_oldest' },
    );
    const between = new BackpressureTransform<number>({ signal });
    stream.on('error', () => undefined);
    between.on('error', () => undefined);
    between.pipe(stream);
    for (const item of range(3)) between.write(item);
    if (round % 4 === 3) stream.destroy();
    else between.end();
    if (hangs) {
      await turn();
      stream.destroy(new Error('enough'));
      await clock.advance(1_000);
    }
    await closed(stream);
    if (!between.closed) between.destroy();
    await closed(between);
    expect(stream.listenerCount('drain')).toBe(0);
  }
  process.off('warning', onWarning);
  await turn(4);
  expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  expect(clock.pending).toBe(0);
  expect(resources()).toBeLessThanOrEqual(before.resources);
  expect(processListeners()).toBe(before.listeners);
  expect(warnings).toEqual([]);
});

it('1 000 flushes of one stream on the real clock leave no timer behind', async () => {
  const before = resources();
  const destination = new CollectingDestination<number>();
  const stream = new BackpressureWritable<number>(destination.flush, { batchSize: 1, concurrency: 3 });
  await pipeline(Readable.from(range(1_000)), stream);
  expect(destination.batches).toHaveLength(1_000);
  await turn();
  expect(resources()).toBeLessThanOrEqual(before);
});

it('what was destroyed is not kept alive by what it was piped from', async () => {
  const source = new Readable({ objectMode: true, read: () => undefined });
  const count = () => source.eventNames().reduce((sum, name) => sum + source.listenerCount(name), 0);
  const before = count();
  for (let round = 0; round < 100; round++) {
    const stream = new BackpressureWritable<number>(async () => undefined);
    stream.on('error', () => undefined);
    source.pipe(stream);
    stream.destroy();
    await closed(stream);
  }
  expect(count()).toBe(before);
});
