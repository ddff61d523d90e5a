import { subscribe, tracingChannel, unsubscribe } from 'node:diagnostics_channel';
import { AsyncLocalStorage } from 'node:async_hooks';
import { once } from 'node:events';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  BackpressureController,
  BackpressureTransform,
  BackpressureWritable,
  ItemError,
  type SignalMessages,
} from '../../../src/index.js';
import { ManualClock } from '../../support/manual-clock.js';
import { turn } from '../../support/stream.js';

type Name = Exclude<keyof SignalMessages, 'spillway:flush'>;
type FlushMessage = SignalMessages['spillway:flush'];

const undo: (() => void)[] = [];
afterEach(() => {
  for (const step of undo.splice(0)) step();
});

/** All messages of a channel until the test ends. */
function heard<N extends Name>(name: N): SignalMessages[N][] {
  const messages: SignalMessages[N][] = [];
  const onMessage = (message: unknown) => void messages.push(message as SignalMessages[N]);
  subscribe(name, onMessage);
  undo.push(() => unsubscribe(name, onMessage));
  return messages;
}

/** The names of the events of `spillway:flush`, with the messages. */
function heardFlushes(): [event: string, message: FlushMessage][] {
  const events: [string, FlushMessage][] = [];
  const note = (event: string) => (message: object) => void events.push([event, message as FlushMessage]);
  const subscribers = {
    start: note('start'),
    end: note('end'),
    asyncStart: note('asyncStart'),
    asyncEnd: note('asyncEnd'),
    error: note('error'),
  };
  const channel = tracingChannel<string, object>('spillway:flush');
  channel.subscribe(subscribers);
  undo.push(() => channel.unsubscribe(subscribers));
  return events;
}

describe('spillway:state', () => {
  it('has each change of a sink, with the sink', async () => {
    const messages = heard('spillway:state');
    const sink = new BackpressureWritable<number>(async () => undefined, { maxBufferSize: 10 });
    for (let item = 0; item < 9; item += 1) sink.write(item);
    expect(messages[0]).toEqual({ target: sink, state: 'elevated', previous: 'normal' });
    sink.end();
    await once(sink, 'finish');
    expect(messages.every(({ target }) => target === sink)).toBe(true);
  });

  it('has each change of a transform', () => {
    const messages = heard('spillway:state');
    const transform = new BackpressureTransform<number>({ maxBufferSize: 10 });
    for (let item = 0; item < 9; item += 1) transform.write(item);
    expect(messages[0]).toEqual({ target: transform, state: 'elevated', previous: 'normal' });
    transform.destroy();
  });
});

describe('spillway:drop', () => {
  const options = { strategy: 'drop_newest', maxBufferSize: 2 } as const;

  it('has each item that a sink drops', async () => {
    const messages = heard('spillway:drop');
    const sink = new BackpressureWritable<number>(async () => undefined, options);
    for (const item of [1, 2, 3, 4]) sink.write(item);
    expect(messages).toEqual([
      { target: sink, item: 3, reason: 'rejected' },
      { target: sink, item: 4, reason: 'rejected' },
    ]);
    expect(sink.getMetrics().eventsDropped).toBe(2);
    sink.end();
    await once(sink, 'finish');
  });

  it('has each item that a transform drops', () => {
    const messages = heard('spillway:drop');
    const transform = new BackpressureTransform<number>(options);
    for (const item of [1, 2, 3]) transform.write(item);
    expect(messages).toEqual([{ target: transform, item: 3, reason: 'rejected' }]);
    transform.destroy();
  });

  it('is not needed by a listener of the event', () => {
    const transform = new BackpressureTransform<number>(options);
    const dropped: number[] = [];
    transform.on('drop', (item) => dropped.push(item));
    for (const item of [1, 2, 3]) transform.write(item);
    expect(dropped).toEqual([3]);
    transform.destroy();
  });
});

describe('spillway:retry, spillway:breaker and spillway:failed', () => {
  it('have what the events of a controller have', async () => {
    const clock = new ManualClock();
    const [retries, breakers] = [heard('spillway:retry'), heard('spillway:breaker')];
    const outcomes = [new Error('down'), new Error('still down'), undefined];
    const flush = async () => {
      const error = outcomes.shift();
      if (error !== undefined) throw error;
    };
    const controller = new BackpressureController<number>(flush, {
      clock,
      retry: { attempts: 5 },
      breaker: { failures: 2 },
    });
    const retryEvents: unknown[] = [];
    const breakerEvents: unknown[] = [];
    controller.on('retry', (report) => retryEvents.push({ target: controller, ...report }));
    controller.on('breaker', (...args) => breakerEvents.push(args));
    controller.start();
    await controller.push(1);
    const flushed = controller.flush();
    for (let step = 0; step < 5; step += 1) {
      await turn();
      await clock.advance(5_000);
    }
    await flushed;
    controller.stop();
    expect(retries.map(({ attempt }) => attempt)).toEqual([1, 2]);
    expect(retries).toEqual(retryEvents);
    expect(breakers.map(({ state }) => state)).toEqual(['open', 'half_open', 'closed']);
    expect(breakers.every(({ target }) => target === controller)).toBe(true);
    expect(breakers.map(({ state, previous, reason }) => [state, previous, reason])).toEqual(breakerEvents);
  });

  it('has the items that failed for good', async () => {
    const failures = heard('spillway:failed');
    const sink = new BackpressureWritable<number>(
      async () => ({ success: 1, failed: 1, errors: [new ItemError(1, new Error('bad'))] }),
      { onFailed: () => undefined },
    );
    sink.write(1);
    sink.write(2);
    sink.end();
    await once(sink, 'finish');
    expect(failures.map(({ failures: list }) => list.map(({ item }) => item))).toEqual([[2]]);
  });
});

