/** The view of a load: what is sampled at each tick, and how it reads. */

import type { FlushReport } from '../../api/events.js';
import type { SinkMetrics } from '../../api/metrics.js';
import type { BackpressureState } from '../../api/states.js';
import { LatencyHistogram } from '../../report/measure/latency-histogram.js';
import { count, counted, duration, mebibytes } from '../common/counted.js';
import { oneLine } from '../common/errors.js';
import type { Block, Part, Row } from './block.js';
import type { LoadReading, WatchedSink } from './reading.js';
import { Estimate, RecentRate, TimeSeries } from './series.js';
import { bar, latency, sparkline, type Style, type Tone } from './style.js';

/** A batch that takes longer is worth a line. */
const SLOW_ANSWER_MS = 5_000;

/** Everything that the view shows, at one instant. */
export interface LoadState {
  readonly reading: LoadReading;
  readonly elapsedMs: number;
  /** Undefined before rows are loaded. */
  readonly sink: SinkState | undefined;
  /** Until the next attempt; undefined if none is waited for. */
  readonly nextAttemptMs: number | undefined;
}

export interface SinkState {
  readonly metrics: SinkMetrics;
  readonly restMs: number | undefined;
  /** Of the input, in its unit. */
  readonly speed: number;
  readonly rate: number;
  readonly meanRate: number;
  readonly rates: TimeSeries;
  readonly fills: TimeSeries;
  readonly latencies: TimeSeries;
  /** Of all flushes. */
  readonly latency: LatencyHistogram;
}

export class LoadTracker {
  #watched: WatchedSink | undefined;
  #since = 0;
  readonly #rates = new TimeSeries('mean');
  readonly #fills = new TimeSeries('mean');
  readonly #latencies = new TimeSeries('most');
  readonly #latency = new LatencyHistogram();
  readonly #rows = new RecentRate();
  readonly #input = new RecentRate();
  readonly #rest = new Estimate();
  /** Of the flushes since the last tick. */
  #longestMs = 0;
  readonly #onFlush = ({ latencyMs }: FlushReport): void => {
    this.#latency.record(latencyMs);
    this.#longestMs = Math.max(this.#longestMs, latencyMs);
  };

  sample(reading: LoadReading, now: number, elapsedMs: number): LoadState {
    const { sink, nextAttemptAt } = reading;
    if (sink !== undefined && sink !== this.#watched) this.#watch(sink, now);
    const nextProbe = sink?.getMetrics().nextProbeTime;
    const nextAttemptMs =
      nextProbe === undefined ? nextAttemptAt && nextAttemptAt - now : nextProbe - Date.now();
    return { reading, elapsedMs, sink: sink && this.#sampleSink(reading, sink, now), nextAttemptMs };
  }

  #watch(sink: WatchedSink, now: number): void {
    this.#watched = sink;
    this.#since = now;
    sink.on('flush', this.#onFlush);
  }

  #sampleSink({ done, total, doing }: LoadReading, sink: WatchedSink, now: number): SinkState {
    const metrics = sink.getMetrics();
    const { eventsFlushed: rows, bufferUtilization, lastFlushLatencyMs } = metrics;
    const rate = this.#rows.sample(now, rows);
    const elapsedMs = now - this.#since;
    if (elapsedMs > 0 && doing === undefined) {
      // Whole batches arrive: by the tick it would be a row of spikes.
      this.#rates.add(rate);
      this.#fills.add(bufferUtilization);
      this.#latencies.add(this.#longestMs === 0 ? lastFlushLatencyMs : this.#longestMs);
      this.#longestMs = 0;
    }
    return {
      metrics,
      restMs: this.#rest.sample(now, done, total),
      speed: this.#input.sample(now, done),
      rate,
      meanRate: elapsedMs === 0 ? 0 : (1_000 * rows) / elapsedMs,
      rates: this.#rates,
      fills: this.#fills,
      latencies: this.#latencies,
      latency: this.#latency,
    };
  }
}

/** Pure. */
export function loadBlock(state: LoadState, style: Style): Block {
  const { reading, elapsedMs, sink } = state;
  return {
    title: reading.title,
    elapsed: duration(elapsedMs),
    rows: sink === undefined ? [] : rowsOf(reading, sink, style),
    notes: notesOf(state),
    short: sink === undefined ? [] : shortOf(reading, sink),
  };
}

function rowsOf(reading: LoadReading, sink: SinkState, style: Style): Row[] {
  const { metrics, rate, meanRate, rates, fills, latencies } = sink;
  const { done, total } = reading;
  const chartOf = (series: TimeSeries, most?: number) => (width: number) => {
    const cells = series.cells(width);
    return style.paint.chart(sparkline(cells, most ?? Math.max(...cells), style));
  };
  return [
    {
      label: 'read',
      parts: readParts(reading, sink),
      chart: total === undefined ? undefined : (width) => bar(total === 0 ? 1 : done / total, width, style),
    },
    {
      label: 'rows',
      parts: [
        { text: count(metrics.eventsFlushed) },
        { text: `${count(Math.round(rate))}/s now` },
        { text: `${count(Math.round(meanRate))}/s mean` },
      ],
      chart: chartOf(rates),
    },
    { label: 'buffer', parts: bufferParts(metrics), chart: chartOf(fills, 1) },
    { label: 'flush', parts: flushParts(sink), chart: chartOf(latencies) },
    { label: 'server', parts: serverParts(reading, metrics) },
    { label: 'faults', parts: faultParts(reading, metrics) },
  ];
}

