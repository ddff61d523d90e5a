/** The charts of a recording, each with its numbers as a table. */

import { condensed, STATES, type Interval } from '../measure/intervals.js';
import type { Recording } from '../measure/recorder.js';
import { chart, type Layer } from './chart.js';
import { compact, count, duration, share } from './format.js';
import { logCharts } from './log-charts.js';
import { NOTHING, section, table, type Column, type Markup } from './markup.js';

/** More could not be told apart on a screen. */
const MOST_POINTS = 120;

const number = (name: string): Column => ({ name, isNumber: true });
/** Intervals without a length would have no speed. */
const lengthOf = ({ startMs, endMs }: Interval): number => Math.max(1, endMs - startMs);
const secondsOf = (interval: Interval): number => lengthOf(interval) / 1000;

/** What an item and its outcomes are called. */
export interface Words {
  /** In the plural. */
  readonly items: string;
  readonly delivered: string;
  readonly failed: string;
  readonly dropped: string;
  /** What an outage is. */
  readonly outage: string;
  /** The heading above what was not stored. */
  readonly losses: string;
}

export const STREAM_WORDS: Words = {
  items: 'items',
  delivered: 'delivered',
  failed: 'failed',
  dropped: 'dropped',
  outage: 'the circuit breaker was open',
  losses: 'Drops and rejects',
};

/** Of the load of a log. */
export const LOG_WORDS: Words = {
  items: 'messages',
  delivered: 'loaded',
  failed: 'dead letters',
  dropped: 'lost',
  outage: 'the log or the database could not be reached',
  losses: 'Dead letters and losses',
};

export function charts(recording: Recording, words: Words): Markup[] {
  const intervals = condensed(recording.intervals, MOST_POINTS);
  if (intervals.length === 0) return [];
  return [
    throughput(intervals, words),
    logCharts(intervals),
    pressure(intervals, recording),
    latency(intervals, recording),
  ];
}

const OUTCOMES = ['flushed', 'failed', 'dropped'] as const;
type Outcome = (typeof OUTCOMES)[number];

function throughput(intervals: readonly Interval[], words: Words): Markup {
  const { items, delivered } = words;
  const sum = (outcome: Outcome): number => sumOf(intervals.map((interval) => interval[outcome]));
  const shown = OUTCOMES.filter((outcome, index) => index === 0 || sum(outcome) > 0);
  const layers = shown.map((outcome, index): Layer => {
    return {
      name: { flushed: words.delivered, failed: words.failed, dropped: words.dropped }[outcome],
      colour: outcome,
      kind: index === 0 ? 'area' : 'line',
      values: intervals.map((interval) => interval[outcome] / secondsOf(interval)),
    };
  });
  const rates = layers[0]!.values as number[];
  const seconds = sumOf(intervals.map(secondsOf));
  const title = `Throughput, ${items} per second`;
  return section('throughput', 'Throughput', [
    chart({
      id: 'throughput-chart',
      title,
      description:
        `${count(sum('flushed'))} ${items} in ${duration(1000 * seconds)}: ${count(sum('flushed') / seconds)} per second on average, ` +
        `and at most ${count(Math.max(...rates))}. A batch counts as a whole, when it is ${delivered}.`,
      intervals,
      layers,
      numbers: table(
        title,
        [number('from'), number('to'), ...layers.map(({ name }) => number(name))],
        intervals.map(({ startMs, endMs }, index) => [
          duration(startMs),
          duration(endMs),
          ...layers.map(({ values }) => count(values[index]!)),
        ]),
      ),
    }),
  ]);
}

function pressure(intervals: readonly Interval[], { metrics }: Recording): Markup {
  const hasStates = intervals.some(({ stateMs }) => Object.values(stateMs).some((ms) => ms > 0));
  if (!hasStates && metrics.consumed !== undefined) return section('buffer', 'Buffer', fill(intervals));
  return section('buffer', 'Buffer and pressure', [fill(intervals), states(intervals)]);
}

