/** From `getMetrics()` of any target to values of instruments. Pure. */

import type { BreakerState } from '../api/flush-function.js';
import type { BufferMetrics, SinkMetrics } from '../api/metrics.js';
import { BackpressureState } from '../api/states.js';
import type { ConsumeMetrics } from '../postgres/consume/consume-metrics.js';
import { OBSERVED, type Attributes, type ObservedName } from './instruments.js';

export type AnyMetrics = BufferMetrics | SinkMetrics | ConsumeMetrics;

interface Reading {
  readonly name: ObservedName;
  readonly attributes: Attributes;
  value: number;
}

/** Values by instrument and attributes. */
export type Readings = Map<string, Reading>;

const BREAKER_STATES: readonly BreakerState[] = ['closed', 'open', 'half_open'];

export function readingsOf(metrics: AnyMetrics): Readings {
  const readings: Readings = new Map();
  const read = (name: ObservedName, value: number | undefined, attributes: Attributes = {}): void => {
    if (value !== undefined)
      readings.set(`${name} ${Object.values(attributes).join(' ')}`, { name, value, attributes });
  };
  const settled = (outcome: string, value: number, reason?: string): void =>
    read('spillway.items', value, {
      'spillway.outcome': outcome,
      ...(reason !== undefined && { 'spillway.reason': reason }),
    });
  const readBreaker = (current: BreakerState): void => {
    for (const state of BREAKER_STATES)
      read('spillway.breaker', state === current ? 1 : 0, { 'spillway.breaker.state': state });
  };
  if ('messagesRead' in metrics) {
    read('spillway.offered', metrics.messagesRead);
    settled('flushed', metrics.rowsLoaded);
    settled('failed', metrics.deadLetters, 'dead_letter');
    settled('dropped', metrics.positionsLost, 'lost');
    read('spillway.queue.size', metrics.messagesQueued);
    read('spillway.queue.bytes', metrics.bytesHeld);
    read('spillway.queue.utilization', metrics.roomUtilization);
    read('spillway.in_flight', metrics.messagesInFlight);
    read('spillway.retries', metrics.retries);
    read('spillway.failed', metrics.isFailed ? 1 : 0);
    read('spillway.lanes', metrics.lanesHeld);
    readBreaker(metrics.waitingFor === undefined ? 'closed' : 'open');
    return readings;
  }
  read('spillway.offered', metrics.eventsOffered);
  settled('flushed', metrics.eventsFlushed);
  settled('failed', metrics.eventsFailed - metrics.eventsReturned, 'handled');
  settled('failed', metrics.eventsReturned, 'returned');
  for (const [reason, count] of Object.entries(metrics.dropsByReason)) settled('dropped', count, reason);
  read('spillway.ambiguous', metrics.eventsAmbiguous);
  read('spillway.waiting', metrics.waiting);
  read('spillway.queue.size', metrics.bufferSize);
  read('spillway.queue.bytes', metrics.bufferBytes);
  read('spillway.queue.utilization', metrics.bufferUtilization);
  read('spillway.in_flight', metrics.inFlight);
  read('spillway.oldest_item.age', metrics.oldestItemAgeMs / 1000);
  read('spillway.producer.blocked', metrics.producerBlockedMs / 1000);
  read('spillway.failed', metrics.isFailed ? 1 : 0);
  for (const state of Object.values(BackpressureState))
    read('spillway.state', state === metrics.state ? 1 : 0, { 'spillway.state': state });
  if ('breaker' in metrics) {
    read('spillway.retries', metrics.retries);
    readBreaker(metrics.breaker);
  }
  return readings;
}

/** Adds `more` to `readings`. */
export function addReadings(readings: Readings, more: Readings): void {
  for (const [key, { name, value, attributes }] of more) {
    const known = readings.get(key)?.value ?? 0;
    const { kind } = OBSERVED[name];
    readings.set(key, { name, attributes, value: kind === 'max' ? Math.max(known, value) : known + value });
  }
}

/** Of counts only. */
export function subtractReadings(readings: Readings, less: Readings): void {
  addReadings(
    readings,
    mapped(less, ({ value }) => -value),
  );
}

/** What remains of a target that has ended: its counts, and 0 for all else. */
export function countsOf(readings: Readings): Readings {
  return mapped(readings, ({ name, value }) => (OBSERVED[name].kind === 'count' ? value : 0));
}

function mapped(readings: Readings, valueOf: (reading: Reading) => number): Readings {
  return new Map([...readings].map(([key, reading]) => [key, { ...reading, value: valueOf(reading) }]));
}
