/** Transforms in the list: upstream drains first, and nothing is lost on the way. */

import { PassThrough, Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, expect, it } from 'vitest';
import {
  BackpressureController,
  BackpressureTransform,
  BackpressureWritable,
  type BufferOptions,
  type DrainableSink,
  type DrainableSinks,
  type DrainReport,
  type TransformOptions,
} from '../../../src/index.js';
import { SHUTDOWN } from '../../../src/shutdown/drainable-sink.js';
import { drainAllOf } from '../../../src/shutdown/drain-all.js';
import { planDrain } from '../../../src/shutdown/drain-order.js';
import { FakeProcess } from '../../support/fake-process.js';
import { ManualClock } from '../../support/manual-clock.js';
import { ManualDestination } from '../../support/destinations.js';
import { range } from '../../support/range.js';
import { expectLedger, turn } from '../../support/stream.js';

class Scene {
  readonly clock = new ManualClock();
  readonly target = new FakeProcess();
  report: DrainReport | undefined;

  transform<Out = number>(options: TransformOptions<number, Out> = {}): BackpressureTransform<number, Out> {
    return new BackpressureTransform<number, Out>({ clock: this.clock, ...options }).on(
      'error',
      () => undefined,
    );
  }

  sink(options: BufferOptions<number> & { batchSize?: number } = {}) {
    const destination = new ManualDestination<number>();
    const settings = { clock: this.clock, batchSize: 2, maxBufferSize: 4, abortGraceMs: 0, ...options };
    const sink = new BackpressureWritable<number>(destination.flush, settings);
    return { destination, sink: sink.on('error', () => undefined) };
  }

  drain(sinks: DrainableSinks, timeoutMs = 1_000): void {
    void drainAllOf(this.target, this.clock, sinks, { timeoutMs }, this.target.writeLine).then((report) => {
      this.report = report;
    });
  }

  /** Answers everything until the drain is over. */
  async answer(...destinations: ManualDestination<number>[]): Promise<void> {
    for (let round = 0; round < 200 && this.report === undefined; round++) {
      await turn();
      for (const destination of destinations) if (destination.open.length > 0) await destination.answer();
    }
  }
}

/** Counts what it has given. */
function endless(): { source: Readable; given: () => number } {
  let next = 0;
  // Not at once: behind a strategy that drops it would never let go.
  const read = () => void setImmediate(() => source.push(next++));
  const source = new Readable({ objectMode: true, highWaterMark: 1, read });
  return { source, given: () => next };
}

describe('pipeline(endless, transform, sink)', () => {
  it.each([
    ['as it is', {}],
    ['map', { map: (item: number) => item }],
    ['asynchronous map', { map: (item: number) => Promise.resolve(item) }],
    ['map that answers late', { map: (item: number) => new Promise<number>((resolve) => setImmediate(() => resolve(item))) }],
    ['a small buffer', { maxBufferSize: 2 }],
    ['drop_oldest', { strategy: 'drop_oldest', maxBufferSize: 3 }],
  ] as const)('%s: all accepted items are delivered', async (_name, options) => {
    const scene = new Scene();
    const transform = scene.transform(options);
    const { sink, destination } = scene.sink();
    const { source } = endless();
    const done = pipeline(source, transform, sink).catch((error: unknown) => error);
    for (let round = 0; round < 30; round++) {
      await turn();
      if (destination.open.length > 0) await destination.answer();
    }
    scene.drain([transform, sink]);
    await scene.answer(destination);
    expect(scene.report).toMatchObject({ undelivered: [], errors: [] });
    const { eventsAccepted, dropsByReason, eventsFailed } = expectLedger(transform);
    expect(destination.items).toHaveLength(eventsAccepted - dropsByReason.evicted);
    expect(eventsFailed).toBe(0);
    expect(destination.items.length).toBeGreaterThan(10);
    expect(await done).toMatchObject({ code: 'ERR_STREAM_PREMATURE_CLOSE' });
    expect(source.destroyed).toBe(true);
  }); // prettier-ignore

  it('a destination that hangs: each accepted item is delivered or reported, by one of them', async () => {
    for (const map of [undefined, (item: number) => Promise.resolve(item)]) {
      const scene = new Scene();
      const transform = scene.transform({ maxBufferSize: 5, ...(map && { map }) });
      const { sink, destination } = scene.sink();
      const { source } = endless();
      const done = pipeline(source, transform, sink).catch(() => undefined);
      while (destination.open.length === 0) await turn();
      await destination.answer();
      await turn(40);
      scene.drain([transform, sink], 500);
      await scene.clock.advance(500);
      await turn();
      const delivered = destination.calls[0]!.items;
      const [fromTransform, fromSink] = scene.report!.sinks.map(({ undelivered }) => undelivered);
      expect(fromTransform!.length).toBeGreaterThan(1);
      const known = [...delivered, ...fromSink!, ...fromTransform!];
      expect(known).toEqual(range(known.length));
      expect(known.length).toBe(transform.getMetrics().eventsOffered);
      await destination.answerAll();
      expect(destination.calls).toHaveLength(2);
      await done;
      expectLedger(transform);
      expectLedger(sink);
    }
  });
});

