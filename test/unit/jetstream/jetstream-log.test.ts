import { describe, expect, it } from 'vitest';
import type { NatsConnection } from '@nats-io/transport-node';
import { readDelivery } from '../../../src/jetstream/delivery.js';
import { blockBounds, jetStreamLog } from '../../../src/jetstream/jetstream-log.js';

describe('readDelivery', () => {
  const delivery = { position: 123, count: 45, timestampMs: 1_700_000_000_123 };

  it.each([
    ['of a server before 2.10', '$JS.ACK.EVENTS.abc.1.123.45.1700000000123000000.7', delivery],
    ['with a domain', '$JS.ACK.hub.hash.EVENTS.abc.1.123.45.1700000000123000000.7.token', delivery],
    ['without a token', '$JS.ACK._.hash.EVENTS.abc.1.123.45.1700000000123000000.7', delivery],
    ['of something else', '_INBOX.abc.def', undefined],
    ['that is cut off', '$JS.ACK.EVENTS.abc.1', undefined],
    ['with words for numbers', '$JS.ACK.EVENTS.abc.1.x.y.z.7', undefined],
    ['with an empty number', '$JS.ACK.EVENTS.abc.1..45.1700000000123000000.7', undefined],
    ['with a sequence that is no safe integer', '$JS.ACK.EVENTS.abc.1.9007199254740993.45.1.7', undefined],
    ['without what is pending', '$JS.ACK.EVENTS.abc.1.123.45.1700000000123000000', delivery],
    ['with nothing but its beginning', '$JS.ACK.', undefined],
    ['that is missing', undefined, undefined],
  ])('reads a reply subject %s', (_, reply, expected) => {
    expect(readDelivery(reply)).toEqual(expected);
  });
});

describe('blockBounds', () => {
  it.each([
    ['a stream that never had a message', 0, 0, [0, 0], { oldest: 1, end: 1 }],
    ['a stream with its first block', 1, 99, [0, 0], { oldest: 1, end: 100 }],
    ['a stream whose first block is full', 1, 100, [0, 1], { oldest: 1, end: 101 }],
    ['a stream that was purged', 251, 250, [2, 2], { oldest: 251, end: 101 }],
    ['a stream that has lost its beginning', 120, 350, [1, 3], { oldest: 120, end: 101 }],
  ])('of %s', (_, first, last, [firstLane, lastLane], lane0) => {
    const bounds = blockBounds(first, last, 100);
    expect([bounds.firstLane, bounds.lastLane]).toEqual([firstLane, lastLane]);
    expect(bounds.lane(0)).toEqual({ lane: 0, first: 1, last: 100, ...lane0 });
    const end = bounds.lane(bounds.lastLane);
    expect(end.end).toBe(Math.max(last + 1, first, 1));
    expect(end.end).toBeLessThanOrEqual(end.last);
  });
});

describe('jetStreamLog', () => {
  const nats = { isClosed: () => false, subscribe: () => undefined } as unknown as NatsConnection;

  it.each([
    ['nats', undefined, { stream: 'S' }],
    ['nats', {}, { stream: 'S' }],
    ['options', nats, undefined],
    ['stream', nats, {}],
    ['stream', nats, { stream: 'a.b' }],
    ['stream', nats, { stream: 'a b' }],
    ['stream', nats, { stream: 'a\r\nPUB x' }],
    ['filter', nats, { stream: 'S', filter: 'a..b' }],
    ['filter', nats, { stream: 'S', filter: '' }],
    ['domain', nats, { stream: 'S', domain: 'a.>' }],
    ['laneSize', nats, { stream: 'S', laneSize: 0 }],
    ['streem', nats, { stream: 'S', streem: 'S' }],
  ])('refuses a wrong option: %s of %j, %j', (option, connection, options) => {
    expect(() => jetStreamLog(connection as never, options as never)).toThrow(
      expect.objectContaining({ option }) as Error,
    );
  });
});
