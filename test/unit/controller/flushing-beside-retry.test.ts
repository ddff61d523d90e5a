import { describe, expect, it } from 'vitest';
import { BackpressureController } from '../../../src/controller/backpressure-controller.js';
import { ItemError } from '../../../src/api/errors.js';
import type { SinkOptions } from '../../../src/api/options.js';
import { ManualClock } from '../../support/manual-clock.js';

/** Answers call by call after so many milliseconds; the items of a call that `fails` are to be called again, much later. */
function start(answers: readonly { ms: number; fails?: boolean }[], options: SinkOptions<string>) {
  const clock = new ManualClock();
  const calls: { at: number; items: string[] }[] = [];
  const controller = new BackpressureController<string>(
    (items) => {
      const { ms, fails } = answers[calls.length] ?? { ms: 0 };
      calls.push({ at: clock.now(), items });
      const errors = items.map((_, index) => new ItemError(index, { retryable: true }));
      const answer = fails ? { success: 0, failed: items.length, errors } : undefined;
      return new Promise((resolve) => clock.setTimeout(() => resolve(answer), ms));
    },
    { clock, concurrency: 2, random: () => 0.9, retry: { attempts: 2, minDelayMs: 5_000 }, ...options },
  );
  controller.start();
  return { clock, calls, controller };
}

describe('a free slot beside a batch that waits for its retry', () => {
  it('is used as soon as the interval has shrunk, not when the older, longer one is over', async () => {
    const { clock, calls, controller } = start([{ ms: 200 }, { ms: 10, fails: true }], {
      targetLatencyMs: 100,
    });
    void controller.push('slow');
    await clock.advance(300);
    expect(controller.getMetrics().currentFlushIntervalMs).toBe(150);
    void controller.push('fails');
    await clock.advance(155);
    void controller.push('waits');
    await clock.advance(5);
    expect(controller.getMetrics().currentFlushIntervalMs).toBe(120);
    await clock.advance(115);
    expect(calls[2]).toEqual({ at: 575, items: ['waits'] });
  });

  it('takes a full batch at once when a fast answer says that the destination is well again', async () => {
    const { clock, calls, controller } = start([{ ms: 400 }, { ms: 100, fails: true }], {
      targetLatencyMs: 100,
      batchSize: 1,
      minFlushIntervalMs: 1_000,
    });
    void controller.push('slow');
    await clock.advance(350);
    void controller.push('fails');
    await clock.advance(60);
    // Spaced, for the last answer was slow.
    void controller.push('waits');
    await clock.advance(39);
    expect(calls).toHaveLength(2);
    await clock.advance(1);
    expect(calls[2]).toEqual({ at: 450, items: ['waits'] });
  });
});
