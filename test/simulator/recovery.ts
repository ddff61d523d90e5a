/** After a disturbance: how long until flush interval, ages and backlog are back. */

import { SeededRandom } from '../support/seeded-random.js';
import { COMPARED_MODELS, OTHER_MODELS, type ModelMaker } from './compared-models.js';
import { linearCost, servers } from './capacity.js';
import { createDestination, type DestinationName } from './destinations.js';
import type { DestinationModel } from './destination.js';
import { faultless, KEPT } from './faults.js';
import { runLoaded, type CallSeen, type LoadedRun, type LoadedTrace } from './loaded-run.js';

export const LOADS = [0.05, 0.12, 0.3, 0.5, 0.7] as const;

const TARGET_MS = 500;
const MIN_INTERVAL_MS = 100;

/** Two kinds of sinks: a bare function, and one for a database that takes large batches over three connections. */
export const SINKS = {
  bare: { batchSize: 100, concurrency: 1, maxBufferSize: 10_000 },
  large: { batchSize: 1_000, concurrency: 3, maxBufferSize: 40_000 },
} as const;
export type SinkName = keyof typeof SINKS;

/** Steady ones: those that are outages or neighbours by themselves come as disturbances. */
const STEADY_OTHERS = Object.entries({ ...COMPARED_MODELS, ...OTHER_MODELS }).filter(
  ([name]) => !/outage|neighbour|drift/.test(name),
);
const named =
  (name: DestinationName): ModelMaker =>
  (random) => ({ ...createDestination(name, random.logBetween(50, 2_000), random), onSignal: 'stops' });

export const RECOVERING_MODELS: Readonly<Record<string, ModelMaker>> = {
  'the simulator’s fixed': named('fixed'),
  'the simulator’s commit': named('commit'),
  'fixed part of 0.4 × the target': (random) => ({
    capacity: servers(linearCost({ fixedMs: 200, perItemMs: random.logBetween(0.5, 5) }), 1),
    faults: faultless,
    onSignal: 'stops',
  }),
  ...Object.fromEntries(STEADY_OTHERS),
};

type Window = readonly [from: number, to: number];

/** Each lasts from the first time to the second. */
export const DISTURBANCES: Readonly<
  Record<string, (model: DestinationModel, window: Window) => DestinationModel>
> = {
  outage: (model, [from, to]) => ({
    ...model,
    faults: (now, items) =>
      now >= from && now < to ? { kind: 'refused', afterMs: 1, retryable: true } : model.faults(now, items),
  }),
  'hanging outage': (model, [from, to]) => ({
    ...model,
    faults: (now) => (now >= from && now < to ? { kind: 'hangs', listens: true } : KEPT),
  }),
  stall: (model, window) => slower(model, window, (ms) => ms + 2_000),
  'slow phase': (model, window) => slower(model, window, (ms) => 8 * ms),
  neighbour: (model, window) => slower(model, window, (ms, now) => (now % 7_000 < 4_000 ? 4 * ms : ms)),
  burst: (model) => model,
};
export type DisturbanceName = string;

function slower(
  model: DestinationModel,
  [from, to]: Window,
  change: (ms: number, now: number) => number,
): DestinationModel {
  return {
    ...model,
    capacity: {
      serve(now, work, busy) {
        const ms = model.capacity.serve(now, work, busy);
        return now >= from && now < to ? change(ms, now) : ms;
      },
    },
  };
}

/** The state that the disturbance meets: the flush interval at its lower bound, or as high as a long stall has brought it. */
export type StartState = 'interval at its minimum' | 'after a long stall';

export interface RecoveryCase {
  model: string;
  sink: SinkName;
  disturbance: DisturbanceName;
  state: StartState;
  load: number;
  /** The upper bound of the flush interval, as a multiple of the lower one. */
  intervals: number;
  seed: number;
  noise: number;
}

export interface RecoveryResult {
  /** Flushes, and milliseconds, from the end of the disturbance until the interval is at its lower bound; `Infinity` for never. */
  intervalFlushes: number;
  intervalMs: number;
  /** The interval when the disturbance ended. */
  raisedTo: number;
  /** Milliseconds until flushes begin with items as young as before the disturbance. */
  ageMs: number;
  /** Milliseconds until there is no more in the sink than before, which shows that the throughput is back. */
  backlogMs: number;
  /** The interval is at its lower bound in this share of the last flushes. */
  settledShare: number;
}

const CALM_MS = 30_000;
const STALL_MS = 900_000;
const DISTURBED_MS = 60_000;
const AFTERWARDS_MS = 900_000;
const ALIKE = 1.5;
/** So many calls in a row are as before. */
const STEADY_CALLS = 5;

