import { AsyncLocalStorage } from 'node:async_hooks';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Clock } from '../../../src/common/clock.js';
import { Deadline } from '../../../src/common/deadline.js';
import { HeldClock } from '../../support/held-clock.js';

function make(limitMs: number, { hasTurns = false } = {}) {
  const clock = new HeldClock(hasTurns);
  const expiries: number[] = [];
  const deadline = new Deadline(clock, limitMs, () => expiries.push(clock.now()));
  return { clock, expiries, deadline };
}

describe('a deadline', () => {
  it.each([0, 5, 100, 333, 30_000])('of %i ms expires once, on time', (limitMs) => {
    const { clock, expiries, deadline } = make(limitMs);
    deadline.start();
    clock.pass(Math.max(0, limitMs - 1));
    expect(expiries).toEqual(limitMs === 0 ? [0] : []);
    clock.pass(3 * limitMs);
    expect(expiries).toEqual([limitMs]);
    expect(clock.pending).toBe(0);
  });

  it('can be cleared, put off and brought forward', () => {
    const { clock, expiries, deadline } = make(1_000);
    deadline.start();
    deadline.clear();
    clock.pass(5_000);
    deadline.set(6_000);
    deadline.set(7_000);
    deadline.setBy(9_000);
    deadline.setBy(Infinity);
    clock.pass(5_000);
    deadline.set(12_000);
    deadline.setBy(11_000);
    clock.pass(5_000);
    deadline.set(Infinity);
    clock.pass(5_000);
    expect(expiries).toEqual([7_000, 11_000]);
    expect(clock.pending).toBe(0);
  });

  it('expires once the I/O that has arrived by then has been dealt with', () => {
    const { clock, expiries, deadline } = make(100, { hasTurns: true });
    deadline.start();
    clock.pass(100);
    expect(expiries).toEqual([]);
    clock.turn();
    expect(expiries).toEqual([100]);
  });

  it('does not expire if that I/O clears it, and can be set again', () => {
    const { clock, expiries, deadline } = make(100, { hasTurns: true });
    deadline.start();
    clock.pass(100);
    deadline.clear();
    deadline.start();
    clock.turn();
    expect(expiries).toEqual([]);
    clock.pass(100);
    clock.turn();
    expect(expiries).toEqual([200]);
  });

  it.each([
    ['over the end of the limit', 150, 400],
    ['before its end', 0, 190],
    ['in its middle', 60, 100],
  ])('is put off by as long as the process was held up: %s', (_where, startMs, heldMs) => {
    const { clock, expiries, deadline } = make(200);
    deadline.start();
    clock.pass(startMs);
    clock.hold(heldMs);
    // Of it 25 ms at the most were not seen; and there are 25 ms in any case.
    clock.pass(Math.max(24, 200 - startMs - 26));
    expect(expiries).toEqual([]);
    clock.pass(51);
    expect(expiries).toHaveLength(1);
  });

  it('is put off once, not for ever, where each timer comes late', () => {
    const { clock, expiries, deadline } = make(1_000);
    deadline.start();
    for (let n = 0; n < 10; n++) clock.hold(500);
    expect(expiries).toEqual([4_500]);
  });

  it('leaves a machine that has slept the rest of the limit', () => {
    const { clock, expiries, deadline } = make(60_000);
    deadline.start();
    clock.pass(50_000);
    clock.hold(8 * 3_600_000);
    const wokeAt = clock.now();
    clock.pass(7_000);
    expect(expiries).toEqual([]);
    clock.pass(60_000);
    expect(expiries[0]! - wokeAt).toBeLessThanOrEqual(10_000);
  });

  it('shares the timer that watches with others of its length, until none of them is set', () => {
    const { clock, deadline } = make(800);
    const another = new Deadline(clock, 800, () => undefined);
    deadline.start();
    expect(clock.pending).toBe(2);
    another.start();
    expect(clock.pending).toBe(3);
    deadline.clear();
    clock.pass(100);
    expect(clock.pending).toBe(2);
    another.clear();
    expect(clock.pending).toBe(1);
    clock.pass(100);
    expect(clock.pending).toBe(0);
  });

  it('watches again after mocked timers were taken away', () => {
    const { clock, expiries, deadline } = make(800);
    new Deadline(clock, 800, () => undefined).start();
    clock.dropTimers();
    clock.pass(5_000);
    deadline.start();
    clock.pass(300);
    clock.hold(400);
    // Of the 400 ms one slice was not seen.
    clock.pass(399);
    expect(expiries).toEqual([]);
    clock.pass(100);
    expect(expiries).toHaveLength(1);
  });

  it('does not count that the process was held up before it was set', () => {
    const { clock, expiries, deadline } = make(800);
    new Deadline(clock, 800, () => undefined).start();
    clock.pass(50);
    // The timer that watches is due, and has not run.
    clock.setTimeout(() => deadline.start(), 1);
    clock.hold(600);
    clock.pass(2_000);
    expect(expiries).toEqual([1_450]);
  });

  it('is watched by a timer that holds neither the process nor the context of its caller', () => {
    const storage = new AsyncLocalStorage<string>();
    const timers: { store: string | undefined; isUnref: boolean }[] = [];
    const clock: Clock = {
      now: () => 0,
      setTimeout: () => {
        const timer = { store: storage.getStore(), isUnref: false };
        timers.push(timer);
        return { unref: () => (timer.isUnref = true) };
      },
      clearTimeout: () => undefined,
      afterIO: (callback) => callback(),
    };
    storage.run('caller', () => new Deadline(clock, 1_000, () => undefined).start());
    expect(timers).toEqual([
      { store: undefined, isUnref: true },
      { store: 'caller', isUnref: false },
    ]);
  });

  it('is never early, and at most as late as it was held up, whatever happens on the way', () => {
    const steps = fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 300 })), { maxLength: 40 });
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1_000 }), steps, (limitMs, moves) => {
        const { clock, expiries, deadline } = make(limitMs);
        deadline.start();
        let heldMs = 0;
        for (const [isHeld, ms] of moves) {
          if (expiries.length > 0) break;
          if (isHeld) {
            heldMs += ms;
            clock.hold(ms);
          } else clock.pass(ms);
        }
        clock.pass(5_000);
        expect(expiries).toHaveLength(1);
        expect(expiries[0]).toBeGreaterThanOrEqual(limitMs);
        expect(expiries[0]).toBeLessThanOrEqual(limitMs + heldMs + Math.max(20, limitMs / 8) + 1);
      }),
    );
  });
});
