/** What the circuit breaker does to calls, batches and items. */

import { describe, expect, it } from 'vitest';
import type { BackpressureError, FailedItem, SinkOptions } from '../../../src/index.js';
import { BackpressureController, BackpressureWritable } from '../../../src/index.js';
import { type Behaviour, ScriptedDestination } from '../../support/destinations.js';
import { range } from '../../support/range.js';
import { startController } from '../../support/start-controller.js';
import { expectLedger } from '../../support/stream.js';
import { ManualClock, settle } from '../../support/manual-clock.js';

const fails = (ms: number, retryable = true): Behaviour => ({ kind: 'rejects', ms, retryable });
const slow = (ms: number): Behaviour => ({ kind: 'slow', ms });
const times = <V>(count: number, value: V): V[] => Array.from({ length: count }, () => value);

/** Chance 0: no delay of a retry is above 0, and the breaker is open for 50, 100, 200 and 250 ms. */
const breaker = { failures: 2, minDelayMs: 100, maxDelayMs: 500, maxOutageMs: 5_000 };
const usual = {
  batchSize: 1,
  breaker,
  retry: { attempts: 3 },
  random: () => 0,
} satisfies SinkOptions<number>;

function start(options: SinkOptions<number>, script: readonly Behaviour[]) {
  const run = startController({ ...usual, ...options }, script);
  /** The changes of the breaker, and when each came. */
  const states: string[] = [];
  const changedAt: number[] = [];
  run.controller.on('breaker', (state, previous) => {
    states.push(`${previous} → ${state}`);
    changedAt.push(run.clock.now());
    expect(run.controller.getMetrics().breaker).toBe(state);
    expectLedger(run.controller);
  });
  const calls = () => run.destination.calls.map(({ at, items }) => [at, ...items]);
  /** When a change of that kind came: the first, or a later one. */
  const at = (change: string, nth = 0) => changedAt.filter((_, index) => states[index] === change)[nth]!;
  return { ...run, states, changedAt, calls, at };
}

const pushAll = (controller: BackpressureController<number>, items: number[]) => {
  for (const item of items) void controller.push(item);
};

