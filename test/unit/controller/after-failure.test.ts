/** Faults that were found after the fact, each with the test that would have shown it. */

import { getEventListeners } from 'node:events';
import { describe, expect, it, vi } from 'vitest';
import {
  BackpressureController,
  BackpressureError,
  BackpressureWritable,
  ItemError,
} from '../../../src/index.js';
import { ManualClock, settle } from '../../support/manual-clock.js';

const never = () => new Promise<void>(() => undefined);

describe('after a fatal failure', () => {
  it('drain() and flush() reject only when everything has been handed back', async () => {
    const clock = new ManualClock();
    let calls = 0;
    const controller = new BackpressureController<number>(
      () => (calls++ === 0 ? Promise.reject(new Error('boom')) : never()),
      { clock, batchSize: 2, concurrency: 2, maxBufferSize: 8, abortGraceMs: 200 },
    );
    controller.start();
    for (let item = 0; item < 6; item++) controller.tryPush(item);
    await settle();
    const rejection = vi.fn();
    controller.drain().catch(rejection);
    controller.flush().catch(rejection);
    await clock.advance(199);
    expect(rejection).not.toHaveBeenCalled();
    expect(controller.takeUnsettled()).toEqual([0, 1, 4, 5]);
    await clock.advance(1);
    expect(rejection).toHaveBeenCalledTimes(2);
    expect(controller.takeUnsettled()).toEqual([2, 3]);
    // Whatever was taken meanwhile, the error carries everything.
    expect((rejection.mock.calls[0]![0] as BackpressureError).items).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it('and after a stop, a controller lets go of a signal that outlives it', async () => {
    const { signal } = new AbortController();
    const failing = new BackpressureController<number>(() => Promise.reject(new Error('boom')), { signal });
    failing.start();
    failing.tryPush(1);
    await expect(failing.flush()).rejects.toThrow('boom');
    let answer: () => void = () => undefined;
    const stopped = new BackpressureController<number>(
      () => new Promise<void>((resolve) => (answer = resolve)),
      {
        signal,
        batchSize: 1,
      },
    );
    stopped.start();
    stopped.tryPush(1);
    await settle();
    stopped.stop();
    answer();
    await settle();
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });
});

it('an asynchronous onSettled that rejects fails the stream, and is nobody’s stray rejection', async () => {
  const stream = new BackpressureWritable<number>(async () => undefined, {
    onSettled: () => Promise.reject(new Error('not acknowledged')),
  });
  const failed = new Promise((resolve) => stream.on('error', resolve));
  stream.write(1);
  await expect(failed).resolves.toMatchObject({ code: 'ERR_BACKPRESSURE_HANDLER_FAILED' });
});

it('a stand-in for queueMicrotask that never runs does not stop the clock', async () => {
  vi.stubGlobal('queueMicrotask', () => undefined);
  const { systemClock } = await import('../../../src/common/clock.js');
  const before = systemClock.turnNow!();
  vi.unstubAllGlobals();
  await settle();
  expect(systemClock.turnNow!()).toBeGreaterThan(before);
});

it('errors of another copy of the library are recognised, those of a subclass by their class', async () => {
  vi.resetModules();
  const other = await import('../../../src/api/errors.js');
  expect(other.ItemError).not.toBe(ItemError);
  expect(new other.ItemError(0)).toBeInstanceOf(ItemError);
  expect(new other.BackpressureError('ERR_BACKPRESSURE_ABORTED', '')).toBeInstanceOf(BackpressureError);
  class Special extends BackpressureError {}
  expect(new BackpressureError('ERR_BACKPRESSURE_ABORTED', '')).not.toBeInstanceOf(Special);
  expect(new Error('plain')).not.toBeInstanceOf(ItemError);
});
