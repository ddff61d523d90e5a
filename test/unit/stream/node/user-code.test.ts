/** Small traps in what users pass: callbacks and listeners that throw or are asynchronous, options with getters. */

import { EventEmitter } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import {
  BackpressureController,
  BackpressureError,
  BackpressureTransform,
  BackpressureWritable,
  InvalidOptionError,
} from '../../../../src/index.js';
import { ManualClock } from '../../../support/manual-clock.js';
import { closed, expectLedger, turn } from '../../../support/stream.js';

const fails = (): never => {
  throw new Error('of the user');
};
/** Typed as a function that is not asynchronous: JavaScript does not ask. */
const refuses = (): never => Promise.reject(new Error('of the user')) as never;
const nothing = () => Promise.resolve();

afterEach(() => {
  EventEmitter.captureRejections = false;
});

function watched<S extends BackpressureWritable<number> | BackpressureTransform<number>>(stream: S): S {
  stream.on('error', () => undefined);
  return stream;
}

describe.each([
  ['a writable', () => watched(new BackpressureWritable<number>(nothing))],
  ['a transform', () => watched(new BackpressureTransform<number>()).resume()],
])('%s', (_name, create) => {
  it.each([
    ['throws', fails],
    ['is asynchronous and rejects', refuses],
  ])('fails with the callback’s name, if a callback of write() %s', async (_how, callback) => {
    const stream = create();
    stream.write(1, callback);
    await closed(stream);
    expect(stream.errored).toMatchObject({
      code: 'ERR_BACKPRESSURE_HANDLER_FAILED',
      message: 'callback of write() failed: of the user',
    });
    expectLedger(stream);
  });

  it('fails with the callback’s name, if a callback of write() that was held throws', async () => {
    const stream = watched(new BackpressureWritable<number>(nothing, { maxBufferSize: 2, batchSize: 1 }));
    for (const item of [1, 2, 3]) stream.write(item, item === 3 ? fails : () => undefined);
    await closed(stream);
    expect(stream.errored).toMatchObject({ message: 'callback of write() failed: of the user' });
  });

  it('fails with the callback’s name, if the callback of end() throws', async () => {
    const stream = create();
    stream.end(1, fails);
    await closed(stream);
    expect(stream.errored).toMatchObject({ message: 'callback of end() failed: of the user' });
  });

  it('keeps its first error where a callback throws because of it', async () => {
    const stream = create();
    const error = new Error('first');
    stream.write(1);
    stream.destroy(error);
    stream.write(2, fails);
    await closed(stream);
    await turn();
    expect(stream.errored).toBe(error);
  });

  it('fails, and gives its items back, if it is destroyed with an error that cannot be read', async () => {
    const { proxy, revoke } = Proxy.revocable(new Error('hidden'), {});
    revoke();
    const stream = create();
    if (stream instanceof BackpressureTransform) stream.pause();
    stream.write(1);
    stream.destroy(proxy);
    await closed(stream);
    expect(stream.errored).toMatchObject({ code: 'ERR_BACKPRESSURE_ABORTED' });
    expect((stream.errored as Error).cause === proxy).toBe(true);
    expect(stream.takeUnsettled()).toEqual([1]);
  });

  it('fails with the listener’s name, if an asynchronous listener rejects', async () => {
    const stream = create();
    (stream as EventEmitter).on('state', refuses);
    stream.end(1);
    await closed(stream);
    expect(stream.errored).toMatchObject({
      code: 'ERR_BACKPRESSURE_HANDLER_FAILED',
      message: "listener of 'state' failed: of the user",
    });
  });
});

describe('a controller', () => {
  it.each([false, true])(
    'fails and emits no error, if an asynchronous listener rejects (global captureRejections: %s)',
    async (captures) => {
      EventEmitter.captureRejections = captures;
      const controller = new BackpressureController<number>(nothing);
      const seen: unknown[] = [];
      (controller as EventEmitter).on('error', (error) => seen.push(error));
      controller.on('flush', refuses);
      controller.start();
      await controller.push(1);
      await controller.flush();
      await turn();
      expect(seen).toEqual([]);
      await expect(controller.push(2)).rejects.toThrow("listener of 'flush' failed: of the user");
    },
  );
});

