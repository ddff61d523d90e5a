/** From load to level: pure, with hysteresis, so that a load that trembles at a threshold does not make the state flap. */

import { BackpressureState } from '../api/states.js';

/** 0 NORMAL, 1 ELEVATED, 2 CRITICAL, 3 BLOCKED. DRAINING is no level: it is laid over them. */
export type PressureLevel = 0 | 1 | 2 | 3;

export const LEVEL_STATES = [
  BackpressureState.NORMAL,
  BackpressureState.ELEVATED,
  BackpressureState.CRITICAL,
  BackpressureState.BLOCKED,
] as const;

/** A level falls this share of the capacity (at least one item) below where it rose. */
const HYSTERESIS = 0.05;

export interface PressureThresholds {
  /** `up[n]`: the load from which the level is at least n + 1. */
  readonly up: readonly [number, number, number];
  /** `down[n]`: the load below which the level falls back to n. */
  readonly down: readonly [number, number, number];
}

/** `ceil(ratio × capacity)`, not misled by a product such as 0.07 × 100 = 7.000000000000001. */
export function shareOf(capacity: number, ratio: number): number {
  return Math.ceil(ratio * capacity * (1 - 1e-12));
}

export function pressureThresholds(
  capacity: number,
  lowWatermark: number,
  highWatermark: number,
): PressureThresholds {
  const margin = Math.max(1, HYSTERESIS * capacity);
  // An empty buffer is NORMAL, whatever the watermark and the margin.
  const elevated = Math.max(1, shareOf(capacity, lowWatermark));
  const critical = Math.max(1, shareOf(capacity, highWatermark));
  return {
    up: [elevated, critical, capacity],
    down: [Math.max(1, elevated - margin), Math.max(1, critical - margin), Math.max(1, capacity - margin)],
  };
}

export function nextLevel(
  current: PressureLevel,
  load: number,
  thresholds: PressureThresholds,
): PressureLevel {
  let level: number = current;
  while (level < 3 && load >= thresholds.up[level]!) level++;
  if (level > current) return level as PressureLevel;
  while (level > 0 && load < thresholds.down[level - 1]!) level--;
  return level as PressureLevel;
}

/** Holds a level between two loads, so that the common case, no change, is two comparisons. */
export class PressureGauge {
  level: PressureLevel = 0;
  readonly #thresholds: PressureThresholds;
  // Infinite at first: a field that has held whole numbers only is one of another kind, and so is the object.
  #riseAt = Infinity;
  #fallBelow = -Infinity;

  constructor(thresholds: PressureThresholds) {
    this.#thresholds = thresholds;
    this.#riseAt = thresholds.up[0];
  }

  /** How far the load may rise before the level does. */
  untilRise(load: number): number {
    return this.#riseAt - 1 - load;
  }

  /** Returns whether the level changed. */
  update(load: number): boolean {
    if (load < this.#riseAt && load >= this.#fallBelow) return false;
    const level = nextLevel(this.level, load, this.#thresholds);
    if (level === this.level) return false;
    this.level = level;
    this.#riseAt = level < 3 ? this.#thresholds.up[level as 0 | 1 | 2] : Infinity;
    this.#fallBelow = level > 0 ? this.#thresholds.down[level - 1]! : -Infinity;
    return true;
  }
}
