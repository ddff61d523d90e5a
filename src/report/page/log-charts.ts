/** The charts of the load of a log: how far it is behind, and who reads its lanes. */

import type { ConsumeProgress } from '../../postgres/consume/consume-progress.js';
import type { Interval } from '../measure/intervals.js';
import { chart, type Chart } from './chart.js';
import { compact, count, duration } from './format.js';
import { html, NOTHING, section, table, type Column, type Markup } from './markup.js';

const number = (name: string): Column => ({ name, isNumber: true });

/** Of one that was never asked, or never answered, there is none. */
export function logCharts(intervals: readonly Interval[]): Markup {
  const known = intervals.flatMap(({ progress }) => progress ?? []);
  const last = known.at(-1);
  if (last === undefined) return NOTHING;
  return section('lag', 'Behind the log', [
    ...lagMessages(intervals, last),
    ...lagTime(intervals, last),
    ...lanes(intervals, last),
  ]);
}

/** The section has several, so that each has its own heading. During an outage nothing is known. */
function logChart(given: Omit<Chart, 'isContinuous' | 'hasGaps'>): Markup[] {
  return [html`<h3>${given.title}</h3> `, chart({ ...given, isContinuous: true, hasGaps: true })];
}

type Of = (progress: ConsumeProgress) => number;

const valuesOf = (intervals: readonly Interval[], of: Of): (number | undefined)[] =>
  intervals.map(({ progress }) => (progress === undefined ? undefined : of(progress)));

const mostOf = (values: readonly (number | undefined)[]): number =>
  Math.max(0, ...values.map((value) => value ?? 0));

/** Rows of the times at which it was known. */
function numbers(
  title: string,
  intervals: readonly Interval[],
  columns: readonly (readonly [string, (progress: ConsumeProgress) => string])[],
): Markup {
  const rows = intervals.flatMap(({ startMs, endMs, progress }) =>
    progress === undefined
      ? []
      : [[duration(startMs), duration(endMs), ...columns.map(([, of]) => of(progress))]],
  );
  return table(title, [number('from'), number('to'), ...columns.map(([name]) => number(name))], rows);
}

function lagMessages(intervals: readonly Interval[], last: ConsumeProgress): Markup[] {
  const title = 'Messages that were not loaded';
  const values = valuesOf(intervals, ({ lagMessages: messages }) => messages);
  return logChart({
    id: 'lag-messages-chart',
    title,
    description: `Messages that no worker had loaded: at most ${count(mostOf(values))}, and ${count(last.lagMessages)} at the last look. With a filter, or after deletions, there are fewer.`,
    intervals,
    layers: [{ name: 'messages', colour: 'p95', kind: 'line', values }],
    numbers: numbers(title, intervals, [['messages', (progress) => count(progress.lagMessages)]]),
  });
}

function lagTime(intervals: readonly Interval[], last: ConsumeProgress): Markup[] {
  const title = 'Age of the oldest message that was not loaded';
  const values = valuesOf(intervals, ({ lagMs }) => lagMs);
  return logChart({
    id: 'lag-time-chart',
    title,
    description: `The oldest message that no worker had loaded: at most ${duration(mostOf(values))} old, and ${duration(last.lagMs)} at the last look.`,
    intervals,
    showValue: (value, top) => (top >= 1000 ? `${compact(value / 1000)} s` : `${compact(value)} ms`),
    layers: [{ name: 'age', colour: 'p95', kind: 'line', values }],
    numbers: numbers(title, intervals, [['age', ({ lagMs }) => duration(lagMs)]]),
  });
}

function lanes(intervals: readonly Interval[], last: ConsumeProgress): Markup[] {
  const title = 'Lanes';
  const kinds: readonly [name: string, colour: string, of: Of][] = [
    ['read here', 'flushed', ({ lanesHeldHere }) => lanesHeldHere],
    ['read elsewhere', 'p95', ({ lanesHeldElsewhere }) => lanesHeldElsewhere],
    ['free', 'longest', ({ lanesFree }) => lanesFree],
  ];
  return logChart({
    id: 'lanes-chart',
    title,
    description: `Lanes at the last look: ${count(last.lanesHeldHere)} read here, ${count(last.lanesHeldElsewhere)} elsewhere, ${count(last.lanesFree)} free, and ${count(last.lanesFinished)} finished.`,
    intervals,
    layers: kinds.map(([name, colour, of]) => ({
      name,
      colour,
      kind: 'line',
      values: valuesOf(intervals, of),
    })),
    numbers: numbers(
      title,
      intervals,
      kinds.map(([name, , of]) => [name, (progress) => count(of(progress))]),
    ),
  });
}
