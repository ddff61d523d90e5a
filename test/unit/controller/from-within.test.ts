/** The user's own code runs in the middle of the engine, and may do anything there. */

import { describe, expect, it } from 'vitest';
import { BackpressureController } from '../../../src/controller/backpressure-controller.js';
import type { BackpressureError } from '../../../src/api/errors.js';
import type { FailedItem, Settlement } from '../../../src/api/options.js';
import type { FlushFunction } from '../../../src/api/flush-function.js';
import { range } from '../../support/range.js';
import { startController } from '../../support/start-controller.js';
import { ManualClock, settle } from '../../support/manual-clock.js';

describe('a flush function', () => {
  it('a flush function that aborts everything before its first await has its own signal fired, and its items returned', async () => {
    const abort = new AbortController();
    const clock = new ManualClock();
    let fired = false;
    const flush: FlushFunction<number> = (_items, { signal }) => {
      signal.addEventListener('abort', () => (fired = true));
      abort.abort();
      return new Promise(() => undefined);
    };
    const controller = new BackpressureController(flush, {
      clock,
      signal: abort.signal,
      batchSize: 2,
      abortGraceMs: 50,
    });
    controller.start();
    for (const item of range(3, 1)) void controller.push(item);
    const flushed = controller.flush();
    let open = true;
    flushed.catch(() => (open = false));
    await clock.advance(49);
    expect({ fired, open }).toEqual({ fired: true, open: true });
    await clock.advance(1);
    expect(open).toBe(false);
    expect(controller.takeUnsettled()).toEqual([1, 2, 3]);
    expect(clock.pending).toBe(0);
  });

  it('a flush function that stops the controller is the last to be called', async () => {
    const clock = new ManualClock();
    const batches: number[][] = [];
    const controller: BackpressureController<number> = new BackpressureController<number>(
      async (items) => {
        batches.push(items);
        controller.stop();
      },
      { clock, batchSize: 1, concurrency: 4, maxBufferSize: 10 },
    );
    controller.start();
    for (const item of range(5, 1)) void controller.push(item);
    await clock.advance(1_000);
    expect(batches).toEqual([[1]]);
    expect(controller.getMetrics().bufferSize).toBe(4);
  });

  it('a flush function that empties its array, or keeps it, changes no count', async () => {
    const clock = new ManualClock();
    const settled: Settlement<number>[] = [];
    const controller = new BackpressureController<number>(
      async (items) => {
        items.length = 0;
      },
      { clock, batchSize: 3, onSettled: (settlements) => settled.push(...settlements) },
    );
    controller.start();
    for (const item of range(3, 1)) void controller.push(item);
    await controller.flush();
    expect(settled.map(({ item }) => item)).toEqual([1, 2, 3]);
    expect(controller.getMetrics().eventsFlushed).toBe(3);
  });
});

describe('whenBelow()', () => {
  it('is not misled by the moment between an eviction and the admission that it is for', async () => {
    const { clock, controller } = startController({ strategy: 'drop_oldest', maxBufferSize: 4 });
    controller.stop();
    for (const item of range(4, 1)) void controller.push(item);
    let resolved = false;
    void controller.whenBelow(4).then(() => (resolved = true));
    for (const item of range(4, 5)) void controller.push(item);
    await settle();
    expect(resolved).toBe(false);
    controller.start();
    await clock.advance(1_000);
    expect(resolved).toBe(true);
  });
});

describe('drain({ timeoutMs })', () => {
  it('reports what is open, and not what has settled while onFailed still works on the rest', async () => {
    const { clock, controller } = startController(
      { batchSize: 4, onFailed: () => new Promise<void>(() => undefined) },
      [{ kind: 'partial', ms: 0, mask: 0b0110, retryable: 0, unnamed: 0 }],
    );
    for (const item of range(5, 1)) void controller.push(item);
    const drained = controller.drain({ timeoutMs: 100 });
    await clock.advance(100);
    await expect(drained).rejects.toMatchObject({ code: 'ERR_BACKPRESSURE_DRAIN_TIMEOUT', items: [2, 3, 5] });
  });
});

