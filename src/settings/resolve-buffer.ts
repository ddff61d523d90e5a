/** From what the user gave to what a buffer runs on: bounds, watermarks, and where a producer waits. */

import type { ProducerMarks, QueueSettings } from '../buffer/queue-settings.js';
import { shareOf } from '../buffer/pressure-levels.js';
import { systemClock, unrefClock } from '../common/clock.js';
import { DEFAULTS } from './defaults.js';
import { fieldOf, messageOf } from '../common/thrown.js';
import { ignoreRejection } from '../guards/user-callbacks.js';
import type { WritableOptions } from '../api/options.js';
import {
  checkBoolean,
  checkDuration,
  checkSynchronous,
  checkInteger,
  checkRatio,
  conflict,
  optional,
  refuse,
  show,
  wrongOption,
} from '../guards/validate.js';
import { BackpressureStrategy } from '../api/states.js';

export interface ResolvedBuffer<T> extends QueueSettings<T> {
  objectMode: boolean;
  sentShare: (() => number) | undefined;
  maxWaiting: number;
  /** `undefined` where the user set none. */
  maxBlockTimeMs: number | undefined;
  signal: AbortSignal | undefined;
  /** Its timers do not keep the process alive. */
  unref: boolean;
}

const STRATEGIES: ReadonlyMap<unknown, BackpressureStrategy> = new Map<unknown, BackpressureStrategy>([
  ...Object.values(BackpressureStrategy).map((strategy) => [strategy, strategy] as const),
  ['drop-oldest', BackpressureStrategy.DROP_OLDEST],
  ['drop-newest', BackpressureStrategy.DROP_NEWEST],
]);

/** What both streams and the controller have in common; what a batch is differs. */
type GivenBuffer<T> = Omit<WritableOptions<T>, 'batchSize'>;

export interface BufferContext<T> {
  givenBatchSize: number | undefined;
  unsetBatchSize: number;
  concurrency: number;
  sizeOf: ((item: T) => number) | undefined;
  maxBufferBytes: number | undefined;
  lowWatermark: number;
  yieldEvery: number;
}

export function resolveBuffer<T>(given: GivenBuffer<T>, context: BufferContext<T>): ResolvedBuffer<T> {
  const objectMode = checkBoolean('objectMode', given.objectMode ?? DEFAULTS.objectMode);
  const strategy = resolveStrategy(given.strategy);
  const ratios = resolveRatios(given, context.lowWatermark);
  const sizeOf = objectMode ? optional('sizeOf', context.sizeOf, checkSynchronous) : byteModeSize(given);
  const sentShare = sentShareOf(sizeOf);
  const highWaterMark = optional('highWaterMark', given.highWaterMark, checkHighWaterMark);
  const bound = objectMode
    ? {
        capacity: itemBound(given, context, ratios, highWaterMark),
        capacityBytes: measuredBound(given, context, ratios, sizeOf, sentShare),
      }
    : byteBound(given, context, ratios, highWaterMark);
  const yieldEvery = resolveYield(given.yieldEvery, context.yieldEvery, strategy, objectMode);
  const unref = checkBoolean('unref', given.unref ?? DEFAULTS.unref);
  const clock = given.clock ?? systemClock;
  return {
    objectMode,
    strategy,
    lowWatermark: ratios.lowWatermark,
    highWatermark: ratios.highWatermark,
    capacity: bound.capacity,
    capacityBytes: bound.capacityBytes,
    marks: producerMarks(bound, ratios, objectMode, highWaterMark, yieldEvery),
    sizeOf,
    sentShare,
    sampleRate: checkInteger('sampleRate', given.sampleRate ?? DEFAULTS.sampleRate, 1),
    shed: optional('shed', given.shed, checkSynchronous),
    maxWaiting:
      optional('maxWaiting', given.maxWaiting, checkInteger, 0) ??
      (objectMode ? bound.capacity : bound.capacityBytes),
    maxBlockTimeMs: optional('maxBlockTimeMs', given.maxBlockTimeMs, checkDuration, 0, true),
    signal: optional('signal', given.signal, checkSignal),
    unref,
    // The one place where it is decided: every timer of a sink is set by this clock.
    clock: unref ? unrefClock(clock) : clock,
    random: given.random === undefined ? usualRandom : checkedRandom(given.random),
  };
}

function resolveStrategy(given: unknown): BackpressureStrategy {
  const strategy = STRATEGIES.get(given ?? DEFAULTS.strategy);
  if (strategy !== undefined) return strategy;
  const names = [...STRATEGIES.keys()].map((name) => `'${String(name)}'`).join(', ');
  return refuse('strategy', `one of ${names}`, given);
}

