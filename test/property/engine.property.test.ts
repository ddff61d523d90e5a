import fc from 'fast-check';
import { describe, it } from 'vitest';
import { type Behaviour, INVALID_VARIANTS } from '../support/destinations.js';
import { EngineRun, type Inside, type InsideAct, type Plan, type Step } from '../support/model-run.js';
import { fastCheckRuns } from '../support/test-runs.js';

const ms = (max: number) => fc.integer({ min: 0, max });
const mask = fc.integer({ min: 0, max: 2 ** 31 - 1 });
const few = fc.constantFrom(0, 0, 1, 2, 4, 5);

const behaviour: fc.Arbitrary<Behaviour> = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Behaviour>({ kind: 'ok' }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('slow' as const), ms: ms(120) }) },
  { weight: 1, arbitrary: fc.constant<Behaviour>({ kind: 'throws' }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('rejects' as const), ms: ms(50), retryable: fc.boolean() }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('partial' as const),
      ms: ms(30),
      mask,
      retryable: mask,
      unnamed: few,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('invalid' as const),
      variant: fc.constantFrom(...INVALID_VARIANTS),
    }),
  },
  { weight: 1, arbitrary: fc.constant<Behaviour>({ kind: 'stops-on-signal' }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('deaf' as const),
      ms: fc.oneof(ms(600), fc.constant(Infinity)),
      fails: fc.boolean(),
    }),
  },
);

/** An outage of some calls, or one call of any kind. */
const spell: fc.Arbitrary<Behaviour[]> = fc.oneof(
  { weight: 10, arbitrary: behaviour.map((one) => [one]) },
  {
    weight: 1,
    arbitrary: fc
      .record({ calls: fc.integer({ min: 2, max: 12 }), ms: ms(60) })
      .map((outage) =>
        Array.from({ length: outage.calls }, (): Behaviour => ({ kind: 'rejects', ms: outage.ms })),
      ),
  },
);

const offer = { size: fc.integer({ min: 0, max: 12 }), low: fc.boolean() };
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 40,
    arbitrary: fc.record({
      kind: fc.constant('push' as const),
      count: fc.integer({ min: 1, max: 4 }),
      ...offer,
    }),
  },
  {
    weight: 15,
    arbitrary: fc.record({
      kind: fc.constant('push' as const),
      count: fc.integer({ min: 5, max: 80 }),
      ...offer,
    }),
  },
  {
    weight: 15,
    arbitrary: fc.record({
      kind: fc.constant('tryPush' as const),
      count: fc.integer({ min: 1, max: 20 }),
      ...offer,
    }),
  },
  {
    weight: 40,
    arbitrary: fc.record({ kind: fc.constant('advance' as const), ms: fc.oneof(ms(5), ms(50), ms(500)) }),
  },
  { weight: 10, arbitrary: fc.constant<Step>({ kind: 'flush' }) },
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant('drain' as const),
      timeoutMs: fc.option(ms(100), { nil: undefined }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('whenBelow' as const), count: fc.integer({ min: 1, max: 64 }) }),
  },
  { weight: 5, arbitrary: fc.constant<Step>({ kind: 'stop' }) },
  { weight: 15, arbitrary: fc.constant<Step>({ kind: 'start' }) },
  { weight: 15, arbitrary: fc.constant<Step>({ kind: 'hurry' }) },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: 'abort' }) },
);

const insides: Inside[] = [
  'state',
  'drop',
  'flush',
  'retry',
  'breaker',
  'failed',
  'settled',
  'call',
  'shed',
  'sizeOf',
];
const acts: InsideAct[] = ['abort', 'push', 'tryPush', 'flush', 'drain', 'stop', 'start'];
const maybe = <V>(arbitrary: fc.Arbitrary<V>) => fc.option(arbitrary, { nil: undefined });

/** Leaves out what is undefined: an option that is not there, rather than one without a value. */
function given<O extends object>(options: O): { [K in keyof O]: Exclude<O[K], undefined> } {
  const set = Object.entries(options).filter(([, value]) => value !== undefined);
  return Object.fromEntries(set) as { [K in keyof O]: Exclude<O[K], undefined> };
}