describe('the circuit breaker', () => {
  it('does not exist for a bare function unless it is asked for', async () => {
    const { clock, controller, calls, states } = start(
      { breaker: false, onFailed: () => undefined },
      times(9, fails(0)),
    );
    pushAll(controller, [1, 2, 3]);
    await clock.advance(0);
    expect(calls()).toHaveLength(9);
    expect(states).toEqual([]);
    expect(controller.getMetrics()).toMatchObject({ breaker: 'closed', eventsFailed: 3 });
  });

  it.each([0, 0.5, 0.999])(
    'opens after two failures in a row, has one probe each time it is half open, and closes; chance %d',
    async (chance) => {
      const { clock, controller, calls, states, changedAt } = start(
        { random: () => chance },
        times(4, fails(10)),
      );
      pushAll(controller, [1, 2]);
      await clock.advance(10_000);
      expect(states).toEqual([
        'closed → open',
        ...times(2, ['open → half_open', 'half_open → open']).flat(),
        'open → half_open',
        'half_open → closed',
      ]);
      // It stays open for half to all of the base, doubled each time. Then the probe begins, and nothing else.
      const probes = [1, 3, 5].map((change) => changedAt[change]!);
      const openFor = probes.map((at, opening) => at - changedAt[2 * opening]!);
      const [base, cap] = [breaker.minDelayMs, breaker.maxDelayMs];
      for (const [opening, ms] of openFor.entries()) {
        const longest = Math.min(cap, base * 2 ** opening);
        expect(ms).toBeGreaterThanOrEqual(longest / 2);
        expect(ms).toBeLessThanOrEqual(longest);
      }
      expect(calls().slice(2)).toEqual([...probes.map((at) => [at, 1]), [changedAt.at(-1), 2]]);
      expect(controller.getMetrics()).toMatchObject({ eventsFlushed: 2, eventsFailed: 0, retries: 4 });
      expect(clock.pending).toBe(0);
    },
  );

  it('reports each retry, with the time for which no call will begin', async () => {
    const { clock, controller, destination } = start({}, times(4, fails(10)));
    const retries: { attempt: number; nextAt: number }[] = [];
    controller.on(
      'retry',
      ({ attempt, delayMs }) => void retries.push({ attempt, nextAt: clock.now() + delayMs }),
    );
    pushAll(controller, [1]);
    await clock.advance(10_000);
    const later = destination.calls.slice(1);
    expect(retries).toEqual(later.map(({ at }, index) => ({ attempt: index + 1, nextAt: at })));
  });

  it.each<[string, Behaviour]>([
    ['a success', { kind: 'ok' }],
    ['a partial result', { kind: 'partial', ms: 0, mask: 1, retryable: 0, unnamed: 0 }],
    ['a refusal that is not worth a retry', fails(0, false)],
    ['an answer that does not add up', { kind: 'invalid', variant: 'sum' }],
  ])('counts from zero after %s', async (_case, answer) => {
    const { clock, controller, states } = start({ retry: { attempts: 1 }, onFailed: () => undefined }, [
      fails(0),
      answer,
      fails(0),
      answer,
      fails(0),
    ]);
    pushAll(controller, range(6, 1));
    await clock.advance(10_000);
    expect(states).toEqual([]);
    expect(controller.getMetrics()).toMatchObject({ inFlight: 0, bufferSize: 0 });
  });

  it.each<[string, Behaviour]>([
    ['a partial result', { kind: 'partial', ms: 0, mask: 1, retryable: 0, unnamed: 0 }],
    ['a refusal that is not worth a retry', fails(0, false)],
  ])('closes when the probe gets %s', async (_case, answer) => {
    const { clock, controller, states } = start({ onFailed: () => undefined }, [fails(0), fails(0), answer]);
    pushAll(controller, [1]);
    await clock.advance(10_000);
    expect(states.at(-1)).toBe('half_open → closed');
    expect(controller.getMetrics()).toMatchObject({ eventsFailed: 1 });
  });

  it('takes a flush that timed out for a transport failure', async () => {
    const { clock, controller, states, changedAt } = start(
      { retry: { attempts: 1 }, flushTimeoutMs: 100, abortGraceMs: 50, onFailed: () => undefined },
      times(2, { kind: 'deaf', ms: Infinity, fails: false }),
    );
    pushAll(controller, [1, 2, 3]);
    await clock.advance(10_000);
    expect(states).toEqual(['closed → open', 'open → half_open', 'half_open → closed']);
    // Two calls, each for its timeout and the grace.
    expect(changedAt[0]).toBe(2 * (100 + 50));
    expect(controller.getMetrics()).toMatchObject({ eventsFailed: 2, eventsFlushed: 1 });
  });

  it('takes a flush that timed out and then rejected for a transport failure, as soon as it rejects', async () => {
    const { clock, controller, states, changedAt } = start(
      { retry: { attempts: 1 }, flushTimeoutMs: 100, onFailed: () => undefined },
      times(2, { kind: 'stops-on-signal' }),
    );
    pushAll(controller, [1, 2, 3]);
    await clock.advance(10_000);
    expect(states).toEqual(['closed → open', 'open → half_open', 'half_open → closed']);
    expect(changedAt[0]).toBe(2 * 100);
    expect(controller.getMetrics()).toMatchObject({ eventsFailed: 2, eventsFlushed: 1 });
  });

  it('counts failures over all slots, pauses all of them, and has one probe: the oldest that waits', async () => {
    const { clock, controller, calls, states, at } = start(
      { concurrency: 3, breaker: { ...breaker, failures: 3 } },
      [
        ...times(3, fails(10)),
        fails(10), // the probe
        slow(40), // the next one
      ],
    );
    pushAll(controller, range(9, 1));
    await clock.advance(11);
    expect(states).toEqual(['closed → open']);
    expect(controller.getMetrics()).toMatchObject({ inFlight: 3, bufferSize: 6 });
    await clock.advance(2_000);
    const [first, second] = [at('open → half_open'), at('open → half_open', 1)];
    const closed = at('half_open → closed');
    expect(closed).toBe(second + 40);
    expect(calls().slice(0, 8)).toEqual([
      [0, 1],
      [0, 2],
      [0, 3],
      [first, 1],
      [second, 1],
      // Those who waited go first.
      [closed, 2],
      [closed, 3],
      [closed, 4],
    ]);
    expect(controller.getMetrics()).toMatchObject({ eventsFlushed: 9, eventsFailed: 0 });
  });

  it('closes at the response to a call that began before it opened', async () => {
    const { clock, controller, calls, states, at } = start({ concurrency: 3 }, [
      fails(10),
      fails(10),
      slow(30),
    ]);
    pushAll(controller, range(4, 1));
    await clock.advance(30);
    expect(states).toEqual(['closed → open', 'open → closed']);
    const closed = at('open → closed');
    expect(calls().slice(3)).toEqual([1, 2, 4].map((item) => [closed, item]));
    expect(clock.pending).toBe(0);
  });

  it('holds a delivery that it had let go, where it opens again before the call', async () => {
    const { clock, controller, calls, states, at } = start(
      { concurrency: 3, breaker: { ...breaker, failures: 1 }, maxBufferSize: 3 },
      [{ kind: 'throws' }, { kind: 'ok' }, { kind: 'throws' }],
    );
    pushAll(controller, range(3, 1));
    await settle();
    expect(states).toEqual(['closed → open', 'open → closed', 'closed → open']);
    expect(calls()).toEqual([
      [0, 1],
      [0, 2],
      [0, 3],
    ]);
    expect(controller.getMetrics().inFlight).toBe(2);
    await clock.advance(1_000);
    const probed = at('open → half_open');
    expect(calls().slice(3)).toEqual([1, 3].map((item) => [probed, item]));
    expect(clock.pending).toBe(0);
    expectLedger(controller);
  });

  it('takes a failure of a call that began before for no failure of the probe', async () => {
    const { clock, controller, calls, states, at } = start({ concurrency: 3 }, [
      fails(10),
      fails(10),
      fails(120), // while the probe is under way
      slow(130), // the probe: it begins before 110
    ]);
    pushAll(controller, range(3, 1));
    await clock.advance(1_000);
    expect(states).toEqual(['closed → open', 'open → half_open', 'half_open → closed']);
    expect(at('open → half_open')).toBeLessThan(120);
    const closed = at('half_open → closed');
    expect(calls().slice(4)).toEqual([2, 3].map((item) => [closed, item]));
  });

  it('has a delivery in its delay make the probe, and lets the others wait theirs out', async () => {
    const { clock, controller, calls, at } = start(
      {
        concurrency: 3,
        retry: { attempts: 3, minDelayMs: 2_000 },
        random: () => 0.5,
        breaker: { ...breaker, failures: 3 },
      },
      [fails(0), fails(5), fails(10)],
    );
    // A delivery that fails before the breaker opens has a delay of its own.
    const ownEnds: number[] = [];
    controller.on('retry', ({ delayMs }) => void ownEnds.push(clock.now() + delayMs));
    pushAll(controller, range(3, 1));
    await clock.advance(10_000);
    const probed = at('open → half_open');
    expect(probed).toBeLessThan(ownEnds[0]!);
    expect(calls().slice(3)).toEqual([
      [probed, 1],
      [probed, 3], // held since the breaker opened
      [ownEnds[1], 2],
    ]);
  });

  it('holds a delivery whose delay ends while it is open', async () => {
    const { clock, controller, calls, at } = start(
      {
        concurrency: 2,
        retry: { attempts: 9, minDelayMs: 40 },
        random: () => 0.5,
        breaker: { ...breaker, failures: 3 },
      },
      [fails(0), fails(10), fails(0), slow(300)],
    );
    const ownEnds: number[] = [];
    controller.on('retry', ({ delayMs }) => void ownEnds.push(clock.now() + delayMs));
    pushAll(controller, range(2, 1));
    await clock.advance(1_000);
    const [opened, probed] = [at('closed → open'), at('open → half_open')];
    // The delay of 2 ends while the breaker is open.
    expect(ownEnds[1]).toBeGreaterThan(opened);
    expect(ownEnds[1]).toBeLessThan(probed);
    expect(calls()).toEqual([
      [0, 1],
      [0, 2],
      [opened, 1],
      [probed, 1],
      [at('half_open → closed'), 2],
    ]);
  });

  it('sends no probe before its time, where the destination has told one', async () => {
    const clock = new ManualClock();
    const calls: number[] = [];
    const busy = () => {
      calls.push(clock.now());
      return Promise.reject(Object.assign(new Error('busy'), { retryAfterMs: 1_000 }));
    };
    const controller = new BackpressureController<number>(busy, { ...usual, clock });
    controller.start();
    void controller.push(1);
    await clock.advance(3_500);
    expect(calls).toEqual([0, 1_000, 2_000, 3_000]);
  });

  it('has the next batch make the probe where no delivery waits', async () => {
    const { clock, controller, calls, at } = start(
      { concurrency: 3, retry: { attempts: 1 }, onFailed: () => undefined },
      [fails(10), fails(10), fails(10), fails(10), slow(10)],
    );
    pushAll(controller, range(8, 1));
    await clock.advance(1_000);
    const closed = at('half_open → closed');
    expect(calls().slice(3)).toEqual([
      [at('open → half_open'), 4],
      [at('open → half_open', 1), 5],
      ...[6, 7, 8].map((item) => [closed, item]),
    ]);
    expect(controller.getMetrics()).toMatchObject({ eventsFailed: 4, eventsFlushed: 4, retries: 0 });
  });

  it('holds a batch however often it was called, and gives it its attempts back', async () => {
    const partial: Behaviour = { kind: 'partial', ms: 0, mask: 1, retryable: 1, unnamed: 0 };
    for (const [answers, outcome] of [
      [1, { eventsFailed: 0, eventsFlushed: 1 }],
      [2, { eventsFailed: 1, eventsFlushed: 0 }],
    ] as const) {
      const { clock, controller, destination } = start(
        { retry: { attempts: 3 }, onFailed: () => undefined },
        [...times(9, fails(0)), ...times(answers, partial)],
      );
      pushAll(controller, [1]);
      await clock.advance(4_000);
      // One attempt before it opened; the probe that was answered is the second one, so there is one more.
      expect(destination.calls).toHaveLength(11);
      expect(destination.calls.at(-1)!.context.attempt).toBe(11);
      expect(controller.getMetrics()).toMatchObject({ ...outcome, retries: 10, breaker: 'closed' });
    }
  });

  it('leaves the time of an outage out of maxElapsedMs', async () => {
    const { clock, controller, calls } = start(
      { retry: { attempts: 9, maxElapsedMs: 100 }, onFailed: () => undefined },
      [...times(6, fails(10)), { kind: 'partial', ms: 95, mask: 1, retryable: 1, unnamed: 0 }],
    );
    pushAll(controller, [1]);
    await clock.advance(4_000);
    // 10 ms before the call whose failure opened it, 95 ms since: no call can begin within 100 ms any more.
    expect(calls()).toHaveLength(7);
    expect(controller.getMetrics()).toMatchObject({ eventsFailed: 1, breaker: 'closed' });
    const longer = start({ retry: { attempts: 9, maxElapsedMs: 105 } }, [
      ...times(6, fails(10)),
      { kind: 'partial', ms: 95, mask: 1, retryable: 1, unnamed: 0 },
    ]);
    pushAll(longer.controller, [1]);
    await longer.clock.advance(4_000);
    expect(longer.controller.getMetrics()).toMatchObject({ eventsFlushed: 1 });
  });

  it('leaves the time of an outage out of maxElapsedMs, also for a batch whose own delay ends while it is open', async () => {
    const { clock, controller, calls, at } = start(
      {
        concurrency: 2,
        retry: { attempts: 9, minDelayMs: 40, maxElapsedMs: 200 },
        random: () => 0.5,
        breaker: { ...breaker, failures: 3 },
        onFailed: () => undefined,
      },
      [fails(0), fails(10), fails(0), slow(300), fails(0)],
    );
    pushAll(controller, range(2, 1));
    await clock.advance(2_000);
    // 2 is held for far longer than 200 ms, and has another call after the one that fails again.
    const held = calls().slice(4);
    expect(held.map(([, item]) => item)).toEqual([2, 2]);
    expect(held[0]![0]).toBe(at('half_open → closed'));
    expect(held[0]![0]).toBeGreaterThan(300);
    expect(controller.getMetrics()).toMatchObject({ eventsFlushed: 2, eventsFailed: 0 });
  });

  it('lets the batches that it held go on in order, whichever failed first', async () => {
    const { clock, controller, calls, at } = start({ concurrency: 3, breaker: { ...breaker, failures: 1 } }, [
      fails(20),
      fails(10),
      fails(0),
    ]);
    pushAll(controller, range(3, 1));
    await clock.advance(1_000);
    const closed = at('half_open → closed');
    expect(calls().slice(3)).toEqual([1, 2, 3].map((item) => [closed, item]));
  });

  it('has a call that began before and fails late make the probe, with every slot taken', async () => {
    const { clock, controller, calls, states } = start(
      {
        concurrency: 2,
        flushTimeoutMs: 10,
        abortGraceMs: 0,
        breaker: { ...breaker, failures: 1, minDelayMs: 1 },
        onFailed: () => new Promise((resolve) => void clock.setTimeout(() => resolve(undefined), 1_000)),
      },
      [{ kind: 'deaf', ms: Infinity, fails: false }, fails(8)],
    );
    pushAll(controller, [1]);
    await clock.advance(5);
    pushAll(controller, [2]);
    await clock.advance(50);
    expect(calls()).toEqual([
      [0, 1],
      [5, 2],
      [5 + 8, 2], // as soon as it has failed
    ]);
    expect(states).toEqual(['closed → open', 'open → half_open', 'half_open → closed']);
  });

  it('keeps the order at concurrency 1 through an outage', async () => {
    const { clock, controller, destination } = start({ batchSize: 3 }, [slow(5), ...times(6, fails(5))]);
    const flushed: number[] = [];
    pushAll(controller, range(30, 1));
    for (let round = 0; round < 40; round++) {
      await clock.advance(50);
      expectLedger(controller);
    }
    for (const { items, behaviour } of destination.calls)
      if (behaviour.kind !== 'rejects') flushed.push(...items);
    expect(flushed).toEqual(range(30, 1));
  });

  it('spins nothing while it is open: no call, no timer but its own', async () => {
    const { clock, controller, destination } = start(
      {
        retry: { attempts: 1 },
        concurrency: 2,
        breaker: { ...breaker, minDelayMs: 500 },
        onFailed: () => undefined,
      },
      times(2, fails(0)),
    );
    pushAll(controller, range(20, 1));
    await clock.advance(10);
    let set = 0;
    const setTimeout = clock.setTimeout.bind(clock);
    clock.setTimeout = (callback, delayMs) => (set++, setTimeout(callback, delayMs));
    expect(clock.pending).toBe(1);
    pushAll(controller, range(20, 21));
    await clock.advance(200);
    expect(set).toBe(0);
    expect(destination.calls).toHaveLength(2);
  });
});