describe('drain({ timeoutMs }) at a higher concurrency', () => {
  it('reports what is open in order: in flight, queued, waiting', async () => {
    const { clock, controller } = startController(
      { batchSize: 2, concurrency: 2, maxBufferSize: 5 },
      Array.from({ length: 9 }, () => ({ kind: 'slow' as const, ms: 1_000 })),
    );
    for (const item of range(7, 1)) void controller.push(item);
    const drained = controller.drain({ timeoutMs: 100 });
    await clock.advance(100);
    await expect(drained).rejects.toMatchObject({ items: range(7, 1) });
  });
});

describe('flush()', () => {
  it('resolves when what it waits for has been evicted, and does not wait for what came instead', async () => {
    const { controller } = startController({ strategy: 'drop_oldest', maxBufferSize: 4 }, [
      { kind: 'slow', ms: 1_000 },
    ]);
    for (const item of range(4, 1)) void controller.push(item);
    const flushed = controller.flush();
    for (const item of range(4, 5)) void controller.push(item);
    await expect(flushed).resolves.toBeUndefined();
    expect(controller.getMetrics()).toMatchObject({ eventsFlushed: 0, dropsByReason: { evicted: 4 } });
  });
});

describe('flush() within shed', () => {
  it.each([
    ['shed, behind those that wait', true],
    ['kept, behind those that wait', false],
  ])('resolves if the item in question is %s', async (_name, isShed) => {
    let flushed: Promise<void> | undefined;
    const { clock, controller } = startController({
      maxBufferSize: 1,
      maxWaiting: 10,
      shed: (item) => {
        if (item !== 3) return false;
        flushed = controller.flush();
        return isShed;
      },
    });
    const pushes = range(3, 1).map((item) => controller.push(item));
    await clock.advance(1_000);
    await expect(Promise.all(pushes)).resolves.toEqual([true, true, !isShed]);
    let isResolved = false;
    void flushed!.then(() => (isResolved = true));
    await settle();
    expect(isResolved).toBe(true);
    expect(controller.getMetrics()).toMatchObject({ waiting: 0, dropsByReason: { shed: isShed ? 1 : 0 } });
  });
});

describe('what is returned', () => {
  it('is in order within a batch, though some of it might have been called again', async () => {
    const { clock, controller } = startController({ batchSize: 4, retry: { attempts: 3 } }, [
      { kind: 'partial', ms: 0, mask: 0b1011, retryable: 0b0001, unnamed: 0 },
    ]);
    for (const item of range(6, 1)) void controller.push(item);
    const error = await controller.drain().catch((thrown: unknown) => thrown as BackpressureError);
    await clock.advance(0);
    expect(error).toMatchObject({ code: 'ERR_BACKPRESSURE_FLUSH_FAILED', items: [1, 2, 4, 5, 6] });
    expect(controller.takeUnsettled()).toEqual([1, 2, 4, 5, 6]);
    expect(controller.takeUnsettled()).toEqual([]);
    expect(controller.getMetrics()).toMatchObject({ eventsFlushed: 1, eventsFailed: 5 });
  });

  it('stays ambiguous once a call of it went unanswered, whatever a later call says', async () => {
    const failures: FailedItem<number>[] = [];
    const { clock, controller } = startController(
      {
        batchSize: 1,
        flushTimeoutMs: 100,
        abortGraceMs: 10,
        retry: { attempts: 2, afterTimeout: true },
        onFailed: (failed) => void failures.push(...failed),
      },
      [
        { kind: 'deaf', ms: Infinity, fails: false },
        { kind: 'rejects', ms: 0, retryable: false },
      ],
    );
    void controller.push(1);
    await clock.advance(1_000);
    expect(failures).toMatchObject([{ item: 1, ambiguous: true, error: { message: 'destination failed' } }]);
  });
});

