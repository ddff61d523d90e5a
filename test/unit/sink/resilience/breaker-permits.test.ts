/** Who may call the destination while the breaker is open or half open, and when. */

import { describe, expect, it } from 'vitest';
import { StageErrors, type BackpressureError } from '../../../../src/api/errors.js';
import { BreakerPermits } from '../../../../src/sink/resilience/breaker-permits.js';
import { ALL_PERMITTED, type ParkedDelivery } from '../../../../src/sink/resilience/call-permits.js';
import { ManualClock, settle } from '../../../support/manual-clock.js';

const DOWN = new Error('down');
const LIMITS = { failures: 1, minDelayMs: 100, maxDelayMs: 1_000, maxOutageMs: 60_000 };

interface Setting {
  probe?: () => Promise<void>;
  breaker?: Partial<typeof LIMITS>;
}

/** By the chance 0 the breaker opens for half of its delay: 50 ms the first time. */
function create({ probe, breaker }: Setting = {}) {
  const clock = new ManualClock();
  const host = { isIdle: false, isRunning: true };
  const failed: BackpressureError[] = [];
  const reasons: (string | undefined)[] = [];
  let launches = 0;
  const permits = new BreakerPermits(
    {
      clock,
      random: () => 0,
      flushTimeoutMs: 1_000,
      abortGraceMs: 100,
    },
    { ...LIMITS, ...breaker, probe },
    {
      get isIdle() {
        return host.isIdle;
      },
      get isRunning() {
        return host.isRunning;
      },
      errors: new StageErrors(),
      onBreaker: (_state, _previous, reason) => reasons.push(reason?.message),
      onMayLaunch: () => (launches += 1),
      fail: (error) => {
        failed.push(error);
        permits.end();
      },
    },
  );
  const resumed: number[] = [];
  const park = (first: number, isReady = true): ParkedDelivery => {
    const delivery = {
      first,
      isReady,
      resume: () => {
        permits.unpark(delivery);
        resumed.push(first);
      },
    };
    permits.park(delivery);
    return delivery;
  };
  return { clock, permits, host, failed, reasons, resumed, park, launches: () => launches };
}

/** A breaker that has opened at 0, for 50 ms. */
function open(setting: Setting = {}) {
  const made = create(setting);
  made.permits.onTransportFailure(1, DOWN, 0);
  return made;
}

describe('without a breaker', () => {
  it('every call may be made, whatever fails', () => {
    const permits = ALL_PERMITTED;
    permits.onTransportFailure(1, DOWN, 0);
    permits.park({ first: 1, isReady: true, resume: expect.unreachable });
    expect([permits.mayLaunch, permits.mayCall(1), permits.state]).toEqual([true, true, 'closed']);
  });
});

describe('while the breaker is open', () => {
  it('no call may be made, and the time of the next probe is known', async () => {
    const { permits, clock, reasons } = open();
    expect([permits.mayLaunch, permits.mayCall(1), permits.state]).toEqual([false, false, 'open']);
    expect(permits).toMatchObject({ nextProbeAt: 50, blockedForMs: 50 });
    expect(reasons).toEqual([DOWN.message]);
    await clock.advance(30);
    expect(permits.blockedForMs).toBe(20);
  });

  it('an idle sink has no timer, and its idle time does not count towards maxOutageMs', async () => {
    const { permits, clock, host, failed, park, resumed } = open({ breaker: { maxOutageMs: 500 } });
    host.isIdle = true;
    permits.evaluate();
    expect(clock.pending).toBe(0);
    await clock.advance(100_000);
    host.isIdle = false;
    park(2);
    expect(resumed).toEqual([2]);
    expect(failed).toEqual([]);
  });

  it('a stopped sink sends no probe until it runs again', async () => {
    const { permits, clock, host, park, resumed } = open();
    host.isRunning = false;
    park(2);
    await clock.advance(200);
    expect(resumed).toEqual([]);
    host.isRunning = true;
    permits.evaluate();
    expect(resumed).toEqual([2]);
  });

  it('a stopped sink fails once maxOutageMs is over', async () => {
    const { clock, host, failed } = open({ breaker: { maxOutageMs: 500 } });
    host.isRunning = false;
    await clock.advance(499);
    expect(failed).toEqual([]);
    await clock.advance(1);
    expect(failed).toMatchObject([{ code: 'ERR_BACKPRESSURE_OUTAGE', cause: DOWN }]);
  });
});

