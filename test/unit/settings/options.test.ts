import { describe, expect, it } from 'vitest';
import { BackpressureController } from '../../../src/controller/backpressure-controller.js';
import { CONTROLLER_OPTIONS, DEFAULTS } from '../../../src/settings/defaults.js';
import { InvalidOptionError } from '../../../src/api/errors.js';
import type { SinkOptions, WritableOptions } from '../../../src/api/options.js';
import { resolveSink } from '../../../src/settings/resolve-sink.js';
import { resolveTransform } from '../../../src/settings/resolve-transform.js';
import type { FlushDefaults, FlushFunction } from '../../../src/api/flush-function.js';

const flush: FlushFunction<unknown> = async () => undefined;

function resolve(given: WritableOptions<unknown>, defaults?: FlushDefaults) {
  const function_ = defaults === undefined ? flush : Object.assign(async () => undefined, { defaults });
  return resolveSink(function_, given, 'BackpressureWritable');
}

/** The error that the controller's constructor throws for options of any type. */
function refusal(given: unknown): InvalidOptionError {
  try {
    new BackpressureController(flush, given as SinkOptions<unknown>);
  } catch (thrown) {
    if (thrown instanceof InvalidOptionError) return thrown;
    throw thrown;
  }
  throw new Error('accepted');
}

const notCounts = [0, -1, 1.5, NaN, Infinity, '5', {}, true];
const notDurations = [-1, NaN, 2 ** 31, '5', {}, true];
const notFunctions = [0, 'f', {}, true];

