import { describe, expect, it } from 'vitest';
import { BackpressureWritable } from '../../../../src/stream/backpressure-writable.js';
import { BackpressureTransform } from '../../../../src/stream/backpressure-transform.js';
import { Causes, causeOf } from '../../../../src/report/measure/causes.js';
import {
  condensed,
  IntervalSeries,
  byState,
  type Interval,
} from '../../../../src/report/measure/intervals.js';
import { LatencyHistogram } from '../../../../src/report/measure/latency-histogram.js';
import { Recorder } from '../../../../src/report/measure/recorder.js';
import { ManualClock, settle } from '../../../support/manual-clock.js';

function interval(startMs: number, endMs: number, changes: Partial<Interval> = {}): Interval {
  return {
    startMs,
    endMs,
    flushed: 0,
    failed: 0,
    dropped: 0,
    fill: 0,
    mostFill: 0,
    stateMs: byState(() => 0),
    blockedMs: 0,
    latencies: new LatencyHistogram(),
    ...changes,
  };
}

describe('a histogram of latencies', () => {
  it('returns percentiles to 5 %, and the longest one exactly', () => {
    const histogram = new LatencyHistogram();
    for (let ms = 1; ms <= 1000; ms += 1) histogram.record(ms);
    for (const [share, expected] of [
      [0.5, 500],
      [0.95, 950],
      [0.99, 990],
    ] as const) {
      const found = histogram.percentile(share)!;
      expect(Math.abs(found - expected) / expected, String(share)).toBeLessThan(0.055);
    }
    expect(histogram.percentile(1)).toBe(1000);
    expect(histogram.longestMs).toBe(1000);
  });

  it('has no percentile of nothing, and takes 0 and large numbers', () => {
    const histogram = new LatencyHistogram();
    expect(histogram.percentile(0.5)).toBeUndefined();
    histogram.record(0);
    expect(histogram.percentile(0.5)).toBe(0);
    histogram.record(1e12);
    expect(histogram.percentile(1)).toBe(1e12);
  });

  it('that is merged with another has the calls of both', () => {
    const [one, other] = [new LatencyHistogram(), new LatencyHistogram()];
    one.record(1);
    other.record(100);
    other.record(100);
    one.merge(other);
    expect(one.count).toBe(3);
    expect(one.longestMs).toBe(100);
    expect(one.percentile(0.3)).toBeCloseTo(1, 1);
    expect(other.count).toBe(2);
  });
});

describe('a series of intervals', () => {
  it('keeps no more than its bound, and loses nothing by merging', () => {
    const series = new IntervalSeries(10, 8);
    for (let n = 0; n < 1000; n += 1) {
      const latencies = new LatencyHistogram();
      latencies.record(n);
      series.add(interval(n, n + 1, { flushed: n, mostFill: n === 500 ? 1 : 0.1, latencies }));
      expect(series.intervals.length).toBeLessThanOrEqual(8);
    }
    const all = series.intervals;
    expect(all[0]!.startMs).toBe(0);
    expect(all.at(-1)!.endMs).toBe(1000);
    for (const [index, { startMs }] of all.entries())
      if (index > 0) expect(startMs).toBe(all[index - 1]!.endMs);
    expect(all.reduce((sum, { flushed }) => sum + flushed, 0)).toBe(499_500);
    expect(all.reduce((sum, { latencies }) => sum + latencies.count, 0)).toBe(1000);
    expect(Math.max(...all.map(({ mostFill }) => mostFill))).toBe(1);
    // 1000 intervals in at most 8: the length was doubled as often as needed.
    expect(series.intervalMs).toBeGreaterThanOrEqual(10 * 128);
  });

  it('weighs the fill of merged intervals by their length', () => {
    const [merged] = condensed([interval(0, 30, { fill: 1 }), interval(30, 40, { fill: 0 })], 1);
    expect(merged).toMatchObject({ startMs: 0, endMs: 40, fill: 0.75 });
  });

  it('that is condensed keeps an odd one at its end', () => {
    const three = [
      interval(0, 1, { flushed: 1 }),
      interval(1, 2, { flushed: 2 }),
      interval(2, 3, { flushed: 4 }),
    ];
    expect(condensed(three, 2).map(({ flushed }) => flushed)).toEqual([3, 4]);
  });
});

