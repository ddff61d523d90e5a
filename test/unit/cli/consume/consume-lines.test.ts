import { describe, expect, it } from 'vitest';
import { progressLine } from '../../../../src/cli/consume/consume-lines.js';
import type { ConsumeReading } from '../../../../src/cli/live/reading.js';
import { describeMissing } from '../../../../src/cli/consume/find-stream.js';

const NOW = new Date('2026-11-30T08:00:00Z');

function reading(
  metrics: Partial<ConsumeReading['metrics']> = {},
  progress?: Partial<NonNullable<ConsumeReading['progress']>>,
): ConsumeReading {
  return {
    metrics: { rowsLoaded: 1_200, deadLetters: 0, lanesHeld: 2, ...metrics } as ConsumeReading['metrics'],
    progress: progress as ConsumeReading['progress'],
    kind: 'consume',
    title: 'stream "EVENTS" into "orders"',
    isStopping: false,
    now: NOW,
  };
}

describe('the line of progress', () => {
  it.each<[string, ConsumeReading, string]>([
    ['before the first look', reading(), '1,200 rows, 3,400 rows/s, 2 lanes here'],
    [
      'behind',
      reading({}, { lagMessages: 5_000, lagMs: 2_340, lanesHeldElsewhere: 3 }),
      '1,200 rows, 3,400 rows/s, 5,000 messages behind (2.3 s), 2 lanes here and 3 elsewhere',
    ],
    [
      'up to date, with dead letters',
      reading({ deadLetters: 1 }, { lagMessages: 0, lagMs: 0, lanesHeldElsewhere: 0 }),
      '1,200 rows, 3,400 rows/s, up to date, 2 lanes here, 1 dead letter',
    ],
    [
      'before it has begun',
      { ...reading(), metrics: undefined, doing: 'connecting to NATS' },
      'connecting to NATS',
    ],
    ['stopping', { ...reading(), isStopping: true }, '1,200 rows, 3,400 rows/s, 2 lanes here, stopping'],
    [
      'without the log',
      reading({
        waitingFor: 'log',
        waitingSince: new Date(NOW.getTime() - 12_400),
        lastError: new Error('a\nb'),
      }),
      '1,200 rows, 3,400 rows/s, 2 lanes here, waiting for NATS for 12 s (a b)',
    ],
    [
      'without the log, and with a look from before',
      reading({ waitingFor: 'log', waitingSince: NOW }, { lagMessages: 0, lagMs: 0, lanesHeldElsewhere: 3 }),
      '1,200 rows, 3,400 rows/s, 2 lanes here, waiting for NATS for 0 s',
    ],
    [
      'behind a lock',
      { ...reading(), lock: 'a lock held by process 7' },
      '1,200 rows, 3,400 rows/s, 2 lanes here, waiting for a lock held by process 7',
    ],
    [
      'without the database, and a clock that was set back',
      reading({ waitingFor: 'database', waitingSince: new Date(NOW.getTime() + 5_000) }),
      '1,200 rows, 3,400 rows/s, 2 lanes here, waiting for PostgreSQL for 0 s',
    ],
  ])('%s', (_, given, expected) => {
    expect(progressLine(given, 3_400)).toBe(expected);
  });
});

describe('a stream that does not exist', () => {
  it.each([
    [[], 'there is no stream "EVENT", and no other that this user may see (--stream, --domain)'],
    [['A'], 'there is no stream "EVENT"; there is "A" (--stream)'],
    [['A', 'EVENTS', 'B'], 'there is no stream "EVENT"; there are "EVENTS", "A", "B" (--stream)'],
    [
      Array.from({ length: 12 }, (_, index) => `X${index}`),
      'there is no stream "EVENT"; there are "X0", "X1", "X10", "X11", "X2", "X3", "X4", "X5", "X6", "X7" and 2 more (--stream)',
    ],
  ])('is told with %j', (names, expected) => {
    expect(describeMissing('EVENT', names)).toBe(expected);
  });
});
