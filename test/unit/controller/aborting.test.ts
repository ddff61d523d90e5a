/** Aborts and retries that meet: what is open is told right, and nothing takes longer than the grace. */

import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { BackpressureController } from '../../../src/controller/backpressure-controller.js';
import type { FailedItem } from '../../../src/index.js';
import { range } from '../../support/range.js';
import { startController } from '../../support/start-controller.js';
import { ManualClock, settle } from '../../support/manual-clock.js';

const timing = { batchSize: 1, flushTimeoutMs: 100, abortGraceMs: 50 };

describe('an abort', () => {
  it('gives nothing to onFailed: the items are returned', async () => {
    const abort = new AbortController();
    const failed: FailedItem<number>[] = [];
    const { controller } = startController(
      { batchSize: 2, signal: abort.signal, onFailed: (failures) => void failed.push(...failures) },
      [{ kind: 'stops-on-signal' }],
    );
    for (const item of range(3, 1)) void controller.push(item);
    await settle();
    abort.abort();
    await settle();
    expect(failed).toEqual([]);
    expect(controller.takeUnsettled()).toEqual([1, 2, 3]);
  });

  it('waits for an onFailed that hangs no longer than abortGraceMs', async () => {
    const abort = new AbortController();
    const { clock, controller } = startController(
      { ...timing, signal: abort.signal, onFailed: () => new Promise<void>(() => undefined) },
      [{ kind: 'throws' }],
    );
    void controller.push(1);
    await settle();
    abort.abort();
    await clock.advance(49);
    expect(controller.getMetrics().inFlight).toBe(1);
    await clock.advance(1);
    expect(controller.getMetrics()).toMatchObject({ inFlight: 0, eventsFailed: 1 });
    expect(controller.takeUnsettled()).toEqual([1]);
  });

  it('after a timeout does not begin the grace again', async () => {
    const abort = new AbortController();
    const { clock, controller, destination } = startController({ ...timing, signal: abort.signal }, [
      { kind: 'deaf', ms: Infinity, fails: false },
    ]);
    void controller.push(1);
    await clock.advance(120);
    abort.abort();
    await clock.advance(29);
    expect(controller.getMetrics().inFlight).toBe(1);
    await clock.advance(1);
    expect(controller.getMetrics().inFlight).toBe(0);
    expect(destination.calls[0]!.context.signal.reason).toMatchObject({
      code: 'ERR_BACKPRESSURE_FLUSH_TIMEOUT',
    });
    expect(clock.pending).toBe(0);
  });

  it('by a listener of retry does not wait for the pause', async () => {
    const abort = new AbortController();
    const { clock, controller } = startController(
      { batchSize: 1, signal: abort.signal, retry: { attempts: 2, minDelayMs: 1_000 }, random: () => 0.9 },
      [{ kind: 'throws' }],
    );
    controller.on('retry', () => abort.abort());
    void controller.push(1);
    await settle();
    expect(controller.takeUnsettled()).toEqual([1]);
    expect(clock.pending).toBe(0);
  });
});

