/** Weights under `sample`: what each subgroup weighs, and what all of them weigh together, at every instant. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AdmissionQueue } from '../../src/buffer/admission-queue.js';
import type { QueueSettings } from '../../src/buffer/queue-settings.js';
import { ManualClock } from '../support/manual-clock.js';
import { SeededRandom } from '../support/seeded-random.js';
import { fastCheckRuns, IS_CAMPAIGN } from '../support/test-runs.js';
import { range } from '../support/range.js';

const ITEMS = 1_000_000;

function queueOf(settings: Partial<QueueSettings<number>>): AdmissionQueue<number> {
  return new AdmissionQueue<number>(
    {
      capacity: 10,
      capacityBytes: Infinity,
      marks: {
        ...{ pauseAt: 8, resumeAt: 5, pauseAtBytes: Infinity, resumeAtBytes: Infinity },
        ...{ highWaterMark: 8, yieldEvery: Infinity },
      },
      lowWatermark: 0.5,
      highWatermark: 0.8,
      strategy: 'sample',
      sampleRate: 10,
      random: Math.random,
      sizeOf: undefined,
      shed: undefined,
      clock: new ManualClock(),
      ...settings,
    },
    { onState: () => {}, onDrop: () => {}, observesDrops: () => false },
  );
}

interface Stream {
  rate: number;
  types: number;
  /** From 0 to `types - 1`. */
  typeOf: (index: number) => number;
  items: number;
  /** After so many items everything that was kept settles; without it each kept item does, and the pressure stays. */
  settleEvery?: number;
}

/** The largest error of a type's weighted sum, as a share of the truth, and what the samples' own scatter allows. */
function largestError({ rate, types, typeOf, items, settleEvery }: Stream, seed: number) {
  // Large enough for what comes between two settlements: nothing is rejected.
  const queue = queueOf({ capacity: 20, sampleRate: rate, random: new SeededRandom(seed).next });
  const offer = (item: number) => {
    queue.countArrival();
    const bytes = queue.judge(item);
    if (queue.fastPath.tryAdmit(item, bytes)) return;
    queue.admit(item, bytes);
    queue.fastPath.grant(Infinity, Infinity);
  };
  const weighed = new Float64Array(types);
  const truth = new Float64Array(types);
  const settle = () => {
    const { items: kept, weights } = queue.takeBatch(queue.ledger.queued);
    kept.forEach((type, index) => (weighed[type]! += weights![index]!));
    queue.settle(kept.length, 0, 0);
  };
  if (settleEvery === undefined) {
    // In flight for good: from here on every item is under pressure.
    while (queue.ledger.queued < 12) offer(0);
    while (queue.unrepresented !== 0) offer(0);
    queue.takeBatch(queue.ledger.queued);
  }
  for (let index = 0; index < items; index++) {
    const type = typeOf(index);
    truth[type]!++;
    offer(type);
    if (settleEvery === undefined ? queue.ledger.queued > 0 : index % settleEvery === 0) settle();
  }
  settle();
  const total = weighed.reduce((sum, weight) => sum + weight, 0);
  expect(total + queue.unrepresented).toBe(items);
  expect(queue.ledger.drops.rejected).toBe(0);
  const errors = Array.from(weighed, (weight, type) => Math.abs(weight / truth[type]! - 1));
  return { error: Math.max(...errors), scatter: Math.sqrt(((rate - 1) * types) / items) };
}

/** Within 2 %, or within five standard deviations where a million items scatter by more than that. */
function expectUnbiased(stream: Stream, seed: number): void {
  const { error, scatter } = largestError(stream, seed);
  const what = `${stream.types} types, rate ${stream.rate}, seed ${seed}`;
  expect(error, what).toBeLessThan(Math.max(0.02, 5 * scatter));
}

const some: [types: number, rate: number][] = [
  [2, 2], [10, 10], [20, 10], [10, 20], [7, 5], [50, 20],
]; // prettier-ignore
const all = range(49, 2).flatMap((types) =>
  Array.from({ length: 19 }, (_, index): [number, number] => [types, index + 2]),
);