/** In byte mode a chunk's size is its length, and the bound is one of bytes. */
function byteModeSize(given: GivenBuffer<never>): (chunk: unknown) => number {
  if (given.maxBufferSize !== undefined)
    wrongOption(
      'maxBufferSize',
      "counts items; in byte mode ('objectMode: false') the bound is 'maxBufferBytes'",
    );
  if (given.sizeOf !== undefined)
    wrongOption('sizeOf', "has no use in byte mode ('objectMode: false'): a chunk's size is its length");
  return chunkSize;
}

interface Ratios {
  lowWatermark: number;
  highWatermark: number;
}

/** @param usualLow where none is given */
function resolveRatios(given: GivenBuffer<never>, usualLow: number): Ratios {
  const { highWatermark: high, lowWatermark: low } = given;
  if (typeof high === 'number' && high > 1) {
    wrongOption(
      'highWatermark',
      `is a ratio above 0 and at most 1; for a count of items use 'highWaterMark'; got ${high}`,
    );
  }
  if (high !== undefined) checkRatio('highWatermark', high);
  checkRatio('lowWatermark', low ?? usualLow);
  if (high !== undefined && low !== undefined && low >= high) {
    refuse('lowWatermark', `below 'highWatermark' (${high})`, low);
  }
  if ((low ?? usualLow) === 1) return refuse('lowWatermark', 'below highWatermark, which is at most 1', 1);
  // The unset one keeps out of the way of the set one.
  const highWatermark = high ?? highAbove(low ?? usualLow);
  const follows = Math.max(Number.MIN_VALUE, (highWatermark * usualLow) / highAbove(usualLow));
  const lowWatermark = low ?? Math.min(usualLow, follows);
  return { lowWatermark, highWatermark };
}

function highAbove(low: number): number {
  return Math.max(DEFAULTS.highWatermark, (low + 1) / 2);
}

interface Bound {
  capacity: number;
  capacityBytes: number;
}

/** Every slot has a batch, and another one is ready, while the state rests in NORMAL. */
function roomForBatches(batch: number, concurrency: number, { lowWatermark }: Ratios): number {
  return countable(Math.ceil(((concurrency + 1) * batch) / lowWatermark));
}

/** The capacity whose high watermark is the given mark. */
function capacityFor(highWaterMark: number, { highWatermark }: Ratios): number {
  return highWaterMark === 0 ? 1 : countable(Math.max(1, shareOf(highWaterMark, 1 / highWatermark)));
}

/** Limits a bound that follows from extreme values: nobody gave it, so nobody can be told that it is too large. */
function countable(bound: number): number {
  return Math.min(bound, Number.MAX_SAFE_INTEGER);
}

function itemBound(
  given: GivenBuffer<never>,
  context: BufferContext<never>,
  ratios: Ratios,
  highWaterMark: number | undefined,
): number {
  const { givenBatchSize, unsetBatchSize, concurrency } = context;
  const roomFor = (batchSize: number) => roomForBatches(batchSize, concurrency, ratios);
  if (given.maxBufferSize !== undefined) {
    const capacity = checkInteger('maxBufferSize', given.maxBufferSize, 1);
    if (givenBatchSize !== undefined && givenBatchSize > capacity)
      conflict('batchSize', givenBatchSize, 'maxBufferSize', capacity);
    if (highWaterMark !== undefined && highWaterMark > capacity)
      conflict('highWaterMark', highWaterMark, 'maxBufferSize', capacity);
    return capacity;
  }
  if (highWaterMark === undefined)
    return Math.max(DEFAULTS.maxBufferSize, roomFor(givenBatchSize ?? unsetBatchSize));
  const capacity = capacityFor(highWaterMark, ratios);
  return givenBatchSize === undefined ? capacity : Math.max(capacity, roomFor(givenBatchSize));
}

/** The bound in bytes of items whose bytes are measured; `Infinity` if there is none. */
function measuredBound(
  given: GivenBuffer<never>,
  context: BufferContext<never>,
  ratios: Ratios,
  sizeOf: unknown,
  sentShare: (() => number) | undefined,
): number {
  if (given.maxBufferBytes !== undefined) {
    if (sizeOf === undefined) wrongOption('maxBufferBytes', "needs 'sizeOf', which tells an item's bytes");
    return checkInteger('maxBufferBytes', given.maxBufferBytes, 1);
  }
  if (sizeOf === undefined || context.maxBufferBytes === undefined) return Infinity;
  // A default gives way to what the user wants of a batch.
  const held = (given.batchBytes ?? 0) / (sentShare?.() ?? 1);
  return Math.max(context.maxBufferBytes, roomForBatches(held, context.concurrency, ratios));
}

