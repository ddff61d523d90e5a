import { describe, expect, it, vi } from 'vitest';
import { startView } from '../../../../src/cli/live/live-view.js';
import { plainLine } from '../../../../src/cli/live/plain-line.js';
import { startProgress, takesView, type ProgressOptions } from '../../../../src/cli/live/progress.js';
import type { LoadReading, Reading } from '../../../../src/cli/live/reading.js';
import type { SinkMetrics } from '../../../../src/api/metrics.js';
import { BackpressureWritable } from '../../../../src/stream/backpressure-writable.js';
import { ManualClock } from '../../../support/manual-clock.js';
import { ScreenStream } from '../../../support/screen-stream.js';

function sink(changes: Partial<SinkMetrics> = {}): NonNullable<LoadReading['sink']> {
  const fresh = new BackpressureWritable(async () => undefined).getMetrics();
  return { getMetrics: () => ({ ...fresh, ...changes }), on: () => undefined };
}

function reading(changes: Partial<LoadReading> = {}): LoadReading {
  return {
    kind: 'load',
    title: 'events.csv into "events"',
    isStopping: false,
    done: 512,
    total: 1024,
    unit: 'bytes',
    sink: sink({ eventsFlushed: 5000 }),
    ...changes,
  };
}

describe('the plain line', () => {
  it.each<[string, LoadReading, string]>([
    ['of a file', reading(), '5,000 rows, 2,500 rows/s, normal, 50 % read, ETA 2 s'],
    [
      'of a pipe that is stopped',
      reading({ done: 1024 ** 2, total: undefined, isStopping: true }),
      '5,000 rows, 2,500 rows/s, stopping, 1.0 MiB read',
    ],
    [
      'of a load that waits',
      reading({ waitingFor: 'a lock', sink: sink({ retries: 1 }), rejects: 2 }),
      '0 rows, 0 rows/s, normal, waiting for a lock, 50 % read, ETA 2 s, 1 retry, 2 rejects',
    ],
    [
      'of a load that is committed',
      reading({ done: 1024, doing: 'waiting for the answer to COMMIT' }),
      '5,000 rows, 2,500 rows/s, normal, waiting for the answer to COMMIT, 100 % read',
    ],
    ['before the first row', reading({ sink: undefined, doing: 'creating the table' }), 'creating the table'],
  ])('%s', (_, given, expected) => {
    expect(plainLine(given, 2)).toBe(expected);
  });
});

function start(
  options: Partial<ProgressOptions> & { readonly isTTY?: boolean } = {},
  read: () => Reading = () => reading(),
) {
  const { isTTY = true, ...given } = options;
  const clock = new ManualClock();
  const stream = Object.assign(new ScreenStream(100, 24), { isTTY: isTTY as true });
  const loadView = vi.fn(async () => ({ startView }));
  const progress = startProgress(
    { quiet: false, environment: { NO_COLOR: '1' }, clock, loadView, ...given },
    stream as unknown as NodeJS.WriteStream,
    { read, line: (seconds) => `${seconds} s` },
  );
  return { clock, stream, loadView, progress };
}

describe('progress', () => {
  it('writes nothing, and loads no view, if it is quiet', async () => {
    const { clock, stream, loadView } = start({ quiet: true }, () => expect.unreachable());
    await clock.advance(60_000);
    expect(stream.written).toBe('');
    expect(loadView).not.toHaveBeenCalled();
    expect(clock.pending).toBe(0);
  });

  it('loads no view for a command that is over within 200 ms', async () => {
    const { clock, stream, loadView, progress } = start();
    await clock.advance(199);
    progress.stop();
    await clock.advance(60_000);
    expect(loadView).not.toHaveBeenCalled();
    expect(stream.written).toBe('');
  });

  it('draws no view that was loaded too late', async () => {
    let loaded: (view: { startView: typeof startView }) => void = () => undefined;
    const loadView = () => new Promise<{ startView: typeof startView }>((resolve) => (loaded = resolve));
    const { clock, stream, progress } = start({ loadView });
    await clock.advance(300);
    progress.stop();
    loaded({ startView });
    await clock.advance(1_000);
    expect(stream.written).toBe('');
  });

  it('on a terminal is a block that is drawn over, and removed at the end', async () => {
    let done = 0;
    const { clock, stream, progress } = start({}, () => reading({ done: (done += 10) }));
    await clock.advance(200);
    expect((await stream.lines())[1]).toContain('read     0 % of 0.0 MiB, ETA unknown');
    await clock.advance(5_000);
    const lines = await stream.lines();
    expect(lines[0]).toMatch(/^events\.csv into "events" +5 s$/);
    expect(lines.map((line) => line.split(' ')[0])).toEqual([
      'events.csv',
      'read',
      'rows',
      'buffer',
      'flush',
      'server',
      'faults',
    ]);
    progress.stop();
    expect(await stream.lines()).toEqual([]);
    expect(clock.pending).toBe(0);
    expect(stream.listenerCount('resize')).toBe(0);
  });

  it('is drawn again at once when the terminal becomes narrower', async () => {
    const { clock, stream } = start();
    await clock.advance(1_000);
    await stream.resize(45);
    const lines = await stream.lines();
    expect(lines).toHaveLength(7);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(45);
    await stream.resize(30);
    expect(await stream.lines()).toHaveLength(1);
  });

  it.each<[string, Partial<ProgressOptions> & { readonly isTTY?: boolean }]>([
    ['in a pipe', { isTTY: false }],
    ['on a dumb terminal', { environment: { TERM: 'dumb' } }],
    ['in continuous integration', { environment: { CI: 'true' } }],
    ['if rejects go to the same terminal', { sharesTerminal: true }],
  ])('is a plain line every ten seconds %s', async (_, options) => {
    const { clock, stream, loadView } = start(options);
    await clock.advance(9_999);
    expect(stream.written).toBe('');
    await clock.advance(20_001);
    expect(stream.written).toBe('10 s\n20 s\n30 s\n');
    expect(loadView).not.toHaveBeenCalled();
  });

  it.each([undefined, '', '0', 'false'])('takes CI=%s for a person', (CI) => {
    expect(takesView({ isTTY: true }, { CI, TERM: 'xterm' })).toBe(true);
  });

  it.each([
    [{ LANG: 'C' }, false],
    [{ LANG: 'en_US.UTF-8' }, true],
    [{ LANG: 'en_US.UTF-8', LC_ALL: 'POSIX' }, false],
    [{ LANG: 'de_DE.ISO-8859-1', LC_CTYPE: 'de_DE.utf8' }, true],
    [{}, true],
  ])('has charts of more than ASCII in the locale %j: %s', async (locale, isUnicode) => {
    const { clock, stream } = start({ environment: { ...locale, NO_COLOR: '1' } });
    await clock.advance(1_000);
    expect(/[^ -~]/.test((await stream.lines()).join(''))).toBe(isUnicode);
  });

  it('has colours unless NO_COLOR is set', async () => {
    for (const [environment, isColoured] of [
      [{ NO_COLOR: '1' }, false],
      [{}, true],
    ] as const) {
      const { clock, stream } = start({ environment });
      await clock.advance(1_000);
      expect(stream.written.includes('\u001b[36m')).toBe(isColoured);
    }
  });
});
