import { once } from 'node:events';
import stream, {
  Duplex,
  finished as finishedCallback,
  PassThrough,
  Readable,
  Transform,
  Writable,
} from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import { describe, expect, it } from 'vitest';
import { BackpressureTransform, BackpressureWritable } from '../../../src/index.js';
import { CollectingDestination, ManualDestination } from '../../support/destinations.js';
import { range } from '../../support/range.js';
import { closed, endOf, expectLedger, turn } from '../../support/stream.js';

const NODE_MAJOR = Number(process.versions.node.split('.')[0]);
/** Missing from the types of Node 20. */
const { compose } = stream as unknown as { compose: (...stages: unknown[]) => Duplex };
const BOUNDS = [1, 2, 8, 1_000];

function sink(highWaterMark: number) {
  const destination = new CollectingDestination<number>();
  return { destination, stream: new BackpressureWritable<number>(destination.flush, { highWaterMark }) };
}

async function* numbers(count: number) {
  for (const item of range(count)) {
    if (item % 7 === 0) await turn(1);
    yield item;
  }
}

describe.each(BOUNDS)('highWaterMark %i', (highWaterMark) => {
  it('readable.pipe(sink)', async () => {
    const { stream, destination } = sink(highWaterMark);
    Readable.from(range(500)).pipe(stream);
    await finished(stream);
    expect(destination.items).toEqual(range(500));
  });

  it('pipeline() from arrays, generators and through transforms', async () => {
    for (const source of [range(300), numbers(300), Readable.from(range(300)), () => numbers(300)]) {
      const { stream, destination } = sink(highWaterMark);
      await pipeline(
        source as Iterable<number>,
        new BackpressureTransform<number>({ highWaterMark }),
        new Transform({ objectMode: true, transform: (item, _encoding, done) => done(null, item) }),
        stream,
      );
      expect(destination.items).toEqual(range(300));
      expect(expectLedger(stream)).toMatchObject({ eventsOffered: 300, eventsFlushed: 300 });
    }
  });

  it('several sources piped into one sink', async () => {
    const { stream, destination } = sink(highWaterMark);
    const sources = range(6).map((source) => Readable.from(range(50, 100 * source)));
    for (const source of sources) source.pipe(stream, { end: false });
    await Promise.all(sources.map((source) => once(source, 'end')));
    stream.end();
    await finished(stream);
    expect(destination.items.toSorted((a, b) => a - b)).toEqual(
      range(6).flatMap((source) => range(50, 100 * source)),
    );
    // Each source's own order is kept.
    for (const source of range(6))
      expect(destination.items.filter((item) => Math.floor(item / 100) === source)).toEqual(
        range(50, 100 * source),
      );
  });

  it('Writable.toWeb', async () => {
    const { stream, destination } = sink(highWaterMark);
    await Readable.toWeb(Readable.from(range(300))).pipeTo(Writable.toWeb(stream) as WritableStream);
    expect(destination.items).toEqual(range(300));
    expect(stream.writableFinished).toBe(true);
  });

  it('Duplex.toWeb of the transform, both sides', async () => {
    const between = new BackpressureTransform<number>({ highWaterMark });
    const { stream, destination } = sink(highWaterMark);
    await Readable.toWeb(Readable.from(range(300)))
      .pipeThrough(Duplex.toWeb(between))
      .pipeTo(Writable.toWeb(stream) as WritableStream);
    expect(destination.items).toEqual(range(300));
  });

  it('Readable.toWeb of the transform: its read mark of 0 does not keep web readers waiting', async () => {
    const between = new BackpressureTransform<number>({ highWaterMark });
    Readable.from(range(300)).pipe(between);
    const seen: number[] = [];
    for await (const item of Readable.toWeb(between)) seen.push(item as number);
    expect(seen).toEqual(range(300));
  });

  it('stream.compose, at every place', async () => {
    const between = () => new BackpressureTransform<number>({ highWaterMark });
    const plusOne = async function* (source: AsyncIterable<number>) {
      for await (const item of source) yield item + 1;
    };
    const composed = compose(between(), plusOne, between());
    const seen: number[] = [];
    const written = pipeline(Readable.from(range(300)), composed, async (source: AsyncIterable<number>) => {
      for await (const item of source) seen.push(item);
    });
    await written;
    expect(seen).toEqual(range(300, 1));
    const { stream: sinkStream, destination } = sink(highWaterMark);
    const whole = compose(between(), sinkStream);
    for (const item of range(50)) if (!whole.write(item)) await once(whole, 'drain');
    whole.end();
    await once(sinkStream, 'finish');
    expect(destination.items).toEqual(range(50));
  });

  it('Readable helpers of the transform: map, toArray, take', async () => {
    const between = new BackpressureTransform<number>({ highWaterMark });
    Readable.from(range(100)).pipe(between);
    expect(await between.map((item: number) => item * 2).toArray()).toEqual(
      range(100).map((item) => item * 2),
    );
  });
});

