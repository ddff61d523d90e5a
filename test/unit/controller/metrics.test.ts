/** Metrics that an operator acts on: ages, failures and the breaker, at the time when it matters. */

import { describe, expect, it } from 'vitest';
import {
  BackpressureController,
  BackpressureTransform,
  BackpressureWritable,
  ItemError,
  type FlushFunction,
  type FlushReport,
  type SinkOptions,
} from '../../../src/index.js';
import { range } from '../../support/range.js';
import { ManualClock, settle } from '../../support/manual-clock.js';
import { startController } from '../../support/start-controller.js';

function start(flush: FlushFunction<number>, options: SinkOptions<number> = {}) {
  const clock = new ManualClock();
  const reports: FlushReport[] = [];
  const controller = new BackpressureController<number>(flush, { clock, batchSize: 2, ...options });
  controller.on('flush', (report) => reports.push(report));
  controller.start();
  return { clock, controller, reports };
}

const never = () => new Promise<void>(() => {});
const refused = () => Object.assign(new Error('no'), { code: 'ECONNREFUSED' });

describe('ages', () => {
  it('count what is in flight, for as long as the call hangs', async () => {
    const { clock, controller } = start(never);
    for (const item of range(2, 1)) void controller.push(item);
    await clock.advance(5_000);
    void controller.push(3);
    await clock.advance(10);
    const { oldestItemAgeMs, oldestInFlightAgeMs } = controller.getMetrics();
    expect([oldestItemAgeMs, oldestInFlightAgeMs]).toEqual([5_010, 5_010]);
  });

  it('are those of the items that are called again, not of the batch', async () => {
    let calls = 0;
    const { clock, controller } = start(
      () =>
        ++calls > 1
          ? never()
          : Promise.resolve({ success: 1, failed: 1, errors: [new ItemError(1, { retryable: true })] }),
      { retry: { attempts: 2, minDelayMs: 1, maxDelayMs: 1 }, minFlushIntervalMs: 1_000 },
    );
    void controller.push(1);
    await clock.advance(700);
    void controller.push(2);
    await clock.advance(100);
    expect(calls).toBe(2);
    expect(controller.getMetrics().oldestInFlightAgeMs).toBe(100);
  });

  it('are 0 if nothing is open', async () => {
    const { clock, controller } = start(() => Promise.resolve());
    void controller.push(1);
    await controller.flush();
    await clock.advance(1_000);
    expect(controller.getMetrics()).toMatchObject({ oldestItemAgeMs: 0, oldestInFlightAgeMs: 0 });
  });

  it('ages of a transform count what its reader has not read, and what is being mapped', async () => {
    const clock = new ManualClock();
    const unread = new BackpressureTransform<number>({ clock });
    unread.on('readable', () => {});
    unread.write(1);
    await new Promise(setImmediate);
    await clock.advance(3_000);
    expect(unread.getMetrics()).toMatchObject({
      inFlight: 1,
      oldestItemAgeMs: 3_000,
      oldestInFlightAgeMs: 3_000,
    });
    unread.read();
    expect(unread.getMetrics()).toMatchObject({ oldestItemAgeMs: 0, oldestInFlightAgeMs: 0 });
    const mapping = new BackpressureTransform<number, number>({
      clock,
      map: () => new Promise<number>(() => {}),
    });
    mapping.write(1);
    await new Promise(setImmediate);
    await clock.advance(200);
    expect(mapping.getMetrics().oldestInFlightAgeMs).toBe(200);
  });
});

describe('failed items', () => {
  it('failed items that onFailed took are not among the returned ones', async () => {
    const { controller } = start(
      () => Promise.resolve({ success: 0, failed: 2, errors: [new ItemError(0), new ItemError(1)] }),
      { onFailed: () => {} },
    );
    for (const item of range(2, 1)) void controller.push(item);
    await controller.flush();
    expect(controller.getMetrics()).toMatchObject({ eventsFailed: 2, eventsReturned: 0, eventsAmbiguous: 0 });
  });

  it('failed items that the result does not name count as ambiguous, without those that arrived', async () => {
    const { controller } = start(
      () => Promise.resolve({ success: 1, failed: 1, errors: [new Error('some row')] }),
      { onFailed: () => {} },
    );
    for (const item of range(2, 1)) void controller.push(item);
    await controller.flush();
    expect(controller.getMetrics()).toMatchObject({ eventsFailed: 1, eventsReturned: 0, eventsAmbiguous: 1 });
  });

  it('items of a sink that has failed count as returned: those of the call, and those queued', async () => {
    const { clock, controller } = start(() => Promise.reject(refused()));
    for (const item of range(5, 1)) void controller.push(item).catch(() => {});
    await clock.advance(1_000);
    expect(controller.takeUnsettled()).toHaveLength(5);
    expect(controller.getMetrics()).toMatchObject({ eventsFailed: 5, eventsReturned: 5, eventsAmbiguous: 0 });
  });

  it('items of a transform that has failed count as returned', async () => {
    const stream = new BackpressureTransform<number>();
    for (const item of range(3, 1)) stream.write(item);
    stream.destroy();
    await new Promise(setImmediate);
    expect(stream.takeUnsettled()).toEqual([1, 2, 3]);
    expect(stream.getMetrics()).toMatchObject({ eventsFailed: 3, eventsReturned: 3, isFailed: false });
  });
});

