import { describe, expect, it } from 'vitest';
import { FlushPace } from '../../../src/batch/flush-pace.js';
import { ManualClock } from '../../support/manual-clock.js';

const BOUNDS = { minFlushIntervalMs: 100, maxFlushIntervalMs: 1_000, targetLatencyMs: 200 };

/** After calls that took so long, with how much longer full batches then wait. */
function after(...calls: { latencyMs: number; transportFailure?: boolean }[]) {
  const clock = new ManualClock();
  const pace = new FlushPace(clock, BOUNDS);
  for (const { latencyMs, transportFailure = false } of calls)
    pace.onAttempt({ latencyMs, transportFailure });
  const { intervalMs, isRaised, lastLatencyMs, notBefore } = pace;
  return { intervalMs, isRaised, lastLatencyMs, waitMs: notBefore - clock.now() };
}

describe('the pace of flushes', () => {
  it('begins at the lower bound, with nothing to wait for', () => {
    expect(after()).toEqual({ intervalMs: 100, isRaised: false, lastLatencyMs: 0, waitMs: -Infinity });
  });

  it('slows down after a slow call, and comes back with fast ones', () => {
    expect(after({ latencyMs: 400 })).toMatchObject({ intervalMs: 150, isRaised: true, lastLatencyMs: 400 });
    expect(after({ latencyMs: 400 }, { latencyMs: 10 })).toMatchObject({ intervalMs: 120, isRaised: true });
    expect(after({ latencyMs: 400 }, { latencyMs: 10 }, { latencyMs: 10 })).toMatchObject({
      intervalMs: 100,
      isRaised: false,
      waitMs: 0,
    });
  });

  it('takes a call that failed fast for no sign of health, and one that failed late for a slow one', () => {
    const slow = { latencyMs: 400 };
    expect(after(slow, { latencyMs: 10, transportFailure: true })).toMatchObject({
      intervalMs: 150,
      lastLatencyMs: 10,
      waitMs: 10,
    });
    expect(after(slow, { latencyMs: 400, transportFailure: true })).toMatchObject({
      intervalMs: 225,
      waitMs: 400,
    });
  });

  it('spaces full batches by the interval that the slow call has led to', () => {
    const slow = Array.from({ length: 4 }, () => ({ latencyMs: 400 }));
    const { intervalMs, waitMs } = after(...slow);
    expect(intervalMs).toBeCloseTo(506.25, 9);
    expect(waitMs).toBeCloseTo(106.25, 9);
  });
});
