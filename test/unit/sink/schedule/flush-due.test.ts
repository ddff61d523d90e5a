import { describe, expect, it } from 'vitest';
import { flushDue, type FlushSituation } from '../../../../src/sink/schedule/flush-due.js';

/** Three items of which the oldest came 40 ms ago, and nothing is due. */
const idle: FlushSituation = {
  now: 1_000,
  queued: 3,
  queuedBytes: 30,
  batchSize: 10,
  batchBytes: 100,
  oldestTime: 960,
  flushIntervalMs: 100,
  notBefore: 0,
  draining: false,
  manual: false,
  isProducerWaiting: false,
};
const empty = { queued: 0, queuedBytes: 0, oldestTime: 0 };
const spaced = { notBefore: 1_025 };
const aged = { oldestTime: 900 };

describe('a batch is due', () => {
  it.each<[string, Partial<FlushSituation>, string | number | undefined]>([
    ['not before its oldest item comes of age', {}, 60],
    ['when its oldest item comes of age, at that very millisecond', aged, 'interval'],
    ['when it is full', { queued: 10 }, 'size'],
    ['when its bytes are full', { queuedBytes: 100 }, 'bytes'],
    ['when the producer is held, full or not', { isProducerWaiting: true }, 'size'],
    ['when flush() waits for it', { manual: true }, 'manual'],
    ['when the sink drains', { draining: true }, 'drain'],
    ['never with nothing queued', empty, undefined],
    [
      'never with nothing queued, draining',
      { ...empty, draining: true, manual: true, isProducerWaiting: true },
      undefined,
    ],
    ['after the spacing, where it is full', { queued: 10, ...spaced }, 25],
    ['after the spacing, where the producer is held', { isProducerWaiting: true, ...spaced }, 25],
    ['no later than its age, however long the spacing', { queued: 10, notBefore: 9_999 }, 60],
    ['at once when it is of age, whatever the spacing', { ...aged, ...spaced }, 'interval'],
    ['at once while draining, whatever the spacing', { draining: true, queued: 10, ...spaced }, 'size'],
    ['at once by flush(), whatever the spacing', { manual: true, ...spaced }, 'manual'],
  ])('%s', (_case, view, expected) => {
    expect(flushDue({ ...idle, ...view })).toBe(expected);
  });
});
