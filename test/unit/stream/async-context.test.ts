import { AsyncLocalStorage } from 'node:async_hooks';
import { once } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import {
  context,
  createContextKey,
  ROOT_CONTEXT,
  type Context,
  type ContextManager,
} from '@opentelemetry/api';
import { afterEach, describe, expect, it } from 'vitest';
import { BackpressureController, BackpressureTransform, BackpressureWritable } from '../../../src/index.js';
import { range } from '../../support/range.js';
import { closed, endOf, turn } from '../../support/stream.js';

const storage = new AsyncLocalStorage<string>();

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** What OpenTelemetry's AsyncLocalStorageContextManager does. */
class StorageContextManager implements ContextManager {
  readonly #contexts = new AsyncLocalStorage<Context>();

  active(): Context {
    return this.#contexts.getStore() ?? ROOT_CONTEXT;
  }

  with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
    given: Context,
    fn: F,
    thisArg?: ThisParameterType<F>,
    ...args: A
  ): ReturnType<F> {
    return this.#contexts.run(given, () => fn.apply(thisArg, args));
  }

  bind<T>(_context: Context, target: T): T {
    return target;
  }

  enable(): this {
    return this;
  }

  disable(): this {
    this.#contexts.disable();
    return this;
  }
}

const KEY = createContextKey('who');

/** Two ways to tell whose context it is. */
const WAYS = {
  AsyncLocalStorage: {
    run: <R>(who: string, fn: () => R): R => storage.run(who, fn),
    who: () => storage.getStore(),
  },
  'OpenTelemetry context': {
    run: <R>(who: string, fn: () => R): R => context.with(ROOT_CONTEXT.setValue(KEY, who), fn),
    who: () => context.active().getValue(KEY) as string | undefined,
  },
};

