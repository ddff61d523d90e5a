/**
 * From what the user gave to what the engine runs on: checks each option, then lets unset values follow from the set ones. Only values
 * that the user gave can conflict.
 */

import type { Clock } from '../common/clock.js';
import {
  BREAKER_OPTIONS,
  CONTROLLER_OPTIONS,
  DEFAULTS,
  RETRY_OPTIONS,
  SINK_ONLY_NAMES,
  TRANSFORM_OPTIONS,
  WRITABLE_OPTIONS,
} from './defaults.js';
import { fieldOf } from '../common/thrown.js';
import { InvalidOptionError } from '../api/errors.js';
import type {
  BreakerOptions,
  BreakerProbe,
  RetryOptions,
  SinkOptions,
  MapFunction,
  TransformOptions,
  WritableOptions,
} from '../api/options.js';
import { resolveBuffer, type ResolvedBuffer } from './resolve-buffer.js';
import type { FlushFunction } from '../api/flush-function.js';
import {
  checkBoolean,
  checkDuration,
  checkFunction,
  checkInteger,
  checkNames,
  checkSynchronous,
  conflict,
  optional,
  refuse,
} from '../guards/validate.js';
import { BackpressureStrategy } from '../api/states.js';

export interface ResolvedRetry {
  attempts: number;
  minDelayMs: number;
  maxDelayMs: number;
  maxElapsedMs: number;
  isRetryable: (error: Error) => boolean;
  afterTimeout: boolean;
}

type BreakerTimes = Required<Omit<BreakerOptions, 'probe'>>;

interface ResolvedBreaker extends BreakerTimes {
  probe: BreakerProbe | undefined;
}

export interface ResolvedSink<T> extends ResolvedBuffer<T> {
  batchSize: number;
  /** By what is sent of an item, if `sizeOf` has a `sentShare`; else by `sizeOf`. */
  batchBytes: number;
  /** Most bytes of a batch by `sizeOf`, whatever its `sentShare` is. */
  batchHeldBytes: number;
  sentShare: (() => number) | undefined;
  concurrency: number;
  adaptive: boolean;
  /** Where adaptive control starts. */
  firstBatchSize: number;
  minFlushIntervalMs: number;
  maxFlushIntervalMs: number;
  targetLatencyMs: number;
  flushTimeoutMs: number;
  abortGraceMs: number;
  retry: ResolvedRetry;
  /** `undefined`: there is none. */
  breaker: ResolvedBreaker | undefined;
  onFailed: SinkOptions<T>['onFailed'];
  onSettled: SinkOptions<T>['onSettled'];
  positionOf: SinkOptions<T>['positionOf'];
}

const WRITABLE_HINTS = { map: '; it is an option of BackpressureTransform' };
const CONTROLLER_HINTS = {
  ...WRITABLE_HINTS,
  highWaterMark: "; it is an option of the streams: see 'maxBufferSize'",
};
const TRANSFORM_HINTS = Object.fromEntries(
  SINK_ONLY_NAMES.map((name) => [
    name,
    '; it is an option of BackpressureWritable, which has a destination to flush to',
  ]),
);

