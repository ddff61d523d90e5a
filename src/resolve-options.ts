/**
 * From what the user gave to what the engine runs on: checks each option, then lets unset values follow from the set ones. Only values
 * that the user gave can conflict.
 */

import type { ProducerMarks, QueueSettings } from './buffer/admission-queue.js';
import { shareOf } from './buffer/pressure.js';
import { systemClock } from './clock.js';
import { InvalidOptionError } from './errors.js';
import type { BufferOptions, SinkOptions, TransformOptions, WritableOptions } from './options.js';
import type { FlushFunction } from './types.js';
import {
  checkBoolean,
  checkDuration,
  checkFunction,
  checkInteger,
  checkNames,
  checkRatio,
  refuse,
} from './validate.js';
import { BackpressureStrategy } from './vocabulary.js';

/** The documented defaults. The table of options in the README is compared with them by a test. */
export const DEFAULTS = {
  maxBufferSize: 10_000,
  highWatermark: 0.8,
  lowWatermark: 0.5,
  strategy: BackpressureStrategy.BLOCK,
  sampleRate: 10,
  /** Of `push()`; a stream waits without limit. */
  maxBlockTimeMs: 5_000,
  batchSize: 100,
  concurrency: 1,
  minFlushIntervalMs: 100,
  maxFlushIntervalMs: 30_000,
  targetLatencyMs: 500,
  flushTimeoutMs: 30_000,
  abortGraceMs: 1_000,
  retry: { attempts: 1, minDelayMs: 200, maxDelayMs: 30_000, afterTimeout: false },
  objectMode: true,
  byteMode: { maxBufferBytes: 16 * 1024 * 1024, batchBytes: 1024 * 1024 },
} as const;

export interface ResolvedBuffer<T> extends QueueSettings<T> {
  objectMode: boolean;
  maxWaiting: number;
  /** `undefined` where the user set none. */
  maxBlockTimeMs: number | undefined;
  signal: AbortSignal | undefined;
}

export interface ResolvedRetry {
  attempts: number;
  minDelayMs: number;
  maxDelayMs: number;
  isRetryable: (error: Error) => boolean;
  afterTimeout: boolean;
}

export interface ResolvedSink<T> extends ResolvedBuffer<T> {
  batchSize: number;
  batchBytes: number;
  concurrency: number;
  minFlushIntervalMs: number;
  maxFlushIntervalMs: number;
  targetLatencyMs: number;
  flushTimeoutMs: number;
  abortGraceMs: number;
  retry: ResolvedRetry;
  onFailed: SinkOptions<T>['onFailed'];
  onSettled: SinkOptions<T>['onSettled'];
}

const BUFFER_NAMES = [
  'maxBufferSize', 'highWatermark', 'lowWatermark', 'strategy', 'sampleRate', 'shed', 'maxBufferBytes', 'sizeOf',
  'maxWaiting', 'maxBlockTimeMs', 'signal', 'clock', 'random',
] as const satisfies readonly (keyof BufferOptions<unknown>)[]; // prettier-ignore
const SINK_ONLY_NAMES = [
  'batchBytes', 'concurrency', 'minFlushIntervalMs', 'maxFlushIntervalMs', 'targetLatencyMs', 'flushTimeoutMs', 'abortGraceMs',
  'retry', 'onFailed', 'onSettled',
] as const satisfies readonly (keyof SinkOptions<unknown>)[]; // prettier-ignore
const STREAM_NAMES = [
  'highWaterMark',
  'objectMode',
] as const satisfies readonly (keyof WritableOptions<unknown>)[];

export const CONTROLLER_OPTIONS: ReadonlySet<string> = new Set([
  ...BUFFER_NAMES,
  ...SINK_ONLY_NAMES,
  'batchSize',
]);
export const WRITABLE_OPTIONS: ReadonlySet<string> = new Set([...CONTROLLER_OPTIONS, ...STREAM_NAMES]);
export const TRANSFORM_OPTIONS: ReadonlySet<string> = new Set([
  ...BUFFER_NAMES,
  ...STREAM_NAMES,
  'map',
  'batchSize',
]);
export const RETRY_OPTIONS: ReadonlySet<string> = new Set([
  'attempts',
  'minDelayMs',
  'maxDelayMs',
  'isRetryable',
  'afterTimeout',
]);

const STRATEGIES: ReadonlyMap<unknown, BackpressureStrategy> = new Map<unknown, BackpressureStrategy>([
  ...Object.values(BackpressureStrategy).map((strategy) => [strategy, strategy] as const),
  ['drop-oldest', BackpressureStrategy.DROP_OLDEST],
  ['drop-newest', BackpressureStrategy.DROP_NEWEST],
]);