describe('a function whose value is needed at once', () => {
  const asynchronous = async () => false as never;
  it.each(['shed', 'sizeOf', 'positionOf', 'random'])('is refused as %s, if it is async', (option) => {
    expect(() => new BackpressureWritable(nothing, { [option]: asynchronous })).toThrow(
      `option '${option}' must be a function that returns its value, not a promise; got an async function`,
    );
  });

  it('is refused as retry.isRetryable, if it is async', () => {
    const retry = { isRetryable: asynchronous as unknown as () => boolean };
    expect(() => new BackpressureWritable(nothing, { retry })).toThrow(InvalidOptionError);
  });

  it.each(['shed', 'sizeOf', 'positionOf'])(
    'ends the stream as %s, if it returns a promise',
    async (option) => {
      const stream = watched(new BackpressureWritable<number>(nothing, { [option]: refuses }));
      stream.end(1);
      await closed(stream);
      expect(stream.errored).toMatchObject({
        code: 'ERR_BACKPRESSURE_HANDLER_FAILED',
        message: `${option} must return its value, not a promise: it cannot be asynchronous`,
      });
      expect(stream.takeUnsettled()).toEqual([1]);
    },
  );

  it('ends the stream as retry.isRetryable, if it returns a promise', async () => {
    const retry = { attempts: 5, isRetryable: refuses };
    const stream = watched(new BackpressureWritable<number>(refuses, { retry }));
    stream.end(1);
    await closed(stream);
    expect(stream.errored).toMatchObject({ code: 'ERR_BACKPRESSURE_HANDLER_FAILED', items: [1] });
  });

  it.each<[string, () => unknown]>([
    ['throws', fails],
    ['returns no number', () => undefined],
    ['returns a number above 1', () => 2],
  ])('ends the stream as random, if it %s', async (_how, random) => {
    const options = { random: random as () => number, strategy: 'sample', maxBufferSize: 2 } as const;
    const stream = watched(new BackpressureWritable<number>(nothing, options));
    for (const item of [1, 2, 3]) stream.write(item);
    await closed(stream);
    expect(stream.errored).toMatchObject({ code: 'ERR_BACKPRESSURE_HANDLER_FAILED' });
    expect((stream.errored as Error).message).toContain("option 'random'");
    expect(stream.takeUnsettled().length).toBeGreaterThan(0);
    expectLedger(stream);
  });
});

describe('a list of promises that a flush function returns', () => {
  it('ends the stream, and none of their rejections is stray', async () => {
    const flush = () => Promise.resolve([refuses(), refuses()]) as never;
    const stream = watched(new BackpressureWritable<number>(flush));
    stream.end(1);
    await closed(stream);
    await turn();
    expect(stream.errored).toMatchObject({ code: 'ERR_BACKPRESSURE_INVALID_RESULT', items: [1] });
  });
});

describe('shed that writes, and throws at each call', () => {
  it('ends the stream, which gives back what was written before and inside of it', async () => {
    const stream = watched(
      new BackpressureWritable<number>(nothing, {
        shed: (item) => {
          if (item < 3) stream.write(item + 1);
          return fails();
        },
      }),
    );
    stream.write(1);
    await closed(stream);
    expect(stream.errored).toMatchObject({ message: 'shed failed: of the user' });
    expect(stream.takeUnsettled().toSorted()).toEqual([1, 2, 3]);
    expect(expectLedger(stream)).toMatchObject({ waiting: 0, eventsOffered: 3 });
  });
});

describe('options', () => {
  it('are honoured where a class has getters for retry and breaker', async () => {
    class Retry {
      get attempts() {
        return 3;
      }
      get minDelayMs() {
        return 10;
      }
    }
    class Settings {
      get retry() {
        return new Retry();
      }
      get batchSize() {
        return 1;
      }
    }
    const clock = new ManualClock();
    let calls = 0;
    const flush = () => {
      calls++;
      return refuses();
    };
    const settings = Object.assign(new Settings(), { clock, random: () => 0 });
    const stream = watched(new BackpressureWritable<number>(flush, settings));
    stream.end(1);
    await clock.advance(1_000);
    await closed(stream);
    expect(calls).toBe(3);
  });

  it('are refused, if a getter of retry returns null', () => {
    class Retry {
      get attempts() {
        return null as never;
      }
    }
    expect(() => new BackpressureWritable(nothing, { retry: new Retry() })).toThrow(
      "option 'retry.attempts'",
    );
  });

  it('take an AbortSignal of another realm', async () => {
    const signal = Object.assign(new EventTarget(), { aborted: false, reason: undefined }) as AbortSignal;
    const stream = watched(new BackpressureWritable<number>(nothing, { signal }));
    signal.dispatchEvent(new Event('abort'));
    await closed(stream);
    expect(stream.errored).toMatchObject({ code: 'ABORT_ERR' });
  });
});

describe('onFailed', () => {
  it('keeps a timer set while it is at work, so that the process does not exit with items open', async () => {
    const clock = new ManualClock();
    let answer!: () => void;
    const stream = watched(
      new BackpressureWritable<number>(refuses, {
        clock,
        onFailed: () => new Promise<void>((resolve) => (answer = resolve)),
      }),
    );
    stream.end(1);
    await turn();
    expect(clock.pending).toBe(1);
    answer();
    await closed(stream);
    expect(clock.pending).toBe(0);
  });
});

describe('errors of another copy of this package', () => {
  const marked = (...names: string[]) =>
    Object.assign(new Error('of a copy'), Object.fromEntries(names.map((name) => [Symbol.for(name), true])));
  it('are recognised by their marks', () => {
    const error = marked('spillway.BackpressureError', 'spillway.InvalidOptionError');
    expect(error instanceof BackpressureError).toBe(true);
    expect(error instanceof InvalidOptionError).toBe(true);
    expect(marked('spillway.BackpressureError') instanceof InvalidOptionError).toBe(false);
    class Special extends BackpressureError {}
    expect(error instanceof Special).toBe(false);
  });

  it('are looked for without an exception in a revoked proxy', () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    expect(proxy instanceof BackpressureError).toBe(false);
  });
});