describe('a transform', () => {
  it('alone drains to its reader, slow or not, and is not read any more once it is reported', async () => {
    const scene = new Scene();
    const transform = scene.transform();
    const read: number[] = [];
    const release: (() => void)[] = [];
    const done = (async () => {
      for await (const item of transform) {
        read.push(item);
        await new Promise<void>((resolve) => release.push(resolve));
      }
    })().catch(() => undefined);
    for (const item of range(6)) transform.write(item);
    await turn();
    scene.drain([transform], 500);
    for (let count = 0; count < 3; count++) {
      release.shift()!();
      await turn();
    }
    await scene.clock.advance(500);
    await turn();
    const { undelivered } = scene.report!;
    expect([...read, ...undelivered]).toEqual(range(6));
    expect(undelivered.length).toBeGreaterThan(0);
    const before = read.length;
    for (let count = 0; count < 5; count++) {
      release.shift()?.();
      await turn();
    }
    expect(read).toHaveLength(before);
    await done;
  });

  it('a transform that nobody reads is reported when time is out', async () => {
    const scene = new Scene();
    const transform = scene.transform();
    for (const item of range(3)) transform.write(item);
    scene.drain([transform], 100);
    await scene.clock.advance(100);
    expect(scene.report).toMatchObject({
      undelivered: range(3),
      errors: [{ code: 'ERR_BACKPRESSURE_DRAIN_TIMEOUT' }],
    });
    expect(transform.destroyed).toBe(true);
    expect(expectLedger(transform).eventsFailed).toBe(3);
  });

  it('with nothing in it, or nothing written, is over at once', async () => {
    for (const ends of [false, true]) {
      const scene = new Scene();
      const transform = scene.transform();
      if (ends) transform.end();
      scene.drain([transform]);
      await turn();
      expect(scene.report).toMatchObject({ undelivered: [], errors: [] });
    }
  });

  it('with batchSize hands a short batch over', async () => {
    const scene = new Scene();
    const transform = scene.transform<number[]>({ batchSize: 10 });
    const read: unknown[] = [];
    transform.on('data', (items) => read.push(items));
    for (const item of range(3)) transform.write(item);
    await turn();
    expect(read).toEqual([]);
    scene.drain([transform]);
    await turn();
    expect(read).toEqual([range(3)]);
    expect(scene.report).toMatchObject({ undelivered: [] });
  });

  it('whose map hangs is reported with the items that it is at work on, and its late result goes nowhere', async () => {
    const scene = new Scene();
    let resolve: (item: number) => void = () => undefined;
    const transform = scene.transform({ map: () => new Promise<number>((done) => (resolve = done)) });
    const read: unknown[] = [];
    transform.on('data', (item) => read.push(item));
    for (const item of range(3)) transform.write(item);
    await turn();
    scene.drain([transform], 100);
    await scene.clock.advance(100);
    resolve(0);
    await turn();
    expect(scene.report).toMatchObject({ undelivered: range(3) });
    expect(read).toEqual([]);
    expectLedger(transform);
  });

  it('a transform that fails meanwhile is reported with its error, and the sink after it drains', async () => {
    const scene = new Scene();
    const transform = scene.transform({
      map: (item: number) => (item === 2 ? Promise.reject(new Error('bad')) : Promise.resolve(item)),
    });
    const { sink, destination } = scene.sink();
    transform.pipe(sink);
    for (const item of range(5)) transform.write(item);
    scene.drain([transform, sink]);
    await scene.answer(destination);
    expect(scene.report!.errors).toEqual([expect.objectContaining({ message: 'bad' })]);
    expect(scene.report!.sinks.map(({ undelivered }) => undelivered)).toEqual([[2, 3, 4], []]);
    expect(destination.items).toEqual([0, 1]);
  });

  it('a transform that was destroyed before is left out, and the others drain', async () => {
    const scene = new Scene();
    const transform = scene.transform();
    transform.write(1);
    transform.destroy();
    await turn();
    const { sink, destination } = scene.sink();
    sink.write(2);
    scene.drain([transform, sink]);
    await scene.answer(destination);
    expect(scene.report!.sinks.map(({ undelivered }) => undelivered)).toEqual([[], []]);
    expect(destination.items).toEqual([2]);
  });

  it('a transform that is read by read() drains', async () => {
    const scene = new Scene();
    const transform = scene.transform();
    const read: unknown[] = [];
    transform.on('readable', () => {
      for (let item: unknown; (item = transform.read()) !== null;) read.push(item);
    });
    for (const item of range(4)) transform.write(item);
    scene.drain([transform]);
    await turn(20);
    expect(read).toEqual(range(4));
    expect(scene.report).toMatchObject({ undelivered: [] });
  });
});

