import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { BackpressureTransform, BackpressureWritable } from '../../../src/index.js';
import { ManualClock } from '../../support/manual-clock.js';
import { range } from '../../support/range.js';
import { closed, endOf, expectLedger, turn } from '../../support/stream.js';

type Streams = BackpressureWritable<string> | BackpressureTransform<string>;
type Done = (error?: Error | null) => void;
type Options = { strategy?: 'block' | 'drop_oldest'; maxBufferSize?: number; maxWaiting?: number };

const STRATEGIES = ['block', 'drop_oldest', 'drop_newest', 'sample'] as const;

/** Methods that a subclass puts in the place of ours; `write` passes a chunk on. */
interface Methods {
  construct?: (done: Done) => void;
  write?: (chunk: string, done: Done, write: (chunk: string, done: Done) => void) => void;
  writev?: (chunks: string[], done: Done, write: (chunk: string, done: Done) => void) => void;
}

/** One subclass of each stream, with the same methods. What it delivers, or its reader gets, is in `received`. */
function make(kind: 'writable' | 'transform', methods: Methods, options: Options = {}) {
  const received: string[] = [];
  const { construct, write, writev } = methods;
  let stream: Streams;
  const settings = { clock: new ManualClock(), ...options };
  if (kind === 'writable') {
    class Sub extends BackpressureWritable<string> {}
    override(Sub.prototype, BackpressureWritable.prototype);
    stream = new Sub(async (items) => void received.push(...items), settings);
  } else {
    class Sub extends BackpressureTransform<string> {}
    override(Sub.prototype, BackpressureTransform.prototype);
    stream = new Sub(settings);
    stream.on('data', (item) => void received.push(item));
  }
  function override(
    sub: object,
    base: { _write: (chunk: never, encoding: 'utf8', done: Done) => void },
  ): void {
    const pass = (self: unknown) => (chunk: string, done: Done) =>
      base._write.call(self, chunk as never, 'utf8', done);
    if (construct) Object.assign(sub, { _construct: construct });
    if (write)
      Object.assign(sub, {
        _write(this: unknown, chunk: string, _encoding: string, done: Done) {
          write(chunk, done, pass(this));
        },
      });
    if (writev)
      Object.assign(sub, {
        _writev(this: unknown, chunks: { chunk: string }[], done: Done) {
          writev(
            chunks.map(({ chunk }) => chunk),
            done,
            pass(this),
          );
        },
      });
  }
  return { stream, received };
}

async function writeAll(stream: Streams, items: string[]): Promise<void> {
  for (const item of items) if (!stream.write(item)) await once(stream, 'drain');
}

const LETTERS = 'a b c d e f g h i j'.split(' ');

