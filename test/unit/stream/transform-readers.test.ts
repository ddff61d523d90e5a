/** What counts as read, and what readers of every manner find. */

import { once } from 'node:events';
import { Duplex, PassThrough, Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, expect, it } from 'vitest';
import { BackpressureTransform } from '../../../src/index.js';
import { range } from '../../support/range.js';
import { closed, endOf, expectLedger, record, turn } from '../../support/stream.js';

type Bytes = BackpressureTransform<Buffer>;

/** A byte transform that was given ten chunks of ten bytes: 0 × 10, 1 × 10 … */
function tenChunks(options: { maxBufferBytes?: number } = {}): Bytes {
  const between = new BackpressureTransform<Buffer>({ objectMode: false, ...options });
  for (const byte of range(10)) between.write(Buffer.alloc(10, byte));
  return between;
}

const ALL_BYTES = Buffer.concat(range(10).map((byte) => Buffer.alloc(10, byte)));

async function destroy(between: Duplex): Promise<void> {
  between.destroy();
  await closed(between);
}

describe('what lies in the read buffer of Node is not delivered', () => {
  it('after a read(n) for which there is not enough yet, everything comes back and nothing is flushed', async () => {
    const between = tenChunks();
    await turn();
    expect(between.read(64)).toBeNull();
    await turn();
    expect(expectLedger(between)).toMatchObject({ eventsFlushed: 0 });
    await destroy(between);
    expect(between.takeUnsettled()).toHaveLength(10);
    expect(expectLedger(between)).toMatchObject({ eventsFlushed: 0, eventsFailed: 10 });
  });

  it('a read-ahead counts as in flight', async () => {
    const between = tenChunks();
    between.on('readable', () => undefined);
    between.read(64);
    await turn();
    const { bufferBytes, inFlightBytes, inFlight } = expectLedger(between);
    expect(inFlight).toBeGreaterThanOrEqual(7);
    expect(inFlightBytes).toBe(between.readableLength);
    expect(bufferBytes! + inFlightBytes!).toBe(100);
    await destroy(between);
  });

  it.each([1, 5, 10, 15, 64, 99, 100])(
    'read(%i) and takeUnsettled() together are what was written; a chunk is flushed by its last byte',
    async (size) => {
      const between = tenChunks();
      between.on('readable', () => undefined);
      let read = between.read(size);
      while (read === null) {
        await turn(1);
        read = between.read(size);
      }
      expect(read).toHaveLength(size);
      expect(expectLedger(between)).toMatchObject({ eventsFlushed: Math.floor(size / 10) });
      await destroy(between);
      expect(Buffer.concat([read, ...between.takeUnsettled()])).toEqual(ALL_BYTES);
      expect(expectLedger(between)).toMatchObject({ eventsFlushed: Math.floor(size / 10) });
    },
  );

  it('a sized read in object mode reads nothing ahead', async () => {
    const between = new BackpressureTransform<number>();
    between.on('readable', () => undefined);
    for (const item of range(20)) between.write(item);
    for (let round = 0; round < 4; round++) {
      between.read(64);
      await turn();
      expect(between.readableLength).toBeLessThanOrEqual(1);
    }
    const { eventsFlushed } = expectLedger(between);
    expect(eventsFlushed).toBeGreaterThan(0);
    await destroy(between);
    expect(between.takeUnsettled()).toEqual(range(20 - eventsFlushed, eventsFlushed));
  });

  it('an array that was not read comes back as its items', async () => {
    const between = new BackpressureTransform<number, number[]>({ batchSize: 4 });
    between.on('readable', () => undefined);
    for (const item of range(10)) between.write(item);
    await turn();
    expect(expectLedger(between)).toMatchObject({ eventsFlushed: 0, inFlight: 4, bufferSize: 6 });
    expect(between.read()).toEqual(range(4));
    expect(expectLedger(between)).toMatchObject({ eventsFlushed: 4 });
    await destroy(between);
    expect(between.takeUnsettled()).toEqual(range(6, 4));
  });

  it("inside a listener of 'data' its own item is read, and the next one is not", async () => {
    const between = new BackpressureTransform<number>();
    const seen: number[][] = [];
    between.on('data', (item: number) => {
      seen.push([item, expectLedger(between).eventsFlushed]);
      between.pause();
    });
    for (const item of range(3)) between.write(item);
    for (let round = 0; round < 3; round++) {
      await turn();
      between.resume();
    }
    await turn();
    expect(seen).toEqual([[0, 1], [1, 2], [2, 3]]); // prettier-ignore
  });

  it('is bounded: a reader that asks and does not read holds no more than maxBufferBytes', async () => {
    const between = new BackpressureTransform<Buffer>({ objectMode: false, maxBufferBytes: 50 });
    between.on('readable', () => undefined);
    between.read(40);
    let written = 0;
    while (between.write(Buffer.alloc(10)) && written < 1_000) {
      written++;
      await turn();
    }
    const { bufferBytes, inFlightBytes } = expectLedger(between);
    expect(bufferBytes! + inFlightBytes!).toBeLessThanOrEqual(50);
    await destroy(between);
  });

  it.each(['block', 'drop_oldest', 'drop_newest'] as const)(
    'a read(n) of more than the buffer holds gets its bytes all the same, under %s',
    async (strategy) => {
      const between = new BackpressureTransform<Buffer>({ objectMode: false, maxBufferBytes: 30, strategy });
      between.on('readable', () => undefined);
      void (async () => {
        for (const byte of range(40)) {
          if (!between.write(Buffer.alloc(10, byte))) await once(between, 'drain');
          await turn();
        }
      })();
      let read: Buffer | null = null;
      for (let round = 0; read === null && round < 500; round++) {
        read = between.read(200);
        await turn(1);
      }
      expect(read).toHaveLength(200);
      if (strategy === 'block')
        expect([...read!].every((byte, at) => byte === Math.floor(at / 10))).toBe(true);
      await destroy(between);
      expectLedger(between);
    },
  );

  it('one large read(n) does not make drop_oldest keep old bytes for ever', async () => {
    const between = new BackpressureTransform<Buffer>({
      objectMode: false,
      maxBufferBytes: 100,
      strategy: 'drop_oldest',
    });
    for (const byte of range(10)) between.write(Buffer.alloc(10, byte));
    between.on('readable', () => undefined);
    let read: unknown = between.read(90);
    for (; read === null; read = between.read(90)) await turn(1);
    for (const byte of range(100, 100)) {
      between.write(Buffer.alloc(10, byte));
      await turn(1);
    }
    const { evicted, rejected } = expectLedger(between).dropsByReason;
    expect(rejected).toBe(0);
    expect(evicted).toBeGreaterThan(80);
    await destroy(between);
    expect(between.takeUnsettled().at(-1)).toEqual(Buffer.alloc(10, 199));
  });
});