/** Options of a sink: those of the flush function's `defaults` lie beneath the user's. */
export function resolveSink<T>(
  flush: FlushFunction<T>,
  given: WritableOptions<T>,
  kind: 'BackpressureWritable' | 'BackpressureController',
): ResolvedSink<T> {
  if (typeof flush !== 'function') refuse('flush', 'a function', flush);
  checkObject(given);
  checkNames(given, kind === 'BackpressureWritable' ? WRITABLE_OPTIONS : CONTROLLER_OPTIONS, kind, {
    ...(kind === 'BackpressureController' && {
      highWaterMark: "; it is an option of the streams: see 'maxBufferSize'",
    }),
    map: '; it is an option of BackpressureTransform',
  });
  const defaults = flush.defaults ?? {};
  const pick = <K extends keyof typeof defaults & keyof WritableOptions<T>>(name: K) =>
    given[name] ?? defaults[name];

  const concurrency = checkInteger('concurrency', pick('concurrency') ?? DEFAULTS.concurrency, 1);
  const givenBatchSize = optional(given.batchSize, (value) => checkInteger('batchSize', value, 1));
  const givenBatchBytes = optional(given.batchBytes, (value) => checkInteger('batchBytes', value, 1));
  const buffer = resolveBuffer<T>(given, {
    unsetBatchSize: checkInteger('batchSize', defaults.batchSize ?? DEFAULTS.batchSize, 1),
    givenBatchSize,
    concurrency,
    sizeOf: pick('sizeOf'),
    maxBufferBytes: defaults.maxBufferBytes,
  });
  const bytesAreMeasured = buffer.sizeOf !== undefined;
  if (givenBatchBytes !== undefined) {
    if (!bytesAreMeasured)
      throw new InvalidOptionError(
        'batchBytes',
        "option 'batchBytes' needs 'sizeOf', which tells an item's bytes",
      );
    if (given.maxBufferBytes !== undefined && givenBatchBytes > given.maxBufferBytes) {
      conflict('batchBytes', givenBatchBytes, 'maxBufferBytes', given.maxBufferBytes);
    }
  }
  const fallbackBytes = !bytesAreMeasured
    ? Infinity
    : (defaults.batchBytes ?? (buffer.objectMode ? Infinity : DEFAULTS.byteMode.batchBytes));
  const slots = concurrency + 1;
  let batchSize =
    givenBatchSize ?? shrink(buffer.unsetBatchSize, buffer.capacity, buffer.lowWatermark, slots);
  let batchBytes = givenBatchBytes ?? shrink(fallbackBytes, buffer.capacityBytes, buffer.lowWatermark, slots);
  let slotsInUse = concurrency;
  batchSize = Math.min(batchSize, buffer.capacity);
  if (buffer.strategy === BackpressureStrategy.DROP_OLDEST) {
    // Flights hold at most half the capacity, so that the newest items always find room.
    const half = Math.max(1, Math.floor(buffer.capacity / 2));
    slotsInUse = Math.min(concurrency, half);
    batchSize = Math.min(batchSize, Math.floor(half / slotsInUse));
    batchBytes = Math.min(batchBytes, Math.max(1, Math.floor(buffer.capacityBytes / 2 / slotsInUse)));
  }

  return {
    ...buffer,
    batchSize,
    batchBytes,
    concurrency: slotsInUse,
    ...resolveIntervals(given, defaults),
    targetLatencyMs: checkDuration('targetLatencyMs', pick('targetLatencyMs') ?? DEFAULTS.targetLatencyMs, 1),
    flushTimeoutMs: checkDuration(
      'flushTimeoutMs',
      pick('flushTimeoutMs') ?? DEFAULTS.flushTimeoutMs,
      1,
      true,
    ),
    abortGraceMs: checkDuration('abortGraceMs', given.abortGraceMs ?? DEFAULTS.abortGraceMs, 0),
    retry: resolveRetry({ ...defaults.retry, ...dropUndefined(given.retry) }),
    onFailed: optional(given.onFailed, (value) => checkFunction('onFailed', value)),
    onSettled: optional(given.onSettled, (value) => checkFunction('onSettled', value)),
  };
}

export interface ResolvedTransform<In, Out> extends ResolvedBuffer<In> {
  map: TransformOptions<In, Out>['map'];
  batchSize: number | undefined;
}

