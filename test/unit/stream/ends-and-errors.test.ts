/** How the end of a source, and the errors of its neighbours, pass through a pipeline. */

import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, expect, it } from 'vitest';
import { BackpressureTransform, BackpressureWritable } from '../../../src/index.js';
import { CollectingDestination, ManualDestination } from '../../support/destinations.js';
import { ManualClock } from '../../support/manual-clock.js';
import { range } from '../../support/range.js';
import { endOf, turn } from '../../support/stream.js';

const DROPPING = ['drop_oldest', 'drop_newest', 'sample'] as const;

describe('end() of a pipeline', () => {
  it.each([0, 1, 99, 100, 101, 250])('settles %i items', async (count) => {
    const destination = new CollectingDestination<number>();
    const stream = new BackpressureWritable<number>(destination.flush);
    await pipeline(Readable.from(range(count)), new BackpressureTransform<number>(), stream);
    expect(destination.items).toEqual(range(count));
  });
});

describe('end and errors under strategies that drop', () => {
  it.each(DROPPING)('%s: a sink that drops nearly everything ends', async (strategy) => {
    const destination = new ManualDestination<number>();
    const stream = new BackpressureWritable<number>(destination.flush, { strategy, maxBufferSize: 1 });
    stream.write(0);
    await turn();
    await turn();
    for (const item of range(1_000)) stream.write(item);
    stream.end(1_000);
    await turn();
    while (destination.open.length > 0) await destination.answer();
    expect(await endOf(stream)).toBeUndefined();
  });

  it.each(DROPPING)(
    '%s: an error of the stage in front rejects the pipeline although the buffers are full',
    async (strategy) => {
      const failure = new Error('in front');
      const between = new BackpressureTransform<number>({ strategy, maxBufferSize: 2 });
      const source = new Transform({
        objectMode: true,
        transform: (item: number, _encoding, done) => (item === 500 ? done(failure) : done(null, item)),
      });
      const destination = new ManualDestination<number>();
      const stream = new BackpressureWritable<number>(destination.flush, {
        strategy,
        maxBufferSize: 2,
        abortGraceMs: 0,
      });
      await expect(pipeline(Readable.from(range(1_000)), source, between, stream)).rejects.toBe(failure);
    },
  );

  it.each(DROPPING)('%s: a transform ends after the items that it kept', async (strategy) => {
    const between = new BackpressureTransform<number>({ strategy, maxBufferSize: 2 });
    for (const item of range(100)) between.write(item);
    between.end();
    expect(await between.toArray()).toHaveLength(2);
  });
});

describe('a destination that fails while the source is idle', () => {
  it('rejects the pipeline without another write or end()', async () => {
    const clock = new ManualClock();
    const destination = new ManualDestination<number>();
    const stream = new BackpressureWritable<number>(destination.flush, { clock });
    const source = new Readable({ objectMode: true, read: () => undefined });
    const outcome = pipeline(source, stream).catch((error: unknown) => error);
    source.push(1);
    await clock.advance(100);
    await destination.fail(new Error('gone'));
    expect(await outcome).toMatchObject({ code: 'ERR_BACKPRESSURE_FLUSH_FAILED', items: [1] });
    expect(source.destroyed).toBe(true);
    expect(clock.pending).toBe(0);
  });
});

describe('a stage in front that fails while flushes are under way', () => {
  it('rejects the pipeline with its error, and nothing is written after close (invariant 4)', async () => {
    const failure = new Error('the original');
    const clock = new ManualClock();
    const destination = new ManualDestination<number>();
    const stream = new BackpressureWritable<number>(destination.flush, {
      clock,
      batchSize: 2,
      concurrency: 2,
    });
    const source = new Readable({ objectMode: true, read: () => undefined });
    for (const item of range(9)) source.push(item);
    const outcome = pipeline(source, stream).catch((error: unknown) => error);
    await turn();
    expect(destination.open).toHaveLength(2);
    source.destroy(failure);
    await turn();
    expect(destination.open.map(({ context }) => context.signal.aborted)).toEqual([true, true]);
    expect(stream.closed).toBe(false);
    await clock.advance(1_000);
    expect(await outcome).toBe(failure);
    expect(stream.closed).toBe(true);
    const calls = destination.calls.length;
    await clock.advance(100_000);
    expect(destination.calls).toHaveLength(calls);
    expect(stream.takeUnsettled()).toEqual(range(9));
  });
});