describe('spillway:flush', () => {
  it('traces a call that succeeds by one message', async () => {
    const events = heardFlushes();
    const sink = new BackpressureWritable<number>(async () => undefined);
    sink.write(1);
    sink.end(2);
    await once(sink, 'finish');
    expect(events.map(([event]) => event)).toEqual(['start', 'end', 'asyncStart', 'asyncEnd']);
    const [[, message]] = events as [[string, FlushMessage]];
    expect(events.every(([, other]) => other === message)).toBe(true);
    expect(message).toMatchObject({
      target: sink,
      items: [1, 2],
      attempt: 1,
      result: { success: 2, failed: 0 },
    });
    expect(message.error).toBeUndefined();
  });

  it('traces each call of a batch, with its error', async () => {
    const clock = new ManualClock();
    const events = heardFlushes();
    const errors = [new Error('first'), undefined];
    const flush = async () => {
      const error = errors.shift();
      if (error !== undefined) throw error;
    };
    const sink = new BackpressureWritable<number>(flush, { clock, retry: { attempts: 2 } });
    sink.write(1);
    const flushed = sink.flush();
    await turn();
    await clock.advance(60_000);
    await flushed;
    expect(events.map(([event, { attempt, error }]) => [event, attempt, error?.message])).toEqual([
      ['start', 1, 'first'],
      ['end', 1, 'first'],
      ['error', 1, 'first'],
      ['asyncStart', 1, 'first'],
      ['asyncEnd', 1, 'first'],
      ['start', 2, undefined],
      ['end', 2, undefined],
      ['asyncStart', 2, undefined],
      ['asyncEnd', 2, undefined],
    ]);
    sink.destroy();
  });

  it('ends the trace of a call that throws at once, is refused in part, or hangs', async () => {
    const clock = new ManualClock();
    const events = heardFlushes();
    const flushes: (() => unknown)[] = [
      () => {
        throw new Error('at once');
      },
      () => ({ success: 0, failed: 1, errors: [new ItemError(0, new Error('in part'))] }),
      () => new Promise(() => undefined),
    ];
    const sink = new BackpressureWritable<number>(() => flushes.shift()!() as Promise<void>, {
      clock,
      batchSize: 1,
      retry: { attempts: 1 },
      flushTimeoutMs: 100,
      abortGraceMs: 0,
      onFailed: () => undefined,
    });
    for (const item of [1, 2, 3]) sink.write(item);
    const flushed = sink.flush();
    for (let step = 0; step < 5; step += 1) {
      await turn();
      await clock.advance(1000);
    }
    await flushed;
    const ends = events.filter(([event]) => event === 'asyncEnd').map(([, { error }]) => error?.message);
    expect(ends).toEqual([
      expect.stringContaining('at once'),
      expect.stringContaining('in part'),
      expect.stringContaining('flushTimeoutMs'),
    ]);
    sink.destroy();
  });

  it('runs the function in the stores that are bound to it', async () => {
    const storage = new AsyncLocalStorage<string>();
    const { start } = tracingChannel<string, object>('spillway:flush');
    start.bindStore(storage, (message) => `flush of ${(message as FlushMessage).items.length}`);
    undo.push(() => start.unbindStore(storage));
    const seen: (string | undefined)[] = [];
    const sink = new BackpressureWritable<number>(async () => {
      await turn();
      seen.push(storage.getStore());
    });
    sink.write(1);
    sink.end();
    await once(sink, 'finish');
    expect(seen).toEqual(['flush of 1']);
    expect(storage.getStore()).toBeUndefined();
  });

  const waysAround: [what: string, around: (call: () => void) => void][] = [
    ['as it is asked to', (call) => call()],
    ['if that calls twice', (call) => [call, call].forEach((each) => each())],
    ['if that does not call', () => undefined],
    ['if that throws', () => { throw new Error('around'); }],
  ]; // prettier-ignore
  it.each(waysAround)('calls once by way of a function around: %s', async (what, around) => {
    const onStart = (message: unknown) => void ((message as FlushMessage).around = around);
    subscribe('tracing:spillway:flush:start', onStart);
    undo.push(() => unsubscribe('tracing:spillway:flush:start', onStart));
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    undo.push(() => warn.mockRestore());
    let called = 0;
    const sink = new BackpressureWritable<number>(async () => {
      called += 1;
    });
    sink.write(1);
    await sink.flush();
    expect(called).toBe(1);
    expect(sink.getMetrics().eventsFlushed).toBe(1);
    expect(warn).toHaveBeenCalledTimes(what === 'if that throws' ? 1 : 0);
    sink.destroy();
  });

  it('does not call again if a function around swallows what the call throws', async () => {
    const onStart = (message: unknown) => {
      (message as FlushMessage).around = (call) => {
        try {
          call();
        } catch {
          // Swallowed.
        }
      };
    };
    subscribe('tracing:spillway:flush:start', onStart);
    undo.push(() => unsubscribe('tracing:spillway:flush:start', onStart));
    let called = 0;
    const sink = new BackpressureWritable<number>(
      () => {
        called += 1;
        throw new Error('at once');
      },
      { onFailed: () => undefined },
    );
    sink.write(1);
    await sink.flush();
    expect([called, sink.getMetrics().eventsFailed]).toEqual([1, 1]);
    sink.destroy();
  });

  it('leaves the outcome alone', async () => {
    heardFlushes();
    const sink = new BackpressureWritable<number>(async () => undefined);
    sink.write(1);
    await sink.flush();
    expect(sink.getMetrics()).toMatchObject({ eventsFlushed: 1, eventsFailed: 0 });
    sink.destroy();
  });
});