describe.each(['writable', 'transform'] as const)('a subclass of the %s', (kind) => {
  describe.each(STRATEGIES)('under %s', (strategy) => {
    it('with _construct: nothing is delivered before it has called back', async () => {
      let ready!: Done;
      const { stream, received } = make(kind, { construct: (done) => (ready = done) }, {
        strategy,
      } as Options);
      const written = writeAll(stream, LETTERS);
      await turn();
      expect(received).toEqual([]);
      expect(expectLedger(stream)).toMatchObject({ bufferSize: 0, eventsAccepted: 0 });
      ready();
      await written;
      stream.end();
      expect(await endOf(stream)).toBeUndefined();
      expect(received).toEqual(LETTERS);
      expectLedger(stream);
    });

    it('with _construct that fails: nothing is delivered, and everything is returned', async () => {
      let fail!: Done;
      const { stream, received } = make(kind, { construct: (done) => (fail = done) }, {
        strategy,
        maxWaiting: 100,
      } as Options);
      const ended = endOf(stream);
      for (const letter of LETTERS) stream.write(letter);
      await turn();
      fail(new Error('no connection'));
      expect(await ended).toMatchObject({ message: 'no connection' });
      await closed(stream);
      expect(received).toEqual([]);
      expect(stream.takeUnsettled()).toEqual(LETTERS);
      expect(expectLedger(stream)).toMatchObject({ waiting: 0, eventsFlushed: 0 });
    });

    it('with _construct that takes long: what waits is bounded', async () => {
      const { stream } = make(kind, { construct: () => undefined }, {
        strategy,
        maxBufferSize: 5,
        maxWaiting: 7,
      } as Options);
      const ended = endOf(stream);
      let asked = 0;
      for (let n = 0; n < 1_000 && !stream.destroyed; n++) if (!stream.write('x')) asked++;
      expect(asked).toBeGreaterThan(0);
      expect(stream.destroyed).toBe(true);
      expect(expectLedger(stream).eventsOffered).toBeLessThanOrEqual(8);
      void ended;
    });

    it('with _write: every write passes through it, however it is written', async () => {
      const seen: string[] = [];
      const { stream, received } = make(
        kind,
        {
          write: (chunk, done, write) => {
            seen.push(chunk);
            write(chunk.toUpperCase(), done);
          },
        },
        { strategy } as Options,
      );
      stream.write('a');
      stream.write('b', () => undefined);
      await turn();
      await writeAll(stream, LETTERS.slice(2));
      stream.end('k');
      expect(await endOf(stream)).toBeUndefined();
      expect(seen).toEqual([...LETTERS, 'k']);
      expect(received).toEqual([...LETTERS, 'k'].map((letter) => letter.toUpperCase()));
    });

    it.each(['at once', 'later'])(
      'with _write that leaves chunks out, %s: nothing waits for them',
      async (when) => {
        const { stream, received } = make(
          kind,
          {
            write: (chunk, done, write) => {
              if (chunk !== 'b' && chunk !== 'j') write(chunk, done);
              else if (when === 'later') setImmediate(done);
              else done();
            },
          },
          { strategy } as Options,
        );
        await writeAll(stream, LETTERS);
        if (stream instanceof BackpressureWritable) await stream.flush();
        await turn();
        expect(expectLedger(stream)).toMatchObject({ waiting: 0, eventsOffered: 8 });
        expect(stream.writableLength).toBe(0);
        stream.end();
        expect(await endOf(stream)).toBeUndefined();
        expect(received).toEqual(LETTERS.filter((letter) => letter !== 'b' && letter !== 'j'));
      },
    );

    it('with _write that makes several items of a chunk: all of them are counted and delivered', async () => {
      const { stream, received } = make(
        kind,
        {
          write: (chunk, done, write) => {
            write(`${chunk}1`, (error) => (error ? done(error) : write(`${chunk}2`, done)));
          },
        },
        { strategy, maxBufferSize: 50 } as Options,
      );
      await writeAll(stream, LETTERS);
      stream.end();
      expect(await endOf(stream)).toBeUndefined();
      expect(received).toEqual(LETTERS.flatMap((letter) => [`${letter}1`, `${letter}2`]));
      expect(expectLedger(stream)).toMatchObject({ eventsFlushed: 20, waiting: 0 });
    });

    it('with _write that takes its time: what waits is bounded, and a producer that listens gets through', async () => {
      const { stream, received } = make(
        kind,
        { write: (chunk, done, write) => void setImmediate(() => write(chunk, done)) },
        { strategy, maxBufferSize: 4 } as Options,
      );
      await writeAll(stream, LETTERS);
      stream.end();
      expect(await endOf(stream)).toBeUndefined();
      const { eventsFlushed, eventsDropped } = expectLedger(stream);
      expect(eventsFlushed + eventsDropped).toBe(10);
      expect(received).toHaveLength(eventsFlushed);
    });
  });

  it('with _writev: what waits passes through it', async () => {
    const batches: string[][] = [];
    const { stream, received } = make(
      kind,
      {
        writev: (chunks, done, write) => {
          batches.push(chunks);
          const next = (error?: Error | null) => {
            const chunk = chunks.shift();
            if (error || chunk === undefined) done(error);
            else write(chunk, next);
          };
          batches[batches.length - 1] = [...chunks];
          next();
        },
      },
      { maxBufferSize: 2, maxWaiting: 100 },
    );
    for (const letter of LETTERS) stream.write(letter);
    stream.end();
    expect(await endOf(stream)).toBeUndefined();
    expect(received).toEqual(LETTERS);
    expect(batches.flat()).toEqual(LETTERS.slice(2));
    expect(expectLedger(stream)).toMatchObject({ eventsFlushed: 10, waiting: 0 });
  });

  it('whose instance gets a _write of its own: every write passes through it', async () => {
    const { stream, received } = make(kind, {});
    stream.write('a');
    const seen: string[] = [];
    const write = stream._write.bind(stream) as (chunk: string, encoding: string, done: Done) => void;
    stream._write = (chunk: string, encoding: string, done: Done) => {
      seen.push(chunk);
      write(chunk, encoding, done);
    };
    await writeAll(stream, LETTERS.slice(1));
    stream.end();
    expect(await endOf(stream)).toBeUndefined();
    expect(seen).toEqual(LETTERS.slice(1));
    expect(received).toEqual(LETTERS);
  });

  it('with write and end of its own: both see each call', async () => {
    const seen: string[] = [];
    const { stream, received } = make(kind, {});
    const prototype = Object.getPrototypeOf(stream) as Streams;
    const methods = Object.getPrototypeOf(prototype) as {
      write: (this: Streams, chunk: string) => boolean;
      end: (this: Streams) => Streams;
    };
    Object.assign(prototype, {
      write(this: Streams, chunk: string) {
        seen.push(`write ${chunk}`);
        return methods.write.call(this, chunk);
      },
      end(this: Streams) {
        seen.push('end');
        return methods.end.call(this);
      },
    });
    for (const letter of LETTERS) stream.write(letter);
    stream.end();
    expect(await endOf(stream)).toBeUndefined();
    expect(seen).toEqual([...LETTERS.map((letter) => `write ${letter}`), 'end']);
    expect(received).toEqual(LETTERS);
  });
});

it('a subclass with _final and _destroy: ours run within them', async () => {
  const seen: string[] = [];
  class Sub extends BackpressureWritable<number> {
    override _final(callback: Done): void {
      seen.push('final');
      super._final((error) => {
        seen.push(`settled ${received.length}`);
        callback(error);
      });
    }

    override _destroy(error: Error | null, callback: Done): void {
      seen.push('destroy');
      super._destroy(error, callback);
    }
  }
  const received: number[] = [];
  const stream = new Sub(async (items) => void received.push(...items), { clock: new ManualClock() });
  for (const item of range(5)) stream.write(item);
  stream.end();
  expect(await endOf(stream)).toBeUndefined();
  await closed(stream);
  expect(seen).toEqual(['final', 'settled 5', 'destroy']);
});