/** Options of a sink: those of the flush function's `defaults` lie beneath the user's. */
export function resolveSink<T>(
  flush: FlushFunction<T>,
  given: WritableOptions<T>,
  kind: 'BackpressureWritable' | 'BackpressureController',
): ResolvedSink<T> {
  if (typeof flush !== 'function') refuse('flush', 'a function', flush);
  checkGiven(given);
  if (kind === 'BackpressureWritable') checkNames(given, WRITABLE_OPTIONS, kind, WRITABLE_HINTS);
  else checkNames(given, CONTROLLER_OPTIONS, kind, CONTROLLER_HINTS);
  const defaults = flush.defaults ?? {};
  const pick = <K extends keyof typeof defaults & keyof WritableOptions<T>>(name: K) =>
    given[name] ?? defaults[name];

  const concurrency = resolveConcurrency(pick('concurrency'), defaults.maxConcurrency);
  const adaptive = checkBoolean('adaptive', pick('adaptive') ?? DEFAULTS.adaptive);
  const givenBatchSize = optional(given.batchSize, (value) => checkInteger('batchSize', value, 1));
  const givenBatchBytes = optional(given.batchBytes, (value) => checkInteger('batchBytes', value, 1));
  const buffer = resolveBuffer<T>(given, {
    unsetBatchSize: checkInteger('batchSize', defaults.batchSize ?? DEFAULTS.batchSize, 1),
    givenBatchSize,
    concurrency,
    sizeOf: pick('sizeOf'),
    maxBufferBytes: defaults.maxBufferBytes,
    lowWatermark: defaults.lowWatermark ?? DEFAULTS.lowWatermark,
    yieldEvery: defaults.yieldEvery ?? DEFAULTS.yieldEvery,
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
  const { sentShare } = buffer;
  let batchHeldBytes =
    givenBatchBytes === undefined
      ? shrink(Infinity, buffer.capacityBytes, buffer.lowWatermark, slots)
      : Infinity;
  const wantedBytes = givenBatchBytes ?? fallbackBytes;
  let batchBytes = sentShare === undefined ? Math.min(wantedBytes, batchHeldBytes) : wantedBytes;
  // Adaptive control finds the size by itself: it needs room, not a guess. A chunk counts as one byte at least.
  const isFree = adaptive && defaults.batchSize === undefined;
  const unsetBatchSize = isFree ? (buffer.objectMode ? Infinity : batchBytes) : buffer.unsetBatchSize;
  let batchSize = givenBatchSize ?? shrink(unsetBatchSize, buffer.capacity, buffer.lowWatermark, slots);
  let slotsInUse = concurrency;
  batchSize = Math.min(batchSize, buffer.capacity);
  if (buffer.strategy === BackpressureStrategy.DROP_OLDEST) {
    // Deliveries hold at most half the capacity, so that the newest items always find room.
    const half = Math.max(1, Math.floor(buffer.capacity / 2));
    slotsInUse = Math.min(concurrency, half);
    batchSize = Math.min(batchSize, Math.floor(half / slotsInUse));
    batchHeldBytes = Math.min(batchHeldBytes, Math.max(1, Math.floor(buffer.capacityBytes / 2 / slotsInUse)));
    if (sentShare === undefined) batchBytes = Math.min(batchBytes, batchHeldBytes);
  }

  const intervals = resolveIntervals(given, defaults);
  // Field by field: V8 of Node 20 takes 15 µs for a spread that so many properties follow.
  return {
    objectMode: buffer.objectMode,
    strategy: buffer.strategy,
    lowWatermark: buffer.lowWatermark,
    highWatermark: buffer.highWatermark,
    capacity: buffer.capacity,
    capacityBytes: buffer.capacityBytes,
    marks: buffer.marks,
    sizeOf: buffer.sizeOf,
    sampleRate: buffer.sampleRate,
    shed: buffer.shed,
    maxWaiting: buffer.maxWaiting,
    maxBlockTimeMs: buffer.maxBlockTimeMs,
    signal: buffer.signal,
    unref: buffer.unref,
    clock: buffer.clock,
    random: buffer.random,
    batchSize,
    batchBytes,
    batchHeldBytes,
    sentShare,
    concurrency: slotsInUse,
    adaptive,
    firstBatchSize: Math.min(batchSize, buffer.unsetBatchSize),
    minFlushIntervalMs: intervals.minFlushIntervalMs,
    maxFlushIntervalMs: intervals.maxFlushIntervalMs,
    targetLatencyMs: checkDuration('targetLatencyMs', pick('targetLatencyMs') ?? DEFAULTS.targetLatencyMs, 1),
    flushTimeoutMs: checkDuration(
      'flushTimeoutMs',
      pick('flushTimeoutMs') ?? DEFAULTS.flushTimeoutMs,
      1,
      true,
    ),
    abortGraceMs: checkDuration('abortGraceMs', given.abortGraceMs ?? DEFAULTS.abortGraceMs, 0),
    retry:
      given.retry === undefined && defaults.retry === undefined
        ? STANDARD_RETRY
        : resolveRetry(given.retry, defaults.retry),
    breaker: resolveBreaker(given.breaker, defaults.breaker),
    onFailed: optional(given.onFailed, (value) => checkFunction('onFailed', value)),
    onSettled: optional(given.onSettled, (value) => checkFunction('onSettled', value)),
    positionOf: optional(given.positionOf, (value) => checkSynchronous('positionOf', value)),
  };
}

/** A destination that depends on the order of its batches allows fewer than the user may ask for. */
function resolveConcurrency(wanted: number = DEFAULTS.concurrency, most: number | undefined): number {
  const concurrency = checkInteger('concurrency', wanted, 1);
  return most === undefined ? concurrency : Math.min(concurrency, checkInteger('maxConcurrency', most, 1));
}

export interface ResolvedTransform<In> extends ResolvedBuffer<In> {
  map: MapFunction<In, unknown> | undefined;
  batchSize: number | undefined;
}

export function resolveTransform<In, Out>(given: TransformOptions<In, Out>): ResolvedTransform<In> {
  checkGiven(given);
  checkNames(given, TRANSFORM_OPTIONS, 'BackpressureTransform', TRANSFORM_HINTS);
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
    lowWatermark: DEFAULTS.lowWatermark,
    yieldEvery: DEFAULTS.yieldEvery,
  });
  return Object.assign(buffer, {
    map: optional(given.map, (value) => checkFunction('map', value)),
    batchSize,
  });
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

/** Most sinks have these: they share one object. */
const STANDARD_RETRY: ResolvedRetry = Object.freeze(resolveRetry(undefined, undefined));

function resolveRetry(user: RetryOptions | undefined, standard: RetryOptions | undefined): ResolvedRetry {
  const own = readFields('retry', user, RETRY_OPTIONS);
  const beneath = readFields('retry', standard, RETRY_OPTIONS);
  const given = { ...beneath, ...own };
  return {
    attempts: checkInteger('retry.attempts', given.attempts ?? DEFAULTS.retry.attempts, 1),
    ...resolveDelays('retry', own, { ...DEFAULTS.retry, ...beneath }, 0),
    maxElapsedMs: checkDuration(
      'retry.maxElapsedMs',
      given.maxElapsedMs ?? DEFAULTS.retry.maxElapsedMs,
      0,
      true,
    ),
    isRetryable:
      optional(given.isRetryable, (value) => checkSynchronous('retry.isRetryable', value)) ??
      isRetryableUnlessToldOtherwise,
    afterTimeout: checkBoolean('retry.afterTimeout', given.afterTimeout ?? DEFAULTS.retry.afterTimeout),
  };
}

function resolveBreaker(
  given: SinkOptions<never>['breaker'],
  beneath: SinkOptions<never>['breaker'],
): ResolvedBreaker | undefined {
  if (given === false || (given === undefined && !beneath)) return undefined;
  const own = readFields('breaker', given, BREAKER_OPTIONS);
  const others = readFields('breaker', beneath || undefined, BREAKER_OPTIONS);
  const standard: BreakerTimes & BreakerOptions = { ...DEFAULTS.breaker, ...others };
  const fields: BreakerTimes & BreakerOptions = { ...standard, ...own };
  return {
    failures: checkInteger('breaker.failures', fields.failures, 1),
    ...resolveDelays('breaker', own, standard, 1),
    maxOutageMs: checkDuration('breaker.maxOutageMs', fields.maxOutageMs, 1, true),
    probe: optional(fields.probe, (value) => checkFunction('breaker.probe', value)),
  };
}

/** A base and a cap: where the user gave only one of them, the other one keeps out of its way. */
function resolveDelays(
  owner: 'retry' | 'breaker',
  given: { minDelayMs?: number; maxDelayMs?: number },
  beneath: { minDelayMs: number; maxDelayMs: number },
  least: number,
): { minDelayMs: number; maxDelayMs: number } {
  const check = (name: 'minDelayMs' | 'maxDelayMs', value: number) =>
    checkDuration(`${owner}.${name}`, value, least);
  const min = optional(given.minDelayMs, (value) => check('minDelayMs', value));
  const max = optional(given.maxDelayMs, (value) => check('maxDelayMs', value));
  if (min !== undefined && max !== undefined && min > max) {
    throw new InvalidOptionError(
      `${owner}.minDelayMs`,
      `option '${owner}.minDelayMs' must be at most '${owner}.maxDelayMs' (${max}); got ${min}`,
    );
  }
  const minDelayMs = min ?? Math.min(check('minDelayMs', beneath.minDelayMs), max ?? Infinity);
  const maxDelayMs = max ?? Math.max(check('maxDelayMs', beneath.maxDelayMs), minDelayMs);
  return { minDelayMs, maxDelayMs };
}

function isRetryableUnlessToldOtherwise(error: Error): boolean {
  return fieldOf(error, 'retryable') !== false;
}

/** What holds of all options: `undefined` leaves one out, `null` does not. */
function checkGiven(given: unknown): void {
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    refuse('options', 'an object', given);
  refuseNull(given);
  const { clock } = given as { clock?: Partial<Clock> };
  if (clock !== undefined && !CLOCK_METHODS.every((name) => typeof clock[name] === 'function'))
    refuse('clock', `a Clock, with ${CLOCK_METHODS.join(', ')}`, clock);
}

const CLOCK_METHODS = ['now', 'setTimeout', 'clearTimeout'] as const;

function refuseNull(given: object): void {
  for (const [name, value] of Object.entries(given))
    if (value === null) refuse(name, 'left out or have a value', value);
}

/**
 * The fields that are set, each read once: also getters and those that a class instance inherits. `{ retry: { attempts: undefined } }`
 * leaves the default alone.
 */
function readFields<O extends object>(
  option: string,
  given: O | undefined,
  names: ReadonlySet<string>,
): Partial<O> {
  if (given === undefined) return {};
  if (typeof given !== 'object' || (given as unknown) === null) refuse(option, 'an object', given);
  checkNames(given, names, `option '${option}'`);
  const fields: Record<string, unknown> = {};
  for (const name of names) {
    const value = (given as Record<string, unknown>)[name];
    if (value === null) refuse(`${option}.${name}`, 'left out or have a value', value);
    if (value !== undefined) fields[name] = value;
  }
  return fields as Partial<O>;
}
