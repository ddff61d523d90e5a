/** Records what a sink does, for a report: by `getMetrics()` at an interval, and by the events of flushes, retries and outages. */

import type { AnyListener, SinkEvents } from '../../api/events.js';
import type { ConsumeProgress } from '../../postgres/consume/consume-progress.js';
import type { Clock, TimerHandle } from '../../common/clock.js';
import { Causes, causeOf, type Cause } from './causes.js';
import { byState, IntervalSeries, type Interval } from './intervals.js';
import { LatencyHistogram } from './latency-histogram.js';
import { readingOf, type Reading, type ReportMetrics } from './reading.js';

const MOST_INTERVALS = 600;
/** Later ones are counted only. */
const MOST_OUTAGES = 50;

/** How often it is asked how far a log is behind. An answer costs a transaction and two requests. */
const LAG_INTERVAL_MS = 1_000;

/** What a report can be made of: `BackpressureWritable`, `BackpressureTransform`, `BackpressureController`, and what `consumeLog` returns. */
export interface ReportTarget {
  getMetrics(): ReportMetrics;
  progress?(): Promise<ConsumeProgress>;
  on?(event: string, listener: AnyListener): unknown;
  off?(event: string, listener: AnyListener): unknown;
}

/** The circuit breaker was open, or probed. */
export interface Outage {
  readonly startMs: number;
  /** Undefined while it lasts. */
  readonly endMs: number | undefined;
  readonly cause: Pick<Cause, 'code' | 'message'>;
}

/** Everything that was recorded up to now. */
export interface Recording {
  readonly durationMs: number;
  readonly intervals: readonly Interval[];
  readonly latencies: LatencyHistogram;
  readonly metrics: Reading;
  /** How far a log was when it was asked last. */
  readonly progress: ConsumeProgress | undefined;
  /** Why items failed, and why calls were made again. */
  readonly failures: readonly Cause[];
  readonly retries: readonly Cause[];
  readonly outages: readonly Outage[];
  /** Outages that are not among them. */
  readonly moreOutages: number;
}

export class Recorder {
  readonly #failures = new Causes();
  readonly #retries = new Causes();
  readonly #clock: Clock;
  readonly #series: IntervalSeries;
  readonly #startedAt: number;
  readonly #latencies = new LatencyHistogram();
  readonly #outages: Outage[] = [];
  #moreOutages = 0;
  #timer: TimerHandle;
  #target: ReportTarget;
  #last: Reading;
  #lastAt: number;
  #recent = new LatencyHistogram();
  #isStopped = false;
  #progress: ConsumeProgress | undefined;
  /** When it was asked for. */
  #askedAt = -Infinity;
  #isAsking = false;
  readonly #listeners: { readonly [Name in Observed]: (...args: SinkEvents<unknown>[Name]) => void } = {
    flush: ({ latencyMs }) => {
      this.#recent.record(latencyMs);
      this.#latencies.record(latencyMs);
    },
    retry: ({ error }) => this.#retries.add(causeOf(error)),
    failed: (failures) => {
      for (const { error } of failures) this.#failures.add(causeOf(error));
    },
    breaker: (state, previous, reason) => this.#onBreaker(state, previous, reason),
  };

  constructor(target: ReportTarget, clock: Clock, intervalMs: number) {
    this.#clock = clock;
    this.#series = new IntervalSeries(intervalMs, MOST_INTERVALS);
    this.#startedAt = this.#clock.now();
    this.#lastAt = this.#startedAt;
    this.#target = target;
    this.#last = readingOf(target.getMetrics());
    this.#listen('on');
    this.#askProgress();
    this.#setTimer();
  }

  /** Goes on with another target, whose counts begin at 0. */
  continueWith(target: ReportTarget): void {
    this.#sample();
    this.#listen('off');
    this.#target = target;
    this.#last = readingOf(target.getMetrics());
    this.#listen('on');
  }

  /** Records nothing more. What was recorded stays. */
  stop(): void {
    if (this.#isStopped) return;
    this.#sample();
    this.#isStopped = true;
    this.#clock.clearTimeout(this.#timer);
    this.#listen('off');
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  recording(): Recording {
    if (!this.#isStopped) this.#sample();
    return {
      durationMs: this.#lastAt - this.#startedAt,
      intervals: this.#series.intervals,
      latencies: this.#latencies,
      metrics: this.#last,
      progress: this.#progress,
      failures: this.#failures.list(),
      retries: this.#retries.list(),
      outages: this.#outages,
      moreOutages: this.#moreOutages,
    };
  }

  /** It does not keep the process alive. */
  #setTimer(): void {
    this.#timer = this.#clock.setTimeout(() => {
      this.#sample();
      this.#askProgress();
      this.#setTimer();
    }, this.#series.intervalMs);
    (this.#timer as Partial<NodeJS.Timeout> | undefined)?.unref?.();
  }

  #listen(way: 'on' | 'off'): void {
    for (const [name, listener] of Object.entries(this.#listeners)) this.#target[way]?.(name, listener);
  }

  #sample(): void {
    const now = this.#clock.now();
    const before = this.#last;
    const after = readingOf(this.#target.getMetrics());
    const hasEvents = this.#recent.count > 0 || countsDiffer(before, after);
    if (now <= this.#lastAt && !hasEvents) return;
    this.#series.add({
      startMs: this.#lastAt - this.#startedAt,
      endMs: now - this.#startedAt,
      flushed: after.eventsFlushed - before.eventsFlushed,
      failed: after.eventsFailed - before.eventsFailed,
      dropped: after.eventsDropped - before.eventsDropped,
      fill: after.bufferUtilization,
      mostFill: after.bufferUtilization,
      stateMs: byState((state) => (after.timeInStateMs[state] ?? 0) - (before.timeInStateMs[state] ?? 0)),
      blockedMs: after.producerBlockedMs - before.producerBlockedMs,
      latencies: this.#recent,
      progress: this.#progress,
    });
    this.#recent = new LatencyHistogram();
    this.#last = after;
    this.#lastAt = now;
  }

  /** What it was is part of the samples until the next answer comes, or there is none. */
  #askProgress(): void {
    const now = this.#clock.now();
    if (this.#target.progress === undefined || this.#isAsking || now - this.#askedAt < LAG_INTERVAL_MS)
      return;
    this.#askedAt = now;
    this.#isAsking = true;
    const answered = (progress: ConsumeProgress | undefined): void => {
      this.#isAsking = false;
      if (!this.#isStopped) this.#progress = progress;
    };
    this.#target.progress().then(answered, () => answered(undefined));
  }

  #onBreaker(...[state, previous, reason]: SinkEvents<unknown>['breaker']): void {
    const nowMs = this.#clock.now() - this.#startedAt;
    if (state === 'closed') {
      const open = this.#outages.at(-1);
      if (open?.endMs === undefined && open !== undefined)
        this.#outages.splice(-1, 1, { ...open, endMs: nowMs });
    } else if (previous === 'closed') {
      if (this.#outages.length === MOST_OUTAGES) this.#moreOutages += 1;
      else this.#outages.push({ startMs: nowMs, endMs: undefined, cause: causeOf(reason) });
    }
  }
}

type Observed = 'flush' | 'retry' | 'failed' | 'breaker';

function countsDiffer(before: Reading, after: Reading): boolean {
  return (
    before.eventsFlushed !== after.eventsFlushed ||
    before.eventsFailed !== after.eventsFailed ||
    before.eventsDropped !== after.eventsDropped
  );
}
