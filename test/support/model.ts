/** What must hold of an engine at any instant, written down apart from the engine. */

import assert from 'node:assert/strict';
import type { SinkMetrics } from '../../src/api/metrics.js';
import type { BackpressureState } from '../../src/api/states.js';

/** The bounds that a run was given, or that follow from them. */
export interface Bounds {
  capacity: number;
  capacityBytes: number;
  lowWatermark: number;
  highWatermark: number;
  maxWaiting: number;
  concurrency: number;
  batchSize: number;
}

const LEVELS: readonly BackpressureState[] = ['normal', 'elevated', 'critical', 'blocked'];

/** Thousands of times a run: the message is made only when it is needed. */
function check(holds: boolean, message: () => string): void {
  if (!holds) assert.fail(message());
}

/** The promises 1 and 2 of the design. `underway`: the item that is being decided on right now counts as waiting too. */
export function checkInstant(metrics: SinkMetrics, bounds: Bounds, where: string, underway = 0): void {
  const m = metrics;
  const tell = (what: string) => () => `${where}: ${what} in ${JSON.stringify(m)}`;
  let drops = 0;
  for (const count of Object.values(m.dropsByReason)) {
    drops += count;
    check(count >= 0, tell('a negative count of drops'));
  }
  check(m.eventsDropped === drops, tell('eventsDropped is not the sum of dropsByReason'));
  const load = m.bufferSize + m.inFlight;
  const settled = m.eventsFlushed + m.eventsFailed;
  check(m.eventsOffered === m.waiting + load + settled + drops, tell('offered does not add up'));
  check(m.eventsAccepted === load + settled + m.dropsByReason.evicted, tell('accepted does not add up'));
  const smallest = Math.min(m.bufferSize, m.inFlight, m.waiting, m.eventsFlushed, m.eventsFailed);
  check(smallest >= 0, tell('a negative count'));
  check(load <= bounds.capacity, tell(`more than the capacity of ${bounds.capacity}`));
  check(m.inFlight <= bounds.concurrency * bounds.batchSize, tell('too many in flight'));
  check(m.waiting <= bounds.maxWaiting + underway, tell(`more than maxWaiting (${bounds.maxWaiting})`));
  const loadBytes = (m.bufferBytes ?? 0) + (m.inFlightBytes ?? 0);
  check(load <= 1 || loadBytes <= bounds.capacityBytes, tell(`more than ${bounds.capacityBytes} bytes`));
  check(load > 0 || loadBytes === 0, tell('bytes of nothing'));
  const utilization = Math.max(load / bounds.capacity, loadBytes / bounds.capacityBytes);
  check(Math.abs(m.bufferUtilization - utilization) < 1e-9, tell(`utilization should be ${utilization}`));
}

/**
 * The state against the load, without knowing how the load came about: at or above a threshold the state has risen, and more than the
 * margin below it has fallen; in between, hysteresis allows both.
 */
export function checkState(metrics: SinkMetrics, bounds: Bounds, where: string): void {
  if (metrics.state === 'draining') return;
  const items = levelRange(metrics.bufferSize + metrics.inFlight, bounds.capacity, bounds);
  const loadBytes = (metrics.bufferBytes ?? 0) + (metrics.inFlightBytes ?? 0);
  const bytes = levelRange(loadBytes, bounds.capacityBytes, bounds);
  const level = LEVELS.indexOf(metrics.state);
  const lowest = Math.max(items.lowest, bytes.lowest);
  const highest = Math.max(items.highest, bytes.highest);
  assert.ok(
    level >= lowest && level <= highest,
    `${where}: state ${metrics.state} with ${metrics.bufferSize + metrics.inFlight} items and ${loadBytes} bytes`,
  );
}

export function levelRange(
  load: number,
  capacity: number,
  { lowWatermark, highWatermark }: Pick<Bounds, 'lowWatermark' | 'highWatermark'>,
): { lowest: number; highest: number } {
  if (capacity === Infinity) return { lowest: 0, highest: 0 };
  const margin = Math.max(1, capacity / 20);
  // Rounded to a billionth first: 0.07 × 100 is a little above 7.
  const up = [lowWatermark, highWatermark, 1].map((ratio) =>
    Math.ceil(Number((ratio * capacity).toFixed(9))),
  );
  return {
    lowest: up.filter((threshold) => load >= threshold).length,
    highest: up.filter((threshold) => load > 0 && load >= threshold - margin).length,
  };
}

/** The pressure levels one load after another: the slow, obvious way. */
export class PressureModel {
  level = 0;
  readonly #range: (load: number) => { lowest: number; highest: number };

  constructor(capacity: number, lowWatermark: number, highWatermark: number) {
    this.#range = (load) => levelRange(load, capacity, { lowWatermark, highWatermark });
  }

  next(load: number): number {
    const { lowest, highest } = this.#range(load);
    this.level = Math.min(Math.max(this.level, lowest), highest);
    return this.level;
  }
}