it('Writable.fromWeb in front of nothing of ours: Readable.fromWeb feeds a sink', async () => {
  const { stream, destination } = sink(4);
  const web = new ReadableStream<number>({
    start(controller) {
      for (const item of range(20)) controller.enqueue(item);
      controller.close();
    },
  });
  await pipeline(Readable.fromWeb(web as never, { objectMode: true }), stream);
  expect(destination.items).toEqual(range(20));
});

it('Writable.fromWeb behind a transform', async () => {
  const seen: number[] = [];
  const web = new WritableStream<number>({ write: (item) => void seen.push(item) });
  await pipeline(
    Readable.from(range(100)),
    new BackpressureTransform<number>({ highWaterMark: 3 }),
    Writable.fromWeb(web as never, { objectMode: true }),
  );
  expect(seen).toEqual(range(100));
});

it('a web writer learns of a failing destination', async () => {
  const stream = new BackpressureWritable<number>(() => Promise.reject(new Error('no')), {
    highWaterMark: 4,
  });
  stream.on('error', () => undefined);
  const writer = (Writable.toWeb(stream) as WritableStream<number>).getWriter();
  const failed = (async () => {
    // A turn in between: from Node 24 on the adapter resolves writes to a destroyed stream at once, for ever.
    for (;;) {
      await writer.write(1);
      await turn(1);
    }
  })();
  await expect(failed).rejects.toMatchObject({ code: 'ERR_BACKPRESSURE_FLUSH_FAILED' });
  await expect(writer.closed).rejects.toMatchObject({ code: 'ERR_BACKPRESSURE_FLUSH_FAILED' });
});

describe('pipe() and unpipe()', () => {
  it('unpipe stops the source and leaves what was written to be settled', async () => {
    const destination = new ManualDestination<number>();
    const stream = new BackpressureWritable<number>(destination.flush, { highWaterMark: 4, batchSize: 2 });
    const source = Readable.from(range(100));
    source.pipe(stream);
    await turn();
    source.unpipe(stream);
    const { eventsOffered } = expectLedger(stream);
    expect(eventsOffered).toBeLessThan(10);
    stream.end();
    await turn();
    await destination.answerAll();
    await finished(stream);
    expect(destination.items).toEqual(range(eventsOffered));
    source.destroy();
  });

  it('a sink can be piped to again, by another source, while it makes producers wait', async () => {
    const destination = new ManualDestination<number>();
    const stream = new BackpressureWritable<number>(destination.flush, { highWaterMark: 2, batchSize: 1 });
    const first = Readable.from(range(50));
    first.pipe(stream);
    await turn();
    expect(stream.writableNeedDrain).toBe(true);
    first.unpipe(stream);
    const offered = stream.getMetrics().eventsOffered;
    Readable.from(range(10, 100)).pipe(stream);
    await turn();
    expect(stream.getMetrics().eventsOffered).toBe(offered);
    while (!stream.writableFinished) {
      await destination.answerAll();
      await turn();
    }
    expect(destination.items.slice(offered)).toEqual(range(10, 100));
    first.destroy();
  });
});

