/** The view of a worker of `consume`. */

import type { ConsumeMetrics } from '../../postgres/consume/consume-metrics.js';
import type { ConsumeProgress } from '../../postgres/consume/consume-progress.js';
import { count, counted, duration } from '../common/counted.js';
import { oneLine } from '../common/errors.js';
import type { Block, Part, Row } from './block.js';
import { WAITED_FOR, type ConsumeReading } from './reading.js';
import { Estimate, RecentRate, TimeSeries } from './series.js';
import { bar, sparkline, type Style } from './style.js';

export interface ConsumeState {
  readonly reading: ConsumeReading;
  readonly elapsedMs: number;
  readonly rate: number;
  readonly rates: TimeSeries;
  readonly lags: TimeSeries;
  /** Until everything is loaded that is in the stream now; undefined if that is not known. */
  readonly restMs: number | undefined;
}

export class ConsumeTracker {
  readonly #rates = new TimeSeries('mean');
  readonly #lags = new TimeSeries('mean');
  readonly #rows = new RecentRate();
  readonly #rest = new Estimate();
  #last: { readonly at: number; readonly rows: number } | undefined;
  #look: ConsumeProgress | undefined;
  #restMs: number | undefined;

  sample(reading: ConsumeReading, now: number, elapsedMs: number): ConsumeState {
    const { metrics, progress } = reading;
    const rows = metrics?.rowsLoaded ?? 0;
    const last = this.#last;
    this.#last = { at: now, rows };
    if (last !== undefined && now > last.at) this.#rates.add((1_000 * (rows - last.rows)) / (now - last.at));
    if (progress !== undefined) this.#lags.add(progress.lagMessages);
    // Between two looks nothing is known of the other workers.
    if (progress !== undefined && progress !== this.#look) this.#restMs = this.#estimate(progress, now);
    this.#look = progress;
    return {
      reading,
      elapsedMs,
      rate: this.#rows.sample(now, rows),
      rates: this.#rates,
      lags: this.#lags,
      restMs: this.#restMs,
    };
  }

  /** By how much the lag becomes smaller, new messages included. */
  #estimate({ lagMessages }: ConsumeProgress, now: number): number | undefined {
    return this.#rest.sample(now, -lagMessages, 0);
  }
}

/** Pure. */
export function consumeBlock(state: ConsumeState, style: Style): Block {
  const { reading, elapsedMs, rate } = state;
  const { title, metrics } = reading;
  const rateText = `${count(Math.round(rate))}/s`;
  return {
    title,
    elapsed: duration(elapsedMs),
    rows: metrics === undefined ? [] : rowsOf(state, metrics, style),
    notes: notesOf(reading),
    short:
      metrics === undefined
        ? []
        : [{ text: counted(metrics.rowsLoaded, 'row') }, { text: rateText }, ...lagParts(state)],
  };
}

function rowsOf(state: ConsumeState, metrics: ConsumeMetrics, style: Style): Row[] {
  const { reading, rate, rates, lags } = state;
  const { progress } = reading;
  const chartOf = (series: TimeSeries) => (width: number) => {
    const cells = series.cells(width);
    return style.paint.chart(sparkline(cells, Math.max(...cells), style));
  };
  const { rowsLoaded, deadLetters, retries, positionsLost } = metrics;
  return [
    ...(progress === undefined ? [] : [shareRow(progress, state, style)]),
    {
      label: 'rows',
      parts: [
        { text: `${count(rowsLoaded)} here` },
        { text: `${count(Math.round(rate))}/s` },
        ...(progress === undefined ? [] : [{ text: `${count(progress.rowsLoaded)} in all` }]),
      ],
      chart: chartOf(rates),
    },
    { label: 'behind', parts: lagParts(state), chart: chartOf(lags) },
    { label: 'lanes', parts: laneParts(metrics, progress) },
    {
      label: 'faults',
      parts: [
        warned(deadLetters, counted(deadLetters, 'dead letter')),
        warned(retries, counted(retries, 'retry', 'retries')),
        ...(positionsLost === 0 ? [] : [warned(positionsLost, `${counted(positionsLost, 'position')} lost`)]),
      ],
    },
  ];
}

/** How much is loaded of what has been in the stream so far. */
function shareRow(
  { rowsLoaded, deadLetters, lagMessages }: ConsumeProgress,
  { restMs }: ConsumeState,
  style: Style,
): Row {
  const done = rowsLoaded + deadLetters;
  const share = lagMessages === 0 ? 1 : done / (done + lagMessages);
  const rest = lagMessages === 0 || restMs === undefined ? [] : [{ text: `ETA ${duration(restMs)}` }];
  return {
    label: 'loaded',
    parts: [{ text: `${Math.floor(100 * share)} %` }, ...rest],
    chart: (width) => bar(share, width, style),
  };
}

function lagParts({ reading: { progress } }: ConsumeState): Part[] {
  if (progress === undefined) return [{ text: 'not known yet' }];
  const { lagMessages, lagMs } = progress;
  if (lagMessages === 0) return [{ text: 'up to date', tone: 'good' }];
  return [{ text: counted(lagMessages, 'message') }, { text: `the oldest ${duration(lagMs)} old` }];
}

function laneParts(
  { lanesHeld, lanesFinished }: ConsumeMetrics,
  progress: ConsumeProgress | undefined,
): Part[] {
  const others =
    progress === undefined
      ? []
      : [
          { text: `${count(progress.lanesHeldElsewhere)} elsewhere` },
          { text: `${count(progress.lanesFree)} free` },
        ];
  return [{ text: `${count(lanesHeld)} here` }, ...others, { text: `${count(lanesFinished)} finished here` }];
}

const warned = (number: number, text: string): Part => ({ text, tone: number === 0 ? 'plain' : 'warn' });

function notesOf({ metrics, doing, isStopping, now }: ConsumeReading): Part[] {
  const notes: Part[] = [];
  if (isStopping)
    notes.push({
      text: 'stopping: batches in flight are still loaded; Ctrl-C again ends at once',
      tone: 'warn',
    });
  if (metrics?.waitingFor !== undefined) {
    const since = duration(Math.max(0, now.getTime() - metrics.waitingSince!.getTime()));
    const reason = metrics.lastError === undefined ? '' : ` (${oneLine(metrics.lastError.message)})`;
    notes.push({ text: `waiting for ${WAITED_FOR[metrics.waitingFor]} for ${since}${reason}`, tone: 'warn' });
  }
  if (doing !== undefined) notes.push({ text: doing });
  return notes;
}
