import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, expect, it } from 'vitest';
import {
  BackpressureController,
  BackpressureWritable,
  drainOnSignals,
  type DrainableSink,
  type DrainOnSignalsOptions,
  type DrainReport,
  type SinkOptions,
  type WritableOptions,
} from '../../../src/index.js';
import { listenForSignals } from '../../../src/shutdown/drain-on-signals.js';
import { FakeProcess } from '../../support/fake-process.js';
import { ManualClock } from '../../support/manual-clock.js';
import { ManualDestination } from '../../support/destinations.js';
import { range } from '../../support/range.js';
import { endOf, expectLedger, turn } from '../../support/stream.js';

/** What ends the process by SIGTERM, and sees that it does. */
const ENDED = ['kill 4711 SIGTERM', 'exit 143'];

function create(options: DrainOnSignalsOptions = {}) {
  const clock = new ManualClock();
  const target = new FakeProcess();
  const reports: DrainReport[] = [];
  const listen = (...sinks: DrainableSink[]) =>
    listenForSignals(
      target,
      clock,
      sinks,
      { onDrained: (report) => void reports.push(report), ...options },
      target.writeLine,
    );
  return { clock, target, reports, listen };
}

function writable(clock: ManualClock, options: WritableOptions<number> = {}) {
  const destination = new ManualDestination<number>();
  const settings = { clock, maxWaiting: 100, abortGraceMs: 0, ...options };
  return { destination, sink: new BackpressureWritable<number>(destination.flush, settings) };
}

function controller(clock: ManualClock, options: SinkOptions<number> = {}) {
  const destination = new ManualDestination<number>();
  const sink = new BackpressureController<number>(destination.flush, { clock, ...options });
  sink.start();
  return { destination, sink };
}

