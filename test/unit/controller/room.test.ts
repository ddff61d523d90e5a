/** `canAccept()` and `retryAfterMs()`: what an HTTP service asks before it takes a request. */

import { describe, expect, it } from 'vitest';
import { BackpressureWritable } from '../../../src/index.js';
import { ManualClock } from '../../support/manual-clock.js';
import { range } from '../../support/range.js';
import { startController } from '../../support/start-controller.js';

/** A destination that takes 100 ms a batch of 10, one at a time, behind a buffer of 100. */
const slow = { maxBufferSize: 100, batchSize: 10, concurrency: 1, adaptive: false } as const;
const calls = (count: number, ms: number) => range(count).map(() => ({ kind: 'slow', ms }) as const);

describe('a producer that asks for room', () => {
  it('is told yes up to the capacity, and never for more than it', () => {
    const { controller } = startController(slow);
    expect(controller.canAccept()).toBe(true);
    expect(controller.canAccept(100)).toBe(true);
    expect(controller.canAccept(101)).toBe(false);
    expect(controller.retryAfterMs(101)).toBe(Infinity);
  });

  it('is told no while items in flight or waiting take the room', async () => {
    const { clock, controller } = startController(slow, calls(20, 100));
    for (const item of range(100)) void controller.push(item);
    await clock.advance(0);
    expect(controller.getMetrics().inFlight).toBe(10);
    expect(controller.canAccept()).toBe(false);
    void controller.push(100);
    // The one that waits comes in first, so a second batch has to leave.
    expect(controller.retryAfterMs(10)).toBe(2 * controller.retryAfterMs(9));
    await clock.advance(100);
    // Ten have left, and the one that waited has come in.
    expect(controller.canAccept(9)).toBe(true);
    expect(controller.canAccept(10)).toBe(false);
  });

  it.each([1, 10, 35, 100])('for %i items waits as long as it is told', async (count) => {
    const { clock, controller } = startController(slow, calls(20, 100));
    for (const item of range(10)) void controller.push(item);
    await clock.advance(100);
    for (const item of range(100)) void controller.push(item);
    await clock.advance(0);
    const waitMs = controller.retryAfterMs(count);
    await clock.advance(waitMs - 1);
    expect(controller.canAccept(count)).toBe(false);
    await clock.advance(1);
    expect(controller.canAccept(count)).toBe(true);
  });

  it('is told of more time, the longer the destination is silent', async () => {
    const { clock, controller } = startController(slow, [
      { kind: 'slow', ms: 100 },
      { kind: 'deaf', ms: Infinity, fails: false },
    ]);
    for (const item of range(10)) void controller.push(item);
    await clock.advance(100);
    for (const item of range(100)) void controller.push(item);
    await clock.advance(5000);
    expect(controller.retryAfterMs()).toBe(5000);
  });

  it('is told the time of one call after an idle hour, which is no silence of the destination', async () => {
    const { clock, controller } = startController(slow, calls(20, 100));
    for (const item of range(10)) void controller.push(item);
    await clock.advance(100);
    await clock.advance(3_600_000);
    for (const item of range(100)) void controller.push(item);
    await clock.advance(0);
    expect(controller.getMetrics().inFlight).toBe(10);
    expect(controller.retryAfterMs()).toBe(100);
  });

  it('is told of more time, the longer the destination is silent, also before its first answer', async () => {
    const { clock, controller } = startController(slow, [{ kind: 'deaf', ms: Infinity, fails: false }]);
    for (const item of range(100)) void controller.push(item);
    await clock.advance(5000);
    expect(controller.retryAfterMs()).toBe(5000);
  });

  it('is told when an open breaker lets a call begin', async () => {
    const { clock, controller } = startController(
      { ...slow, breaker: { failures: 1, minDelayMs: 20_000 }, retry: { attempts: 100 } },
      range(50).map(() => ({ kind: 'rejects', ms: 1, retryable: true }) as const),
    );
    for (const item of range(100)) void controller.push(item);
    await clock.advance(2);
    const { breaker, nextProbeTime } = controller.getMetrics();
    expect(breaker).toBe('open');
    expect(controller.retryAfterMs()).toBeGreaterThan(nextProbeTime! - clock.now());
    expect(controller.retryAfterMs()).toBeLessThan(60_000);
  });

  it('counts the bytes where they are bounded', async () => {
    const { controller } = startController({
      batchSize: 10,
      maxBufferBytes: 1000,
      sizeOf: (item) => item,
    });
    // Alone, an item may be larger than the budget.
    expect(controller.canAccept(1, 5000)).toBe(true);
    await controller.push(600);
    expect(controller.canAccept(1, 400)).toBe(true);
    expect(controller.canAccept(1, 401)).toBe(false);
    expect(controller.retryAfterMs(1, 401)).toBeGreaterThan(0);
    // There is room for it once the other one has left.
    expect(controller.retryAfterMs(1, 5000)).toBeLessThan(Infinity);
  });

  it('is told no while the controller drains, and never once it has failed', async () => {
    const { clock, controller } = startController(slow, [{ kind: 'slow', ms: 100 }, { kind: 'throws' }]);
    void controller.push(1);
    const drained = controller.drain();
    expect(controller.canAccept()).toBe(false);
    expect(controller.retryAfterMs()).toBeGreaterThan(0);
    await clock.advance(100);
    await drained;
    expect(controller.canAccept()).toBe(true);
    void controller.push(2).catch(() => undefined);
    await clock.advance(1000);
    expect(controller.getMetrics().isFailed).toBe(true);
    expect(controller.retryAfterMs()).toBe(Infinity);
  });

  it('may fill a controller that is stopped, and then waits for its start', () => {
    const { controller } = startController(slow);
    controller.stop();
    expect(controller.canAccept(100)).toBe(true);
    for (const item of range(100)) void controller.push(item);
    expect(controller.retryAfterMs()).toBe(Infinity);
  });

  it('is told never by a stream that has been ended', () => {
    const sink = new BackpressureWritable<number>(() => Promise.resolve(), { clock: new ManualClock() });
    expect(sink.canAccept()).toBe(true);
    sink.end();
    expect(sink.canAccept()).toBe(false);
    expect(sink.retryAfterMs()).toBe(Infinity);
  });

  it.each([[0], [1.5], [-1], ['2'], [1, -1], [1, NaN]])('may not ask for (%s, %s)', (...asked) => {
    const { controller } = startController();
    const canAccept = controller.canAccept.bind(controller) as (...args: unknown[]) => boolean;
    expect(() => canAccept(...asked)).toThrow(/option '(count|bytes)' must be an integer/);
  });
});