describe('text of a byte transform', () => {
  const text = 'aé€😀'.repeat(20);

  it.each(['utf8', 'utf16le', 'latin1', 'hex', 'base64'] as const)(
    'set to %s: what was read and takeUnsettled() together are what was written',
    async (encoding) => {
      const bytes = Buffer.from(text);
      for (const size of [1, 3, 7, 50]) {
        for (const cut of [1, 3, 8]) {
          const between = new BackpressureTransform<Buffer>({ objectMode: false });
          between.setEncoding(encoding);
          between.on('readable', () => undefined);
          for (let at = 0; at < bytes.length; at += cut) between.write(bytes.subarray(at, at + cut));
          await turn();
          const read: string[] = [];
          for (let round = 0; round < 12 && read.length < 4; round++) {
            const piece = between.read(size * 4) as string | null;
            if (piece !== null) read.push(piece);
            await turn(1);
          }
          const { eventsFlushed } = expectLedger(between);
          await destroy(between);
          const got = Buffer.from(read.join(''), encoding);
          const rest = Buffer.concat(between.takeUnsettled());
          // Half of a pair of surrogates cannot be told from bytes.
          if (
            Buffer.from(got.toString(encoding), encoding).equals(got) &&
            !/[\uD800-\uDBFF]$/.test(read.join(''))
          )
            expect(Buffer.concat([got, rest]).toString('hex')).toBe(bytes.toString('hex'));
          const isAll = rest.length === 0;
          expect(eventsFlushed).toBe(Math[isAll ? 'ceil' : 'floor']((bytes.length - rest.length) / cut));
        }
      }
    },
  );

  it('flows through whole, characters cut between chunks included', async () => {
    const bytes = Buffer.from(text);
    const between = new BackpressureTransform<Buffer>({ objectMode: false });
    between.setEncoding('utf8');
    const sent = pipeline(
      Readable.from(range(bytes.length).map((at) => bytes.subarray(at, at + 1))),
      between,
    );
    let seen = '';
    for await (const piece of between) seen += String(piece);
    await sent;
    expect(seen).toBe(text);
    expect(expectLedger(between)).toMatchObject({ eventsFlushed: bytes.length, inFlight: 0 });
  });

  it('a sized read that ends with a text leaves none behind that a flowing reader does not get past', async () => {
    const between = new BackpressureTransform<Buffer>({ objectMode: false });
    between.setEncoding('latin1');
    for (const piece of ['abc', 'de', 'fgh']) between.write(piece);
    for (let round = 0; round < 3; round++) expect(between.read(20)).toBeNull();
    expect(between.read(5)).toBe('abcde');
    const rest: unknown[] = [];
    between.on('data', (piece) => rest.push(piece));
    between.end();
    await turn();
    expect(rest).toEqual(['fgh']);
  });

  it('set while bytes lie in the read buffer', async () => {
    const between = new BackpressureTransform<Buffer>({ objectMode: false });
    between.on('readable', () => undefined);
    for (const piece of ['é€', 'abc', '😀']) between.write(piece);
    between.read(100);
    await turn();
    between.setEncoding('utf8');
    expect(between.read(2)).toBe('é€');
    expect(expectLedger(between)).toMatchObject({ eventsFlushed: 1 });
    expect(between.read(2)).toBe('ab');
    await destroy(between);
    expect(String(Buffer.concat(between.takeUnsettled()))).toBe('c😀');
  });
});

