/** From a seed to everything that a run is: the same seed, the same run. */

import type { WritableOptions } from '../../src/index.js';
import { SeededRandom } from '../support/seeded-random.js';
import { DESTINATIONS, type DestinationName } from './destinations.js';
import type { Item } from './item.js';
import { PRODUCERS, type ProducerName } from './producers.js';

type Options = Omit<
  WritableOptions<Item>,
  'clock' | 'random' | 'signal' | 'shed' | 'sizeOf' | 'onFailed' | 'onSettled' | 'positionOf'
>;

export interface Plan {
  seed: number;
  producer: ProducerName;
  destination: DestinationName;
  surface: 'writable' | 'controller';
  /** What the destination can take, about, and what the producer has on average. */
  capacityPerSecond: number;
  itemsPerSecond: number;
  /** How long the producer is at it. */
  durationMs: number;
  options: Options;
  /** Whether `sizeOf` is given, and the largest size that an item has. */
  bytes: { measured: boolean; most: number };
  sheds: boolean;
  /** How many items share a position; 0: `positionOf` is not given. */
  positions: 0 | 1 | 3;
  onFailed: 'none' | 'at once' | 'slow' | 'throws';
  /** Calls of flush(), whenBelow(), drain(), stop() …, so far apart on average; Infinity for never. */
  actionEveryMs: number;
  ending: 'end' | 'dispose' | 'abort' | 'signal';
  /** The engine's timers may fire so early, and so late. */
  jitter: { earlyMs: number; lateMs: number };
}

export const PAIRS = PRODUCERS.length * DESTINATIONS.length;

export function pairOf(seed: number): { producer: ProducerName; destination: DestinationName } {
  const pair = seed % PAIRS;
  return {
    producer: PRODUCERS[pair % PRODUCERS.length]!,
    destination: DESTINATIONS[Math.floor(pair / PRODUCERS.length)]!,
  };
}

export function planFor(seed: number): Plan {
  const random = new SeededRandom(seed);
  const { producer, destination } = pairOf(seed);
  const surface = random.chance(0.5) ? 'writable' : 'controller';
  // Most of the time passes in quiet runs, most of the items in busy ones.
  const isBusy = random.chance(0.4);
  const capacityPerSecond = isBusy ? random.logBetween(10, 20_000) : random.logBetween(5, 500);
  const load = capacityPerSecond * random.logBetween(0.1, 3);
  const itemsPerSecond = isBusy ? load : Math.min(load, random.logBetween(0.05, 5));
  const most = (1000 * random.logBetween(200, 4_000)) / itemsPerSecond;
  return {
    seed,
    producer,
    destination,
    surface,
    capacityPerSecond,
    itemsPerSecond,
    durationMs: Math.min(900_000, most),
    ...randomOptions(random, surface),
    sheds: random.chance(0.15),
    positions: random.chance(0.3) ? (seed % 2 === 0 ? 1 : 3) : 0,
    onFailed: random.pick(['none', 'at once', 'at once', 'at once', 'slow', 'slow', 'throws']),
    actionEveryMs: random.chance(0.4) ? Infinity : random.logBetween(0.01, 1) * Math.min(60_000, most),
    ending: random.pick(['end', 'end', 'end', 'dispose', 'abort', 'signal']),
    jitter: random.chance(0.6) ? { earlyMs: 0, lateMs: 0 } : { earlyMs: 0.9, lateMs: random.between(0, 5) },
  };
}

function randomOptions(random: SeededRandom, surface: Plan['surface']): Pick<Plan, 'options' | 'bytes'> {
  const options: Options = {
    strategy: random.pick(['block', 'block', 'drop_oldest', 'drop_newest', 'sample']),
  };
  const isByteMode = surface === 'writable' && random.chance(0.1);
  const measured = !isByteMode && random.chance(0.3);
  const maxBufferSize = random.logInt(1, 3_000);
  if (isByteMode) {
    options.objectMode = false;
    options.maxBufferBytes = random.logInt(10, 100_000);
  } else if (random.chance(0.9)) {
    if (surface === 'writable' && random.chance(0.1)) options.highWaterMark = maxBufferSize;
    else options.maxBufferSize = maxBufferSize;
  }
  if (measured && random.chance(0.8)) options.maxBufferBytes = random.logInt(10, 100_000);
  if (random.chance(0.6)) options.batchSize = random.logInt(1, options.maxBufferSize ?? 500);
  if ((isByteMode || measured) && random.chance(0.5))
    options.batchBytes = random.logInt(1, options.maxBufferBytes ?? 10_000);
  if (random.chance(0.3)) {
    options.highWatermark = random.int(2, 20) / 20;
    options.lowWatermark = (options.highWatermark * random.int(1, 9)) / 10;
  }
  if (random.chance(0.6)) options.concurrency = random.int(1, 4);
  if (random.chance(0.3)) options.sampleRate = random.int(1, 20);
  // In byte mode it counts bytes.
  if (random.chance(0.3)) options.maxWaiting = random.pick([0, 1, random.logInt(1, 5_000)]);
  if (random.chance(0.2)) options.maxBlockTimeMs = random.pick([Infinity, random.logInt(10, 20_000)]);
  randomTimes(random, options);
  if (random.chance(0.4)) options.adaptive = true;
  return { options, bytes: { measured, most: random.logInt(1, 4_000) } };
}

