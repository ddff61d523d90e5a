/** A process that exits while a sink has undelivered items says so, once, by any call of `exit`. */

import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, expect, it } from 'vitest';
import {
  BackpressureController,
  BackpressureTransform,
  BackpressureWritable,
  type DrainableSinks,
  type DrainOnSignalsOptions,
} from '../../../src/index.js';
import { drainAllOf } from '../../../src/shutdown/drain-all.js';
import { listenForSignals } from '../../../src/shutdown/drain-on-signals.js';
import { printable } from '../../../src/shutdown/standard-error.js';
import { FakeProcess } from '../../support/fake-process.js';
import { ManualClock } from '../../support/manual-clock.js';
import { ManualDestination } from '../../support/destinations.js';
import { range } from '../../support/range.js';
import { turn } from '../../support/stream.js';

function create() {
  const clock = new ManualClock();
  const target = new FakeProcess();
  const listen = (sinks: DrainableSinks, options: DrainOnSignalsOptions = {}) =>
    listenForSignals(target, clock, sinks, options, target.writeLine);
  const writable = () => {
    const destination = new ManualDestination<number>();
    const sink = new BackpressureWritable<number>(destination.flush, {
      clock,
      batchSize: 2,
      abortGraceMs: 0,
    });
    sink.on('error', () => undefined);
    return { sink, destination };
  };
  return { clock, target, listen, writable };
}

const line = (count: number) => [
  `spillway: ${count === 1 ? '1 item was' : `${count} items were`} not delivered before the process ended`,
];

describe('at exit one line counts', () => {
  it('what is queued, in flight and waiting, over all sinks of all calls, each once', async () => {
    const { clock, target, listen, writable } = create();
    const first = writable();
    const second = new BackpressureController<number>(() => new Promise(() => undefined), {
      clock,
      maxBufferSize: 2,
    });
    const transform = new BackpressureTransform<number>();
    second.start();
    listen([first.sink, transform]);
    listen([first.sink, second], { signals: ['SIGHUP'] });
    for (const item of range(5)) first.sink.write(item);
    for (const item of range(4)) void second.push(item);
    for (const item of range(3)) transform.write(item);
    await turn();
    target.exit(0);
    expect(target.lines).toEqual(line(12));
  });

  it('nothing where everything is delivered, dropped, or was taken by onFailed', async () => {
    const { clock, target, listen, writable } = create();
    const { sink, destination } = writable();
    sink.write(1);
    const failing = new BackpressureWritable<number>(() => Promise.reject(new Error('no')), {
      clock,
      onFailed: () => undefined,
    });
    failing.write(2);
    const dropping = new BackpressureController<number>(async () => undefined, { clock, shed: () => true });
    listen([sink, failing, dropping]);
    await dropping.push(3);
    void failing.flush();
    void sink.flush();
    await turn();
    await destination.answerAll();
    target.exit(0);
    expect(target.lines).toEqual([]);
  });

  it('what a sink that failed has returned, unless it was taken', async () => {
    for (const isTaken of [false, true]) {
      const { clock, target, listen, writable } = create();
      const { sink, destination } = writable();
      listen([sink]);
      for (const item of range(5)) sink.write(item);
      await turn();
      await destination.fail(new Error('no'));
      await clock.advance(0);
      if (isTaken) expect(sink.takeUnsettled()).toEqual(range(5));
      target.exit(1);
      expect(target.lines).toEqual(isTaken ? [] : line(5));
    }
  });

  it('what a sink returned before the signal, although onDrained has dealt with its report', async () => {
    const { clock, target, listen, writable } = create();
    const { sink, destination } = writable();
    const transform = new BackpressureTransform<number>().on('error', () => undefined);
    listen([transform, sink], { onDrained: () => undefined });
    for (const item of range(5)) sink.write(item);
    transform.write(5);
    transform.destroy();
    await turn();
    await destination.fail(new Error('no'));
    await clock.advance(0);
    target.signal();
    await turn(5);
    expect(target.lines).toEqual(['spillway: 6 items were not delivered before SIGTERM ended the process']);
  });

  it('before other listeners of the exit, which may throw', () => {
    const { target, listen, writable } = create();
    const { sink } = writable();
    sink.write(1);
    target.on('exit', () => expect(target.lines).toEqual(line(1)));
    listen([sink]);
    target.exit(0);
    expect.assertions(1);
  });

  it('what a transform has not handed to its reader', async () => {
    const { target, listen } = create();
    const slow = new BackpressureTransform<number>({ map: () => new Promise<number>(() => undefined) });
    const done = pipeline(Readable.from(range(4)), slow, async (items) => {
      for await (const item of items) expect.fail(String(item));
    }).catch(() => undefined);
    listen([slow]);
    await turn(5);
    target.exit(0);
    expect(target.lines).toEqual(line(4));
    slow.on('error', () => undefined).destroy();
    await done;
  });
});