describe('unshift()', () => {
  it('an item that the reader puts back is in flight again, and comes back', async () => {
    const between = new BackpressureTransform<number>();
    between.on('readable', () => undefined);
    for (const item of range(5)) between.write(item);
    await turn();
    expect(between.read()).toBe(0);
    between.unshift(0);
    expect(expectLedger(between)).toMatchObject({ eventsFlushed: 0, inFlight: 1 });
    await turn();
    expect(between.read()).toBe(0);
    await turn();
    between.unshift(0);
    await destroy(between);
    expect(between.takeUnsettled()).toEqual(range(5));
    expect(expectLedger(between)).toMatchObject({ eventsFlushed: 0, eventsFailed: 5 });
  });

  it('a mapped result that is put back comes back as its item', async () => {
    const between = new BackpressureTransform<number, string>({ map: (item) => `#${item}` });
    between.on('readable', () => undefined);
    for (const item of range(3)) between.write(item);
    await turn();
    const read: unknown = between.read();
    expect(read).toBe('#0');
    between.unshift(read);
    await destroy(between);
    expect(between.takeUnsettled()).toEqual(range(3));
  });

  it('bytes that are put back come first', async () => {
    const between = tenChunks();
    between.on('readable', () => undefined);
    between.read(25);
    await turn();
    const read = between.read(25) as Buffer;
    between.unshift(read.subarray(12));
    await destroy(between);
    expect(Buffer.concat([read.subarray(0, 12), ...between.takeUnsettled()])).toEqual(ALL_BYTES);
    expectLedger(between);
  });
});

