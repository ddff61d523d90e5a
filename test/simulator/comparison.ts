/** Adaptive control against the best fixed setting that keeps the latency target, found by search. */

import { SeededRandom } from '../support/seeded-random.js';
import { COMPARED_MODELS, OTHER_MODELS, type Change, type ModelMaker } from './compared-models.js';
import type { DestinationModel } from './destination.js';
import { runSaturated, summarise, type FlushSeen, type SaturatedOptions } from './saturated-run.js';

export const TARGET_MS = 500;
export const MOST_CONCURRENCY = 8;
export const MOST_BATCH_SIZE = 2_000;
/** Sizes of the search grow by this factor. */
const GRID = 1.12;
/** After so many sizes that miss the target, larger ones are not tried. */
const MOST_SLOW_SIZES = 3;

const COMMON: SaturatedOptions = { targetLatencyMs: TARGET_MS, retry: { attempts: 5 }, breaker: {} };
const ADAPTIVE: SaturatedOptions = {
  ...COMMON,
  adaptive: true,
  concurrency: MOST_CONCURRENCY,
  batchSize: MOST_BATCH_SIZE,
};

interface Setting {
  concurrency: number;
  batchSize: number;
}

interface Speed {
  itemsPerSecond: number;
  p95Ms: number;
}

type Fixed = Setting & Speed;

/** A run of a fixed setting without the engine around it, a hundred times as fast: slots that are always busy with full batches. */
function runFixed(
  model: DestinationModel,
  { concurrency, batchSize }: Setting,
  from: number,
  to: number,
): Speed {
  const startedAt = new Float64Array(concurrency);
  const endsAt = new Float64Array(concurrency);
  const isKept = new Array<boolean>(concurrency).fill(false);
  const latencies: number[] = [];
  const launch = (slot: number, now: number, calls: number) => {
    const fate = model.faults(now, batchSize);
    isKept[slot] = fate.kind === 'kept';
    startedAt[slot] = now;
    const takesMs =
      fate.kind === 'refused'
        ? fate.afterMs
        : model.capacity.serve(now, { items: batchSize, bytes: 0 }, { calls, items: calls * batchSize });
    endsAt[slot] = now + takesMs;
  };
  for (let slot = 0; slot < concurrency; slot++) launch(slot, 0, slot);
  for (;;) {
    let slot = 0;
    for (let other = 1; other < concurrency; other++) if (endsAt[other]! < endsAt[slot]!) slot = other;
    const now = endsAt[slot]!;
    if (now >= to) break;
    if (now >= from && isKept[slot]) latencies.push(now - startedAt[slot]!);
    launch(slot, now, concurrency - 1);
  }
  latencies.sort((a, b) => a - b);
  const itemsPerSecond = (1000 * batchSize * latencies.length) / (to - from);
  return { itemsPerSecond, p95Ms: latencies[Math.floor(0.95 * latencies.length)] ?? 0 };
}

/** Tries every concurrency with every batch size of a fine grid. `concurrency`: only this one. */
export function bestFixed(
  make: () => DestinationModel,
  from: number,
  to: number,
  concurrency?: number,
): Fixed {
  let best: Fixed = { concurrency: 0, batchSize: 0, itemsPerSecond: 0, p95Ms: 0 };
  for (let slots = concurrency ?? 1; slots <= (concurrency ?? MOST_CONCURRENCY); slots++) {
    let slow = 0;
    for (let size = 1; size <= MOST_BATCH_SIZE && slow < MOST_SLOW_SIZES; size = Math.ceil(size * GRID)) {
      const setting = { concurrency: slots, batchSize: size };
      const speed = runFixed(make(), setting, from, to);
      if (speed.p95Ms > TARGET_MS) slow++;
      else if (speed.itemsPerSecond > best.itemsPerSecond) best = { ...setting, ...speed };
    }
  }
  return best;
}