function fill(intervals: readonly Interval[]): Markup {
  const title = 'How full the buffer was';
  const means = intervals.map((interval) => interval.fill);
  const peaks = intervals.map(({ mostFill }) => mostFill);
  const lengths = intervals.map(lengthOf);
  const mean = sumOf(means.map((value, index) => value * lengths[index]!)) / sumOf(lengths);
  // Of one sample each, both are the same.
  const hasPeaks = means.some((value, index) => value !== peaks[index]);
  return chart({
    id: 'fill-chart',
    title,
    description: `Queued and in flight, as a share of the capacity: ${share(mean)} on average, and at most ${share(Math.max(...peaks))}.`,
    intervals,
    top: Math.max(1, ...peaks),
    showValue: share,
    layers: [
      { name: 'mean', colour: 'fill', kind: 'area', values: means },
      ...(hasPeaks ? [{ name: 'most', colour: 'peak', kind: 'line', values: peaks } as const] : []),
    ],
    numbers: table(
      title,
      [number('from'), number('to'), number('mean'), number('most'), number('producer waited')],
      intervals.map(({ startMs, endMs, blockedMs }, index) => [
        duration(startMs),
        duration(endMs),
        share(means[index]!),
        share(peaks[index]!),
        duration(blockedMs),
      ]),
    ),
  });
}

function states(intervals: readonly Interval[]): Markup {
  const title = 'Pressure state, as a share of time';
  const inAll = sumOf(intervals.flatMap(({ stateMs }) => Object.values(stateMs)));
  const shown = STATES.filter((state) => intervals.some(({ stateMs }) => stateMs[state] > 0));
  const shareOf = ({ stateMs }: Interval, of: readonly (typeof STATES)[number][]): number =>
    sumOf(of.map((state) => stateMs[state])) / (sumOf(Object.values(stateMs)) || 1);
  const layers = shown.map((state, index): Layer => {
    return {
      name: state,
      colour: `state-${state}`,
      kind: 'area',
      from: intervals.map((interval) => shareOf(interval, shown.slice(0, index))),
      values: intervals.map((interval) => shareOf(interval, shown.slice(0, index + 1))),
    };
  });
  const times = shown.map((state) => {
    const ms = sumOf(intervals.map(({ stateMs }) => stateMs[state]));
    return `${state} ${share(ms / (inAll || 1))}`;
  });
  return chart({
    id: 'state-chart',
    title,
    description: `Of the time: ${times.length === 0 ? 'too short to tell' : times.join(', ')}.`,
    intervals,
    top: 1,
    isStrip: true,
    layers,
    numbers: table(
      title,
      [number('from'), number('to'), ...shown.map(number)],
      intervals.map((interval) => [
        duration(interval.startMs),
        duration(interval.endMs),
        ...shown.map((state) => share(shareOf(interval, [state]))),
      ]),
    ),
  });
}

const sumOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);

const PERCENTILES = [0.5, 0.75, 0.9, 0.95, 0.99] as const;

function latency(intervals: readonly Interval[], { latencies }: Recording): Markup {
  if (latencies.count === 0) return NOTHING;
  const title = 'Flush latency, by when calls ended';
  const lines = [
    { name: 'longest', colour: 'longest', of: (interval: Interval) => longest(interval) },
    { name: '95 %', colour: 'p95', of: (interval: Interval) => interval.latencies.percentile(0.95) },
    { name: '50 %', colour: 'p50', of: (interval: Interval) => interval.latencies.percentile(0.5) },
  ];
  const [half, most] = [latencies.percentile(0.5)!, latencies.percentile(0.95)!];
  const over = table(
    'Flush latency of the whole time',
    ['calls', ...PERCENTILES.map((of) => number(share(of))), number('longest')],
    [
      [
        count(latencies.count),
        ...PERCENTILES.map((of) => duration(latencies.percentile(of)!)),
        duration(latencies.longestMs),
      ],
    ],
  );
  return section('latency', 'Flush latency', [
    over,
    chart({
      id: 'latency-chart',
      title,
      description: `Half of the ${count(latencies.count)} calls took at most ${duration(half)}, 95 % at most ${duration(most)}, and the longest ${duration(latencies.longestMs)}.`,
      intervals,
      isContinuous: true,
      showValue: (value, top) => (top >= 1000 ? `${compact(value / 1000)} s` : `${compact(value)} ms`),
      layers: lines.map(({ name, colour, of }) => ({
        name,
        colour,
        kind: 'line',
        values: intervals.map(of),
      })),
      numbers: table(
        title,
        [number('from'), number('to'), number('calls'), ...lines.map(({ name }) => number(name))],
        intervals
          .filter((interval) => interval.latencies.count > 0)
          .map((interval) => [
            duration(interval.startMs),
            duration(interval.endMs),
            count(interval.latencies.count),
            ...lines.map(({ of }) => duration(of(interval)!)),
          ]),
      ),
    }),
  ]);
}

const longest = ({ latencies }: Interval): number | undefined =>
  latencies.count === 0 ? undefined : latencies.longestMs;
