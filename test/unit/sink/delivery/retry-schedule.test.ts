/** When the next call of a batch begins, if the breaker changes while the batch is settled. */

import { expect, test } from 'vitest';
import { StageErrors } from '../../../../src/api/errors.js';
import { DeliveryAbort } from '../../../../src/sink/delivery/delivery-abort.js';
import { RetrySchedule } from '../../../../src/sink/delivery/retry-schedule.js';
import { BreakerPermits } from '../../../../src/sink/resilience/breaker-permits.js';
import { ManualClock, settle } from '../../../support/manual-clock.js';

const DOWN = new Error('down');

/** A breaker that opens with the first failure, and the schedule of a batch. */
function create() {
  const clock = new ManualClock();
  const random = () => 0;
  const permits = new BreakerPermits(
    { clock, random, flushTimeoutMs: 1_000, abortGraceMs: 100 },
    { failures: 1, minDelayMs: 100, maxDelayMs: 1_000, maxOutageMs: 60_000, probe: undefined },
    {
      isIdle: false,
      isRunning: true,
      errors: new StageErrors(),
      onBreaker: () => undefined,
      onMayLaunch: () => undefined,
      fail: (error) => expect.unreachable(error.message),
    },
  );
  const retry = {
    attempts: 3,
    minDelayMs: 10,
    maxDelayMs: 100,
    maxElapsedMs: 10_000,
    afterTimeout: true,
    isRetryable: () => true,
  };
  const schedule = new RetrySchedule(0, { clock, random, retry }, permits, new DeliveryAbort());
  return { clock, permits, schedule };
}

test('a batch that is parked only after the breaker has closed is called at once', async () => {
  const { permits, schedule } = create();
  schedule.onCall();
  permits.onTransportFailure(0, DOWN, 0);
  expect(schedule.parkIfTripped()).toBe(true);
  permits.onResponse();
  expect(permits.isTripped).toBe(false);
  const delays: number[] = [];
  let isInTime: boolean | undefined;
  void schedule.pause([DOWN], (delayMs) => delays.push(delayMs)).then((value) => (isInTime = value));
  await settle();
  expect({ isInTime, delays, isBlocked: schedule.isBlocked }).toEqual({
    isInTime: true,
    delays: [0],
    isBlocked: false,
  });
});

test('a batch whose own delay has begun waits for it, although the breaker is closed', async () => {
  const { clock, permits, schedule } = create();
  schedule.onCall();
  let isInTime: boolean | undefined;
  void schedule
    .pause([Object.assign(new Error('busy'), { retryAfterMs: 50 })], () => {})
    .then((value) => (isInTime = value));
  await clock.advance(5);
  expect({ isInTime, isTripped: permits.isTripped }).toEqual({ isInTime: undefined, isTripped: false });
  await clock.advance(60);
  expect(isInTime).toBe(true);
});
