import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BackpressureTransform, BackpressureWritable, InvalidOptionError } from '../../src/index.js';
import { WRITABLE_OPTIONS } from '../../src/settings/defaults.js';
import { resolveSink } from '../../src/settings/resolve-sink.js';
import { resolveTransform } from '../../src/settings/resolve-transform.js';
import type { TransformOptions, WritableOptions } from '../../src/api/options.js';
import { ManualClock } from '../support/manual-clock.js';
import { endOf, turn } from '../support/stream.js';
import { fastCheckRuns } from '../support/test-runs.js';

const LARGEST = Number.MAX_SAFE_INTEGER;
const LONGEST = 2 ** 31 - 1;

const count = fc.constantFrom(1, 2, 3, 100, 2 ** 31, 2 ** 32 + 1, 2 ** 52, LARGEST - 1, LARGEST);
const ratio = fc.constantFrom(Number.MIN_VALUE, 1e-300, 1e-12, 0.01, 0.5, 0.8, 1 - 2 ** -53, 1);
const duration = fc.constantFrom(1, 1.5, 100, 30_001, LONGEST - 0.5, LONGEST);
const some = <V>(value: fc.Arbitrary<V>) => fc.option(value, { nil: undefined, freq: 2 });

const buffer = {
  strategy: some(
    fc.constantFrom('block' as const, 'drop_oldest' as const, 'drop_newest' as const, 'sample' as const),
  ),
  highWaterMark: some(fc.oneof(fc.constant(0), count)),
  highWatermark: some(ratio),
  lowWatermark: some(ratio),
  maxWaiting: some(fc.oneof(fc.constant(0), count)),
  maxBlockTimeMs: some(duration),
  sampleRate: some(count),
};
const sink = {
  concurrency: some(count),
  adaptive: some(fc.boolean()),
  minFlushIntervalMs: some(duration),
  maxFlushIntervalMs: some(duration),
  targetLatencyMs: some(duration),
  flushTimeoutMs: some(duration),
  abortGraceMs: some(duration),
  retry: some(fc.record({ minDelayMs: some(duration), maxDelayMs: some(duration), attempts: some(count) })),
  breaker: some(
    fc.record({ minDelayMs: some(duration), maxDelayMs: some(duration), maxOutageMs: some(duration) }),
  ),
};
const itemBounds = { maxBufferSize: some(count), batchSize: some(count), objectMode: fc.constant(true) };
const byteBounds = { maxBufferBytes: some(count), objectMode: fc.constant(false) };

const writableOptions = fc.oneof(
  fc.record({ ...buffer, ...sink, ...itemBounds }),
  fc.record({ ...buffer, ...sink, ...byteBounds, batchBytes: some(count) }),
);
const transformOptions = fc.oneof(
  fc.record({ ...buffer, ...itemBounds }),
  fc.record({ ...buffer, ...byteBounds }),
);

/** Resolves the options, or checks that the refusal names nothing but what was given. */
function resolved<S>(given: Record<string, unknown>, resolve: () => S): S | undefined {
  try {
    return resolve();
  } catch (thrown) {
    if (!(thrown instanceof InvalidOptionError)) throw thrown;
    for (const [, name] of thrown.message.matchAll(/'([a-zA-Z.]+)'/g)) {
      const owner = name!.split('.')[0]!;
      if (WRITABLE_OPTIONS.has(owner) && given[owner] === undefined)
        expect.fail(`'${name}' was not given: ${thrown.message}`);
    }
    return undefined;
  }
}

type Settings = ReturnType<typeof resolveSink> | ReturnType<typeof resolveTransform>;

function expectCountable(settings: Settings): void {
  const { objectMode, capacity, capacityBytes, maxWaiting, marks } = settings;
  const bounds = { capacity, capacityBytes, maxWaiting, batchSize: settings.batchSize ?? 1, ...marks };
  for (const [name, value] of Object.entries(bounds)) {
    if (value === Infinity && name !== 'maxWaiting') continue;
    if (!Number.isSafeInteger(value) || value < 0) expect.fail(`${name} is ${value}`);
  }
  expect([capacity, capacityBytes][objectMode ? 0 : 1]).toBeLessThanOrEqual(LARGEST);
  expect(marks.resumeAt).toBeLessThanOrEqual(marks.pauseAt);
  expect(marks.resumeAtBytes).toBeLessThanOrEqual(marks.pauseAtBytes);
  if (settings.batchSize !== undefined && objectMode)
    expect(settings.batchSize).toBeLessThanOrEqual(capacity);
}

describe('values that follow from extreme options', () => {
  it('can be counted, and a writable of them settles what it is given', async () => {
    await fc.assert(
      fc.asyncProperty(writableOptions, async (given) => {
        const clock = new ManualClock();
        const options = { ...given, clock } as WritableOptions<unknown>;
        const settings = resolved(given, () =>
          resolveSink(async () => undefined, options, 'BackpressureWritable'),
        );
        if (settings === undefined) return;
        expectCountable(settings);
        expect(settings.minFlushIntervalMs).toBeLessThanOrEqual(settings.maxFlushIntervalMs);
        expect(settings.retry.minDelayMs).toBeLessThanOrEqual(settings.retry.maxDelayMs);
        const stream = new BackpressureWritable<unknown>(async () => undefined, options);
        expect(stream.getMetrics().state).toBe('normal');
        const item = given.objectMode ? 1 : 'x';
        stream.write(item);
        stream.end(item);
        expect(await endOf(stream)).toBeUndefined();
        const { eventsFlushed, eventsDropped } = stream.getMetrics();
        expect(eventsFlushed + eventsDropped).toBe(2);
      }),
      fastCheckRuns(500),
    );
  });

  it('can be counted, and a transform of them hands on what it is given', async () => {
    await fc.assert(
      fc.asyncProperty(transformOptions, async (given) => {
        const options = { ...given, clock: new ManualClock() } as TransformOptions<unknown>;
        const settings = resolved(given, () => resolveTransform(options));
        if (settings === undefined) return;
        expectCountable(settings);
        const stream = new BackpressureTransform<unknown>(options);
        stream.resume();
        stream.write(given.objectMode ? 1 : 'x');
        await turn(1);
        stream.end();
        expect(await endOf(stream)).toBeUndefined();
        expect(stream.getMetrics()).toMatchObject({ eventsFlushed: 1, state: 'draining' });
      }),
      fastCheckRuns(500),
    );
  });
});