describe('a failure', () => {
  it('ends a sink: isFailed, with the error, its class, and a breaker that holds nothing', async () => {
    const { clock, controller } = start(() => Promise.reject(refused()), {
      retry: { attempts: 3, minDelayMs: 1, maxDelayMs: 1 },
      breaker: { failures: 1, minDelayMs: 100, maxDelayMs: 100, maxOutageMs: 1_000 },
      random: () => 0.999,
    });
    for (const item of range(2, 1)) void controller.push(item);
    await clock.advance(50);
    expect(controller.getMetrics()).toMatchObject({
      ...{ breaker: 'open', isFailed: false, lastErrorClass: 'ECONNREFUSED', lastSuccessTime: undefined },
    });
    expect(controller.getMetrics().nextProbeTime).toBeGreaterThan(clock.now());
    await clock.advance(10_000);
    const { lastError, ...metrics } = controller.getMetrics();
    expect(metrics).toMatchObject({
      ...{ state: 'normal', breaker: 'closed', nextProbeTime: undefined, isFailed: true },
      lastErrorClass: 'ERR_BACKPRESSURE_OUTAGE',
    });
    expect(lastError?.cause).toMatchObject({ code: 'ECONNREFUSED' });
  });

  it('a failure that has passed stays as lastError, beside the time of the last success', async () => {
    let calls = 0;
    const { clock, controller, reports } = start(
      () => (++calls === 1 ? Promise.reject(refused()) : Promise.resolve()),
      { retry: { attempts: 2, minDelayMs: 10, maxDelayMs: 10 }, random: () => 0.5 },
    );
    expect(controller.getMetrics()).toMatchObject({ lastError: undefined, lastErrorClass: undefined });
    for (const item of range(2, 1)) void controller.push(item);
    await clock.advance(1_000);
    const { lastSuccessTime, isFailed, lastError } = controller.getMetrics();
    expect(lastSuccessTime).toBeGreaterThan(0);
    expect(lastSuccessTime).toBeLessThanOrEqual(clock.now() - 900);
    expect([isFailed, lastError]).toMatchObject([false, { code: 'ECONNREFUSED' }]);
    expect(reports.map(({ error }) => error?.message)).toEqual(['no', undefined]);
  });

  it('has a time of day by the system clock', async () => {
    const sink = new BackpressureWritable<number>(() => Promise.resolve());
    sink.write(1);
    await sink.flush();
    expect(Math.abs(sink.getMetrics().lastSuccessTime! - Date.now())).toBeLessThan(10_000);
    sink.end();
  });

  it.each([
    ['a partial failure', { success: 1, failed: 1, errors: [new ItemError(1, { message: 'row' })] }, 'row'],
    ['a result that does not add up', { success: 5, failed: 1, errors: [] }, /add up|success/],
  ])('a failure of %s is the error of its flush event', async (_name, result, message) => {
    const { controller, reports } = start(() => Promise.resolve(result), { onFailed: () => {} });
    for (const item of range(2, 1)) void controller.push(item);
    await controller.flush().catch(() => {});
    expect(reports[0]!.error?.message).toMatch(message);
  });

  it('a failure of a transform is in its metrics', async () => {
    const stream = new BackpressureTransform<number>();
    stream.on('error', () => {});
    stream.destroy(new TypeError('bad'));
    await new Promise(setImmediate);
    expect(stream.getMetrics()).toMatchObject({ isFailed: true, lastErrorClass: 'TypeError' });
  });
});

describe('the state of a controller', () => {
  it('queued, in flight and state can be read at any instant, and whenBelow() resolves below its count', async () => {
    const { clock, controller } = startController({ maxBufferSize: 10, batchSize: 4 }, [
      { kind: 'slow', ms: 20 },
      { kind: 'slow', ms: 20 },
    ]);
    for (const item of range(9, 1)) void controller.push(item);
    expect(controller.getMetrics()).toMatchObject({ state: 'critical', bufferSize: 9, inFlight: 0 });
    await settle();
    expect(controller.getMetrics()).toMatchObject({ bufferSize: 5, inFlight: 4, bufferUtilization: 0.9 });
    const below: number[] = [];
    for (const count of [10, 6, 2]) void controller.whenBelow(count).then(() => below.push(count));
    await settle();
    expect(below).toEqual([10]);
    await clock.advance(20);
    expect(below).toEqual([10, 6]);
    await clock.advance(20);
    expect(below).toEqual([10, 6, 2]);
  });
});
