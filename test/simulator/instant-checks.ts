import type { DropReason, SinkMetrics } from '../../src/index.js';
import type { RunBounds } from './bounds.js';

const LEVELS = ['normal', 'elevated', 'critical', 'blocked'];

/** What must hold of the metrics alone. Millions of times a run, so it allocates nothing; a fault is answered as text. */
export class InstantChecks {
  readonly #bounds: RunBounds;
  readonly #items: Level;
  readonly #bytes: Level;

  constructor(bounds: RunBounds) {
    this.#bounds = bounds;
    this.#items = new Level(bounds.capacity, bounds);
    this.#bytes = new Level(bounds.capacityBytes, bounds);
  }

  /** Promises 1 and 2: the ledger adds up, and the bounds hold. `underway`: items that are being decided on right now. */
  faultOf(metrics: SinkMetrics, underway: number): string | undefined {
    const m = metrics;
    const bounds = this.#bounds;
    let drops = 0;
    for (const reason in m.dropsByReason) {
      const count = m.dropsByReason[reason as DropReason];
      if (!(count >= 0)) return `${count} drops for '${reason}'`;
      drops += count;
    }
    if (m.eventsDropped !== drops) return 'eventsDropped is not the sum of dropsByReason';
    const load = m.bufferSize + m.inFlight;
    const settled = m.eventsFlushed + m.eventsFailed;
    if (m.eventsOffered !== m.waiting + load + settled + drops) return 'offered does not add up';
    if (m.eventsAccepted !== load + settled + m.dropsByReason.evicted) return 'accepted does not add up';
    if (!(m.bufferSize >= 0 && m.inFlight >= 0 && m.waiting >= 0 && m.unrepresented > -bounds.sampleRate))
      return 'a negative count';
    if (!(m.eventsFlushed >= 0 && m.eventsFailed >= 0)) return 'a negative count of settled items';
    if (load > bounds.capacity) return `more than the capacity of ${bounds.capacity}`;
    if (!isWithin(m.currentBatchSize, bounds.batchSize)) return `a batch size of ${m.currentBatchSize}`;
    if (!isWithin(m.currentConcurrency, bounds.concurrency))
      return `a concurrency of ${m.currentConcurrency}`;
    if (!bounds.isAdaptive && m.currentBatchSize !== bounds.batchSize)
      return 'a batch size that is not fixed';
    if (m.inFlight > bounds.concurrency * bounds.batchSize) return 'too many in flight';
    if (m.waiting > bounds.maxWaiting + underway) return `more than maxWaiting (${bounds.maxWaiting})`;
    const loadBytes = (m.bufferBytes ?? 0) + (m.inFlightBytes ?? 0);
    if (load > 1 && loadBytes > bounds.capacityBytes) return `more than ${bounds.capacityBytes} bytes`;
    if (load === 0 && loadBytes !== 0) return 'bytes of nothing';
    const utilization = Math.max(load / bounds.capacity, loadBytes / bounds.capacityBytes);
    if (Math.abs(m.bufferUtilization - utilization) > 1e-9) return `utilization should be ${utilization}`;
    return undefined;
  }

  /** The state follows from the load, whatever came before: between a threshold and its margin hysteresis allows both. */
  stateFaultOf({
    state,
    bufferSize,
    inFlight,
    bufferBytes = 0,
    inFlightBytes = 0,
  }: SinkMetrics): string | undefined {
    if (state === 'draining') return undefined;
    const level = LEVELS.indexOf(state);
    const [load, loadBytes] = [bufferSize + inFlight, bufferBytes + inFlightBytes];
    const lowest = Math.max(this.#items.lowest(load), this.#bytes.lowest(loadBytes));
    const highest = Math.max(this.#items.highest(load), this.#bytes.highest(loadBytes));
    return level >= lowest && level <= highest
      ? undefined
      : `state ${state} at a load of ${load} (${loadBytes} bytes)`;
  }
}

function isWithin(current: number, most: number): boolean {
  return current >= 1 && current <= most;
}

class Level {
  readonly #thresholds: number[];
  readonly #margin: number;

  constructor(capacity: number, { lowWatermark, highWatermark }: RunBounds) {
    // Rounded to a billionth first: 0.07 × 100 is a little above 7.
    const share = (ratio: number) => Math.ceil(Number((ratio * capacity).toFixed(9)));
    this.#thresholds = capacity === Infinity ? [] : [share(lowWatermark), share(highWatermark), capacity];
    this.#margin = Math.max(1, capacity / 20);
  }

  lowest(load: number): number {
    let level = 0;
    for (const threshold of this.#thresholds) if (load >= threshold) level++;
    return level;
  }

  highest(load: number): number {
    let level = 0;
    for (const threshold of this.#thresholds) if (load > 0 && load >= threshold - this.#margin) level++;
    return level;
  }
}
