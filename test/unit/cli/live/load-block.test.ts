import { describe, expect, it } from 'vitest';
import type { FlushReport } from '../../../../src/api/events.js';
import type { SinkMetrics } from '../../../../src/api/metrics.js';
import { layout } from '../../../../src/cli/live/block.js';
import { LoadTracker, loadBlock } from '../../../../src/cli/live/load-block.js';
import type { LoadReading } from '../../../../src/cli/live/reading.js';
import { createStyle } from '../../../../src/cli/live/style.js';
import { BackpressureWritable } from '../../../../src/stream/backpressure-writable.js';

const STYLE = createStyle({ isUnicode: true, hasColours: false });
const MIB = 1024 ** 2;

/** A sink that flushes as it is told. */
function fakeSink() {
  const metrics: SinkMetrics = new BackpressureWritable(async () => undefined).getMetrics();
  const listeners: ((report: FlushReport) => void)[] = [];
  return {
    metrics,
    flush: (rows: number, latencyMs: number) => {
      Object.assign(metrics, { eventsFlushed: metrics.eventsFlushed + rows, lastFlushLatencyMs: latencyMs });
      for (const listener of listeners) listener({ latencyMs } as FlushReport);
    },
    sink: {
      getMetrics: () => metrics,
      on: (_: 'flush', listener: (report: FlushReport) => void) => listeners.push(listener),
    },
  };
}

function reading(changes: Partial<LoadReading>): LoadReading {
  return {
    kind: 'load',
    title: 'events.csv into "events" of localhost/shop',
    isStopping: false,
    done: 0,
    total: 100 * MIB,
    unit: 'bytes',
    sink: undefined,
    connections: { busy: 3, most: 4 },
    ...changes,
  };
}

/** Ten seconds of a load, 1 000 rows at each tick. */
function afterTenSeconds(changes: Partial<LoadReading> = {}, changed: Partial<SinkMetrics> = {}): string[] {
  const { metrics, flush, sink } = fakeSink();
  const tracker = new LoadTracker();
  let lines: string[] = [];
  for (let tick = 0; tick <= 40; tick += 1) {
    Object.assign(metrics, { bufferUtilization: tick / 40, state: 'elevated' });
    if (tick > 0) flush(1_000, 10 + tick);
    if (tick === 40) Object.assign(metrics, changed);
    const given = reading({ sink, done: tick * MIB, ...(tick === 40 ? changes : {}) });
    lines = layout(
      loadBlock(tracker.sample(given, 250 * tick, 250 * tick), STYLE),
      { columns: 90, rows: 24 },
      STYLE,
    );
  }
  return lines.map((line) => line.trimEnd());
}

describe('the view of a load', () => {
  it('shows what is read, rows, pressure, latency and connections over time', () => {
    expect(afterTenSeconds()).toEqual([
      'events.csv into "events" of localhost/shop                                           10 s',
      'read     40 % of 100.0 MiB, ETA 15 s, 4.0 MiB/s          ████████████▊░░░░░░░░░░░░░░░░░░░',
      'rows     40,000, 4,000/s now, 4,000/s mean               ████████████████████',
      'buffer   100 % full, elevated                            ▂▂▂▃▃▄▄▄▅▅▅▆▆▆▇▇▇███',
      'flush    p50 30 ms, max 50 ms, last 50 ms                ▃▃▄▄▄▅▅▅▅▆▆▆▇▇▇▇████',
      'server   3 of 4 connections busy, 0 batches',
      'faults   0 retries',
    ]);
  });

  it('has neither a bar nor an ETA if the size is unknown', () => {
    expect(afterTenSeconds({ total: undefined })[1]).toBe('read     40.0 MiB, 4.0 MiB/s');
  });

  it('shows rejects, retries, drops and an open circuit breaker', () => {
    const lines = afterTenSeconds({ rejects: 1 }, { retries: 2, eventsDropped: 3, breaker: 'open' });
    expect(lines.slice(5)).toEqual([
      'server   3 of 4 connections busy, circuit breaker open, 0 batches',
      'faults   2 retries, 1 reject, 3 rows dropped',
    ]);
  });

  it.each<[string, Partial<LoadReading>, Partial<SinkMetrics>, string[]]>([
    [
      'a lost connection, with the time of the next attempt and the reason',
      { waitingFor: 'a connection', nextAttemptAt: 13_000 },
      { lastError: new Error('connect ECONNREFUSED\n127.0.0.1:5432') },
      ['waiting for a connection, next attempt in 3 s (connect ECONNREFUSED 127.0.0.1:5432)'],
    ],
    [
      'an attempt that is under way',
      { waitingFor: 'a lock', nextAttemptAt: 9_000 },
      {},
      ['waiting for a lock'],
    ],
    [
      'the answer to COMMIT',
      { doing: 'waiting for the answer to COMMIT' },
      {},
      ['waiting for the answer to COMMIT'],
    ],
    ['a server that does not answer', {}, { oldestInFlightAgeMs: 7_000 }, ['waiting for the server for 7 s']],
    [
      'who holds the lock that the server waits for',
      { lock: 'a lock held by process 7' },
      { oldestInFlightAgeMs: 7_000 },
      ['waiting for a lock held by process 7'],
    ],
    [
      'a stop, and how to end at once',
      { isStopping: true, waitingFor: 'a lock' },
      {},
      ['stopping: what was read is still loaded; Ctrl-C again ends at once', 'waiting for a lock'],
    ],
  ])('says %s', (_, changes, changed, notes) => {
    expect(afterTenSeconds(changes, changed).slice(7)).toEqual(notes);
  });

  it('before the first row says what is done, also in one line', () => {
    const block = loadBlock(
      new LoadTracker().sample(reading({ doing: 'creating the table' }), 500, 500),
      STYLE,
    );
    expect(layout(block, { columns: 80, rows: 24 }, STYLE).at(-1)).toBe('creating the table');
    expect(layout(block, { columns: 30, rows: 24 }, STYLE)).toEqual(['creating the table']);
  });

  it('measures the sink of a load that has started over from its beginning', () => {
    const [first, second] = [fakeSink(), fakeSink()];
    const tracker = new LoadTracker();
    tracker.sample(reading({ sink: first.sink }), 0, 0);
    first.flush(8_000, 10);
    tracker.sample(reading({ sink: first.sink }), 1_000, 1_000);
    tracker.sample(reading({ sink: second.sink }), 2_000, 2_000);
    second.flush(500, 10);
    const { sink } = tracker.sample(reading({ sink: second.sink }), 3_000, 3_000);
    expect(sink).toMatchObject({ rate: 500, meanRate: 500 });
    expect(sink!.rates.cells(40)).toEqual([8_000, 500]);
  });
});