describe('several stages', () => {
  it('drain one after the other, through transforms that are not ours', async () => {
    const scene = new Scene();
    const first = scene.transform({ map: (item: number) => Promise.resolve(item) });
    const second = scene.transform({ maxBufferSize: 3 });
    const { sink, destination } = scene.sink();
    const { source } = endless();
    const done = pipeline(source, first, new PassThrough({ objectMode: true }), second, sink).catch(
      () => undefined,
    );
    for (let round = 0; round < 5; round++) {
      await turn();
      if (destination.open.length > 0) await destination.answer();
    }
    scene.drain([first, second, sink]);
    await scene.answer(destination);
    expect(scene.report).toMatchObject({ undelivered: [] });
    expect(destination.items).toEqual(range(first.getMetrics().eventsAccepted));
    await done;
  });

  it('one transform before two sinks: both wait for it', async () => {
    const scene = new Scene();
    const transform = scene.transform();
    const [a, b] = [scene.sink(), scene.sink()];
    transform.pipe(a.sink);
    transform.pipe(b.sink);
    for (const item of range(20)) transform.write(item);
    scene.drain([transform, a.sink, b.sink]);
    await scene.answer(a.destination, b.destination);
    expect(scene.report).toMatchObject({ undelivered: [] });
    expect([a.destination.items, b.destination.items]).toEqual([range(20), range(20)]);
  });

  it.each(['flat', 'nested'])(
    'two pipelines in one list, %s: one that hangs does not delay the other',
    async (form) => {
      const scene = new Scene();
      const [t1, t2] = [scene.transform(), scene.transform()];
      const [s1, s2] = [scene.sink(), scene.sink()];
      const chains = [[t1, s1.sink] as const, [t2, s2.sink] as const];
      for (const [transform, sink] of chains) {
        transform.pipe(sink);
        for (const item of range(10)) transform.write(item);
      }
      scene.drain(form === 'flat' ? chains.flat() : chains, 300);
      await scene.answer(s2.destination);
      expect(s2.destination.items).toEqual(range(10));
      expect(s2.sink.getMetrics()).toMatchObject({ eventsFlushed: 10, state: 'draining' });
      await scene.clock.advance(300);
      expect(scene.report!.undelivered).toEqual(expect.arrayContaining(range(10)));
      expect(scene.report!.undelivered).toHaveLength(10);
    },
  );

  it('a writable that is not ours behind the transform: what it took is its own', async () => {
    const scene = new Scene();
    const transform = scene.transform();
    const items: unknown[] = [];
    const other = new Writable({
      objectMode: true,
      write: (item, _encoding, callback) => {
        items.push(item);
        setImmediate(callback);
      },
    });
    transform.pipe(other);
    for (const item of range(30)) transform.write(item);
    scene.drain([transform]);
    await turn(100);
    expect(scene.report).toMatchObject({ undelivered: [] });
    expect(items).toEqual(range(30));
  });
});