function readParts(reading: LoadReading, { speed, restMs }: SinkState): Part[] {
  const { done, total, unit } = reading;
  const perSecond = unit === 'rows' ? `${count(Math.round(speed))}/s` : `${mebibytes(speed)}/s`;
  return [
    { text: shareOf(reading) },
    ...(total === undefined || done >= total ? [] : [{ text: restOf(restMs) }]),
    { text: perSecond },
  ];
}

function shareOf({ done, total, unit }: LoadReading): string {
  const shown = unit === 'rows' ? counted : (bytes: number) => mebibytes(bytes);
  if (total === undefined) return shown(done, 'row');
  return `${percent(total === 0 ? 1 : done / total)} of ${shown(total, 'row')}`;
}

const restOf = (restMs: number | undefined): string =>
  restMs === undefined ? 'ETA unknown' : `ETA ${duration(restMs)}`;

/** Not more than is: 100 % is the whole. */
const percent = (share: number): string => `${Math.floor(100 * Math.min(1, share))} %`;

const STATES: Readonly<Record<BackpressureState, readonly [string, Tone]>> = {
  normal: ['normal', 'good'],
  elevated: ['elevated', 'warn'],
  critical: ['critical', 'warn'],
  blocked: ['blocked: reading waits for the server', 'warn'],
  draining: ['draining: all is read', 'good'],
};

function bufferParts({ bufferUtilization, state }: SinkMetrics): Part[] {
  const [text, tone] = STATES[state];
  return [{ text: `${percent(bufferUtilization)} full` }, { text, tone }];
}

function flushParts({ latency: all, metrics }: SinkState): Part[] {
  if (all.count === 0) return [{ text: 'none yet' }];
  return [
    { text: `p50 ${latency(all.percentile(0.5)!)}` },
    { text: `max ${latency(all.longestMs)}` },
    { text: `last ${latency(metrics.lastFlushLatencyMs)}` },
  ];
}

function serverParts({ connections }: LoadReading, { breaker, flushes }: SinkMetrics): Part[] {
  return [
    ...(connections === undefined
      ? []
      : [{ text: `${connections.busy} of ${connections.most} connections busy` }]),
    ...(breaker === 'closed' ? [] : [{ text: `circuit breaker ${breaker}`, tone: 'bad' as const }]),
    { text: counted(flushes, 'batch', 'batches') },
  ];
}

function faultParts({ rejects }: LoadReading, { retries, eventsDropped }: SinkMetrics): Part[] {
  return [
    warned(retries, counted(retries, 'retry', 'retries')),
    ...(rejects === undefined ? [] : [warned(rejects, counted(rejects, 'reject'))]),
    ...(eventsDropped === 0 ? [] : [warned(eventsDropped, `${counted(eventsDropped, 'row')} dropped`)]),
  ];
}

const warned = (number: number, text: string): Part => ({ text, tone: number === 0 ? 'plain' : 'warn' });

/** The most important first. */
function notesOf({ reading, sink, nextAttemptMs }: LoadState): Part[] {
  const { doing, isStopping, waitingFor, lock } = reading;
  const notes: Part[] = [];
  if (isStopping) notes.push(STOPPING);
  if (waitingFor !== undefined) {
    const error = sink?.metrics.lastError;
    const next =
      nextAttemptMs === undefined || nextAttemptMs <= 0 ? '' : `, next attempt in ${duration(nextAttemptMs)}`;
    const reason = error === undefined ? '' : ` (${oneLine(error.message)})`;
    notes.push({ text: `waiting for ${waitingFor}${next}${reason}`, tone: 'warn' });
  }
  if (doing !== undefined) notes.push({ text: doing });
  if (lock !== undefined) notes.push({ text: `waiting for ${lock}`, tone: 'warn' });
  const silentMs = sink?.metrics.oldestInFlightAgeMs ?? 0;
  if (doing === undefined && (waitingFor ?? lock) === undefined && silentMs > SLOW_ANSWER_MS)
    notes.push({ text: `waiting for the server for ${duration(silentMs)}`, tone: 'warn' });
  return notes;
}

const STOPPING: Part = {
  text: 'stopping: what was read is still loaded; Ctrl-C again ends at once',
  tone: 'warn',
};

function shortOf(reading: LoadReading, { metrics, rate, restMs }: SinkState): Part[] {
  const { total } = reading;
  return [
    ...(total === undefined ? [] : [{ text: percent(total === 0 ? 1 : reading.done / total) }]),
    { text: counted(metrics.eventsFlushed, 'row') },
    { text: `${count(Math.round(rate))}/s` },
    ...(restMs === undefined || restMs === 0 ? [] : [{ text: restOf(restMs) }]),
  ];
}