describe('readers that come and go', () => {
  it('a paused reader holds nothing back from drop_oldest', async () => {
    const between = new BackpressureTransform<number>({ strategy: 'drop_oldest', maxBufferSize: 1 });
    const seen: number[] = [];
    between.on('data', (item: number) => {
      seen.push(item);
      between.pause();
    });
    for (let item = 0; item < 100; item++) {
      between.write(item);
      await turn(1);
      if (item % 10 === 9) between.resume();
      await turn(1);
    }
    expect(seen).toEqual([0, 9, 19, 29, 39, 49, 59, 69, 79, 89, 99]);
  });

  it('read() by a timer, without a listener', async () => {
    const between = new BackpressureTransform<number>({ maxBufferSize: 4 });
    const sent = pipeline(Readable.from(range(50)), between);
    const seen: unknown[] = [];
    while (seen.length < 50) {
      await turn(1);
      const item: unknown = between.read();
      if (item !== null) seen.push(item);
      expectLedger(between);
    }
    await sent;
    expect(seen).toEqual(range(50));
  });

  it("a reader that asked before it listens for 'readable' is told", async () => {
    const between = new BackpressureTransform<number>();
    expect(between.read()).toBeNull();
    between.write(1);
    await turn();
    await once(between, 'readable');
    expect(between.read()).toBe(1);
  });

  it.each(['block', 'drop_oldest'] as const)(
    "a listener of 'readable' that reads once per event gets everything, under %s",
    async (strategy) => {
      const between = new BackpressureTransform<number>({ strategy });
      const seen: unknown[] = [];
      between.on('readable', () => {
        const item: unknown = between.read();
        if (item !== null) seen.push(item);
      });
      for (const item of range(5)) between.write(item);
      await turn(20);
      between.write(5);
      await turn(5);
      expect(seen).toEqual(range(6));
      between.end();
      await once(between, 'end');
    },
  );

  it("read() gets one queued value after the other within one 'readable', and then null", async () => {
    const between = new BackpressureTransform<number>({ maxBufferSize: 100 });
    const events: unknown[][] = [];
    between.on('readable', () => {
      const event: unknown[] = [];
      for (let item: unknown = between.read(); item !== null; item = between.read()) event.push(item);
      events.push(event);
      expectLedger(between);
    });
    for (const item of range(50)) between.write(item);
    await turn(20);
    expect(events).toEqual([range(50)]);
    between.write(50);
    await turn(20);
    expect(events.flat()).toEqual(range(51));
    between.end();
    await once(between, 'end');
  });

  it('a loop over a stream that is full takes no tick for each item', async () => {
    const between = new BackpressureTransform<number>({ maxBufferSize: 100 });
    for (const item of range(90)) between.write(item);
    let ticks = 0;
    const seen: number[] = [];
    for await (const item of between) {
      if (seen.length === 0) {
        const count = (): void => {
          ticks += 1;
          if (seen.length < 90 && ticks < 100) process.nextTick(count);
        };
        process.nextTick(count);
      }
      seen.push(item);
      if (seen.length === 90) break;
    }
    expect(seen).toEqual(range(90));
    expect(ticks).toBeLessThan(10);
  });

  it('a reader whose value was taken by another one gets the next', async () => {
    const between = new BackpressureTransform<number>();
    const next = between.iterator({ destroyOnReturn: false }).next();
    await turn();
    between.write(0);
    expect(between.read()).toBe(0);
    await turn();
    between.write(1);
    expect(await next).toEqual({ done: false, value: 1 });
  });

  it('pipe(), unpipe() and pipe() to another one: each item once, in order', async () => {
    const between = new BackpressureTransform<number>({ maxBufferSize: 4 });
    const sent = pipeline(Readable.from(range(100)), between);
    const seen: number[] = [];
    const slow = () =>
      new Writable({
        objectMode: true,
        highWaterMark: 1,
        write: (item: number, _encoding, done) => {
          seen.push(item);
          setImmediate(done);
        },
      });
    while (!between.readableEnded) {
      const to = slow();
      between.pipe(to);
      await turn(5);
      between.unpipe(to);
      await turn(2);
      expectLedger(between);
    }
    await sent;
    expect(seen).toEqual(range(100));
  });
});