export function resolveTransform<In, Out>(given: TransformOptions<In, Out>): ResolvedTransform<In, Out> {
  checkObject(given);
  const sinkOnly = Object.fromEntries(
    SINK_ONLY_NAMES.map((name) => [
      name,
      '; it is an option of BackpressureWritable, which has a destination to flush to',
    ]),
  );
  checkNames(given, TRANSFORM_OPTIONS, 'BackpressureTransform', sinkOnly);
  const batchSize = optional(given.batchSize, (value) => checkInteger('batchSize', value, 1));
  if (batchSize !== undefined && given.objectMode === false) {
    throw new InvalidOptionError(
      'batchSize',
      "option 'batchSize' emits arrays, which byte mode ('objectMode: false') cannot",
    );
  }
  const buffer = resolveBuffer<In>(given, {
    unsetBatchSize: 1,
    givenBatchSize: batchSize,
    concurrency: 1,
    sizeOf: given.sizeOf,
    maxBufferBytes: undefined,
  });
  return { ...buffer, map: optional(given.map, (value) => checkFunction('map', value)), batchSize };
}

interface BufferContext<T> {
  givenBatchSize: number | undefined;
  unsetBatchSize: number;
  concurrency: number;
  sizeOf: ((item: T) => number) | undefined;
  maxBufferBytes: number | undefined;
}

function resolveBuffer<T>(
  given: WritableOptions<T>,
  context: BufferContext<T>,
): ResolvedBuffer<T> & { unsetBatchSize: number } {
  const objectMode = checkBoolean('objectMode', given.objectMode ?? DEFAULTS.objectMode);
  const strategy = STRATEGIES.get(given.strategy ?? DEFAULTS.strategy);
  if (strategy === undefined)
    return refuse(
      'strategy',
      `one of ${[...STRATEGIES.keys()].map((name) => `'${String(name)}'`).join(', ')}`,
      given.strategy,
    );
  const ratios = resolveRatios(given);
  if (!objectMode) {
    if (given.maxBufferSize !== undefined)
      throw new InvalidOptionError(
        'maxBufferSize',
        "option 'maxBufferSize' counts items; in byte mode ('objectMode: false') the bound is 'maxBufferBytes'",
      );
    if (given.sizeOf !== undefined)
      throw new InvalidOptionError(
        'sizeOf',
        "option 'sizeOf' has no use in byte mode ('objectMode: false'): a chunk's size is its length",
      );
  }
  const sizeOf = objectMode ? optional(context.sizeOf, (value) => checkFunction('sizeOf', value)) : chunkSize;
  const highWaterMark = optional(given.highWaterMark, checkHighWaterMark);
  const bound = objectMode
    ? itemBound(given, context, ratios, highWaterMark)
    : byteBound(given, ratios, highWaterMark);
  if (objectMode && given.maxBufferBytes !== undefined) {
    if (sizeOf === undefined)
      throw new InvalidOptionError(
        'maxBufferBytes',
        "option 'maxBufferBytes' needs 'sizeOf', which tells an item's bytes",
      );
    bound.capacityBytes = checkInteger('maxBufferBytes', given.maxBufferBytes, 1);
  } else if (objectMode && sizeOf !== undefined && context.maxBufferBytes !== undefined) {
    bound.capacityBytes = context.maxBufferBytes;
  }
  return {
    objectMode,
    strategy,
    ...ratios,
    ...bound,
    unsetBatchSize: context.unsetBatchSize,
    marks: producerMarks(bound, ratios, objectMode, highWaterMark),
    sizeOf: sizeOf,
    sampleRate: checkInteger('sampleRate', given.sampleRate ?? DEFAULTS.sampleRate, 1),
    shed: optional(given.shed, (value) => checkFunction('shed', value)),
    maxWaiting: checkInteger(
      'maxWaiting',
      given.maxWaiting ?? (objectMode ? bound.capacity : bound.capacityBytes),
      0,
    ),
    maxBlockTimeMs: optional(given.maxBlockTimeMs, (value) =>
      checkDuration('maxBlockTimeMs', value, 0, true),
    ),
    signal: optional(given.signal, checkSignal),
    clock: given.clock ?? systemClock,
    random: optional(given.random, (value) => checkFunction('random', value)) ?? Math.random,
  };
}

interface Ratios {
  lowWatermark: number;
  highWatermark: number;
}

