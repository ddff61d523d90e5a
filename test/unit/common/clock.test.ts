import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ProcessClock } from '../../../src/common/clock.js';
import { BackpressureController } from '../../../src/index.js';
import { settle } from '../../support/manual-clock.js';

/** What `performance.now()` reads, and timers that fire only when a test says so. */
function standIns() {
  let readMs = 1_000;
  const timers = new Map<number, { callback: () => void; delayMs: number }>();
  let last = 0;
  vi.stubGlobal('performance', { now: () => readMs });
  vi.stubGlobal('setTimeout', (callback: () => void, delayMs: number) => {
    timers.set(++last, { callback, delayMs });
    return last;
  });
  vi.stubGlobal('clearTimeout', (handle: number) => timers.delete(handle));
  return {
    timers,
    pass: (ms: number) => void (readMs += ms),
    fire: () => {
      const due = [...timers.values()];
      timers.clear();
      for (const { callback } of due) callback();
    },
    delays: () => [...timers.values()].map(({ delayMs }) => delayMs),
  };
}

const endOfTurn = () => new Promise((resolve) => setImmediate(resolve));

describe('the clock of the process', () => {
  let world: ReturnType<typeof standIns>;
  let clock: ProcessClock;
  beforeEach(() => {
    world = standIns();
    clock = new ProcessClock();
  });
  afterEach(() => void vi.unstubAllGlobals());

  it('reads performance.now() as long as timers agree with it', () => {
    expect(clock.now()).toBe(1_000);
    clock.setTimeout(() => undefined, 10);
    world.pass(9.1);
    world.fire();
    expect(clock.now()).toBe(1_009.1);
  });

  it('has moved on by the delay of a timer that fires, although performance.now() has not', () => {
    const seen: number[] = [];
    clock.setTimeout(() => seen.push(clock.now()), 100);
    world.fire();
    world.pass(5);
    expect([...seen, clock.now()]).toEqual([1_100, 1_105]);
  });

  it('goes on from the last reading when performance.now() goes back', () => {
    clock.now();
    world.pass(-900);
    expect(clock.now()).toBe(1_000);
    world.pass(30);
    expect(clock.now()).toBe(1_030);
  });

  it('sets a timer again that is overdue, once it is read and the turn has ended', async () => {
    const fired: number[] = [];
    clock.setTimeout(() => fired.push(clock.now()), 100);
    // What replaced setTimeout is gone, and has taken the timer along.
    world.timers.clear();
    world.pass(149);
    clock.now();
    await endOfTurn();
    expect(world.delays()).toEqual([]);
    world.pass(1);
    clock.now();
    // After a blocked turn it would be about to fire.
    expect(world.delays()).toEqual([]);
    await endOfTurn();
    expect(world.delays()).toEqual([1]);
    world.pass(1);
    world.fire();
    expect(fired).toEqual([1_151]);
    world.pass(1_000);
    clock.now();
    await endOfTurn();
    expect(world.delays()).toEqual([]);
  });

  it('does not set a timer again that was cleared, has fired, or is not due yet', () => {
    const handle = clock.setTimeout(() => undefined, 100);
    clock.setTimeout(() => undefined, 100);
    world.pass(100);
    world.fire();
    clock.clearTimeout(handle);
    clock.clearTimeout(undefined);
    clock.setTimeout(() => undefined, 10_000);
    world.pass(5_000);
    clock.now();
    expect(world.delays()).toEqual([10_000]);
  });

  it('looks for overdue timers at most once in 50 ms', async () => {
    for (let n = 0; n < 3; n++) clock.setTimeout(() => undefined, n * 10);
    world.timers.clear();
    for (let ms = 0; ms < 200; ms++) {
      world.pass(1);
      clock.now();
      await endOfTurn();
    }
    // At 50 the first, at 100 the others and the first once more, at 150 …
    expect(world.delays()).toHaveLength(3);
  });

  it('sets no delay shorter than what was asked for', () => {
    clock.setTimeout(() => undefined, 10.2);
    expect(world.delays()).toEqual([11]);
  });
});

describe('a sink beside fake timers', () => {
  afterEach(() => void vi.useRealTimers());

  const start = () => {
    const flushed: number[] = [];
    const controller = new BackpressureController<number>(async (items) => void flushed.push(...items));
    controller.start();
    return { flushed, controller };
  };

  it('flushes at its interval after the timer that was set went with them', async () => {
    vi.useFakeTimers();
    const { flushed, controller } = start();
    void controller.push(1);
    await Promise.resolve();
    await Promise.resolve();
    vi.useRealTimers();
    await vi.waitFor(() => expect(flushed).toEqual([1]), { timeout: 2_000, interval: 20 });
  });

  it('flushes at its interval after only setTimeout was replaced, and the timer that was set went with it', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { flushed, controller } = start();
    void controller.push(1);
    await settle();
    vi.useRealTimers();
    void controller.push(2);
    await vi.waitFor(() => expect(flushed).toEqual([1, 2]), { timeout: 2_000, interval: 20 });
  });

  it('flushes at its interval where only setTimeout is replaced', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { flushed, controller } = start();
    for (let n = 0; n < 20; n++) {
      void controller.push(n);
      await settle();
      vi.advanceTimersByTime(100);
      await settle();
      expect(flushed).toHaveLength(n + 1);
    }
  });

  it('flushes at its interval where they come when it has run for a while', async () => {
    const { flushed, controller } = start();
    void controller.push(1);
    await settle();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    await controller.flush();
    void controller.push(2);
    await settle();
    vi.advanceTimersByTime(100);
    await settle();
    expect(flushed).toEqual([1, 2]);
  });
});

it('the clock of a turn goes on when queueMicrotask is replaced by a function that never runs', async () => {
  vi.stubGlobal('queueMicrotask', () => undefined);
  const { systemClock } = await import('../../../src/common/clock.js');
  const before = systemClock.turnNow!();
  vi.unstubAllGlobals();
  await settle();
  expect(systemClock.turnNow!()).toBeGreaterThan(before);
});
