import { describe, expect, it } from 'vitest';
import {
  BackpressureWritable,
  type DrainOnSignalsOptions,
  type SignalDrainReport,
} from '../../../src/index.js';
import { listenForSignals } from '../../../src/shutdown/drain-on-signals.js';
import { FakeProcess } from '../../support/fake-process.js';
import { ManualClock } from '../../support/manual-clock.js';
import { ManualDestination } from '../../support/destinations.js';
import { range } from '../../support/range.js';
import { turn } from '../../support/stream.js';

const ENDED = ['kill 4711 SIGTERM', 'exit 143'];

function create(options: (clock: ManualClock) => DrainOnSignalsOptions) {
  const clock = new ManualClock();
  const target = new FakeProcess();
  const reports: SignalDrainReport[] = [];
  const destination = new ManualDestination<number>();
  const sink = new BackpressureWritable<number>(destination.flush, { clock, batchSize: 10, abortGraceMs: 0 });
  listenForSignals(
    target,
    clock,
    [sink],
    { timeoutMs: 1_000, onDrained: (report) => void reports.push(report), ...options(clock) },
    target.writeLine,
  );
  return { clock, target, reports, destination, sink };
}

describe('beforeDrain', () => {
  it('gets the signal, and the sinks take items until it is over', async () => {
    const heard: unknown[] = [];
    const { clock, target, reports, destination, sink } = create((clock) => ({
      beforeDrain: (signal) => {
        heard.push(signal);
        return new Promise<void>((resolve) => void clock.setTimeout(resolve, 300));
      },
    }));
    sink.write(0);
    target.signal();
    await clock.advance(299);
    expect(heard).toEqual(['SIGTERM']);
    expect(sink.getMetrics().state).toBe('normal');
    expect(sink.write(1)).toBe(true);
    await clock.advance(1);
    expect(sink.getMetrics().state).toBe('draining');
    await destination.answerAll();
    expect(destination.items).toEqual([0, 1]);
    expect(reports[0]).toMatchObject({ undelivered: [] });
    expect(target.done).toEqual(ENDED);
    expect(clock.pending).toBe(0);
  });

  it.each([
    ['throws', () => { throw new Error('no'); }, 0, 'BackpressureError: beforeDrain failed: no'],
    ['rejects', () => Promise.reject(new Error('no')), 0, 'BackpressureError: beforeDrain failed: no'],
    ['hangs', () => new Promise(() => undefined), 500, 'beforeDrain has not answered within 500 ms'],
  ] as const)('beforeDrain that %s is reported by a warning, and the drain goes on within timeoutMs', async (_name, beforeDrain, ms, text) => {
    const { clock, target, reports, sink } = create(() => ({ beforeDrain }));
    for (const item of range(3)) sink.write(item);
    target.signal();
    await clock.advance(ms);
    await turn();
    expect(target.done).toEqual([`warning ${text}`]);
    expect(sink.getMetrics().state).toBe('draining');
    await clock.advance(999 - ms);
    expect(reports).toEqual([]);
    await clock.advance(1);
    await turn();
    expect(reports[0]).toMatchObject({ undelivered: range(3) });
    expect(target.done.slice(1)).toEqual(ENDED);
  }); // prettier-ignore

  it('runs once, whatever is signalled meanwhile; a second SIGINT ends the process', async () => {
    let calls = 0;
    const { clock, target, sink } = create(() => ({
      timeoutMs: 60_000,
      beforeDrain: () => {
        calls++;
        return new Promise(() => undefined);
      },
    }));
    sink.write(1);
    target.signal('SIGINT');
    target.signal('SIGTERM');
    target.signal('SIGINT');
    await clock.advance(1_000);
    expect(calls).toBe(1);
    expect(target.done).toEqual([]);
    target.signal('SIGINT');
    await turn();
    expect(target.done).toEqual(['kill 4711 SIGINT', 'exit 130']);
    expect(target.lines).toEqual([
      'spillway: 1 item was not delivered before a second SIGINT ended the process',
    ]);
  });
});
