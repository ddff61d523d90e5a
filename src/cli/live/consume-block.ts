/** The view of a worker of `consume`. */

import type { ConsumeMetrics } from '../../postgres/consume/consume-metrics.js';
import type { ConsumeProgress } from '../../postgres/consume/consume-progress.js';
import { count, counted, duration } from '../common/counted.js';
import type { Block, Part, Row } from './block.js';
import { outageOf, type ConsumeReading } from './reading.js';
import { Estimate, RecentRate, TimeSeries } from './series.js';
import { bar, sparkline, type Style } from './style.js';

/** What was found longer ago is not taken for what is now. */
const STALE_MS = 5_000;

export interface ConsumeState {
  readonly reading: ConsumeReading;
  readonly elapsedMs: number;
  readonly rate: number;
  readonly rates: TimeSeries;
  /** NaN where it was not known. */
  readonly lags: TimeSeries;
  /** Of all workers; undefined if it is not known. */
  readonly rowsInAll: number | undefined;
  /** Until everything is loaded that is in the stream now; undefined if that is not known. */
  readonly restMs: number | undefined;
}

export class ConsumeTracker {
  readonly #rates = new TimeSeries('mean');
  readonly #lags = new TimeSeries('mean');
  readonly #rows = new RecentRate();
  readonly #rest = new Estimate();
  #last: { readonly at: number; readonly rows: number } | undefined;
  #look: { readonly progress: ConsumeProgress; readonly rowsHere: number } | undefined;
  #restMs: number | undefined;

  sample(reading: ConsumeReading, now: number, elapsedMs: number): ConsumeState {
    const { metrics, progress } = reading;
    const rows = metrics?.rowsLoaded ?? 0;
    // Between two looks nothing is known of the other workers.
    if (progress !== undefined && progress !== this.#look?.progress) {
      this.#look = { progress, rowsHere: rows };
      this.#restMs = this.#estimate(progress, now);
    }
    if (metrics !== undefined) this.#addCells(reading, now, rows);
    return {
      reading,
      elapsedMs,
      rate: this.#rows.sample(now, rows),
      rates: this.#rates,
      lags: this.#lags,
      rowsInAll: progress === undefined ? undefined : this.#rowsInAll(rows),
      restMs: staleMs(reading) === undefined ? this.#restMs : undefined,
    };
  }

  /** To both charts at once, so that they show the same time. */
  #addCells(reading: ConsumeReading, now: number, rows: number): void {
    const last = this.#last;
    this.#last = { at: now, rows };
    if (last === undefined || now <= last.at) return;
    this.#rates.add((1_000 * (rows - last.rows)) / (now - last.at));
    const isKnown = reading.progress !== undefined && staleMs(reading) === undefined;
    this.#lags.add(isKnown ? reading.progress.lagMessages : NaN);
  }

  /** Rows that were loaded here after the last look are among them. */
  #rowsInAll(rows: number): number | undefined {
    if (this.#look === undefined) return undefined;
    const { progress, rowsHere } = this.#look;
    return Math.max(rows, progress.rowsLoaded + rows - rowsHere);
  }

  /** By how much the lag becomes smaller, new messages included. */
  #estimate({ lagMessages }: ConsumeProgress, now: number): number | undefined {
    return this.#rest.sample(now, -lagMessages, 0);
  }
}

/** How old the last look is, if it says nothing of now. */
function staleMs({ progress, now }: ConsumeReading): number | undefined {
  if (progress === undefined) return undefined;
  const ageMs = now.getTime() - progress.at.getTime();
  return ageMs < STALE_MS ? undefined : ageMs;
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
  const { reading, rate, rates, lags, rowsInAll } = state;
  const { progress } = reading;
  const chartOf = (series: TimeSeries) => (width: number) => {
    const cells = series.cells(width);
    const known = cells.filter((cell) => !Number.isNaN(cell));
    return known.length === 0 ? '' : style.paint.chart(sparkline(cells, Math.max(...known), style));
  };
  const { rowsLoaded, deadLetters, retries, positionsLost } = metrics;
  return [
    ...(progress === undefined ? [] : [shareRow(progress, state, style)]),
    {
      label: 'rows',
      parts: [
        { text: `${count(rowsLoaded)} here` },
        { text: `${count(Math.round(rate))}/s` },
        ...(rowsInAll === undefined ? [] : [{ text: `${count(rowsInAll)} in all` }]),
      ],
      chart: chartOf(rates),
    },
    { label: 'behind', parts: lagParts(state), chart: chartOf(lags) },
    { label: 'lanes', parts: laneParts(metrics, reading) },
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

function lagParts({ reading }: ConsumeState): Part[] {
  const { progress } = reading;
  if (progress === undefined) return [{ text: 'not known yet' }];
  const { lagMessages, lagMs } = progress;
  const ageMs = staleMs(reading);
  const asOf: Part[] = ageMs === undefined ? [] : [{ text: `as of ${duration(ageMs)} ago`, tone: 'warn' }];
  if (lagMessages === 0)
    return [{ text: 'up to date', tone: ageMs === undefined ? 'good' : 'plain' }, ...asOf];
  return [{ text: counted(lagMessages, 'message') }, ...asOf, { text: `the oldest ${duration(lagMs)} old` }];
}

function laneParts({ lanesHeld, lanesFinished }: ConsumeMetrics, reading: ConsumeReading): Part[] {
  const { progress } = reading;
  const finished = { text: `${count(lanesFinished)} finished here` };
  if (progress === undefined || staleMs(reading) !== undefined)
    return [{ text: `${count(lanesHeld)} here` }, finished];
  // All of one moment: a lane that was free then may be read here now.
  return [
    { text: `${count(progress.lanesHeldHere)} here` },
    { text: `${count(progress.lanesHeldElsewhere)} elsewhere` },
    { text: `${count(progress.lanesFree)} free` },
    finished,
  ];
}

const warned = (number: number, text: string): Part => ({ text, tone: number === 0 ? 'plain' : 'warn' });

function notesOf(reading: ConsumeReading): Part[] {
  const { doing, isStopping, lock } = reading;
  const notes: Part[] = [];
  if (isStopping)
    notes.push({
      text: 'stopping: batches in flight are still loaded; Ctrl-C again ends at once',
      tone: 'warn',
    });
  const outage = outageOf(reading);
  if (outage !== undefined) notes.push({ text: outage, tone: 'warn' });
  if (lock !== undefined) notes.push({ text: `waiting for ${lock}`, tone: 'warn' });
  const ageMs = staleMs(reading);
  // It takes a while until an attempt counts as failed.
  if (ageMs !== undefined && (outage ?? lock ?? doing) === undefined)
    notes.push({ text: `no answer from NATS or PostgreSQL for ${duration(ageMs)}`, tone: 'warn' });
  if (doing !== undefined) notes.push({ text: doing });
  return notes;
}