describe('while the breaker is open', () => {
  it('a producer under block waits, and every item arrives', async () => {
    const { clock, controller } = start(
      { maxBufferSize: 4, batchSize: 2, maxWaiting: 10, maxBlockTimeMs: Infinity },
      times(5, fails(10)),
    );
    const answers: boolean[] = [];
    for (const item of range(10, 1)) void controller.push(item).then((answer) => answers.push(answer));
    await clock.advance(300);
    expect(answers).toHaveLength(4);
    expect(expectLedger(controller)).toMatchObject({ waiting: 6, breaker: 'open' });
    await clock.advance(2_000);
    expect(answers).toEqual(times(10, true));
    expect(controller.getMetrics()).toMatchObject({ eventsFlushed: 10 });
  });

  it('a dropping strategy sheds by its rule', async () => {
    for (const [strategy, left] of [
      ['drop_oldest', [1, 9, 10]],
      ['drop_newest', [1, 2, 3, 4]],
    ] as const) {
      const { clock, controller, destination } = start(
        { strategy, maxBufferSize: strategy === 'drop_oldest' ? 3 : 4 },
        times(4, fails(10)),
      );
      for (const item of range(10, 1)) {
        void controller.push(item);
        await clock.advance(20);
        expectLedger(controller);
      }
      await clock.advance(2_000);
      const flushed = destination.calls
        .filter(({ behaviour }) => behaviour.kind === 'ok')
        .flatMap(({ items }) => items);
      expect(flushed).toEqual(left);
    }
  });

  it.each(['drain', 'flush'] as const)('%s() waits for the outcome', async (method) => {
    const { clock, controller } = start({}, times(5, fails(10)));
    pushAll(controller, [1, 2]);
    await clock.advance(30);
    let done = false;
    void controller[method]().then(() => (done = true));
    await clock.advance(300);
    expect(done).toBe(false);
    await clock.advance(2_000);
    expect(done).toBe(true);
    expect(controller.getMetrics()).toMatchObject({ eventsFlushed: 2 });
  });

  it('an abort ends at once', async () => {
    for (const at of [30, 60, 65]) {
      const abort = new AbortController();
      const { clock, controller, destination } = start({ signal: abort.signal, concurrency: 2 }, [
        ...times(2, fails(10)),
        slow(50),
      ]);
      pushAll(controller, range(5, 1));
      const drained = controller.drain();
      await clock.advance(at);
      const calls = destination.calls.length;
      abort.abort();
      await clock.advance(at < 60 ? 0 : 50);
      await expect(drained).rejects.toThrow('aborted');
      expect(controller.takeUnsettled()).toEqual(at < 60 ? range(5, 1) : [2, 3, 4, 5]);
      expect(destination.calls).toHaveLength(calls);
      expect(clock.pending).toBe(0);
      expectLedger(controller);
    }
  });

  it('after an abort it changes no more, whatever the calls under way come to', async () => {
    for (const last of [fails(20), slow(20)]) {
      const abort = new AbortController();
      const { clock, controller, states } = start(
        { signal: abort.signal, concurrency: 3, breaker: { ...breaker, failures: 1 } },
        [fails(0), last, last],
      );
      pushAll(controller, range(3, 1));
      await clock.advance(10);
      abort.abort();
      await clock.advance(1_000);
      expect(states).toEqual(['closed → open']);
      expect(clock.pending).toBe(0);
    }
  });

  it('no probe starts while the controller is stopped', async () => {
    const { clock, controller, calls, states } = start({}, times(3, fails(10)));
    pushAll(controller, [1, 2]);
    await clock.advance(30);
    controller.stop();
    await clock.advance(1_000);
    expect(calls()).toHaveLength(2);
    expect(states).toEqual(['closed → open', 'open → half_open']);
    controller.start();
    await clock.advance(0);
    expect(calls()).toHaveLength(3);
    await clock.advance(2_000);
    expect(controller.getMetrics()).toMatchObject({ eventsFlushed: 2 });
  });

  // Its way to the flush function has begun, and is so many promises long.
  it.each(range(12, 1))(
    'nor one that was let go just before (%i); the next start sends it',
    async (ticks) => {
      const { clock, controller, calls } = start({}, times(3, fails(10)));
      pushAll(controller, [1, 2]);
      await clock.advance(30);
      controller.stop();
      await clock.advance(1_000);
      controller.start();
      for (let tick = 0; tick < ticks; tick++) await Promise.resolve();
      controller.stop();
      const begun = calls().length;
      await clock.advance(1_000);
      expect(calls()).toHaveLength(begun);
      controller.start();
      await clock.advance(2_000);
      expect(controller.getMetrics()).toMatchObject({ eventsFlushed: 2, breaker: 'closed' });
      expect(clock.pending).toBe(0);
    },
  );

  it('no probe begins if a listener of the event stops the controller in time', async () => {
    const { clock, controller, calls } = start({}, times(3, fails(10)));
    controller.on('breaker', (state) => {
      if (state === 'half_open') controller.stop();
    });
    pushAll(controller, [1]);
    await clock.advance(1_000);
    expect(calls()).toHaveLength(2);
  });

  it('a listener that throws ends the controller, as any listener does', async () => {
    const { clock, controller } = start({}, times(3, fails(10)));
    controller.on('breaker', () => {
      throw new Error('no use');
    });
    pushAll(controller, [1, 2]);
    await clock.advance(1_000);
    await expect(controller.flush()).rejects.toThrow("listener of 'breaker' failed: no use");
    expect(controller.takeUnsettled()).toEqual([1, 2]);
    expect(clock.pending).toBe(0);
  });

  it('its timer holds the process only while items are unsettled', async () => {
    const { clock, controller, calls, states, at } = start(
      { retry: { attempts: 1 }, onFailed: () => undefined },
      times(2, fails(10)),
    );
    pushAll(controller, [1, 2]);
    await clock.advance(30);
    expect(states).toEqual(['closed → open']);
    expect(clock.pending).toBe(0);
    await clock.advance(10);
    pushAll(controller, [3]);
    await settle();
    expect(clock.pending).toBe(1);
    await clock.advance(breaker.minDelayMs);
    expect(calls().slice(2)).toEqual([[at('open → half_open'), 3]]);
    expect(clock.pending).toBe(0);
  });
});

