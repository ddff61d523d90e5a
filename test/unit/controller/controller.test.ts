import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { range } from '../../support/range.js';
import { startController } from '../../support/start-controller.js';
import { settle } from '../../support/manual-clock.js';

describe('drain()', () => {
  it('ends with the state of the level when the controller fails meanwhile', async () => {
    const { controller } = startController({ batchSize: 1 }, [{ kind: 'throws' }]);
    void controller.push(1);
    await expect(controller.drain()).rejects.toThrow('destination threw');
    await settle();
    expect(controller.getMetrics().state).toBe('normal');
  });
});

describe('a failure that nobody takes', () => {
  it.each(['flush', 'drain'] as const)('rejects a pending %s()', async (method) => {
    const { controller } = startController({ batchSize: 1 }, [{ kind: 'throws' }]);
    void controller.push(1);
    await expect(controller[method]()).rejects.toMatchObject({
      code: 'ERR_BACKPRESSURE_FLUSH_FAILED',
      items: [1],
    });
  });

  it('rejects a pending whenBelow(), though its items are gone', async () => {
    const { controller } = startController({ batchSize: 1 }, [{ kind: 'throws' }]);
    void controller.push(1);
    await expect(controller.whenBelow(1)).rejects.toThrow('destination threw');
  });
});

describe('stop()', () => {
  it('starts no further flush and keeps what is queued; start() goes on', async () => {
    const { clock, controller, destination } = startController({ batchSize: 2 });
    controller.stop();
    for (const item of range(5, 1)) void controller.push(item);
    await clock.advance(100_000);
    expect(destination.calls).toHaveLength(0);
    expect(controller.getMetrics().bufferSize).toBe(5);
    expect(clock.pending).toBe(0);
    controller.start();
    await clock.advance(100);
    expect(destination.batches).toEqual([[1, 2], [3, 4], [5]]);
  });

  it.each(['flush', 'drain'] as const)('rejects a %s() that waits for a queued item', async (method) => {
    const { controller } = startController({ batchSize: 1 }, [{ kind: 'slow', ms: 10 }]);
    void controller.push(1);
    await settle();
    void controller.push(2);
    const waiting = controller[method]();
    controller.stop();
    await expect(waiting).rejects.toMatchObject({ code: 'ERR_BACKPRESSURE_STOPPED' });
  });

  it('lets a flush() resolve that waits for deliveries only', async () => {
    const { clock, controller } = startController({ batchSize: 1 }, [{ kind: 'slow', ms: 10 }]);
    void controller.push(1);
    await settle();
    const flushed = controller.flush();
    void controller.push(2);
    controller.stop();
    await clock.advance(10);
    await expect(flushed).resolves.toBeUndefined();
  });

  it('makes flush() reject, not hang, while pushes wait behind deliveries', async () => {
    const { controller } = startController({ maxBufferSize: 1 }, [{ kind: 'slow', ms: 10 }]);
    void controller.push(1);
    await settle();
    void controller.push(2);
    controller.stop();
    await expect(controller.flush()).rejects.toMatchObject({ code: 'ERR_BACKPRESSURE_STOPPED' });
  });

  it.each([
    ['nothing is open', 0, 0],
    ['something is open', 1, 1],
  ])('keeps hold of its signal only as long as needed: %s', async (_case, pushes, expected) => {
    const abort = new AbortController();
    const { controller } = startController({ signal: abort.signal });
    await controller.drain();
    controller.stop();
    controller.start();
    if (pushes > 0) void controller.push(1);
    controller.stop();
    expect(getEventListeners(abort.signal, 'abort')).toHaveLength(expected);
    abort.abort();
    await settle();
    expect(controller.takeUnsettled()).toEqual(range(pushes, 1));
  });
});

describe('shed', () => {
  it('is asked, once, about an item that others wait before', async () => {
    const asked: number[] = [];
    const { clock, controller } = startController(
      {
        maxBufferSize: 2,
        shed: (item, state) => {
          asked.push(item);
          return item % 2 === 0 && state === 'blocked';
        },
      },
      [{ kind: 'slow', ms: 50 }],
    );
    const pushes = range(6, 1).map((item) => controller.push(item));
    await clock.advance(100);
    expect(await Promise.all(pushes)).toEqual([true, true, true, false, true, false]);
    expect(asked).toEqual(range(6, 1));
    expect(controller.getMetrics().dropsByReason.shed).toBe(2);
  });
});