describe('at a signal', () => {
  it('drains, reports, ends the sinks and raises it again, in this order', async () => {
    const { clock, target, reports, listen } = create();
    const stream = writable(clock);
    const pushed = controller(clock);
    listen(stream.sink, pushed.sink);
    stream.sink.write(1);
    await pushed.sink.push(2);
    target.signal();
    expect([stream.sink.getMetrics().state, pushed.sink.getMetrics().state]).toEqual([
      'draining',
      'draining',
    ]);
    await turn();
    await stream.destination.answer();
    expect(target.done).toEqual([]);
    expect(reports).toEqual([]);
    await pushed.destination.answer();
    expect(reports).toEqual([
      {
        signal: 'SIGTERM',
        undelivered: [],
        errors: [],
        sinks: [
          { sink: stream.sink, undelivered: [], error: undefined },
          { sink: pushed.sink, undelivered: [], error: undefined },
        ],
      },
    ]);
    expect(target.done).toEqual(ENDED);
    expect(stream.sink.destroyed).toBe(true);
    expect(stream.sink.errored).toBeNull();
    expect(target.listening).toBe(0);
    expect(clock.pending).toBe(0);
    // What the first process of a container survives must not take items that nobody will ever flush.
    expect(await pushed.sink.push(3)).toBe(false);
  });

  it('reports what is open when time is out, sink by sink and flat, and flushes none of the queued items any more', async () => {
    const { clock, target, reports, listen } = create({ timeoutMs: 500 });
    const stream = writable(clock, { maxBufferSize: 4, batchSize: 2 });
    const pushed = controller(clock, { maxBufferSize: 2, batchSize: 1, maxBlockTimeMs: Infinity });
    listen(stream.sink, pushed.sink);
    const ended = endOf(stream.sink);
    for (const item of range(6)) stream.sink.write(item);
    for (const item of range(3, 10)) void pushed.sink.push(item);
    target.signal();
    await clock.advance(499);
    expect(reports).toEqual([]);
    await clock.advance(1);
    expect(reports[0]!.undelivered).toEqual([...range(6), ...range(3, 10)]);
    expect(reports[0]!.sinks.map(({ undelivered }) => undelivered)).toEqual([range(6), range(3, 10)]);
    expect(reports[0]!.errors).toEqual([
      expect.objectContaining({ code: 'ERR_BACKPRESSURE_DRAIN_TIMEOUT', items: range(6) }),
      expect.objectContaining({ code: 'ERR_BACKPRESSURE_DRAIN_TIMEOUT', items: range(3, 10) }),
    ]);
    expect(target.done).toEqual(ENDED);
    await stream.destination.answerAll();
    await pushed.destination.answerAll();
    expect([stream.destination.calls, pushed.destination.calls].map((calls) => calls.length)).toEqual([1, 1]);
    expect(await ended).toMatchObject({
      code: 'ERR_BACKPRESSURE_ABORTED',
      message: 'SIGTERM: ended with items unsettled',
    });
    expectLedger(stream.sink);
    expectLedger(pushed.sink);
  });

  it('flushes nothing that was queued while onDrained is at work on it', async () => {
    let done: () => void = () => undefined;
    const { clock, target, listen } = create({
      timeoutMs: 100,
      onDrained: () => new Promise<void>((resolve) => (done = resolve)),
    });
    const { sink, destination } = writable(clock, { batchSize: 2 });
    sink.on('error', () => undefined);
    const pushed = controller(clock, { batchSize: 2 });
    listen(sink, pushed.sink);
    for (const item of range(6)) {
      sink.write(item);
      pushed.sink.tryPush(item);
    }
    const flushed = sink.flush();
    target.signal();
    await clock.advance(100);
    for (const either of [destination, pushed.destination]) {
      await either.answer();
      expect(either.calls).toHaveLength(1);
    }
    expect(sink.destroyed).toBe(false);
    done();
    await turn();
    expect(sink.destroyed).toBe(true);
    await expect(flushed).rejects.toMatchObject({ code: 'ERR_BACKPRESSURE_ABORTED' });
    expect(sink.takeUnsettled()).toEqual([2, 3, 4, 5]);
  });

  it('delivers what a polite producer offers meanwhile, and asks it for no more', async () => {
    const { clock, target, reports, listen } = create();
    const { sink, destination } = writable(clock);
    listen(sink);
    sink.write(1);
    target.signal();
    expect(sink.write(2)).toBe(false);
    let asked = false;
    sink
      .on('drain', () => (asked = true))
      .on('state', (state) => expect.fail(`it has left DRAINING: ${state}`));
    await turn();
    await destination.answer();
    await destination.answer();
    expect(destination.items).toEqual([1, 2]);
    expect(asked).toBe(false);
    expect(reports[0]!.undelivered).toEqual([]);
    expect(target.done).toEqual(ENDED);
  });

  it('reports what a producer that ignores false offers after that', async () => {
    const { clock, target, reports, listen } = create();
    const { sink, destination } = writable(clock);
    sink.on('error', () => undefined);
    listen(sink);
    for (const item of [1, 2]) sink.write(item);
    target.signal();
    sink.write(3);
    await turn();
    await destination.answer();
    for (const item of [4, 5, 6]) {
      sink.write(item);
      await destination.answer();
    }
    sink.write(7);
    await destination.answer();
    expect(destination.items).toEqual(range(6, 1));
    expect(reports[0]).toMatchObject({ undelivered: [7], errors: [] });
    expect(sink.errored).toMatchObject({ code: 'ERR_BACKPRESSURE_ABORTED' });
  });

  it('a stream that was ended, before or meanwhile, comes to its own end', async () => {
    for (const when of ['before', 'meanwhile']) {
      const { clock, target, reports, listen } = create();
      const { sink, destination } = writable(clock);
      const ended = endOf(sink);
      listen(sink);
      sink.write(1);
      if (when === 'before') sink.end(2);
      target.signal();
      if (when === 'meanwhile') sink.end(2);
      await turn();
      await destination.answerAll();
      expect(reports[0]!.undelivered).toEqual([]);
      expect(await ended).toBeUndefined();
      expect(sink.writableFinished).toBe(true);
      expect(target.done).toEqual(ENDED);
    }
  });

  it('a drain of the user’s own, under way, changes nothing', async () => {
    const { clock, target, reports, listen } = create({ timeoutMs: 1_000 });
    const { sink, destination } = writable(clock, { batchSize: 1 });
    listen(sink);
    sink.write(1);
    const drained = sink.drain({ timeoutMs: 100 }).catch((error: unknown) => error);
    sink.write(2);
    target.signal();
    await clock.advance(100);
    expect(await drained).toMatchObject({ items: [1] });
    await destination.answer();
    await destination.answer();
    expect(destination.items).toEqual([1, 2]);
    expect(reports[0]!.undelivered).toEqual([]);
  });

  it('a pipeline() rejects, and its source is destroyed', async () => {
    const { clock, target, reports, listen } = create();
    const { sink, destination } = writable(clock, { maxBufferSize: 4 });
    listen(sink);
    let given = 0;
    const source = new Readable({
      objectMode: true,
      highWaterMark: 1,
      read: () => void source.push(given++),
    });
    const done = pipeline(source, sink).catch((error: unknown) => error);
    for (let round = 0; round < 10; round++) {
      await turn();
      await destination.answer();
    }
    target.signal();
    await turn();
    await destination.answerAll();
    expect(await done).toMatchObject({ code: 'ERR_STREAM_PREMATURE_CLOSE' });
    expect(source.destroyed).toBe(true);
    expect(reports[0]!.undelivered).toEqual([]);
    expect(destination.items).toEqual(range(sink.getMetrics().eventsOffered));
  });
});

