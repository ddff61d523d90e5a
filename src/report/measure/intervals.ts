/** What happened in intervals of time, one after another, in bounded memory. */

import { BackpressureState } from '../../api/states.js';
import type { ConsumeProgress } from '../../postgres/consume/consume-progress.js';
import { LatencyHistogram } from './latency-histogram.js';

export const STATES = Object.values(BackpressureState);

/** Everything in it can be merged with that of the interval behind it. */
export interface Interval {
  /** Milliseconds since the measurement began. */
  readonly startMs: number;
  readonly endMs: number;
  /** Items whose outcome became known, by outcome. */
  readonly flushed: number;
  readonly failed: number;
  readonly dropped: number;
  /** How full the buffer was at the end of the interval: 1 is full. Of several: the mean by time, and the most. */
  readonly fill: number;
  readonly mostFill: number;
  readonly stateMs: Readonly<Record<BackpressureState, number>>;
  readonly blockedMs: number;
  /** Of the calls of the flush function that ended. */
  readonly latencies: LatencyHistogram;
  /** How far a log was. Of several: at the end. */
  readonly progress?: ConsumeProgress | undefined;
}

function merged(first: Interval, second: Interval): Interval {
  const firstMs = first.endMs - first.startMs;
  const secondMs = second.endMs - second.startMs;
  const latencies = new LatencyHistogram();
  latencies.merge(first.latencies);
  latencies.merge(second.latencies);
  const inAllMs = firstMs + secondMs;
  return {
    startMs: first.startMs,
    endMs: second.endMs,
    flushed: first.flushed + second.flushed,
    failed: first.failed + second.failed,
    dropped: first.dropped + second.dropped,
    fill: inAllMs === 0 ? second.fill : (first.fill * firstMs + second.fill * secondMs) / inAllMs,
    mostFill: Math.max(first.mostFill, second.mostFill),
    stateMs: sumOfStates(first.stateMs, second.stateMs),
    blockedMs: first.blockedMs + second.blockedMs,
    latencies,
    progress: second.progress ?? first.progress,
  };
}

function sumOfStates(first: Interval['stateMs'], second: Interval['stateMs']): Interval['stateMs'] {
  return byState((state) => first[state] + second[state]);
}

export function byState<Value>(of: (state: BackpressureState) => Value): Record<BackpressureState, Value> {
  return Object.fromEntries(STATES.map((state) => [state, of(state)])) as Record<BackpressureState, Value>;
}

/** Merges neighbours, two by two, until there are at most `most`. */
export function condensed(intervals: readonly Interval[], most: number): readonly Interval[] {
  let left = intervals;
  while (left.length > most) left = inPairs(left);
  return left;
}

function inPairs(intervals: readonly Interval[]): Interval[] {
  const pairs: Interval[] = [];
  for (let index = 0; index < intervals.length; index += 2) {
    const first = intervals[index]!;
    const second = intervals[index + 1];
    pairs.push(second === undefined ? first : merged(first, second));
  }
  return pairs;
}

/** At most so many intervals. When they are full, each two become one, and those to come are twice as long. */
export class IntervalSeries {
  readonly #most: number;
  #intervals: Interval[] = [];
  /** How long the next interval is to be. */
  intervalMs: number;

  constructor(intervalMs: number, most: number) {
    this.intervalMs = intervalMs;
    this.#most = most;
  }

  get intervals(): readonly Interval[] {
    return this.#intervals;
  }

  add(interval: Interval): void {
    if (this.#intervals.length >= this.#most) {
      this.#intervals = inPairs(this.#intervals);
      this.intervalMs *= 2;
    }
    this.#intervals.push(interval);
  }
}
