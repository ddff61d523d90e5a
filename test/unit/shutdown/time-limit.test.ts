import { expect, it } from 'vitest';
import { startTimeLimit } from '../../../src/shutdown/time-limit.js';
import { HeldClock } from '../../support/held-clock.js';

function start(limitMs: number, hasTurns = false) {
  const clock = new HeldClock(hasTurns);
  const calls: number[] = [];
  return { clock, calls, cancel: startTimeLimit(clock, limitMs, () => calls.push(clock.now())) };
}

it('is over on time, also if the process is held up meanwhile', () => {
  const { clock, calls } = start(200);
  clock.pass(199);
  expect(calls).toEqual([]);
  clock.hold(201);
  expect(calls).toEqual([400]);
});

it('lets the I/O that has arrived by then come first, which may cancel it', () => {
  for (const cancels of [false, true]) {
    const { clock, calls, cancel } = start(100, true);
    clock.pass(100);
    expect(calls).toEqual([]);
    if (cancels) cancel();
    clock.turn();
    expect(calls).toEqual(cancels ? [] : [100]);
  }
});

it('is never over if it is infinite or was cancelled', () => {
  const endless = start(Infinity);
  endless.cancel();
  const { clock, calls, cancel } = start(100);
  cancel();
  for (const each of [clock, endless.clock]) {
    each.pass(1_000);
    expect(each.pending).toBe(0);
  }
  expect([...calls, ...endless.calls]).toEqual([]);
});