describe('a sink that cannot be drained keeps nobody from it', () => {
  it('it fails meanwhile, with nobody listening', async () => {
    const { clock, target, reports, listen } = create();
    const failing = writable(clock);
    const good = writable(clock);
    listen(failing.sink, good.sink);
    for (const { sink } of [failing, good]) sink.write(1);
    target.signal();
    await turn();
    await failing.destination.fail(new Error('no'));
    await good.destination.answer();
    expect(reports[0]).toMatchObject({
      undelivered: [1],
      errors: [{ code: 'ERR_BACKPRESSURE_FLUSH_FAILED' }],
    });
    expect(target.done).toEqual(ENDED);
  });

  it('it fails in the moment in which all that was there has settled', async () => {
    const { clock, target, reports, listen } = create();
    const { destination, sink } = writable(clock, { batchSize: 1 });
    listen(sink);
    sink.write(1);
    const boom = new Error('boom');
    void sink.flush().then(() => sink.destroy(boom));
    target.signal();
    sink.write(2);
    await turn();
    await destination.answer();
    await turn();
    expect(reports[0]).toMatchObject({ undelivered: [2], errors: [boom] });
    expect(target.done).toEqual(ENDED);
  });

  it('its undelivered items are in order, those that are in flight among those that have been returned', async () => {
    const { clock, target, reports, listen } = create({ timeoutMs: 10 });
    const { destination, sink } = writable(clock, { batchSize: 1, concurrency: 2, abortGraceMs: 100 });
    listen(sink);
    for (const item of range(3)) sink.write(item);
    await turn();
    target.signal();
    destination.open[1]!.reject(new Error('no'));
    await clock.advance(10);
    expect(reports[0]).toMatchObject({ undelivered: range(3) });
  });

  it('it is a controller that is started again while onDrained is at work: nothing is flushed any more', async () => {
    const { clock, target, reports, listen } = create({
      onDrained: (report) => {
        reports.push(report);
        sink.start();
      },
    });
    const { destination, sink } = controller(clock, { batchSize: 1 });
    sink.stop();
    listen(sink);
    void sink.push(1);
    target.signal();
    await clock.advance(1_000);
    expect(reports[0]).toMatchObject({ undelivered: [1], errors: [{ code: 'ERR_BACKPRESSURE_STOPPED' }] });
    expect(destination.calls).toEqual([]);
  });

  it('it was destroyed, is just being destroyed, is finished, or was stopped', async () => {
    const { clock, target, reports, listen } = create();
    const destroyed = writable(clock).sink;
    destroyed.on('error', () => undefined);
    destroyed.write(1);
    destroyed.destroy();
    const finished = writable(clock).sink.end();
    await turn();
    const dying = writable(clock, { batchSize: 1, abortGraceMs: 100 }).sink;
    dying.write(2);
    await turn();
    dying.on('error', () => undefined).destroy();
    const stopped = controller(clock).sink;
    stopped.stop();
    await stopped.push(3);
    const failed = controller(clock);
    await failed.sink.push(4);
    void failed.sink.flush();
    await turn();
    await failed.destination.fail(new Error('no'));
    const good = writable(clock);
    good.sink.write(5);
    listen(destroyed, finished, dying, stopped, failed.sink, good.sink);
    target.signal();
    await clock.advance(100);
    await good.destination.answerAll();
    // The error of the first one has told of its items already.
    expect(reports[0]!.sinks.map(({ undelivered }) => undelivered)).toEqual([[], [], [2], [3], [4], []]);
    expect(reports[0]!.errors).toEqual([
      expect.objectContaining({ code: 'ERR_BACKPRESSURE_ABORTED' }),
      expect.objectContaining({ code: 'ERR_BACKPRESSURE_STOPPED' }),
      expect.objectContaining({ code: 'ERR_BACKPRESSURE_FLUSH_FAILED' }),
    ]);
    expect(target.done).toEqual(ENDED);
  });

  it('a sink that is given twice counts once', async () => {
    const { clock, target, reports, listen } = create({ timeoutMs: 0 });
    const { sink } = writable(clock);
    sink.write(1);
    listen(sink, sink);
    target.signal();
    await clock.advance(0);
    expect(reports[0]!.undelivered).toEqual([1]);
    expect(reports[0]!.sinks).toHaveLength(1);
  });
});

