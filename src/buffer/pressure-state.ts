import type { Clock } from '../common/clock.js';
import { BackpressureState } from '../api/states.js';
import { LEVEL_STATES, PressureGauge, pressureThresholds } from './pressure-levels.js';

export interface PressureSettings {
  /** `Infinity`: not bounded, and not measured. */
  capacity: number;
  capacityBytes: number;
  lowWatermark: number;
  highWatermark: number;
  clock: Clock;
}

export interface StateObserver {
  onState(state: BackpressureState, previous: BackpressureState): void;
}

/**
 * Derives one state from the loads in items and bytes, and counts how long each state has held.
 *
 *     NORMAL <──> ELEVATED <──> CRITICAL <──> BLOCKED     the higher level of items and bytes, with hysteresis (pressure-levels)
 *        └───────────┴─────┬───────┴─────────────┘
 *                       DRAINING                          laid over the level while a drain is under way
 *
 * The state changes nowhere else.
 */
export class PressureState {
  readonly #items: PressureGauge | undefined;
  readonly #bytes: PressureGauge | undefined;
  readonly #clock: Clock;
  readonly #observer: StateObserver;
  #draining = false;
  #current: BackpressureState = BackpressureState.NORMAL;
  #since: number;
  readonly #timesMs: Record<BackpressureState, number> = {
    normal: 0,
    elevated: 0,
    critical: 0,
    blocked: 0,
    draining: 0,
  };

  constructor(settings: PressureSettings, observer: StateObserver) {
    this.#items = gaugeOf(settings, settings.capacity);
    this.#bytes = gaugeOf(settings, settings.capacityBytes);
    this.#clock = settings.clock;
    this.#observer = observer;
    this.#since = settings.clock.now();
  }

  get current(): BackpressureState {
    return this.#current;
  }

  /** Above NORMAL, also if DRAINING covers it. */
  get isPressed(): boolean {
    return (this.#items?.level ?? 0) > 0 || (this.#bytes?.level ?? 0) > 0;
  }

  /** How far the load may rise before the state does; `Infinity` if it is not bounded. */
  itemsUntilRise(load: number): number {
    return this.#items === undefined ? Infinity : this.#items.untilRise(load);
  }

  bytesUntilRise(loadBytes: number): number {
    return this.#bytes === undefined ? Infinity : this.#bytes.untilRise(loadBytes);
  }

  update(load: number, loadBytes: number): void {
    let changed = this.#items !== undefined && this.#items.update(load);
    if (this.#bytes !== undefined && this.#bytes.update(loadBytes)) changed = true;
    if (changed) this.#derive();
  }

  /** DRAINING is laid over the level, or lifted again. */
  setDraining(draining: boolean): void {
    this.#draining = draining;
    this.#derive();
  }

  timesMs(): Record<BackpressureState, number> {
    const times = { ...this.#timesMs };
    times[this.#current] += this.#clock.now() - this.#since;
    return times;
  }

  #derive(): void {
    const level = Math.max(this.#items?.level ?? 0, this.#bytes?.level ?? 0) as 0 | 1 | 2 | 3;
    const state = this.#draining ? BackpressureState.DRAINING : LEVEL_STATES[level];
    const previous = this.#current;
    if (state === previous) return;
    const now = this.#clock.now();
    this.#timesMs[previous] += now - this.#since;
    this.#since = now;
    this.#current = state;
    this.#observer.onState(state, previous);
  }
}

function gaugeOf(
  { lowWatermark, highWatermark }: PressureSettings,
  limit: number,
): PressureGauge | undefined {
  if (limit === Infinity) return undefined;
  return new PressureGauge(pressureThresholds(limit, lowWatermark, highWatermark));
}
