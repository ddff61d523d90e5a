import { once } from 'node:events';
import { PassThrough, Readable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import { describe, expect, it } from 'vitest';
import { BackpressureTransform, BackpressureWritable, type WritableOptions } from '../../../src/index.js';
import { ManualClock } from '../../support/manual-clock.js';
import { CollectingDestination, ManualDestination } from '../../support/destinations.js';
import { range } from '../../support/range.js';
import { endOf, expectLedger, turn } from '../../support/stream.js';

function create(options: WritableOptions<Buffer> = {}) {
  const clock = new ManualClock();
  const destination = new ManualDestination<Buffer>();
  const stream = new BackpressureWritable<Buffer>(destination.flush, {
    clock,
    objectMode: false,
    ...options,
  });
  return { clock, destination, stream };
}

function held(stream: BackpressureWritable<Buffer>): number {
  const metrics = expectLedger(stream);
  return metrics.bufferBytes! + metrics.inFlightBytes!;
}

describe('a byte sink', () => {
  it.each([
    [{ highWaterMark: 100 }, 100],
    [{ maxBufferBytes: 100 }, 80],
    [{ highWaterMark: 10, maxBufferBytes: 100 }, 10],
  ])('%j: write() answers false from %i bytes on', async (options, mark) => {
    const { stream, destination } = create(options);
    expect(stream.writableHighWaterMark).toBe(mark);
    expect(stream.writableObjectMode).toBe(false);
    expect(stream.write(Buffer.alloc(mark - 1))).toBe(true);
    expect(stream.writableLength).toBe(mark - 1);
    expect(stream.write(Buffer.alloc(1))).toBe(false);
    expect(stream.writableLength).toBe(mark);
    expect(stream.writableNeedDrain).toBe(true);
    const drained = once(stream, 'drain');
    await turn();
    await destination.answerAll();
    await drained;
    expect(stream.writableLength).toBeLessThanOrEqual(mark / 2 + 1);
  });

  it("emits 'drain' at the low mark of bytes", async () => {
    const { stream, destination } = create({ maxBufferBytes: 100, batchBytes: 10 });
    let lengthAtDrain = -1;
    stream.on('drain', () => (lengthAtDrain = stream.writableLength));
    for (let bytes = 0; bytes < 80; bytes += 10) stream.write(Buffer.alloc(10));
    await turn();
    while (lengthAtDrain < 0) await destination.answer();
    expect(lengthAtDrain).toBe(50);
  });

  it('makes strings bytes, by the encoding given or the default one', async () => {
    const { stream, destination } = create();
    stream.write('é');
    stream.write('00ff', 'hex');
    stream.setDefaultEncoding('latin1');
    stream.write('é');
    stream.write(new Uint8Array([1, 2]));
    stream.end('AAA=', 'base64');
    await turn();
    await destination.answerAll();
    expect(await endOf(stream)).toBeUndefined();
    expect(Buffer.concat(destination.items).toString('hex')).toBe('c3a900ffe901020000');
  });

  it('bounds chunks of any size, empty ones too: nothing hangs, nothing is lost, the bound holds', async () => {
    const { stream, destination } = create({ highWaterMark: 64 });
    const capacity = 80;
    const lengths = [0, 63, 5_000, 0, 0, 64, 65, 80, 81, 1, ...new Array<number>(100).fill(0), 79, 80];
    for (const [index, length] of lengths.entries()) {
      const mayGoOn = stream.write(Buffer.alloc(length, index));
      if (stream.writableNeedDrain === mayGoOn)
        expect.fail(`write() of chunk ${index} answers ${mayGoOn} and disagrees with writableNeedDrain`);
      await turn(1);
      const { inFlightBytes, bufferSize } = expectLedger(stream);
      // Larger than the whole budget: alone.
      if (held(stream) > capacity)
        expect([inFlightBytes === held(stream) || bufferSize === 1]).toEqual([true]);
      if (!mayGoOn) {
        const drained = once(stream, 'drain');
        while (stream.writableNeedDrain) await destination.answer();
        await drained;
      }
    }
    stream.end();
    while (!stream.writableFinished) {
      await turn();
      await destination.answerAll();
    }
    expect(destination.items.map((chunk) => chunk.length)).toEqual(lengths);
    expect(expectLedger(stream)).toMatchObject({ bufferBytes: 0, inFlightBytes: 0 });
  });

  it.each([5_000, 5_001])(
    'a producer that ignores false meets an overflow beyond maxWaiting bytes (%i)',
    async (last) => {
      const { stream } = create({ highWaterMark: 100, maxWaiting: 10_000 });
      const ended = endOf(stream);
      stream.write(Buffer.alloc(100));
      stream.write(Buffer.alloc(5_000));
      stream.write(Buffer.alloc(last));
      expect(stream.destroyed).toBe(last > 5_000);
      if (!stream.destroyed) stream.destroy();
      expect(await ended).toMatchObject({
        code: last > 5_000 ? 'ERR_BACKPRESSURE_OVERFLOW' : 'ERR_BACKPRESSURE_ABORTED',
      });
      expect(stream.takeUnsettled().map((chunk) => chunk.length)).toEqual([100, 5_000, last]);
    },
  );

  it("an empty chunk that makes the producer wait answers false, and 'drain' follows", async () => {
    const { stream, destination } = create({ maxBufferBytes: 100, batchBytes: 10, maxWaiting: 0 });
    let drains = 0;
    stream.on('drain', () => drains++);
    expect(stream.write(Buffer.alloc(79))).toBe(true);
    // Each takes the place of a byte.
    expect(stream.write('')).toBe(false);
    expect(stream.writableNeedDrain).toBe(true);
    await turn();
    await destination.answerAll();
    expect(drains).toBe(1);
    expect(stream.write('')).toBe(true);
    expect(stream.destroyed).toBe(false);
  });

  it('a full byte transform refuses an empty chunk, and takes one after drain', async () => {
    const stream = new BackpressureTransform<Buffer>({
      objectMode: false,
      maxBufferBytes: 10,
      maxWaiting: 0,
    });
    expect(stream.write(Buffer.alloc(7))).toBe(true);
    expect(stream.write('')).toBe(false);
    const drained = once(stream, 'drain');
    stream.resume();
    await drained;
    expect(stream.write('')).toBe(true);
  });

  it('empty chunks without end, which Node never refuses, meet the same bound', async () => {
    const { stream } = create({ highWaterMark: 10, maxWaiting: 1_000 });
    const ended = endOf(stream);
    for (let count = 0; count < 5_000 && !stream.destroyed; count++) stream.write('');
    expect(stream.destroyed).toBe(true);
    expect(await ended).toMatchObject({ code: 'ERR_BACKPRESSURE_OVERFLOW' });
    expectLedger(stream);
  });

  it('returns Buffers on destroy', async () => {
    const { stream } = create({ highWaterMark: 4 });
    const ended = endOf(stream);
    for (const text of ['abcd', 'ef', 'gh']) stream.write(text);
    stream.destroy();
    await ended;
    expect(stream.takeUnsettled().map(String)).toEqual(['abcd', 'ef', 'gh']);
  });

  it.each(['drop_oldest', 'drop_newest', 'sample'] as const)(
    '%s keeps within its bytes and never asks',
    async (strategy) => {
      const { stream, destination } = create({ strategy, maxBufferBytes: 100 });
      for (const index of range(1_000)) {
        if (!stream.write(Buffer.alloc(index % 30))) expect.fail('asked to wait');
        if (held(stream) > 100) expect.fail('over the bound');
      }
      stream.write(Buffer.alloc(101));
      const { dropsByReason } = expectLedger(stream);
      expect(dropsByReason.oversized + dropsByReason.sampled).toBeGreaterThan(0);
      stream.end();
      await turn();
      await destination.answerAll();
      expect(await endOf(stream)).toBeUndefined();
    },
  );

  it('through a file-like pipeline: every byte, in order', async () => {
    const bytes = Buffer.from(range(300_000).map((index) => index % 251));
    const destination = new CollectingDestination<Buffer>();
    const stream = new BackpressureWritable<Buffer>(destination.flush, {
      objectMode: false,
      highWaterMark: 1_000,
    });
    const chunks = range(300).map((index) => bytes.subarray(index * 1_000, (index + 1) * 1_000));
    await pipeline(Readable.from(chunks, { objectMode: false }), new PassThrough(), stream);
    expect(Buffer.concat(destination.items).equals(bytes)).toBe(true);
  });
});

describe('a byte transform', () => {
  it('hands on every byte in order, bounded by bytes', async () => {
    const between = new BackpressureTransform<Buffer>({ objectMode: false, highWaterMark: 100 });
    expect(between.writableHighWaterMark).toBe(100);
    const text = range(2_000).join(',');
    const sent = pipeline(Readable.from(text.match(/.{1,7}/gs)!, { objectMode: false }), between);
    let received = '';
    for await (const chunk of between) {
      received += String(chunk);
      const { bufferBytes, inFlightBytes } = expectLedger(between);
      if (bufferBytes! + inFlightBytes! > 125) expect.fail('over the bound');
    }
    await sent;
    expect(received).toBe(text);
  });

  it('hands on what empty chunks lie between, and ends', async () => {
    const between = new BackpressureTransform<Buffer>({ objectMode: false });
    for (const text of ['', 'a', '', '', 'b', '']) between.write(text);
    between.end('');
    let received = '';
    between.on('data', (chunk) => (received += String(chunk)));
    await finished(between);
    expect(received).toBe('ab');
    expect(expectLedger(between)).toMatchObject({ eventsOffered: 7, eventsFlushed: 7 });
  });
});