describe('web readers and writers', () => {
  it.each(['block', 'drop_oldest', 'drop_newest', 'sample'] as const)(
    'three reads in parallel resolve, under %s',
    async (strategy) => {
      for (const early of [true, false]) {
        const between = new BackpressureTransform<number>({ strategy });
        if (early) for (const item of range(3)) between.write(item);
        const reader = Readable.toWeb(between).getReader();
        const reads = Promise.all([reader.read(), reader.read(), reader.read()]);
        await turn();
        if (!early) for (const item of range(3)) between.write(item);
        expect((await reads).map(({ value }) => value as number)).toEqual(range(3));
        await reader.cancel();
      }
    },
  );

  it.each([1, 4, 8])(
    'drop_oldest stays exact: at most one stale item comes before the newest %i',
    async (maxBufferSize) => {
      const between = new BackpressureTransform<number>({ strategy: 'drop_oldest', maxBufferSize });
      const reader = Readable.toWeb(between).getReader();
      for (let item = 0; item < 100; item++) {
        between.write(item);
        if (item % 3 === 0) await turn(1);
      }
      between.end();
      await turn();
      const seen: number[] = [];
      for (;;) {
        const { done, value } = (await reader.read()) as { done: boolean; value: unknown };
        if (done) break;
        seen.push(value as number);
      }
      expect(seen.slice(-maxBufferSize)).toEqual(range(maxBufferSize, 100 - maxBufferSize));
      expect(seen.length).toBeLessThanOrEqual(maxBufferSize + 1);
    },
  );

  it('a writer closes before somebody reads, where the web reader has room', async () => {
    for (const objectMode of [true, false]) {
      const between = new BackpressureTransform<unknown>({ objectMode });
      const { readable, writable } = Duplex.toWeb(between);
      const writer = (writable as WritableStream<unknown>).getWriter();
      for (const item of range(5)) void writer.write(objectMode ? item : Buffer.from([item]));
      await writer.close();
      await writer.closed;
      const seen: unknown[] = [];
      for await (const item of readable) seen.push(...(objectMode ? [item] : (item as Uint8Array)));
      expect(seen).toEqual(range(5));
    }
  });

  it('as a body: new Response(), text() and pipeThrough()', async () => {
    const make = () => new BackpressureTransform<Buffer>({ objectMode: false, maxBufferBytes: 16 });
    const text = range(200).join(',');
    const pieces = () => Readable.from(text.match(/.{1,5}/gs)!, { objectMode: false });
    const first = make();
    pieces().pipe(first);
    expect(await new Response(Readable.toWeb(first) as never).text()).toBe(text);
    const second = make();
    const through = Readable.toWeb(pieces()).pipeThrough(Duplex.toWeb(second) as never);
    expect(await new Response(through as never).text()).toBe(text);
    expectLedger(second);
  });
});

