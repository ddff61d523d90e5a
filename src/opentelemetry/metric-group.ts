import type { MeterProvider } from '@opentelemetry/api';
import type { FlushReport } from '../api/events.js';
import { errorClassOf } from '../common/thrown.js';
import { makeInstruments, type Attributes, type Instruments } from './instruments.js';
import { isLog, LagReader } from './lag.js';
import {
  addReadings,
  countsOf,
  readingsOf,
  subtractReadings,
  type AnyMetrics,
  type Readings,
} from './readings.js';

/** What meters and tracers are called. */
export const SCOPE = 'spillway';

interface Metered {
  getMetrics(): AnyMetrics;
}

/**
 * What is reported under one name: the sum of all targets that have it. A target that has ended leaves its counts, so that they never go
 * down if the next one takes its place.
 */
export class MetricGroup {
  readonly #instruments: Instruments;
  readonly #attributes: Attributes;
  readonly #live = new Set<Metered>();
  readonly #lag = new LagReader();
  readonly #ended: Readings = new Map();
  /** What is among them of a target: it counts from there on if it comes back. */
  readonly #left = new WeakMap<Metered, Readings>();

  constructor(instruments: Instruments, attributes: Attributes) {
    this.#instruments = instruments;
    this.#attributes = attributes;
    instruments.onCollect(async (report) => {
      const lag = await this.#lag.read([...this.#live].filter(isLog));
      if (lag !== undefined) {
        report('spillway.lag.messages', lag.messages, attributes);
        report('spillway.lag.time', lag.seconds, attributes);
      }
      for (const { name, value, attributes: own } of this.#read().values())
        report(name, value, { ...attributes, ...own });
    });
  }

  add(target: Metered): void {
    const left = this.#left.get(target);
    if (left !== undefined) subtractReadings(this.#ended, left);
    this.#left.delete(target);
    this.#live.add(target);
  }

  /** The target changes no more, or is not to be reported any more: its counts are kept, and it is let go. */
  end(target: Metered): void {
    if (!this.#live.delete(target)) return;
    const left = countsOf(readingsOf(target.getMetrics()));
    addReadings(this.#ended, left);
    this.#left.set(target, left);
  }

  recordFlush({ error, latencyMs, items }: FlushReport): void {
    const attributes =
      error === undefined ? this.#attributes : { ...this.#attributes, 'error.type': errorClassOf(error) };
    this.#instruments.flushDuration.record(latencyMs / 1000, attributes);
    this.#instruments.batchSize.record(items, this.#attributes);
  }

  #read(): Readings {
    const readings: Readings = new Map(this.#ended);
    for (const target of this.#live) addReadings(readings, readingsOf(target.getMetrics()));
    return readings;
  }
}

interface Reporter {
  readonly instruments: Instruments;
  readonly groups: Map<string, MetricGroup>;
}

/**
 * Instruments are made once for each provider, because the SDK warns of one that is made twice. Groups stay: the SDK reports the last values
 * that it has seen for ever, so that what was queued must be seen as 0.
 */
const reporters = new WeakMap<MeterProvider, Reporter>();

export function groupOf(provider: MeterProvider, name: string): MetricGroup {
  let reporter = reporters.get(provider);
  if (reporter === undefined) {
    reporter = { instruments: makeInstruments(provider.getMeter(SCOPE)), groups: new Map() };
    reporters.set(provider, reporter);
  }
  const { instruments, groups } = reporter;
  let group = groups.get(name);
  if (group === undefined) {
    group = new MetricGroup(instruments, { 'spillway.name': name });
    groups.set(name, group);
  }
  return group;
}
