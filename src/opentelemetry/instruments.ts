/** The instruments of a meter: what is measured, in which unit. */

import {
  ValueType,
  type BatchObservableCallback,
  type Histogram,
  type Meter,
  type Observable,
} from '@opentelemetry/api';

/** How the values of several targets of one name become one: counts also remain when a target has ended. */
type Kind = 'count' | 'sum' | 'max';

interface Observed {
  readonly kind: Kind;
  readonly unit: string;
  readonly description: string;
}

/** Read from `getMetrics()`, once for each collection. */
export const OBSERVED = {
  'spillway.offered': { kind: 'count', unit: '{item}', description: 'Items written or pushed.' },
  'spillway.items': {
    kind: 'count',
    unit: '{item}',
    description: 'Settled items.',
  },
  'spillway.ambiguous': {
    kind: 'count',
    unit: '{item}',
    description: 'Failed items that may have arrived.',
  },
  'spillway.waiting': { kind: 'sum', unit: '{item}', description: 'Items not admitted yet.' },
  'spillway.queue.size': { kind: 'sum', unit: '{item}', description: 'Items queued.' },
  'spillway.queue.bytes': {
    kind: 'sum',
    unit: 'By',
    description: 'Bytes queued.',
  },
  'spillway.queue.utilization': {
    kind: 'max',
    unit: '1',
    description: 'Share of the capacity in use.',
  },
  'spillway.in_flight': {
    kind: 'sum',
    unit: '{item}',
    description: 'Items in flight.',
  },
  'spillway.oldest_item.age': {
    kind: 'max',
    unit: 's',
    description: 'Age of the oldest open item.',
  },
  'spillway.producer.blocked': {
    kind: 'count',
    unit: 's',
    description: 'Time that producers waited.',
  },
  'spillway.retries': {
    kind: 'count',
    unit: '{retry}',
    description: 'Calls that were repeated.',
  },
  'spillway.state': {
    kind: 'sum',
    unit: '1',
    description: '1 for the state that holds.',
  },
  'spillway.breaker': {
    kind: 'sum',
    unit: '1',
    description: '1 for the state that holds.',
  },
  'spillway.failed': {
    kind: 'count',
    unit: '{target}',
    description: 'Streams and controllers that ended with an error.',
  },
  'spillway.lanes': {
    kind: 'sum',
    unit: '{lane}',
    description: 'Lanes that are read.',
  },
  'spillway.lag.messages': {
    kind: 'max',
    unit: '{message}',
    description: 'Messages of a log that are not loaded.',
  },
  'spillway.lag.time': {
    kind: 'max',
    unit: 's',
    description: 'Age of the oldest message of a log that is not loaded.',
  },
} as const satisfies Record<string, Observed>;

export type ObservedName = keyof typeof OBSERVED;

export interface Instruments {
  readonly flushDuration: Histogram;
  readonly batchSize: Histogram;
  /** Calls `observe` for each collection. */
  onCollect(
    observe: (report: (name: ObservedName, value: number, attributes: Attributes) => void) => Promise<void>,
  ): void;
}

export type Attributes = Readonly<Record<string, string>>;

export function makeInstruments(meter: Meter): Instruments {
  const observables = new Map<ObservedName, Observable>();
  for (const [name, { kind, unit, description }] of Object.entries(OBSERVED)) {
    const options = { unit, description };
    const observable =
      kind === 'count'
        ? meter.createObservableCounter(name, options)
        : kind === 'sum'
          ? meter.createObservableUpDownCounter(name, options)
          : meter.createObservableGauge(name, options);
    observables.set(name as ObservedName, observable);
  }
  return {
    flushDuration: meter.createHistogram('spillway.flush.duration', {
      unit: 's',
      description: 'Time of a call.',
      advice: { explicitBucketBoundaries: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60] },
    }),
    batchSize: meter.createHistogram('spillway.batch.size', {
      unit: '{item}',
      description: 'Items of a call.',
      valueType: ValueType.INT,
      advice: {
        explicitBucketBoundaries: [
          1, 10, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000,
        ],
      },
    }),
    onCollect(observe) {
      const all = [...observables.values()];
      const callback: BatchObservableCallback = (result) =>
        observe((name, value, attributes) => result.observe(observables.get(name)!, value, attributes));
      meter.addBatchObservableCallback(callback, all);
    },
  };
}