describe('map needs no reader', () => {
  const failure = new Error('bad item');

  it.each(['block', 'drop_oldest', 'drop_newest', 'sample'] as const)(
    "'finish' waits until everything is mapped, under %s",
    async (strategy) => {
      for (const isAsync of [false, true]) {
        const mapped: number[] = [];
        const between = new BackpressureTransform<number>({
          strategy,
          map: (item) => {
            mapped.push(item);
            return isAsync ? turn(1).then(() => item) : item;
          },
        });
        await pipeline(Readable.from(range(20)), between);
        expect(mapped).toEqual(range(20));
        expect(expectLedger(between)).toMatchObject({ bufferSize: 20, inFlight: 0, eventsFlushed: 0 });
        expect(await between.toArray()).toEqual(range(20));
        expect(expectLedger(between)).toMatchObject({ eventsFlushed: 20 });
      }
    },
  );

  it.each([
    [
      'throws',
      () => {
        throw failure;
      },
    ],
    ['rejects', () => Promise.reject(failure)],
  ] as [string, () => never][])(
    // prettier-ignore
    'a map that %s fails the pipeline, and nothing is lost',
    async (_name, fail) => {
      for (const strategy of ['block', 'drop_oldest', 'drop_newest', 'sample'] as const) {
        const between = new BackpressureTransform<number>({
          strategy,
          map: (item) => (item === 13 ? fail() : item),
        });
        await expect(pipeline(Readable.from(range(20)), between)).rejects.toBe(failure);
        await closed(between);
        expect(between.takeUnsettled().slice(0, 14)).toEqual(range(14));
        expectLedger(between);
      }
    },
  );

  it('under block an error shows although the source never ends', async () => {
    const between = new BackpressureTransform<number>({
      map: (item) => {
        if (item === 3) throw failure;
        return item;
      },
    });
    const source = new Readable({ objectMode: true, read: () => undefined });
    const outcome = pipeline(source, between).catch((error: unknown) => error);
    for (const item of range(5)) source.push(item);
    expect(await outcome).toBe(failure);
  });

  it('results count: a full buffer makes the writer wait, and the bound holds', async () => {
    const between = new BackpressureTransform<number>({ maxBufferSize: 10, map: (item) => -item });
    let written = 0;
    while (between.write(written)) {
      written++;
      await turn(1);
      expect(written).toBeLessThan(20);
    }
    await turn();
    expect(expectLedger(between)).toMatchObject({ bufferSize: 8, inFlight: 0 });
    expect(between.writableLength).toBe(8);
    const seen: unknown[] = [];
    between.on('data', (item) => seen.push(item));
    await turn();
    expect(seen).toEqual(range(8).map((item) => -item));
  });

  it('under drop_oldest only what the reader gets is mapped, while input goes on', async () => {
    const mapped: number[] = [];
    const between = new BackpressureTransform<number>({
      strategy: 'drop_oldest',
      maxBufferSize: 4,
      map: (item) => (mapped.push(item), item),
    });
    for (const item of range(100)) {
      between.write(item);
      if (item % 10 === 0) await turn(1);
    }
    expect(mapped).toEqual([]);
    between.end();
    await once(between, 'finish');
    expect(mapped).toEqual(range(4, 96));
  });

  it('a destroy() while the rest is being mapped is no success of the pipeline', async () => {
    const between = new BackpressureTransform<number>({ map: () => new Promise<number>(() => undefined) });
    const outcome = pipeline(Readable.from(range(3)), between).catch((error: unknown) => error);
    const seen = record(between, ['error', 'finish', 'close']);
    await turn(5);
    expect(between.writableEnded).toBe(true);
    await destroy(between);
    expect(await outcome).toMatchObject({ code: 'ERR_BACKPRESSURE_ABORTED', items: range(3) });
    expect(seen).toEqual(['close']);
    expect(between.takeUnsettled()).toEqual(range(3));
  });
});