describe('a wrong option is refused by its name, its range and the value that came', () => {
  const table: [option: string, range: RegExp, values: unknown[], beside?: object][] = [
    ['maxBufferSize', /an integer of at least 1/, notCounts],
    ['batchSize', /an integer of at least 1/, notCounts],
    ['concurrency', /an integer of at least 1/, notCounts],
    ['sampleRate', /an integer of at least 1/, notCounts],
    ['maxBufferBytes', /an integer of at least 1/, notCounts, { sizeOf: () => 1 }],
    ['batchBytes', /an integer of at least 1/, notCounts, { sizeOf: () => 1 }],
    ['maxWaiting', /an integer of at least 0/, [-1, 1.5, NaN, Infinity, '5']],
    ['highWatermark', /a ratio above 0 and at most 1/, [0, -0.5, NaN, '0.5', {}, 1.01, 80]],
    ['lowWatermark', /a ratio above 0 and at most 1/, [0, -0.5, NaN, '0.5', {}, 1.01, 50]],
    ['strategy', /one of 'block', 'drop_oldest', 'drop_newest', 'sample'/, ['drop', 'BLOCK', 1, {}]],
    ['maxBlockTimeMs', /a number of milliseconds from 0 to 2147483647, or Infinity/, notDurations],
    ['minFlushIntervalMs', /a number of milliseconds from 1 to 2147483647;/, [0, Infinity, ...notDurations]],
    ['maxFlushIntervalMs', /a number of milliseconds from 1 to 2147483647;/, [0, Infinity, ...notDurations]],
    ['targetLatencyMs', /a number of milliseconds from 1 to 2147483647;/, [0, Infinity, ...notDurations]],
    ['flushTimeoutMs', /a number of milliseconds from 1 to 2147483647, or Infinity/, [0, ...notDurations]],
    ['abortGraceMs', /a number of milliseconds from 0 to 2147483647;/, [Infinity, ...notDurations]],
    ['shed', /a function/, notFunctions],
    ['sizeOf', /a function/, notFunctions],
    ['onFailed', /a function/, notFunctions],
    ['onSettled', /a function/, notFunctions],
    ['random', /a function/, notFunctions],
    ['signal', /an AbortSignal/, [0, 'abort', {}, new AbortController()]],
    ['clock', /a Clock/, [0, 'clock', {}, Date]],
    ['retry', /an object/, [0, 5, 'often', true]],
    ['breaker', /an object/, [0, 5, 'on', true]],
    ['positionOf', /a function/, notFunctions],
  ];
  for (const [option, range, values, beside] of table) {
    it.each(values.map((value) => [value]))(`${option}: %s`, (value) => {
      const error = refusal({ ...beside, [option]: value });
      expect(error.option).toBe(option);
      expect(error.message).toContain(`option '${option}'`);
      expect(error.message).toMatch(range);
      expect(error.message).toMatch(/; got /);
      if (typeof value === 'number') expect(error.message).toContain(`got ${value}`);
    });
  }

  it.each([
    ['attempts', /an integer of at least 1/, notCounts],
    ['minDelayMs', /a number of milliseconds from 0/, notDurations],
    ['maxDelayMs', /a number of milliseconds from 0/, notDurations],
    ['maxElapsedMs', /a number of milliseconds from 0 to 2147483647, or Infinity/, notDurations],
    ['isRetryable', /a function/, notFunctions],
    ['afterTimeout', /true or false/, [0, 'yes', {}]],
  ] as const)('retry.%s', (name, range, values) => {
    for (const value of values) {
      const error = refusal({ retry: { [name]: value } });
      expect(error.option).toBe(`retry.${name}`);
      expect(error.message).toMatch(range);
    }
  });

  it.each([...CONTROLLER_OPTIONS])('null, for %s: it is no way to leave it out', (option) => {
    const error = refusal({ maxBufferBytes: 1, sizeOf: () => 1, [option]: null });
    expect(error.option).toBe(option);
    expect(error.message).toMatch(/got null/);
  });

  it.each([
    ['failures', /an integer of at least 1/, notCounts],
    ['minDelayMs', /a number of milliseconds from 1 to 2147483647;/, [0, Infinity, ...notDurations]],
    ['maxDelayMs', /a number of milliseconds from 1 to 2147483647;/, [0, Infinity, ...notDurations]],
    ['maxOutageMs', /a number of milliseconds from 1 to 2147483647, or Infinity/, [0, ...notDurations]],
  ] as const)('breaker.%s', (name, range, values) => {
    for (const value of [...values, null]) {
      const error = refusal({ breaker: { [name]: value } });
      expect(error.option).toBe(`breaker.${name}`);
      if (value !== null) expect(error.message).toMatch(range);
    }
  });

  it('null, for an option of retry', () => {
    expect(refusal({ retry: { attempts: null } }).message).toMatch(/option 'retry.attempts' .* got null/);
  });

  it.each([...CONTROLLER_OPTIONS])('undefined for %s is a way to leave it out', (option) => {
    expect(() => new BackpressureController(flush, { [option]: undefined })).not.toThrow();
  });

  it.each([[null], [5], ['fast'], [undefined]])('the flush function: %s', (value) => {
    expect(() => new BackpressureController(value as never)).toThrow(
      /option 'flush' must be a function; got/,
    );
  });

  it.each([[null], [5], ['fast']])('the options themselves: %s', (value) => {
    expect(refusal(value).message).toMatch(/option 'options' must be an object; got/);
  });

  it('never shows the contents of an object', () => {
    expect(refusal({ batchSize: { password: 'secret' } }).message).not.toContain('secret');
    expect(refusal({ batchSize: ['secret'] }).message).not.toContain('secret');
    expect(refusal({ strategy: 'x'.repeat(1_000) }).message.length).toBeLessThan(250);
  });
});

