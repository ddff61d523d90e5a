import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Breaker, openDelay } from '../../../../src/sink/resilience/circuit-breaker.js';
import { LONGEST_DELAY_MS } from '../../../../src/common/clock.js';
import type { BreakerState } from '../../../../src/api/flush-function.js';

const SETTINGS = { failures: 2, minDelayMs: 100, maxDelayMs: 1_000, maxOutageMs: 5_000 };

function breakerIn(settings: Partial<typeof SETTINGS> = {}) {
  const changes: string[] = [];
  const breaker = new Breaker(
    { ...SETTINGS, ...settings },
    () => 0,
    (state, previous) => void changes.push(`${previous} → ${state}`),
  );
  return { breaker, changes };
}

const error = new Error('down');

/** A breaker brought into each state, at the time 10: the delivery 1 has failed twice, the delivery 7 is the probe. */
const reach: Record<string, () => ReturnType<typeof breakerIn>> = {
  closed: () => breakerIn(),
  'closed, one failure': () => {
    const made = breakerIn();
    made.breaker.onTransportFailure(1, error, 0, 0);
    return made;
  },
  open: () => {
    const made = reach['closed, one failure']!();
    made.breaker.onTransportFailure(1, error, 10, 10);
    return made;
  },
  half_open: () => {
    const made = reach['open']!();
    made.breaker.evaluate(60);
    return made;
  },
  probing: () => {
    const made = reach['half_open']!();
    made.breaker.beginProbe(7);
    return made;
  },
};

const stimuli: Record<string, (breaker: Breaker) => void> = {
  answered: (breaker) => breaker.onResponse(),
  'failed (probe)': (breaker) => breaker.onTransportFailure(7, error, 60, 60),
  'failed (other)': (breaker) => breaker.onTransportFailure(1, error, 60, 60),
  'polled early': (breaker) => breaker.evaluate(59),
  'polled in time': (breaker) => breaker.evaluate(60),
};