describe('destroy() without an error', () => {
  it.each([
    ['items in the buffer', {}],
    ['items that wait', { maxBufferSize: 2, maxWaiting: 100 }],
    ['mapped items', { map: (item: number) => item }],
  ])("with %s: 'close' and nothing else, and the items come back", async (_name, options) => {
    for (const ends of [false, true]) {
      const between = new BackpressureTransform<number>(options);
      const seen = record(between, ['error', 'end', 'finish', 'close']);
      for (const item of range(9)) between.write(item);
      if (ends) between.end();
      await destroy(between);
      expect(seen).toEqual(['close']);
      expect(between.takeUnsettled()).toEqual(range(9));
      const { eventsFailed, dropsByReason } = expectLedger(between);
      expect(eventsFailed + dropsByReason.aborted).toBe(9);
    }
  });

  it('needs no listener for an error', async () => {
    const between = new BackpressureTransform<number>();
    between.write(1);
    between.destroy();
    await once(between, 'close');
    expect(between.takeUnsettled()).toEqual([1]);
  });

  it.each(['in front', 'at the end', 'in the midst'])('%s of a pipeline it is no success', async (place) => {
    for (const after of [0, 1, 2, 5, 20]) {
      const between = new BackpressureTransform<number>({ maxBufferSize: 100 });
      const slow = new Writable({
        objectMode: true,
        highWaterMark: 1,
        write: (_item, _encoding, done) => void setImmediate(done),
      });
      const source = new Readable({ objectMode: true, read: () => undefined });
      for (const item of range(50)) source.push(item);
      if (after === 2) source.push(null);
      if (place === 'in front') for (const item of range(5)) between.write(item);
      const outcome =
        place === 'in front'
          ? pipeline(between, slow)
          : place === 'at the end'
            ? pipeline(source, between)
            : pipeline(source, between, slow);
      const error = outcome.then(
        () => 'success',
        (thrown: unknown) => (thrown as NodeJS.ErrnoException).code,
      );
      await turn(after);
      // What 'finish' promises has come true already.
      const isOver = place === 'at the end' && between.writableFinished;
      between.destroy();
      const told = await error;
      if (isOver) expect(told).toBe('success');
      else expect(told).toMatch(/^ERR_(STREAM_PREMATURE_CLOSE|BACKPRESSURE_ABORTED)$/);
      source.destroy();
    }
  });

  it('right after end() it is no success of finished()', async () => {
    const between = new BackpressureTransform<number>();
    const ended = endOf(between);
    between.write(1);
    between.end();
    between.destroy();
    expect(await ended).toBeInstanceOf(Error);
  });
});

describe('a reader that stops early', () => {
  type Stage = BackpressureTransform<number> | PassThrough;
  const stops: [string, (stage: Stage) => Promise<unknown>][] = [
    ['break', async (stage) => {
      for await (const item of stage) if (item === 3) break;
    }],
    ['take()', (stage) => stage.take(3).toArray()],
    ['find()', (stage) => stage.find((item) => item === 3)],
    ['a generator that returns', (stage) =>
      pipeline(stage, async (items: AsyncIterable<number>) => {
        for await (const item of items) if (item === 3) return item;
        return undefined;
      })],
    ['a stage that ends', (stage) => {
      const last = new Writable({
        objectMode: true,
        write(item: number, _encoding, done) {
          if (item === 3) this.destroy();
          done();
        },
      });
      return pipeline(stage, last);
    }],
    ['cancel()', async (stage) => {
      const reader = Readable.toWeb(stage).getReader();
      await reader.read();
      await reader.cancel();
    }],
  ]; // prettier-ignore

  it.each(stops)('by %s sees what a PassThrough would show', async (_name, stop) => {
    const outcomes: unknown[] = [];
    for (const stage of [
      new PassThrough({ objectMode: true }),
      new BackpressureTransform<number>(),
      new BackpressureTransform<number>({ map: (item) => item }),
    ]) {
      const events = record(stage, ['end', 'close']);
      const source = Readable.from(range(100));
      source.pipe(stage);
      const told = await stop(stage).then(
        (value: unknown) => ({ value }),
        (thrown: unknown) => ({ code: (thrown as NodeJS.ErrnoException).code }),
      );
      await turn(4);
      outcomes.push({ told, events, destroyed: stage.destroyed });
      source.destroy();
      if (stage instanceof BackpressureTransform) {
        const { eventsOffered, eventsFlushed } = expectLedger(stage);
        expect(stage.takeUnsettled()).toEqual(range(eventsOffered - eventsFlushed, eventsFlushed));
      }
    }
    expect(outcomes[1]).toEqual(outcomes[0]);
    expect(outcomes[2]).toEqual(outcomes[0]);
  });
});