function resolveRatios(given: WritableOptions<never>): Ratios {
  const { highWatermark: high, lowWatermark: low } = given;
  if (typeof high === 'number' && high > 1) {
    throw new InvalidOptionError(
      'highWatermark',
      `option 'highWatermark' is a ratio above 0 and at most 1; for a count of items use 'highWaterMark'; got ${high}`,
    );
  }
  if (high !== undefined) checkRatio('highWatermark', high);
  if (low !== undefined) checkRatio('lowWatermark', low);
  if (high !== undefined && low !== undefined && low >= high) {
    throw new InvalidOptionError(
      'lowWatermark',
      `option 'lowWatermark' must be below 'highWatermark' (${high}); got ${low}`,
    );
  }
  if (low === 1) return refuse('lowWatermark', 'below highWatermark, which is at most 1', low);
  // The unset one keeps out of the way of the set one.
  const highWatermark = high ?? Math.max(DEFAULTS.highWatermark, ((low ?? 0) + 1) / 2);
  const lowWatermark =
    low ?? Math.min(DEFAULTS.lowWatermark, (highWatermark * DEFAULTS.lowWatermark) / DEFAULTS.highWatermark);
  return { lowWatermark, highWatermark };
}

interface Bound {
  capacity: number;
  capacityBytes: number;
}

function itemBound(
  given: WritableOptions<never>,
  context: BufferContext<never>,
  ratios: Ratios,
  highWaterMark: number | undefined,
): Bound {
  const { givenBatchSize, unsetBatchSize, concurrency } = context;
  const roomFor = (batchSize: number) => Math.ceil(((concurrency + 1) * batchSize) / ratios.lowWatermark);
  if (given.maxBufferSize !== undefined) {
    const capacity = checkInteger('maxBufferSize', given.maxBufferSize, 1);
    if (givenBatchSize !== undefined && givenBatchSize > capacity)
      conflict('batchSize', givenBatchSize, 'maxBufferSize', capacity);
    if (highWaterMark !== undefined && highWaterMark > capacity)
      conflict('highWaterMark', highWaterMark, 'maxBufferSize', capacity);
    return { capacity, capacityBytes: Infinity };
  }
  if (highWaterMark !== undefined) {
    const capacity = Math.max(1, shareOf(highWaterMark, 1 / ratios.highWatermark));
    return {
      capacity: givenBatchSize === undefined ? capacity : Math.max(capacity, roomFor(givenBatchSize)),
      capacityBytes: Infinity,
    };
  }
  return {
    capacity: Math.max(DEFAULTS.maxBufferSize, roomFor(givenBatchSize ?? unsetBatchSize)),
    capacityBytes: Infinity,
  };
}

function byteBound(given: WritableOptions<never>, ratios: Ratios, highWaterMark: number | undefined): Bound {
  if (given.maxBufferBytes !== undefined) {
    const capacityBytes = checkInteger('maxBufferBytes', given.maxBufferBytes, 1);
    if (highWaterMark !== undefined && highWaterMark > capacityBytes)
      conflict('highWaterMark', highWaterMark, 'maxBufferBytes', capacityBytes);
    return { capacity: Infinity, capacityBytes };
  }
  const unset =
    highWaterMark === undefined
      ? DEFAULTS.byteMode.maxBufferBytes
      : Math.max(1, shareOf(highWaterMark, 1 / ratios.highWatermark));
  return {
    capacity: Infinity,
    capacityBytes: Math.max(
      unset,
      given.batchBytes === undefined ? 1 : Math.ceil((2 * given.batchBytes) / ratios.lowWatermark),
    ),
  };
}

function producerMarks(
  bound: Bound,
  ratios: Ratios,
  objectMode: boolean,
  highWaterMark: number | undefined,
): ProducerMarks {
  const pause = (limit: number, mark: number | undefined) =>
    limit === Infinity ? Infinity : (mark ?? shareOf(limit, ratios.highWatermark));
  const resume = (limit: number, pauseAt: number) => {
    if (limit === Infinity) return Infinity;
    const low = Math.min(
      shareOf(limit, ratios.lowWatermark),
      shareOf(pauseAt, ratios.lowWatermark / ratios.highWatermark),
    );
    return Math.max(0, Math.min(low, pauseAt - 1));
  };
  const pauseAt = pause(bound.capacity, objectMode ? highWaterMark : undefined);
  const pauseAtBytes = pause(bound.capacityBytes, objectMode ? undefined : highWaterMark);
  return {
    // A mark of 0 lets one item in, as in Node.
    pauseAt: Math.max(1, pauseAt),
    resumeAt: resume(bound.capacity, pauseAt),
    pauseAtBytes: Math.max(1, pauseAtBytes),
    resumeAtBytes: resume(bound.capacityBytes, pauseAtBytes),
    highWaterMark: objectMode ? pauseAt : pauseAtBytes,
  };
}