describe('shed or sizeOf', () => {
  it.each(['shed', 'sizeOf'] as const)(
    'that throws in %s ends the controller, with every item accounted for',
    async (name) => {
      const judge = (item: number) => {
        if (item === 3) throw new Error('cannot judge');
        return name === 'sizeOf' ? 1 : false;
      };
      const settled: Settlement<number>[] = [];
      const { controller } = startController({
        [name]: judge,
        onSettled: (settlements) => settled.push(...settlements),
      });
      for (const item of range(2, 1)) void controller.push(item);
      await expect(controller.push(3)).rejects.toMatchObject({ code: 'ERR_BACKPRESSURE_HANDLER_FAILED' });
      expect(() => controller.tryPush(4)).toThrow('cannot judge');
      await settle();
      expect(settled.map(({ item, outcome }) => [item, outcome]).toSorted()).toEqual([
        [1, 'failed'],
        [2, 'failed'],
        [3, 'dropped'],
        [4, 'dropped'],
      ]);
      expect(controller.takeUnsettled()).toEqual([1, 2]);
    },
  );

  it('is asked once about an item that waits', async () => {
    const asked: number[] = [];
    const { clock, controller } = startController(
      { maxBufferSize: 1, maxWaiting: 2, sizeOf: (item) => asked.push(item) },
      Array.from({ length: 3 }, () => ({ kind: 'slow' as const, ms: 10 })),
    );
    const pushed = range(3, 1).map((item) => controller.push(item));
    await clock.advance(1_000);
    expect(await Promise.all(pushed)).toEqual([true, true, true]);
    expect(asked).toEqual([1, 2, 3]);
  });

  it('shed or sizeOf that aborts leaves no caller waiting', async () => {
    const abort = new AbortController();
    const { controller } = startController({
      maxBufferSize: 1,
      signal: abort.signal,
      shed: (item) => (item === 3 && abort.abort(), false),
    });
    for (const item of range(2, 1)) controller.push(item).catch(() => undefined);
    await expect(controller.push(3)).rejects.toMatchObject({ name: 'AbortError' });
    expect(controller.getMetrics()).toMatchObject({ waiting: 0, bufferSize: 0 });
  });
});

describe('an abort', () => {
  it('from within an abort changes nothing: the first error stays', async () => {
    const abort = new AbortController();
    const { controller } = startController({ maxBufferSize: 2, batchSize: 1, signal: abort.signal }, [
      { kind: 'throws' },
    ]);
    controller.on('drop', () => abort.abort());
    for (const item of range(3, 1)) void controller.push(item);
    await expect(controller.flush()).rejects.toThrow('destination threw');
    expect(abort.signal.aborted).toBe(true);
    await expect(controller.push(4)).rejects.toThrow('destination threw');
    expect(controller.takeUnsettled()).toEqual([1, 2, 3]);
  });
});

describe('a listener that throws', () => {
  it.each(['state', 'drop', 'flush', 'retry', 'failed'] as const)(
    'of %s fails the controller with its cause, and no item is lost',
    async (event) => {
      const settled: Settlement<number>[] = [];
      const { clock, controller } = startController(
        {
          strategy: 'drop_newest',
          maxBufferSize: 4,
          batchSize: 2,
          retry: { attempts: 2 },
          onFailed: () => undefined,
          onSettled: (settlements) => settled.push(...settlements),
        },
        [
          { kind: 'rejects', ms: 5 },
          { kind: 'partial', ms: 5, mask: 1, retryable: 0, unnamed: 0 },
        ],
      );
      const thrown = new Error('listener threw');
      controller.on(event, () => {
        throw thrown;
      });
      for (const item of range(6, 1)) void controller.push(item);
      const flushed = controller.flush();
      await clock.advance(10_000);
      await expect(flushed).rejects.toMatchObject({ code: 'ERR_BACKPRESSURE_HANDLER_FAILED', cause: thrown });
      await expect(flushed).rejects.toThrow(event);
      expect(settled.map(({ item }) => item).toSorted()).toEqual(range(6, 1));
      expect(clock.pending).toBe(0);
    },
  );
});

describe('onSettled that throws', () => {
  it('fails the controller', async () => {
    const { controller } = startController({
      batchSize: 1,
      onSettled: () => {
        throw new Error('cannot acknowledge');
      },
    });
    void controller.push(1);
    await settle();
    await expect(controller.push(2)).rejects.toThrow('onSettled failed: cannot acknowledge');
  });
});

it("what a listener of 'state' pushes while the very first item comes in is flushed when that one comes of age", async () => {
  const { clock, controller, destination } = startController({
    maxBufferSize: 10,
    lowWatermark: 0.1,
    batchSize: 10,
  });
  await settle();
  controller.once('state', () => void controller.push(2));
  void controller.push(1);
  await clock.advance(100);
  expect(destination.calls.map(({ items }) => items)).toEqual([[1, 2]]);
});