describe.each(Object.entries(WAYS))('by %s', (name, { run, who }) => {
  if (name !== 'AsyncLocalStorage') context.setGlobalContextManager(new StorageContextManager());
  let seen: Record<string, Set<string | undefined>> = {};
  const note = (what: string) => void (seen[what] ??= new Set()).add(who());
  afterEach(() => {
    seen = {};
  });

  it.each(['block', 'drop_oldest'] as const)(
    'of a writable under %s, each callback runs in its own context',
    async (strategy) => {
      const stream = run(
        'maker',
        () =>
          new BackpressureWritable<number>(
            async (items) => {
              note('flush');
              await turn(1);
              note('flush');
              if (items.includes(0)) throw new Error('down');
            },
            {
              strategy,
              maxBufferSize: 4,
              maxWaiting: 100,
              minFlushIntervalMs: 1,
              maxBlockTimeMs: 60_000,
              positionOf: (item) => (note('positionOf'), item),
              onFailed: () => note('onFailed'),
              onSettled: () => note('onSettled'),
              retry: {
                attempts: 2,
                minDelayMs: 1,
                maxDelayMs: 1,
                isRetryable: () => (note('isRetryable'), true),
              },
            },
          ),
      );
      for (const event of ['state', 'drop', 'flush', 'retry', 'failed', 'drain', 'finish', 'close'] as const)
        stream.on(event, () => note(event));
      const callbacks: string[] = [];
      run('first', () => stream.write(0));
      await turn();
      for (const item of range(20, 1))
        run(`writer ${item}`, () => stream.write(item, () => void callbacks.push(`${item}: ${who()}`)));
      await run('flusher', () => stream.flush());
      run('ender', () => stream.end(() => note('end callback')));
      expect(await endOf(stream)).toBeUndefined();
      await closed(stream);
      expect(seen['end callback']).toEqual(new Set(['ender']));
      delete seen['end callback'];
      for (const [what, contexts] of Object.entries(seen))
        expect([what, ...contexts]).toEqual([what, 'maker']);
      const expected = [
        'close',
        'failed',
        'finish',
        'flush',
        'isRetryable',
        'onFailed',
        'onSettled',
        'positionOf',
      ];
      const more = strategy === 'block' ? ['drain', 'retry', 'state'] : ['drop', 'retry', 'state'];
      expect(Object.keys(seen).sort()).toEqual([...expected, ...more].sort());
      expect(callbacks).toEqual(range(20, 1).map((item) => `${item}: writer ${item}`));
    },
  );

  it('shed and sizeOf run in the context of the write, also of one that waits', async () => {
    const asked: string[] = [];
    const ask = (item: number) => void asked.push(`${item}: ${who()}`);
    const stream = run(
      'maker',
      () =>
        new BackpressureWritable<number>(() => turn(1), {
          maxBufferSize: 2,
          maxWaiting: 100,
          shed: (item) => (ask(item), false),
          sizeOf: (item) => (ask(item), 1),
        }),
    );
    for (const item of range(10)) run(`writer ${item}`, () => stream.write(item));
    run('ender', () => stream.end());
    expect(await endOf(stream)).toBeUndefined();
    expect(asked).toEqual(
      range(10).flatMap((item) => [`${item}: writer ${item}`, `${item}: writer ${item}`]),
    );
  });

  it('destroyed by somebody: what follows runs in the context of the maker', async () => {
    const stream = run(
      'maker',
      () =>
        new BackpressureWritable<number>(
          (_items, { signal }) =>
            new Promise((_resolve, reject) => {
              signal.addEventListener('abort', () => {
                note('abort');
                reject(signal.reason as Error);
              });
            }),
          { onSettled: () => note('onSettled'), batchSize: 1 },
        ),
    );
    for (const event of ['error', 'close', 'state'] as const) stream.on(event, () => note(event));
    run('writer', () => stream.write(1));
    run('writer', () => stream.write(2));
    await turn();
    run('destroyer', () => stream.destroy(new Error('enough')));
    await closed(stream);
    expect(Object.keys(seen).sort()).toEqual(['abort', 'close', 'error', 'onSettled']);
    for (const [what, contexts] of Object.entries(seen)) expect([what, ...contexts]).toEqual([what, 'maker']);
  });

  it('map and events of a transform run in the context of the maker, write callbacks in that of the caller', async () => {
    const stream = run(
      'maker',
      () =>
        new BackpressureTransform<number>({
          maxBufferSize: 3,
          maxWaiting: 100,
          map: (item) => (note('map'), item),
        }),
    );
    for (const event of ['state', 'drain', 'finish', 'data', 'end', 'close'] as const)
      stream.on(event, () => note(event));
    const callbacks: string[] = [];
    for (const item of range(8))
      run(`writer ${item}`, () => stream.write(item, () => void callbacks.push(`${item}: ${who()}`)));
    await turn();
    run('ender', () => stream.end());
    await closed(stream);
    expect(Object.keys(seen).sort()).toEqual(['close', 'data', 'drain', 'end', 'finish', 'map', 'state']);
    for (const [what, contexts] of Object.entries(seen)) expect([what, ...contexts]).toEqual([what, 'maker']);
    expect(callbacks).toEqual(range(8).map((item) => `${item}: writer ${item}`));
  });

  it('each callback of a controller runs in its own context', async () => {
    const asked: string[] = [];
    const controller = run(
      'maker',
      () =>
        new BackpressureController<number>(
          async () => {
            note('flush');
            await turn(1);
          },
          {
            maxBufferSize: 2,
            maxWaiting: 100,
            onSettled: () => note('onSettled'),
            sizeOf: (item) => (asked.push(`${item}: ${who()}`), 1),
          },
        ),
    );
    for (const event of ['state', 'drop', 'flush'] as const) controller.on(event, () => note(event));
    run('starter', () => controller.start());
    await Promise.all(range(10).map((item) => run(`pusher ${item}`, () => controller.push(item))));
    await run('drainer', () => controller.drain());
    controller.stop();
    for (const [what, contexts] of Object.entries(seen)) expect([what, ...contexts]).toEqual([what, 'maker']);
    expect(new Set(asked)).toEqual(new Set(range(10).map((item) => `${item}: pusher ${item}`)));
  });
});

