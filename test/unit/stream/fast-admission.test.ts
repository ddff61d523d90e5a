/**
 * The fast path of admission is taken where it should be. One that is never taken again changes nothing that a user sees but the time; what
 * shows it is how many writes pass through Node's own.
 */

import { Writable } from 'node:stream';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { AdmissionQueue } from '../../../src/buffer/admission-queue.js';
import { BackpressureTransform, BackpressureWritable } from '../../../src/index.js';
import { ManualClock } from '../../support/manual-clock.js';
import { range } from '../../support/range.js';
import { closed, turn } from '../../support/stream.js';

afterEach(() => {
  vi.restoreAllMocks();
});

const STRATEGIES = ['block', 'drop_oldest', 'drop_newest', 'sample'] as const;
const OPTIONS = {
  'no options': {},
  'sizeOf and a bound in bytes': { sizeOf: () => 3, maxBufferBytes: 100_000 },
  shed: { shed: () => false },
};

describe.each(STRATEGIES)('a write loop under %s', (strategy) => {
  it.each(Object.entries(OPTIONS))('passes Node by, with %s, until it is to wait', async (_name, options) => {
    const native = vi.spyOn(Writable.prototype, 'write');
    const stream = new BackpressureWritable<number>(() => turn(1), {
      strategy,
      clock: new ManualClock(),
      maxBufferSize: 1_000,
      batchSize: 10,
      ...options,
    });
    let refusals = 0;
    for (const round of range(5)) {
      for (const item of range(700, round * 700)) if (!stream.write(item)) refusals++;
      while (stream.getMetrics().bufferSize > 300) await turn(1);
    }
    expect(stream.getMetrics().eventsOffered).toBe(3_500);
    expect(native.mock.calls.length).toBeLessThanOrEqual(refusals);
    stream.on('error', () => undefined).destroy();
    await closed(stream);
  });
});

it('a write loop into a transform that is read passes Node by until it is to wait', async () => {
  const native = vi.spyOn(Writable.prototype, 'write');
  const stream = new BackpressureTransform<number>({ clock: new ManualClock(), maxBufferSize: 1_000 });
  stream.resume();
  let refusals = 0;
  for (const round of range(5)) {
    for (const item of range(700, round * 700)) if (!stream.write(item)) refusals++;
    await turn();
  }
  expect(stream.getMetrics().eventsFlushed).toBe(3_500);
  expect(native.mock.calls.length).toBeLessThanOrEqual(refusals);
  stream.destroy();
  await closed(stream);
});

describe.each(STRATEGIES)('the items of a write loop under %s', (strategy) => {
  it.each(['no options', 'sizeOf and a bound in bytes'] as const)(
    'are let in together, with %s, and decided on one by one at changes only',
    async (name) => {
      const decisions = vi.spyOn(AdmissionQueue.prototype, 'admit');
      const stream = new BackpressureWritable<number>(() => turn(1), {
        strategy,
        clock: new ManualClock(),
        maxBufferSize: 20_000,
        batchSize: 500,
        ...OPTIONS[name],
      });
      for (const item of range(8_000)) stream.write(item);
      // Two batches and the change to ELEVATED are such changes.
      expect(decisions.mock.calls.length).toBeLessThan(100);
      stream.on('error', () => undefined).destroy();
      await closed(stream);
    },
  );
});