describe('flush() and an item that is shed behind a line', () => {
  it('still waits for those who stand in line', async () => {
    const { clock, controller } = startController(
      { maxBufferSize: 1, maxWaiting: 2, shed: (item) => item === 4 },
      [
        { kind: 'slow', ms: 10 },
        { kind: 'slow', ms: 10 },
        { kind: 'slow', ms: 10 },
      ],
    );
    for (const item of range(3, 1)) void controller.push(item);
    let flushedAt = -1;
    void controller.flush().then(() => (flushedAt = clock.now()));
    expect(await controller.push(4)).toBe(false);
    await clock.advance(100);
    expect(flushedAt).toBe(30);
  });
});

describe('sample', () => {
  it('counts what was refused while draining as unrepresented', async () => {
    const { clock, controller, destination } = startController({ strategy: 'sample', batchSize: 1 }, [
      { kind: 'slow', ms: 10 },
    ]);
    void controller.push(1);
    const drained = controller.drain();
    expect(await controller.push(2)).toBe(false);
    expect(controller.tryPush(3)).toBe(false);
    await clock.advance(10);
    await drained;
    expect(controller.getMetrics().unrepresented).toBe(2);
    void controller.push(4);
    await controller.drain();
    expect(destination.calls.map(({ context }) => context.represents)).toEqual([1, 3]);
  });
});

describe('a promise that nobody awaits', () => {
  it('is no unhandledRejection when the controller fails', async () => {
    const unhandled: unknown[] = [];
    const onUnhandled = (reason: unknown) => unhandled.push(reason);
    process.on('unhandledRejection', onUnhandled);
    const { clock, controller } = startController({ maxBufferSize: 1, batchSize: 1 }, [
      { kind: 'rejects', ms: 5 },
    ]);
    void controller.push(1);
    void controller.push(2);
    void controller.flush();
    void controller.drain();
    void controller.drain({ timeoutMs: 1 });
    void controller.whenBelow(1);
    await clock.advance(10);
    void controller.push(3);
    void controller.flush();
    void controller.drain();
    void controller.whenBelow(1);
    await settle();
    process.off('unhandledRejection', onUnhandled);
    expect(unhandled).toEqual([]);
  });
});

describe('tryPush()', () => {
  it('takes no place from those who wait', async () => {
    const { clock, controller } = startController({ maxBufferBytes: 10, sizeOf: (item) => item }, [
      { kind: 'slow', ms: 10 },
    ]);
    void controller.push(6);
    const waiting = controller.push(9);
    // It would fit, but it came later.
    expect(controller.tryPush(1)).toBe(false);
    await clock.advance(10);
    expect(await waiting).toBe(true);
    expect(controller.getMetrics().dropsByReason.rejected).toBe(1);
  });
});

describe('a drain that has run out of time', () => {
  it('is forgotten: what it waited for is flushed when it falls due', async () => {
    const { clock, controller, destination } = startController(
      { batchSize: 10, minFlushIntervalMs: 1_000, targetLatencyMs: 10_000 },
      [{ kind: 'slow', ms: 100 }],
    );
    void controller.push(1);
    void controller.flush();
    await clock.advance(1);
    void controller.push(2);
    const drained = controller.drain({ timeoutMs: 10 });
    await clock.advance(10);
    await expect(drained).rejects.toMatchObject({ items: [1, 2] });
    await clock.advance(2_000);
    expect(destination.calls.map(({ at, context }) => [at, context.reason])).toEqual([
      [0, 'manual'],
      [1_001, 'interval'],
    ]);
  });
});

describe('overlapping drains', () => {
  it('refuse pushes until the last one is over', async () => {
    const { clock, controller } = startController({ batchSize: 1 }, [{ kind: 'slow', ms: 100 }]);
    void controller.push(1);
    const long = controller.drain();
    controller.drain({ timeoutMs: 10 }).catch(() => undefined);
    await clock.advance(10);
    expect(controller.getMetrics().state).toBe('draining');
    expect(await controller.push(2)).toBe(false);
    await clock.advance(90);
    await long;
    expect(controller.getMetrics().state).toBe('normal');
    expect(await controller.push(3)).toBe(true);
  });
});