describe('once the breaker is half open', () => {
  it('the oldest parked delivery makes the probe, ready or not, and no other call may be made', async () => {
    const { permits, clock, park, resumed } = open();
    park(3);
    park(2, false);
    await clock.advance(50);
    expect(resumed).toEqual([2]);
    expect([permits.mayCall(2), permits.mayCall(3), permits.mayLaunch]).toEqual([true, false, false]);
  });

  it('a new batch makes the probe if no delivery is parked, and a second one may not go', async () => {
    const { permits, clock, launches } = open();
    await clock.advance(50);
    expect(launches()).toBe(1);
    expect(permits.mayLaunch).toBe(true);
    permits.onLaunch(7);
    expect(permits.mayLaunch).toBe(false);
  });

  it('a response closes it, and the parked deliveries that are ready go in their order', async () => {
    const { permits, clock, park, resumed } = open();
    for (const first of [5, 2, 4]) park(first);
    park(3, false);
    await clock.advance(50);
    permits.onCall(2);
    permits.onResponse();
    expect(permits.state).toBe('closed');
    expect(resumed).toEqual([2, 4, 5]);
    expect(clock.pending).toBe(0);
  });

  it('a batch may go only after the calls of all released deliveries have begun', async () => {
    const { permits, clock, park, launches } = open();
    for (const first of [2, 4]) park(first);
    await clock.advance(50);
    permits.onCall(2);
    permits.onResponse();
    expect(permits.mayLaunch).toBe(false);
    const before = launches();
    permits.onCall(4);
    expect(permits.mayLaunch).toBe(true);
    expect(launches()).toBe(before + 1);
  });

  it('a failed probe opens it for longer', async () => {
    const { permits, clock, park, resumed } = open();
    park(2);
    await clock.advance(50);
    permits.onCall(2);
    permits.onTransportFailure(2, DOWN, 50);
    expect(permits.state).toBe('open');
    expect(permits.blockedForMs).toBeGreaterThan(50);
    park(2);
    await clock.advance(permits.blockedForMs);
    expect(resumed).toEqual([2, 2]);
  });

  it('halt() takes back a probe whose call has not begun; it is sent again after a restart', async () => {
    const { permits, clock, host, park, resumed } = open();
    const delivery = park(2);
    await clock.advance(50);
    host.isRunning = false;
    permits.halt();
    expect(permits.mayCall(2)).toBe(false);
    permits.park(delivery);
    host.isRunning = true;
    permits.evaluate();
    expect(resumed).toEqual([2, 2]);
  });

  it('a probe that began before maxOutageMs and has no outcome fails the sink only after the longest call', async () => {
    const { permits, clock, failed } = open({ breaker: { maxOutageMs: 500 } });
    await clock.advance(50);
    permits.onLaunch(2);
    // flushTimeoutMs and abortGraceMs of the probe.
    await clock.advance(500 + 1_100);
    expect(failed).toEqual([]);
    await clock.advance(20_000);
    expect(failed).toMatchObject([{ code: 'ERR_BACKPRESSURE_OUTAGE' }]);
    expect(clock.pending).toBe(0);
  });
});

describe('with a health check', () => {
  it.each<[string, () => Promise<void>]>([
    ['passes', () => Promise.resolve()],
    [
      'is refused with retryable: false',
      () => Promise.reject(Object.assign(new Error('no'), { retryable: false })),
    ],
  ])('a health check that %s releases the oldest delivery', async (_how, probe) => {
    const { clock, park, resumed } = open({ probe });
    park(2);
    await clock.advance(50);
    await settle();
    expect(resumed).toEqual([2]);
  });

  it('a health check that fails opens the breaker again, and releases no delivery', async () => {
    let checks = 0;
    const probe = () => {
      checks += 1;
      return Promise.reject(new Error('still down'));
    };
    const { permits, clock, park, reasons, resumed } = open({ probe });
    park(2);
    await clock.advance(50);
    await settle();
    expect(permits.state).toBe('open');
    expect(checks).toBe(1);
    expect(resumed).toEqual([]);
    expect(reasons.at(-1)).toBe('still down');
  });

  it('a health check without an outcome fails after a while', async () => {
    const { permits, clock, reasons } = open({ probe: () => new Promise(() => undefined) });
    await clock.advance(50);
    expect(permits.state).toBe('half_open');
    await clock.advance(10_000);
    expect(reasons).toContainEqual(expect.stringMatching(/no answer to the probe/));
  });
});

describe('after end()', () => {
  it('no timer is left, and an idle sink reports the breaker as closed', () => {
    const { permits, clock, host } = open();
    permits.end();
    expect(clock.pending).toBe(0);
    expect(permits.state).toBe('open');
    host.isIdle = true;
    expect(permits.state).toBe('closed');
  });
});
