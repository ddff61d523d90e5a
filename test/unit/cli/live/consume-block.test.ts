import { describe, expect, it } from 'vitest';
import { layout } from '../../../../src/cli/live/block.js';
import { ConsumeTracker, consumeBlock } from '../../../../src/cli/live/consume-block.js';
import type { ConsumeReading } from '../../../../src/cli/live/reading.js';
import { createStyle } from '../../../../src/cli/live/style.js';

const STYLE = createStyle({ isUnicode: true, hasColours: false });
const NOW = new Date('2026-11-30T08:00:00Z');
const METRICS = {
  rowsLoaded: 0,
  deadLetters: 0,
  lanesHeld: 2,
  lanesFinished: 5,
  retries: 0,
  positionsLost: 0,
};
const PROGRESS = {
  at: NOW,
  lanesHeldHere: 2,
  lanesHeldElsewhere: 3,
  lanesFree: 1,
  lagMs: 2_000,
  deadLetters: 0,
};

/** Ten seconds in which 100 messages are loaded here at each tick, and as many by others. */
function afterTenSeconds(
  changes: Partial<ConsumeReading> = {},
  changed: object = {},
  lagMessages = 2_000,
): string[] {
  const tracker = new ConsumeTracker();
  let lines: string[] = [];
  for (let tick = 0; tick <= 40; tick += 1) {
    const isLast = tick === 40;
    const rowsLoaded = 100 * tick;
    const reading = {
      kind: 'consume',
      title: 'stream "EVENTS" into "events"',
      isStopping: false,
      metrics: { ...METRICS, rowsLoaded, ...(isLast ? changed : {}) },
      progress: {
        ...PROGRESS,
        rowsLoaded: 2 * rowsLoaded,
        lagMessages: lagMessages === 0 ? 0 : lagMessages + 8_000 - 2 * rowsLoaded,
      },
      now: NOW,
      ...(isLast ? changes : {}),
    } as ConsumeReading;
    const block = consumeBlock(tracker.sample(reading, 250 * tick, 250 * tick), STYLE);
    lines = layout(block, { columns: 90, rows: 24 }, STYLE);
  }
  return lines.map((line) => line.trimEnd());
}

describe('the view of a worker', () => {
  it('shows how far the import is, rows and lag over time, lanes, and faults', () => {
    expect(afterTenSeconds()).toEqual([
      'stream "EVENTS" into "events"                                                        10 s',
      'loaded   80 %, ETA 3 s                                   █████████████████████████▌░░░░░░',
      'rows     4,000 here, 400/s, 8,000 in all                 ████████████████████',
      'behind   2,000 messages, the oldest 2 s old              ████▇▇▇▆▆▆▆▅▅▅▄▄▄▄▃▃',
      'lanes    2 here, 3 elsewhere, 1 free, 5 finished here',
      'faults   0 dead letters, 0 retries',
    ]);
  });

  it('says that everything is loaded', () => {
    const lines = afterTenSeconds({}, {}, 0);
    expect(lines[1]).toMatch(/^loaded {3}100 % +█+$/);
    expect(lines[3]).toMatch(/^behind {3}up to date/);
  });

  it('counts what was loaded here after the last look, and has the lanes of that moment', () => {
    const tracker = new ConsumeTracker();
    const at = (rowsLoaded: number, lanesHeld: number) =>
      ({
        ...{ kind: 'consume', title: '', isStopping: false, now: NOW },
        metrics: { ...METRICS, rowsLoaded, lanesHeld },
        progress,
      }) as ConsumeReading;
    const progress = { ...PROGRESS, rowsLoaded: 1_000, lagMessages: 500 } as ConsumeReading['progress'];
    tracker.sample(at(400, 2), 0, 0);
    const block = consumeBlock(tracker.sample(at(700, 3), 250, 250), STYLE);
    const lines = layout(block, { columns: 60, rows: 24 }, STYLE);
    expect(lines[2]).toMatch(/^rows {5}700 here, 1,200\/s, 1,300 in all /);
    expect(lines[4]).toBe('lanes    2 here, 3 elsewhere, 1 free, 5 finished here');
  });

  it('keeps the last look when there is no other, and says how old it is', () => {
    const outage = { now: new Date(NOW.getTime() + 12_000) };
    const lines = afterTenSeconds(outage).slice(1);
    expect(lines.map((line) => line.replace(/ {2,}[▁-▏░]+$/, ''))).toEqual([
      expect.stringMatching(/^loaded {3}80 %$/),
      'rows     4,000 here, 400/s, 8,000 in all',
      'behind   2,000 messages, as of 12 s ago',
      'lanes    2 here, 5 finished here',
      'faults   0 dead letters, 0 retries',
      'no answer from NATS or PostgreSQL for 12 s',
    ]);
    expect(afterTenSeconds(outage, {}, 0)[3]).toMatch(/^behind {3}up to date, as of 12 s ago/);
  });

  it('has both charts of the same time, with spaces where the lag is not known', () => {
    const tracker = new ConsumeTracker();
    let lines: string[] = [];
    for (let tick = 0; tick <= 10; tick += 1) {
      const reading = {
        ...{ kind: 'consume', title: '', isStopping: false, now: NOW },
        metrics: { ...METRICS, rowsLoaded: tick },
        progress: tick < 5 ? undefined : { ...PROGRESS, rowsLoaded: tick, lagMessages: 10 },
      } as ConsumeReading;
      const block = consumeBlock(tracker.sample(reading, 250 * tick, 250 * tick), STYLE);
      lines = layout(block, { columns: 90, rows: 24 }, STYLE);
    }
    const chart = (line: string): string => line.slice(57);
    expect(chart(lines[2]!)).toBe('█'.repeat(10));
    expect(chart(lines[3]!)).toBe(' '.repeat(4) + '█'.repeat(6));
  });

  it('before the first look shows only what this worker knows', () => {
    const lines = afterTenSeconds({ progress: undefined }, { deadLetters: 1, positionsLost: 2 });
    expect(lines.slice(1).map((line) => line.replace(/ +[▁-█]+$/, ''))).toEqual([
      'rows     4,000 here, 400/s',
      'behind   not known yet',
      'lanes    2 here, 5 finished here',
      'faults   1 dead letter, 0 retries, 2 positions lost',
    ]);
  });

  it('says what is waited for, since when and why, and that it stops', () => {
    const outage = {
      waitingFor: 'log',
      waitingSince: new Date(NOW.getTime() - 12_000),
      lastError: new Error('a\nb'),
    };
    expect(afterTenSeconds({ isStopping: true }, outage).slice(6)).toEqual([
      'stopping: batches in flight are still loaded; Ctrl-C again ends at once',
      'waiting for NATS for 12 s (a b)',
    ]);
  });

  it('says of the database what the network said, and who holds a lock', () => {
    const cause = new Error('connect ECONNREFUSED 127.0.0.1:5432');
    const outage = {
      waitingFor: 'database',
      waitingSince: new Date(NOW.getTime() - 75_000),
      lastError: new Error(`cannot free lanes: ${cause.message}`, { cause }),
    };
    const lock = 'a lock held by process 7';
    expect(afterTenSeconds({ lock }, outage).slice(6)).toEqual([
      'waiting for PostgreSQL for 1 min 15 s (connect ECONNREFUSED 127.0.0.1:5432)',
      'waiting for a lock held by process 7',
    ]);
  });

  it('before it has begun says what is done', () => {
    expect(afterTenSeconds({ metrics: undefined, doing: 'connecting to NATS' }).slice(1)).toEqual([
      'connecting to NATS',
    ]);
  });
});
