import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AdmissionQueue } from '../../src/buffer/admission-queue.js';
import type { QueueSettings } from '../../src/buffer/queue-settings.js';
import type { BackpressureState } from '../../src/api/states.js';
import { fastCheckRuns } from '../support/test-runs.js';

/** What may happen to a queue. */
type Step =
  | { kind: 'offer'; count: number; most: number; mostBytes: number; isPlain: boolean }
  | { kind: 'take' | 'settle'; count: number }
  | { kind: 'listen' | 'drain'; on: boolean }
  | { kind: 'wait'; ms: number };

const steps = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant('offer' as const),
        count: fc.integer({ min: 1, max: 90 }),
        most: fc.constantFrom(-1, 0, 1, 3, 100, Infinity),
        mostBytes: fc.constantFrom(-1, 0, 5, 100, Infinity),
        // Whether nobody is asked about the items, if nobody need be.
        isPlain: fc.boolean(),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constantFrom('take' as const, 'settle' as const),
        count: fc.oneof(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 5, max: 60 })),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constantFrom('listen' as const, 'drain' as const),
        on: fc.boolean(),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 9 }) }),
    },
  ),
  { maxLength: 40 },
);

const settings = fc.record({
  strategy: fc.constantFrom(
    'block' as const,
    'drop_oldest' as const,
    'drop_newest' as const,
    'sample' as const,
  ),
  capacity: fc.integer({ min: 1, max: 80 }),
  sampleRate: fc.integer({ min: 1, max: 7 }),
  /** What may be shed does not come in without a question; what is measured, by its size. */
  looks: fc.constantFrom('no' as const, 'shed' as const, 'sizeOf' as const, 'both' as const),
  capacityBytes: fc.integer({ min: 1, max: 200 }),
  seed: fc.integer({ min: 1, max: 1_000 }),
});

/** All that can be seen of a queue while the steps are done to it, with admission credit or without. */
function seen(
  { seed, looks, capacityBytes, ...given }: typeof settings extends fc.Arbitrary<infer S> ? S : never,
  todo: Step[],
  grants: boolean,
) {
  let now = 0;
  const events: unknown[] = [];
  let listens = true;
  let random = seed;
  const all: QueueSettings<number> = {
    ...given,
    capacityBytes: looks === 'sizeOf' || looks === 'both' ? capacityBytes : Infinity,
    marks: {
      pauseAt: 8,
      resumeAt: 5,
      pauseAtBytes: Infinity,
      resumeAtBytes: Infinity,
      highWaterMark: 8,
      yieldEvery: Infinity,
    },
    lowWatermark: 0.5,
    highWatermark: 0.8,
    random: () => (random = (random * 16_807) % 2_147_483_647) / 2_147_483_647,
    sizeOf: looks === 'sizeOf' || looks === 'both' ? (item) => item % 5 : undefined,
    shed: looks === 'shed' || looks === 'both' ? (item) => item % 5 === 0 : undefined,
    clock: { now: () => now, setTimeout: () => undefined, clearTimeout: () => undefined },
  };
  const queue = new AdmissionQueue<number>(all, {
    onState: (state: BackpressureState) => events.push(state),
    onDrop: (item, reason) => listens && events.push([item, reason]),
    observesDrops: () => listens,
  });
  const flights: { count: number; bytes: number }[] = [];
  let next = 0;
  let onCredit = 0;
  let onPlainCredit = 0;
  const offer = ({ most, mostBytes, isPlain }: Step & { kind: 'offer' }) => {
    next++;
    if (isPlain && looks === 'no' && queue.fastPath.tryOffer(next)) {
      onPlainCredit++;
      return;
    }
    queue.countArrival();
    const bytes = queue.judge(next);
    if (queue.fastPath.tryAdmit(next, bytes)) {
      onCredit++;
      return;
    }
    if (queue.admit(next, bytes) === 'full') queue.dropWaiting(next, 'rejected');
    if (grants) queue.fastPath.grant(most, mostBytes);
  };
  const views = todo.map((step) => {
    switch (step.kind) {
      case 'offer':
        for (let index = 0; index < step.count; index++) offer(step);
        break;
      case 'take': {
        const { items, weights, bytes } = queue.takeBatch(Math.min(step.count, queue.ledger.queued));
        events.push(items, weights);
        flights.push({ count: items.length, bytes });
        break;
      }
      case 'settle': {
        const flight = flights.shift();
        if (flight !== undefined) queue.settle(flight.count, 0, flight.bytes);
        break;
      }
      case 'listen':
        listens = step.on;
        break;
      case 'drain':
        queue.setDraining(step.on);
        break;
      case 'wait':
        now += step.ms;
    }
    const { ledger, state, unrepresented, arrivedSeq, decidedSeq } = queue;
    const oldest = ledger.queued > 0 ? queue.oldestTime : undefined;
    const counts = structuredClone(ledger);
    return { counts, state, unrepresented, arrivedSeq, decidedSeq, oldest, items: queue.queuedItems() };
  });
  return { events, views, times: queue.timeInStateMs(), onCredit, onPlainCredit };
}

describe('admission credit', () => {
  it('changes nothing that can be seen: what is dropped, kept, told, counted, weighed, and when it came', () => {
    const onCredit = { no: 0, shed: 0, sizeOf: 0, both: 0 };
    let plain = 0;
    fc.assert(
      fc.property(settings, steps, (given, todo) => {
        const { onCredit: withCredit, onPlainCredit, ...quick } = seen(given, todo, true);
        const { onCredit: without, onPlainCredit: withoutPlain, ...usual } = seen(given, todo, false);
        expect(quick).toEqual(usual);
        expect(without + withoutPlain).toBe(0);
        plain += onPlainCredit;
        if (given.looks === 'shed' || given.looks === 'both') expect(withCredit).toBe(0);
        onCredit[given.looks] += withCredit;
      }),
      fastCheckRuns(1_000),
    );
    expect(onCredit.no).toBeGreaterThan(1_000);
    expect(plain).toBeGreaterThan(1_000);
    expect(onCredit.sizeOf).toBeGreaterThan(1_000);
  });

  it('ends at the capacity, too, where the state is BLOCKED still but there is room', () => {
    const given = {
      strategy: 'block' as const,
      capacity: 100,
      sampleRate: 1,
      looks: 'no' as const,
      capacityBytes: 1,
      seed: 1,
    };
    const todo: Step[] = [
      { kind: 'offer', count: 100, most: Infinity, mostBytes: Infinity, isPlain: false },
      { kind: 'take', count: 4 },
      { kind: 'settle', count: 1 },
      { kind: 'offer', count: 9, most: Infinity, mostBytes: Infinity, isPlain: false },
    ];
    const { views } = seen(given, todo, true);
    expect(views[2]).toMatchObject({ state: 'blocked', counts: { queued: 96 } });
    expect(views[3]).toMatchObject({ state: 'blocked', counts: { queued: 100, drops: { rejected: 5 } } });
  });
});