function planFor(strategy: 'block' | 'drop_oldest' | 'drop_newest' | 'sample'): fc.Arbitrary<Plan> {
  const options = fc
    .record({
      maxBufferSize: fc.integer({ min: 1, max: 64 }),
      batchShare: maybe(fc.double({ min: 0, max: 1, noNaN: true })),
      watermarks: maybe(fc.tuple(fc.integer({ min: 1, max: 19 }), fc.integer({ min: 1, max: 20 }))),
      sampleRate: fc.integer({ min: 1, max: 8 }),
      concurrency: fc.integer({ min: 1, max: 4 }),
      adaptive: maybe(fc.boolean()),
      maxWaiting: maybe(ms(100)),
      maxBlockTimeMs: maybe(fc.oneof(ms(300), fc.constant(Infinity))),
      minFlushIntervalMs: fc.integer({ min: 1, max: 100 }),
      more: ms(500),
      targetLatencyMs: fc.integer({ min: 1, max: 100 }),
      flushTimeoutMs: fc.integer({ min: 20, max: 300 }),
      abortGraceMs: ms(100),
      retry: fc.record({
        attempts: fc.integer({ min: 1, max: 4 }),
        minDelayMs: ms(50),
        maxElapsedMs: maybe(fc.oneof(ms(300), fc.constant(Infinity))),
        afterTimeout: fc.boolean(),
      }),
      breaker: maybe(
        fc.record({
          failures: fc.integer({ min: 1, max: 5 }),
          minDelayMs: fc.integer({ min: 1, max: 50 }),
          maxDelayMs: fc.integer({ min: 50, max: 200 }),
          maxOutageMs: fc.oneof(fc.integer({ min: 1, max: 1_000 }), fc.constant(Infinity)),
        }),
      ),
      seed: fc.integer({ min: 1, max: 2 ** 31 - 2 }),
    })
    .map(({ batchShare, watermarks, more, seed, retry, ...rest }) => {
      const batchSize =
        batchShare === undefined ? undefined : 1 + Math.floor(batchShare * (rest.maxBufferSize - 1));
      const [low, high] = watermarks ?? [10, 16];
      const ordered = low < high ? { lowWatermark: low / 20, highWatermark: high / 20 } : {};
      return given({
        ...rest,
        ...ordered,
        retry: given(retry),
        strategy,
        batchSize,
        maxFlushIntervalMs: rest.minFlushIntervalMs + more,
        random: minimalStandard(seed),
      });
    });
  const bytes = fc
    .record({
      maxBufferBytes: maybe(fc.integer({ min: 1, max: 64 })),
      batchShare: maybe(fc.double({ min: 0, max: 1, noNaN: true })),
    })
    .map(({ maxBufferBytes, batchShare }) => {
      const most = maxBufferBytes ?? 64;
      const batchBytes = batchShare === undefined ? undefined : 1 + Math.floor(batchShare * (most - 1));
      return given({ maxBufferBytes, batchBytes });
    });
  return fc.record({
    options,
    bytes: maybe(bytes),
    sheds: fc.boolean(),
    onFailed: fc.constantFrom('none', 'sync', 'sync', 'slow', 'slow', 'slow', 'throws'),
    perPosition: maybe(fc.integer({ min: 1, max: 4 })),
    script: fc.array(spell, { maxLength: 30 }).map((spells) => spells.flat()),
    steps: fc.array(step, { maxLength: 40, size: 'max' }),
    inside: maybe(
      fc
        .record({
          where: fc.constantFrom(...insides),
          after: fc.oneof(ms(3), ms(30)),
          times: fc.constantFrom(1, 1, 2, 8),
          act: fc.constantFrom(...acts),
        })
        // A flush() from within the decision on an item does not know whether that item counts.
        .filter(({ where, act }) => !['flush', 'drain'].includes(act) || !['shed', 'sizeOf'].includes(where)),
    ),
  });
}

/** Park and Miller's generator: chance that a seed repeats. */
function minimalStandard(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return (state - 1) / 2_147_483_646;
  };
}

describe('the engine keeps its promises after every step of any run', () => {
  it.each(['block', 'drop_oldest', 'drop_newest', 'sample'] as const)('under %s', async (strategy) => {
    await fc.assert(
      fc.asyncProperty(planFor(strategy), async (plan) => {
        await new EngineRun(plan).run();
      }),
      fastCheckRuns(400),
    );
  });
});
