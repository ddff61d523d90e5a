import { describe, expect, it } from 'vitest';
import { FlushPace } from '../../../../src/sink/schedule/flush-pace.js';

const BOUNDS = { minFlushIntervalMs: 100, maxFlushIntervalMs: 1_000, targetLatencyMs: 200, adaptive: false };

/** After calls that took so long, with how much longer full batches then wait. */
function after(...calls: { latencyMs: number; transportFailure?: boolean }[]) {
  const endedAt = 5_000;
  const pace = new FlushPace(BOUNDS);
  for (const { latencyMs, transportFailure = false } of calls)
    pace.onAttempt({ latencyMs, transportFailure, items: 10 }, endedAt, 1);
  const { intervalMs, isRaised, lastLatencyMs, notBefore } = pace;
  return { intervalMs, isRaised, lastLatencyMs, waitMs: notBefore - endedAt };
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

  /** A steady stream of so many items a second: its batches are as large as the interval is long. */
  function stream(itemsPerSecond: number, latencyOf: (items: number) => number, flushes: number) {
    const bounds = {
      minFlushIntervalMs: 100,
      maxFlushIntervalMs: 30_000,
      targetLatencyMs: 500,
      adaptive: false,
    };
    const pace = new FlushPace(bounds);
    const flush = (times: number, latency: (items: number) => number) => {
      for (let n = 0; n < times; n++) {
        const items = Math.max(1, (itemsPerSecond * pace.intervalMs) / 1_000);
        const share = Math.min(1, Math.max(1, itemsPerSecond / 10) / items);
        pace.onAttempt({ latencyMs: latency(items), transportFailure: false, items }, 0, share);
      }
      return pace.intervalMs;
    };
    const raised = flush(40, (items) => latencyOf(items) + 2_000);
    return { raised, back: flush(flushes, latencyOf) };
  }

  it.each([
    ['a tenth of what it can take', (items: number) => 20 + items],
    ['70 % of what it can take', (items: number) => 20 + 7 * items],
    ['a fixed part of 0.6 × the target', (items: number) => 300 + 3 * items],
  ])('comes back from a stall, although large batches take long: %s', (_case, latencyOf) => {
    const { raised, back } = stream(100, latencyOf, 26);
    // Batches of one size do not tell that it is slow whatever they hold: then smaller ones are tried.
    expect(raised).toBeGreaterThanOrEqual(30_000 * 0.64);
    expect(back).toBe(100);
  });

  it('comes back where single items keep the target, but are not fast', () => {
    expect(stream(0.01, () => 400, 30)).toEqual({ raised: 30_000, back: 100 });
  });

  it('stays up where a call takes long whatever it holds', () => {
    expect(stream(100, () => 1_000, 50).back).toBeGreaterThan(10_000);
  });
});