function byteBound(
  given: GivenBuffer<never>,
  { concurrency }: BufferContext<never>,
  ratios: Ratios,
  highWaterMark: number | undefined,
): Bound {
  if (given.maxBufferBytes !== undefined) {
    const capacityBytes = checkInteger('maxBufferBytes', given.maxBufferBytes, 1);
    if (highWaterMark !== undefined && highWaterMark > capacityBytes)
      conflict('highWaterMark', highWaterMark, 'maxBufferBytes', capacityBytes);
    return { capacity: Infinity, capacityBytes };
  }
  const unset =
    highWaterMark === undefined ? DEFAULTS.byteMode.maxBufferBytes : capacityFor(highWaterMark, ratios);
  const needed = roomForBatches(given.batchBytes ?? 0, concurrency, ratios);
  return { capacity: Infinity, capacityBytes: Math.max(unset, needed) };
}

function producerMarks(
  { capacity, capacityBytes }: Bound,
  ratios: Ratios,
  objectMode: boolean,
  highWaterMark: number | undefined,
  yieldEvery: number,
): ProducerMarks {
  const pauseAt = pauseMark(capacity, ratios, objectMode ? highWaterMark : undefined);
  const pauseAtBytes = pauseMark(capacityBytes, ratios, objectMode ? undefined : highWaterMark);
  return {
    // A mark of 0 lets one item in, as in Node.
    pauseAt: Math.max(1, pauseAt),
    resumeAt: resumeMark(capacity, ratios, pauseAt),
    pauseAtBytes: Math.max(1, pauseAtBytes),
    resumeAtBytes: resumeMark(capacityBytes, ratios, pauseAtBytes),
    highWaterMark: objectMode ? pauseAt : pauseAtBytes,
    yieldEvery,
  };
}

function pauseMark(limit: number, { highWatermark }: Ratios, given: number | undefined): number {
  return limit === Infinity ? Infinity : (given ?? shareOf(limit, highWatermark));
}

function resumeMark(limit: number, { lowWatermark, highWatermark }: Ratios, pauseAt: number): number {
  if (limit === Infinity) return Infinity;
  const low = Math.min(shareOf(limit, lowWatermark), shareOf(pauseAt, lowWatermark / highWatermark));
  return Math.max(0, Math.min(low, pauseAt - 1));
}

function resolveYield(
  given: number | undefined,
  unset: number,
  strategy: BackpressureStrategy,
  objectMode: boolean,
): number {
  const blocks = strategy === BackpressureStrategy.BLOCK;
  if (given !== undefined && !objectMode)
    wrongOption('yieldEvery', "counts items, and has no use in byte mode ('objectMode: false')");
  if (given !== undefined && !blocks)
    wrongOption(
      'yieldEvery',
      `has no use with strategy '${strategy}', under which write() never asks to wait`,
    );
  const every = given ?? unset;
  if (every !== Infinity && !(Number.isSafeInteger(every) && every >= 1))
    refuse('yieldEvery', 'an integer of at least 1, or Infinity', every);
  return blocks && objectMode ? every : Infinity;
}

/** @returns the share of an item's bytes that is sent; all of it, if the function fails */
function sentShareOf(sizeOf: unknown): (() => number) | undefined {
  const ask = fieldOf(sizeOf, 'sentShare');
  if (typeof ask !== 'function') return undefined;
  return () => {
    try {
      const share: unknown = (ask as () => unknown)();
      return typeof share === 'number' && share > 0 && share < Infinity ? share : 1;
    } catch {
      return 1;
    }
  };
}

/** An empty chunk counts as one byte: a bound in bytes must bound any number of them. */
function chunkSize(chunk: unknown): number {
  return Math.max(1, (chunk as Uint8Array).byteLength);
}

function checkHighWaterMark(option: string, value: number): number {
  if (typeof value === 'number' && value > 0 && value < 1) {
    wrongOption(
      option,
      `is a count of items, Node's own; for a ratio of the capacity use 'highWatermark'; got ${value}`,
    );
  }
  return checkInteger(option, value, 0);
}

function checkSignal(option: string, value: AbortSignal): AbortSignal {
  // One of another realm is no instance of this one's class.
  const isSignal =
    typeof fieldOf(value, 'aborted') === 'boolean' &&
    typeof fieldOf(value, 'addEventListener') === 'function';
  return isSignal ? value : refuse(option, 'an AbortSignal', value);
}

/** Looked up at each call, so that test tools which replace it are respected. */
function usualRandom(): number {
  return Math.random();
}

/** @throws InvalidOptionError at a call that fails, or whose value is none that can be used. */
function checkedRandom(random: () => number): () => number {
  checkSynchronous('random', random);
  return () => {
    let value: unknown;
    try {
      value = random();
    } catch (thrown) {
      wrongOption('random', `failed: ${messageOf(thrown)}`);
    }
    if (typeof value === 'number' && value >= 0 && value <= 1) return value;
    ignoreRejection(value);
    wrongOption('random', `must return a number from 0 to just under 1; got ${show(value)}`);
  };
}
