import { describe, expect, it } from 'vitest';
import {
  BackpressureController,
  BackpressureTransform,
  BackpressureWritable,
  drainAll,
  type DrainableSinks,
  type DrainAllOptions,
  type SignalDrainReport,
} from '../../../src/index.js';
import { drainAllOf } from '../../../src/shutdown/drain-all.js';
import { listenForSignals } from '../../../src/shutdown/drain-on-signals.js';
import { FakeProcess } from '../../support/fake-process.js';
import { ManualClock } from '../../support/manual-clock.js';
import { ManualDestination } from '../../support/destinations.js';
import { range } from '../../support/range.js';
import { expectLedger, turn } from '../../support/stream.js';

function create() {
  const clock = new ManualClock();
  const target = new FakeProcess();
  const reports: SignalDrainReport[] = [];
  const drain = (sinks: DrainableSinks, options: DrainAllOptions = {}) =>
    drainAllOf(target, clock, sinks, options, target.writeLine);
  const listen = (sinks: DrainableSinks, timeoutMs: number) =>
    listenForSignals(
      target,
      clock,
      sinks,
      { timeoutMs, onDrained: (report) => void reports.push(report) },
      target.writeLine,
    );
  const writable = () => {
    const destination = new ManualDestination<number>();
    const sink = new BackpressureWritable<number>(destination.flush, {
      clock,
      batchSize: 2,
      abortGraceMs: 0,
    });
    return { sink, destination };
  };
  return { clock, target, reports, drain, listen, writable };
}

describe('drainAll', () => {
  it('delivers what was accepted, ends the sinks and reports that nothing is left', async () => {
    const { clock, target, drain, writable } = create();
    const { sink, destination } = writable();
    const pushed = new ManualDestination<number>();
    const controller = new BackpressureController<number>(pushed.flush, { clock });
    controller.start();
    for (const item of range(5)) sink.write(item);
    await controller.push(5);
    const drained = drain([sink, controller]);
    await turn();
    await pushed.answer();
    await destination.answerAll();
    expect(await drained).toEqual({
      signal: undefined,
      undelivered: [],
      errors: [],
      sinks: [
        { sink, undelivered: [], error: undefined },
        { sink: controller, undelivered: [], error: undefined },
      ],
    });
    expect(destination.items).toEqual(range(5));
    expect(sink.destroyed).toBe(true);
    expect(sink.errored).toBeNull();
    expect(await controller.push(6)).toBe(false);
    expect(target.done).toEqual([]);
    expect(target.listenerCount('exit')).toBe(0);
    expect(clock.pending).toBe(0);
  });

  it('reports what is open when time is out, and flushes none of it any more', async () => {
    const { clock, drain, writable } = create();
    const { sink, destination } = writable();
    for (const item of range(5)) sink.write(item);
    const drained = drain([sink], { timeoutMs: 100 });
    await clock.advance(100);
    expect(await drained).toMatchObject({
      undelivered: range(5),
      errors: [{ code: 'ERR_BACKPRESSURE_DRAIN_TIMEOUT', items: range(5) }],
    });
    await destination.answerAll();
    expect(destination.calls).toHaveLength(1);
    expect(sink.errored).toMatchObject({ message: 'drainAll(): ended with items unsettled' });
    expectLedger(sink);
  });

  it('returns the same report again when it is called again', async () => {
    const { clock, drain, writable } = create();
    const { sink } = writable();
    for (const item of range(3)) sink.write(item);
    const first = drain([sink], { timeoutMs: 100 });
    const second = drain([sink], { timeoutMs: 5_000 });
    await clock.advance(100);
    expect(await second).toEqual(await first);
    expect(await drain([sink])).toEqual(await first);
    expect(clock.pending).toBe(0);
  });

  it.each([
    ['before the signal', 'drainAll first', 50, 500],
    ['after the signal', 'signal first', 500, 50],
    ['before the signal, with the later timeout', 'drainAll first', 500, 50],
    ['after the signal, with the later timeout', 'signal first', 50, 500],
  ])('joins the drain of a signal: %s', async (_name, order, signalMs, allMs) => {
    const { clock, target, reports, drain, listen, writable } = create();
    const { sink, destination } = writable();
    for (const item of range(7)) sink.write(item);
    listen([sink], signalMs);
    if (order === 'signal first') target.signal();
    const drained = drain([sink], { timeoutMs: allMs });
    if (order !== 'signal first') target.signal();
    await turn();
    await destination.answer();
    await clock.advance(49);
    expect(reports).toEqual([]);
    await clock.advance(1);
    const report = await drained;
    expect(report).toMatchObject({ undelivered: [2, 3, 4, 5, 6], signal: 'SIGTERM' });
    expect(reports[0]).toEqual(report);
    expect(report.errors[0]!.message).toContain('timeoutMs (50 ms)');
    await clock.advance(1_000);
    await destination.answerAll();
    expect(destination.calls).toHaveLength(2);
    expect(target.done).toEqual(['kill 4711 SIGTERM', 'exit 143']);
    expect(target.lines).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  it('joins for the sinks that both have, and drains the others', async () => {
    const { clock, target, reports, drain, listen, writable } = create();
    const [a, b, c] = [writable(), writable(), writable()];
    for (const { sink } of [a, b, c]) sink.write(1);
    listen([a.sink, b.sink], 500);
    target.signal();
    const drained = drain([b.sink, c.sink], { timeoutMs: 100 });
    await turn();
    await a.destination.answer();
    await c.destination.answer();
    await clock.advance(100);
    expect((await drained).sinks.map(({ undelivered }) => undelivered)).toEqual([[1], []]);
    expect(reports[0]!.sinks.map(({ undelivered }) => undelivered)).toEqual([[], [1]]);
    for (const { destination } of [a, b, c]) expect(destination.calls).toHaveLength(1);
  });

  it('refuses a sink that is none, and options that it does not have', () => {
    for (const [sinks, options, option] of [
      [[{}], {}, 'sinks'],
      [[], { timeoutMs: -1 }, 'timeoutMs'],
      [[], { signals: ['SIGTERM'] }, 'signals'],
      [[], null, 'options'],
    ] as const)
      expect(() => drainAll(sinks as never, options as never)).toThrow(
        expect.objectContaining({ code: 'ERR_BACKPRESSURE_INVALID_OPTION', option }),
      );
  });

  it('drainAll in the real process resolves, and leaves no listener', async () => {
    const items: number[] = [];
    const before = process.listenerCount('exit');
    const sink = new BackpressureWritable<number>(async (batch) => void items.push(...batch));
    sink.write(1);
    expect(await drainAll([sink])).toMatchObject({ undelivered: [], errors: [] });
    expect(items).toEqual([1]);
    expect(process.listenerCount('exit')).toBe(before);
  });
});

describe('a transform that has ended with its producer held', () => {
  it('closes once it has been drained and read', async () => {
    const transform = new BackpressureTransform<number>({ maxBufferSize: 1 });
    transform.end(1);
    transform.resume();
    const report = await drainAll([transform]);
    expect(report).toMatchObject({ undelivered: [], errors: [] });
    await turn(3);
    expect(transform.closed).toBe(true);
    expect(transform.errored).toBe(null);
  });
});
