import { describe, expect, it } from 'vitest';
import { LogError } from '../../../../src/log/log-error.js';
import type { LaneReader, LogMessage, LogRead, ReadRoom } from '../../../../src/log/log.js';
import { emptyCounts } from '../../../../src/postgres/consume/consume-metrics.js';
import { CONSUME_DEFAULTS, type ConsumeSettings } from '../../../../src/postgres/consume/consume-settings.js';
import { LaneFeed, type FeedBatch } from '../../../../src/postgres/consume/lane-feed.js';
import { ManualClock } from '../../../support/manual-clock.js';

const LAST = 1_000;

/** A reader of messages whose sizes the test gives. */
class SizedReader implements LaneReader {
  readonly #sizes: number[] = [];
  #next = 1;
  #failure: LogError | undefined;
  #wake = (): void => undefined;

  append(...sizes: number[]): void {
    this.#sizes.push(...sizes);
    this.#wake();
  }

  fail(error: LogError): void {
    this.#failure = error;
    this.#wake();
  }

  /** Positions without a message. */
  pass(count: number): void {
    this.#next += count;
    this.#wake();
  }

  async read(room: ReadRoom): Promise<LogRead> {
    const before = this.#next;
    while (this.#sizes.length === 0 && this.#failure === undefined && this.#next === before) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    if (this.#sizes.length === 0 && this.#failure !== undefined) throw this.#failure;
    const messages: LogMessage[] = [];
    let bytes = 0;
    while (this.#sizes.length > 0 && messages.length < room.messages) {
      const size = this.#sizes[0]!;
      if (messages.length > 0 && bytes + size > room.bytes) break;
      this.#sizes.shift();
      bytes += size;
      messages.push({ position: this.#next, bytes: new Uint8Array(size) } as LogMessage);
      this.#next += 1;
    }
    return { messages, reached: this.#next - 1 };
  }

  close(): void {
    this.#wake();
  }
}

function start(settings: Partial<ConsumeSettings> = {}) {
  const clock = new ManualClock();
  const reader = new SizedReader();
  const metrics = emptyCounts();
  const lane = { lane: 0, last: LAST, next: 1 };
  const all = { ...CONSUME_DEFAULTS, connections: 1, allowGaps: false, untilCaughtUp: false, clock };
  const feed = new LaneFeed(reader, lane, { ...all, batchSize: 10, batchBytes: 1_000, ...settings }, metrics);
  return { clock, reader, metrics, feed };
}

const sizesOf = (batch: FeedBatch | undefined): number[] | undefined =>
  batch?.messages.map(({ bytes }) => bytes.length);

describe('what a feed holds', () => {
  it('is two batches of messages, queued and in flight, until one is settled', async () => {
    const { clock, reader, metrics, feed } = start();
    reader.append(...new Array<number>(100).fill(1));
    await clock.advance(10_000);
    expect(metrics.messagesRead).toBe(20);
    const batch = await feed.take(0);
    await clock.advance(10_000);
    expect([batch?.messages.length, metrics.messagesRead]).toEqual([10, 20]);
    feed.settle(batch!);
    await clock.advance(0);
    expect(metrics.messagesRead).toBe(30);
    feed.close();
  });

  it('is three batches of bytes, and what a last message is larger', async () => {
    const { clock, reader, metrics, feed } = start({ batchBytes: 100 });
    reader.append(...new Array<number>(100).fill(40));
    await clock.advance(10_000);
    // 40 bytes more than 280: there was room for something.
    expect(metrics.bytesRead).toBe(320);
    feed.close();
  });
});

describe('a batch of a feed', () => {
  it('has at most batchBytes, or one message that is larger', async () => {
    const { clock, reader, feed } = start({ batchBytes: 100, maxFlushIntervalMs: 0 });
    reader.append(40, 40, 40, 500, 10);
    await clock.advance(0);
    const taken: (number[] | undefined)[] = [];
    for (let batch = await feed.take(0); batch !== undefined; batch = await feed.take(0)) {
      taken.push(sizesOf(batch));
      feed.settle(batch);
      await clock.advance(0);
    }
    expect(taken).toEqual([[40, 40], [40], [500], [10]]);
    feed.close();
  });

  it('waits for others for maxFlushIntervalMs, from its first message on', async () => {
    const { clock, reader, feed } = start({ maxFlushIntervalMs: 500 });
    let batch: FeedBatch | undefined;
    void feed.take(10_000).then((taken) => (batch = taken));
    reader.append(1);
    await clock.advance(300);
    reader.append(2);
    await clock.advance(199);
    expect(batch).toBeUndefined();
    await clock.advance(1);
    expect(sizesOf(batch)).toEqual([1, 2]);
    expect(batch).toMatchObject({ from: 1, next: 3, bytes: 3 });
    feed.close();
  });

  it('goes at once if it is full, and no message is in two', async () => {
    const { clock, reader, feed } = start();
    reader.append(...new Array<number>(11).fill(1));
    await clock.advance(0);
    expect(await feed.take(10_000)).toMatchObject({ from: 1, next: 11 });
    let rest: FeedBatch | undefined;
    void feed.take(10_000).then((taken) => (rest = taken));
    await clock.advance(CONSUME_DEFAULTS.maxFlushIntervalMs);
    expect(rest).toMatchObject({ from: 11, next: 12 });
    feed.close();
  });

  it('has no message if the reader has come further without any', async () => {
    const { clock, reader, feed } = start();
    let batch: FeedBatch | undefined;
    void feed.take(10_000).then((taken) => (batch = taken));
    await clock.advance(0);
    reader.pass(7);
    await clock.advance(0);
    expect(batch).toEqual({ messages: [], bytes: 0, from: 1, next: 8, reason: 'drain' });
    feed.close();
  });
});

describe('take() of a feed', () => {
  it('returns undefined after its time, and at once when the feed is closed', async () => {
    const { clock, feed } = start();
    const ends: [string, FeedBatch | undefined][] = [];
    void feed.take(1_000).then((batch) => ends.push(['time', batch]));
    await clock.advance(999);
    expect(ends).toEqual([]);
    await clock.advance(1);
    void feed.take(1_000).then((batch) => ends.push(['closed', batch]));
    feed.close();
    await clock.advance(0);
    expect(ends).toEqual([
      ['time', undefined],
      ['closed', undefined],
    ]);
  });

  it('rejects with the failure of the log behind the messages that came before', async () => {
    const { clock, reader, feed } = start();
    reader.append(1, 2);
    await clock.advance(0);
    reader.fail(new LogError('unreachable', 'out of reach'));
    await clock.advance(0);
    expect(sizesOf(await feed.take(0))).toEqual([1, 2]);
    await expect(feed.take(0)).rejects.toThrow('out of reach');
    feed.close();
  });
});