describe('pipeline() fails as a whole, with the original error', () => {
  const failure = new Error('the original');

  it.each(['a stream', 'a generator'])('when the source, %s, fails', async (kind) => {
    const destination = new ManualDestination<number>();
    const stream = new BackpressureWritable<number>(destination.flush, { batchSize: 2 });
    const source = async function* () {
      yield* range(5);
      await turn();
      throw failure;
    };
    let returned = false;
    const outcome = pipeline(kind === 'a stream' ? Readable.from(source()) : source, stream).catch(
      (error: unknown) => {
        returned = true;
        return error;
      },
    );
    await turn(8);
    expect(destination.open[0]!.context.signal.aborted).toBe(true);
    // Node 20's pipeline() does not wait for the sink's 'close', and later ones do so behind a stream only.
    if (kind === 'a stream' && NODE_MAJOR >= 22) expect(returned).toBe(false);
    destination.open[0]!.resolve();
    expect(await outcome).toBe(failure);
    await closed(stream);
    expect(stream.takeUnsettled()).toEqual([2, 3, 4]);
    expect(destination.calls).toHaveLength(1);
  });

  it.each([0, 1, 2])('when stage %i in the middle fails', async (stage) => {
    const destination = new CollectingDestination<number>();
    const stream = new BackpressureWritable<number>(destination.flush, { highWaterMark: 4 });
    const between = new BackpressureTransform<number>({ highWaterMark: 4 });
    const failing = new Transform({
      objectMode: true,
      transform: (item: number, _encoding, done) => (item === 20 ? done(failure) : done(null, item)),
    });
    const stages = [failing, between, new PassThrough({ objectMode: true })];
    if (stage > 0) stages.push(...stages.splice(0, 1));
    if (stage > 1) stages.reverse();
    await expect(pipeline([Readable.from(range(100)), ...stages, stream])).rejects.toBe(failure);
    expect([stream.closed, between.closed]).toEqual([true, true]);
    expectLedger(stream);
    expectLedger(between);
  });

  it('when our own map fails', async () => {
    const { stream } = sink(4);
    const between = new BackpressureTransform<number>({
      map: (item) => {
        if (item === 20) throw failure;
        return item;
      },
    });
    await expect(pipeline(Readable.from(range(100)), between, stream)).rejects.toBe(failure);
    expect(between.takeUnsettled()).toContain(20);
    expect(stream.closed).toBe(true);
  });

  it('when the sink fails: its error has the original as cause, and every unsettled item', async () => {
    const stream = new BackpressureWritable<number>(() => Promise.reject(failure), { highWaterMark: 8 });
    const source = Readable.from(range(100));
    const error = await pipeline(source, stream).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'ERR_BACKPRESSURE_FLUSH_FAILED', cause: failure });
    expect((error as { items: number[] }).items).toEqual(stream.takeUnsettled());
    expect(source.destroyed).toBe(true);
  });

  it('when a stage behind the transform closes early', async () => {
    const between = new BackpressureTransform<number>({ highWaterMark: 4 });
    const last = new Writable({
      objectMode: true,
      write(item, _encoding, done) {
        if (item === 10) this.destroy();
        else done();
      },
    });
    await expect(pipeline(Readable.from(range(100)), between, last)).rejects.toMatchObject({
      code: 'ERR_STREAM_PREMATURE_CLOSE',
    });
    expect(between.closed).toBe(true);
    expectLedger(between);
  });

  it('when the source closes early', async () => {
    const { stream } = sink(1_000);
    const source = new Readable({ objectMode: true, read: () => undefined });
    source.push(1);
    const piped = pipeline(source, stream);
    const outcome = piped.catch((error: unknown) => error);
    await turn();
    source.destroy();
    expect(await outcome).toMatchObject({ code: 'ERR_STREAM_PREMATURE_CLOSE' });
    expect(stream.takeUnsettled()).toEqual([1]);
  });

  it('when its signal fires', async () => {
    const destination = new ManualDestination<number>();
    const stream = new BackpressureWritable<number>(destination.flush, { highWaterMark: 4, abortGraceMs: 0 });
    const controller = new AbortController();
    const piped = pipeline(Readable.from(range(100)), stream, { signal: controller.signal });
    const outcome = piped.catch((error: unknown) => error);
    await turn();
    controller.abort();
    expect(await outcome).toMatchObject({ name: 'AbortError' });
    await closed(stream);
    const unsettled = stream.takeUnsettled();
    expect(unsettled).toEqual(range(unsettled.length));
    expect(unsettled.length).toBeGreaterThanOrEqual(4);
  });
});

describe('for await over the transform', () => {
  it('for await that breaks early destroys the transform, and leaves every item accounted for', async () => {
    const between = new BackpressureTransform<number>({ maxBufferSize: 10, maxWaiting: 100 });
    for (const item of range(30)) between.write(item);
    const ended = endOf(between);
    const seen: number[] = [];
    for await (const item of between) {
      seen.push(item);
      if (seen.length === 5) break;
    }
    expect(await ended).toMatchObject({ name: 'AbortError' });
    await closed(between);
    expectLedger(between);
    expect(seen).toEqual(range(5));
    const inReadableSide = between.read() ?? undefined;
    const rest = inReadableSide === undefined ? [] : [inReadableSide];
    expect([...seen, ...rest, ...between.takeUnsettled()]).toEqual(range(30));
  });

  it('for await that throws destroys the transform', async () => {
    const between = new BackpressureTransform<number>();
    for (const item of range(3)) between.write(item);
    between.on('error', () => undefined);
    await expect(
      (async () => {
        for await (const item of between) throw new Error(`at ${String(item)}`);
      })(),
    ).rejects.toThrow('at 0');
    expect(between.destroyed).toBe(true);
  });
});

it('an error after everything was read does not exist: finished() of the transform succeeds once', async () => {
  const between = new BackpressureTransform<number>();
  let calls = 0;
  finishedCallback(between, (error) => {
    expect(error).toBeUndefined();
    calls++;
  });
  between.end(1);
  between.resume();
  await closed(between);
  await turn();
  expect(calls).toBe(1);
});