describe('a stopped controller with nothing open', () => {
  const listening = (signal: AbortSignal) => getEventListeners(signal, 'abort').length;

  it.each(['push', 'tryPush'] as const)(
    'hears of an abort again once something comes by %s',
    async (offer) => {
      const abort = new AbortController();
      const { controller } = startController({ signal: abort.signal });
      controller.stop();
      expect(listening(abort.signal)).toBe(0);
      void controller[offer](1);
      expect(listening(abort.signal)).toBe(1);
      abort.abort();
      await settle();
      expect(controller.getMetrics()).toMatchObject({ bufferSize: 0, eventsFailed: 1 });
      expect(controller.takeUnsettled()).toEqual([1]);
      await expect(controller.flush()).rejects.toMatchObject({ name: 'AbortError' });
    },
  );

  it.each(['push', 'tryPush'] as const)('lets go again when what came by %s is dropped', async (offer) => {
    const { signal } = new AbortController();
    const heard: number[] = [];
    const shed = () => heard.push(listening(signal)) > 0;
    const { controller } = startController({ signal, shed });
    controller.stop();
    expect(await controller[offer](1)).toBe(false);
    expect(heard).toEqual([1]);
    expect(listening(signal)).toBe(0);
  });

  it('hears of an abort by `sizeOf` of what comes', async () => {
    const abort = new AbortController();
    const { controller } = startController({ signal: abort.signal, sizeOf: () => (abort.abort(), 1) });
    controller.stop();
    await controller.push(1);
    await settle();
    expect(controller.getMetrics()).toMatchObject({ waiting: 0, bufferSize: 0 });
    expect(controller.takeUnsettled()).toEqual([1]);
  });

  it('takes nothing more when its signal has aborted meanwhile', async () => {
    const abort = new AbortController();
    const { controller } = startController({ signal: abort.signal });
    controller.stop();
    abort.abort();
    await expect(controller.push(1)).rejects.toMatchObject({ name: 'AbortError' });
    expect(() => controller.tryPush(2)).toThrow('The operation was aborted');
    expect(controller.getMetrics()).toMatchObject({
      waiting: 0,
      bufferSize: 0,
      dropsByReason: { aborted: 2 },
    });
  });
});

describe('a retry', () => {
  it('follows a flush that timed out and stopped on its signal, where the user says that this is safe', async () => {
    for (const afterTimeout of [true, false]) {
      const { clock, controller, destination } = startController(
        { ...timing, retry: { attempts: 2, afterTimeout }, onFailed: () => undefined },
        [{ kind: 'stops-on-signal' }],
      );
      void controller.push(1);
      await clock.advance(10_000);
      expect(destination.calls).toHaveLength(afterTimeout ? 2 : 1);
    }
  });

  it('is all that a late drain() reports, once onFailed has taken the rest', async () => {
    const { clock, controller } = startController(
      {
        batchSize: 4,
        retry: { attempts: 2, minDelayMs: 1_000 },
        random: () => 0.9,
        onFailed: () => undefined,
      },
      [{ kind: 'partial', ms: 0, mask: 0b0111, retryable: 0b0010, unnamed: 0 }],
    );
    for (const item of range(4, 1)) void controller.push(item);
    const drained = controller.drain({ timeoutMs: 100 });
    await clock.advance(100);
    await expect(drained).rejects.toMatchObject({ items: [2] });
  });

  it('knows the bytes of its items, however often some of them fail', async () => {
    const { clock, controller } = startController(
      { maxBufferBytes: 100, batchBytes: 100, batchSize: 4, sizeOf: (item) => item, retry: { attempts: 3 } },
      [
        { kind: 'partial', ms: 0, mask: 0b1110, retryable: 0b1110, unnamed: 0 },
        { kind: 'partial', ms: 0, mask: 0b101, retryable: 0b101, unnamed: 0 },
        { kind: 'slow', ms: 10 },
      ],
    );
    const inFlightBytes: (number | undefined)[] = [];
    controller.on('retry', () => inFlightBytes.push(controller.getMetrics().inFlightBytes));
    for (const item of [10, 20, 30, 40]) void controller.push(item);
    await clock.advance(10_000);
    expect(inFlightBytes).toEqual([90, 60]);
    expect(controller.getMetrics()).toMatchObject({ eventsFlushed: 4, inFlightBytes: 0 });
  });
});

describe('an error that says that its outcome is unknown', () => {
  it('makes its failures ambiguous', async () => {
    const failed: FailedItem<number>[] = [];
    const lost = Object.assign(new Error('connection lost after COMMIT'), { ambiguous: true });
    const controller = new BackpressureController<number>(() => Promise.reject(lost), {
      clock: new ManualClock(),
      batchSize: 1,
      onFailed: (failures) => void failed.push(...failures),
    });
    controller.start();
    void controller.push(1);
    await controller.drain();
    expect(failed).toEqual([{ item: 1, weight: 1, error: lost, ambiguous: true }]);
  });
});