describe('the line', () => {
  it('counts what is left in the midst of a drain', async () => {
    const { target, listen, writable } = create();
    const { sink, destination } = writable();
    for (const item of range(5)) sink.write(item);
    listen([sink]);
    target.signal();
    await turn();
    await destination.answer();
    target.exit(0);
    expect(target.lines).toEqual(line(3));
  });

  it('the line counts what onDrained got, if onDrained ends the process', async () => {
    const { clock, target, listen, writable } = create();
    const { sink } = writable();
    for (const item of range(5)) sink.write(item);
    listen([sink], { timeoutMs: 10, onDrained: () => target.exit(3) });
    target.signal();
    await clock.advance(10);
    await turn();
    expect(target.lines).toEqual(line(5));
  });

  it.each([
    ['has dealt with them', () => undefined, 0],
    ['has thrown', () => { throw new Error('no disk'); }, 5],
    ['hangs', () => new Promise(() => undefined), 5],
  ])('leaves out items that onDrained got, if onDrained %s: %#', async (_name, onDrained, count) => {
    const { clock, target, listen, writable } = create();
    const { sink } = writable();
    for (const item of range(5)) sink.write(item);
    listen([sink], { timeoutMs: 10, onDrained });
    target.signal();
    await clock.advance(1_500);
    await turn();
    expect(target.done.at(-1)).toBe('exit 143');
    expect(target.lines.map((text) => text.split(':')[1])).toEqual(
      count > 0 ? [` ${count} items were not delivered before SIGTERM ended the process`] : [],
    );
  }); // prettier-ignore

  it('counts what drainAll has returned, where the sink was given to drainOnSignals', async () => {
    const { clock, target, listen, writable } = create();
    const { sink } = writable();
    for (const item of range(5)) sink.write(item);
    listen([sink]);
    const drained = drainAllOf(target, clock, [sink], { timeoutMs: 10 }, target.writeLine);
    await clock.advance(10);
    expect((await drained).undelivered).toEqual(range(5));
    target.exit(0);
    expect(target.lines).toEqual(line(5));
  });

  it('counts a sink once, if it is given to another call while listeners of the signal go on', async () => {
    const { clock, target, listen, writable } = create();
    const { sink } = writable();
    target.on('SIGTERM', () => undefined);
    sink.write(1);
    listen([sink], { timeoutMs: 10 });
    target.signal();
    await clock.advance(10);
    await turn();
    expect(target.lines).toHaveLength(1);
    void drainAllOf(target, clock, [sink], { timeoutMs: 10 }, target.writeLine);
    target.exit(0);
    expect(target.lines).toHaveLength(1);
  });

  it('is turned off by exitNotice: false', () => {
    const { target, listen, writable } = create();
    const { sink } = writable();
    sink.write(1);
    listen([sink], { exitNotice: false });
    expect(target.listenerCount('exit')).toBe(0);
    target.exit(0);
    expect(target.lines).toEqual([]);
  });

  it('is not printed once the listeners were removed, unless another call watches the sink', () => {
    for (const others of [0, 1]) {
      const { target, listen, writable } = create();
      const { sink } = writable();
      sink.write(1);
      const stop = listen([sink]);
      if (others > 0) listen([sink]);
      stop();
      stop();
      expect(target.listenerCount('exit')).toBe(others);
      target.exit(0);
      expect(target.lines).toEqual(others > 0 ? line(1) : []);
    }
  });

  it('is printed where drainAll is cut short, and not afterwards', async () => {
    const { clock, target, writable } = create();
    for (const isCut of [true, false]) {
      const { sink } = writable();
      sink.write(1);
      const drained = drainAllOf(target, clock, [sink], { timeoutMs: 10 }, target.writeLine);
      if (!isCut) {
        await clock.advance(10);
        expect((await drained).undelivered).toEqual([1]);
      }
      target.lines.length = 0;
      target.emit('exit');
      expect(target.lines).toEqual(isCut ? line(1) : []);
      expect(target.listenerCount('exit')).toBe(0);
    }
  });

  it('has the reason once where two calls have one sink', async () => {
    const { clock, target, listen, writable } = create();
    const { sink } = writable();
    sink.write(1);
    listen([sink], { timeoutMs: 10 });
    listen([sink], { timeoutMs: 20 });
    target.signal();
    await clock.advance(20);
    await turn();
    expect(target.lines).toEqual([
      'spillway: 1 item was not delivered before SIGTERM ended the process: drain took longer than timeoutMs (10 ms): 1 item is open',
    ]);
  });

  it('is one line without control characters, of bounded length', () => {
    expect(printable('a\r\nb\u001b[31mc\u2028d')).toBe('a b [31mc d');
    expect(printable('x'.repeat(10_000)).length).toBeLessThan(1_000);
  });

  it('has one listener on the process for any number of calls and sinks', () => {
    const { target, listen, writable } = create();
    target.setMaxListeners(0);
    const sinks = range(20).map(() => writable().sink);
    const stops = sinks.map((sink) => listen([sink, ...sinks]));
    expect(target.listenerCount('exit')).toBe(1);
    for (const stop of stops) stop();
    expect(target.listenerCount('exit')).toBe(0);
  });
});