describe('weighted sums under sample', () => {
  it('are right within 2 % for each type of i % 10 over ten million items, one in ten kept', () => {
    const stream = { rate: 10, types: 10, typeOf: (index: number) => index % 10, items: 10 * ITEMS };
    expect(largestError(stream, 1).error).toBeLessThan(0.02);
  });

  it('are unbiased for each type of a stream that repeats', { timeout: 1_000_000 }, () => {
    for (const [types, rate] of IS_CAMPAIGN ? all : some)
      expectUnbiased({ rate, types, typeOf: (index) => index % types, items: ITEMS }, types * 100 + rate);
  });

  it('are unbiased for each type of a random stream', { timeout: 1_000_000 }, () => {
    for (const [types, rate] of IS_CAMPAIGN ? all : some) {
      const random = new SeededRandom(types * 100 + rate);
      expectUnbiased({ rate, types, typeOf: () => random.int(0, types - 1), items: ITEMS }, types + rate);
    }
  });

  it('are unbiased where the pressure comes and goes in step with the stream', { timeout: 1_000_000 }, () => {
    const rates = IS_CAMPAIGN ? all.filter(([types]) => types === 2).map(([, rate]) => rate) : [3, 10];
    for (const rate of rates)
      for (const types of [13, 24])
        expectUnbiased(
          { rate, types, typeOf: (index) => index % types, items: ITEMS, settleEvery: types },
          rate,
        );
  });
});

describe('the sum of weights under sample', () => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('offer' as const), count: fc.nat(40) }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('take' as const), count: fc.nat(12) }) },
    { weight: 3, arbitrary: fc.constant({ kind: 'settle' as const }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'refuse' as const }) },
  );

  it('plus unrepresented is what was offered without shed items, after any steps', () => {
    const settings = fc.record({
      sampleRate: fc.integer({ min: 1, max: 9 }),
      capacity: fc.integer({ min: 1, max: 30 }),
      seed: fc.nat(),
      sheds: fc.boolean(),
      measures: fc.boolean(),
    });
    fc.assert(
      fc.property(settings, fc.array(step, { maxLength: 60 }), (given, steps) => {
        const { sampleRate, capacity } = given;
        const queue = queueOf({
          ...{ sampleRate, capacity, random: new SeededRandom(given.seed).next },
          shed: given.sheds ? (item) => item % 7 === 0 : undefined,
          ...(given.measures && { sizeOf: (item) => item % 13, capacityBytes: 10 * capacity }),
        });
        const flights: { count: number; bytes: number }[] = [];
        let next = 0;
        let taken = 0;
        const offer = () => {
          next++;
          queue.countArrival();
          const bytes = queue.judge(next);
          if (queue.fastPath.tryAdmit(next, bytes)) return;
          queue.admit(next, bytes);
          queue.fastPath.grant(Infinity, Infinity);
        };
        const take = (count: number) => {
          const { items, weights, bytes } = queue.takeBatch(count);
          for (const weight of weights!) {
            expect(weight).toBeGreaterThanOrEqual(1);
            taken += weight;
          }
          flights.push({ count: items.length, bytes });
        };
        for (const one of steps) {
          if (one.kind === 'offer') for (let count = 0; count < one.count; count++) offer();
          else if (one.kind === 'refuse') queue.dropOnArrival(next, 'rejected');
          else if (one.kind === 'settle') {
            const flight = flights.shift();
            if (flight !== undefined) queue.settle(flight.count, 0, flight.bytes);
          } else take(Math.min(one.count, queue.ledger.queued));
          expect(queue.unrepresented).toBeGreaterThan(-sampleRate);
        }
        // Each instant is the end of some run.
        take(queue.ledger.queued);
        expect(taken + queue.unrepresented).toBe(queue.ledger.offered - queue.ledger.drops.shed);
      }),
      fastCheckRuns(500),
    );
  });
});