describe('an outage longer than maxOutageMs', () => {
  const limit = { ...usual, breaker: { ...breaker, maxOutageMs: 1_000 } };
  const outage = { code: 'ERR_BACKPRESSURE_OUTAGE' };

  it.each(['block', 'drop_oldest', 'drop_newest'] as const)(
    'fails the sink under %s, with everything in hand, whether or not onFailed is given',
    async (strategy) => {
      for (const onFailed of [undefined, () => expect.fail('onFailed is not for an outage')]) {
        const { clock, controller } = start(
          { ...limit, strategy, maxBufferSize: 10, batchSize: 2, ...(onFailed && { onFailed }) },
          times(99, fails(10)),
        );
        pushAll(controller, range(8, 1));
        const flushed = controller.flush();
        const caught = flushed.catch((error: unknown) => error as BackpressureError);
        // From the first failure on, at 10. The last probe begins 1 000 later, and takes 10.
        await clock.advance(1_019);
        expect(expectLedger(controller)).toMatchObject({ inFlight: 2, bufferSize: 6, eventsFailed: 0 });
        await clock.advance(1);
        const error = (await caught)!;
        expect(error).toMatchObject(outage);
        expect(error.cause).toMatchObject({ message: 'destination failed' });
        expect(error.items).toEqual(range(8, 1));
        expect(controller.takeUnsettled()).toEqual(range(8, 1));
        expect(expectLedger(controller)).toMatchObject({ eventsFailed: 8, inFlight: 0 });
        await expect(controller.push(9)).rejects.toBe(error);
        expect(clock.pending).toBe(0);
      }
    },
  );

  it('does not fail a sink whose destination is back just before, although the last probe before found it down', async () => {
    for (const backAt of [270, 500, 900, 999]) {
      const clock = new ManualClock();
      const flush = () =>
        clock.now() < backAt ? Promise.reject(new Error('down')) : Promise.resolve(undefined);
      const controller = new BackpressureController<number>(flush, {
        ...limit,
        breaker: { failures: 2, minDelayMs: 100, maxDelayMs: 4_000, maxOutageMs: 1_000 },
        clock,
      });
      controller.start();
      pushAll(controller, [1]);
      await clock.advance(1_050);
      expect(controller.getMetrics()).toMatchObject({ eventsFlushed: 1, breaker: 'closed' });
    }
  });

  it('makes the last probe at the limit, even if an error has told a longer time', async () => {
    const calls: number[] = [];
    const clock = new ManualClock();
    const busy = () => {
      calls.push(clock.now());
      return Promise.reject(Object.assign(new Error('busy'), { retryAfterMs: 60_000 }));
    };
    const controller = new BackpressureController<number>(busy, {
      ...limit,
      breaker: { failures: 1, maxOutageMs: 1_000 },
      clock,
    });
    controller.start();
    pushAll(controller, [1]);
    await clock.advance(1_000);
    await expect(controller.flush()).rejects.toMatchObject(outage);
    expect(calls).toEqual([0, 1_000]);
  });

  it('leaves a probe that is under way its time, and makes one more after it', async () => {
    const hangs: Behaviour = { kind: 'deaf', ms: 3_000, fails: true };
    for (const [last, metrics] of [
      [slow(1_500), { eventsFlushed: 2 }],
      [fails(20), { eventsFailed: 2 }],
    ] as const) {
      const { clock, controller, calls, at } = start(limit, [fails(10), fails(10), hangs, last]);
      pushAll(controller, [1, 2]);
      controller.flush().catch(() => undefined);
      await clock.advance(6_000);
      // The probe takes 3 000, far beyond the limit, and the next one begins at once.
      const probed = at('open → half_open');
      expect(calls().slice(2, 4)).toEqual([
        [probed, 1],
        [probed + 3_000, 1],
      ]);
      expect(controller.getMetrics()).toMatchObject(metrics);
    }
  });

  it('fails a sink whose probe never ends, even without flushTimeoutMs', async () => {
    const never: Behaviour = { kind: 'deaf', ms: Infinity, fails: true };
    const { clock, controller } = start({ ...limit, flushTimeoutMs: Infinity }, [
      fails(10),
      fails(10),
      never,
    ]);
    pushAll(controller, [1, 2]);
    controller.flush().catch(() => undefined);
    await clock.advance(30_000);
    expect(controller.getMetrics()).toMatchObject({ inFlight: 1 });
    await clock.advance(10_000);
    await expect(controller.flush()).rejects.toMatchObject(outage);
    expect(controller.takeUnsettled()).toEqual([1, 2]);
  });

  it('makes a last probe also if the failures in a row took longer than that', async () => {
    for (const [failures, metrics] of [
      [2, { eventsFlushed: 1, eventsFailed: 0 }],
      [3, { eventsFlushed: 0, eventsFailed: 1 }],
    ] as const) {
      const { clock, controller } = start(limit, times(failures, fails(2_000)));
      pushAll(controller, [1]);
      controller.flush().catch(() => undefined);
      await clock.advance(7_000);
      expect(controller.getMetrics()).toMatchObject(metrics);
    }
  });

  it('an outage longer than maxOutageMs fails a controller that is stopped, too', async () => {
    const { clock, controller } = start(limit, times(9, fails(10)));
    pushAll(controller, [1, 2]);
    await clock.advance(30);
    controller.stop();
    await clock.advance(980);
    await expect(controller.flush()).rejects.toMatchObject(outage);
  });

  it('is measured while there is something to deliver, and from the first failure in a row', async () => {
    const failed: FailedItem<number>[] = [];
    const onFailed = (failures: FailedItem<number>[]) => void failed.push(...failures);
    const { clock, controller } = start({ ...limit, retry: { attempts: 1 }, onFailed }, times(5, fails(10)));
    for (const item of range(6, 1)) {
      void controller.push(item);
      await clock.advance(800);
    }
    expect(failed.map(({ item }) => item)).toEqual(range(5, 1));
    expect(controller.getMetrics()).toMatchObject({ breaker: 'closed', eventsFlushed: 1 });
    expect(controller.takeUnsettled()).toEqual([]);
  });

  it('never comes where it is Infinity', async () => {
    const { clock, controller } = start(
      { ...usual, breaker: { ...breaker, maxOutageMs: Infinity } },
      times(400, fails(10)),
    );
    pushAll(controller, [1]);
    await clock.advance(200 * 500);
    expect(controller.getMetrics()).toMatchObject({ inFlight: 1, eventsFailed: 0 });
    await clock.advance(400 * 500);
    expect(controller.getMetrics()).toMatchObject({ eventsFlushed: 1 });
    expect(clock.pending).toBe(0);
  });

  it('destroys a stream, which holds its producer until then', async () => {
    const clock = new ManualClock();
    const destination = new ScriptedDestination<number>(clock, times(99, fails(10)));
    const seen: string[] = [];
    const stream = new BackpressureWritable<number>(destination.flush, { ...limit, clock, highWaterMark: 3 });
    stream.on('breaker', (state) => void seen.push(state));
    const error = new Promise<Error>((resolve) => void stream.once('error', resolve));
    const closed = new Promise<void>((resolve) => void stream.once('close', resolve));
    while (stream.write(1));
    await clock.advance(500);
    expect(stream.writableNeedDrain).toBe(true);
    expect(expectLedger(stream)).toMatchObject({ inFlight: 1, eventsFlushed: 0 });
    expect(seen.slice(0, 3)).toEqual(['open', 'half_open', 'open']);
    await clock.advance(600);
    expect(await error).toMatchObject(outage);
    await closed;
    expect(stream.takeUnsettled()).toHaveLength(expectLedger(stream).eventsOffered);
    expect(clock.pending).toBe(0);
  });
});