describe('the process', () => {
  it.each([
    ['a repeated SIGTERM', ['SIGTERM', 5_000, 'SIGTERM', 5_000, 'SIGTERM']],
    ['SIGINT after SIGTERM', ['SIGTERM', 5_000, 'SIGINT', 999, 'SIGINT']],
    ['SIGTERM after SIGINT', ['SIGINT', 5_000, 'SIGTERM']],
    ['a second SIGINT within a second', ['SIGINT', 0, 'SIGINT', 999, 'SIGINT']],
  ])('is not ended sooner by %s', async (_name, events) => {
    const { clock, target, reports, listen } = create({ timeoutMs: 60_000 });
    const { sink, destination } = writable(clock);
    sink.write(1);
    listen(sink);
    for (const event of events)
      if (typeof event === 'number') await clock.advance(event);
      else target.signal(event as NodeJS.Signals);
    await turn();
    expect(target.done).toEqual([]);
    await destination.answer();
    expect(reports[0]).toMatchObject({ undelivered: [] });
    expect(target.done).toEqual(events[0] === 'SIGINT' ? ['kill 4711 SIGINT', 'exit 130'] : ENDED);
    expect(target.lines).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  it.each([
    ['the first signal', ['SIGINT', 1_000, 'SIGINT']],
    ['a SIGTERM and a SIGINT', ['SIGTERM', 10, 'SIGINT', 1_000, 'SIGINT']],
    ['a copy of the first', ['SIGINT', 1, 'SIGINT', 999, 'SIGINT']],
  ])(
    'ends at once by another SIGINT a second after %s, and one line counts what is lost',
    async (_name, events) => {
      const { clock, target, reports, listen } = create({ timeoutMs: 60_000 });
      const { sink } = writable(clock);
      for (const item of range(3)) sink.write(item);
      listen(sink);
      for (const event of events)
        if (typeof event === 'number') await clock.advance(event);
        else target.signal(event as NodeJS.Signals);
      await turn();
      expect(target.done).toEqual(['kill 4711 SIGINT', 'exit 130']);
      expect(target.lines).toEqual([
        'spillway: 3 items were not delivered before a second SIGINT ended the process',
      ]);
      expect(target.listening).toBe(0);
      expect(reports).toEqual([]);
      sink.on('error', () => undefined).destroy();
    },
  );

  it('survives a listener that removes itself and raises the signal again, until the drain is over', async () => {
    const { clock, target, reports, listen } = create();
    const { sink, destination } = writable(clock);
    sink.write(1);
    listen(sink);
    target.once('SIGTERM', () => target.kill(4711, 'SIGTERM'));
    target.signal();
    await turn();
    expect(target.done).toEqual(['kill 4711 SIGTERM']);
    await destination.answer();
    expect(reports[0]).toMatchObject({ undelivered: [] });
    expect(target.done).toEqual(['kill 4711 SIGTERM', ...ENDED]);
  });

  it('gets the signal again only 10 s later where a listener was added since the first one', async () => {
    const { clock, target, listen } = create();
    target.once('SIGTERM', () => target.once('SIGTERM', () => undefined));
    listen();
    target.signal();
    await clock.advance(9_999);
    expect(target.done).toEqual([]);
    await clock.advance(1);
    expect(target.done).toEqual(ENDED);
  });

  it('is not made to exit where somebody else listens: they get the signal again, and it is theirs', async () => {
    const { target, listen } = create();
    const heard: string[] = [];
    target.on('SIGTERM', (name: string) => heard.push(name));
    listen();
    target.signal();
    await turn();
    expect(target.done).toEqual(['kill 4711 SIGTERM']);
    expect(heard).toEqual(['SIGTERM', 'SIGTERM']);
  });

  it('gets the signal once, from the last of several calls that is done', async () => {
    const { clock, target, listen } = create();
    const sinks = range(3).map(() => writable(clock));
    for (const { sink } of sinks) {
      sink.write(1);
      listen(sink);
    }
    target.signal();
    await turn();
    for (const place of [1, 0]) await sinks[place]!.destination.answer();
    expect(target.done).toEqual([]);
    expect(target.listenerCount('SIGTERM')).toBe(1);
    await sinks[2]!.destination.answer();
    expect(target.done).toEqual(ENDED);
    expect(target.listenerCount('SIGTERM') + target.listenerCount('exit')).toBe(0);
  });

  it('has one listener for each signal, however many calls there are, because Node warns of more than ten', () => {
    const { clock, target, listen } = create();
    const stops = range(20).map(() => listen(writable(clock).sink));
    expect([target.listenerCount('SIGTERM'), target.listenerCount('SIGINT')]).toEqual([1, 1]);
    for (const stop of stops) stop();
    expect(target.listening).toBe(0);
  });

  it('gets the signal again at once for a sink that was given to another call since the first', async () => {
    const { clock, target, reports, listen } = create();
    const first = writable(clock);
    const late = writable(clock);
    listen(first.sink);
    first.sink.write(1);
    target.signal();
    listen(late.sink);
    late.sink.write(2);
    await turn();
    await first.destination.answer();
    expect(target.done).toEqual(['kill 4711 SIGTERM']);
    expect(target.lines).toEqual([]);
    await late.destination.answer();
    expect(late.destination.items).toEqual([2]);
    expect(reports.map(({ undelivered }) => undelivered)).toEqual([[], []]);
    expect(target.done).toEqual(['kill 4711 SIGTERM', ...ENDED]);
  });

  it('has as many listeners after a thousand calls as before', async () => {
    const { target, clock, listen } = create();
    const { sink } = writable(clock);
    for (let round = 0; round < 1_000; round++) {
      const unlisten = listen(sink, sink);
      expect(target.listening).toBe(2);
      unlisten();
      unlisten();
      expect(target.listening).toBe(0);
    }
    target.signal();
    await turn();
    expect(target.done).toEqual([]);
    const before = process.listenerCount('SIGTERM') + process.listenerCount('SIGINT');
    drainOnSignals([sink])();
    expect(process.listenerCount('SIGTERM') + process.listenerCount('SIGINT')).toBe(before);
    sink.destroy();
  });

  it('a process that takes the listeners away does not stop a shutdown that is under way', async () => {
    const { clock, target, reports, listen } = create();
    const { sink, destination } = writable(clock);
    sink.write(1);
    const unlisten = listen(sink);
    target.signal();
    unlisten();
    await turn();
    await destination.answer();
    expect(reports).toHaveLength(1);
    expect(target.done).toEqual(ENDED);
  });
});

describe('onDrained', () => {
  it.each([
    ['throws', () => { throw new Error('no disk'); }],
    ['rejects', () => Promise.reject(new Error('no disk'))],
  ])('onDrained that %s is reported by a warning', async (_name, onDrained) => {
    const { target, listen } = create({ onDrained });
    listen();
    target.signal();
    await turn();
    expect(target.done).toEqual(['warning BackpressureError: onDrained failed: no disk', ...ENDED]);
  }); // prettier-ignore

  it.each([
    ['what is left of timeoutMs', 5_000, 5_000],
    ['one second at least', 100, 1_000],
  ])('has %s', async (_name, timeoutMs, limitMs) => {
    const { clock, target, listen } = create({
      timeoutMs,
      onDrained: () => new Promise(() => undefined),
    });
    listen();
    target.signal();
    await clock.advance(limitMs - 1);
    expect(target.done).toEqual([]);
    await clock.advance(1);
    await turn();
    expect(target.done).toEqual([`warning onDrained has not answered within ${limitMs} ms`, ...ENDED]);
    expect(clock.pending).toBe(0);
  });

  it('left out: one line counts what is undelivered, with the reasons', async () => {
    const clock = new ManualClock();
    for (const items of [range(3), range(1), []]) {
      const target = new FakeProcess();
      const { sink } = writable(clock);
      for (const item of items) sink.write(item);
      listenForSignals(target, clock, [sink], { timeoutMs: 10 }, target.writeLine);
      target.signal();
      await clock.advance(10);
      await turn();
      const subject = items.length === 1 ? '1 item was' : `${items.length} items were`;
      const reason = `drain took longer than timeoutMs (10 ms): ${items.length === 1 ? '1 item is' : `${items.length} items are`} open`;
      const line = `spillway: ${subject} not delivered before SIGTERM ended the process: ${reason}`;
      expect(target.lines).toEqual(items.length > 0 ? [line] : []);
      expect(target.done).toEqual(ENDED);
    }
  });

  it('left out, with the line turned off: a warning counts what is undelivered', async () => {
    const clock = new ManualClock();
    const target = new FakeProcess();
    const { sink } = writable(clock);
    sink.write(1);
    listenForSignals(target, clock, [sink], { timeoutMs: 10, exitNotice: false }, target.writeLine);
    target.signal();
    await clock.advance(10);
    await turn();
    expect(target.done).toEqual([
      expect.stringMatching(/^warning 1 item was not delivered before SIGTERM ended the process: drain took/),
      ...ENDED,
    ]);
    expect(target.lines).toEqual([]);
  });

  it('left out: a warning says why a sink failed that has nothing undelivered', async () => {
    const clock = new ManualClock();
    const target = new FakeProcess();
    const { sink, destination } = writable(clock, { onFailed: () => undefined });
    sink.write(1);
    listenForSignals(target, clock, [sink], {}, target.writeLine);
    void sink.flush().then(() => sink.destroy(new Error('boom')));
    target.signal();
    await turn();
    await destination.answer();
    await turn();
    expect(target.done).toEqual([
      'warning 0 items were not delivered before SIGTERM ended the process: boom',
      ...ENDED,
    ]);
    expect(target.lines).toEqual([]);
  });
});

describe('wrong arguments', () => {
  const flush = async () => undefined;
  const sink = new BackpressureWritable(flush);
  const cases: [string, unknown, unknown, string, string][] = [
    ['a stream that is in no list', sink, {}, 'sinks', 'got an object'],
    ['nothing', undefined, {}, 'sinks', 'an iterable of BackpressureWritable, BackpressureController and BackpressureTransform, or of arrays of them; got undefined'],
    ['a list of something else', [sink, new Readable()], {}, 'sinks', 'got an object'],
    ['a text', 'sinks', {}, 'sinks', 'got "s"'],
    ['a negative time', [], { timeoutMs: -1 }, 'timeoutMs', 'a number of milliseconds from 0 to 2147483647; got -1'],
    ['a time without end', [], { timeoutMs: Infinity }, 'timeoutMs', 'got Infinity'],
    ['no time', [], { timeoutMs: null }, 'timeoutMs', 'got null'],
    ['a signal that is none', [], { signals: ['SIGTERM', 'SIGFOO'] }, 'signals', 'got "SIGFOO"'],
    ['a signal that nobody catches', [], { signals: ['SIGKILL'] }, 'signals', 'that can be caught, such as SIGTERM; got "SIGKILL"'],
    ['no signal', [], { signals: [] }, 'signals', 'an array of at least one name'],
    ['one signal, in no list', [], { signals: 'SIGTERM' }, 'signals', 'got "SIGTERM"'],
    ['a handler that is none', [], { onDrained: 1 }, 'onDrained', 'a function; got 1'],
    ['a hook that is none', [], { beforeDrain: 'x' }, 'beforeDrain', 'a function; got "x"'],
    ['a switch that is none', [], { exitNotice: 'no' }, 'exitNotice', 'true or false; got "no"'],
    ['a list of something else within a list', [[sink, {}]], {}, 'sinks', 'got an object'],
    ['lists of lists of lists', [[[sink]]], {}, 'sinks', 'got an array'],
    ['no options', [], null, 'options', 'an object; got null'],
    ['an unknown option', [], { timeout: 5 }, 'timeout', "drainOnSignals() has no option 'timeout'"],
  ]; // prettier-ignore

  it.each(cases)('%s', (_name, sinks, options, option, message) => {
    const listeners = process.listenerCount('SIGTERM');
    expect(() => drainOnSignals(sinks as [], options as object)).toThrow(
      expect.objectContaining({
        code: 'ERR_BACKPRESSURE_INVALID_OPTION',
        option,
        message: expect.stringContaining(message) as string,
      }),
    );
    expect(process.listenerCount('SIGTERM')).toBe(listeners);
  });
});
