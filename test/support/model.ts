/** What must hold of an engine at any instant, written down apart from the engine. */

import assert from 'node:assert/strict';
import type { SinkMetrics } from '../../src/metrics.js';
import type { BackpressureState } from '../../src/vocabulary.js';

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

/** The promises 1 and 2 of the design. `underway`: the item that is being decided on right now counts as waiting too. */
export function checkInstant(metrics: SinkMetrics, bounds: Bounds, where: string, underway = 0): void {
  const m = metrics;
  const drops = m.dropsByReason;
  const total = Object.values(drops).reduce((sum, count) => sum + count, 0);
  assert.equal(m.eventsDropped, total, `${where}: eventsDropped is the sum of dropsByReason`);
  assert.equal(
    m.eventsOffered,
    m.waiting + m.bufferSize + m.inFlight + m.eventsFlushed + m.eventsFailed + m.eventsDropped,
    `${where}: offered = waiting + queued + in flight + flushed + failed + dropped`,
  );
  assert.equal(
    m.eventsAccepted,
    m.bufferSize + m.inFlight + m.eventsFlushed + m.eventsFailed + drops.evicted,
    `${where}: accepted = queued + in flight + flushed + failed + evicted`,
  );
  const counts = { ...drops, ...m.flushesByReason, ...m };
  for (const [name, count] of Object.entries(counts)) {
    if (typeof count === 'number') assert.ok(count >= 0, `${where}: ${name} is ${count}`);
  }
  const load = m.bufferSize + m.inFlight;
  assert.ok(load <= bounds.capacity, `${where}: ${load} items in a capacity of ${bounds.capacity}`);
  assert.ok(m.inFlight <= bounds.concurrency * bounds.batchSize, `${where}: ${m.inFlight} in flight`);
  assert.ok(m.waiting <= bounds.maxWaiting + underway, `${where}: ${m.waiting} wait`);
  const loadBytes = (m.bufferBytes ?? 0) + (m.inFlightBytes ?? 0);
  if (load > 1) assert.ok(loadBytes <= bounds.capacityBytes, `${where}: ${loadBytes} bytes`);
  if (load === 0) assert.equal(loadBytes, 0, `${where}: bytes of nothing`);
  const utilization = Math.max(load / bounds.capacity, loadBytes / bounds.capacityBytes);
  assert.ok(
    Math.abs(m.bufferUtilization - utilization) < 1e-9,
    `${where}: utilization ${m.bufferUtilization}`,
  );
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