describe('the breaker', () => {
  // Open from 10 to 10 + 100 / 2, by the chance 0.
  it.each<[from: string, stimulus: string, to: BreakerState, change: string | undefined]>([
    ['closed', 'answered', 'closed', undefined],
    ['closed', 'failed (other)', 'closed', undefined],
    ['closed', 'polled in time', 'closed', undefined],
    ['closed, one failure', 'answered', 'closed', undefined],
    ['closed, one failure', 'failed (other)', 'open', 'closed → open'],
    ['open', 'answered', 'closed', 'open → closed'],
    ['open', 'failed (other)', 'open', undefined],
    ['open', 'failed (probe)', 'open', undefined],
    ['open', 'polled early', 'open', undefined],
    ['open', 'polled in time', 'half_open', 'open → half_open'],
    ['half_open', 'answered', 'closed', 'half_open → closed'],
    ['half_open', 'failed (other)', 'half_open', undefined],
    ['half_open', 'polled in time', 'half_open', undefined],
    ['probing', 'answered', 'closed', 'half_open → closed'],
    ['probing', 'failed (other)', 'half_open', undefined],
    ['probing', 'failed (probe)', 'open', 'half_open → open'],
    ['probing', 'polled in time', 'half_open', undefined],
  ])('%s, %s: %s', (from, stimulus, to, change) => {
    const { breaker, changes } = reach[from]!();
    changes.length = 0;
    stimuli[stimulus]!(breaker);
    expect(breaker.state).toBe(to);
    expect(changes).toEqual(change === undefined ? [] : [change]);
  });

  it('counts failures in a row only', () => {
    const { breaker } = breakerIn({ failures: 3 });
    for (let round = 0; round < 9; round++) {
      breaker.onTransportFailure(round, error, round, round);
      breaker.onTransportFailure(round, error, round, round);
      expect(breaker.isHealthy).toBe(false);
      breaker.onResponse();
      expect(breaker.isHealthy).toBe(true);
    }
    expect(breaker.state).toBe('closed');
  });

  it('lets any call begin while closed, one while half open, none while open', () => {
    expect(reach['closed']!().breaker.mayCall).toBe(true);
    expect(reach['closed, one failure']!().breaker.mayCall).toBe(true);
    expect(reach['open']!().breaker.mayCall).toBe(false);
    expect(reach['half_open']!().breaker.mayCall).toBe(true);
    expect(reach['probing']!().breaker.mayCall).toBe(false);
  });

  it.each(['closed', 'open', 'probing'])('asserts that no probe begins while %s', (state) => {
    expect(() => reach[state]!().breaker.beginProbe(9)).toThrow('one probe, while half open');
  });

  it('opens for longer each time, and starts from the first delay after a response', () => {
    const { breaker } = reach['open']!();
    const delays: number[] = [];
    let now = 10;
    for (let round = 0; round < 6; round++) {
      const phase = breaker.phase;
      if (phase.kind !== 'open') throw new Error(phase.kind);
      delays.push(phase.until - now);
      now = phase.until;
      breaker.evaluate(now);
      breaker.beginProbe(round);
      breaker.onTransportFailure(round, error, now, now);
    }
    expect(delays).toEqual([50, 100, 200, 400, 500, 500]);
    breaker.onResponse();
    breaker.onTransportFailure(1, error, 9_000, 9_000);
    breaker.onTransportFailure(1, error, 9_000, 9_000);
    expect(breaker.phase).toMatchObject({ kind: 'open', openings: 1, until: 9_050 });
  });

  it('is open for at least as long as an error of this outage has told', () => {
    const told = (retryAfterMs: number) => Object.assign(new Error('busy'), { retryAfterMs });
    const { breaker } = breakerIn();
    breaker.onTransportFailure(1, told(300), 0, 0);
    breaker.onTransportFailure(2, error, 10, 10);
    expect(breaker.phase).toMatchObject({ kind: 'open', until: 300 });
    // By a call that began before.
    breaker.onTransportFailure(3, told(400), 20, 20);
    expect(breaker.nextProbeAt).toBe(420);
    breaker.onTransportFailure(4, told(10), 30, 30);
    expect(breaker.nextProbeAt).toBe(420);
    breaker.evaluate(420);
    breaker.beginProbe(1);
    breaker.onTransportFailure(1, told(Infinity), 500, 500);
    expect(breaker.phase).toMatchObject({ kind: 'open', until: 500 + LONGEST_DELAY_MS });
    breaker.onResponse();
    breaker.onTransportFailure(1, error, 600, 600);
    breaker.onTransportFailure(1, error, 600, 600);
    expect(breaker.phase).toMatchObject({ kind: 'open', until: 650 });
  });

  it('knows when the outage has lasted too long: from its first failure, idle time left out', () => {
    const { breaker } = reach['probing']!();
    expect(breaker.outageEndsAt).toBe(5_000);
    expect(breaker.nextProbeAt).toBe(Infinity);
    breaker.onTransportFailure(1, error, 1_000, 1_000);
    breaker.onTransportFailure(7, error, 4_950, 4_950);
    expect(breaker.outageEndsAt).toBe(5_000);
    expect(breaker.nextProbeAt).toBe(5_000);
    breaker.excludeFromOutage(300);
    expect(breaker.outageEndsAt).toBe(5_300);
    expect(breaker.nextProbeAt).toBe(4_950 + 100);
    breaker.onResponse();
    expect(breaker.outageEndsAt).toBe(Infinity);
    breaker.excludeFromOutage(300);
    expect(breaker.isHealthy).toBe(true);
    expect(breakerIn().breaker.nextProbeAt).toBe(Infinity);
  });

  it.each([
    ['before the limit, although it has ended after it', 4_999, false],
    ['at the limit', 5_000, true],
    ['after it', 9_000, true],
  ])('is over once a probe has failed that began %s: %s', (_when, startedAt, isOver) => {
    const { breaker } = reach['probing']!();
    breaker.onTransportFailure(1, error, startedAt, 9_500);
    expect(breaker.isOutageOver).toBe(false);
    breaker.onTransportFailure(7, error, startedAt, 9_500);
    expect(breaker.isOutageOver).toBe(isOver);
    breaker.evaluate(9_500);
    expect(breaker.state).toBe('half_open');
  });

  it('counts the time that a probe took towards the longest delay, but for half of the least one', () => {
    for (const [tookMs, delayMs] of [
      [0, 500],
      [700, 300],
      [980, 50],
      [60_000, 50],
    ] as const) {
      const { breaker } = breakerIn({ failures: 1, maxOutageMs: Infinity });
      breaker.onTransportFailure(1, error, 0, 0);
      let now = 0;
      for (let round = 0; round < 9; round++) {
        breaker.evaluate((now = breaker.nextProbeAt));
        breaker.beginProbe(round);
        breaker.onTransportFailure(round, error, now, (now += tookMs));
      }
      expect(breaker.nextProbeAt - now).toBe(delayMs);
    }
  });

  it('keeps the last error, for the cause', () => {
    const { breaker } = reach['open']!();
    const last = new Error('still down');
    breaker.onTransportFailure(2, last, 20, 20);
    expect(breaker.phase.streak).toEqual({ failures: 3, since: 0, error: last, notBefore: 20 });
  });
});

describe('the time that it is open', () => {
  it.each([
    [1, 500],
    [2, 1_000],
    [6, 16_000],
    [7, 30_000],
    [5_000, 30_000],
  ])('the %ith time is from half to all of %i ms', (openings, longest) => {
    const limits = { minDelayMs: 500, maxDelayMs: 30_000 };
    expect(openDelay(openings, limits, () => 0)).toBe(longest / 2);
    expect(openDelay(openings, limits, () => 1 - Number.EPSILON)).toBeCloseTo(longest, 6);
  });

  it('is never above the cap, whatever chance says', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1e9 }),
        fc.integer({ min: 1, max: 1e6 }),
        fc.nat(1e6),
        (n, min, more) => {
          const delay = openDelay(n, { minDelayMs: min, maxDelayMs: min + more }, Math.random);
          expect(delay >= min / 2 && delay <= min + more).toBe(true);
        },
      ),
    );
  });
});