/** Items a second that the destination takes in full batches over every slot: the least of all stretches of ten seconds. */
export function capacityOf(
  model: DestinationModel,
  { batchSize, concurrency }: { batchSize: number; concurrency: number },
): number {
  const endsAt = new Float64Array(concurrency);
  const perStretch = new Float64Array(12);
  const launch = (slot: number, now: number, calls: number) =>
    (endsAt[slot] =
      now + model.capacity.serve(now, { items: batchSize, bytes: 0 }, { calls, items: calls * batchSize }));
  for (let slot = 0; slot < concurrency; slot++) launch(slot, 0, slot);
  for (;;) {
    let slot = 0;
    for (let other = 1; other < concurrency; other++) if (endsAt[other]! < endsAt[slot]!) slot = other;
    const now = endsAt[slot]!;
    const stretch = Math.floor(now / 10_000);
    if (stretch >= perStretch.length) break;
    perStretch[stretch]! += batchSize;
    launch(slot, now, concurrency - 1);
  }
  // The first ones have begun with nothing in flight.
  return perStretch.slice(1).reduce((sum, items) => sum + items, 0) / (10 * (perStretch.length - 1));
}

export async function recoverUnderLoad(found: RecoveryCase): Promise<RecoveryResult> {
  const maker = RECOVERING_MODELS[found.model]!;
  const make = () => maker(new SeededRandom(found.seed), found.noise);
  const sink = SINKS[found.sink];
  const rate = Math.max(0.5, found.load * capacityOf(make(), sink));
  const disturbedAt = found.state === 'after a long stall' ? CALM_MS + STALL_MS : CALM_MS;
  const endsAt = found.disturbance === 'burst' ? disturbedAt : disturbedAt + DISTURBED_MS;
  let model = DISTURBANCES[found.disturbance]!(make(), [disturbedAt, endsAt]);
  if (found.state === 'after a long stall') model = slower(model, [CALM_MS, disturbedAt], (ms) => ms + 5_000);
  const options: LoadedRun['options'] = {
    ...sink,
    targetLatencyMs: TARGET_MS,
    minFlushIntervalMs: MIN_INTERVAL_MS,
    maxFlushIntervalMs: found.intervals * MIN_INTERVAL_MS,
    // Longer than the largest batch takes at the longest interval, shorter than a disturbance.
    flushTimeoutMs: 45_000,
    retry: { attempts: 5, maxElapsedMs: Infinity },
    breaker: { maxOutageMs: Infinity },
  };
  const burst =
    found.disturbance === 'burst'
      ? { items: Math.min(sink.maxBufferSize, Math.ceil(10 * rate)), at: endsAt }
      : undefined;
  const common = { options, rate, seed: found.seed };
  const trace = await runLoaded({
    ...common,
    model,
    ...(burst && { burst }),
    durationMs: endsAt + AFTERWARDS_MS,
  });
  const calm = await runLoaded({ ...common, model: make(), durationMs: 4 * CALM_MS });
  return measure(trace, calm, endsAt);
}

function measure(trace: LoadedTrace, calm: LoadedTrace, endsAt: number): RecoveryResult {
  const usual = calm.calls.filter(({ at }) => at >= CALM_MS);
  const usualAgeMs =
    ALIKE *
    Math.max(
      MIN_INTERVAL_MS,
      quantile(usual, 0.95, ({ ageMs }) => ageMs),
    );
  const usualLoad = ALIKE * quantile(usual, 0.95, ({ load }) => load) + 1;
  // Calls that were under way when it ended belong to what was before.
  const ends = trace.ends.filter(({ startedAt, isKept }) => startedAt >= endsAt && isKept);
  const calls = trace.calls.filter(({ at }) => at >= endsAt);
  const back = ends.findIndex(({ intervalMs }) => intervalMs === MIN_INTERVAL_MS);
  const last = ends.slice(-20);
  return {
    intervalFlushes: back === -1 ? Infinity : back + 1,
    intervalMs: back === -1 ? Infinity : ends[back]!.at - endsAt,
    raisedTo: trace.ends.findLast(({ at }) => at < endsAt)?.intervalMs ?? MIN_INTERVAL_MS,
    ageMs: timeUntil(calls, endsAt, ({ ageMs }) => ageMs <= usualAgeMs),
    backlogMs: timeUntil(calls, endsAt, ({ load }) => load <= usualLoad),
    settledShare: last.filter(({ intervalMs }) => intervalMs === MIN_INTERVAL_MS).length / last.length,
  };
}

function quantile(calls: readonly CallSeen[], share: number, of: (call: CallSeen) => number): number {
  const values = calls.map(of).sort((a, b) => a - b);
  return values[Math.floor(share * values.length)] ?? 0;
}

/** Until a call from which on several in a row hold. */
function timeUntil(calls: readonly CallSeen[], from: number, holds: (call: CallSeen) => boolean): number {
  let inARow = 0;
  for (const [place, call] of calls.entries()) {
    inARow = holds(call) ? inARow + 1 : 0;
    if (inARow === STEADY_CALLS) return calls[place - STEADY_CALLS + 1]!.at - from;
  }
  return Infinity;
}
