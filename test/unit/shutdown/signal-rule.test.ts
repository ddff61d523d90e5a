import { describe, expect, it } from 'vitest';
import { decideSignal, SignalRule, type SignalState } from '../../../src/shutdown/signal-rule.js';
import type { Clock } from '../../../src/common/clock.js';
import { ManualClock } from '../../support/manual-clock.js';
import { turn } from '../../support/stream.js';

describe('decideSignal', () => {
  it.each([
    ['idle', 'SIGTERM', 'draining', 'drain'],
    ['idle', 'SIGHUP', 'draining', 'drain'],
    ['idle', 'SIGINT', 'interrupted', 'drain'],
    ['draining', 'SIGTERM', 'draining', 'wait'],
    ['draining', 'SIGINT', 'interrupted', 'wait'],
    ['interrupted', 'SIGINT', 'interrupted', 'wait'],
    ['interrupted', 'SIGTERM', 'interrupted', 'wait'],
    ['armed', 'SIGTERM', 'armed', 'wait'],
    ['armed', 'SIGINT', 'armed', 'end'],
  ] as const)('%s, %s: %s, %s', (state: SignalState, signal, next, action) => {
    expect(decideSignal(state, signal)).toEqual({ state: next, action });
  });
});

describe('SignalRule', () => {
  it('does not take a SIGINT for a second one that arrived while the event loop was blocked', async () => {
    let onTime: () => void = () => undefined;
    const clock: Clock = {
      now: () => 0,
      setTimeout: (callback) => void (onTime = callback),
      clearTimeout: () => undefined,
    };
    const rule = new SignalRule(clock);
    expect(rule.decide('SIGINT')).toBe('drain');
    // The event loop runs the late timer first, and then the signal that the kernel has kept.
    onTime();
    expect(rule.decide('SIGINT')).toBe('wait');
    await turn();
    expect(rule.decide('SIGINT')).toBe('end');
  });

  it('lets go of its timer', () => {
    const clock = new ManualClock();
    const rule = new SignalRule(clock);
    rule.decide('SIGINT');
    expect(clock.pending).toBe(1);
    rule.close();
    expect(clock.pending).toBe(0);
  });

  it('uses a timer that does not keep the process alive', () => {
    const handles: { isHeld: boolean; unref: () => void }[] = [];
    const rule = new SignalRule({
      now: () => 0,
      setTimeout: () => {
        const handle = { isHeld: true, unref: () => (handle.isHeld = false) };
        handles.push(handle);
        return handle;
      },
      clearTimeout: () => undefined,
    });
    rule.decide('SIGINT');
    expect(handles.map(({ isHeld }) => isHeld)).toEqual([false]);
  });
});
