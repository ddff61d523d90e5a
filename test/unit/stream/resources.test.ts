/** Timers and listeners of a writable end with what needs them. */

import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { BackpressureWritable } from '../../../src/index.js';
import { CollectingDestination, ManualDestination } from '../../support/destinations.js';
import { ManualClock } from '../../support/manual-clock.js';
import { range } from '../../support/range.js';
import { closed, turn } from '../../support/stream.js';

describe('listeners over 1 000 flushes', () => {
  it('listeners of the stream and of the process do not become more over 1 000 flushes', async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => void warnings.push(warning);
    process.on('warning', onWarning);
    const { signal } = new AbortController();
    const destination = new CollectingDestination<number>();
    const stream = new BackpressureWritable<number>(destination.flush, { signal, highWaterMark: 1 });
    const counts = () => ({
      stream: stream.eventNames().map((name) => [name, stream.listenerCount(name)]),
      process: process.eventNames().map((name) => [name, process.listenerCount(name as string)]),
    });
    const before = counts();
    for (const item of range(1_000)) {
      if (!stream.write(item)) await once(stream, 'drain');
      if (item % 10 === 0) await stream.flush();
    }
    expect(destination.batches.length).toBeGreaterThanOrEqual(1_000);
    expect(counts()).toEqual(before);
    await stream[Symbol.asyncDispose]();
    process.off('warning', onWarning);
    expect(warnings).toEqual([]);
  });
});

describe('timers of a stream', () => {
  it('are cleared by flush() and by the close', async () => {
    const clock = new ManualClock();
    const destination = new CollectingDestination<number>();
    const stream = new BackpressureWritable<number>(destination.flush, { clock });
    expect(clock.pending).toBe(0);
    for (const item of range(50)) {
      stream.write(item);
      await turn();
      expect(clock.pending).toBe(1);
      await stream.flush();
      expect(clock.pending).toBe(0);
    }
    stream.write(50);
    await stream[Symbol.asyncDispose]();
    expect(clock.pending).toBe(0);
  });

  it.each(['queued', 'in flight', 'retrying', 'held'])(
    'are cleared by destroy() while an item is %s',
    async (stage) => {
      const clock = new ManualClock();
      const destination = new ManualDestination<number>();
      const stream = new BackpressureWritable<number>(destination.flush, {
        clock,
        maxBufferSize: 4,
        batchSize: 2,
        maxBlockTimeMs: 10_000,
        retry: { attempts: 9, minDelayMs: 1_000 },
      });
      stream.on('error', () => undefined);
      for (const item of range(stage === 'queued' ? 1 : stage === 'held' ? 6 : 2)) stream.write(item);
      await turn();
      if (stage === 'retrying') await destination.fail(new Error('no'));
      expect(clock.pending).toBeGreaterThan(0);
      stream.destroy();
      await turn();
      if (stage === 'in flight' || stage === 'held') await destination.answer();
      await closed(stream);
      expect(clock.pending).toBe(0);
    },
  );
});