describe('a producer that offers once more after its stage has settled, while another one still drains', () => {
  it.each(['delivered', 'reported when time is out'])('what it offers is %s', async (how) => {
    const scene = new Scene();
    const transform = scene.transform();
    const [first, second] = [scene.sink(), scene.sink()];
    transform.pipe(second.sink);
    second.sink.write(0);
    scene.drain([first.sink, transform, second.sink], 500);
    await turn(10);
    first.sink.write(10);
    transform.write(20);
    await turn(10);
    if (how === 'delivered') await scene.answer(second.destination, first.destination);
    else await scene.clock.advance(500);
    await turn();
    const delivered = [first, second].flatMap(({ destination }) => destination.items);
    const { undelivered } = scene.report!;
    if (how === 'delivered') {
      expect(undelivered).toEqual([]);
      expect(delivered.toSorted((a, b) => a - b)).toEqual([0, 10, 20]);
    } else {
      expect(undelivered).toEqual([10, 20, 0]);
    }
  });
});

describe('planDrain', () => {
  const names = new Map<unknown, string>();
  const make = <S extends DrainableSink>(name: string, sink: S): S => {
    names.set(sink[SHUTDOWN](), name);
    return sink;
  };
  const [t, u] = ['t', 'u'].map((name) => make(name, new BackpressureTransform()));
  const [a, b, c] = ['a', 'b', 'c'].map((name) =>
    make(name, new BackpressureController(async () => undefined)),
  );
  const [T, U, A, B, C] = [t!, u!, a!, b!, c!];

  it.each([
    ['sinks alone', [A, B, C], 'a+b+c'],
    ['a pipeline', [T, U, A], 't>u>a'],
    ['two pipelines', [T, A, U, B], 't>a | u>b'],
    ['a sink before a pipeline', [A, T, B], 'a | t>b'],
    ['one transform before two sinks', [T, A, B], 't>a+b'],
    ['a transform without its sink at the end', [A, T], 'a | t'],
    ['nested', [[T, A], [U, B], C], 't>a | u>b | c'],
    ['nested sinks are in order', [[A, B], C], 'a>b | c'],
    ['nested in the midst of a flat pipeline', [T, [U, B], A], 'u>b | t>a'],
    ['one twice', [T, A, T, A, [T]], 't>a'],
    ['nothing', [], ''],
  ] as [string, DrainableSinks, string][])('%s', (_name, sinks, expected) => {
    const { pipelines } = planDrain(sinks);
    const shown = pipelines
      .filter((stages) => stages.length > 0)
      .map((stages) => stages.map((stage) => stage.map((drain) => names.get(drain)).join('+')).join('>'));
    expect(shown.toSorted()).toEqual(expected === '' ? [] : expected.split(' | ').toSorted());
  });
});