describe('options that contradict each other are refused, both named', () => {
  it.each<[string, unknown, RegExp]>([
    [
      'batchSize',
      { batchSize: 11, maxBufferSize: 10 },
      /'batchSize' must be at most 'maxBufferSize' \(10\); got 11/,
    ],
    [
      'lowWatermark',
      { lowWatermark: 0.8, highWatermark: 0.8 },
      /'lowWatermark' must be below 'highWatermark' \(0.8\); got 0.8/,
    ],
    [
      'lowWatermark',
      { lowWatermark: 1 },
      /'lowWatermark' must be below highWatermark, which is at most 1; got 1/,
    ],
    [
      'minFlushIntervalMs',
      { minFlushIntervalMs: 20, maxFlushIntervalMs: 10 },
      /'minFlushIntervalMs' must be at most 'maxFlushIntervalMs' \(10\); got 20/,
    ],
    [
      'retry.minDelayMs',
      { retry: { minDelayMs: 20, maxDelayMs: 10 } },
      /'retry.minDelayMs' must be at most 'retry.maxDelayMs' \(10\); got 20/,
    ],
    [
      'breaker.minDelayMs',
      { breaker: { minDelayMs: 20, maxDelayMs: 10 } },
      /'breaker.minDelayMs' must be at most 'breaker.maxDelayMs' \(10\); got 20/,
    ],
    [
      'batchBytes',
      { sizeOf: () => 1, batchBytes: 11, maxBufferBytes: 10 },
      /'batchBytes' must be at most 'maxBufferBytes' \(10\); got 11/,
    ],
    ['maxBufferBytes', { maxBufferBytes: 10 }, /'maxBufferBytes' needs 'sizeOf'/],
    ['batchBytes', { batchBytes: 10 }, /'batchBytes' needs 'sizeOf'/],
  ])('%s in %j', (option, given, message) => {
    const error = refusal(given);
    expect(error.option).toBe(option);
    expect(error.message).toMatch(message);
    expect(error.code).toBe('ERR_BACKPRESSURE_INVALID_OPTION');
  });

  it.each<[string, WritableOptions<unknown>, RegExp]>([
    [
      'highWaterMark',
      { highWaterMark: 11, maxBufferSize: 10 },
      /'highWaterMark' must be at most 'maxBufferSize' \(10\); got 11/,
    ],
    [
      'highWaterMark',
      { objectMode: false, highWaterMark: 11, maxBufferBytes: 10 },
      /'highWaterMark' must be at most 'maxBufferBytes' \(10\)/,
    ],
    ['maxBufferSize', { objectMode: false, maxBufferSize: 10 }, /the bound is 'maxBufferBytes'/],
    ['sizeOf', { objectMode: false, sizeOf: () => 1 }, /a chunk's size is its length/],
    ['objectMode', { objectMode: 1 as never }, /true or false; got 1/],
    ['highWaterMark', { highWaterMark: -1 }, /an integer of at least 0; got -1/],
    ['highWaterMark', { highWaterMark: 0.8 }, /a ratio of the capacity use 'highWatermark'; got 0.8/],
    ['highWatermark', { highWatermark: 16 }, /a count of items use 'highWaterMark'; got 16/],
  ])('%s in %j of a stream', (option, given, message) => {
    expect(() => resolve(given)).toThrow(message);
    expect(() => resolve(given)).toThrow(expect.objectContaining({ option }) as Error);
  });

  it.each(['concurrency', 'onFailed', 'retry', 'flushTimeoutMs'])(
    '%s of a transform, which has no destination',
    (option) => {
      expect(() => resolveTransform({ [option]: 1 })).toThrow(
        `BackpressureTransform has no option '${option}'; it is an option of BackpressureWritable`,
      );
    },
  );
});

describe('an unknown option is refused', () => {
  it.each([
    ['batchsize', "; did you mean 'batchSize'?"],
    ['batch_size', "; did you mean 'batchSize'?"],
    ['max-buffer-size', "; did you mean 'maxBufferSize'?"],
    ['highWaterMark', "; it is an option of the streams: see 'maxBufferSize'"],
    ['map', '; it is an option of BackpressureTransform'],
    ['colour', ''],
  ])('%s', (name, hint) => {
    expect(refusal({ [name]: 1 }).message).toBe(`BackpressureController has no option '${name}'${hint}`);
  });

  it('in retry too', () => {
    expect(refusal({ retry: { attempt: 3 } }).message).toMatch(/option 'retry' has no option 'attempt'/);
  });

  it('in breaker too', () => {
    expect(refusal({ breaker: { failure: 3 } }).message).toMatch(/option 'breaker' has no option 'failure'/);
  });
});

describe('unset values follow from set ones', () => {
  it('are the documented defaults where nothing is set', () => {
    const { retry, marks, isRetryable, ...resolved } = { isRetryable: null, ...resolve({}) };
    expect(resolved).toMatchObject({
      capacity: DEFAULTS.maxBufferSize,
      capacityBytes: Infinity,
      batchSize: DEFAULTS.batchSize,
      batchBytes: Infinity,
      strategy: 'block',
      sampleRate: 10,
      concurrency: 1,
      lowWatermark: 0.5,
      highWatermark: 0.8,
      minFlushIntervalMs: 100,
      maxFlushIntervalMs: 30_000,
      targetLatencyMs: 500,
      flushTimeoutMs: 30_000,
      abortGraceMs: 1_000,
      maxWaiting: 10_000,
    });
    expect(retry).toMatchObject({
      attempts: 1,
      minDelayMs: 200,
      maxDelayMs: 30_000,
      maxElapsedMs: 300_000,
      afterTimeout: false,
    });
    expect(marks).toMatchObject({ pauseAt: 8_000, resumeAt: 5_000, pauseAtBytes: Infinity });
    expect(isRetryable).toBeNull();
  });

  it.each<[string, WritableOptions<unknown>, FlushDefaults | undefined, object]>([
    ['capacity rises with batchSize', { batchSize: 20_000 }, undefined, { capacity: 80_000 }],
    [
      'capacity rises with concurrency too',
      { batchSize: 5_000, concurrency: 3 },
      undefined,
      { capacity: 40_000 },
    ],
    [
      'capacity rises with the destination’s batch size',
      {},
      { batchSize: 20_000, concurrency: 2 },
      { capacity: 120_000, batchSize: 20_000 },
    ],
    ['capacity does not fall', { batchSize: 1 }, undefined, { capacity: 10_000 }],
    [
      'batchSize falls with the capacity',
      { maxBufferSize: 100 },
      undefined,
      { batchSize: 25, capacity: 100 },
    ],
    ['batchSize falls with the slots', { maxBufferSize: 100, concurrency: 4 }, undefined, { batchSize: 10 }],
    ['batchSize falls to 1 and no further', { maxBufferSize: 2 }, undefined, { batchSize: 1 }],
    ['a given batchSize stays', { maxBufferSize: 100, batchSize: 100 }, undefined, { batchSize: 100 }],
    [
      'the destination’s batch size falls in a given capacity',
      { maxBufferSize: 100 },
      { batchSize: 20_000 },
      { batchSize: 25 },
    ],
    [
      'the user’s options lie above the destination’s',
      { batchSize: 7, concurrency: 2 },
      { batchSize: 9, concurrency: 5 },
      { batchSize: 7, concurrency: 2 },
    ],
    [
      'drop_oldest: deliveries hold at most half',
      { strategy: 'drop_oldest', maxBufferSize: 10, batchSize: 10, concurrency: 2 },
      undefined,
      { batchSize: 2, concurrency: 2 },
    ],
    [
      'drop_oldest: a batch takes at most half the byte budget',
      { strategy: 'drop_oldest', sizeOf: () => 10, maxBufferBytes: 100, batchBytes: 100 },
      undefined,
      { batchBytes: 50 },
    ],
    [
      'batchBytes bounds what is sent, and what a batch holds falls with the capacity',
      { maxBufferBytes: 800 },
      { sizeOf: Object.assign(() => 10, { sentShare: () => 0.5 }), batchBytes: 300 },
      { batchBytes: 300, batchHeldBytes: 200, capacityBytes: 800 },
    ],
    [
      'a given batchBytes stays, and the capacity rises with what such batches hold',
      { batchBytes: 1_000 },
      { sizeOf: Object.assign(() => 10, { sentShare: () => 0.5 }), batchBytes: 300, maxBufferBytes: 800 },
      { batchBytes: 1_000, batchHeldBytes: 4_000, capacityBytes: 8_000 },
    ],
    [
      'drop_oldest: a batch holds at most half the byte budget, however little of it is sent',
      { strategy: 'drop_oldest', maxBufferBytes: 100 },
      { sizeOf: Object.assign(() => 10, { sentShare: () => 0.1 }), batchBytes: 300, concurrency: 2 },
      { batchBytes: 300, batchHeldBytes: 16 },
    ],
    [
      'a sizeOf of the user counts for itself: all of it is sent',
      { sizeOf: () => 10, maxBufferBytes: 800 },
      { sizeOf: Object.assign(() => 10, { sentShare: () => 0.5 }), batchBytes: 300 },
      { batchBytes: 200, sentShare: undefined },
    ],
    [
      'drop_oldest: no more slots than half the capacity',
      { strategy: 'drop-oldest', maxBufferSize: 4, concurrency: 9 },
      undefined,
      { batchSize: 1, concurrency: 2, strategy: 'drop_oldest' },
    ],
    [
      'a destination’s maxConcurrency lowers a given concurrency',
      { concurrency: 3 },
      { maxConcurrency: 1 },
      { concurrency: 1 },
    ],
    [
      'a destination’s maxConcurrency leaves a lower one',
      { concurrency: 2 },
      { maxConcurrency: 3 },
      { concurrency: 2 },
    ],
    ['maxWaiting follows maxBufferSize', { maxBufferSize: 70 }, undefined, { maxWaiting: 70 }],
    [
      'a high lowWatermark lifts the high one',
      { lowWatermark: 0.9 },
      undefined,
      { lowWatermark: 0.9, highWatermark: 0.95 },
    ],
    [
      'a low highWatermark lowers the low one',
      { highWatermark: 0.4 },
      undefined,
      { lowWatermark: 0.25, highWatermark: 0.4 },
    ],
    [
      "the flush function's lowWatermark lifts the high one, too",
      {},
      { lowWatermark: 0.75, batchSize: 30, concurrency: 3 },
      { lowWatermark: 0.75, highWatermark: 0.875, capacity: 10_000, batchSize: 30 },
    ],
    [
      "a low highWatermark lowers the flush function's low one",
      { highWatermark: 0.4375 },
      { lowWatermark: 0.75 },
      { lowWatermark: 0.375, highWatermark: 0.4375 },
    ],
    [
      "a given lowWatermark lies over the flush function's",
      { lowWatermark: 0.5 },
      { lowWatermark: 0.75 },
      { lowWatermark: 0.5, highWatermark: 0.8 },
    ],
    [
      'a high minimum lifts the maximum',
      { minFlushIntervalMs: 60_000 },
      undefined,
      { maxFlushIntervalMs: 60_000 },
    ],
    ['a low maximum lowers the minimum', { maxFlushIntervalMs: 10 }, undefined, { minFlushIntervalMs: 10 }],
    [
      'a low cap of the delay lowers its base',
      { retry: { maxDelayMs: 10 } },
      undefined,
      { retry: expect.objectContaining({ minDelayMs: 10, maxDelayMs: 10 }) as object },
    ],
    [
      'retry options one by one lie above the destination’s',
      { retry: { minDelayMs: 5 } },
      { retry: { attempts: 5 } },
      { retry: expect.objectContaining({ minDelayMs: 5, attempts: 5 }) as object },
    ],
    [
      'an undefined retry option leaves the destination’s',
      { retry: { attempts: undefined as never } },
      { retry: { attempts: 5 } },
      { retry: expect.objectContaining({ attempts: 5 }) as object },
    ],
    [
      'a high base of the delay lifts the destination’s cap',
      { retry: { minDelayMs: 2_000 } },
      { retry: { maxDelayMs: 1_000 } },
      { retry: expect.objectContaining({ minDelayMs: 2_000, maxDelayMs: 2_000 }) as object },
    ],
    ['there is no breaker', {}, undefined, { breaker: undefined }],
    ['nor where the destination says so', {}, { breaker: false }, { breaker: undefined }],
    ['a breaker has its defaults', { breaker: {} }, undefined, { breaker: DEFAULTS.breaker }],
    [
      'the destination’s breaker is on',
      {},
      { breaker: { failures: 3 } },
      { breaker: { ...DEFAULTS.breaker, failures: 3 } },
    ],
    [
      'unless the user turns it off',
      { breaker: false },
      { breaker: { failures: 3 } },
      { breaker: undefined },
    ],
    [
      'its fields one by one lie above the destination’s',
      { breaker: { maxOutageMs: Infinity, failures: undefined as never } },
      { breaker: { failures: 3 } },
      { breaker: { ...DEFAULTS.breaker, failures: 3, maxOutageMs: Infinity } },
    ],
    [
      'a high base of the breaker’s delay lifts its cap',
      { breaker: { minDelayMs: 60_000 } },
      { breaker: { maxDelayMs: 1_000 } },
      { breaker: { ...DEFAULTS.breaker, minDelayMs: 60_000, maxDelayMs: 60_000 } },
    ],
    [
      'highWaterMark fixes the capacity',
      { highWaterMark: 16 },
      undefined,
      {
        capacity: 20,
        marks: expect.objectContaining({ pauseAt: 16, resumeAt: 10, highWaterMark: 16 }) as object,
      },
    ],
    [
      'highWaterMark beside maxBufferSize',
      { highWaterMark: 16, maxBufferSize: 100 },
      undefined,
      { capacity: 100, marks: expect.objectContaining({ pauseAt: 16, resumeAt: 10 }) as object },
    ],
    [
      'highWaterMark 0 lets one item in',
      { highWaterMark: 0 },
      undefined,
      {
        capacity: 1,
        marks: expect.objectContaining({ pauseAt: 1, resumeAt: 0, highWaterMark: 0 }) as object,
      },
    ],
    [
      'byte mode',
      { objectMode: false },
      undefined,
      { capacity: Infinity, capacityBytes: 16 * 1024 ** 2, batchBytes: 1024 ** 2 },
    ],
    [
      'byte mode with highWaterMark',
      { objectMode: false, highWaterMark: 65_536 },
      undefined,
      { capacityBytes: 81_920, batchBytes: 20_480 },
    ],
    [
      'byte mode: bytes rise with batchBytes',
      { objectMode: false, batchBytes: 8 * 1024 ** 2 },
      undefined,
      { capacityBytes: 32 * 1024 ** 2 },
    ],
    [
      'byte mode: bytes rise with concurrency too',
      { objectMode: false, batchBytes: 8 * 1024 ** 2, concurrency: 3 },
      undefined,
      { capacityBytes: 64 * 1024 ** 2 },
    ],
    [
      'a destination’s bound in bytes gives way to the user’s batchBytes',
      { batchBytes: 1_000 },
      { sizeOf: () => 1, maxBufferBytes: 100 },
      { capacityBytes: 4_000, batchBytes: 1_000 },
    ],
    [
      'batchBytes falls with maxBufferBytes',
      { sizeOf: () => 1, maxBufferBytes: 100 },
      undefined,
      { batchBytes: 25 },
    ],
  ])('%s', (_case, given, defaults, expected) => {
    expect(resolve(given, defaults)).toMatchObject(expected);
  });

  it('every slot has a next batch while the state rests in NORMAL', () => {
    for (const concurrency of [1, 2, 3, 8])
      for (const given of [
        { concurrency },
        { concurrency, batchSize: 3_000 },
        { concurrency, maxBufferSize: 500 },
      ]) {
        const { capacity, batchSize, lowWatermark } = resolve(given);
        expect((concurrency + 1) * batchSize).toBeLessThanOrEqual(capacity * lowWatermark);
      }
  });
});
