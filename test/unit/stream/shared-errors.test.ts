/** Errors that reach several stages: each stage attaches items to its own errors only. */

import * as stream from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, expect, it } from 'vitest';
import {
  BackpressureController,
  BackpressureError,
  BackpressureTransform,
  BackpressureWritable,
} from '../../../src/index.js';
import { ManualClock } from '../../support/manual-clock.js';
import { ManualDestination } from '../../support/destinations.js';
import { closed, endOf, turn } from '../../support/stream.js';

async function rejection(promise: Promise<unknown>): Promise<BackpressureError> {
  const error: unknown = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(BackpressureError);
  return error as BackpressureError;
}

const down = () => Promise.reject(new Error('down'));

const { PassThrough } = stream;
// Node's types do not have it.
const { compose } = stream as unknown as { compose: (...stages: unknown[]) => stream.Duplex };

describe('an error that several stages share', () => {
  it('carries the items of the sink that failed behind a transform in a pipeline', async () => {
    const transform = new BackpressureTransform<number>();
    const sink = new BackpressureWritable<number>(down, { batchSize: 3 });
    const endless = new stream.Readable({ objectMode: true, read: () => undefined });
    for (const item of [1, 2, 3]) endless.push(item);
    const error = await rejection(pipeline(endless, transform, sink));
    expect(error).toMatchObject({ code: 'ERR_BACKPRESSURE_FLUSH_FAILED', items: [1, 2, 3] });
    expect(sink.takeUnsettled()).toEqual([1, 2, 3]);
    expect(transform.takeUnsettled()).toEqual([]);
  });

  it('carries the items of the stage that made it after another stage was destroyed with it', async () => {
    const first = new BackpressureWritable<string>(down);
    const second = new BackpressureWritable<string>(new ManualDestination<string>().flush);
    const ends = Promise.all([endOf(first), endOf(second)]);
    first.write('a');
    second.write('b');
    first.once('error', (error) => second.destroy(error));
    const [error] = await ends;
    await closed(second);
    expect(second.errored).toBe(first.errored);
    expect((error as BackpressureError).items).toEqual(['a']);
    expect(second.takeUnsettled()).toEqual(['b']);
  });

  it('gets its items although another stage was destroyed with it before', async () => {
    const clock = new ManualClock();
    const other = new BackpressureWritable<string>(down, { clock });
    const destination = new ManualDestination<string>();
    // One flush never answers: the items are known only after its grace.
    const sink = new BackpressureWritable<string>(destination.flush, {
      clock,
      concurrency: 2,
      batchSize: 1,
      abortGraceMs: 100,
    });
    other.on('error', () => undefined);
    sink.on('error', () => undefined);
    sink.write('a');
    sink.write('b');
    other.write('c');
    await turn();
    destination.open[1]!.reject(new Error('down'));
    await turn();
    const { errored } = sink;
    expect(sink.closed).toBe(false);
    other.destroy(errored);
    await closed(other);
    await clock.advance(100);
    await closed(sink);
    expect((errored as BackpressureError).items).toEqual(['a', 'b']);
    expect(other.takeUnsettled()).toEqual(['c']);
  });

  it('carries the items of the failing stage through compose()', async () => {
    const transform = new BackpressureTransform<number>();
    const sink = new BackpressureWritable<number>(down, { batchSize: 2 });
    const composed = compose(transform, new PassThrough({ objectMode: true }), sink);
    const end = endOf(composed);
    composed.write(1);
    composed.write(2);
    const error = await end;
    expect(error).toBe(sink.errored);
    expect(error).toMatchObject({ code: 'ERR_BACKPRESSURE_FLUSH_FAILED', items: [1, 2] });
  });

  it('stays as it is where it is frozen, or made by the user', async () => {
    const foreign = Object.freeze(
      new BackpressureError('ERR_BACKPRESSURE_ABORTED', 'of somebody else', { items: ['x'] }),
    );
    const sink = new BackpressureWritable<string>(new ManualDestination<string>().flush);
    const transform = new BackpressureTransform<string>();
    for (const stage of [sink, transform]) {
      stage.on('error', () => undefined);
      stage.write('a');
      stage.destroy(foreign);
      await closed(stage);
      expect(stage.errored).toBe(foreign);
      expect(stage.takeUnsettled()).toEqual(['a']);
    }
    expect(foreign.items).toEqual(['x']);
  });

  it('carries its items although the user froze it before they were known', async () => {
    const clock = new ManualClock();
    const sink = new BackpressureWritable<string>(
      (_items, { signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(Object.freeze(signal.reason)));
        }),
      { clock, flushTimeoutMs: 10 },
    );
    sink.on('error', () => undefined);
    sink.end('a');
    await turn();
    await clock.advance(10);
    await closed(sink);
    expect(sink.errored).toMatchObject({ code: 'ERR_BACKPRESSURE_FLUSH_TIMEOUT', items: ['a'] });
  });
});

describe('a sink that flushes into another stage', () => {
  it('fails with an error of its own, whose cause is the other sink’s error', async () => {
    const inner = new BackpressureWritable<string>(down);
    inner.on('error', () => undefined);
    const outer = new BackpressureWritable<string>(async (items) => {
      for (const item of items) inner.write(`inner ${item}`);
      await inner.flush();
    });
    const end = endOf(outer);
    outer.write('a');
    outer.end('b');
    const error = (await end) as BackpressureError;
    expect(error).toMatchObject({ code: 'ERR_BACKPRESSURE_FLUSH_FAILED', items: ['a', 'b'] });
    expect(error.cause).toBe(inner.errored);
    expect(error.cause).toMatchObject({
      code: 'ERR_BACKPRESSURE_FLUSH_FAILED',
      items: ['inner a', 'inner b'],
    });
  });

  it.each([
    [
      'ERR_BACKPRESSURE_FLUSH_TIMEOUT',
      () => new Promise<void>(() => undefined),
      { flushTimeoutMs: 10, abortGraceMs: 1 },
    ],
    ['ERR_BACKPRESSURE_INVALID_RESULT', () => Promise.resolve({ success: 7, failed: 0, errors: [] }), {}],
    [
      'ERR_BACKPRESSURE_HANDLER_FAILED',
      down,
      {
        retry: {
          isRetryable: () => {
            throw new Error('no answer');
          },
        },
      },
    ],
  ])('fails with FLUSH_FAILED where the other one failed with %s', async (code, flush, options) => {
    const clock = new ManualClock();
    const inner = new BackpressureController<string>(flush, { clock, ...options });
    inner.start();
    const outer = new BackpressureWritable<string>(
      async (items) => {
        for (const item of items) await inner.push(`inner ${item}`);
        await inner.flush();
      },
      { clock },
    );
    outer.on('error', () => undefined);
    outer.end('a');
    await clock.advance(1_000);
    await closed(outer);
    expect(outer.errored).toMatchObject({ code: 'ERR_BACKPRESSURE_FLUSH_FAILED', items: ['a'] });
    expect((outer.errored as Error).cause).toMatchObject({ code, items: ['inner a'] });
  });

  it('keeps the code of what failed in itself', async () => {
    const sink = new BackpressureWritable<string>(() =>
      Promise.resolve({ success: 7, failed: 0, errors: [] }),
    );
    const end = endOf(sink);
    sink.end('a');
    expect(await end).toMatchObject({ code: 'ERR_BACKPRESSURE_INVALID_RESULT', items: ['a'] });
  });
});