/** "Every slot has a next batch while the state rests in NORMAL": what an unset size falls to in a given bound. */
function shrink(unset: number, capacity: number, lowWatermark: number, slots: number): number {
  return capacity === Infinity
    ? unset
    : Math.min(unset, Math.max(1, Math.floor((capacity * lowWatermark) / slots)));
}

function resolveIntervals(
  given: SinkOptions<never>,
  defaults: NonNullable<FlushFunction<never>['defaults']>,
) {
  const min = optional(given.minFlushIntervalMs, (value) => checkDuration('minFlushIntervalMs', value, 1));
  const max = optional(given.maxFlushIntervalMs, (value) => checkDuration('maxFlushIntervalMs', value, 1));
  if (min !== undefined && max !== undefined && min > max) {
    throw new InvalidOptionError(
      'minFlushIntervalMs',
      `option 'minFlushIntervalMs' must be at most 'maxFlushIntervalMs' (${max}); got ${min}`,
    );
  }
  const minFlushIntervalMs =
    min ?? Math.min(defaults.minFlushIntervalMs ?? DEFAULTS.minFlushIntervalMs, max ?? Infinity);
  const maxFlushIntervalMs =
    max ?? Math.max(defaults.maxFlushIntervalMs ?? DEFAULTS.maxFlushIntervalMs, minFlushIntervalMs);
  return { minFlushIntervalMs, maxFlushIntervalMs };
}

function resolveRetry(given: NonNullable<SinkOptions<never>['retry']>): ResolvedRetry {
  checkNames(given, RETRY_OPTIONS, "option 'retry'");
  const min = optional(given.minDelayMs, (value) => checkDuration('retry.minDelayMs', value, 0));
  const max = optional(given.maxDelayMs, (value) => checkDuration('retry.maxDelayMs', value, 0));
  if (min !== undefined && max !== undefined && min > max) {
    throw new InvalidOptionError(
      'retry.minDelayMs',
      `option 'retry.minDelayMs' must be at most 'retry.maxDelayMs' (${max}); got ${min}`,
    );
  }
  const minDelayMs = min ?? Math.min(DEFAULTS.retry.minDelayMs, max ?? Infinity);
  return {
    attempts: checkInteger('retry.attempts', given.attempts ?? DEFAULTS.retry.attempts, 1),
    minDelayMs,
    maxDelayMs: max ?? Math.max(DEFAULTS.retry.maxDelayMs, minDelayMs),
    isRetryable:
      optional(given.isRetryable, (value) => checkFunction('retry.isRetryable', value)) ??
      isRetryableUnlessToldOtherwise,
    afterTimeout: checkBoolean('retry.afterTimeout', given.afterTimeout ?? DEFAULTS.retry.afterTimeout),
  };
}

function isRetryableUnlessToldOtherwise(error: Error): boolean {
  return (error as { retryable?: unknown }).retryable !== false;
}

/** An empty chunk counts as one byte: a bound in bytes must bound any number of them. */
function chunkSize(chunk: unknown): number {
  return Math.max(1, (chunk as Uint8Array).byteLength);
}

function checkHighWaterMark(value: number): number {
  if (typeof value === 'number' && value > 0 && value < 1) {
    throw new InvalidOptionError(
      'highWaterMark',
      `option 'highWaterMark' is a count of items, Node's own; for a ratio of the capacity use 'highWatermark'; got ${value}`,
    );
  }
  return checkInteger('highWaterMark', value, 0);
}

function checkSignal(value: AbortSignal): AbortSignal {
  return value instanceof AbortSignal ? value : refuse('signal', 'an AbortSignal', value);
}

function checkObject(given: unknown): void {
  if (typeof given !== 'object' || given === null) refuse('options', 'an object', given);
}

function conflict(option: string, value: number, limit: string, limitValue: number): never {
  throw new InvalidOptionError(
    option,
    `option '${option}' must be at most '${limit}' (${limitValue}); got ${value}`,
  );
}

function optional<V, R>(value: V | undefined, check: (value: V) => R): R | undefined {
  return value === undefined ? undefined : check(value);
}

/** So that `{ retry: { attempts: undefined } }` leaves the default alone. */
function dropUndefined<O extends object>(given: O | undefined): Partial<O> {
  if (given === undefined) return {};
  if (typeof given !== 'object' || (given as unknown) === null) refuse('retry', 'an object', given);
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as Partial<O>;
}