describe('the cause of a failure', () => {
  const database = Object.assign(new Error('duplicate key'), { code: '23505' });
  it.each([
    ['an SQLSTATE', database, '23505', 'duplicate key'],
    [
      'an SQLSTATE within frames',
      Object.assign(new Error('row 3 of the batch'), {
        code: 'ERR_BACKPRESSURE_COPY',
        cause: Object.assign(new Error('copy'), { sqlState: '23505', cause: database }),
      }),
      '23505',
      'duplicate key',
    ],
    [
      'a code of Node.js below one of ours',
      Object.assign(new Error('frame'), {
        code: 'ERR_BACKPRESSURE_FLUSH_FAILED',
        cause: Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }),
      }),
      'ECONNREFUSED',
      'connect',
    ],
    ['a name', new TypeError('no'), 'TypeError', 'no'],
    ['something that is no error', 'just a text', 'Error', 'just a text'],
    ['nothing', undefined, 'Error', 'undefined'],
  ])('is found for %s', (_, error, code, message) => {
    const found = causeOf(error);
    expect(found.code).toBe(code);
    expect(found.message).toContain(message);
  });

  it('in a circle of causes is found', () => {
    const error: Error & { cause?: unknown } = new Error('round');
    error.cause = error;
    expect(causeOf(error).code).toBe('Error');
  });

  it('has a message of bounded length', () => {
    expect(causeOf(new Error('x'.repeat(100_000))).message.length).toBeLessThan(400);
  });

  it('is counted by its code, in bounded memory', () => {
    const causes = new Causes();
    for (let n = 0; n < 1000; n += 1) causes.add({ code: `C${n}`, message: `m${n}` });
    causes.add({ code: 'C3', message: 'another' });
    const list = causes.list();
    expect(list.length).toBeLessThanOrEqual(51);
    expect(list[0]).toMatchObject({ code: 'others', count: 950 });
    expect(list[1]).toEqual({ code: 'C3', message: 'm3', count: 2 });
  });
});

describe('a recorder', () => {
  function recorded(flush: () => Promise<undefined>, options: object = {}) {
    const clock = new ManualClock();
    const sink = new BackpressureWritable<number>(flush, {
      clock,
      batchSize: 2,
      maxBufferSize: 4,
      strategy: 'drop_newest',
      minFlushIntervalMs: 10,
      ...options,
    });
    return { clock, sink, recorder: new Recorder(sink, clock, 100) };
  }

  it('counts each item in the interval in which its outcome became known', async () => {
    let release: () => void = () => undefined;
    const { clock, sink, recorder } = recorded(
      () => new Promise<undefined>((resolve) => (release = () => resolve(undefined))),
    );
    for (let n = 0; n < 6; n += 1) sink.write(n);
    await clock.advance(250);
    release();
    await clock.advance(100);
    const { intervals, durationMs, latencies } = recorder.recording();
    expect(durationMs).toBe(350);
    expect(intervals.map(({ flushed, dropped, failed }) => [flushed, dropped, failed])).toEqual([
      [0, 2, 0],
      [0, 0, 0],
      [2, 0, 0],
      [0, 0, 0],
    ]);
    expect(intervals.map(({ fill }) => fill)).toEqual([1, 1, 0.5, 0.5]);
    expect(intervals[1]!.stateMs.blocked).toBe(100);
    expect(latencies.count).toBe(1);
    expect(latencies.longestMs).toBe(250);
    sink.destroy();
    recorder.stop();
  });

  it('sees what happened since its last sample when it stops, and nothing after', async () => {
    const { clock, sink, recorder } = recorded(async () => undefined);
    sink.write(1);
    sink.write(2);
    await settle();
    recorder.stop();
    sink.write(3);
    sink.write(4);
    await clock.advance(1000);
    const { intervals } = recorder.recording();
    expect(intervals.map(({ flushed }) => flushed)).toEqual([2]);
    expect(clock.pending).toBe(0);
    for (const event of ['flush', 'retry', 'failed', 'breaker']) expect(sink.listenerCount(event)).toBe(0);
  });

  it('has failures, retries and outages by cause', async () => {
    let fails = true;
    const { clock, sink, recorder } = recorded(
      async () => {
        if (fails) throw Object.assign(new Error('gone'), { code: 'ECONNREFUSED' });
        return undefined;
      },
      { onFailed: () => undefined, breaker: { failures: 1, minDelayMs: 50, maxDelayMs: 50 } },
    );
    sink.write(1);
    sink.write(2);
    await clock.advance(120);
    fails = false;
    await clock.advance(1000);
    const { retries, outages, failures } = recorder.recording();
    expect([...retries, ...failures][0]).toMatchObject({ code: 'ECONNREFUSED', message: 'gone' });
    expect(outages).toHaveLength(1);
    expect(outages[0]!.cause.code).toBe('ECONNREFUSED');
    sink.destroy();
    recorder.stop();
  });

  it('goes on with another target, and adds up both', async () => {
    const clock = new ManualClock();
    const counting = (eventsFlushed: number) => ({
      getMetrics: () => ({ ...new BackpressureTransform().getMetrics(), eventsFlushed }),
    });
    const target = counting(0);
    const recorder = new Recorder(target, clock, 100);
    target.getMetrics = counting(5).getMetrics;
    await clock.advance(10);
    const next = counting(0);
    recorder.continueWith(next);
    next.getMetrics = counting(7).getMetrics;
    await clock.advance(10);
    const { intervals } = recorder.recording();
    expect(intervals.reduce((sum, { flushed }) => sum + flushed, 0)).toBe(12);
    recorder.stop();
  });

  it('of days has at most 600 intervals', async () => {
    const { clock, sink, recorder } = recorded(async () => undefined);
    await clock.advance(3_600_000);
    expect(recorder.recording().intervals.length).toBeLessThanOrEqual(600);
    sink.destroy();
    recorder.stop();
  });
});