export interface Comparison {
  model: string;
  seed: number;
  noise: number;
  best: Fixed;
  /** The best of the fixed settings with three slots, as `copyInto` has them, and whatever batch size; as a share of `best`. */
  threeSlots: number;
  /** The sink's own fixed defaults, as a share of `best`. */
  defaults: number;
  adaptive: Speed & { share: number; batchSize: number; concurrency: number };
}

export async function compare(
  model: string,
  seed: number,
  noise: number,
  durationMs: number,
): Promise<Comparison> {
  const maker: ModelMaker = (COMPARED_MODELS[model] ?? OTHER_MODELS[model])!;
  const make = () => maker(new SeededRandom(seed), noise);
  const from = durationMs / 3;
  const run = async (options: SaturatedOptions) => runSaturated(make(), options, durationMs, seed);
  const best = bestFixed(make, from, durationMs);
  const three = bestFixed(make, from, durationMs, 3);
  const threeSlots = three.itemsPerSecond / best.itemsPerSecond;
  // Where calls fail, the engine's retries and breaker have their part: the setting that was found is run with them.
  const { concurrency, batchSize } = best;
  if (model === 'outage')
    Object.assign(best, summarise(await run({ ...COMMON, concurrency, batchSize }), from, durationMs));
  const seen = await run(ADAPTIVE);
  const speed = summarise(seen, from, durationMs);
  const share = speed.itemsPerSecond / best.itemsPerSecond;
  const last = seen.at(-1)!;
  const defaults = summarise(await run(COMMON), from, durationMs).itemsPerSecond / best.itemsPerSecond;
  const reached = { batchSize: last.batchSize, concurrency: last.concurrency };
  return { model, seed, noise, best, threeSlots, defaults, adaptive: { ...speed, share, ...reached } };
}

// ── after a change ──

export interface Recovery {
  change: string;
  seed: number;
  /** Flushes after the change until the throughput is within 5 % of the best fixed setting's, and stays so for a while. */
  flushes: number;
  /** The same, as rounds of the slots. */
  rounds: number;
  /** Flushes until the flush interval is back at its lower bound. */
  intervalFlushes: number;
  /** The interval just after the change. */
  intervalMs: number;
}

const SETTLING_MS = 240_000;
const AFTERWARDS_MS = 60_000;
/** Flushes over which throughput is taken. */
const WINDOW = 10;
const BACK = 0.95;

export async function recover(change: Change, seed: number): Promise<Recovery> {
  const model = change.make(new SeededRandom(seed), SETTLING_MS);
  const best = bestFixed(() => change.after(new SeededRandom(seed)), 10_000, AFTERWARDS_MS);
  const all = await runSaturated(model, ADAPTIVE, SETTLING_MS + AFTERWARDS_MS, seed);
  // Those that were under way at the change belong to what was before it.
  const seen = all.filter(
    ({ endedAt, latencyMs, success }) => endedAt - latencyMs >= SETTLING_MS && success > 0,
  );
  const flushes = flushesUntilBack(seen, BACK * best.itemsPerSecond);
  const interval = seen.findIndex(({ intervalMs }) => intervalMs === 100);
  const { concurrency } = seen[0]!;
  return {
    change: change.name,
    seed,
    flushes,
    rounds: flushes / concurrency,
    intervalFlushes: interval === -1 ? Infinity : interval,
    intervalMs: Math.max(...seen.slice(0, 3).map(({ intervalMs }) => intervalMs)),
  };
}

function flushesUntilBack(seen: readonly FlushSeen[], itemsPerSecond: number): number {
  for (let first = 0; first + WINDOW < seen.length; first++) {
    const window = seen.slice(first + 1, first + 1 + WINDOW);
    const items = window.reduce((sum, { success }) => sum + success, 0);
    const ms = window.at(-1)!.endedAt - seen[first]!.endedAt;
    if ((1000 * items) / ms >= itemsPerSecond) return first;
  }
  return Infinity;
}
