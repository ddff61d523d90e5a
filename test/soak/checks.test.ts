/** The checks of the soak see what they are there for. */

import { describe, expect, it } from 'vitest';
import { BackpressureController, BackpressureState, type SinkMetrics } from '../../src/index.js';
import { EventAccounts, type Answer } from './event-accounts.js';
import { findUntruths } from './metric-checks.js';
import type { SinkSample } from './protocol.js';
import { ManualClock } from '../support/manual-clock.js';

describe('the accounts of events', () => {
  interface Case {
    answer?: Answer;
    isBad?: boolean;
    rows?: number;
    reports?: boolean[];
  }

  function judged({ answer = 'accepted', isBad = false, rows = 0, reports = [] }: Case): string[] {
    const accounts = new EventAccounts();
    const id = accounts.next(isBad);
    if (answer !== 'unsent') accounts.answered(id, answer);
    for (let count = 0; count < rows; count++) accounts.stored(id);
    for (const ambiguous of reports) accounts.failed(id, ambiguous, 'why');
    return accounts.judge().wrong;
  }

  it.each<[string, Case]>([
    ['accepted and stored', { rows: 1 }],
    ['accepted, bad and reported', { isBad: true, reports: [false] }],
    ['accepted, reported as ambiguous and not stored', { reports: [true] }],
    ['accepted, reported as ambiguous and stored', { rows: 1, reports: [true] }],
    ['refused and not stored', { answer: 'refused' }],
    ['unanswered and stored', { answer: 'unknown', rows: 1 }],
    ['unanswered and not stored', { answer: 'unknown' }],
  ])('find nothing wrong with an event that was %s', (_name, found) => {
    expect(judged(found)).toEqual([]);
  });

  it.each<[string, Case, string]>([
    ['accepted and lost', {}, 'neither in the table nor reported'],
    ['stored twice', { rows: 2 }, '2 times in the table'],
    ['stored twice after no answer', { answer: 'unknown', rows: 2 }, '2 times in the table'],
    ['good and reported for certain', { reports: [false] }, 'its row is good'],
    ['bad and stored', { isBad: true, rows: 1 }, 'its value is bad'],
    ['reported twice', { isBad: true, reports: [false, false] }, 'reported as failed twice'],
    ['refused and stored', { answer: 'refused', rows: 1 }, 'it was not accepted'],
  ])('tell of an event that was %s', (_name, found, reason) => {
    expect(judged(found)).toEqual([expect.stringContaining(reason)]);
  });
});

describe('the checks of metrics', () => {
  const limits = { maxBufferSize: 100, maxBufferBytes: 1_000_000 };

  /** Ten items queued for 40 ms. */
  async function sampled(): Promise<SinkSample> {
    const clock = new ManualClock();
    const controller = new BackpressureController<number>(async () => undefined, {
      clock,
      maxBufferSize: limits.maxBufferSize,
      lowWatermark: 0.75,
    });
    for (let item = 0; item < 10; item++) controller.tryPush(item);
    await clock.advance(40);
    const metrics = controller.getMetrics();
    const counts = { offered: 10, flushed: 0, failed: 0, dropped: 0, open: 10, oldestOpenMs: 40 };
    return { metrics, limits, ageMs: 40, ...counts, deliveries: [] };
  }

  it('find nothing untrue in the metrics of a controller', async () => {
    expect(findUntruths(await sampled(), await sampled())).toEqual([]);
  });

  it.each<[string, Partial<SinkMetrics>, Partial<SinkSample>]>([
    ['an item that no count has', { bufferSize: 9 }, {}],
    ['an item more than were offered', { eventsOffered: 11 }, {}],
    ['a flushed item that the service does not know', { eventsFlushed: 1, bufferSize: 9 }, {}],
    ['drops without a reason', { eventsDropped: 1 }, {}],
    ['an age without items', { oldestInFlightAgeMs: 30 }, {}],
    ['an item older than the service knows', { oldestItemAgeMs: 400 }, {}],
    ['an oldest item that is too young', { oldestItemAgeMs: 1 }, { oldestOpenMs: 2_000 }],
    ['a full buffer that is called normal', { bufferUtilization: 0.95 }, {}],
    ['an empty buffer that is called blocked', { state: BackpressureState.BLOCKED }, {}],
    ['a failed sink', { isFailed: true }, {}],
    ['a probe although the breaker is closed', { nextProbeTime: 1 }, {}],
    ['more items than there may be', {}, { limits: { ...limits, maxBufferSize: 9 } }],
    ['states that do not add up', {}, { ageMs: 5_000 }],
  ])('tell of %s', async (_name, lie, known) => {
    const sample = await sampled();
    const untruths = findUntruths({ ...sample, ...known, metrics: { ...sample.metrics, ...lie } }, undefined);
    expect(untruths).not.toEqual([]);
  });

  it('tell of a count that goes down', async () => {
    const previous = await sampled();
    previous.metrics.retries = 3;
    expect(findUntruths(await sampled(), previous)).toEqual(['retries has gone down from 3 to 0']);
  });
});