describe('a probe that the destination offers', () => {
  /** The destination is down until it is back; then flushes go through. */
  function startProbed(
    probe: (context: { signal: AbortSignal }, now: number) => Promise<unknown>,
    options: SinkOptions<number> = {},
  ) {
    const clock = new ManualClock();
    let isDown = true;
    const flushes: number[] = [];
    const probes: number[] = [];
    const controller = new BackpressureController<number>(
      () => {
        flushes.push(clock.now());
        return isDown ? Promise.reject(new Error('down')) : Promise.resolve(undefined);
      },
      {
        ...usual,
        clock,
        ...options,
        breaker: {
          ...breaker,
          probe: (context) => {
            probes.push(clock.now());
            return probe(context, clock.now());
          },
        },
      },
    );
    controller.start();
    pushAll(controller, [1]);
    return { clock, controller, flushes, probes, comeBack: () => void (isDown = false) };
  }
  const down = () => Promise.reject(new Error('down'));

  it('is called in place of a batch until it resolves; then a batch decides', async () => {
    const run = startProbed((_context, now) => (now < 800 ? down() : Promise.resolve('up')));
    await run.clock.advance(799);
    expect(run.probes.length).toBeGreaterThan(1);
    expect(run.flushes).toEqual([0, 0]);
    await run.clock.advance(breaker.maxDelayMs);
    const up = run.probes.find((at) => at >= 800);
    expect(run.flushes.slice(0, 3)).toEqual([0, 0, up]);
    expect(run.controller.getMetrics()).toMatchObject({ breaker: 'open' });
    run.comeBack();
    await run.clock.advance(breaker.maxDelayMs);
    expect(run.controller.getMetrics()).toMatchObject({ breaker: 'closed', eventsFlushed: 1 });
    expect(run.clock.pending).toBe(0);
  });

  it('has failed after 2 s without an answer; its signal fires, and the next one begins soon', async () => {
    const signals: AbortSignal[] = [];
    const run = startProbed(({ signal }) => {
      signals.push(signal);
      return new Promise(() => undefined);
    });
    await run.clock.advance(breaker.minDelayMs);
    const [begun] = run.probes;
    await run.clock.advance(begun! + 1_999 - run.clock.now());
    expect(signals.map(({ aborted }) => aborted)).toEqual([false]);
    await run.clock.advance(1 + breaker.minDelayMs);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]);
    expect(run.probes).toHaveLength(2);
    await run.clock.advance(10_000);
    expect(run.controller.getMetrics()).toMatchObject({ eventsFailed: 1 });
    expect(signals.every(({ aborted }) => aborted)).toBe(true);
    expect(run.clock.pending).toBe(0);
  });

  it.each<[string, () => Promise<unknown>]>([
    ['throws', () => { throw new Error('at once'); }],
    ['rejects with something that is no error', () => Promise.reject('no')],
  ])('a probe that %s has failed', async (_case, probe) => {
    const run = startProbed(probe);
    await run.clock.advance(200);
    expect(run.probes).toHaveLength(2);
    expect(run.controller.getMetrics()).toMatchObject({ breaker: 'open' });
  }); // prettier-ignore

  it('a probe that rejects with an error that is not worth a retry has reached the destination', async () => {
    const run = startProbed(() =>
      Promise.reject(Object.assign(new Error('who are you'), { retryable: false })),
    );
    run.comeBack();
    await run.clock.advance(50);
    expect(run.controller.getMetrics()).toMatchObject({ breaker: 'closed', eventsFlushed: 1 });
  });

  it('is the last one at the limit, too', async () => {
    const run = startProbed(down);
    await run.clock.advance(4_999);
    expect(run.controller.getMetrics()).toMatchObject({ inFlight: 1 });
    await run.clock.advance(1);
    expect(run.probes.at(-1)).toBe(5_000);
    await expect(run.controller.flush()).rejects.toMatchObject({ code: 'ERR_BACKPRESSURE_OUTAGE' });
  });

  it('is not called once the sink has ended, nor its answer heard', async () => {
    let answer!: () => void;
    const ending = new AbortController();
    const run = startProbed(() => new Promise<void>((resolve) => (answer = resolve)), {
      signal: ending.signal,
    });
    await run.clock.advance(50);
    ending.abort();
    answer();
    await run.clock.advance(10_000);
    expect(run.probes).toHaveLength(1);
    expect(run.flushes).toEqual([0, 0]);
  });

  it('gives way to a late answer of a call that began before', async () => {
    const clock = new ManualClock();
    const answers = [fails(0), fails(0), slow(500)];
    const destination = new ScriptedDestination<number>(clock, [slow(500), ...answers]);
    let probes = 0;
    const controller = new BackpressureController<number>(destination.flush, {
      ...usual,
      clock,
      concurrency: 2,
      breaker: { ...breaker, probe: () => (probes++, new Promise(() => undefined)) },
    });
    controller.start();
    pushAll(controller, [1, 2]);
    await clock.advance(1_100);
    expect(probes).toBe(1);
    expect(controller.getMetrics()).toMatchObject({ breaker: 'closed', eventsFlushed: 2 });
    expect(clock.pending).toBe(0);
  });
});