function randomTimes(random: SeededRandom, options: Options): void {
  if (random.chance(0.5)) options.minFlushIntervalMs = random.logInt(1, 1_000);
  if (random.chance(0.4))
    options.maxFlushIntervalMs = (options.minFlushIntervalMs ?? 100) * random.logInt(1, 100);
  if (random.chance(0.5)) options.targetLatencyMs = random.logInt(1, 3_000);
  if (random.chance(0.6)) options.flushTimeoutMs = random.logInt(50, 30_000);
  if (random.chance(0.5)) options.abortGraceMs = random.pick([0, random.logInt(1, 3_000)]);
  if (random.chance(0.7)) {
    options.retry = {
      attempts: random.int(1, 6),
      minDelayMs: random.logInt(1, 500),
      afterTimeout: random.chance(0.3),
      ...(random.chance(0.2) && { maxElapsedMs: random.logInt(10, 100_000) }),
    };
  }
  if (random.chance(0.4)) {
    options.breaker = {
      failures: random.int(1, 6),
      ...(random.chance(0.7) && { minDelayMs: random.logInt(1, 5_000) }),
      ...(random.chance(0.5) && { maxOutageMs: random.logInt(1_000, 2_000_000) }),
    };
  }
}

// ── to make a failing run smaller ──

/** Ways to make a plan simpler, by name. */
export const SIMPLIFICATIONS: Record<string, (plan: Plan) => Plan> = {
  actions: (plan) => ({ ...plan, actionEveryMs: Infinity }),
  jitter: (plan) => ({ ...plan, jitter: { earlyMs: 0, lateMs: 0 } }),
  shed: (plan) => ({ ...plan, sheds: false }),
  bytes: (plan) => withoutBytes(plan),
  positions: (plan) => ({ ...plan, positions: 0 }),
  ending: (plan) => ({ ...plan, ending: 'end' }),
  concurrency: (plan) => ({ ...plan, options: without(plan.options, 'concurrency') }),
  adaptive: (plan) => ({ ...plan, options: without(plan.options, 'adaptive') }),
  retry: (plan) => ({ ...plan, options: without(plan.options, 'retry') }),
  breaker: (plan) => ({ ...plan, options: without(plan.options, 'breaker') }),
  watermarks: (plan) => ({ ...plan, options: without(plan.options, 'highWatermark', 'lowWatermark') }),
  waiting: (plan) => ({ ...plan, options: without(plan.options, 'maxWaiting', 'maxBlockTimeMs') }),
  intervals: (plan) => ({
    ...plan,
    options: without(plan.options, 'minFlushIntervalMs', 'maxFlushIntervalMs', 'targetLatencyMs'),
  }),
  timeouts: (plan) => ({ ...plan, options: without(plan.options, 'flushTimeoutMs', 'abortGraceMs') }),
  batches: (plan) => ({ ...plan, options: without(plan.options, 'batchSize', 'batchBytes') }),
  block: (plan) => ({ ...plan, options: { ...plan.options, strategy: 'block' } }),
};

export function simplify(plan: Plan, names: readonly string[]): Plan {
  return names.reduce((simpler, name) => SIMPLIFICATIONS[name]!(simpler), plan);
}

function withoutBytes(plan: Plan): Plan {
  if (plan.options.objectMode === false) return plan;
  const options = without(plan.options, 'maxBufferBytes', 'batchBytes');
  return { ...plan, bytes: { ...plan.bytes, measured: false }, options };
}

function without(options: Options, ...names: (keyof Options)[]): Options {
  return Object.fromEntries(
    Object.entries(options).filter(([name]) => !names.includes(name as keyof Options)),
  );
}