it('keeps no store of a writer alive once its items have settled', async () => {
  const stream = new BackpressureWritable<number>(async () => undefined, {
    minFlushIntervalMs: 60_000,
    maxFlushIntervalMs: 60_000,
    maxBlockTimeMs: 60_000,
    maxBufferSize: 4,
    maxWaiting: 100,
  });
  const stores = new AsyncLocalStorage<object>();
  const references: WeakRef<object>[] = [];
  // A function of its own: the engine may keep the variables of one that waits.
  const write = (item: number) => {
    const store = { item };
    references.push(new WeakRef(store));
    stores.run(store, () => stream.write(item, () => undefined));
  };
  for (const item of range(20)) write(item);
  await stream.flush();
  await turn();
  // The interval's timer is set, for items of one more writer.
  stores.run({}, () => stream.write(99));
  for (let round = 0; round < 5; round++) {
    await turn();
    collectGarbage();
  }
  expect(references.filter((reference) => reference.deref() !== undefined)).toEqual([]);
  stream.end();
  await once(stream, 'close');
});

describe.each(['at once', 'later'])('a subclass whose _write leaves chunks out, %s', (when) => {
  type Done = (error?: Error | null) => void;
  /** Leaves out odd items. */
  class Leaving extends BackpressureWritable<number> {
    override _write(item: number, encoding: BufferEncoding, done: Done): void {
      if (item % 2 === 0) super._write(item, encoding, done);
      else if (when === 'later') setImmediate(done);
      else done();
    }
  }

  it('asks about each of the others in the context of its own write', async () => {
    const asked: string[] = [];
    const stream = new Leaving(() => turn(1), {
      maxBufferSize: 2,
      maxWaiting: 100,
      shed: (item) => (asked.push(`${item}: ${storage.getStore()}`), false),
    });
    for (const item of range(10)) storage.run(`writer ${item}`, () => stream.write(item));
    await turn(20);
    for (const item of range(10, 10)) storage.run(`writer ${item}`, () => stream.write(item));
    stream.end();
    expect(await endOf(stream)).toBeUndefined();
    expect(asked).toEqual(range(10).map((n) => `${2 * n}: writer ${2 * n}`));
  });

  it('keeps no context of what was left out', async () => {
    const stream = new Leaving(() => turn(1), { maxWaiting: 100, shed: () => false });
    const stores = new AsyncLocalStorage<object>();
    const references: WeakRef<object>[] = [];
    const write = (item: number) => {
      const store = { item };
      references.push(new WeakRef(store));
      stores.run(store, () => stream.write(item));
    };
    for (const item of range(20)) write(2 * item + 1);
    // A turn for each that is left out later.
    await turn(50);
    for (let round = 0; round < 5; round++) {
      await turn();
      collectGarbage();
    }
    expect(references.filter((reference) => reference.deref() !== undefined)).toEqual([]);
    stream.end();
    await once(stream, 'close');
  });
});

it('a subclass that makes several items of a chunk: each is asked about in the context of that write', async () => {
  type Done = (error?: Error | null) => void;
  class Splitting extends BackpressureWritable<number> {
    override _write(item: number, encoding: BufferEncoding, done: Done): void {
      super._write(item, encoding, (error) => (error ? done(error) : super._write(item, encoding, done)));
    }
  }
  const asked: string[] = [];
  const stream = new Splitting(() => turn(1), {
    maxBufferSize: 3,
    maxWaiting: 100,
    shed: (item) => (asked.push(`${item}: ${storage.getStore()}`), false),
  });
  for (const item of range(10)) storage.run(`writer ${item}`, () => stream.write(item));
  stream.end();
  expect(await endOf(stream)).toBeUndefined();
  expect(asked).toEqual(range(10).flatMap((n) => [`${n}: writer ${n}`, `${n}: writer ${n}`]));
});
